//! Makes the box: namespaces, owners, root, locks, and PID 1 in it. It runs nothing for the agent and keeps nothing open afterwards.

pub(crate) mod browser;
pub(crate) mod bwrap;
mod inside;
pub(crate) mod listeners;
mod lockdown;
mod mounts;
mod owner;
mod workspace;

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Pid;

use crate::confinement::Hold;
use crate::driver::{Driver, SecondLock};
use crate::group::{Group, In};
use crate::spec::ComputerSpec;
use crate::sys::{self, Forked};
use owner::Owner;

pub(crate) use inside::CONTROL_FD;
pub(crate) use lockdown::{
    Box, INIT_PROCESSES, filter_calls, go_first, lock_files, lock_files_but, lower_for_command, prove, write_nothing,
};
pub use workspace::lendable;

/// What PID 1 is told on its way: its user is mapped, its control groups are joined. One byte each.
const MAPPED: &[u8] = b"m";
const GROUPED: &[u8] = b"g";
/// What a process says first of all: whether it is in the control groups that it can enter by itself.
const ENTERED: u8 = b'e';
const NOT_ENTERED: u8 = b'n';

/// The folders in memory that commands can write.
pub(crate) const SCRATCH: [&str; 3] = ["/tmp", "/home/agent", "/dev/shm"];

/// User and group that commands see themselves as.
pub(crate) const INSIDE_ID: u32 = 1000;

/// A box with its PID 1 at work.
pub(crate) struct Launched {
    /// PID 1, as the host numbers it.
    pub(crate) init: Pid,
    /// Becomes readable when PID 1 is dead.
    pub(crate) init_fd: OwnedFd,
    /// Orders and reports.
    pub(crate) control: OwnedFd,
    /// What another box of the same computer needs, where there can be one.
    pub(crate) shared: Option<Shared>,
}

/// What the two boxes of a computer have in common.
pub(crate) struct Shared {
    owner: Owner,
    /// The namespaces of the shell's box.
    users: OwnedFd,
    network: OwnedFd,
}

/// Why there is no box.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This machine or its configuration.
    Launch { reason: String, hint: String },
    /// The folder given.
    Workspace { path: std::path::PathBuf, reason: String },
}

impl Failure {
    /// At a step that makes namespaces, mounts or maps, or that only the kernel can refuse.
    pub(crate) fn at(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |error| Self::Launch { hint: hint(&error).to_owned(), reason: format!("{step}: {error}") }
    }

    /// At a step that makes or changes files below a folder of the machine's.
    pub(crate) fn writing(step: impl Into<String>, folder: &Path) -> impl FnOnce(io::Error) -> Self {
        let (step, folder) = (step.into(), folder.to_owned());
        move |error| Self::Launch { hint: hint_for_folder(&error, &folder), reason: format!("{step}: {error}") }
    }
}

/// What helps where a folder took no file: there the kernel's words mean what they say.
fn hint_for_folder(error: &io::Error, folder: &Path) -> String {
    let folder = folder.display();
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => format!("make room on the disk of {folder}, or take a place on another"),
        Some(libc::EPERM | libc::EACCES | libc::EROFS) => {
            format!("{folder} cannot be written by this user: let it, or take another place")
        }
        _ => String::new(),
    }
}

/// Not a disk is full, whatever the kernel's word for it says.
const NO_MORE_NAMESPACES: &str = "the kernel lets no more namespaces be made, whatever its word for it: raise the limits that \
    `sysctl -a 2>/dev/null | grep '^user.max_.*_namespaces'` shows, in a container those of the machine around it";

/// What usually helps against a refusal of the kernel.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "this machine does not let you make user namespaces: `thenar doctor` names the rule that forbids it and a fix to paste"
        }
        Some(libc::ENOSPC | libc::EUSERS) => NO_MORE_NAMESPACES,
        Some(libc::ENOSYS | libc::EINVAL) => "the kernel is too old or lacks a part: Linux 5.14 or newer is needed",
        Some(libc::EAGAIN) => "the limit of processes is reached: raise `ulimit -u` or end some",
        Some(libc::ENOMEM) => "the machine has no memory left",
        _ => "",
    }
}

/// Makes the box, in its control groups. `program` is the file of this program, which becomes PID 1.
pub(crate) fn launch(spec: &ComputerSpec, program: &File, group: &mut Group) -> Result<Launched, Failure> {
    let launched = match spec.build.driver {
        Driver::Native => launch_native(spec, program, group),
        Driver::Bwrap => bwrap::launch(spec, program, group),
    }?;
    // Where a group holds the memory, it ends what wants too much and says so; this limit would refuse it before and tell nobody.
    if group.holds.memory == Hold::Own {
        // Nothing of the agent's has run yet.
        lockdown::lower_data_of(launched.init, spec.limits.memory_bytes).map_err(Failure::at("limit the memory"))?;
    }
    Ok(launched)
}

/// The name of PID 1, which says which locks it puts on.
fn init_name(second_lock: SecondLock) -> &'static CStr {
    match second_lock {
        SecondLock::WhereKnown => c"thenar-init",
        SecondLock::Off => c"thenar-init-with-one-lock",
    }
}

/// The locks that PID 1 of this name puts on; nothing if it is no name of PID 1's.
pub(crate) fn locks_of(name: &OsStr) -> Option<SecondLock> {
    let all = [SecondLock::WhereKnown, SecondLock::Off];
    all.into_iter().find(|lock| name.as_encoded_bytes() == init_name(*lock).to_bytes())
}

