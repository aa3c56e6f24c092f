//! The second driver: `bwrap` makes the namespaces and the file tree, and the same PID 1 comes into it with the same locks. It
//! runs as the computer's user, never as root; nothing of the host reaches it but by descriptor or by the paths of [`Plan`].
//! It has no box for a browser, and what the kernel counts per user (terminals, watches) it does not divide.

mod files;
mod words;

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, MoveMountFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::{Gid, Pid, PidfdFlags, Signal, Uid, WaitOptions};
use serde::{Deserialize, Serialize};

use super::inside::{self, CONTROL_FD, ETC_FILES, Step, at};
use super::mounts::{self, Plan};
use super::owner::Owner;
use super::{Failure, Launched, enter_and_say_so, has_entered, init_name, lockdown, workspace};
use crate::driver::SecondLock;
use crate::group::{Group, In};
use crate::spec::{ComputerSpec, Limits};
use crate::sys::{self, Forked};

/// The role of PID 1 between bubblewrap and its own work.
pub(crate) const ROLE: &str = "thenar-boxed";
/// Where bubblewrap is installed; never what a `PATH` says.
const PLACES: &[&str] = &["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];
/// What to do about one that is none.
const REINSTALL: &str = "sudo apt-get install --reinstall bubblewrap    # or take the driver native";
/// What is handed over, by number: to PID 1, and to bubblewrap itself.
const PROGRAM_FD: i32 = 4;
const SHEET_FD: i32 = 5;
const ARGUMENTS_FD: i32 = 6;
const INFO_FD: i32 = 7;
/// The first of the small files of `/etc`.
const FILES_FD: i32 = 8;
/// Above every number that is about to be taken for something else.
const HIGH: i32 = 64;
/// Where root shows the sources to bubblewrap, in a namespace of mounts that only it sees: any folder that every host has and
/// bubblewrap does not need.
const STAGE: &str = "/var";
/// How long the box may take to be made, and bubblewrap to leave when it was not.
const MADE_WAIT: Duration = Duration::from_secs(20);
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// What is read of its complaint.
const COMPLAINT_BYTES_MAX: u64 = 4096;
const COMPLAINT_LINES_MAX: usize = 3;

/// What PID 1 goes by when bubblewrap has made the box.
#[derive(Debug, Serialize, Deserialize)]
struct Sheet {
    limits: Limits,
    second_lock: SecondLock,
    /// Device and number of the folder that was checked.
    workspace: (u64, u64),
}

/// What becomes bubblewrap.
struct Parts {
    bwrap: File,
    owner: Owner,
    plan: Plan,
    program: OwnedFd,
    control: OwnedFd,
    sheet: OwnedFd,
    arguments: OwnedFd,
    files: Vec<OwnedFd>,
    info: OwnedFd,
    errors: OwnedFd,
}

/// Makes the box, in its control groups. The caller must have one thread only.
pub(super) fn launch(spec: &ComputerSpec, program: &File, group: &mut Group) -> Result<Launched, Failure> {
    let bwrap = find()?;
    let opened = workspace::open(spec)?;
    let owner = Owner::of(spec, &opened)?;
    let mut plan = Plan::new(spec, &opened);
    let sheet = Sheet { limits: spec.limits.clone(), second_lock: spec.build.second_lock, workspace: opened.identity };
    let path = opened.path.clone();
    if owner.is_root {
        plan.detach().map_err(|(what, error)| Failure::at(format!("take hold of {what}"))(error))?;
        plan.workspace = Some(workspace::as_root(spec, opened, &owner)?);
    }
    let words = words::words(&plan, spec, &path, owner.is_root.then_some(Path::new(STAGE)));
    let made = |what: &str| Failure::at(format!("make {what}"));
    let (control, control_inside) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|error| made("the control socket")(error.into()))?;
    let (mut info, info_inside) = io::pipe().map_err(made("the report pipe"))?;
    let (errors, errors_inside) = io::pipe().map_err(made("the report pipe"))?;
    let (go_inside, mut go) = io::pipe().map_err(made("the start pipe"))?;
    let parts = Parts {
        bwrap,
        owner,
        plan,
        program: rustix::io::fcntl_dupfd_cloexec(program, 0).map_err(|error| made("the program")(error.into()))?,
        control: control_inside,
        sheet: in_memory(&serde_json::to_vec(&sheet).unwrap_or_default()).map_err(made("the sheet"))?,
        arguments: in_memory(&words).map_err(made("the arguments"))?,
        files: ETC_FILES
            .iter()
            .map(|(_, text)| in_memory(text.as_bytes()))
            .collect::<io::Result<_>>()
            .map_err(made("the files"))?,
        info: info_inside.into(),
        errors: errors_inside.into(),
    };
    let mut born = group.birth().is_some();
    let cloned = sys::clone_into(0, group.birth()).or_else(|_| {
        born = false;
        sys::clone_into(0, None)
    });
    let (forked, maker_fd) = cloned.map_err(Failure::at("fork"))?;
    let (Forked::Parent(maker), Some(maker_fd)) = (forked, maker_fd) else {
        drop((control, info, errors, go));
        enter_and_say_so(group, &parts.info);
        become_bwrap(parts, go_inside)
    };
    drop((parts, go_inside));
    group.join(maker, In { born, entered: has_entered(&mut info) });
    let started = go.write_all(b"g").map_err(Failure::at("start bubblewrap"));
    let started = started.and_then(|()| found(info, &control)).and_then(|(init, init_fd)| {
        // Nothing of the agent's has run yet.
        files::limit(init, spec.limits.tmp_files).map(|()| (init, init_fd))
    });
    started.map(|(init, init_fd)| Launched { init, init_fd, control, shared: None }).map_err(|failure| {
        let _ = wait_for(maker_fd.as_fd(), LEAVE_WAIT);
        let _ = rustix::process::pidfd_send_signal(&maker_fd, Signal::KILL);
        let _ = rustix::process::waitpid(Some(maker), WaitOptions::empty());
        complaint(errors).map_or(failure, |said| words::failure(&said))
    })
}

