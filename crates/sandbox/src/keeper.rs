//! `thenar-keeper`: the process outside that outlives its caller. It makes the box, answers on the socket, holds the deadline, and leaves when nothing needs it. It runs nothing itself and reads no output but to put it away.

mod aside;
mod brim;
mod browser;
mod call;
mod connection;
mod groupless;
mod marks;
mod outlets;
mod overheard;
mod room;
mod screen;
mod standing;
mod table;
mod warden;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use crate::group::Group;
use crate::init::control::{self, Report};
use crate::launch::{self, Failure, Launched};
use crate::ledger::Ledger;
use crate::sys::{self, Forked};
use crate::wire::{self, Answer, Ask, Started};
use crate::{ComputerSpec, init, record};
use connection::Connection;
use outlets::Outlets;
use table::Table;
use warden::Warden;

/// How long PID 1 may take to report.
const READY_WAIT: Duration = Duration::from_secs(20);
/// Callers at one time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How often it is looked whether the computer's folder is still there.
const FOLDER_LOOK: Duration = Duration::from_secs(5);
/// How long the last processes of a box are waited for.
const END_WAIT: Duration = Duration::from_millis(700);

/// Runs this program in the role that its name and place ask for.
pub fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if rustix::process::getpid().is_init() {
        if let Some(second_lock) = launch::locks_of(&name) {
            return init::main(second_lock);
        }
        if std::env::args_os().nth(1).is_some_and(|role| role == launch::bwrap::ROLE) {
            return launch::bwrap::go_on();
        }
        if name == "thenar-browser" {
            return init::browser::main();
        }
    }
    match keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "thenar-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why the keeper stops keeping.
enum End {
    /// Somebody asked for it.
    Shutdown,
    /// The time is over.
    Deadline,
    /// Nobody used it.
    Idle,
    /// PID 1 died.
    Died,
}

fn keep() -> io::Result<()> {
    sys::close_from(3)?;
    sys::one_heap();
    rustix::thread::set_name(c"thenar-keeper")?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    // A record that may not grow is an error to be dealt with, not the end.
    sys::ignore_signal(libc::SIGXFSZ);
    let mut order = Vec::new();
    io::stdin().read_to_end(&mut order)?;
    let spec: ComputerSpec = serde_json::from_slice(&order)?;
    drop(order);
    // A session of its own, and no parent that would have to collect it.
    if let Forked::Parent(_) = sys::fork()? {
        sys::exit_now(0);
    }
    rustix::process::setsid()?;
    let Some(_lock) = record::lock(&spec.dir)? else { return tell(&Started::Busy) };
    let Made { listener, ledger, launched, group, outlets, scratch } = match make(&spec) {
        Ok(made) => made,
        Err(Failure::Launch { reason, hint }) => return tell(&Started::Launch { reason, hint }),
        Err(Failure::Workspace { path, reason }) => return tell(&Started::Workspace { path, reason }),
    };
    tell(&Started::Ready)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    drop(null);
    sys::trim_memory();
    let warden = Warden::new(&spec, group, (launched.init.as_raw_nonzero().get(), scratch));
    let mut keeper = Keeper {
        table: Table::new(&spec, ledger, launched.control, warden),
        browsers: browser::Browsers::new(&spec, launched.shared),
        outlets,
        deadline_unix_ms: spec.deadline_unix_ms,
        idle: Duration::from_millis(spec.limits.idle_ms),
        init_fd: launched.init_fd,
        listener,
        connections: Vec::new(),
        used: Instant::now(),
        socket: spec.dir.join(wire::SOCKET),
        looked: Instant::now(),
    };
    let end = keeper.serve()?;
    keeper.leave(&spec, &end)
}

/// The caller waits for this and then no longer: that it may be gone is no fault.
fn tell(started: &Started) -> io::Result<()> {
    let _ = io::stdout().write_all(&serde_json::to_vec(started)?);
    let _ = io::stdout().flush();
    Ok(())
}

/// A computer that is ready.
struct Made {
    listener: UnixListener,
    ledger: Ledger,
    launched: Launched,
    group: Group,
    outlets: Outlets,
    /// Its folders in memory.
    scratch: Vec<OwnedFd>,
}

