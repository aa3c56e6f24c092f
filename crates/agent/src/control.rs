//! The door to whoever holds a task: a socket in its folder, one command and one answer per connection.
//!
//! Threads and blocking calls on purpose: a command is rare and small, and the loop stays the only async file. The
//! socket lies in a folder of mode 0700 and has mode 0600 itself, so whoever can connect is the person.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use event::{ComputerPart, EffectId, Event, Label, PageSeen, TaskOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::limits::{HOLD_MS_MAX, MESSAGE_BYTES_MAX};
use crate::state::State;
use crate::{Because, Error};

const SOCKET: &str = "control.sock";

/// How long a sender waits for the holder's answer.
const ANSWER_MS: u64 = 5_000;

/// What a person can tell a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Words for the agent.
    Message { text: String },
    /// The answer to the approval that the task waits for; `effect` guards against answering another one.
    Confirm { effect: Option<EffectId>, allowed: bool, note: String },
    /// Stop now.
    Stop { by: String },
    /// Other limits. `was`: those that the sender had read and changed some of; where others hold by now, nothing changes.
    Options {
        options: TaskOptions,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Box<TaskOptions>>,
    },
    /// Other hosts: these may be reached from now on, those no more, also where the person was asked and said yes.
    Hosts { allow: Vec<String>, deny: Vec<String> },
    /// Stand still while a copy is made, until the sender lets go: begin nothing and record nothing. What runs in the
    /// computer runs on. Whoever wants something of the task comes first, and the sender is told that the hold broke.
    Hold,
    /// The person works with this part of the computer themselves: the agent begins nothing until it has it back.
    /// `page` is what the browser shows.
    TakeOver { what: ComputerPart, page: Option<PageSeen> },
    /// They hand back what they have taken, with a word for the agent or none.
    HandBack { note: String, page: Option<PageSeen> },
    /// From the engine's own server: put the task down in good order. Its computer runs on.
    PutDown { reason: String },
}

/// A command on its way to the loop, with the place for its answer.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) command: Command,
    pub(crate) answer: std::sync::mpsc::SyncSender<Answer>,
    /// For a hold: ends when the sender lets go.
    pub(crate) held: Option<oneshot::Receiver<()>>,
}

/// What the holder said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub accepted: bool,
    pub text: String,
    /// Why it was not accepted, where that has a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
}

impl Answer {
    pub(crate) fn yes(text: impl Into<String>) -> Self {
        Self { accepted: true, text: text.into(), because: None }
    }

    pub(crate) fn no(text: impl Into<String>, because: Option<Because>) -> Self {
        Self { accepted: false, text: text.into(), because }
    }
}

/// How long the door waits where the machine has no descriptor for whoever knocks.
const KNOCK_AGAIN: Duration = Duration::from_millis(100);

/// The listening end; when it is dropped, nobody listens any more and the socket is removed.
#[derive(Debug)]
pub(crate) struct Door {
    path: PathBuf,
    /// What stands there is only taken away while it is this socket: device and number.
    own: (u64, u64),
    closes: Arc<AtomicBool>,
    /// The listening socket itself, to be shut down: only that wakes whoever waits for it, and it needs no further descriptor.
    socket: UnixStream,
    listening: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens the door and passes what comes through it to the loop.
    pub(crate) fn open(folder: &Path, commands: mpsc::Sender<Incoming>) -> Result<Self, Error> {
        let io = |source| Error::Io { doing: "open the control socket in", path: folder.to_owned(), source };
        if !folder.exists() {
            std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder).map_err(io)?;
        }
        let path = folder.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        let directory = std::fs::File::open(folder).map_err(io)?;
        let listener = UnixListener::bind(short(&directory)).map_err(io)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        let own = number(&path).map_err(io)?;
        let socket = UnixStream::from(OwnedFd::from(listener.try_clone().map_err(io)?));
        let closes = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closes);
        let serve = move || listen(&listener, &commands, &closed);
        let listening = std::thread::Builder::new().name("door".into()).spawn(serve).map_err(io)?;
        Ok(Self { path, own, closes, socket, listening: Some(listening) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Whoever has the task by now may have put a door of their own there.
        if number(&self.path).is_ok_and(|found| found == self.own) {
            let _ = std::fs::remove_file(&self.path);
        }
        self.closes.store(true, Ordering::Release);
        let woken = self.socket.shutdown(Shutdown::Both).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            listening.thread().unpark();
            let _ = listening.join();
        }
    }
}

