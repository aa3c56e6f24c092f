//! The watcher of one call: leader of its session, parent of its command, adopter of what the command leaves behind. It reads no output and enforces no time.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions};

use super::control::{self, Report};
use super::files;
use crate::request::{Exit, Request};
use crate::sys::{self, Forked};

/// What every command finds in its environment; the specification and the request come over it.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("GIT_PAGER", "cat"),
    ("HOME", "/home/agent"),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", "agent"),
    ("MPLCONFIGDIR", "/home/agent/.config/matplotlib"),
    ("NO_COLOR", "1"),
    ("PAGER", "cat"),
    ("PATH", "/opt/thenar/toolset/bin:/usr/local/bin:/usr/bin:/bin"),
    ("PYTHONPATH", "/opt/thenar/toolset/site"),
    ("SHELL", "/bin/bash"),
    ("TERM", "dumb"),
    ("TMPDIR", "/tmp"),
    ("USER", "agent"),
];
/// A terminal's shell. It reads no files of its own, takes an exclamation mark for one, and marks where a command's output
/// begins and ends (see `keeper::marks`), and where it waits for the rest of a command. The end is told before the prompt, whatever became of the output, and in it; of
/// these two whichever is left puts the other marks back that a command took away. Shells that it starts do the same.
const TERMINAL_SHELL: [&str; 5] = ["bash", "--noprofile", "--norc", "+H", "-i"];
const TERMINAL_ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", ""),
    (
        "PROMPT_COMMAND",
        r#"printf '\e]133;D;%s\a' "$?" >/dev/tty
case ${PS1-} in *'133;D'*'133;B'*) ;; *) PS1='\[\e]133;D;$?;shown\a\]'"${PS1-}"'\[\e]133;B\a\]';; esac
case ${PS0-} in *'133;C'*) ;; *) PS0="${PS0-}"'\e]133;C\a';; esac
case ${PS2-} in *'133;A;k=s'*) ;; *) PS2='\[\e]133;A;k=s\a\]'"${PS2-}";; esac"#,
    ),
    ("PS0", r"\e]133;C\a"),
    ("PS1", r"\[\e]133;D;$?;shown\a\]\[\e[32m\]\w\[\e[m\] $ \[\e]133;B\a\]"),
    ("PS2", r"\[\e]133;A;k=s\a\]> "),
    ("TERM", "xterm-256color"),
];
/// What shells say when a program is not there, and when it cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;
/// When the computer itself could not do it.
const NOT_DONE: i32 = 125;
/// The code of a watcher that has told all there is: PID 1 need not tell that it is gone.
pub(super) const ALL_TOLD: i32 = 9;
/// Commands step back a little behind the processes that control them.
const NICENESS: i32 = 5;

/// What a watcher goes on after. A file that may not grow is an error to be told, not the end.
const IGNORED: &[i32] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGPIPE,
    libc::SIGTTOU,
    libc::SIGXFSZ,
];

/// The inner ends of a call's output and terminal.
pub(super) struct Ends {
    pub(super) output: OwnedFd,
    pub(super) terminal: Option<OwnedFd>,
}

/// Does the request and watches until nothing of it is left. The end of this process is the end of the call.
pub(super) fn watch(control: &OwnedFd, call: &str, sheet: Sheet, ends: Ends) -> ! {
    let _ = rustix::thread::set_name(c"thenar-call");
    sys::default_signals();
    for signal in IGNORED {
        sys::ignore_signal(*signal);
    }
    let exited = |exit: Exit, alone: bool| {
        control::send(control, &Report::Exited { call: call.to_owned(), exit, alone }, &[]).is_ok() && alone
    };
    let all_told = match sheet.read() {
        Ok(Request::File(op)) => {
            let (answer, code) = files::perform(&op);
            let mut output = File::from(ends.output);
            let _ = output.write_all(&serde_json::to_vec(&answer).unwrap_or_default());
            drop(output);
            exited(Exit::Code(code), true)
        }
        Ok(Request::Exec { argv, cwd, env }) => match start(&argv, cwd.as_deref(), &env, ends) {
            Ok(leader) => wait(leader, exited),
            Err(_) => exited(Exit::Code(NOT_DONE), true),
        },
        Ok(Request::Terminal { cwd, env, .. }) => {
            let env =
                TERMINAL_ENVIRONMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(env);
            match start(&TERMINAL_SHELL.map(str::to_owned), cwd.as_deref(), &env.collect(), ends) {
                Ok(leader) => wait(leader, exited),
                Err(_) => exited(Exit::Code(NOT_DONE), true),
            }
        }
        Err(_) => exited(Exit::Code(NOT_DONE), true),
    };
    sys::exit_now(if all_told { ALL_TOLD } else { 0 })
}

