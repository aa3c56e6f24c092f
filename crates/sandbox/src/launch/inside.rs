//! The way of the first process of a box from its clone to PID 1: own root, own devices, locks. Whatever fails, it says where and ends.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Gid, Uid};

use super::mounts::{self, Plan};
use super::owner::Owner;
use super::{INSIDE_ID, init_name, lockdown};
use crate::spec::{ComputerSpec, Limits};
use crate::sys;

/// The control socket in PID 1.
pub(crate) const CONTROL_FD: i32 = 3;
/// Name of every computer, to itself.
pub(super) const HOST_NAME: &str = "computer";
/// Where the new root hangs until it is the root: any folder that every host has.
const STAGE: &str = "/usr";
/// Terminals of one computer; the machine has some thousand for everybody.
const PTYS_MAX: &str = "256";

/// Entries of `/proc` that tell about the host or act on it.
pub(super) const PROC_HIDDEN_FILES: &[&str] = &[
    "bootconfig",
    "buddyinfo",
    "cmdline",
    "config.gz",
    "consoles",
    "diskstats",
    "dma",
    // When keys are pressed on this machine can be read from it.
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "locks",
    "mdstat",
    "misc",
    "modules",
    "mtrr",
    "pagetypeinfo",
    "partitions",
    "sched_debug",
    "schedstat",
    "slabinfo",
    "softirqs",
    "swaps",
    "sysrq-trigger",
    "timer_list",
    "version_signature",
    "vmallocinfo",
    "zoneinfo",
];
pub(super) const PROC_HIDDEN_FOLDERS: &[&str] =
    &["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "pressure", "scsi", "tty"];

/// The small files of `/etc` that say who and where one is.
pub(super) const ETC_FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost computer\n::1 localhost\n"),
    ("etc/hostname", "computer\n"),
    ("etc/resolv.conf", "nameserver 127.0.0.1\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
    ),
    ("etc/shells", "/bin/sh\n/bin/bash\n"),
    ("etc/os-release", "PRETTY_NAME=\"Thenar computer\"\nNAME=\"Thenar computer\"\nID=thenar\nID_LIKE=debian\n"),
];

/// What the first process starts with.
pub(super) struct Parts<'a> {
    pub(super) spec: &'a ComputerSpec,
    pub(super) owner: &'a Owner,
    pub(super) plan: Plan,
    pub(super) program: &'a File,
    pub(super) control: OwnedFd,
    pub(super) go: PipeReader,
}

pub(super) type Step<T> = Result<T, (String, io::Error)>;

pub(super) fn at<E: Into<io::Error>>(step: &str) -> impl FnOnce(E) -> (String, io::Error) {
    let step = step.to_owned();
    move |error| (step, error.into())
}

/// Becomes PID 1 of the box. Comes back only with what failed.
pub(super) fn become_init(parts: Parts<'_>) -> (String, io::Error) {
    let name = init_name(parts.spec.build.second_lock);
    match prepare(parts) {
        Err(failed) => failed,
        Ok((program, control)) => match pass_on(&control) {
            Err(error) => ("pass the control socket on".to_owned(), error),
            Ok(()) => ("run PID 1".to_owned(), sys::exec_fd(program.as_fd(), name)),
        },
    }
}

fn prepare(mut parts: Parts<'_>) -> Step<(OwnedFd, OwnedFd)> {
    // Above every number that is about to be taken for something else.
    let program = rustix::io::fcntl_dupfd_cloexec(parts.program, 10).map_err(at("hold the program"))?;
    become_user(parts.owner, &mut parts.go)?;
    if !parts.owner.is_root {
        parts.plan.detach_inside().map_err(|(what, error)| (format!("take hold of {what}"), error))?;
    }
    let root = make_root(&parts)?;
    enter(root.as_fd())?;
    rustix::system::sethostname(HOST_NAME.as_bytes()).map_err(at("name the computer"))?;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    sys::loopback_up(socket.map_err(at("open a socket"))?.as_fd()).map_err(at("switch loopback on"))?;
    parts.go.read_exact(&mut [0]).map_err(at("wait for the control groups"))?;
    sys::part_from_groups().map_err(at("part from the host's control groups"))?;
    lockdown::lower_limits(&parts.spec.limits).map_err(at("set the limits"))?;
    lockdown::give_up_rights().map_err(at("give up all rights"))?;
    Ok((program, parts.control))
}

/// Waits for its maps, becomes the computer's user, and parts from the host's mounts.
pub(super) fn become_user(owner: &Owner, go: &mut PipeReader) -> Step<()> {
    go.read_exact(&mut [0]).map_err(at("wait for the maps"))?;
    if owner.is_root {
        sys::leave_groups().map_err(at("leave the groups"))?;
    }
    let (gid, uid) = (Gid::from_raw(INSIDE_ID), Uid::from_raw(INSIDE_ID));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at("become the computer's group"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at("become the computer's user"))?;
    // After the change of user, which would take it back.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(at("die with the keeper"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("part from the host's mounts"))
}

