//! The caller's handle of a computer. It holds no connection and no thread: each operation asks the keeper anew, so any process may ask.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;
use tracing::field::Empty;

use crate::browser::BrowserLine;
use crate::egress::{Egress, EgressGate, Lease, Listeners};
use crate::request::{Recorded, Request, Status};
use crate::spec::{ComputerSpec, Workspace};
use crate::wire::{self, Answer, Ask, Question, Started};
use crate::{Error, Result, record};

/// How long a starting or leaving keeper of another caller is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Pause between two looks at it.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long the keeper may take to answer what it answers at once.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A running computer. Cheap to clone; any thread may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computer {
    dir: PathBuf,
}

impl Computer {
    /// Attaches to the living computer of `spec.dir`, or makes one.
    ///
    /// # Errors
    /// [`Error::Launch`] with a hint if this machine cannot make one, [`Error::Workspace`] if the folder may not be used.
    pub fn open(spec: &ComputerSpec) -> Result<Self> {
        let span = tracing::info_span!("computer.open", thenar.made = Empty, error.type = Empty);
        told(&span, || Self::attach_or_make(spec, &span))
    }

    fn attach_or_make(spec: &ComputerSpec, span: &Span) -> Result<Self> {
        let spec = absolute(spec)?;
        if let Workspace::Folder(path) = &spec.workspace {
            // The keeper asks again, but has no environment that could tell it the caller's home.
            crate::lendable(path, &spec.forbidden)?;
        }
        record::prepare(&spec.dir).map_err(Error::io(format!("make the folder {}", spec.dir.display())))?;
        let deadline = Instant::now() + BUSY_WAIT;
        loop {
            if let Some(computer) = Self::attach(&spec.dir)? {
                // It was made with the deadline of its day. A keeper of an earlier version keeps that one.
                let _ = computer.set_deadline(spec.deadline_unix_ms);
                span.record("thenar.made", false);
                return Ok(computer);
            }
            if launch(&spec)? {
                clear_left_groups();
                span.record("thenar.made", true);
                return Ok(Self { dir: spec.dir });
            }
            if Instant::now() > deadline {
                return Err(Error::Launch {
                    reason: "another keeper holds the folder but does not answer".to_owned(),
                    hint: format!("look at {}", spec.dir.join("keeper.log").display()),
                });
            }
            pause();
        }
    }

