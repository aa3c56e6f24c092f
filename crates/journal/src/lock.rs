//! The lock that makes one writer: `flock` on the file `lock` of a task's folder, with the holder's process id in it.
//! The kernel drops it with the process; the file stays, and an old id in it means nothing.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, Timestamps, UTIME_NOW, UTIME_OMIT, flock, futimens};

use crate::{Error, Result};

const LOCK: &str = "lock";
/// A question whether a journal is held takes the lock, shared, for some microseconds: a writer that meets one asks again.
const ATTEMPTS: u32 = 20;
const ATTEMPT_WAIT: Duration = Duration::from_millis(1);
/// No process id is longer.
const PID_BYTES_MAX: u64 = 20;

/// Who holds a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, if it got as far as writing it.
    pub pid: Option<u32>,
}

/// The held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    folder: PathBuf,
}

impl Lock {
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let failed = |error| Error::io(format!("lock journal {}", folder.display()), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join(LOCK)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound { folder: folder.to_owned() },
            _ => failed(error),
        })?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if attempt == ATTEMPTS => {
                    return Err(Error::Locked { folder: folder.to_owned(), pid: read_pid(&mut file) });
                }
                Err(TryLockError::WouldBlock) => pause(),
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { file, folder: folder.to_owned() })
    }

    /// Leaves a sign of life.
    pub(crate) fn touch(&self) -> Result<()> {
        let unchanged = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        futimens(&self.file, &Timestamps { last_access: unchanged, last_modification: now })
            .map_err(|error| Error::io(format!("touch the lock of {}", self.folder.display()), error.into()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The id must not outlive the hold; the lock itself goes with the descriptor.
        let _ = self.file.set_len(0);
    }
}

/// A journal that is kept at rest: as long as this lives, nobody becomes its writer. It leaves no sign of life.
#[derive(Debug)]
pub struct AtRest {
    /// The shared lock goes with the descriptor.
    _file: Option<File>,
}

/// Keeps a journal at rest that nobody holds.
pub fn at_rest(folder: &Path) -> Result<AtRest> {
    let failed = |error| Error::io(format!("look at the lock of {}", folder.display()), error);
    let mut file = match File::open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(AtRest { _file: None }),
        Err(error) => return Err(failed(error)),
    };
    for _ in 0..ATTEMPTS {
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(AtRest { _file: Some(file) }),
            Err(rustix::io::Errno::WOULDBLOCK) => pause(),
            Err(error) => return Err(failed(error.into())),
        }
    }
    Err(Error::Locked { folder: folder.to_owned(), pid: read_pid(&mut file) })
}

/// Who holds the journal in this folder now, asked without keeping a writer out.
pub fn holder(folder: &Path) -> Result<Option<Holder>> {
    let failed = |error| Error::io(format!("look at the lock of {}", folder.display()), error);
    let mut file = match File::open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(Holder { pid: read_pid(&mut file) })),
        Err(error) => Err(failed(error.into())),
    }
}

/// When the writer last left a sign of life ([`Writer::touch`](crate::Writer::touch), or taking the lock), as Unix time in
/// milliseconds; `None` if there never was one.
pub fn last_sign_of_life_ms(folder: &Path) -> Result<Option<u64>> {
    match std::fs::metadata(folder.join(LOCK)).and_then(|metadata| metadata.modified()) {
        Ok(time) => Ok(time.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("look at the lock of {}", folder.display()), error)),
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "flock tells nobody when a lock is free, save by blocking without a limit"
)]
fn pause() {
    std::thread::sleep(ATTEMPT_WAIT);
}
