//! Looking on at a task that another process runs: its record, read as it grows. It holds no lock and says nothing.

use event::TaskId;

use crate::Error;
use crate::instance::Instance;
use crate::record::decode;
use crate::state::State;
use crate::watch::Watcher;

/// Records read at a time.
const CHUNK: usize = 256;

/// A look at one task, from its first event on.
#[derive(Debug)]
pub struct Onlooker {
    id: TaskId,
    reader: journal::Reader,
    state: State,
}

impl Instance {
    /// Looks on at a task from its first event on.
    pub fn look_on(&self, id: &TaskId) -> Result<Onlooker, Error> {
        let reader = journal::Reader::open(self.folder(id)?.root())?;
        Ok(Onlooker { id: id.clone(), reader, state: State::default() })
    }
}

impl Onlooker {
    /// Tells the watcher what has been recorded since the last call. Costs next to nothing where there is nothing new.
    pub fn tell(&mut self, watcher: &mut dyn Watcher) -> Result<&State, Error> {
        loop {
            let records = self.reader.follow(CHUNK)?;
            for record in &records {
                let recorded = decode(&self.id, record)?;
                self.state.apply(&recorded.event, recorded.time_ms);
                watcher.event(recorded.seq, recorded.time_ms, &recorded.event, &self.state);
            }
            if records.len() < CHUNK {
                return Ok(&self.state);
            }
        }
    }
}
