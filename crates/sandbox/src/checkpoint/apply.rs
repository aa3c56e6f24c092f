//! The steps of a restore: entry by entry, what differs is removed, made, or dressed anew. Made things appear whole, moved in from the stage; every step is by descriptor, and no
//! link is followed. It does not judge what came out: that is looked at afterwards.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::attributes;
use super::listing::{Entry, Kind, Listing, Moment, Part, is_below, split};
use super::pack::Packs;
use super::pairs::{Pair, Pairs};
use super::restore::{Restore, Restored, stopped};
use super::stage::{Stage, loosen_opened};
use super::walk::beneath;
use crate::{Error, Result};

/// How often something that comes in the way is cleared.
const CLEARINGS_MAX: usize = 16;

/// Rounds of clearing after which somebody must be adding as we remove.
const ROUNDS_MAX: usize = 10_000;

/// The work of one restore.
pub(super) struct Apply<'a> {
    top: OwnedFd,
    owner: (u32, u32),
    stage: Stage,
    /// The stage is gone.
    closed: bool,
    packs: &'a mut Packs,
    stop: &'a AtomicBool,
    /// The folder in which something was done last.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Folders of the target, whose own modes and times come last.
    folders: Vec<Entry>,
    touched: BTreeSet<Vec<u8>>,
    /// Files that were made anew: further names of them have to be made anew too.
    replaced: HashSet<Vec<u8>>,
    /// What lies below is gone with it.
    gone: Option<Vec<u8>>,
    chunk: Vec<u8>,
    restored: Restored,
}

/// What may go wrong with one entry.
enum Trouble {
    /// Only with this one: the others go on.
    Here,
    /// With all of them.
    Everywhere(Error),
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO | Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
                Self::Everywhere(Error::io("put a file of the workspace back")(error.into()))
            }
            _ => Self::Here,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Everywhere(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(error) => error.into(),
            None => Self::Everywhere(Error::io("put a file of the workspace back")(error)),
        }
    }
}

impl<'a> Apply<'a> {
    pub(super) fn begin(restore: &Restore<'a>, packs: &'a mut Packs) -> Result<Self> {
        let failed = |error: Errno| Error::io(format!("work in {}", restore.tree.display()))(error.into());
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let top = rustix::fs::open(restore.tree, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&top).map_err(failed)?;
        loosen_opened(top.as_fd());
        let stage = Stage::open(top.as_fd()).map_err(failed)?;
        Ok(Self {
            top,
            owner: (stat.st_uid, stat.st_gid),
            stage,
            closed: false,
            packs,
            stop: restore.stop,
            parent: None,
            folders: Vec::new(),
            touched: BTreeSet::from([Vec::new()]),
            replaced: HashSet::new(),
            gone: None,
            chunk: Vec::new(),
            restored: Restored::default(),
        })
    }

