//! Putting a workspace back to a checkpoint, in place: what is as it was is not touched, so that programs at work there go on. Files appear whole; no link is followed;
//! nothing outside the tree is reached, whatever is done to it meanwhile. Whether it all came out is looked at afterwards, and said.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::apply::Apply;
use super::listing::{Entry, Kind, Left, Listing, Part};
use super::manifest::Manifest;
use super::pack::Packs;
use super::pairs::{Pair, Pairs};
use super::remembered::Remembered;
use super::scan::{Before, Look, Scanned, Sink, scan};
use super::{Bounds, Changes, Id, Store, attributes, garbled};
use crate::{Error, Result};

/// Entries of a tree that are compared one by one; one with more is cleared and made anew.
const ENTRIES_MAX: u64 = 1_000_000;
/// Paths that are named where not all came out.
const NAMED_MAX: usize = 16;

/// What is to be put back.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The state to come back to.
    pub checkpoint: Id,
    /// The workspace; for a new one, an empty folder.
    pub tree: &'a Path,
    /// The latest checkpoint of it: what has not changed since is not even opened.
    pub last: Option<Id>,
    /// Whether it is the place that the checkpoint was taken of.
    pub place: Place,
    /// Set, it ends the work where it stands.
    pub stop: &'a AtomicBool,
}

/// Where a checkpoint is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it was taken: owners and access lists too.
    Same,
    /// Elsewhere, for somebody else: everything belongs to the owner of the top, and what was left out is not looked for.
    Other,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Restored {
    /// What had to be done.
    pub changes: Changes,
    /// Bytes of files that were written.
    pub written_bytes: u64,
    /// Entries that are not as the checkpoint has them: changed again meanwhile, or impossible here.
    pub differing: u64,
    /// The first of them.
    pub first_differing: Vec<PathBuf>,
}

impl Store {
    /// Puts a workspace back to a checkpoint.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] and [`Error::Damaged`] before anything is touched, as far as that can be told then; [`Error::Io`] where the disk is full or the
    /// like: the workspace is then in between, and the same restore can be begun again.
    pub fn restore(&self, restore: &Restore<'_>) -> Result<Restored> {
        self.restore_within(restore, ENTRIES_MAX)
    }

    fn restore_within(&self, restore: &Restore<'_>, entries_max: u64) -> Result<Restored> {
        self.make()?;
        let _writer = self.writer_lock()?;
        let _in_use = self.use_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        let mut target = Manifest::load(&self.folder, &restore.checkpoint)?.listing(&mut packs)?;
        check(&target, &packs)?;
        // Known for the next time only where what stands there is, entry by entry, what the checkpoint lists.
        let mut whole = true;
        if restore.place == Place::Other {
            (target, whole) = portable(&target)?;
        }
        let last = restore.last.and_then(|id| Manifest::load(&self.folder, &id).ok()?.listing(&mut packs).ok());
        let remembered = Remembered::load(&self.folder).filter(|known| Some(known.checkpoint) == restore.last);
        let now = self.look(restore, entries_max, &target, |tree| Before {
            listing: last.as_ref(),
            rows: remembered.as_ref().filter(|known| known.tree == tree).map_or(&[], |known| &known.rows),
        })?;
        let mut apply = Apply::begin(restore, &mut packs)?;
        let nothing = Listing::default();
        let known = match &now {
            Some(now) => &now.listing,
            None => {
                apply.clear()?;
                &nothing
            }
        };
        apply.all(known, &target)?;
        let mut restored = apply.end()?;
        let seen = self.look(restore, entries_max, &target, |_| Before {
            listing: Some(known),
            rows: now.as_ref().map_or(&[], |now| &now.rows),
        })?;
        let as_wanted = compare(seen, &target, &mut restored)?;
        if whole && let Some(seen) = as_wanted {
            Remembered { checkpoint: restore.checkpoint, tree: seen.tree, rows: seen.rows }.save(&self.folder)?;
        }
        Ok(restored)
    }

    /// What going back from one checkpoint to another would take away or write over although nothing holds it: files and folders that were
    /// left out of the first. Sockets, pipes and devices have nothing to lose. How many, and the first of them.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`].
    pub fn lost_between(&self, now: &Id, target: &Id) -> Result<(u64, Vec<PathBuf>)> {
        let _in_use = self.use_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        let now = Manifest::load(&self.folder, now)?.listing(&mut packs)?;
        let target = Manifest::load(&self.folder, target)?.listing(&mut packs)?;
        let (mut count, mut first) = (0, Vec::new());
        Pairs::of(&now, &target).each(|pair| {
            let lost = match pair {
                Pair::Here(now) => now,
                Pair::Both(now, wanted) if !matches!(wanted.kind, Kind::Left(_)) => now,
                Pair::Both(..) | Pair::There(_) => return Ok(()),
            };
            if matches!(lost.kind, Kind::Left(left) if left != Left::Special) {
                count += 1;
                if first.len() < NAMED_MAX {
                    first.push(PathBuf::from(OsString::from_vec(lost.path)));
                }
            }
            Ok(())
        })?;
        Ok((count, first))
    }