    /// Attaches to the computer of a folder if it lives.
    ///
    /// # Errors
    /// If the keeper is of another version, or the socket cannot be used.
    pub fn attach(dir: &Path) -> Result<Option<Self>> {
        let computer = Self { dir: std::path::absolute(dir).map_err(Error::io("find the working directory"))? };
        match computer.ask(Ask::Hello, ANSWER_WAIT) {
            Ok(_) => Ok(Some(computer)),
            Err(Error::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves the moment at which everything in it ends; none: it runs on.
    ///
    /// # Errors
    /// If its keeper is gone, or is one of an earlier version, which keeps the moment that it was made with.
    pub fn set_deadline(&self, unix_ms: Option<u64>) -> Result<()> {
        self.tell(Ask::Deadline { unix_ms })
    }

    /// The computer's folder on the host.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a request under an id. The second time it only attaches: nothing runs twice.
    ///
    /// # Errors
    /// [`Error::Refused`] if the computer cannot start it (a limit, or an earlier computer had this call and lost it).
    pub fn start(&self, call: &str, request: &Request) -> Result<()> {
        record::check_id(call)?;
        let span = tracing::info_span!("computer.start", thenar.call = call, thenar.request = request.word(), error.type = Empty);
        let ask = Ask::Start { call: call.to_owned(), request: request.clone(), wait_ms: 0 };
        told(&span, || self.ask(ask, ANSWER_WAIT).map(drop))
    }

    /// [`Computer::start`] and [`Computer::wait`] in one, which costs the keeper half as many turns. Nothing where the
    /// request is accepted and the keeper knows no such question: it is an earlier version, to be waited for as ever.
    ///
    /// # Errors
    /// As of the two.
    pub fn start_and_wait(&self, call: &str, request: &Request, timeout: Duration) -> Result<Option<Status>> {
        record::check_id(call)?;
        let wait_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let span = tracing::info_span!("computer.start", thenar.call = call, thenar.request = request.word(), error.type = Empty);
        let ask = Ask::Start { call: call.to_owned(), request: request.clone(), wait_ms };
        match told(&span, || self.ask(ask, timeout.saturating_add(ANSWER_WAIT)))? {
            Answer::Status(Status::Ended(result)) if result.exit == crate::Exit::Died => {
                Err(Error::Gone { dir: self.dir.clone() })
            }
            Answer::Status(status) => Ok(Some(status)),
            Answer::Done
            | Answer::Refused { .. }
            | Answer::Version { .. }
            | Answer::Browser { .. }
            | Answer::Terminals(_)
            | Answer::Look(_)
            | Answer::Egress
            | Answer::Limits(_)
            | Answer::Marked { .. } => Ok(None),
        }
    }

    /// Waits for a call to end, at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Gone`] if the computer died meanwhile: [`crate::recorded`] then tells what is known.
    pub fn wait(&self, call: &str, timeout: Duration) -> Result<Status> {
        record::check_id(call)?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let answer = self.ask(Ask::Wait { call: call.to_owned(), timeout_ms }, timeout.saturating_add(ANSWER_WAIT));
        match answer {
            // Told by the keeper in its last moment.
            Ok(Answer::Status(Status::Ended(result))) if result.exit == crate::Exit::Died => {
                Err(Error::Gone { dir: self.dir.clone() })
            }
            Ok(Answer::Status(status)) => Ok(status),
            Ok(other) => Err(Error::Refused(format!("the keeper answered {other:?} to a wait"))),
            // The keeper left before our question: the result is on disk, or is just being put there.
            Err(gone @ Error::Gone { .. }) => match recorded(&self.dir, call)? {
                Recorded::Ended(result) => Ok(Status::Ended(result)),
                Recorded::NeverSeen | Recorded::Running | Recorded::Lost => Err(gone),
            },
            Err(error) => Err(error),
        }
    }

    /// Output of a call from `offset`, at most `max` bytes, as far as there is any.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn output(&self, call: &str, offset: u64, max: usize) -> Result<Vec<u8>> {
        record::read_output(&self.dir, call, offset, max)
    }

    /// Types into the terminal of a running command, exactly once per `write_id`.
    ///
    /// # Errors
    /// [`Error::Refused`] if the command has ended or takes no input.
    pub fn write_input(&self, write_id: &str, call: &str, bytes: &[u8]) -> Result<()> {
        let ask = Ask::Input {
            write_id: write_id.to_owned(),
            call: call.to_owned(),
            bytes: bytes.to_vec(),
            as_command: false,
        };
        let span =
            tracing::info_span!("computer.write", thenar.call = call, thenar.bytes = bytes.len(), error.type = Empty);
        told(&span, || self.ask(ask, ANSWER_WAIT).map(drop))
    }

    /// Ends a call with everything it started: asks first, insists two seconds later. Does not wait for the end.
    ///
    /// # Errors
    /// [`Error::Gone`] if there is nothing left to end.
    pub fn kill(&self, call: &str) -> Result<()> {
        let span = tracing::info_span!("computer.kill", thenar.call = call, error.type = Empty);
        told(&span, || self.ask(Ask::Kill { call: call.to_owned() }, ANSWER_WAIT).map(drop))
    }

    /// Serves the computer's way out, as `gate` decides, until the handle is dropped. Whoever served it before no longer does.
    ///
    /// # Errors
    /// [`Error::Refused`] if the computer was made without one.
    pub fn egress(&self, gate: Arc<dyn EgressGate>) -> Result<Egress> {
        let failed = |what: &'static str| Error::io(format!("{what} of {}", self.dir.display()));
        let (answer, line) = self.ask_on(Ask::Egress, ANSWER_WAIT)?;
        if !matches!(answer, Answer::Egress) {
            return Err(Error::Refused(format!("the keeper answered {answer:?} when asked for the way out")));
        }
        let lent = wire::receive_descriptors(&line).map_err(failed("take the listeners"))?;
        let all =
            lent.try_into().map_err(|_| Error::Refused("the keeper lent other listeners than known".to_owned()))?;
        let lease = Lease { listeners: Listeners { all }, line };
        Egress::serve(lease, gate).map_err(failed("serve the listeners"))
    }

    /// Ends everything inside; the keeper leaves within a second. Gone already is as good.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to.
    pub fn shutdown(&self) -> Result<()> {
        let span = tracing::info_span!("computer.shutdown", error.type = Empty);
        told(&span, || match self.ask(Ask::Shutdown, ANSWER_WAIT) {
            Ok(_) | Err(Error::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        })
    }

    fn ask(&self, ask: Ask, patience: Duration) -> Result<Answer> {
        self.ask_on(ask, patience).map(|(answer, _)| answer)
    }

    /// Asks, and keeps the connection.
    fn ask_on(&self, ask: Ask, patience: Duration) -> Result<(Answer, UnixStream)> {
        let (answer, stream) = self.exchange(ask, patience).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Error::Gone { dir: self.dir.clone() },
            _ => Error::io(format!("talk to the keeper of {}", self.dir.display()))(error),
        })?;
        match answer {
            Answer::Refused { reason } => Err(Error::Refused(reason)),
            Answer::Version { mine } => Err(Error::Refused(format!(
                "the computer was started by another version of thenar (protocol {mine}, not {})",
                wire::VERSION
            ))),
            Answer::Done
            | Answer::Status(_)
            | Answer::Terminals(_)
            | Answer::Look(_)
            | Answer::Egress
            | Answer::Browser { .. }
            | Answer::Limits(_)
            | Answer::Marked { .. } => Ok((answer, stream)),
        }
    }

    fn exchange(&self, ask: Ask, patience: Duration) -> io::Result<(Answer, UnixStream)> {
        let mut stream = wire::connect(&self.dir)?;
        stream.set_write_timeout(Some(ANSWER_WAIT))?;
        stream.set_read_timeout(Some(patience))?;
        wire::send(&mut stream, &Question { version: wire::VERSION, ask })?;
        Ok((wire::receive(&mut stream)?, stream))
    }

    /// Asks for what the keeper knows at once.
    pub(crate) fn ask_now(&self, ask: Ask) -> Result<Answer> {
        self.ask(ask, ANSWER_WAIT)
    }

    /// Asks for what the keeper may take so long to answer.
    pub(crate) fn ask_patiently(&self, ask: Ask, patience: Duration) -> Result<Answer> {
        self.ask(ask, patience.saturating_add(ANSWER_WAIT))
    }

    /// Asks for what has no answer but that it is done.
    pub(crate) fn tell(&self, ask: Ask) -> Result<()> {
        self.ask(ask, ANSWER_WAIT).map(drop)
    }

    pub(crate) fn ask_to_mark(&self, id: &str) -> Result<bool> {
        match self.ask(Ask::Mark { id: id.to_owned() }, ANSWER_WAIT)? {
            Answer::Marked { new } => Ok(new),
            other => Err(Error::Refused(format!("the keeper answered {other:?} to a mark"))),
        }
    }

    pub(crate) fn ask_for_browser_limits(&self) -> Result<Vec<crate::Met>> {
        match self.ask(Ask::BrowserLimits, ANSWER_WAIT)? {
            Answer::Limits(met) => Ok(met),
            other => Err(Error::Refused(format!("the keeper answered {other:?} when asked for the browser's limits"))),
        }
    }

    pub(crate) fn ask_for_browser(&self, ask: Ask) -> Result<Option<BrowserLine>> {
        match self.ask_on(ask, ANSWER_WAIT)? {
            (Answer::Browser { generation, fresh, last_words, standing }, stream) => {
                // What it says is waited for as long as that takes; that it takes commands, as long as it may take to answer.
                stream.set_read_timeout(None).map_err(Error::io("use the line to the browser"))?;
                Ok(Some(BrowserLine { stream, generation, fresh, last_words, standing }))
            }
            (Answer::Done, _) => Ok(None),
            (other, _) => Err(Error::Refused(format!("the keeper answered {other:?} when asked for a browser"))),
        }
    }
}

/// What became of a call, whether or not its keeper lives.
///
/// A keeper that is killed closes its socket a moment before it lets go of its lock: one that holds the lock and does not
/// answer is waited for, and only one that answers has the call.
///
/// # Errors
/// If the folder cannot be read or the id is not one.
pub fn recorded(dir: &Path, call: &str) -> Result<Recorded> {
    let deadline = Instant::now() + BUSY_WAIT;
    loop {
        let found = record::on_disk(dir, call)?;
        if found != Recorded::Running || Instant::now() > deadline {
            return Ok(found);
        }
        // One of another version answers too, by refusing.
        if !matches!(Computer::attach(dir), Ok(None)) {
            return Ok(found);
        }
        pause();
    }
}

/// Removes what killed keepers left among the kernel's control groups, once per process: at its start, or beside its first computer.
pub fn clear_left_groups() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        crate::group::sweep();
    });
}

