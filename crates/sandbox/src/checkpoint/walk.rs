//! A way through a tree that others change meanwhile, in the order of a listing. Every step is by descriptor and name, never through a link, never
//! to another file system; however deep and wide it is made, it holds few descriptors. It reads no file.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::Errno;

use super::listing::Left;
use crate::{Error, Result};

/// The longest path that one system call can name.
pub(super) const PATH_BYTES_MAX: usize = 4095;
/// Folders kept open on the way down; those above are found again by path, and known by their number.
const OPEN_MAX: usize = 64;
/// How often a name that changes under our eyes is looked at again.
const LOOKS_MAX: usize = 4;
const NAMES_BUFFER_BYTES: usize = 32 * 1024;
/// What a restore works in, at the top of a tree; it is no part of it.
pub(super) const STAGE: &[u8] = b".thenar-restore";

/// What was met.
pub(super) struct Met {
    /// From the top, which is met first, with the empty path.
    pub(super) path: Vec<u8>,
    pub(super) stat: Stat,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Folder,
    File,
    Symlink,
    /// Nothing that can be looked into.
    Left(Left),
}

/// There are more entries than the walk may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

pub(super) struct Walk {
    top: OwnedFd,
    device: u64,
    levels: Vec<Level>,
    path: Vec<u8>,
    /// What may still be met, beside what is known by name already.
    entries_left: u64,
    too_many: bool,
    /// Places where the tree changed on the way.
    pub(super) disturbed: u64,
    buffer: Vec<MaybeUninit<u8>>,
}

struct Level {
    /// Closed while the walk is far below.
    fd: Option<OwnedFd>,
    number: u64,
    path_bytes: usize,
    /// Sorted from the last to the first.
    names: Vec<Box<[u8]>>,
}

impl Walk {
    /// Begins at a folder that the person named, or that is ours: links on the way to it count.
    pub(super) fn begin(top: &Path, entries_max: u64) -> Result<(Self, Met)> {
        let failed = || Error::io(format!("look into {}", top.display()));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(top, flags, Mode::empty()).map_err(|error| failed()(error.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| failed()(error.into()))?;
        let mut walk = Self {
            top: fd.try_clone().map_err(failed())?,
            device: stat.st_dev,
            levels: Vec::new(),
            path: Vec::new(),
            entries_left: entries_max,
            too_many: false,
            disturbed: 0,
            buffer: vec![MaybeUninit::uninit(); NAMES_BUFFER_BYTES],
        };
        let names = walk.names(fd.as_fd()).map_err(|error| failed()(error.into()))?;
        // Said when the first of them is asked for.
        walk.too_many = walk.count(&names).is_err();
        walk.levels.push(Level { fd: Some(fd), number: stat.st_ino, path_bytes: 0, names });
        Ok((walk, Met { path: Vec::new(), stat, what: What::Folder }))
    }

    /// Where the walk is: the folder that was met last, or the one in which something else was met.
    pub(super) fn opened(&self) -> Option<BorrowedFd<'_>> {
        self.levels.last()?.fd.as_ref().map(AsFd::as_fd)
    }

    /// What is met next.
    pub(super) fn next(&mut self) -> Result<Option<Met>, TooMany> {
        loop {
            if self.too_many {
                return Err(TooMany);
            }
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let path_bytes = level.path_bytes;
            if level.fd.is_none() && !self.find_again() {
                self.disturbed += 1;
                self.levels.pop();
                continue;
            }
            self.path.truncate(path_bytes);
            if path_bytes > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&name);
            if let Some(met) = self.meet(&name)? {
                return Ok(Some(met));
            }
        }
    }

    /// Looks at a name in the lowest folder; a folder is opened at once, so that what is said of it is true of what is walked.
    fn meet(&mut self, name: &[u8]) -> Result<Option<Met>, TooMany> {
        for _ in 0..LOOKS_MAX {
            let Some(folder) = self.opened() else { return Ok(None) };
            let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Gone since its name was read.
                Err(_) => return Ok(None),
            };
            let met = |stat, what| Ok(Some(Met { path: self.path.clone(), stat, what }));
            if stat.st_dev != self.device {
                return met(stat, What::Left(Left::Elsewhere));
            }
            if self.path.len() > PATH_BYTES_MAX {
                return met(stat, What::Left(Left::TooMuch));
            }
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => return met(stat, What::File),
                FileType::Symlink => return met(stat, What::Symlink),
                FileType::Directory => {}
                _ => return met(stat, What::Left(Left::Special)),
            }
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(folder, name, flags, Mode::empty())
                .and_then(|fd| rustix::fs::fstat(&fd).map(|stat| (fd, stat)));
            match opened {
                Ok((_, stat)) if stat.st_dev != self.device => return met(stat, What::Left(Left::Elsewhere)),
                Ok((fd, stat)) => return Ok(Some(self.descend(fd, stat)?)),
                Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => self.disturbed += 1,
                Err(_) => return met(stat, What::Left(Left::Unreadable)),
            }
        }
        // It never holds still: whoever plays this game loses the entry, and nobody else anything.
        Ok(None)
    }

    fn descend(&mut self, fd: OwnedFd, stat: Stat) -> Result<Met, TooMany> {
        let names = match self.names(fd.as_fd()) {
            Ok(names) => names,
            Err(_) => return Ok(Met { path: self.path.clone(), stat, what: What::Left(Left::Unreadable) }),
        };
        self.count(&names)?;
        let deep = self.levels.len();
        if deep > OPEN_MAX {
            self.levels[deep - OPEN_MAX].fd = None;
        }
        self.levels.push(Level { fd: Some(fd), number: stat.st_ino, path_bytes: self.path.len(), names });
        Ok(Met { path: self.path.clone(), stat, what: What::Folder })
    }

    fn count(&mut self, names: &[Box<[u8]>]) -> Result<(), TooMany> {
        self.entries_left = self.entries_left.checked_sub(names.len() as u64).ok_or(TooMany)?;
        Ok(())
    }

    /// Opens the lowest folder again that was closed on the way down, if it is still where it was.
    fn find_again(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = beneath(self.top.as_fd(), &self.path[..level.path_bytes], flags);
        let same = found.and_then(|fd| {
            let stat = rustix::fs::fstat(&fd)?;
            Ok((stat.st_ino == level.number && stat.st_dev == self.device).then_some(fd))
        });
        level.fd = same.unwrap_or(None);
        level.fd.is_some()
    }

    /// The names in a folder, last first. No more of them are read than may be met, and one.
    fn names(&mut self, folder: BorrowedFd<'_>) -> Result<Vec<Box<[u8]>>, Errno> {
        let at_top = self.levels.is_empty();
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut raw = RawDir::new(folder, &mut self.buffer);
        while let Some(entry) = raw.next() {
            let name = entry?.file_name().to_bytes().to_owned();
            if matches!(&name[..], b"." | b"..") || at_top && name == STAGE {
                continue;
            }
            names.push(name.into());
            if names.len() as u64 > self.entries_left {
                break;
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(names)
    }
}

/// Opens what is below a folder, without leaving it and without following a link.
pub(super) fn beneath(top: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    let mut looks = 0;
    loop {
        match rustix::fs::openat2(top, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if looks < 32 => looks += 1,
            other => return other,
        }
    }
}