/// A request on its way to the process that does it.
pub(super) enum Sheet {
    Here(Request),
    File(File),
}

impl Sheet {
    fn read(self) -> io::Result<Request> {
        match self {
            Self::Here(request) => Ok(request),
            Self::File(mut file) => {
                let mut body = Vec::new();
                file.seek(SeekFrom::Start(0))?;
                file.read_to_end(&mut body)?;
                Ok(serde_json::from_slice(&body)?)
            }
        }
    }
}

/// Reaps until no child is left, own or adopted. True if the end of all is told with the end of the command itself.
fn wait(leader: Pid, exited: impl Fn(Exit, bool) -> bool) -> bool {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == leader => {
                let exit = status.exit_status().map(Exit::Code);
                let exit = exit.or(status.terminating_signal().map(Exit::Signal)).unwrap_or(Exit::Code(NOT_DONE));
                if exited(exit, is_alone()) {
                    return true;
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Whether no child is left; those that are dead already are collected.
fn is_alone() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn start(argv: &[String], cwd: Option<&str>, env: &BTreeMap<String, String>, ends: Ends) -> io::Result<Pid> {
    sys::adopt_orphans()?;
    rustix::process::setsid()?;
    if let Some(terminal) = &ends.terminal {
        sys::take_terminal(terminal.as_fd())?;
    }
    match sys::fork()? {
        Forked::Parent(leader) => Ok(leader),
        Forked::Child => {
            let code = match become_command(argv, cwd, env, &ends) {
                Ok(never) => match never {},
                Err((code, text)) => {
                    let _ = File::from(ends.output).write_all(format!("{text}\n").as_bytes());
                    code
                }
            };
            sys::exit_now(code)
        }
    }
}

fn become_command(
    argv: &[String],
    cwd: Option<&str>,
    env: &BTreeMap<String, String>,
    ends: &Ends,
) -> Result<std::convert::Infallible, (i32, String)> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| (NOT_DONE, format!("thenar: {what}: {error}"))
    };
    let own_group = || -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::setpgid(None, None)?;
        if let Some(terminal) = &ends.terminal {
            rustix::termios::tcsetpgrp(terminal, rustix::process::getpid())?;
            rustix::stdio::dup2_stdin(terminal)?;
        }
        rustix::stdio::dup2_stdout(&ends.output)?;
        rustix::stdio::dup2_stderr(&ends.output)?;
        crate::launch::lower_for_command()?;
        sys::close_number(crate::launch::CONTROL_FD);
        // A kernel that does not let us say so ends what it likes.
        let _ = crate::launch::go_first();
        Ok(())
    };
    own_group().map_err(failed("set the command up"))?;
    let cwd = cwd.unwrap_or("/workspace");
    rustix::process::chdir(cwd).map_err(|error| (NOT_RUNNABLE, format!("thenar: go to {cwd}: {error}")))?;
    sys::be_nice(NICENESS);
    sys::default_signals();
    let mut all: BTreeMap<&str, &str> = ENVIRONMENT.iter().copied().collect();
    all.extend(env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.insert("PWD", cwd);
    let lines = all.iter().map(|(name, value)| format!("{name}={value}"));
    let text =
        |text: String| CString::new(text).map_err(|_| (NOT_RUNNABLE, "thenar: a zero byte in the command".to_owned()));
    let env: Vec<CString> = lines.map(text).collect::<Result<_, _>>()?;
    let argv: Vec<CString> = argv.iter().cloned().map(text).collect::<Result<_, _>>()?;
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err((NOT_RUNNABLE, "thenar: the command is empty".to_owned()));
    };
    let argv: Vec<&CStr> = argv.iter().map(CString::as_c_str).collect();
    let env: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();
    let error = search_and_exec(name, all.get("PATH").copied().unwrap_or_default(), &argv, &env);
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE };
    let reason = match error.raw_os_error() {
        Some(libc::E2BIG) => "its arguments are too long".to_owned(),
        Some(libc::ENOENT) => "not found".to_owned(),
        _ => error.to_string(),
    };
    Err((code, format!("thenar: run {}: {reason}", name.to_string_lossy())))
}

/// Tries the places of `PATH` in order, as a shell does.
fn search_and_exec(name: &CStr, path: &str, argv: &[&CStr], env: &[&CStr]) -> io::Error {
    if name.to_bytes().contains(&b'/') {
        return sys::exec_path(name, argv, env);
    }
    let mut refused = io::Error::from_raw_os_error(libc::ENOENT);
    for folder in path.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let Ok(place) = CString::new([folder.as_bytes(), b"/", name.to_bytes()].concat()) else { continue };
        let error = sys::exec_path(&place, argv, env);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => refused = error,
            _ => return error,
        }
    }
    refused
}
