//! Letting go of checkpoints: what is reached from those that are to be kept stays, the rest goes, and what remains of half-empty packs moves together.
//! New packs are on the disk before those go that they were made of, a few at a time: a kill in between costs room and nothing else, and a disk that is nearly full has enough.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;

use super::listing::{Kind, Part};
use super::manifest::{self, Manifest};
use super::pack::{ChunkId, Packs, Sealed, Writer};
use super::{Id, Store, draft, garbled};
use crate::{Error, Result};

/// Packs smaller than this are joined when there are many.
const SMALL_PACK_BYTES: u64 = 4 << 20;
/// So many small packs may lie there.
const SMALL_PACKS_MAX: usize = 32;

/// What came of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Checkpoints that went.
    pub checkpoints: u64,
    /// Files that a writer that died had not come to the end of.
    pub drafts: u64,
    /// Packs that went, and such as were made from what they held.
    pub packs: u64,
    /// Bytes of the store before.
    pub bytes_before: u64,
    /// Bytes of the store after.
    pub bytes_after: u64,
}

impl Swept {
    /// Nothing went, and nothing was joined.
    pub fn is_nothing(&self) -> bool {
        self.checkpoints == 0 && self.drafts == 0 && self.packs == 0
    }
}

impl Store {
    /// Whether a file lies here that nobody is writing and nobody wrote to its end. Changes nothing.
    pub fn has_drafts(&self) -> bool {
        if draft::drafts(&self.folder).next().is_none() {
            return false;
        }
        // Whoever writes one holds this.
        self.lock_file("writer").is_ok_and(|lock| lock.try_lock().is_ok())
    }

    /// Lets go of every checkpoint that is not in `keep`, and of what only they needed. Does nothing while somebody reads.
    ///
    /// # Errors
    /// If one that is to be kept cannot be read: then nothing is let go at all.
    pub fn sweep(&self, keep: &[Id]) -> Result<Option<Swept>> {
        if !self.folder.is_dir() {
            return Ok(Some(Swept::default()));
        }
        let _writer = self.writer_lock()?;
        let in_use = self.lock_file("in-use")?;
        if in_use.try_lock().is_err() {
            return Ok(None);
        }
        let bytes_before = self.bytes()?;
        let mut swept = Swept { bytes_before, drafts: draft::sweep(&self.folder), ..Swept::default() };
        let mut packs = Packs::open(&self.folder)?;
        let there = manifest::all(&self.folder)?;
        let kept: HashSet<Id> = keep.iter().copied().filter(|id| there.contains(id)).collect();
        let live = self.reached(&kept, &mut packs)?;
        for id in there.iter().filter(|id| !kept.contains(id)) {
            self.remove(&manifest::file_name(id))?;
            swept.checkpoints += 1;
        }
        // They are gone for good before anything goes that they named.
        self.sync()?;
        swept.packs = self.join(&live, &mut packs)?;
        swept.bytes_after = self.bytes()?;
        Ok(Some(swept))
    }

    /// Every chunk that a checkpoint to be kept needs.
    fn reached(&self, kept: &HashSet<Id>, packs: &mut Packs) -> Result<HashSet<ChunkId>> {
        let mut live = HashSet::new();
        for id in kept {
            let manifest = Manifest::load(&self.folder, id)?;
            live.extend(manifest.chunks()?);
            for entry in manifest.listing(packs)?.entries() {
                if let Kind::File { parts, .. } = entry.map_err(garbled)?.kind {
                    live.extend(parts.iter().filter_map(|part| match part {
                        Part::Chunk(id, _) => Some(*id),
                        Part::Hole(_) => None,
                    }));
                }
            }
        }
        Ok(live)
    }

