//! Looking into checkpoints: what is in them, what differs between two states, what a file held. It changes nothing.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::listing::{Entry, Kind, Listing, Part, is_below};
use super::manifest::Manifest;
use super::pack::Packs;
use super::pairs::{Pair, Pairs};
use super::remembered::Remembered;
use super::scan::{Before, Look, Sink, scan};
use super::{Bound, Bounds, Changes, Counts, Id, Store, garbled};
use crate::{Error, Folder, Result};

/// One state of a workspace.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a> {
    /// An empty one.
    Nothing,
    /// As a checkpoint has it.
    At(Id),
    /// As it is now.
    Now {
        /// The workspace.
        tree: &'a Path,
        /// Its latest checkpoint: what has not changed since is not opened.
        last: Option<Id>,
    },
}

/// What differs between two states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// All of it, counted; the top itself is not.
    pub changes: Changes,
    /// The first of them, by path.
    pub differences: Vec<Difference>,
}

/// One entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From the top.
    pub path: PathBuf,
    /// What it was; nothing where it was not there.
    pub before: Option<Seen>,
    /// What it is; nothing where it is gone.
    pub after: Option<Seen>,
}

/// What is said of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: EntryKind,
    /// Bytes of a file, of all its names; of others none.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, in milliseconds since 1970 (UTC).
    pub mtime_ms: i64,
}

/// Kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file, or a further name of one.
    File,
    /// A symbolic link.
    Symlink,
    /// There, and not kept.
    LeftOut,
}

/// Part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from where they were asked for.
    pub bytes: Vec<u8>,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Store {
    /// What a checkpoint holds, in numbers.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`].
    pub fn counts(&self, id: &Id) -> Result<Counts> {
        Ok(Manifest::load(&self.folder, id)?.counts)
    }

    /// What differs from one state to the other; at most `max` entries are named.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`], [`Error::Refused`] where the workspace is too large now.
    pub fn diff(&self, from: Side<'_>, to: Side<'_>, max: usize) -> Result<Diff> {
        let _in_use = self.use_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        // What is kept is read first: it says how much of what is there now has to be.
        let (from, to) = match (from, to) {
            (Side::Now { .. }, kept) => {
                let to = self.listing(kept, None, &mut packs)?;
                (self.listing(from, Some(&to), &mut packs)?, to)
            }
            (kept, other) => {
                let from = self.listing(kept, None, &mut packs)?;
                let to = self.listing(other, Some(&from), &mut packs)?;
                (from, to)
            }
        };
        let mut diff = Diff::default();
        Pairs::of(&from, &to).each(|pair| {
            let (before, after) = match pair {
                Pair::Both(before, after) if before.is_as(&after) => return Ok(()),
                Pair::Both(before, after) => (Some(before), Some(after)),
                Pair::Here(before) => (Some(before), None),
                Pair::There(after) => (None, Some(after)),
            };
            let Some(path) = before.as_ref().or(after.as_ref()).map(|entry| entry.path.clone()) else { return Ok(()) };
            if path.is_empty() {
                return Ok(());
            }
            match (&before, &after) {
                (None, _) => diff.changes.added += 1,
                (Some(_), None) => diff.changes.removed += 1,
                (Some(_), Some(_)) => diff.changes.changed += 1,
            }
            if diff.differences.len() < max {
                let path = PathBuf::from(OsString::from_vec(path));
                let (before, after) = (before.as_ref().map(seen), after.as_ref().map(seen));
                diff.differences.push(Difference { path, before, after });
            }
            Ok(())
        })?;
        Ok(diff)
    }

    /// What lies directly in a folder of a checkpoint, by name; at most `max` entries. Nothing where there is no such folder.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`].
    pub fn entries(&self, id: Id, folder: &Path, max: usize) -> Result<Option<Vec<(OsString, Seen)>>> {
        let _in_use = self.use_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        let listing = self.listing(Side::At(id), None, &mut packs)?;
        let folder = folder.as_os_str().as_bytes();
        let mut found = None;
        for entry in listing.entries() {
            let entry = entry.map_err(garbled)?;
            if entry.path == folder && entry.kind == Kind::Folder {
                found = Some(Vec::new());
            } else if let Some(found) = &mut found {
                if !is_below(&entry.path, folder) || found.len() >= max {
                    break;
                }
                let name = if folder.is_empty() { &entry.path[..] } else { &entry.path[folder.len() + 1..] };
                if !name.contains(&b'/') {
                    found.push((OsString::from_vec(name.to_vec()), seen(&entry)));
                }
            }
        }
        Ok(found)
    }

    /// Part of a file of a state: at most `max` bytes from `offset`. Nothing where there is no such file.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`], [`Error::Io`].
    pub fn read_file(&self, side: Side<'_>, path: &Path, offset: u64, max: usize) -> Result<Option<Piece>> {
        match side {
            Side::Nothing => Ok(None),
            Side::Now { tree, .. } => read_now(tree, path, offset, max),
            Side::At(id) => {
                let _in_use = self.use_lock()?;
                let mut packs = Packs::open(&self.folder)?;
                let listing = self.listing(Side::At(id), None, &mut packs)?;
                let mut wanted = path.as_os_str().as_bytes().to_vec();
                // A further name leads to the first, which stands before it.
                for _ in 0..2 {
                    match find(&listing, &wanted)? {
                        Some(Kind::File { size, parts }) => {
                            let bytes = read_parts(&mut packs, &parts, offset, max)?;
                            return Ok(Some(Piece { bytes, size }));
                        }
                        Some(Kind::Same { path }) => wanted = path,
                        Some(Kind::Folder | Kind::Symlink { .. } | Kind::Left(_)) | None => return Ok(None),
                    }
                }
                Ok(None)
            }
        }
    }

    /// The listing of a state. Of what is there now, only files are read that `other` might have alike.
    pub(super) fn listing(&self, side: Side<'_>, other: Option<&Listing>, packs: &mut Packs) -> Result<Listing> {
        let (tree, last) = match side {
            Side::Nothing => return Ok(Listing::default()),
            Side::At(id) => return Manifest::load(&self.folder, &id)?.listing(packs),
            Side::Now { tree, last } => (tree, last),
        };
        let known = last.and_then(|id| Manifest::load(&self.folder, &id).ok()?.listing(packs).ok());
        let remembered = Remembered::load(&self.folder).filter(|known| Some(known.checkpoint) == last);
        let before = |tree| Before {
            listing: known.as_ref(),
            rows: remembered.as_ref().filter(|known| known.tree == tree).map_or(&[], |known| &known.rows),
        };
        let nothing = Listing::default();
        let sink = Sink::against(other.unwrap_or(&nothing));
        let bounds = Bounds { bytes: u64::MAX, ..Bounds::default() };
        match scan(tree, bounds, &AtomicBool::new(false), sink, before)? {
            Look::Seen(seen) => Ok(seen.listing),
            Look::Over(Bound::Entries | Bound::Bytes) | Look::Stopped => {
                Err(Error::Refused(format!("the workspace has more than {} entries", bounds.entries)))
            }
        }
    }
}

