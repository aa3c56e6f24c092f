//! PID 1 of a browser's box: it locks itself in, starts the browser, reaps, and ends with it. It takes no orders.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::process::{Signal, WaitOptions};

use crate::launch::browser::{ANSWERS_FD, COMMANDS_FD, ERRORS_FD, ORDER_FD, Order};
use crate::launch::{Box, filter_calls, lock_files, prove};
use crate::sys::{self, Forked};

/// What the browser finds in its environment.
const ENVIRONMENT: &[&CStr] = &[
    c"FONTCONFIG_PATH=/etc/fonts",
    c"HOME=/profile",
    c"LANG=C.UTF-8",
    c"LOGNAME=agent",
    c"PATH=/usr/bin:/bin",
    c"TMPDIR=/tmp",
    c"USER=agent",
    c"XDG_CACHE_HOME=/profile/cache",
    c"XDG_CONFIG_HOME=/profile/config",
];
/// Pages step back a little behind the processes that control them.
const NICENESS: i32 = 5;

/// Runs as PID 1 until the browser is over.
pub(crate) fn main() -> ExitCode {
    let _ = rustix::thread::set_name(c"thenar-browser");
    let [commands, answers, errors, order] = [COMMANDS_FD, ANSWERS_FD, ERRORS_FD, ORDER_FD].map(sys::inherited);
    let run = || -> io::Result<()> {
        sys::dumpable(false)?;
        sys::close_from(ORDER_FD.cast_unsigned() + 1)?;
        rustix::process::chdir("/tmp")?;
        lock_files(Box::Browser).map_err(io::Error::other)?;
        filter_calls(Box::Browser)?;
        prove()?;
        let mut text = Vec::new();
        let mut order = File::from(order);
        order.seek(SeekFrom::Start(0))?;
        order.read_to_end(&mut text)?;
        drop(order);
        let order: Order = serde_json::from_slice(&text)?;
        match sys::fork()? {
            Forked::Parent(browser) => {
                // Its pipes are its own now: when it closes them, whoever is at their other ends knows.
                drop((commands, answers, errors));
                wait_for(browser)
            }
            Forked::Child => {
                let error = become_browser(&order, &commands, &answers, &errors);
                let _ =
                    io::Write::write_all(&mut File::from(errors), format!("start the browser: {error}\n").as_bytes());
                sys::exit_now(1)
            }
        }
    };
    match { run }() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn become_browser(order: &Order, commands: &OwnedFd, answers: &OwnedFd, errors: &OwnedFd) -> io::Error {
    let start = || -> io::Result<std::convert::Infallible> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::setsid()?;
        sys::be_nice(NICENESS);
        sys::default_signals();
        rustix::stdio::dup2_stderr(errors)?;
        rustix::io::fcntl_setfd(errors, rustix::io::FdFlags::CLOEXEC)?;
        sys::place(commands.as_fd(), COMMANDS_FD)?;
        sys::place(answers.as_fd(), ANSWERS_FD)?;
        let argv: Vec<CString> = order.argv.iter().map(|text| CString::new(text.as_str())).collect::<Result<_, _>>()?;
        let Some(program) = argv.first() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let argv: Vec<&CStr> = argv.iter().map(CString::as_c_str).collect();
        Err(sys::exec_path(program, &argv, ENVIRONMENT))
    };
    match { start }() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// Reaps whatever dies until the browser itself has.
fn wait_for(browser: rustix::process::Pid) -> io::Result<()> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, _))) if pid == browser => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