fn make(spec: &ComputerSpec) -> Result<Made, Failure> {
    let writing = |step: &'static str| Failure::writing(step, &spec.dir);
    record::prepare(&spec.dir).map_err(writing("make the computer's folder"))?;
    let program = launch::own_program().map_err(Failure::at("open the keeper's own program"))?;
    crate::group::settle();
    let mut group = Group::make(&spec.limits);
    let launched = launch::launch(spec, &program, &mut group)?;
    // While PID 1 makes itself ready; nothing runs in there before.
    let outlets = match launched.shared.as_ref().filter(|_| spec.egress) {
        Some(shared) => Outlets::new(launch::listeners::make(shared)?),
        None => Outlets::none(),
    };
    let ledger = Ledger::open(&spec.dir, call::now_ms()).map_err(writing("read the ledger of earlier calls"))?;
    let listener = wire::listen(&spec.dir).map_err(writing("make the computer's socket"))?;
    listener.set_nonblocking(true).map_err(Failure::at("make the computer's socket"))?;
    let ready = wait_until_ready(launched.control.as_fd()).map_err(Failure::at("wait for PID 1"))?;
    let (second_lock, scratch) = ready;
    group.holds.second_lock = second_lock;
    group.holds.driver = spec.build.driver;
    group.holds.write(&spec.dir).map_err(writing("write down what the computer is"))?;
    Ok(Made { listener, ledger, launched, group, outlets, scratch })
}

