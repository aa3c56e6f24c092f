//! The computer of a task that waits: ended when nobody has come for long, in this loop or, where no loop runs, by whoever looks after the
//! tasks. Nothing has to be done to wake it: the next tool call has a new one, on the same workspace.

use std::sync::Arc;

use event::{Event, TaskId};

use super::Run;
use crate::decide::sleeps_at_ms;
use crate::keeping::Keeper;
use crate::record::Record;
use crate::{Error, Instance};

impl Run<'_> {
    /// Ends the computer, and says so on record. What is in the workspace has been kept before.
    pub(super) async fn put_to_sleep(&mut self) -> Result<(), Error> {
        self.keep_all().await?;
        let place = Arc::clone(&self.place);
        // It takes its time to end, and other tasks share this thread.
        let _ = tokio::task::spawn_blocking(move || end_computer(&place)).await;
        let waited_ms = self.record.now().saturating_sub(self.record.state.moved_ms);
        self.append(vec![Event::ComputerSlept { waited_ms }])
    }
}

impl Instance {
    /// Puts the computer of a task to sleep that waits for the person, is in nobody's hands, and has been so for long. Whether it did.
    pub fn put_to_sleep(&self, id: &TaskId) -> Result<bool, Error> {
        let folder = self.folder(id)?;
        let mut record = match Record::open(id, &folder, self.setup.clock) {
            Ok(record) => record,
            Err(Error::Held { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let (now, state) = (record.now(), &record.state);
        if sleeps_at_ms(state).is_none_or(|at| now < at) {
            return Ok(false);
        }
        end_computer(&self.place(&folder, state));
        // Programs that the agent left running may have gone on since its last turn.
        let (keeper, kept) = (Keeper::of(&folder, state), &state.kept);
        let mut events = Vec::new();
        if state.between_turns() && kept.restoring.is_none() {
            events.extend(keeper.keep_now(kept, kept.moment()).unwrap_or_default());
        }
        events.push(Event::ComputerSlept { waited_ms: now.saturating_sub(state.moved_ms) });
        record.append(events, &mut crate::watch::Nobody)?;
        Ok(true)
    }
}

/// Ends a computer with all that runs in it.
pub(super) fn end_computer(place: &tools::Place) {
    let computer = match place.opened() {
        Some(computer) => Some(computer),
        None => sandbox::Computer::attach(&place.spec.dir).ok().flatten(),
    };
    if let Some(computer) = computer
        && let Err(error) = computer.shutdown()
    {
        tracing::warn!(%error, "the computer did not take its end; its keeper ends it by itself");
    }
    place.forget();
}
