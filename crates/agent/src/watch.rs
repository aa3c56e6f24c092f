//! What an onlooker is told while a task runs. Onlookers never write: they see events after they are on the record.

use event::{EffectId, Event};

use crate::state::State;

/// Whether the loop stays when only the person can move the task on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nobody is there to answer: put the task down as `waiting`.
    Leave,
    /// Somebody is: the answer comes as a command.
    Stay,
}

/// An onlooker of one task.
pub trait Watcher {
    /// An event has been recorded; the state is the one after it.
    fn event(&mut self, seq: u64, time_ms: u64, event: &Event, state: &State);
    /// The model streams. Ephemeral: only the finished reply becomes an event.
    fn delta(&mut self, id: EffectId, attempt: u32, delta: &model::Delta);
    /// What was streamed for this call is void: the call is tried again.
    fn withdrawn(&mut self, id: EffectId);
    /// Only the person can move the task on.
    fn waiting(&mut self, state: &State) -> Patience;
}

/// An onlooker who looks away: nobody is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Watcher for Nobody {
    fn event(&mut self, _seq: u64, _time_ms: u64, _event: &Event, _state: &State) {}
    fn delta(&mut self, _id: EffectId, _attempt: u32, _delta: &model::Delta) {}
    fn withdrawn(&mut self, _id: EffectId) {}
    fn waiting(&mut self, _state: &State) -> Patience {
        Patience::Leave
    }
}
