//! What a person can do with the kept states of a task's workspace: see which there are, compare them, go back to one, take one along.
//! The record says which there are; nothing here takes one while the task is at work.

use std::io::Write;
use std::path::Path;

use event::{Checkpoint, Event, TaskId};
use sandbox::checkpoint::{Compression, Diff, Id, Piece, Side as Seen};

use crate::keeping::Keeper;
use crate::record::Record;
use crate::state::Kept;
use crate::watch::Nobody;
use crate::{Error, Instance};

/// One state of a workspace, as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before there was anything.
    Nothing,
    /// As the checkpoint of this number has it.
    At(u64),
    /// As it is now.
    Now,
}

impl Instance {
    /// The checkpoints of a task.
    pub fn kept(&self, id: &TaskId) -> Result<Kept, Error> {
        Ok(self.state(id, &self.folder(id)?)?.kept)
    }

    /// What differs between two states of the workspace; at most `max` entries are named.
    pub fn compare(&self, id: &TaskId, from: Side, to: Side, max: usize) -> Result<Diff, Error> {
        let (keeper, kept) = self.shelf(id)?;
        let seen = |side| seen(side, id, &keeper, &kept);
        keeper.store.diff(seen(from)?, seen(to)?, max).map_err(Error::Kept)
    }

    /// The beginning of a file of a state, at most `max` bytes of it; nothing where there is none.
    pub fn kept_file(&self, id: &TaskId, side: Side, path: &Path, max: usize) -> Result<Option<Piece>, Error> {
        let (keeper, kept) = self.shelf(id)?;
        keeper.store.read_file(seen(side, id, &keeper, &kept)?, path, 0, max).map_err(Error::Kept)
    }

    /// Writes a checkpoint as an archive.
    pub fn export_files(
        &self,
        id: &TaskId,
        number: u64,
        compression: Compression,
        out: &mut dyn Write,
    ) -> Result<Checkpoint, Error> {
        let (keeper, kept) = self.shelf(id)?;
        let checkpoint = *find(&kept, id, number)?;
        keeper.store.export(&Id(checkpoint.digest.0), compression, out).map_err(Error::Kept)?;
        Ok(checkpoint)
    }

    /// Sets the workspace of a task that nobody has in hand back to a checkpoint; what is there now is kept before, unless it is to
    /// be thrown away. Gives the events that say what came of it. A crash in between is finished by whoever takes the task up next.
    pub fn restore(&self, id: &TaskId, number: u64, throw_away: bool, by: &str) -> Result<Vec<Event>, Error> {
        let folder = self.folder(id)?;
        let mut record = Record::open(id, &folder, self.setup.clock)?;
        find(&record.state.kept, id, number)?;
        let keeper = Keeper::of(&folder, &record.state);
        let mut events = Vec::new();
        // Also where one before was not finished: somebody may have worked there since.
        if !throw_away {
            let kept = &record.state.kept;
            events.extend(keeper.keep_before(kept, kept.moment(), number).map_err(Error::NotKept)?);
        }
        events.push(Event::RestoreBegun { number, by: by.to_owned() });
        record.append(events.clone(), &mut Nobody)?;
        record.sync_handle().sync().map_err(Error::Journal)?;
        let restored = keeper.restore(&record.state.kept, number);
        record.append(vec![restored.clone()], &mut Nobody)?;
        events.push(restored);
        Ok(events)
    }

    /// Takes away what crashes left in the store of a task that nobody has in hand: halves of checkpoints, and such as never came on record.
    /// Whether there was anything.
    pub fn tidy_checkpoints(&self, id: &TaskId) -> Result<bool, Error> {
        let folder = self.folder(id)?;
        if !folder.checkpoints().is_dir() {
            return Ok(false);
        }
        // Held until it is done: nobody takes the task up meanwhile.
        let record = Record::open(id, &folder, self.setup.clock)?;
        let keep: Vec<Id> = record.state.kept.checkpoints.iter().map(|kept| Id(kept.checkpoint.digest.0)).collect();
        let swept = Keeper::of(&folder, &record.state).store.sweep(&keep).map_err(Error::Kept)?;
        Ok(swept.is_some_and(|swept| !swept.is_nothing()))
    }

    fn shelf(&self, id: &TaskId) -> Result<(Keeper, Kept), Error> {
        let folder = self.folder(id)?;
        let state = self.state(id, &folder)?;
        Ok((Keeper::of(&folder, &state), state.kept))
    }
}

pub(crate) fn find<'a>(kept: &'a Kept, id: &TaskId, number: u64) -> Result<&'a Checkpoint, Error> {
    let missing = || Error::NoCheckpoint { id: id.to_string(), number };
    kept.numbered(number).ok_or_else(missing)
}

fn seen<'a>(side: Side, id: &TaskId, keeper: &'a Keeper, kept: &Kept) -> Result<Seen<'a>, Error> {
    Ok(match side {
        Side::Nothing => Seen::Nothing,
        Side::At(number) => Seen::At(Id(find(kept, id, number)?.digest.0)),
        Side::Now => Seen::Now { tree: &keeper.tree, last: kept.last.map(|digest| Id(digest.0)) },
    })
}
