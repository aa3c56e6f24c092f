//! The number of files that the folders in memory take, for which bubblewrap has no word. It is set from outside, when the box is made
//! and nothing of the agent's runs in it: inside, nobody has the right to. Nothing but this number is changed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_string, fspick};
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::launch::inside::{Step, at};
use crate::launch::{Failure, SCRATCH, wait_for_init};
use crate::sys::{self, Forked};

/// Has every folder in memory of this box take so many files. The caller must have one thread only.
pub(super) fn limit(init: Pid, most: u64) -> Result<(), Failure> {
    let (report, report_inside) = io::pipe().map_err(Failure::at("make the report pipe"))?;
    match sys::fork().map_err(Failure::at("fork"))? {
        Forked::Parent(helper) => {
            drop(report_inside);
            let told = wait_for_init(report);
            let status = rustix::process::waitpid(Some(helper), WaitOptions::empty());
            told?;
            match status {
                Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
                _ => Err(Failure::at("limit the files of the folders in memory")(io::ErrorKind::BrokenPipe.into())),
            }
        }
        Forked::Child => {
            drop(report);
            let Err((step, error)) = help(init, most) else { sys::exit_now(0) };
            let told = serde_json::to_vec(&(step, error.raw_os_error().unwrap_or(libc::EIO)));
            let _ = rustix::io::write(&report_inside, &told.unwrap_or_default());
            sys::exit_now(1)
        }
    }
}

/// The helper's whole life: it goes to where the mounts are its to change, as whose user they were made, and changes them.
fn help(init: Pid, most: u64) -> Step<()> {
    let mounts = File::open(format!("/proc/{}/ns/mnt", init.as_raw_nonzero()));
    let mounts: OwnedFd = mounts.map_err(at("take hold of the computer's mounts"))?.into();
    let users = sys::users_of(mounts.as_fd()).map_err(at("take hold of who made the mounts"))?;
    move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User)).map_err(at("join who made the mounts"))?;
    move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(at("join the computer's mounts"))?;
    SCRATCH.iter().try_for_each(|place| {
        limit_one(place, most).map_err(|error| (format!("limit the files of {place} to {most}"), error))
    })
}

/// The filesystem itself is changed; how it is mounted stays as bubblewrap has made it.
fn limit_one(place: &str, most: u64) -> io::Result<()> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_SYMLINK_NOFOLLOW;
    let context = fspick(CWD, place, flags)?;
    fsconfig_set_string(context.as_fd(), "nr_inodes", most.to_string())?;
    fsconfig_reconfigure(context.as_fd())?;
    let holds = rustix::fs::statvfs(place)?.f_files == most;
    if holds { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}