    /// What there is, as far as it has to be known: a file that the target has otherwise or not at all is not read.
    fn look<'a>(
        &self,
        restore: &Restore<'a>,
        entries_max: u64,
        target: &'a Listing,
        before: impl FnOnce(super::remembered::Tree) -> Before<'a>,
    ) -> Result<Option<Scanned>> {
        let bounds = Bounds { entries: entries_max, bytes: u64::MAX };
        match scan(restore.tree, bounds, restore.stop, Sink::against(target), before)? {
            Look::Seen(seen) => Ok(Some(seen)),
            Look::Over(_) => Ok(None),
            Look::Stopped => Err(stopped()),
        }
    }
}

/// Says what did not come out; where all did, gives what was seen back.
fn compare(seen: Option<Scanned>, target: &Listing, restored: &mut Restored) -> Result<Option<Scanned>> {
    let Some(seen) = seen else {
        restored.differing += 1;
        return Ok(None);
    };
    let mut differs = |path: Vec<u8>| {
        restored.differing += 1;
        if restored.first_differing.len() < NAMED_MAX {
            restored.first_differing.push(PathBuf::from(OsString::from_vec(path)));
        }
    };
    Pairs::of(&seen.listing, target).each(|pair| {
        match pair {
            Pair::Here(entry) | Pair::There(entry) => differs(entry.path),
            Pair::Both(here, there) if !here.is_as(&there) => differs(there.path),
            Pair::Both(..) => {}
        }
        Ok(())
    })?;
    Ok((restored.differing == 0).then_some(seen))
}

pub(super) fn stopped() -> Error {
    Error::Refused("the restore was stopped; the workspace is in between: begin it again".to_owned())
}

/// Whether all that a listing needs is there, as far as the indexes tell.
fn check(listing: &Listing, packs: &Packs) -> Result<()> {
    for entry in listing.entries() {
        if let Kind::File { parts, .. } = entry.map_err(garbled)?.kind {
            for part in parts {
                match part {
                    Part::Chunk(id, bytes) if packs.raw_bytes(&id) != Some(bytes) => return Err(packs.missing()),
                    Part::Chunk(..) | Part::Hole(_) => {}
                }
            }
        }
    }
    Ok(())
}

/// What of a listing can be had elsewhere, and whether that is all of it: what was left out is nowhere but where it was.
fn portable(listing: &Listing) -> Result<(Listing, bool)> {
    let (mut out, mut whole) = (Listing::default(), true);
    for entry in listing.entries() {
        let entry = entry.map_err(garbled)?;
        if matches!(entry.kind, Kind::Left(_)) {
            whole = false;
            continue;
        }
        out.push(&Entry { owner: None, attributes: attributes::portable(&entry.attributes), ..entry });
    }
    Ok((out, whole))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::checkpoint::{Take, Taken};

    #[test]
    fn a_tree_of_more_entries_than_are_compared_is_cleared_and_made_anew_with_nothing_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, store) = (folder.path().join("tree"), Store::at(folder.path().join("store")));
        fs::create_dir_all(tree.join("kept/below")).unwrap();
        fs::write(tree.join("kept/file"), "as it was").unwrap();
        fs::set_permissions(&tree, fs::Permissions::from_mode(0o750)).unwrap();
        let stop = AtomicBool::new(false);
        let take = Take { tree: &tree, last: None, bounds: Bounds::default(), stop: &stop };
        let Taken::New(taken) = store.take(&take, &mut |_| {}).unwrap() else { panic!("nothing was taken") };
        fs::set_permissions(&tree, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(tree.join("kept/file"), "otherwise").unwrap();
        // More than one look at the top names.
        for number in 0..70_000 {
            fs::File::create(tree.join(number.to_string())).unwrap();
        }
        fs::create_dir_all(tree.join("folder/below")).unwrap();
        let restore = Restore { checkpoint: taken.id, tree: &tree, last: None, place: Place::Same, stop: &stop };
        let restored = store.restore_within(&restore, 1_000).unwrap();
        assert_eq!((restored.differing, restored.first_differing), (0, vec![]));
        let names: Vec<_> = fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"]);
        assert_eq!(fs::read_to_string(tree.join("kept/file")).unwrap(), "as it was");
        assert_eq!(fs::metadata(&tree).unwrap().permissions().mode() & 0o777, 0o750);
        // What a restore worked in goes also where it does not come to its end.
        fs::write(tree.join("kept/file"), "otherwise").unwrap();
        let mut packs = Packs::open(store.folder()).unwrap();
        let apply = Apply::begin(&restore, &mut packs).unwrap();
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 2);
        drop(apply);
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 1);
    }
}
