//! A folder at the top of a tree in which a restore makes things before they get their place, and into which it moves what has to go. Files are whole when they
//! appear, whatever happens in between; and however deep a tree is, taking it down needs no path to it and few descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags};
use rustix::io::Errno;

use super::walk::STAGE;

/// How often a name that somebody else uses is cleared.
const CLEARINGS_MAX: usize = 8;
/// Rounds of taking down after which somebody must be adding as we remove.
const ROUNDS_MAX: usize = 1_000_000;
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) struct Stage {
    fd: OwnedFd,
    next: u64,
}

impl Stage {
    /// Makes the folder; what a restore before has left in one goes.
    pub(super) fn open(top: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mut last = Errno::EXIST;
        for _ in 0..CLEARINGS_MAX {
            match rustix::fs::mkdirat(top, STAGE, Mode::from_raw_mode(0o700)) {
                Ok(()) => {
                    let fd = rustix::fs::openat(top, STAGE, FOLDER, Mode::empty())?;
                    let stat = rustix::fs::fstat(&fd)?;
                    if stat.st_uid == rustix::process::geteuid().as_raw() {
                        return Ok(Self { fd, next: 0 });
                    }
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            match rustix::fs::unlinkat(top, STAGE, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(_) => {}
            }
            loosen(top, STAGE);
            let cleared = rustix::fs::openat(top, STAGE, FOLDER, Mode::empty())
                .and_then(|fd| Self { fd, next: 0 }.empty())
                .and_then(|()| rustix::fs::unlinkat(top, STAGE, AtFlags::REMOVEDIR));
            last = cleared.err().unwrap_or(last);
        }
        Err(last)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A name in it that nothing bears.
    pub(super) fn name(&mut self) -> String {
        self.next += 1;
        format!("n{}", self.next)
    }

    /// Takes something out of the tree: at once if that is possible, else by moving it here.
    pub(super) fn remove(&mut self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(_) => {}
        }
        let to = self.name();
        match rustix::fs::renameat(folder, name, &self.fd, to.as_str()) {
            // To move a folder, its owner must be allowed to write in it.
            Err(Errno::ACCESS) => {
                loosen(folder, name);
                rustix::fs::renameat(folder, name, &self.fd, to.as_str())
            }
            other => other,
        }
    }

    /// Takes down what lies here: folders in it come up to this one, so that none is ever more than one step away.
    pub(super) fn empty(&mut self) -> Result<(), Errno> {
        for _ in 0..ROUNDS_MAX {
            let names = names(self.fd.as_fd())?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.take_down(&name)?;
            }
        }
        Err(Errno::BUSY)
    }

    fn take_down(&mut self, name: &[u8]) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        loosen(self.fd.as_fd(), name);
        let folder = rustix::fs::openat(&self.fd, name, FOLDER, Mode::empty())?;
        for below in names(folder.as_fd())? {
            match rustix::fs::unlinkat(&folder, below.as_slice(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(_) => {
                    loosen(folder.as_fd(), &below);
                    self.bring_up(folder.as_fd(), &below)?;
                }
            }
        }
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            // Somebody put something in meanwhile: the next round has it.
            Err(Errno::NOTEMPTY | Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// Moves a folder here, under a name that nothing bears: what was left by somebody before has names of the same kind.
    fn bring_up(&mut self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        loop {
            let to = self.name();
            match rustix::fs::renameat_with(folder, name, &self.fd, to.as_str(), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                // A file system that does not know the flag refuses at least what is not empty.
                Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::renameat(folder, name, &self.fd, to.as_str()) {
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                    other => return other,
                },
                other => return other,
            }
        }
    }

    /// Takes down what lies here, and the folder itself.
    pub(super) fn close(&mut self, top: BorrowedFd<'_>) -> Result<(), Errno> {
        self.empty()?;
        rustix::fs::unlinkat(top, STAGE, AtFlags::REMOVEDIR)
    }
}

/// Removes a folder with all that is in it. What programs inside have made may be deeper than a call for each step of the way has
/// stack or descriptors for, and closed to its owner.
///
/// # Errors
/// If something in it cannot be removed, or the path leads to no folder.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let fd = rustix::fs::open(path, FOLDER, Mode::empty())?;
    loosen_opened(fd.as_fd());
    Stage { fd, next: 0 }.empty()?;
    std::fs::remove_dir(path)
}

pub(super) fn names(folder: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    rustix::fs::seek(folder, rustix::fs::SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut raw = RawDir::new(folder, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    // One buffer's worth of a folder at a time would do; whoever calls asks again until there are none.
    while let Some(entry) = raw.next() {
        let name = entry?.file_name().to_bytes().to_owned();
        if !matches!(&name[..], b"." | b"..") {
            names.push(name);
        }
        if names.len() >= 65_536 {
            break;
        }
    }
    Ok(names)
}

/// Lets a folder's owner do everything in it, if it is a folder and ours. Nothing else is touched, whatever the name becomes meanwhile.
pub(super) fn loosen(folder: BorrowedFd<'_>, name: &[u8]) {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(fd) = rustix::fs::openat(folder, name, flags, Mode::empty()) {
        loosen_opened(fd.as_fd());
    }
}

/// The same by a descriptor of the folder.
pub(super) fn loosen_opened(folder: BorrowedFd<'_>) {
    let Ok(stat) = rustix::fs::fstat(folder) else { return };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_mode & 0o700 != 0o700 {
        // A descriptor of a path alone takes no fchmod; its entry in /proc leads to the very same folder and nowhere else.
        let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777 | 0o700);
        let _ = rustix::fs::chmod(format!("/proc/self/fd/{number}"), mode);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_tree_deeper_than_there_are_descriptors_goes_with_what_a_removal_before_has_left() {
        let top = tempfile::tempdir().unwrap();
        let tree = top.path().join("tree");
        fs::create_dir_all(tree.join("n1/n2/n3/x")).unwrap();
        fs::create_dir_all(tree.join("n2/n1")).unwrap();
        fs::write(tree.join("n3"), "a file").unwrap();
        fs::create_dir_all(tree.join("closed/below")).unwrap();
        fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::symlink(top.path(), tree.join("link")).unwrap();
        fs::write(top.path().join("beside"), "stays").unwrap();
        let mut at: OwnedFd = fs::File::open(&tree).unwrap().into();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o755)).unwrap();
            at = rustix::fs::openat(&at, "d", FOLDER, Mode::empty()).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && top.path().join("beside").exists());
        std::os::unix::fs::symlink(top.path(), &tree).unwrap();
        assert!(remove_tree(&tree).is_err() && top.path().join("beside").exists(), "a link is no folder");
    }
}