/// The program, which must not be one that lends root's rights: what it promises of namespaces does not hold then.
fn find() -> Result<File, Failure> {
    let none = || Failure::Launch {
        reason: format!("the driver bwrap was asked for, and none of {} is there", PLACES.join(", ")),
        hint: "sudo apt-get install bubblewrap    # or take the driver native".to_owned(),
    };
    let (path, file) =
        PLACES.iter().find_map(|path| File::open(path).ok().map(|file| (path, file))).ok_or_else(none)?;
    let about = file.metadata().map_err(Failure::at(format!("look at {path}")))?;
    if about.mode() & 0o6000 != 0 {
        return Err(Failure::Launch {
            reason: format!("{path} lends its owner's rights to everybody, and is not used so"),
            hint: format!("sudo chmod a-s {path}"),
        });
    }
    Ok(file)
}

/// PID 1 of the box as the host numbers it, once it has come so far that it says something.
fn found(mut info: PipeReader, control: &OwnedFd) -> Result<(Pid, OwnedFd), Failure> {
    /// What bubblewrap tells, as far as it matters.
    #[derive(Deserialize)]
    struct Told {
        #[serde(rename = "child-pid")]
        init: i32,
    }
    let nothing = || Failure::Launch {
        reason: "bubblewrap ended without a box and without a word".to_owned(),
        hint: REINSTALL.to_owned(),
    };
    let mut told = Vec::new();
    info.read_to_end(&mut told).map_err(Failure::at("wait for bubblewrap"))?;
    let told = serde_json::from_slice::<Told>(&told).map_err(|_| nothing())?;
    let init = Pid::from_raw(told.init).ok_or_else(nothing)?;
    let init_fd = rustix::process::pidfd_open(init, PidfdFlags::empty())
        .map_err(|error| Failure::at("watch over PID 1")(error.into()))?;
    let spoke = wait_for(control.as_fd(), MADE_WAIT)
        && rustix::net::recv(control, &mut [0; 1], RecvFlags::PEEK).is_ok_and(|(bytes, _)| bytes > 0);
    if spoke { Ok((init, init_fd)) } else { Err(nothing()) }
}