/// Builds the file tree of a shell's box.
fn make_root(parts: &Parts<'_>) -> Step<OwnedFd> {
    let root = make_tree(&parts.plan, &parts.spec.limits)?;
    let ptys = [("ptmxmode", "0666"), ("mode", "0600"), ("max", PTYS_MAX)];
    let ptys = mounts::make("devpts", &ptys, MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC)
        .map_err(at("make the terminals"))?;
    mounts::make_folders(root.as_fd(), "dev/pts").map_err(at("make the folders"))?;
    mounts::attach(ptys.as_fd(), root.as_fd(), "dev/pts").map_err(at("attach the terminals"))?;
    rustix::fs::symlinkat("pts/ptmx", &root, "dev/ptmx").map_err(at("make the links"))?;
    Ok(root)
}

/// Builds the file tree that every box has, attached to nothing that matters yet.
pub(super) fn make_tree(plan: &Plan, limits: &Limits) -> Step<OwnedFd> {
    let plain = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    // The simplest that there is, and so the soonest made and taken apart: nobody but this launcher ever writes to it.
    let root = mounts::make("ramfs", &[("mode", "0755")], plain).map_err(at("make the root"))?;
    // The kernel's own view of processes must be made while the host's is still in sight.
    let proc = mounts::make("proc", &[], plain | MountAttrFlags::MOUNT_ATTR_NOEXEC).map_err(at("make /proc"))?;
    rustix::mount::move_mount(&root, "", CWD, STAGE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(at("set the root up"))?;
    let top = root.as_fd();
    for folder in ["proc", "tmp", "home/agent", "dev/shm", "run", "var", "opt", "mnt", "etc"] {
        mounts::make_folders(top, folder).map_err(at("make the folders"))?;
    }
    for (name, text) in ETC_FILES {
        mounts::make_file(top, name, text.as_bytes()).map_err(at("write /etc"))?;
    }
    plan.attach(top).map_err(|(what, error)| (format!("attach {what}"), error))?;
    mounts::attach(proc.as_fd(), top, "proc").map_err(at("attach /proc"))?;
    lockdown::lower_user_counts(top).map_err(at("set the limits of the computer's user"))?;
    hide(top).map_err(at("hide parts of /proc"))?;
    scratch(top, limits, plain).map_err(at("make the scratch folders"))?;
    let links = [
        ("/proc/self/fd", "dev/fd"),
        ("/proc/self/fd/0", "dev/stdin"),
        ("/proc/self/fd/1", "dev/stdout"),
        ("/proc/self/fd/2", "dev/stderr"),
        ("/proc/self/mounts", "etc/mtab"),
        ("/tmp", "var/tmp"),
    ];
    for (target, name) in links {
        rustix::fs::symlinkat(target, top, name).map_err(at("make the links"))?;
    }
    Ok(root)
}

/// Room that lives in memory and is gone with the computer.
fn scratch(root: BorrowedFd<'_>, limits: &Limits, flags: MountAttrFlags) -> io::Result<()> {
    let files = limits.tmp_files.to_string();
    let places = [
        ("tmp", limits.tmp_bytes, "1777"),
        ("home/agent", limits.home_bytes, "0755"),
        ("dev/shm", limits.shm_bytes, "1777"),
    ];
    for (place, bytes, mode) in places {
        let options = [("size", &*bytes.to_string()), ("nr_inodes", &*files), ("mode", mode)];
        let mount = mounts::make("tmpfs", &options, flags)?;
        mounts::attach(mount.as_fd(), root, place)?;
    }
    Ok(())
}

/// Covers what of `/proc` tells about the host. The first of each kind is locked, the others are copies of it.
fn hide(root: BorrowedFd<'_>) -> io::Result<()> {
    for (names, nothing) in [(PROC_HIDDEN_FILES, "dev/null"), (PROC_HIDDEN_FOLDERS, "mnt")] {
        let mut locked: Option<String> = None;
        for name in names.iter().map(|name| format!("proc/{name}")) {
            if rustix::fs::statat(root, &*name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_err() {
                continue;
            }
            let cover = match &locked {
                Some(first) => mounts::copy(root, first)?,
                None => mounts::copy_read_only(root, nothing)?,
            };
            mounts::attach(cover.as_fd(), root, &name)?;
            locked.get_or_insert(name);
        }
    }
    let locked = mounts::copy_read_only(root, "proc/sys")?;
    mounts::attach(locked.as_fd(), root, "proc/sys")
}

/// Makes the new tree the root, lets the host's go, and closes the root for writing.
pub(super) fn enter(root: BorrowedFd<'_>) -> Step<()> {
    rustix::process::fchdir(root).map_err(at("go to the root"))?;
    rustix::process::pivot_root(".", ".").map_err(at("change the root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(at("let the host's files go"))?;
    rustix::process::chdir("/").map_err(at("go to the root"))?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount("/", flags, c"").map_err(at("close the root for writing"))
}

/// Puts the control socket where PID 1 looks for it, and nothing where its standard files are.
fn pass_on(control: &OwnedFd) -> io::Result<()> {
    nothing_as_standard_files()?;
    sys::place(control.as_fd(), CONTROL_FD)
}

pub(super) fn nothing_as_standard_files() -> io::Result<()> {
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}
