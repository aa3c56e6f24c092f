//! A look at a whole tree: its listing, made with as little reading as can be, and what differs from the listing before. It writes nothing into the tree, and where chunks go is the caller's business.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::cut::{Cutter, Reading, Stopped};
use super::listing::{Entries, Entry, Kind, Left, Listing, Moment, Part, order};
use super::pack::{ChunkId, Packs, Writer};
use super::remembered::{Row, Tree, changed};
use super::times::{Times, Writers};
use super::walk::{Met, TooMany, Walk, What};
use super::{Bound, Bounds, Changes, Counts, garbled};
use crate::{Error, Result};

/// Bytes of a listing.
const LISTING_BYTES_MAX: usize = 64 << 20;
/// Bytes of the first paths of files that have several.
const NAMES_BYTES_MAX: usize = 64 << 20;
/// How often a file is read again that is written to meanwhile.
const READS_MAX: usize = 3;
/// The longest target of a symbolic link.
const TARGET_BYTES_MAX: usize = 4095;
/// Permissions that are kept: set-id bits of files are never made again, for nobody.
const FILE_MODE: u32 = 0o1777;
const FOLDER_MODE: u32 = 0o3777;

/// What becomes of chunks.
pub(super) enum Sink<'s, 'w> {
    /// Those that are in no pack go into new ones.
    Keep(&'s Packs, &'s mut Writer<'w>),
    /// They are named where this listing has a file of the same size at the same path; others are not read at all.
    Against(std::iter::Peekable<Entries<'s>>),
}

impl<'s> Sink<'s, '_> {
    pub(super) fn against(listing: &'s Listing) -> Self {
        Self::Against(listing.entries().peekable())
    }

    /// Whether a file's content has to be known. Paths come in order.
    fn wants(&mut self, path: &[u8], size: u64) -> bool {
        let Self::Against(entries) = self else { return true };
        while let Some(Ok(_)) =
            entries.next_if(|entry| entry.as_ref().is_ok_and(|entry| order(&entry.path, path).is_lt()))
        {}
        let there = entries.peek().and_then(|entry| entry.as_ref().ok()).filter(|entry| entry.path == path);
        there.is_some_and(|entry| match entry.kind {
            Kind::File { size: there, .. } => there == size,
            // Whether it can be kept now is only known by trying.
            Kind::Left(_) => true,
            Kind::Folder | Kind::Symlink { .. } | Kind::Same { .. } => false,
        })
    }
}

/// What was known before.
#[derive(Default)]
pub(super) struct Before<'a> {
    pub(super) listing: Option<&'a Listing>,
    /// In the order of that listing; empty where nothing is remembered of this tree.
    pub(super) rows: &'a [Row],
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) listing: Listing,
    pub(super) rows: Vec<Row>,
    pub(super) tree: Tree,
    pub(super) counts: Counts,
    pub(super) changes: Changes,
}

/// How a look ended.
#[derive(Debug)]
pub(super) enum Look {
    Seen(Scanned),
    /// The tree is more than may be kept.
    Over(Bound),
    Stopped,
}

/// What ends a look.
enum End {
    Over(Bound),
    Stopped,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The tree that `stat` is the top of.
pub(super) fn tree_of(stat: &Stat) -> Tree {
    Tree { device: stat.st_dev, number: stat.st_ino }
}

/// Looks at a tree. `rows_of` says what is remembered, once it is known which tree it is.
pub(super) fn scan<'a>(
    top: &Path,
    bounds: Bounds,
    stop: &'a AtomicBool,
    sink: Sink<'a, '_>,
    before: impl FnOnce(Tree) -> Before<'a>,
) -> Result<Look> {
    let (walk, met) = Walk::begin(top, bounds.entries.saturating_sub(1))?;
    let tree = tree_of(&met.stat);
    let Before { listing, rows } = before(tree);
    let seen = Scanned {
        listing: Listing::default(),
        rows: Vec::new(),
        tree,
        counts: Counts::default(),
        changes: Changes::default(),
    };
    let mut scan = Scan {
        sink,
        bounds,
        stop,
        owner: (met.stat.st_uid, met.stat.st_gid),
        times: Times::of(walk.opened()),
        old: Old { entries: listing.map(Listing::entries), rows: rows.iter(), next: None },
        names: HashMap::new(),
        names_bytes: 0,
        cutter: Cutter::new(stop),
        seen,
        walk,
    };
    match scan.all(met) {
        Ok(()) => {
            scan.seen.counts.disturbed += scan.walk.disturbed;
            Ok(Look::Seen(scan.seen))
        }
        Err(End::Over(bound)) => Ok(Look::Over(bound)),
        Err(End::Stopped) => Ok(Look::Stopped),
        Err(End::Failed(error)) => Err(error),
    }
}