/// Device and number of what stands there.
fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Takes what comes, until the door closes; whoever had knocked before that is answered too.
fn listen(listener: &UnixListener, commands: &mpsc::Sender<Incoming>, closes: &AtomicBool) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                // One slow sender must not shut out a stop: each has its own thread and a time limit.
                let commands = commands.clone();
                let _ = std::thread::Builder::new().name("control".into()).spawn(move || serve_one(&stream, &commands));
            }
            Err(_) if closes.load(Ordering::Acquire) => return,
            // The machine has no descriptor left, say: asked again at once, it would only say so again.
            Err(_) => std::thread::park_timeout(KNOCK_AGAIN),
        }
    }
}

/// A socket's name through its folder's descriptor: a socket address holds 107 bytes, a path may be longer.
fn short(directory: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))
}

fn serve_one(stream: &UnixStream, commands: &mpsc::Sender<Incoming>) {
    let refused = |text: &str| Answer::no(text, None);
    let tell = |answer: &Answer| writeln!(&*stream, "{}", serde_json::to_string(answer).unwrap_or_default());
    let command = match read_command(stream) {
        Ok(command) => command,
        Err(problem) => return drop(tell(&refused(&problem))),
    };
    // A hold is answered twice: when it begins and when it ends.
    let (answer, answered) = std::sync::mpsc::sync_channel(2);
    let (let_go, held) = oneshot::channel();
    let holds = command == Command::Hold;
    let incoming = Incoming { command, answer, held: holds.then_some(held) };
    if commands.blocking_send(incoming).is_err() {
        return drop(tell(&refused("the task has just ended")));
    }
    let wait = Duration::from_millis(ANSWER_MS);
    let next = || answered.recv_timeout(wait).unwrap_or_else(|_| refused("the task is ending and took no command"));
    if tell(&next()).is_ok() && holds {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(HOLD_MS_MAX)));
        // A line, the end of the connection, or nothing for too long: each lets go.
        let _ = BufReader::new(stream.take(1)).read(&mut [0]);
        drop(let_go);
        let _ = tell(&next());
    }
}

fn read_command(stream: &UnixStream) -> Result<Command, String> {
    let wait = Some(Duration::from_millis(ANSWER_MS));
    stream.set_read_timeout(wait).and_then(|()| stream.set_write_timeout(wait)).map_err(|error| error.to_string())?;
    let mut line = String::new();
    let mut bounded = BufReader::new(stream.take(2 * MESSAGE_BYTES_MAX as u64));
    bounded.read_line(&mut line).map_err(|error| format!("read a command: {error}"))?;
    serde_json::from_str(&line).map_err(|error| format!("this is no command: {error}"))
}

/// A task that stands still as long as this lives, unless somebody wants something of it.
#[derive(Debug)]
pub(crate) struct Hold {
    stream: UnixStream,
    folder: PathBuf,
}

impl Hold {
    /// Asks the holder of the task to stand still, if there is one.
    pub(crate) fn take(folder: &Path) -> Result<Option<Self>, Error> {
        let Some(stream) = connect(folder)? else { return Ok(None) };
        let answer = exchange(folder, &stream, &Command::Hold)?;
        if answer.accepted {
            Ok(Some(Self { stream, folder: folder.to_owned() }))
        } else {
            Err(Error::Invalid(answer.text))
        }
    }

