//! `thenar-init`, PID 1 inside: it forks what the keeper orders, hands the output's other end out, and reaps. It decides nothing and dies with its keeper.

pub(crate) mod browser;
mod command;
pub(crate) mod control;
mod files;
mod search;
mod tree;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::pty::OpenptFlags;
use rustix::termios::Termios;

use crate::driver::SecondLock;
use crate::launch::{Box, CONTROL_FD, SCRATCH, filter_calls, lock_files, prove};
use crate::sys::{self, Forked};
use crate::terminal::Size;
use command::Sheet;
use control::{Ends, Order, Report};

/// Size of the pipe for output: the larger, the fewer turns for a flood.
const PIPE_BYTES: usize = 256 * 1024;
/// The terminal that a command's input comes from.
const INPUT_SIZE: Size = Size { columns: 120, lines: 40 };

/// Each command has one for its input.
const NO_TERMINAL_LEFT: &str = "all terminals of this computer are taken: end the program that has them";

/// One call at work: the process of ours that watches over it.
struct Call {
    watcher: Pid,
    ends: Ends,
    /// Its end was insisted on before.
    insisted: bool,
}

/// Runs as PID 1 until the keeper is gone.
pub(crate) fn main(second_lock: SecondLock) -> ExitCode {
    // Nothing else runs yet. Failures end the computer, and the keeper says that it did not come up.
    let _ = rustix::thread::set_name(c"thenar-init");
    let control = sys::inherited(CONTROL_FD);
    let ready = sys::dumpable(false)
        .and_then(|()| sys::close_from(CONTROL_FD.cast_unsigned() + 1))
        .and_then(|()| Ok(rustix::process::chdir("/workspace")?))
        .and_then(|()| Ok(rustix::io::fcntl_setfd(&control, rustix::io::FdFlags::CLOEXEC)?))
        .and_then(|()| match second_lock {
            SecondLock::WhereKnown => lock_files(Box::Shell).map_err(io::Error::other),
            SecondLock::Off => Ok(false),
        })
        .and_then(|locked| filter_calls(Box::Shell).map(|()| locked))
        .and_then(|locked| prove().map(|()| locked))
        .and_then(|locked| Ok((sys::child_signals()?, locked)))
        .and_then(|(signals, second_lock)| {
            let scratch = open_scratch()?;
            let scratch: Vec<_> = scratch.iter().map(OwnedFd::as_fd).collect();
            control::send(&control, &Report::Ready { second_lock }, &scratch).map(|()| signals)
        });
    match ready.and_then(|signals| serve(&control, signals)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The folders in memory, by descriptors that tell their room and nothing else.
fn open_scratch() -> io::Result<Vec<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    SCRATCH.iter().map(|place| Ok(rustix::fs::open(*place, flags, Mode::empty())?)).collect()
}

fn serve(control: &OwnedFd, signals: OwnedFd) -> io::Result<()> {
    let mut calls: HashMap<String, Call> = HashMap::new();
    loop {
        let mut sources = [PollFd::new(control, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match rustix::event::poll(&mut sources, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let (ordered, ended) = (!sources[0].revents().is_empty(), !sources[1].revents().is_empty());
        if ended {
            reap(control, &signals, &mut calls);
        }
        if ordered {
            let Some((order, descriptors)) = control::receive(control)? else { return Ok(()) };
            obey(control, order, descriptors, &mut calls);
        }
    }
}

fn obey(control: &OwnedFd, order: Order, mut descriptors: Vec<OwnedFd>, calls: &mut HashMap<String, Call>) {
    match order {
        Order::Run { call, ends, full, request } => {
            let file = || descriptors.pop().map(|file| Sheet::File(File::from(file)));
            let Some(sheet) = request.map(Sheet::Here).or_else(file) else { return };
            match run(control, &call, sheet, (ends, full)) {
                Ok(watcher) => {
                    calls.insert(call, Call { watcher, ends, insisted: false });
                }
                Err(error) => {
                    let crowded = error.raw_os_error() == Some(libc::EAGAIN);
                    let words = || "as many processes run as may at one time".to_owned();
                    let reason = if crowded { words() } else { error.to_string() };
                    let _ = control::send(control, &Report::Failed { call, reason, crowded }, &[]);
                }
            }
        }
        Order::Ask { call } => {
            if let Some(known) = calls.get(&call) {
                // An interactive shell only goes when it is hung up on.
                tree::ask(known.watcher, matches!(known.ends, Ends::Terminal(_)));
            }
        }
        Order::Insist { call } => {
            if let Some(known) = calls.get_mut(&call) {
                tree::end(known.watcher);
                // One that does the work itself; or that has nothing left to wait for and does not say so: a program of the same
                // user's stops it again and again.
                let is_stuck = known.insisted && tree::is_bare(known.watcher);
                if matches!(known.ends, Ends::Pipe) || is_stuck {
                    let _ = rustix::process::kill_process(known.watcher, Signal::KILL);
                }
                known.insisted = true;
            }
        }
    }
}

/// Collects every dead child and tells of the calls that are gone with them. Commands are of the same user as their watchers and can
/// end them: what such a one watched over ends with it. One that they stop goes on.
fn reap(control: &OwnedFd, signals: &OwnedFd, calls: &mut HashMap<String, Call>) {
    let mut drain = [0_u8; 1024];
    while rustix::io::read(signals, &mut drain).is_ok_and(|bytes| bytes > 0) {}
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
        let Some(call) = calls.iter().find(|(_, call)| call.watcher == pid).map(|(id, _)| id.clone()) else { continue };
        if status.stopped() {
            let _ = rustix::process::kill_process(pid, Signal::CONT);
            continue;
        }
        calls.remove(&call);
        if status.exit_status() == Some(command::ALL_TOLD) {
            continue;
        }
        if status.terminating_signal().is_some() {
            tree::end_unwatched(&calls.values().map(|call| call.watcher).collect::<Vec<_>>());
        }
        let _ = control::send(control, &Report::Gone { call }, &[]);
    }
}

/// Forks the watcher of a call, with a pipe and a terminal made here, so that the computer's user owns them.
fn run(control: &OwnedFd, call: &str, sheet: Sheet, (ends, full): (Ends, bool)) -> io::Result<Pid> {
    let pair = match ends {
        Ends::Pipe => None,
        Ends::PipeAndTerminal => Some(open_terminal(INPUT_SIZE, as_input)?),
        Ends::Terminal(size) => Some(open_terminal(size, as_screen)?),
    };
    let (output, input) = match (ends, &pair) {
        (Ends::Terminal(_), Some((_, slave))) => (None, slave.try_clone()?),
        _ => {
            let (output, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            // A refusal leaves the usual size.
            let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
            (Some(output), input)
        }
    };
    // Before the fork: the report of a quick call must not overtake the way to its output.
    let out: Vec<_> = output.iter().chain(pair.as_ref().map(|(master, _)| master)).map(OwnedFd::as_fd).collect();
    control::send(control, &Report::Started { call: call.to_owned() }, &out)?;
    match sys::fork()? {
        Forked::Parent(watcher) => Ok(watcher),
        Forked::Child => {
            drop(output);
            let slave = pair.map(|(_master, slave)| slave);
            if full {
                // What cannot be refused what it may not have would not be told so either.
                let _ = crate::launch::write_nothing();
            }
            command::watch(control, call, sheet, command::Ends { output: input, terminal: slave })
        }
    }
}

/// A terminal of this computer: its master for the keeper, its other side for the command.
fn open_terminal(size: Size, set: fn(&mut Termios)) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).map_err(|error| match error {
        // Which is also what a computer says that may have no more processes.
        rustix::io::Errno::AGAIN | rustix::io::Errno::NOSPC => io::Error::other(NO_TERMINAL_LEFT),
        error => error.into(),
    })?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    let size = rustix::termios::Winsize { ws_row: size.lines, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size)?;
    let mut mode = rustix::termios::tcgetattr(&slave)?;
    set(&mut mode);
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &mode)?;
    Ok((master, slave))
}

/// What is typed appears in the record with plain line ends, like everything else there.
fn as_input(mode: &mut Termios) {
    mode.output_modes.remove(rustix::termios::OutputModes::ONLCR);
    mode.local_modes.remove(rustix::termios::LocalModes::ECHOCTL);
}

/// As the system makes them, but that a rubbed out character is one in this encoding.
fn as_screen(mode: &mut Termios) {
    mode.input_modes.insert(rustix::termios::InputModes::IUTF8);
}