fn seen(entry: &Entry) -> Seen {
    let (kind, bytes) = match &entry.kind {
        Kind::Folder => (EntryKind::Folder, 0),
        Kind::File { size, .. } => (EntryKind::File, *size),
        Kind::Same { .. } => (EntryKind::File, 0),
        Kind::Symlink { .. } => (EntryKind::Symlink, 0),
        Kind::Left(_) => (EntryKind::LeftOut, 0),
    };
    let mtime_ms = entry.mtime.seconds.saturating_mul(1000).saturating_add(i64::from(entry.mtime.nanos / 1_000_000));
    Seen { kind, bytes, mode: entry.mode, mtime_ms }
}

fn find(listing: &Listing, path: &[u8]) -> Result<Option<Kind>> {
    for entry in listing.entries() {
        let entry = entry.map_err(garbled)?;
        if entry.path == path {
            return Ok(Some(entry.kind));
        }
    }
    Ok(None)
}

fn read_parts(packs: &mut Packs, parts: &[Part], offset: u64, max: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut chunk = Vec::new();
    let mut at = 0_u64;
    for part in parts {
        let length = match part {
            Part::Chunk(_, bytes) => u64::from(*bytes),
            Part::Hole(bytes) => *bytes,
        };
        let end = at.saturating_add(length);
        let skip = offset.saturating_sub(at);
        if skip < length {
            let room = (max - out.len()) as u64;
            let take = usize::try_from((length - skip).min(room)).unwrap_or(max);
            match part {
                Part::Hole(_) => out.resize(out.len() + take, 0),
                Part::Chunk(id, _) => {
                    packs.read(id, &mut chunk)?;
                    let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
                    out.extend_from_slice(&chunk[skip..(skip + take).min(chunk.len())]);
                }
            }
        }
        if out.len() >= max {
            break;
        }
        at = end;
    }
    Ok(out)
}

fn read_now(tree: &Path, path: &Path, offset: u64, max: usize) -> Result<Option<Piece>> {
    let failed = || Error::io(format!("open {}", tree.display()));
    let folder = Folder::open(tree).map_err(failed())?;
    let Ok(file) = folder.file(path) else { return Ok(None) };
    let size = file.metadata().map_err(failed())?.len();
    let mut bytes = vec![0; max.min(usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX))];
    let mut held = 0;
    while held < bytes.len() {
        match file.read_at(&mut bytes[held..], offset + held as u64) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed()(error)),
        }
    }
    bytes.truncate(held);
    Ok(Some(Piece { bytes, size }))
}
