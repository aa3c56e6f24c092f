//! A task's events as they come, for one onlooker who reads at their own pace. It keeps nothing that was handed out, and
//! a task that is removed meanwhile harms it not.

use event::TaskId;

use crate::instance::Recorded;
use crate::record::decode;
use crate::{Error, Instance};

/// A place in a task's journal.
#[derive(Debug)]
pub struct Follower {
    id: TaskId,
    reader: journal::Reader,
}

impl Instance {
    /// The events after this one (0: from the first), as they come. Blocks, as all that follows.
    pub fn follow(&self, id: &TaskId, after_seq: u64) -> Result<Follower, Error> {
        let mut reader = journal::Reader::open(self.folder(id)?.root())?;
        reader.follow_after(after_seq)?;
        Ok(Follower { id: id.clone(), reader })
    }

    /// The number of the last event.
    pub fn head(&self, id: &TaskId) -> Result<u64, Error> {
        Ok(journal::Reader::open(self.folder(id)?.root())?.head()?.seq)
    }
}

impl Follower {
    /// At most `limit` events that were not handed out yet; none where there is nothing new.
    pub fn next(&mut self, limit: usize) -> Result<Vec<Recorded>, Error> {
        self.reader.follow(limit)?.iter().map(|record| decode(&self.id, record)).collect()
    }
}
