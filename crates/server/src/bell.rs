//! The bell: a socket in the data folder through which other processes of the same person ask the server to run a task
//! that is on record. One line in, one line out; no task, file or event goes through it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::Start;
use event::TaskId;
use serde::{Deserialize, Serialize};

use crate::Runner;

const FOLDER: &str = "server";
const SOCKET: &str = "bell.sock";
const LOCK: &str = "lock";

/// How long either side waits for the other.
const WAIT: Duration = Duration::from_secs(5);

/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// What is asked through the bell.
#[derive(Debug, Serialize, Deserialize)]
struct Ring {
    begin: TaskId,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub accepted: bool,
    pub text: String,
}

/// Why there is no bell.
#[derive(Debug, thiserror::Error)]
pub enum BellError {
    /// One server per data folder.
    #[error("another server has the data folder {}{}", .0.display(), pid_of(.0))]
    Taken(PathBuf),
    /// The file system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

/// The server's hold on its data folder: the lock that makes it the only one, and the bell.
#[derive(Debug)]
pub struct Bell {
    folder: PathBuf,
    listener: UnixListener,
    /// The kernel drops the lock with the process.
    _lock: std::fs::File,
}

impl Bell {
    /// Takes the data folder for this server, and hangs up the bell.
    pub fn hang(home: &Path) -> Result<Self, BellError> {
        let folder = home.join(FOLDER);
        let io = |doing| {
            let path = folder.clone();
            move |source| BellError::Io { doing, path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io("make the folder"))?;
        let mut options = std::fs::OpenOptions::new();
        let mut lock = options.write(true).create(true).truncate(false).open(folder.join(LOCK)).map_err(io("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(BellError::Taken(home.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(io("lock"))?;
        match std::fs::remove_file(folder.join(SOCKET)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("hang the bell in")(error)),
            Ok(()) | Err(_) => {}
        }
        let directory = std::fs::File::open(&folder).map_err(io("hang the bell in"))?;
        let listener = UnixListener::bind(short(&directory)).map_err(io("hang the bell in"))?;
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.join(SOCKET), closed).map_err(io("hang the bell in"))?;
        Ok(Self { folder, listener, _lock: lock })
    }

    /// Answers the bell from now on, on a thread of its own.
    pub fn answer(self, runner: Runner) -> Result<Answering, BellError> {
        let Self { folder, listener, _lock } = self;
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let heard = answer_one(&stream, &runner);
                let _ = writeln!(&stream, "{}", serde_json::to_string(&heard).unwrap_or_default());
            }
        };
        let started = std::thread::Builder::new().name("bell".into()).spawn(serve);
        started.map_err(|source| BellError::Io { doing: "answer the bell in", path: folder.clone(), source })?;
        Ok(Answering { folder, _lock })
    }
}

/// A bell that is answered; taken down when dropped.
#[derive(Debug)]
pub struct Answering {
    folder: PathBuf,
    _lock: std::fs::File,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.folder.join(SOCKET));
    }
}

fn answer_one(stream: &UnixStream, runner: &Runner) -> Heard {
    let refused = |text: String| Heard { accepted: false, text };
    if let Err(error) = stream.set_read_timeout(Some(WAIT)).and_then(|()| stream.set_write_timeout(Some(WAIT))) {
        return refused(error.to_string());
    }
    let mut line = String::new();
    if let Err(error) = BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line) {
        return refused(format!("read what is asked: {error}"));
    }
    match serde_json::from_str::<Ring>(&line) {
        Err(error) => refused(format!("this is no request to the server: {error}")),
        Ok(Ring { begin }) => match runner.begin(&begin, Start::Resume) {
            Ok(()) => Heard { accepted: true, text: "the server runs it".to_owned() },
            Err(no) => refused(no.to_string()),
        },
    }
}

/// Whether a server of this data folder is there. It goes on by itself with what is answered.
pub fn is_answered(home: &Path) -> bool {
    std::fs::File::open(home.join(FOLDER)).is_ok_and(|directory| UnixStream::connect(short(&directory)).is_ok())
}

/// Asks the server of this data folder to run a task; `None` where no server is there.
pub fn ring(home: &Path, id: &TaskId) -> Result<Option<Heard>, BellError> {
    let folder = home.join(FOLDER);
    let io = |source| BellError::Io { doing: "ring the server's bell in", path: folder.clone(), source };
    let Ok(directory) = std::fs::File::open(&folder) else { return Ok(None) };
    let stream = match UnixStream::connect(short(&directory)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(io(error)),
    };
    stream.set_read_timeout(Some(WAIT)).and_then(|()| stream.set_write_timeout(Some(WAIT))).map_err(io)?;
    let ring = Ring { begin: id.clone() };
    writeln!(&stream, "{}", serde_json::to_string(&ring).unwrap_or_default()).map_err(io)?;
    let mut line = String::new();
    BufReader::new((&stream).take(LINE_BYTES_MAX)).read_line(&mut line).map_err(io)?;
    serde_json::from_str(&line).map(Some).map_err(|error| io(std::io::Error::other(error)))
}

/// A socket's name through its folder's descriptor: a socket address holds 107 bytes, a path may be longer.
fn short(directory: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))
}

fn pid_of(home: &Path) -> String {
    let pid = std::fs::read_to_string(home.join(FOLDER).join(LOCK)).unwrap_or_default();
    pid.trim().parse::<u32>().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