    /// Takes everything out of the tree.
    pub(super) fn clear(&mut self) -> Result<()> {
        let failed = |error: Errno| Error::io("clear the workspace")(error.into());
        for _ in 0..ROUNDS_MAX {
            let mut names = super::stage::names(self.top.as_fd()).map_err(failed)?;
            names.retain(|name| name != super::walk::STAGE);
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.stage.remove(self.top.as_fd(), &name).map_err(failed)?;
            }
        }
        Err(failed(Errno::BUSY))
    }

    pub(super) fn all(&mut self, now: &Listing, target: &Listing) -> Result<()> {
        Pairs::of(now, target).each(|pair| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            match self.one(pair) {
                // It shows when all is looked at again.
                Ok(()) | Err(Trouble::Here) => Ok(()),
                Err(Trouble::Everywhere(error)) => Err(error),
            }
        })
    }

    fn one(&mut self, pair: Pair) -> Result<(), Trouble> {
        match pair {
            Pair::Here(now) => {
                if self.gone.as_ref().is_some_and(|gone| is_below(&now.path, gone)) {
                    return Ok(());
                }
                self.restored.changes.removed += 1;
                self.remove(&now.path)
            }
            // The top is there, whatever is known of it.
            Pair::There(wanted) if wanted.path.is_empty() => {
                self.folders.push(wanted);
                Ok(())
            }
            Pair::There(wanted) => {
                self.restored.changes.added += 1;
                self.put(wanted)
            }
            Pair::Both(now, wanted) => self.make_as(&now, wanted),
        }
    }

    fn make_as(&mut self, now: &Entry, wanted: Entry) -> Result<(), Trouble> {
        if self.gone.as_ref().is_some_and(|gone| is_below(&now.path, gone)) {
            return self.put(wanted);
        }
        if let (Kind::Folder, Kind::Folder) = (&now.kind, &wanted.kind) {
            if !now.is_as(&wanted) {
                self.restored.changes.changed += 1;
                self.touched.insert(wanted.path.clone());
            } else if now.mtime != wanted.mtime {
                self.touched.insert(wanted.path.clone());
            }
            self.folders.push(wanted);
            return Ok(());
        }
        let renewed = matches!(&wanted.kind, Kind::Same { path } if self.replaced.contains(path));
        if now.is_as(&wanted) && !renewed {
            return Ok(());
        }
        self.restored.changes.changed += 1;
        match &wanted.kind {
            // What was not kept cannot be had again; what stands there now is not ours to judge.
            Kind::Left(_) => Ok(()),
            Kind::File { .. } if now.kind == wanted.kind => match self.dress_in_place(&wanted) {
                Ok(()) => Ok(()),
                Err(_) => self.put(wanted),
            },
            Kind::File { .. } | Kind::Folder | Kind::Symlink { .. } | Kind::Same { .. } => {
                if matches!(now.kind, Kind::File { .. }) {
                    self.replaced.insert(wanted.path.clone());
                }
                if now.kind == Kind::Folder {
                    self.remove(&now.path)?;
                }
                self.put(wanted)
            }
        }
    }

    fn remove(&mut self, path: &[u8]) -> Result<(), Trouble> {
        let (folder, name) = split(path);
        self.gone = Some(path.to_vec());
        self.in_folder(folder, |apply, fd| Ok(apply.stage.remove(fd, name)?))
    }

    /// Makes an entry of the target, over whatever bears its name.
    fn put(&mut self, wanted: Entry) -> Result<(), Trouble> {
        let (folder, name) = split(&wanted.path);
        match &wanted.kind {
            Kind::Left(_) => Ok(()),
            Kind::Folder => {
                self.in_folder(folder, |apply, fd| {
                    for _ in 0..CLEARINGS_MAX {
                        match rustix::fs::mkdirat(fd, name, Mode::from_raw_mode(0o700)) {
                            Err(Errno::EXIST) => apply.stage.remove(fd, name)?,
                            other => return Ok(other?),
                        }
                    }
                    Err(Trouble::Here)
                })?;
                self.touched.insert(wanted.path.clone());
                self.folders.push(wanted);
                Ok(())
            }
            Kind::File { size, parts } => {
                let staged = self.stage.name();
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(self.stage.fd(), staged.as_str(), flags, Mode::from_raw_mode(0o600))?;
                let file = File::from(file);
                self.fill(&file, *size, parts)?;
                self.dress(&file, &wanted)?;
                self.move_in(&staged, folder, name)
            }
            Kind::Symlink { target } => {
                let staged = self.stage.name();
                rustix::fs::symlinkat(target.as_slice(), self.stage.fd(), staged.as_str())?;
                let (user, group) = self.owner_of(&wanted);
                let owned =
                    rustix::fs::chownat(self.stage.fd(), staged.as_str(), user, group, AtFlags::SYMLINK_NOFOLLOW);
                self.may_fail_for_users(owned)?;
                let times = times(wanted.mtime);
                rustix::fs::utimensat(self.stage.fd(), staged.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW)?;
                self.move_in(&staged, folder, name)
            }
            Kind::Same { path } => {
                let staged = self.stage.name();
                let (first_folder, first) = split(path);
                self.in_folder(first_folder, |apply, fd| {
                    Ok(rustix::fs::linkat(fd, first, apply.stage.fd(), staged.as_str(), AtFlags::empty())?)
                })?;
                self.move_in(&staged, folder, name)
            }
        }
    }

    /// Gives something staged its place.
    fn move_in(&mut self, staged: &str, folder: &[u8], name: &[u8]) -> Result<(), Trouble> {
        self.in_folder(folder, |apply, fd| {
            for _ in 0..CLEARINGS_MAX {
                match rustix::fs::renameat(apply.stage.fd(), staged, fd, name) {
                    Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => apply.stage.remove(fd, name)?,
                    other => return Ok(other?),
                }
            }
            Err(Trouble::Here)
        })
    }

    /// Does something in a folder of the tree, which it is reached without a link; its own user's modes are no obstacle.
    fn in_folder(
        &mut self,
        folder: &[u8],
        mut work: impl FnMut(&mut Self, BorrowedFd<'_>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if self.parent.as_ref().is_none_or(|(path, _)| path != folder) {
            self.parent = None;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let opened = match beneath(self.top.as_fd(), folder, flags) {
                Err(Errno::ACCESS) => {
                    self.loosen_all(folder);
                    beneath(self.top.as_fd(), folder, flags)?
                }
                other => other?,
            };
            if !rustix::process::geteuid().is_root() {
                loosen_opened(opened.as_fd());
            }
            self.parent = Some((folder.to_vec(), opened));
            self.touched.insert(folder.to_vec());
        }
        let Some((path, fd)) = self.parent.take() else { return Err(Trouble::Here) };
        let done = work(self, fd.as_fd());
        self.parent = Some((path, fd));
        done
    }

    fn loosen_all(&mut self, folder: &[u8]) {
        let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([folder.len()]) {
            if let Ok(fd) = beneath(self.top.as_fd(), &folder[..end], OFlags::PATH | OFlags::NOFOLLOW) {
                loosen_opened(fd.as_fd());
                self.touched.insert(folder[..end].to_vec());
            }
        }
    }

    fn fill(&mut self, file: &File, size: u64, parts: &[Part]) -> Result<(), Trouble> {
        let mut at = 0;
        for part in parts {
            match part {
                Part::Hole(bytes) => at += bytes,
                Part::Chunk(id, _) => {
                    self.packs.read(id, &mut self.chunk)?;
                    file.write_all_at(&self.chunk, at)?;
                    at += self.chunk.len() as u64;
                    self.restored.written_bytes += self.chunk.len() as u64;
                }
            }
        }
        if at != size {
            return Err(Trouble::Everywhere(Error::Invalid(
                "a checkpoint's file is not as long as it says".to_owned(),
            )));
        }
        // A hole at the end, or a file of holes.
        Ok(file.set_len(size)?)
    }

    /// Owner, mode, attributes and time of an open file or folder; the owner first, because changing it takes rights away.
    fn dress(&self, file: impl AsFd, wanted: &Entry) -> Result<(), Trouble> {
        let file = file.as_fd();
        if !wanted.path.is_empty() {
            let (user, group) = self.owner_of(wanted);
            self.may_fail_for_users(rustix::fs::fchown(file, user, group))?;
        }
        match attributes::write(file, &wanted.attributes) {
            // A file system without them.
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => self.may_fail_for_users(Err(error))?,
        }
        // After the attributes, which its own user may set only where the mode lets them write.
        rustix::fs::fchmod(file, Mode::from_raw_mode(wanted.mode))?;
        Ok(rustix::fs::futimens(file, &times(wanted.mtime))?)
    }

    fn dress_in_place(&mut self, wanted: &Entry) -> Result<(), Trouble> {
        let (folder, name) = split(&wanted.path);
        self.in_folder(folder, |apply, fd| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(fd, name, flags, Mode::empty())?;
            if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
                return Err(Trouble::Here);
            }
            apply.dress(&file, wanted)
        })
    }

    fn owner_of(&self, wanted: &Entry) -> (Option<Uid>, Option<Gid>) {
        let (user, group) = wanted.owner.unwrap_or(self.owner);
        (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
    }

    /// Only root gives files away; for everybody else they are their own.
    fn may_fail_for_users(&self, done: Result<(), Errno>) -> Result<(), Trouble> {
        match done {
            Err(Errno::PERM) if !rustix::process::geteuid().is_root() => Ok(()),
            other => Ok(other?),
        }
    }

    /// Finishes the folders, the deepest first; the stage goes before the top gets its time.
    pub(super) fn end(mut self) -> Result<Restored> {
        self.parent = None;
        let (folders, touched) = (std::mem::take(&mut self.folders), std::mem::take(&mut self.touched));
        for folder in folders.iter().rev().filter(|folder| touched.contains(&folder.path)) {
            if folder.path.is_empty() {
                self.close()?;
            }
            self.finish(folder)?;
        }
        self.close()?;
        Ok(std::mem::take(&mut self.restored))
    }

    fn close(&mut self) -> Result<()> {
        if !self.closed {
            let failed = |error: Errno| Error::io("clear what a restore worked in")(error.into());
            self.stage.close(self.top.as_fd()).map_err(failed)?;
            self.closed = true;
        }
        Ok(())
    }

    fn finish(&self, folder: &Entry) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let opened = beneath(self.top.as_fd(), &folder.path, flags);
        match opened.map_err(Trouble::from).and_then(|fd| self.dress(&fd, folder)) {
            Ok(()) | Err(Trouble::Here) => Ok(()),
            Err(Trouble::Everywhere(error)) => Err(error),
        }
    }
}

impl Drop for Apply<'_> {
    fn drop(&mut self) {
        // Of a restore that failed; where this fails too, the next one clears it.
        let _ = self.close();
    }
}

fn times(mtime: Moment) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    }
}