/// The entries before, with what is remembered of them.
struct Old<'a> {
    entries: Option<Entries<'a>>,
    rows: std::slice::Iter<'a, Row>,
    next: Option<(Entry, Row)>,
}

impl Old<'_> {
    fn peek(&mut self) -> Result<Option<&(Entry, Row)>> {
        if self.next.is_none()
            && let Some(entry) = self.entries.as_mut().and_then(Iterator::next)
        {
            self.next = Some((entry.map_err(garbled)?, self.rows.next().copied().unwrap_or_default()));
        }
        Ok(self.next.as_ref())
    }
}

struct Scan<'a, 'w> {
    walk: Walk,
    sink: Sink<'a, 'w>,
    bounds: Bounds,
    stop: &'a AtomicBool,
    owner: (u32, u32),
    times: Times,
    old: Old<'a>,
    /// The first path of each file that has several.
    names: HashMap<u64, Vec<u8>>,
    /// Bytes of those paths.
    names_bytes: usize,
    cutter: Cutter<'a>,
    seen: Scanned,
}

impl Scan<'_, '_> {
    fn all(&mut self, top: Met) -> Result<(), End> {
        let mut next = Some(top);
        while let Some(met) = next {
            if self.stop.load(Ordering::Relaxed) {
                return Err(End::Stopped);
            }
            self.one(met)?;
            if self.seen.listing.bytes.len() > LISTING_BYTES_MAX {
                return Err(End::Over(Bound::Entries));
            }
            next = self.walk.next().map_err(|TooMany| End::Over(Bound::Entries))?;
        }
        while self.old.peek()?.is_some() {
            self.old.next = None;
            self.seen.changes.removed += 1;
        }
        Ok(())
    }

    fn one(&mut self, met: Met) -> Result<(), End> {
        let old = self.old_of(&met.path)?;
        let (old, row) = old.map_or((None, Row::default()), |(entry, row)| (Some(entry), row));
        let looked = Times::now();
        let made = self.entry(&met, old.as_ref(), row, looked)?;
        if met.stat.st_nlink > 1
            && !matches!(&made, Some((Entry { kind: Kind::File { .. } | Kind::Same { .. }, .. }, _)))
        {
            // Its other names cannot be said by this one.
            let name = self.names.remove(&met.stat.st_ino);
            self.names_bytes -= name.map_or(0, |name| name.len());
        }
        let Some((entry, row)) = made else { return Ok(()) };
        let counts = &mut self.seen.counts;
        match &entry.kind {
            Kind::Folder => counts.folders += u64::from(!entry.path.is_empty()),
            Kind::File { size, .. } => {
                counts.files += 1;
                counts.bytes = counts.bytes.saturating_add(*size);
            }
            Kind::Symlink { .. } | Kind::Same { .. } => counts.links += 1,
            Kind::Left(_) => counts.left_out += 1,
        }
        match &old {
            None => self.seen.changes.added += 1,
            Some(old) if !entry.is_as(old) => self.seen.changes.changed += 1,
            Some(_) => {}
        }
        self.seen.listing.push(&entry);
        self.seen.rows.push(row);
        Ok(())
    }