fn wait_for(source: BorrowedFd<'_>, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    let mut source = [PollFd::from_borrowed_fd(source, PollFlags::IN)];
    rustix::event::poll(&mut source, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// What was complained about; whoever could is gone by now.
fn complaint(errors: PipeReader) -> Option<String> {
    let mut said = Vec::new();
    errors.take(COMPLAINT_BYTES_MAX).read_to_end(&mut said).ok()?;
    let said = String::from_utf8_lossy(&said);
    let said = said.trim().lines().take(COMPLAINT_LINES_MAX).collect::<Vec<_>>().join("; ");
    (!said.is_empty()).then_some(said)
}

fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("thenar", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

/// Becomes bubblewrap; whatever fails before is told where it would complain, too.
fn become_bwrap(parts: Parts, mut go: PipeReader) -> ! {
    let mut told = rustix::io::fcntl_dupfd_cloexec(&parts.errors, HIGH).map(File::from);
    let mut run = || -> Step<Infallible> {
        go.read_exact(&mut [0]).map_err(at("wait for the control groups"))?;
        if parts.owner.is_root {
            show_sources(&parts.plan)?;
            become_owner(&parts.owner)?;
        }
        // After the change of user, which would take it back; bubblewrap asks for the same of its own.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("die with the keeper"))?;
        let bwrap = rustix::io::fcntl_dupfd_cloexec(&parts.bwrap, HIGH).map_err(at("hold bubblewrap"))?;
        pass_on(&parts).map_err(at("pass the descriptors on"))?;
        Err(("run bubblewrap".to_owned(), sys::exec_fd_with(bwrap.as_fd(), words::COMMAND)))
    };
    if let Err((step, error)) = run()
        && let Ok(told) = &mut told
    {
        let _ = told.write_all(format!("{step}: {error}").as_bytes());
    }
    sys::exit_now(1)
}

/// Lays the sources out where bubblewrap, which is not root, can reach them, with their locks on.
fn show_sources(plan: &Plan) -> Step<()> {
    // The folders of the stage are gone through by the computer's user.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    sys::part_from_mounts().map_err(at("part from the host's mounts"))?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("part from the host's mounts"))?;
    let plain = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let stage = mounts::make("tmpfs", &[("mode", "0755")], plain).map_err(at("make the stage"))?;
    rustix::mount::move_mount(&stage, "", CWD, STAGE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(at("set the stage up"))?;
    plan.attach(stage.as_fd()).map_err(|(what, error)| (format!("show {what} to bubblewrap"), error))
}

fn become_owner(owner: &Owner) -> Step<()> {
    sys::leave_groups().map_err(at("leave the groups"))?;
    let (gid, uid) = (Gid::from_raw(owner.gid), Uid::from_raw(owner.uid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at("become the computer's group"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at("become the computer's user"))?;
    rustix::process::chdir("/").map_err(at("go to the root"))
}

/// Puts every descriptor at its number; all others close by themselves.
fn pass_on(parts: &Parts) -> io::Result<()> {
    let fixed = [
        (&parts.control, CONTROL_FD),
        (&parts.program, PROGRAM_FD),
        (&parts.sheet, SHEET_FD),
        (&parts.arguments, ARGUMENTS_FD),
        (&parts.info, INFO_FD),
    ];
    let all = fixed.into_iter().chain(parts.files.iter().zip(FILES_FD..));
    // First out of the way of the numbers that they are about to get.
    let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, HIGH);
    let all = all.map(|(fd, number)| Ok((high(fd)?, number))).collect::<io::Result<Vec<_>>>()?;
    let errors = high(&parts.errors)?;
    inside::nothing_as_standard_files()?;
    rustix::stdio::dup2_stderr(&errors)?;
    // No unwinding from here on: these numbers belong to others in this process.
    all.iter().try_for_each(|(fd, number)| sys::place(fd.as_fd(), *number))
}

/// PID 1 of a box that bubblewrap made: it lowers the limits and becomes the PID 1 that every computer has.
pub(crate) fn go_on() -> ExitCode {
    let error = match become_init() {
        Ok(never) => match never {},
        Err((step, error)) => format!("{step}: {error}"),
    };
    let _ = io::stderr().write_all(error.as_bytes());
    ExitCode::FAILURE
}

fn become_init() -> Step<Infallible> {
    let [program, sheet] = [PROGRAM_FD, SHEET_FD].map(sys::inherited);
    for fd in [&program, &sheet] {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).map_err(at("hold the program"))?;
    }
    let mut text = Vec::new();
    File::from(sheet).read_to_end(&mut text).map_err(at("read the sheet"))?;
    let sheet: Sheet = serde_json::from_slice(&text).map_err(at("read the sheet"))?;
    // Bubblewrap went there by a path, which could have come to mean another folder.
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let workspace = rustix::fs::open("/workspace", flags, Mode::empty()).map_err(at("open the workspace"))?;
    let about = rustix::fs::fstat(&workspace).map_err(at("look at the workspace"))?;
    if (about.st_dev, about.st_ino) != sheet.workspace {
        let swapped = io::Error::from_raw_os_error(libc::ESTALE);
        return Err(("use the workspace, which was replaced meanwhile".to_owned(), swapped));
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    lockdown::lower_limits(&sheet.limits).map_err(at("set the limits"))?;
    lockdown::give_up_rights().map_err(at("give up all rights"))?;
    inside::nothing_as_standard_files().map_err(at("close the standard files"))?;
    Err(("run PID 1".to_owned(), sys::exec_fd(program.as_fd(), init_name(sheet.second_lock))))
}