fn launch_native(spec: &ComputerSpec, program: &File, group: &mut Group) -> Result<Launched, Failure> {
    let workspace = workspace::open(spec)?;
    let owner = Owner::of(spec, &workspace)?;
    let mut plan = mounts::Plan::new(spec, &workspace);
    if owner.is_root {
        // Only root may copy mounts here; everybody else does it inside, as the root of the new namespace.
        plan.detach().map_err(|(what, error)| Failure::at(format!("take hold of {what}"))(error))?;
        plan.workspace = Some(workspace::as_root(spec, workspace, &owner)?);
    }
    let (control, control_inside) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|error| Failure::at("make the control socket")(error.into()))?;
    let pipe = |step: &str| io::pipe().map_err(Failure::at(step.to_owned()));
    let (mut report, report_inside) = pipe("make the report pipe")?;
    let (go_inside, go) = pipe("make the start pipe")?;
    let mut born = group.birth().is_some();
    let cloned = sys::clone_into(sys::NAMESPACES, group.birth()).or_else(|_| {
        // A kernel or a delegation that knows no birth in a group: it is joined like the others.
        born = false;
        sys::clone_into(sys::NAMESPACES, None)
    });
    let (forked, init_fd) = cloned.map_err(Failure::at("make the namespaces"))?;
    match (forked, init_fd) {
        (Forked::Parent(init), Some(init_fd)) => {
            drop((control_inside, report_inside, go_inside));
            let started = owner
                .write_maps(init)
                .map_err(Failure::at("map the computer's user"))
                // Before PID 1 is one that nobody may look into.
                .and_then(|()| Shared::of(init, owner).map_err(Failure::at("take hold of the namespaces")))
                .and_then(|shared| (&go).write_all(MAPPED).map(|()| shared).map_err(Failure::at("start PID 1")))
                .and_then(|shared| {
                    group.join(init, In { born, entered: has_entered(&mut report) });
                    (&go).write_all(GROUPED).map(|()| shared).map_err(Failure::at("start PID 1"))
                })
                .and_then(|shared| wait_for_init(report).map(|()| shared));
            match started {
                Ok(shared) => Ok(Launched { init, init_fd, control, shared: Some(shared) }),
                Err(failure) => {
                    let _ = rustix::process::pidfd_send_signal(&init_fd, rustix::process::Signal::KILL);
                    let _ = rustix::process::waitpid(Some(init), rustix::process::WaitOptions::empty());
                    Err(failure)
                }
            }
        }
        _ => {
            drop((control, report, go));
            enter_and_say_so(group, &report_inside);
            let parts = inside::Parts { spec, owner: &owner, plan, program, control: control_inside, go: go_inside };
            let (step, error) = inside::become_init(parts);
            let told = serde_json::to_vec(&(step, error.raw_os_error().unwrap_or(libc::EIO)));
            let _ = (&report_inside).write_all(&told.unwrap_or_default());
            sys::exit_now(1)
        }
    }
}

impl Shared {
    fn of(process: Pid, owner: Owner) -> io::Result<Self> {
        let namespace = |name| File::open(format!("/proc/{}/ns/{name}", process.as_raw_nonzero())).map(OwnedFd::from);
        Ok(Self { owner, users: namespace("user")?, network: namespace("net")? })
    }
}

/// The first word of a new process. Nobody who hears it is no failure here: the process that said it ends by itself then.
fn enter_and_say_so(group: &Group, report: impl AsFd) {
    let _ = rustix::io::write(report, &[if group.enter() { ENTERED } else { NOT_ENTERED }]);
}

/// Waits for that word. A process that died without is nowhere.
fn has_entered(report: &mut impl Read) -> bool {
    let mut word = [NOT_ENTERED];
    report.read_exact(&mut word).is_ok() && word == [ENTERED]
}

/// PID 1 closes the pipe by becoming the other program; until then it can say what failed.
fn wait_for_init(mut report: PipeReader) -> Result<(), Failure> {
    let mut told = Vec::new();
    report.read_to_end(&mut told).map_err(Failure::at("wait for PID 1"))?;
    if told.is_empty() {
        return Ok(());
    }
    let (step, code) =
        serde_json::from_slice::<(String, i32)>(&told).unwrap_or_else(|_| ("make the box".to_owned(), libc::EIO));
    Err(Failure::at(step)(io::Error::from_raw_os_error(code)))
}

/// The file of the running program, to become PID 1 without a path.
pub(crate) fn own_program() -> io::Result<File> {
    let fd = rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(fd))
}

/// A folder by descriptor, refusing a link as its last part.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::{Failure, Path, io};

    #[track_caller]
    fn check(failure: impl FnOnce(io::Error) -> Failure, error: i32, says: &str, and_not: &str) {
        let Failure::Launch { hint, .. } = failure(io::Error::from_raw_os_error(error)) else { panic!() };
        assert!(hint.contains(says) && !hint.contains(and_not), "{error}: {hint}");
    }

    #[test]
    fn a_full_or_closed_folder_is_not_taken_for_a_want_of_namespaces() {
        let folder = || Failure::writing("write down what the computer is", Path::new("/there"));
        check(folder(), libc::ENOSPC, "make room on the disk of /there", "namespaces");
        check(folder(), libc::EDQUOT, "make room on the disk of /there", "namespaces");
        check(folder(), libc::EACCES, "/there cannot be written", "namespaces");
        check(folder(), libc::EROFS, "/there cannot be written", "namespaces");
        check(Failure::at("make the namespaces"), libc::ENOSPC, "no more namespaces", "disk of");
        check(Failure::at("make the namespaces"), libc::EPERM, "user namespaces", "disk of");
    }
}