/// How many control groups killed keepers have left here.
pub fn left_groups() -> usize {
    crate::group::left()
}

/// Whether a killed keeper has left its socket in this folder, at which nobody answers.
pub fn has_dead_socket(dir: &Path) -> bool {
    dir.join(wire::SOCKET).exists() && matches!(record::keeper_lives(dir), Ok(false))
}

/// Takes such a socket away, unless somebody makes a computer there at this moment. Whether there was one.
pub fn clear_dead_socket(dir: &Path) -> bool {
    // Whoever has the lock is the only one who makes or removes the socket.
    has_dead_socket(dir)
        && matches!(record::lock(dir), Ok(Some(_lock)) if std::fs::remove_file(dir.join(wire::SOCKET)).is_ok())
}

/// Does it within a span that says whether it failed, in a word: the error itself may name a file of the person's.
fn told<T>(span: &Span, what: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = span.in_scope(what);
    if let Err(error) = &outcome {
        span.record("error.type", error.word());
    }
    outcome
}

/// The same specification with paths that mean the same from any working directory.
fn absolute(spec: &ComputerSpec) -> Result<ComputerSpec> {
    let whole = |path: &Path| std::path::absolute(path).map_err(Error::io("find the working directory"));
    Ok(ComputerSpec {
        dir: whole(&spec.dir)?,
        workspace: match &spec.workspace {
            Workspace::Own(path) => Workspace::Own(whole(path)?),
            Workspace::Folder(path) => Workspace::Folder(whole(path)?),
        },
        toolset: spec.toolset.as_deref().map(whole).transpose()?,
        keeper: whole(&spec.keeper)?,
        forbidden: spec.forbidden.iter().map(|path| whole(path)).collect::<Result<_>>()?,
        ..spec.clone()
    })
}

