//! Taking a checkpoint: look, keep what is new, make it durable, give it its name. In this order, so that a name always stands for something whole.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::cut::{LISTING_CUTS, length};
use super::listing::Listing;
use super::manifest::{self, Manifest};
use super::pack::{ChunkId, Packs, Sealed, Writer};
use super::remembered::Remembered;
use super::scan::{Before, Look, Scanned, Sink, scan};
use super::{Bounds, Checkpoint, Counts, Id, Store, Taken, draft};
use crate::{Error, Result};

/// What is to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a> {
    /// The workspace.
    pub tree: &'a Path,
    /// The checkpoint before, with which this one is compared.
    pub last: Option<Id>,
    /// How much may be kept.
    pub bounds: Bounds,
    /// Set, it ends the taking; nothing comes of it then.
    pub stop: &'a AtomicBool,
}

/// How far a taking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The workspace was read: it may be changed from here on.
    Read,
    /// All is in files that have no name yet.
    Written,
    /// They are on the disk.
    Synced,
    /// The chunks have their names.
    Packed,
    /// The checkpoint has its name: it is there.
    Named,
    /// And that too is on the disk.
    Durable,
}

impl Store {
    /// Takes a checkpoint of a workspace. `step` is told how far it is.
    ///
    /// # Errors
    /// If the workspace's top cannot be looked into, or the store cannot be written. The checkpoints before are as they were.
    pub fn take(&self, take: &Take<'_>, step: &mut dyn FnMut(Step)) -> Result<Taken> {
        self.make()?;
        let _writer = self.writer_lock()?;
        let _in_use = self.use_lock()?;
        draft::sweep(&self.folder);
        let mut packs = Packs::open(&self.folder)?;
        // One that cannot be read is as good as none: everything is then read and kept again.
        let last =
            take.last.and_then(|id| Some((id, Manifest::load(&self.folder, &id).ok()?.listing(&mut packs).ok()?)));
        let listing = last.as_ref().map(|(_, listing)| listing);
        let remembered = Remembered::load(&self.folder).filter(|known| Some(known.checkpoint) == take.last);
        let before = |tree| Before {
            listing,
            rows: remembered.as_ref().filter(|known| known.tree == tree).map_or(&[], |known| &known.rows),
        };
        let mut writer = Writer::new(&self.folder);
        let seen = match scan(take.tree, take.bounds, take.stop, Sink::Keep(&packs, &mut writer), before)? {
            Look::Seen(seen) => seen,
            Look::Over(bound) => return Ok(Taken::Over(bound)),
            Look::Stopped => return Ok(Taken::Stopped),
        };
        step(Step::Read);
        if take.last.is_none() && seen.counts == Counts::default() {
            return Ok(Taken::Same);
        }
        if let Some((id, _)) = last
            && seen.changes.is_none()
        {
            // Chunks that were lost and have just been seen again.
            let sealed = writer.seal()?;
            if !sealed.is_empty() {
                self.name_packs(sealed)?;
                self.sync()?;
            }
            self.remember(id, &seen, remembered.as_ref())?;
            return Ok(Taken::Same);
        }
        let chunks = keep_listing(&seen.listing, &packs, &mut writer)?;
        let (id, bytes) = Manifest::new(seen.counts, &chunks).seal()?;
        let stored_bytes = self.write((id, &bytes), writer, take.last.is_none(), step)?;
        self.remember(id, &seen, None)?;
        Ok(Taken::New(Checkpoint { id, counts: seen.counts, changes: seen.changes, stored_bytes }))
    }

    /// Makes chunks and checkpoint durable and gives them their names; how much was written.
    fn write(
        &self,
        (id, bytes): (Id, &[u8]),
        mut writer: Writer<'_>,
        first: bool,
        step: &mut dyn FnMut(Step),
    ) -> Result<u64> {
        let sealed = writer.seal()?;
        let draft = Manifest::draft(&self.folder, bytes)?;
        step(Step::Written);
        // At once, they wait for the disk together.
        std::thread::scope(|scope| {
            let draft = scope.spawn(|| draft.sync());
            let packs = sealed.iter().try_for_each(Sealed::sync);
            draft.join().unwrap_or_else(|_| Err(Error::Invalid("whoever synced a checkpoint died".to_owned())))?;
            packs
        })?;
        step(Step::Synced);
        sealed.into_iter().try_for_each(Sealed::name)?;
        step(Step::Packed);
        draft.name(&manifest::file_name(&id))?;
        step(Step::Named);
        self.sync()?;
        if first {
            // The folder itself may be as new as what is in it.
            self.folder.parent().map_or(Ok(()), super::sync_folder)?;
        }
        step(Step::Durable);
        Ok(writer.bytes + bytes.len() as u64)
    }

    fn name_packs(&self, sealed: Vec<Sealed>) -> Result<()> {
        sealed.iter().try_for_each(Sealed::sync)?;
        sealed.into_iter().try_for_each(Sealed::name)
    }

    /// Keeps what was seen for the next time, where it differs from what is kept.
    fn remember(&self, checkpoint: Id, seen: &Scanned, known: Option<&Remembered>) -> Result<()> {
        let as_known = |known: &Remembered| known.tree == seen.tree && known.rows == seen.rows;
        if known.is_some_and(as_known) {
            return Ok(());
        }
        Remembered { checkpoint, tree: seen.tree, rows: seen.rows.clone() }.save(&self.folder)
    }
}

/// Cuts a listing and keeps what is new of it.
fn keep_listing(listing: &Listing, packs: &Packs, writer: &mut Writer<'_>) -> Result<Vec<(ChunkId, u32)>> {
    let mut rest = listing.bytes.as_slice();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(length(rest, LISTING_CUTS));
        let id = *blake3::hash(chunk).as_bytes();
        if !packs.has(&id) {
            writer.keep(id, chunk)?;
        }
        chunks.push((id, u32::try_from(chunk.len()).unwrap_or(u32::MAX)));
        rest = after;
    }
    Ok(chunks)
}