/// Whether the second lock on files is on, and the folders in memory.
fn wait_until_ready(control: BorrowedFd<'_>) -> io::Result<(bool, Vec<OwnedFd>)> {
    let mut source = [PollFd::from_borrowed_fd(control, PollFlags::IN)];
    if rustix::event::poll(&mut source, Some(&timespec(READY_WAIT)))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    match control::receive::<Report>(control)? {
        Some((Report::Ready { second_lock }, scratch)) => Ok((second_lock, scratch)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

struct Keeper {
    table: Table,
    browsers: browser::Browsers,
    outlets: Outlets,
    deadline_unix_ms: Option<u64>,
    idle: Duration,
    init_fd: OwnedFd,
    listener: UnixListener,
    connections: Vec<Connection>,
    /// When the last call ended, or the computer was made. Being asked is no use: watchers ask all the time.
    used: Instant,
    socket: PathBuf,
    /// When the socket was last seen there.
    looked: Instant,
}

/// What a source that became ready belongs to.
#[derive(Clone)]
enum Source {
    Listener,
    Control,
    Init,
    Warden,
    Connection(usize),
    Call(String),
    Browser,
    Outlets,
}

impl Keeper {
    fn serve(&mut self) -> io::Result<End> {
        loop {
            if self.deadline_unix_ms.is_some_and(|deadline| call::now_ms() >= deadline) {
                return Ok(End::Deadline);
            }
            if self.table.is_busy() {
                self.used = Instant::now();
            } else if self.used.elapsed() >= self.idle && self.connections.iter().all(Connection::is_looking) {
                return Ok(End::Idle);
            }
            if self.looked.elapsed() >= FOLDER_LOOK {
                self.looked = Instant::now();
                if !self.socket.exists() {
                    // Nobody can reach it or read what it would write.
                    return Ok(End::Idle);
                }
            }
            let ready = self.poll()?;
            self.table.sync();
            self.table.look();
            self.table.insist();
            // Reports come before output: what a report announces may then be read in the same turn.
            let mut died = false;
            for source in &ready {
                match source {
                    Source::Control => died |= !self.table.reports()?,
                    Source::Init => died = true,
                    Source::Listener | Source::Warden | Source::Connection(_) => {}
                    Source::Call(_) | Source::Browser | Source::Outlets => {}
                }
            }
            if self.browsers.pump() {
                self.used = Instant::now();
            }
            self.outlets.look();
            for source in &ready {
                if let Source::Call(call) = source {
                    self.table.pump(call);
                }
            }
            if died {
                return Ok(End::Died);
            }
            if self.talk(&ready)? {
                return Ok(End::Shutdown);
            }
        }
    }

    /// Waits for something to happen, or for the next moment at which something is due.
    fn poll(&self) -> io::Result<Vec<Source>> {
        let mut sources = vec![(Source::Control, PollFlags::IN), (Source::Init, PollFlags::IN)];
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.table.control(), PollFlags::IN),
            PollFd::new(&self.init_fd, PollFlags::IN),
        ];
        for looked in self.table.warden_sources() {
            sources.push((Source::Warden, PollFlags::IN));
            fds.push(PollFd::from_borrowed_fd(looked, PollFlags::IN));
        }
        if self.connections.len() < CONNECTIONS_MAX {
            sources.push((Source::Listener, PollFlags::IN));
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        for (index, connection) in self.connections.iter().enumerate() {
            sources.push((Source::Connection(index), PollFlags::IN));
            fds.push(PollFd::new(connection.stream(), PollFlags::IN));
        }
        for (call, fd, flags) in self.table.sources() {
            sources.push((Source::Call(call.to_owned()), flags));
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        for (fd, flags) in self.browsers.sources() {
            sources.push((Source::Browser, flags));
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        for (fd, flags) in self.outlets.sources() {
            sources.push((Source::Outlets, flags));
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        match rustix::event::poll(&mut fds, Some(&timespec(self.patience()))) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let happened = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(sources.into_iter().zip(happened).filter(|(_, happened)| *happened).map(|((source, _), _)| source).collect())
    }

    fn patience(&self) -> Duration {
        let mut wait = self.idle.saturating_sub(self.used.elapsed()).min(FOLDER_LOOK);
        if wait.is_zero() && !self.connections.iter().all(Connection::is_looking) {
            // Time to rest, but for somebody who is still being heard or answered: that wakes it.
            wait = FOLDER_LOOK;
        }
        if let Some(deadline) = self.deadline_unix_ms {
            wait = wait.min(Duration::from_millis(deadline.saturating_sub(call::now_ms())));
        }
        let due =
            self.connections.iter().filter_map(Connection::due).chain(self.table.due()).chain(self.browsers.due());
        let due = due.chain(self.outlets.due());
        due.map(|due| due.saturating_duration_since(Instant::now())).fold(wait, Duration::min)
    }

    /// Takes questions and answers those that can be answered. True if somebody asked for the end.
    fn talk(&mut self, ready: &[Source]) -> io::Result<bool> {
        let mut shutdown = false;
        for source in ready {
            if let Source::Connection(index) = source {
                shutdown |= self.hear(*index);
            }
        }
        self.answer_waits();
        if ready.iter().any(|source| matches!(source, Source::Listener)) {
            loop {
                match self.listener.accept() {
                    Ok((stream, _)) if self.connections.len() < CONNECTIONS_MAX => {
                        let Some(connection) = Connection::new(stream) else { continue };
                        self.connections.push(connection);
                        // Mostly the question is there already, and no further turn is needed to hear it.
                        shutdown |= self.hear(self.connections.len() - 1);
                    }
                    Ok(_) => break,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Out of descriptors or memory for the moment: those who wait are served first.
                    Err(_) => break,
                }
            }
            self.answer_waits();
        }
        Ok(shutdown)
    }

    /// Hears a caller out and does what is asked, once it is asked whole. True if it is the end.
    fn hear(&mut self, index: usize) -> bool {
        let Some(connection) = self.connections.get_mut(index) else { return false };
        match connection.read() {
            None => false,
            Some(Ask::Browser { living: true, .. }) if !self.browsers.lives() => {
                connection.answer(&Answer::Done);
                false
            }
            Some(Ask::Browser { which, .. }) => {
                // The box is made by a fork, for which there must be one thread only.
                self.table.sync_and_wait();
                self.browsers.connect(which, connection);
                self.used = Instant::now();
                false
            }
            Some(Ask::Egress) => {
                self.outlets.lend(connection);
                false
            }
            Some(Ask::Deadline { unix_ms }) => {
                self.deadline_unix_ms = unix_ms;
                connection.answer(&Answer::Done);
                false
            }
            Some(Ask::BrowserLimits) => {
                connection.answer(&Answer::Limits(self.browsers.met()));
                false
            }
            Some(Ask::EndBrowser) => {
                self.browsers.end();
                connection.answer(&Answer::Done);
                false
            }
            Some(ask) => {
                let shutdown = matches!(ask, Ask::Shutdown);
                connection.take(ask, &mut self.table);
                shutdown
            }
        }
    }

    fn answer_waits(&mut self) {
        for connection in &mut self.connections {
            connection.answer_wait(&mut self.table);
        }
        self.connections.retain(|connection| !connection.is_over());
    }

    /// Ends everything inside, writes down what became of it, and answers those who wait.
    fn leave(mut self, spec: &ComputerSpec, end: &End) -> io::Result<()> {
        let _ = std::fs::remove_file(spec.dir.join(wire::SOCKET));
        self.browsers.end();
        let _ = rustix::process::pidfd_send_signal(&self.init_fd, Signal::KILL);
        let mut source = [PollFd::new(&self.init_fd, PollFlags::IN)];
        let _ = rustix::event::poll(&mut source, Some(&timespec(END_WAIT)));
        let _ = self.table.reports();
        match end {
            End::Died => self.table.end_all(crate::Exit::Died, None),
            End::Deadline => self.table.end_all(crate::Exit::Signal(libc::SIGKILL), Some(&crate::Met::Time)),
            End::Shutdown | End::Idle => self.table.end_all(crate::Exit::Signal(libc::SIGKILL), None),
        }
        // Until now the groups are asked which limits were met.
        self.table.leave();
        for connection in &mut self.connections {
            connection.answer_wait(&mut self.table);
            connection.answer(&Answer::Done);
        }
        drop(self.connections);
        self.table.sync_and_wait();
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up to the next millisecond: waking a moment too early would only mean to wait once more.
    let duration = duration.saturating_add(Duration::from_micros(999));
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_millis()) * 1_000_000,
    }
}