    /// Takes away packs that nothing needs, and makes one of what is left in those that are half empty, or small and many.
    fn join(&self, live: &HashSet<ChunkId>, packs: &mut Packs) -> Result<u64> {
        let mut needed: HashMap<usize, Vec<(u64, ChunkId)>> = HashMap::new();
        let mut bytes: HashMap<usize, (u64, u64)> = HashMap::new();
        for (id, place) in &packs.index {
            let (all, used) = bytes.entry(place.pack).or_default();
            *all += u64::from(place.stored);
            if live.contains(id) {
                *used += u64::from(place.stored);
                needed.entry(place.pack).or_default().push((place.offset, *id));
            }
        }
        let whole: HashSet<&str> = packs.damaged.iter().map(|(name, _)| name.as_str()).collect();
        let numbers = (0..packs.names.len()).filter(|number| !whole.contains(packs.names[*number].as_str()));
        let numbers: Vec<usize> = numbers.collect();
        let size = |number: &usize| bytes.get(number).copied().unwrap_or_default();
        let small = |number: &usize| needed.contains_key(number) && size(number).0 < SMALL_PACK_BYTES;
        let many = numbers.iter().filter(|number| small(number)).count() > SMALL_PACKS_MAX;
        let half_empty = |number: &usize| {
            let (all, used) = size(number);
            used < all / 2 || !needed.contains_key(number)
        };
        let going: Vec<usize> = numbers.iter().copied().filter(half_empty).collect();
        let joined = numbers.iter().copied().filter(|number| many && small(number) && !half_empty(number));
        let joined: Vec<usize> = joined.collect();
        let gone = (going.len() + joined.len()) as u64;
        // The disk may be full: what gives room comes before what takes some, and what takes little before what takes more.
        let (useless, mut going): (Vec<usize>, Vec<usize>) =
            going.into_iter().partition(|number| !needed.contains_key(number));
        going.sort_unstable_by_key(|number| size(number).1);
        self.renew(&useless, &mut needed, packs)?;
        let won = |numbers: &[usize]| numbers.iter().map(|number| size(number).0 - size(number).1).sum::<u64>();
        let mut room = won(&useless);
        let mut line = VecDeque::from(going);
        while let Some(first) = line.pop_front() {
            let (mut batch, mut takes) = (vec![first], size(&first).1);
            while let Some(next) = line.pop_front_if(|next| takes + size(next).1 <= room) {
                takes += size(&next).1;
                batch.push(next);
            }
            self.renew(&batch, &mut needed, packs)?;
            room += won(&batch);
        }
        self.renew(&joined, &mut needed, packs)?;
        Ok(gone)
    }

    /// Makes new packs of what is needed of some, and takes those away once the new ones are on the disk.
    fn renew(
        &self,
        going: &[usize],
        needed: &mut HashMap<usize, Vec<(u64, ChunkId)>>,
        packs: &mut Packs,
    ) -> Result<()> {
        let mut writer = Writer::new(&self.folder);
        for number in going {
            let mut chunks = needed.remove(number).unwrap_or_default();
            chunks.sort_unstable();
            for (_, id) in chunks {
                let raw = packs.raw_bytes(&id).unwrap_or_default() as usize;
                let stored = packs.stored(&id)?;
                if !writer.has(&id) {
                    writer.put_stored(id, &stored, raw)?;
                }
            }
        }
        let sealed = writer.seal()?;
        sealed.iter().try_for_each(Sealed::sync)?;
        let made: Vec<String> = sealed.iter().map(|pack| pack.file_name().to_owned()).collect();
        sealed.into_iter().try_for_each(Sealed::name)?;
        if !made.is_empty() {
            self.sync()?;
        }
        for number in going {
            // Open, it would keep its room.
            packs.close(*number);
            // What was made of a pack may be that very pack.
            if !made.contains(&packs.names[*number]) {
                self.remove(&packs.names[*number])?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::remove_file(&path).map_err(Error::io(format!("remove {}", path.display())))
    }

    /// Bytes of everything in the store.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn bytes(&self) -> Result<u64> {
        let failed = || Error::io(format!("list {}", self.folder.display()));
        let mut bytes = 0;
        if self.folder.is_dir() {
            for entry in fs::read_dir(&self.folder).map_err(failed())? {
                bytes += entry.and_then(|entry| entry.metadata()).map_err(failed())?.len();
            }
        }
        Ok(bytes)
    }

    /// Gives another store one of the checkpoints. Where both lie on one file system nothing is copied: packs are immutable, and a further name is
    /// as good as a copy.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`], [`Error::Io`].
    pub fn give(&self, id: &Id, other: &Self) -> Result<()> {
        let _in_use = self.use_lock()?;
        other.make()?;
        let _writer = other.writer_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        let live = self.reached(&HashSet::from([*id]), &mut packs)?;
        let mut needed = HashSet::new();
        for chunk in &live {
            needed.insert(packs.index.get(chunk).ok_or_else(|| packs.missing())?.pack);
        }
        for number in needed {
            let name = &packs.names[number];
            let (from, to) = (self.folder.join(name), other.folder.join(name));
            match fs::hard_link(&from, &to) {
                Ok(()) => {}
                Err(_) if to.exists() => {}
                Err(_) => copy(&from, other, name)?,
            }
        }
        other.sync()?;
        let name = manifest::file_name(id);
        copy(&self.folder.join(&name), other, &name)?;
        other.sync()
    }
}

fn copy(from: &std::path::Path, to: &Store, name: &str) -> Result<()> {
    let mut draft = draft::Draft::new(&to.folder)?;
    let copied = fs::File::open(from).and_then(|mut file| std::io::copy(&mut file, &mut draft.file));
    copied.map_err(Error::io(format!("copy {}", from.display())))?;
    draft.sync()?;
    draft.name(name)
}