    /// The entry that stood at this path, counting those before it that are gone.
    fn old_of(&mut self, path: &[u8]) -> Result<Option<(Entry, Row)>> {
        while let Some((entry, _)) = self.old.peek()? {
            match order(&entry.path, path) {
                std::cmp::Ordering::Less => {
                    self.old.next = None;
                    self.seen.changes.removed += 1;
                }
                std::cmp::Ordering::Equal => return Ok(self.old.next.take()),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// What is to be said of something met; nothing where it is gone by now.
    fn entry(&mut self, met: &Met, old: Option<&Entry>, row: Row, looked: Moment) -> Result<Option<(Entry, Row)>, End> {
        let name = super::listing::split(&met.path).1;
        let known = old.filter(|old| row.knows(&met.stat) && same_kind(&old.kind, met.what));
        match met.what {
            What::Left(left) => Ok(Some((self.describe(met, &met.stat, Kind::Left(left), Vec::new()), Row::default()))),
            What::Folder => {
                let attributes = match known {
                    Some(known) => known.attributes.clone(),
                    None => self.walk.opened().map(super::attributes::read).unwrap_or_default(),
                };
                let row = if known.is_some() { row } else { Row::of(&met.stat, self.times, looked, Writers::None) };
                Ok(Some((self.describe(met, &met.stat, Kind::Folder, attributes), row)))
            }
            What::Symlink => {
                let (kind, row) = match known {
                    Some(known) => (known.kind.clone(), row),
                    None => {
                        let Some(folder) = self.walk.opened() else { return Ok(None) };
                        let Ok(target) = rustix::fs::readlinkat(folder, name, Vec::new()) else { return Ok(None) };
                        let target = target.into_bytes();
                        let fits = target.len() <= TARGET_BYTES_MAX;
                        let kind = if fits { Kind::Symlink { target } } else { Kind::Left(Left::TooMuch) };
                        (kind, Row::of(&met.stat, self.times, looked, Writers::None))
                    }
                };
                Ok(Some((self.describe(met, &met.stat, kind, Vec::new()), row)))
            }
            What::File => {
                if met.stat.st_nlink > 1 {
                    if let Some(path) = self.names.get(&met.stat.st_ino) {
                        let kind = Kind::Same { path: path.clone() };
                        return Ok(Some((self.describe(met, &met.stat, kind, Vec::new()), Row::default())));
                    }
                    self.names.insert(met.stat.st_ino, met.path.clone());
                    self.names_bytes += met.path.len();
                    if self.names_bytes > NAMES_BYTES_MAX {
                        return Err(End::Over(Bound::Entries));
                    }
                }
                if let Some(known) = known.filter(|known| self.has_all_of(known)) {
                    let (kind, attributes) = (known.kind.clone(), known.attributes.clone());
                    self.room_for(kind.data_bytes())?;
                    return Ok(Some((self.describe(met, &met.stat, kind, attributes), row)));
                }
                self.read(met, name, old)
            }
        }
    }

    fn describe(&self, met: &Met, stat: &Stat, kind: Kind, attributes: Vec<(Vec<u8>, Vec<u8>)>) -> Entry {
        let owner = (stat.st_uid, stat.st_gid);
        let folder = kind == Kind::Folder;
        Entry {
            path: met.path.clone(),
            mode: match kind {
                // A link has none of its own.
                Kind::Symlink { .. } => 0,
                _ => stat.st_mode & if folder { FOLDER_MODE } else { FILE_MODE },
            },
            mtime: Moment { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
            owner: (owner != self.owner).then_some(owner),
            attributes,
            kind,
        }
    }

    fn room_for(&mut self, data_bytes: u64) -> Result<(), End> {
        let counts = &mut self.seen.counts;
        counts.data_bytes = counts.data_bytes.saturating_add(data_bytes);
        if counts.data_bytes > self.bounds.bytes { Err(End::Over(Bound::Bytes)) } else { Ok(()) }
    }

    /// Whether what is known of a file can still be had.
    fn has_all_of(&self, entry: &Entry) -> bool {
        let Kind::File { parts, .. } = &entry.kind else { return false };
        match &self.sink {
            Sink::Against(_) => true,
            Sink::Keep(packs, _) => parts.iter().all(|part| match part {
                Part::Chunk(id, _) => packs.has(id),
                Part::Hole(_) => true,
            }),
        }
    }

    fn read(&mut self, met: &Met, name: &[u8], old: Option<&Entry>) -> Result<Option<(Entry, Row)>, End> {
        let size = u64::try_from(met.stat.st_size).unwrap_or(0);
        if !self.sink.wants(&met.path, size) {
            // Unlike any that is kept: its parts do not make up its size.
            let kind = Kind::File { size, parts: vec![Part::Hole(0)] };
            return Ok(Some((self.describe(met, &met.stat, kind, Vec::new()), Row::default())));
        }
        let Some(folder) = self.walk.opened() else { return Ok(None) };
        let file = match open_file(folder, name) {
            Ok(Some(file)) => file,
            // Something else by now, or gone: the next look will tell.
            Ok(None) | Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => {
                self.seen.counts.disturbed += 1;
                return Ok(None);
            }
            Err(_) => {
                let kind = Kind::Left(Left::Unreadable);
                return Ok(Some((self.describe(met, &met.stat, kind, Vec::new()), Row::default())));
            }
        };
        // Most of it may be as it was.
        let known = match old.map(|old| &old.kind) {
            Some(Kind::File { parts, .. }) => parts.as_slice(),
            _ => &[],
        };
        let mut reads = 1;
        loop {
            let looked = Times::now();
            let before = stat_of(&file)?;
            // Whoever comes after this to write is seen by the time that this leaves.
            let writers = self.times.writers(&file);
            let kind = match self.content(&file, &before, known) {
                Ok(kind) => kind,
                Err(Stopped::TooTorn) => Kind::Left(Left::TooMuch),
                Err(Stopped::Unreadable) => Kind::Left(Left::Unreadable),
                Err(Stopped::Asked) => return Err(End::Stopped),
                Err(Stopped::TooLarge) => return Err(End::Over(Bound::Bytes)),
                Err(Stopped::Taker(error)) => return Err(End::Failed(error)),
            };
            let attributes = super::attributes::read(&file);
            let after = stat_of(&file)?;
            let steady = changed(&before) == changed(&after) && before.st_size == after.st_size;
            if !steady && reads < READS_MAX {
                reads += 1;
                continue;
            }
            self.seen.counts.disturbed += u64::from(!steady);
            self.room_for(kind.data_bytes())?;
            let row = if steady { Row::of(&after, self.times, looked, writers) } else { Row::default() };
            return Ok(Some((self.describe(met, &after, kind, attributes), row)));
        }
    }

    fn content(&mut self, file: &File, stat: &Stat, known: &[Part]) -> Result<Kind, Stopped<Error>> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        let data_bytes_max = self.bounds.bytes.saturating_sub(self.seen.counts.data_bytes);
        let sink = &mut self.sink;
        let reading = Reading { file, size, allocated, data_bytes_max, known };
        let parts = self.cutter.cut(&reading, &mut |id, chunk| keep(sink, id, chunk))?;
        // What was read, where it became shorter or longer meanwhile.
        let size = parts
            .iter()
            .map(|part| match part {
                Part::Chunk(_, bytes) => u64::from(*bytes),
                Part::Hole(bytes) => *bytes,
            })
            .sum();
        Ok(Kind::File { size, parts })
    }
}

/// Puts a chunk where it is to go.
fn keep(sink: &mut Sink<'_, '_>, id: ChunkId, chunk: &[u8]) -> Result<()> {
    match sink {
        Sink::Keep(packs, writer) if !packs.has(&id) => writer.keep(id, chunk),
        Sink::Keep(..) | Sink::Against(_) => Ok(()),
    }
}

fn same_kind(kind: &Kind, what: What) -> bool {
    match what {
        What::Folder => *kind == Kind::Folder,
        What::File => matches!(kind, Kind::File { .. }),
        What::Symlink => matches!(kind, Kind::Symlink { .. }),
        What::Left(_) => false,
    }
}

/// Opens a regular file, whatever the name may have become: nothing else, and without a wait.
fn open_file(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<File>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only the owner may read without a trace.
        Err(Errno::PERM) => rustix::fs::openat(folder, name, flags, Mode::empty()),
        other => other,
    }?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    Ok((kind == FileType::RegularFile).then(|| File::from(file)))
}

fn stat_of(file: &File) -> Result<Stat> {
    rustix::fs::fstat(file.as_fd()).map_err(|error| Error::io("look at a file of the workspace")(error.into()))
}
