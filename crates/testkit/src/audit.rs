//! The audit of a journal's events: that nothing happened without a decision, twice, or out of order.
//!
//! Every scenario test ends with it. It judges the order of events only; the chain of hashes is the journal's business.

use std::collections::{BTreeMap, BTreeSet};

use event::{Decision, EffectId, Event, Outcome, ToolStatus};

#[derive(Default)]
struct Seen {
    requested: BTreeSet<EffectId>,
    decisions: BTreeMap<EffectId, Decision>,
    asked: BTreeMap<EffectId, event::Digest>,
    refused_by_person: BTreeSet<EffectId>,
    started: BTreeSet<EffectId>,
    finished: BTreeSet<EffectId>,
    calls_open: usize,
    ended: bool,
}

/// Every rule that the events break, in words; empty for a sound journal.
pub fn audit<'a>(events: impl IntoIterator<Item = (u64, &'a Event)>) -> Vec<String> {
    let mut seen = Seen::default();
    let mut broken = Vec::new();
    for (position, (seq, event)) in events.into_iter().enumerate() {
        let mut problem = |text: String| broken.push(format!("event {seq} ({}): {text}", event.kind()));
        if (position == 0) != matches!(event, Event::TaskCreated(_)) {
            problem("a journal has one task_created, and it is the first event".to_owned());
        }
        let put_down_may_hold =
            matches!(event, Event::Resumed { .. } | Event::MessageReceived { .. } | Event::OptionsChanged { .. })
                || matches!(event, Event::ApprovalAnswered { .. });
        if seen.ended && !put_down_may_hold {
            problem("happened after the task had ended".to_owned());
        }
        seen.check(event, &mut problem);
    }
    broken
}

impl Seen {
    fn check(&mut self, event: &Event, problem: &mut impl FnMut(String)) {
        match event {
            Event::Resumed { .. } => self.ended = false,
            Event::TaskEnded { .. } => self.ended = true,
            Event::EffectRequested { effect } => {
                let id = effect.id();
                if self.requested.last().is_some_and(|last| *last >= id) {
                    problem(format!("{id} does not follow the effects before it"));
                }
                if !self.requested.insert(id) {
                    problem(format!("{id} is requested twice"));
                }
            }
            Event::EffectDecided { id, decision } => {
                if !self.requested.contains(id) {
                    problem(format!("{id} is decided without a request"));
                }
                if self.finished.contains(id) {
                    problem(format!("{id} is decided after its result"));
                }
                self.decisions.insert(*id, decision.clone());
            }
            Event::ApprovalRequested { id, effect_digest, .. } => {
                if self.decisions.get(id).is_none_or(|decision| decision.outcome != Outcome::Ask) {
                    problem(format!("{id} asks the person though policy did not"));
                }
                self.asked.insert(*id, *effect_digest);
            }
            Event::ApprovalAnswered { id, effect_digest, allowed, .. } => {
                if self.asked.get(id) != Some(effect_digest) {
                    problem(format!("{id} is answered for another effect than the one asked about"));
                }
                if !allowed {
                    self.refused_by_person.insert(*id);
                }
            }
            Event::EffectStarted { id, .. } => {
                if self.decisions.get(id).is_none_or(|decision| decision.outcome != Outcome::Allow) {
                    problem(format!("{id} starts without an allow decision"));
                }
                if self.finished.contains(id) {
                    problem(format!("{id} starts after its result"));
                }
                self.started.insert(*id);
            }
            Event::ModelReplied { id, reply, .. } => {
                self.result(*id, true, problem);
                if self.calls_open > 0 {
                    problem(format!("{} tool calls of the reply before have no result", self.calls_open));
                }
                self.calls_open = reply.message.tool_calls.len();
            }
            Event::ModelFailed { id, .. } => self.result(*id, false, problem),
            Event::ToolFinished { id, result } => {
                let done = match result.status {
                    ToolStatus::Invalid | ToolStatus::Refused => false,
                    ToolStatus::Ok | ToolStatus::Failed | ToolStatus::Interrupted | ToolStatus::Unknown => true,
                };
                self.result(*id, done, problem);
                self.calls_open = self.calls_open.saturating_sub(1);
            }
            Event::TaskCreated(_)
            | Event::OptionsChanged { .. }
            | Event::MessageReceived { .. }
            | Event::ModelAttemptFailed { .. }
            | Event::LimitReached { .. }
            | Event::TimeReached { .. }
            | Event::StopRequested { .. } => {}
        }
    }

    /// A result comes once, and after a start; a refusal may come after a denial instead.
    fn result(&mut self, id: EffectId, needs_start: bool, problem: &mut impl FnMut(String)) {
        let denied = self.decisions.get(&id).is_some_and(|decision| decision.outcome == Outcome::Deny)
            || self.refused_by_person.contains(&id);
        if !self.started.contains(&id) && (needs_start || !denied) {
            problem(format!("{id} has a result but never started"));
        }
        if !self.finished.insert(id) {
            problem(format!("{id} has two results"));
        }
    }
}
