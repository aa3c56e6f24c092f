//! A folder of the computer's seen from the host, by its descriptor: the only way in which anything outside the box touches
//! files that programs inside can change. Everything below is reached without following a symbolic link and without leaving
//! the folder, whatever is done to the tree meanwhile. It never resolves a path from the root.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// How often a lookup is tried again that a rename elsewhere disturbed.
const DISTURBED_MAX: usize = 32;

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder that the person named: links on the way to it are theirs.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens a regular file below; never waits for a FIFO's other end.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let file = self.lookup(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        if kind != FileType::RegularFile {
            let what = if kind == FileType::Directory { "it is a folder" } else { "it is not a regular file" };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(File::from(file))
    }

    /// The folders and the regular files directly in this one, by name; what has no name in UTF-8 is left out.
    pub fn entries(&self) -> io::Result<(Vec<String>, Vec<String>)> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // Not every file system tells the kind with the name; links and the rest stay out either way.
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let known = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(known.st_mode)
                }
                kind => kind,
            };
            match kind {
                FileType::Directory if !matches!(name, "." | "..") => folders.push(name.to_owned()),
                FileType::RegularFile => files.push(name.to_owned()),
                // Links, pipes, sockets and devices are nothing that anybody outside reads.
                _ => {}
            }
        }
        folders.sort_unstable();
        files.sort_unstable();
        Ok((folders, files))
    }

    /// Every name directly in this folder, in order, with its kind: a link is a link.
    pub fn names(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    // It may be gone again.
                    let Ok(known) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                    FileType::from_raw_mode(known.st_mode)
                }
                kind => kind,
            };
            let kind = match kind {
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                _ => Kind::File,
            };
            names.push((name.to_owned(), kind));
        }
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(names)
    }

    /// Where a link directly in this folder points, which is not followed.
    pub fn target(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// What is known of an entry directly in this folder, itself where it is a link.
    pub fn about(&self, name: &str) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens a folder below that is there.
    pub fn existing(&self, path: &Path) -> io::Result<Self> {
        Ok(Self(self.lookup(path, OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    /// Opens a folder below, made if it is not there.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        let mut at = Self(self.0.try_clone()?);
        for component in path.components() {
            let Component::Normal(name) = component else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the folder"));
            };
            match rustix::fs::mkdirat(&at.0, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = Self(at.lookup(Path::new(name), OFlags::RDONLY | OFlags::DIRECTORY)?);
        }
        Ok(at)
    }

    /// Lets everybody look into this folder, whatever the umask says.
    pub fn readable_by_all(&self) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(0o755))?)
    }

    /// Makes a new file for writing directly in this folder; a left-over of the same name goes.
    pub fn create(&self, name: &str) -> io::Result<File> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?))
    }

    /// Gives a file in this folder its final name and makes that durable.
    pub fn rename(&self, from: &str, to: &str, over: Over) -> io::Result<()> {
        let flags = match over {
            Over::Nothing => RenameFlags::NOREPLACE,
            Over::Known => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, flags) {
            // A file system that does not know the flag: a link refuses an existing name just as well.
            Err(Errno::INVAL | Errno::NOSYS) if over == Over::Nothing => {
                rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.0, from, AtFlags::empty())?;
            }
            other => other?,
        }
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Removes a file of this folder if it is there.
    pub fn remove(&self, name: &str) {
        // What is left over is only a file that nobody asked for.
        let _ = rustix::fs::unlinkat(&self.0, name, AtFlags::empty());
    }

    fn lookup(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < DISTURBED_MAX => tries += 1,
                Err(Errno::LOOP) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, or behind one"));
                }
                Err(Errno::NXIO) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
                }
                other => return Ok(other?),
            }
        }
    }
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    /// A symbolic link.
    Link,
    /// A file, or what else is no folder.
    File,
}

/// What a rename may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing: an existing name is an error.
    Nothing,
    /// A file that was looked at and may go.
    Known,
}
