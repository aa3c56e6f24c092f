//! The one lasting folder: which may be used, and how it becomes the computer's without changing hands. It mounts nothing below it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::mount::OpenTreeFlags;

use super::owner::Owner;
use super::{Failure, open_folder};
use crate::spec::{ComputerSpec, Workspace};
use crate::sys::{self, mount_attr};

/// Folders of the system that are nobody's project.
const SYSTEM: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root",
    "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp",
];
/// And those in which nothing is one either.
const SYSTEM_WHOLE: &[&str] = &["/boot", "/dev", "/etc", "/proc", "/sys"];
/// Folders inside a workspace of ours that are looked through for files of root.
const DEPTH_MAX: usize = 64;

/// A workspace that may be used.
pub(super) struct Opened {
    folder: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Device and number on it.
    pub(super) identity: (u64, u64),
}

/// Opens the workspace of a specification, making our own if it is missing.
pub(super) fn open(spec: &ComputerSpec) -> Result<Opened, Failure> {
    let (path, folder) = match &spec.workspace {
        Workspace::Own(path) => {
            if spec.dir.starts_with(path) {
                return Err(refused(path, "it contains the computer's own folder".to_owned()));
            }
            let making = format!("make the workspace {}", path.display());
            fs::create_dir_all(path).map_err(Failure::writing(making, path))?;
            (path.clone(), open_folder(path))
        }
        Workspace::Folder(path) => {
            let ours = spec.forbidden.iter().chain([&spec.dir]);
            let real = refuse_folder(path, ours).map_err(|reason| refused(path, reason))?;
            // Between the check and here nobody may slip a link in.
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
            let folder = rustix::fs::openat2(rustix::fs::CWD, &real, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
            (real, folder.map_err(io::Error::from))
        }
    };
    let folder = folder.map_err(|error| refused(&path, format!("it cannot be opened: {error}")))?;
    let about = rustix::fs::fstat(&folder).map_err(|error| refused(&path, error.to_string()))?;
    let (uid, gid, identity) = (about.st_uid, about.st_gid, (about.st_dev, about.st_ino));
    refuse_owner(uid).map_err(|reason| refused(&path, reason))?;
    Ok(Opened { folder, path, uid, gid, identity })
}

/// Says whether a person's folder may be a workspace, before anything is begun: its real path, or why not. Opening a
/// computer asks all this again.
///
/// # Errors
/// [`crate::Error::Workspace`] with the reason.
pub fn lendable(path: &Path, forbidden: &[PathBuf]) -> crate::Result<PathBuf> {
    let refused = |reason| crate::Error::Workspace { path: path.to_owned(), reason };
    let real = refuse_folder(path, forbidden.iter()).map_err(refused)?;
    let about = fs::metadata(&real).map_err(|error| refused(error.to_string()))?;
    if !about.is_dir() {
        return Err(refused("it is not a folder".to_owned()));
    }
    refuse_owner(std::os::unix::fs::MetadataExt::uid(&about)).map_err(refused)?;
    Ok(real)
}

fn refuse_owner(uid: u32) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if user == 0 || uid == user {
        return Ok(());
    }
    Err("it belongs to somebody else, and only root can lend it to a computer".to_owned())
}

/// Says why a person's folder may not be a workspace, or gives its real path.
fn refuse_folder<'a>(path: &Path, ours: impl Iterator<Item = &'a PathBuf>) -> Result<PathBuf, String> {
    let real = fs::canonicalize(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    if SYSTEM.iter().any(|system| real == Path::new(system))
        || SYSTEM_WHOLE.iter().any(|system| real.starts_with(system))
    {
        return Err("it is a folder of the system".to_owned());
    }
    let people = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let homes = people.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    let homes = homes.chain(std::env::var_os("HOME").map(PathBuf::from));
    if homes.into_iter().any(|home| fs::canonicalize(home).is_ok_and(|home| home == real)) {
        return Err("it is a whole home folder, with keys and settings in it".to_owned());
    }
    for forbidden in ours {
        let forbidden = fs::canonicalize(forbidden).unwrap_or_else(|_| forbidden.clone());
        if real.starts_with(&forbidden) {
            return Err(format!("it lies in {}, which holds thenar's own data", forbidden.display()));
        }
        if forbidden.starts_with(&real) {
            return Err(format!("it contains {}, which holds thenar's own data", forbidden.display()));
        }
    }
    Ok(real)
}

/// The workspace as a detached mount that the computer's user owns.
pub(super) fn as_root(spec: &ComputerSpec, workspace: Opened, owner: &Owner) -> Result<OwnedFd, Failure> {
    let attributes = mount_attr::NOSUID | mount_attr::NODEV;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let detach = || rustix::mount::open_tree(&workspace.folder, "", flags);
    match &spec.workspace {
        Workspace::Own(_) => {
            hand_over(&workspace.folder, owner)
                .map_err(Failure::writing("give the workspace to the computer's user", &workspace.path))?;
            let mount = detach().map_err(|error| Failure::at("take hold of the workspace")(error.into()))?;
            sys::mount_attributes(mount.as_fd(), attributes, None).map_err(Failure::at("lock the workspace"))?;
            Ok(mount)
        }
        Workspace::Folder(_) => {
            let mount = detach().map_err(|error| Failure::at("take hold of the workspace")(error.into()))?;
            let users = owner
                .as_folder_owner(workspace.uid, workspace.gid)
                .map_err(Failure::at("map the owner of the workspace"))?;
            sys::mount_attributes(mount.as_fd(), attributes, Some(users.as_fd())).map_err(|error| {
                refused(
                    &workspace.path,
                    format!("its filesystem cannot make its owner and the computer's user one ({error})"),
                )
            })?;
            Ok(mount)
        }
    }
}

/// Gives a workspace of ours, and what root has put into it, to the computer's user. Files that are already his stay untouched.
fn hand_over(top: &OwnedFd, owner: &Owner) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)));
    rustix::fs::fchown(top, uid, gid)?;
    hand_over_below(top, (uid, gid), 0)
}

/// Of all folders only those on the way are open: there may be more beside each other than descriptors.
fn hand_over_below(folder: &OwnedFd, (uid, gid): (Option<Uid>, Option<Gid>), depth: usize) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_uid == 0 {
            rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && depth < DEPTH_MAX {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(folder, name, flags, Mode::empty())?;
            hand_over_below(&below, (uid, gid), depth + 1)?;
        }
    }
    Ok(())
}

fn refused(path: &Path, reason: String) -> Failure {
    Failure::Workspace { path: path.to_owned(), reason }
}
