//! Waiting for the disk, apart from appending: many threads may ask at once and share one `fdatasync`. It never touches
//! the database file itself, only the write-ahead log, which SQLite puts no lock on.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use crate::{Blobs, Error, Result};

/// Makes what was appended survive a loss of power; for any thread.
#[derive(Clone, Debug)]
pub struct SyncHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The write-ahead log and the folder whose entry names it; nothing for a store in memory.
    files: Option<(File, File)>,
    blobs: Blobs,
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    /// How many syncs have begun.
    begun: u64,
    /// Whether the last of them is still under way.
    running: bool,
    /// A sync that failed may have thrown away what it did not write, so none after it can be believed.
    failed: bool,
}

impl SyncHandle {
    pub(crate) fn new(log: Option<&Path>, blobs: Blobs) -> Result<Self> {
        let files = match log {
            None => None,
            Some(log) => {
                let failed = |error| Error::io(format!("open {} to sync it", log.display()), error);
                let folder = log.parent().unwrap_or(Path::new("."));
                let folder = File::open(folder).map_err(failed)?;
                Some((OpenOptions::new().write(true).open(log).map_err(failed)?, folder))
            }
        };
        Ok(Self(Arc::new(Shared { files, blobs, rounds: Mutex::default(), ended: Condvar::new() })))
    }

    /// Returns when all that was appended, and all blobs that were put, before this call are on the disk.
    pub fn sync(&self) -> Result<()> {
        let shared = &self.0;
        let mut rounds = shared.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        // A round already under way may have begun before our last append: only one that begins after now will do.
        let needed = rounds.begun + 1;
        loop {
            if rounds.failed {
                return Err(Error::io("sync journal", std::io::Error::other("an earlier sync failed")));
            }
            let over = rounds.begun > needed || (rounds.begun == needed && !rounds.running);
            if over {
                return Ok(());
            }
            if rounds.running {
                rounds = shared.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.begun += 1;
            rounds.running = true;
            let first = rounds.begun == 1;
            drop(rounds);
            let result = shared.flush(first);
            rounds = shared.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            rounds.running = false;
            rounds.failed = result.is_err();
            shared.ended.notify_all();
            return result;
        }
    }
}

impl Shared {
    fn flush(&self, first: bool) -> Result<()> {
        // Blobs first: a record must never reach the disk for certain while the blob it names may not.
        self.blobs.sync()?;
        let Some((log, folder)) = &self.files else { return Ok(()) };
        let failed = |error: rustix::io::Errno| Error::io("sync journal", error.into());
        rustix::fs::fdatasync(log).map_err(failed)?;
        if first { rustix::fs::fsync(folder).map_err(failed) } else { Ok(()) }
    }
}