    /// Lets go; whether the task stood still all the time.
    pub(crate) fn let_go(self) -> bool {
        let stood = writeln!(&self.stream).is_ok() && receive(&self.folder, &self.stream).is_ok_and(|end| end.accepted);
        tracing::debug!(stood, "a hold ended");
        stood
    }
}

/// Sends a command to the holder of the task, if there is one.
pub(crate) fn send(folder: &Path, command: &Command) -> Result<Option<Answer>, Error> {
    connect(folder)?.map(|stream| exchange(folder, &stream, command)).transpose()
}

fn broken(folder: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let folder = folder.to_owned();
    move |source| Error::Io { doing: "send a command through", path: folder.clone(), source }
}

fn connect(folder: &Path) -> Result<Option<UnixStream>, Error> {
    let io = broken(folder);
    let Ok(directory) = std::fs::File::open(folder) else { return Ok(None) };
    let stream = match UnixStream::connect(short(&directory)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(io(error)),
    };
    let wait = Some(Duration::from_millis(2 * ANSWER_MS));
    stream.set_read_timeout(wait).map_err(io)?;
    Ok(Some(stream))
}

fn exchange(folder: &Path, mut stream: &UnixStream, command: &Command) -> Result<Answer, Error> {
    let text = serde_json::to_string(command).unwrap_or_default();
    writeln!(stream, "{text}").map_err(broken(folder))?;
    receive(folder, stream)
}

fn receive(folder: &Path, stream: &UnixStream) -> Result<Answer, Error> {
    let io = broken(folder);
    let mut line = String::new();
    BufReader::new(stream.take(64 * 1024)).read_line(&mut line).map_err(&io)?;
    serde_json::from_str(&line).map_err(|error| io(std::io::Error::other(error)))
}