/// Starts a keeper and waits until its computer is up; false if another keeper has the folder.
fn launch(spec: &ComputerSpec) -> Result<bool> {
    if !spec.keeper.is_file() {
        return Err(Error::KeeperMissing { path: spec.keeper.clone() });
    }
    if spec.egress && !spec.build.driver.has_way_out() {
        return Err(Error::Launch {
            reason: format!("the driver {} makes no way out to the network", spec.build.driver),
            hint: "take the driver native (THENAR_COMPUTER, or `driver` under [computer] in config.toml)".to_owned(),
        });
    }
    let failed = |source| Error::io(format!("start {}", spec.keeper.display()))(source);
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(spec.dir.join("keeper.log"));
    let order = serde_json::to_vec(spec).map_err(|error| failed(error.into()))?;
    #[expect(clippy::disallowed_methods, reason = "the one place where a computer's keeper is started")]
    let mut command = Command::new(&spec.keeper);
    command
        .arg0("thenar-keeper")
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let mut told = Vec::new();
    let talked = || -> io::Result<()> {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&order)?;
        }
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_end(&mut told)?;
        }
        Ok(())
    };
    let talked = { talked }();
    // The process we started only sends the keeper into a session of its own, and leaves.
    let left = child.wait();
    talked.and(left.map(drop)).map_err(failed)?;
    match serde_json::from_slice(&told) {
        Ok(Started::Ready) => Ok(true),
        Ok(Started::Busy) => Ok(false),
        Ok(Started::Launch { reason, hint }) => Err(Error::Launch { reason, hint }),
        Ok(Started::Workspace { path, reason }) => Err(Error::Workspace { path, reason }),
        Err(_) => Err(Error::Launch {
            reason: "the keeper ended without a word".to_owned(),
            hint: format!("look at {}", spec.dir.join("keeper.log").display()),
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "another process holds the folder; there is nothing of ours to wait on")]
fn pause() {
    std::thread::sleep(BUSY_PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn a_keeper_on_its_way_out_does_not_have_the_call_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        record::prepare(dir).unwrap();
        Ledger::open(dir, 0).unwrap().write_order("e1", false).unwrap();
        let lock = record::lock(dir).unwrap().expect("nobody else has it");
        let listener = wire::listen(dir).unwrap();
        let told = std::thread::scope(|scope| {
            // Connections close unanswered, and the lock is let go last.
            scope.spawn(move || {
                for _ in 0..3 {
                    drop(listener.accept().unwrap());
                }
                drop(listener);
                drop(lock);
            });
            recorded(dir, "e1").unwrap()
        });
        assert_eq!(told, Recorded::Lost);
    }
}