/// What a person's command puts on the record, and what they are told.
pub(crate) fn heard(state: &State, command: Command) -> (Answer, Vec<Event>) {
    let refuse = |because: Because, text: &str| (Answer::no(text, Some(because)), Vec::new());
    let accept = |text: &str, event: Event| (Answer::yes(text), vec![event]);
    match command {
        Command::Message { text } if text.trim().is_empty() => refuse(Because::MessageEmpty, "the message is empty"),
        Command::Message { text } if text.len() > MESSAGE_BYTES_MAX => {
            refuse(Because::MessageTooLong, "the message is too long: 256 KiB at most; give long material as a file")
        }
        Command::Message { text } => {
            accept("the agent reads it before its next step", Event::MessageReceived { text, label: Label::person() })
        }
        Command::Confirm { effect, allowed, note } => match state.open_approval() {
            None => refuse(Because::NothingAwaited, "the task waits for no confirmation"),
            Some((id, ..)) if effect.is_some_and(|wanted| wanted != id) => {
                refuse(Because::OtherAwaited, &format!("the task waits for a word on {id}, not on that effect"))
            }
            Some((id, effect_digest, _)) => {
                let by = "person".to_owned();
                let said = if allowed { "allowed" } else { "refused" };
                accept(said, Event::ApprovalAnswered { id, effect_digest, allowed, by, note })
            }
        },
        Command::Stop { .. } if state.ended.is_some() => refuse(Because::AlreadyEnded, "the task has already ended"),
        Command::Stop { by } => accept("stopping", Event::StopRequested { by }),
        Command::TakeOver { .. } if state.ended.is_some() => {
            refuse(Because::AlreadyEnded, "the task has already ended")
        }
        Command::TakeOver { what, page } => match &state.taken_over {
            None => accept("it is in your hands", Event::TakenOver { what, page: page.map(Box::new) }),
            Some(taken) if *taken == what => (Answer::yes("it is in your hands already"), Vec::new()),
            Some(taken) => refuse(Because::HandsFull, &format!("you have {taken} in your hands: hand it back first")),
        },
        Command::HandBack { note, .. } if note.len() > MESSAGE_BYTES_MAX => {
            refuse(Because::NoteTooLong, "the note is too long: 256 KiB at most")
        }
        Command::HandBack { note, page } => match &state.taken_over {
            None => refuse(Because::NothingTakenOver, "nothing is taken over"),
            Some(what) => {
                let page = page.map(Box::new);
                accept("the agent has it back", Event::HandedBack { what: what.clone(), note, page })
            }
        },
        Command::Hold => (Answer::no("nothing is at work here that could stand still", None), Vec::new()),
        Command::PutDown { reason } => accept("put down", Event::PutDown { reason }),
        Command::Hosts { allow, deny } => match crate::hosts::changed(state, &allow, &deny) {
            Ok((text, events)) => (Answer::yes(text), events),
            Err(Error::Refused { because, text }) => refuse(because, &text),
            Err(error) => (Answer::no(error.to_string(), None), Vec::new()),
        },
        Command::Options { was: Some(was), .. } if state.options != *was => refuse(
            Because::OptionsChanged,
            "other limits or hosts were set meanwhile: look at the task, and say it again",
        ),
        Command::Options { options, .. } => (Answer::yes("the new limits hold"), crate::hosts::chosen(state, options)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::run::waits::stand_still;

    /// Threads that listen at a door, and control sockets of this process that are open.
    fn listening() -> (usize, usize) {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let entries = |path: &str| std::fs::read_dir(path).unwrap().flatten();
        let threads =
            entries("/proc/self/task").filter(|task| read(&task.path().join("comm")).trim() == "door").count();
        let table = read(Path::new("/proc/self/net/unix"));
        let sockets: Vec<_> = table.lines().filter(|line| line.ends_with(SOCKET)).collect();
        let is_ours = |name: &str| {
            sockets.iter().any(|line| line.split_whitespace().any(|field| name == format!("socket:[{field}]")))
        };
        let names = entries("/proc/self/fd").filter_map(|fd| std::fs::read_link(fd.path()).ok());
        (threads, names.filter(|name| is_ours(&name.to_string_lossy())).count())
    }

    #[test]
    fn a_door_that_closes_leaves_no_thread_no_socket_and_no_file() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let (sender, _commands) = mpsc::channel(1);
            drop(Door::open(folder.path(), sender).unwrap());
        }
        let (threads, sockets) = listening();
        // Other tests of this process may have a door open.
        assert!(threads < 5 && sockets < 10, "{threads} threads, {sockets} sockets");
        assert!(!folder.path().join(SOCKET).exists());
    }

    #[test]
    fn a_door_that_closes_late_leaves_the_next_ones_open() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, _commands) = mpsc::channel(1);
        let late = Door::open(folder.path(), sender.clone()).unwrap();
        let next = Door::open(folder.path(), sender).unwrap();
        drop(late);
        assert!(connect(folder.path()).unwrap().is_some(), "the next one can be reached");
        drop(next);
        assert!(connect(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_hold_stands_until_it_is_let_go_or_somebody_wants_something() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Hold::take(folder.path()).unwrap().is_none(), "nobody is at the door");
        let (sender, mut commands) = mpsc::channel(4);
        let door = Door::open(folder.path(), sender).unwrap();
        let (wanted, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_wanted, count) = (Arc::clone(&wanted), Arc::clone(&ended));
        let holder = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for _ in 0..3 {
                    let incoming = commands.recv().await.unwrap();
                    stand_still(incoming, || is_wanted.load(Ordering::Relaxed)).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        let hold = Hold::take(folder.path()).unwrap().unwrap();
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        assert!(hold.let_go());
        let hold = Hold::take(folder.path()).unwrap().unwrap();
        wanted.store(true, Ordering::Relaxed);
        assert!(!hold.let_go(), "a copy made meanwhile is worth nothing");
        wanted.store(false, Ordering::Relaxed);
        // Whoever held it died.
        drop(Hold::take(folder.path()).unwrap().unwrap());
        holder.join().unwrap();
        drop(door);
    }
}
