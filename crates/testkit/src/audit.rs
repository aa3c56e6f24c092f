//! The audit of a journal's events: that nothing happened without a decision, twice, or out of order.
//!
//! Every scenario test ends with it. It judges the order of events only; the chain of hashes is the journal's business.

use std::collections::{BTreeMap, BTreeSet};

use event::{Decision, Effect, EffectId, Event, Outcome, ToolStatus};

#[derive(Default)]
struct Seen {
    requested: BTreeSet<EffectId>,
    /// Those that a reply of the model asked for.
    of_the_model: BTreeSet<EffectId>,
    decisions: BTreeMap<EffectId, Decision>,
    asked: BTreeMap<EffectId, event::Digest>,
    refused_by_person: BTreeSet<EffectId>,
    started: BTreeSet<EffectId>,
    finished: BTreeSet<EffectId>,
    connections: BTreeSet<u64>,
    last_connection: u64,
    calls_open: usize,
    /// The last event of a turn so far; the checkpoints so far; one that is being restored.
    turn_end: u64,
    checkpoints: BTreeMap<u64, u64>,
    restoring: Option<u64>,
    /// The checkpoint that a copy of another task began with, and the last event of that one.
    origin: Option<(u64, u64)>,
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
        let put_down_may_hold = matches!(event, Event::Resumed { .. } | Event::MessageReceived { .. } | Event::OptionsChanged { .. })
                || matches!(event, Event::ApprovalAnswered { .. } | Event::HostsChanged { .. })
            // The person may set the workspace back then, and it is kept before.
            || matches!(event, Event::CheckpointTaken { .. } | Event::RestoreBegun { .. } | Event::WorkspaceRestored { .. });
        if seen.ended && !put_down_may_hold {
            problem("happened after the task had ended".to_owned());
        }
        seen.check(event, &mut problem);
        seen.check_kept(seq, event, &mut problem);
    }
    broken
}

impl Seen {
    fn check(&mut self, event: &Event, problem: &mut impl FnMut(String)) {
        match event {
            Event::Resumed { .. } => self.ended = false,
            Event::EffectRequested { effect } => {
                let id = effect.id();
                if self.requested.last().is_some_and(|last| *last >= id) {
                    problem(format!("{id} does not follow the effects before it"));
                }
                if !self.requested.insert(id) {
                    problem(format!("{id} is requested twice"));
                }
                match effect {
                    Effect::Tool(call) if !call.call_id.is_empty() => drop(self.of_the_model.insert(id)),
                    // Nothing is asked of the model before it can be told what came of its calls.
                    Effect::Model(_) if self.calls_open > 0 => {
                        problem(format!("{id} is requested while {} tool calls have no result", self.calls_open));
                    }
                    Effect::Tool(_) | Effect::Model(_) | Effect::Reach(_) => {}
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
                if self.of_the_model.contains(id) {
                    self.calls_open = self.calls_open.saturating_sub(1);
                }
            }
            Event::ConnectionOpened { .. }
            | Event::ConnectionRefused { .. }
            | Event::ConnectionClosed { .. }
            | Event::GrantEnded { .. } => self.network(event, problem),
            Event::TaskEnded { .. } => {
                self.ended = true;
                if !self.connections.is_empty() {
                    problem(format!("connections {:?} outlive the task", self.connections));
                }
            }
            Event::ConnectionsCounted { .. }
            | Event::TaskCreated(_)
            | Event::Forked { .. }
            | Event::OptionsChanged { .. }
            | Event::HostsChanged { .. }
            | Event::MessageReceived { .. }
            | Event::ModelAttemptFailed { .. }
            | Event::LimitReached { .. }
            | Event::AutorunChanged { .. }
            | Event::CheckpointTaken { .. }
            | Event::CheckpointMissed { .. }
            | Event::CheckpointsLetGo { .. }
            | Event::RestoreBegun { .. }
            | Event::WorkspaceRestored { .. }
            | Event::ComputerSlept { .. }
            | Event::PutDown { .. }
            | Event::TimeReached { .. }
            | Event::TakenOver { .. }
            | Event::HandedBack { .. }
            | Event::StopRequested { .. } => {}
        }
    }

    /// A checkpoint is of the end of a turn and has the next number, and nothing begins while the workspace is in between.
    fn check_kept(&mut self, seq: u64, event: &Event, problem: &mut impl FnMut(String)) {
        if let Event::TaskCreated(created) = event {
            self.turn_end = seq;
            let origin = created.forked_from.as_deref();
            self.origin = origin.map(|origin| (origin.checkpoint.number, origin.at_seq));
        } else if let Event::ToolFinished { .. } = event {
            self.turn_end = seq;
        } else if let Event::Forked { .. } = event {
            match self.origin {
                // In a copy of a copy, the other one's own beginning is history.
                Some((_, at_seq)) if seq <= at_seq => self.checkpoints.clear(),
                Some((number, at_seq)) if seq == at_seq + 1 => drop(self.checkpoints.insert(number, at_seq)),
                Some(_) | None => problem("a copy's own life begins elsewhere than its first event says".to_owned()),
            }
        } else if let Event::CheckpointTaken { checkpoint } = event {
            let (number, at_seq) = (checkpoint.number, checkpoint.at_seq);
            if self.checkpoints.last_key_value().is_some_and(|(last, before)| number != last + 1 || at_seq < *before) {
                problem(format!("checkpoint {number} does not follow the one before it"));
            }
            if at_seq > self.turn_end {
                problem(format!("checkpoint {number} is of event {at_seq}, which ends no turn"));
            }
            self.checkpoints.insert(number, at_seq);
        } else if let Event::RestoreBegun { number, .. } = event {
            if !self.checkpoints.contains_key(number) {
                problem(format!("checkpoint {number} is restored and was never taken"));
            }
            self.restoring = Some(*number);
        } else if let Event::WorkspaceRestored { number, .. } = event {
            if self.restoring.take() != Some(*number) {
                problem(format!("checkpoint {number} was restored and nobody had begun to"));
            }
        } else if let (Event::EffectStarted { id, .. }, Some(number)) = (event, self.restoring) {
            problem(format!("{id} starts while the workspace is on its way to checkpoint {number}"));
        }
    }

    /// A connection is opened under a grant that holds, closed once, and numbered in order.
    fn network(&mut self, event: &Event, problem: &mut impl FnMut(String)) {
        if let Event::ConnectionOpened { connection } | Event::ConnectionRefused { connection, .. } = event {
            if connection.number <= self.last_connection {
                problem(format!("connection {} does not follow the ones before it", connection.number));
            }
            self.last_connection = connection.number;
        }
        if let Event::ConnectionOpened { connection } = event {
            if connection.effect.is_none_or(|id| !self.started.contains(&id) || self.finished.contains(&id)) {
                problem(format!("connection {} is opened under no grant", connection.number));
            }
            self.connections.insert(connection.number);
        }
        if let Event::ConnectionClosed { closed } = event
            && !self.connections.remove(&closed.number)
        {
            problem(format!("connection {} is closed and was not open", closed.number));
        }
        if let Event::GrantEnded { id, .. } = event
            && (!self.started.contains(id) || !self.finished.insert(*id))
        {
            problem(format!("the grant {id} ends and did not hold"));
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

#[cfg(test)]
mod tests {
    use event::{
        AssistantMessage, Digest, FinishReason, Label, ModelCall, Reply, Tier, ToolCall, ToolRequest, ToolResult,
    };

    use super::*;

    const BOOT: &str = "b";

    fn model_call(id: u64) -> Event {
        let (model, body, label) = ("m".to_owned(), Digest::of(b""), Label::system());
        let (turn, body_bytes, input_tokens_max, output_tokens_max, reserved) = (1, 0, 0, 0, None);
        let id = EffectId(id);
        let call =
            ModelCall { id, turn, model, body, body_bytes, input_tokens_max, output_tokens_max, reserved, label };
        Event::EffectRequested { effect: Effect::Model(call) }
    }

    fn tool_call(id: u64, call_id: &str) -> Event {
        let (call_id, tool) = (call_id.to_owned(), "t".to_owned());
        let (arguments, labels) = (serde_json::Map::new(), BTreeMap::new());
        Event::EffectRequested {
            effect: Effect::Tool(ToolCall { id: EffectId(id), turn: 1, call_id, tool, arguments, labels }),
        }
    }

    fn decided(id: u64, outcome: Outcome) -> Event {
        let (tier, rules, reason) = (Tier::Autonomous, Vec::new(), String::new());
        let decision = Decision { outcome, tier, rules, reason, why: Vec::new(), effect_digest: Digest::of(b"") };
        Event::EffectDecided { id: EffectId(id), decision }
    }

    fn started(id: u64) -> Event {
        Event::EffectStarted { id: EffectId(id), boot: BOOT.to_owned() }
    }

    fn replied(id: u64, calls: usize) -> Event {
        let request = ToolRequest { id: "c".to_owned(), name: "t".to_owned(), arguments: String::new() };
        let message = AssistantMessage { tool_calls: vec![request; calls], ..AssistantMessage::default() };
        let reply = Reply {
            message,
            finish: FinishReason::Stop,
            usage: None,
            served_by: String::new(),
            response_id: String::new(),
        };
        Event::ModelReplied { id: EffectId(id), reply: Box::new(reply), cost: None }
    }

    fn finished(id: u64, status: ToolStatus) -> Event {
        let result = ToolResult { status, text: String::new(), label: Label::system(), facts: Vec::new() };
        Event::ToolFinished { id: EffectId(id), result }
    }

    /// A first reply with so many calls, and what follows it. That nothing created the task is not what is asked here.
    #[track_caller]
    fn check(calls: usize, rest: Vec<Event>, expected: &[&str]) {
        let mut events = vec![model_call(1), decided(1, Outcome::Allow), started(1), replied(1, calls)];
        events.extend(rest);
        let numbered = events.iter().enumerate().map(|(at, event)| (at as u64, event));
        let broken: Vec<String> = audit(numbered).into_iter().filter(|text| !text.starts_with("event 0")).collect();
        assert_eq!(broken.len(), expected.len(), "{broken:#?}");
        for (text, words) in broken.iter().zip(expected) {
            assert!(text.contains(words), "{text} should say {words}");
        }
    }

    #[test]
    fn what_is_in_order_breaks_nothing() {
        let call =
            |id| vec![tool_call(id, "c"), decided(id, Outcome::Allow), started(id), finished(id, ToolStatus::Ok)];
        check(1, [call(2), vec![model_call(3)]].concat(), &[]);
        check(1, vec![tool_call(2, "c"), decided(2, Outcome::Deny), finished(2, ToolStatus::Refused)], &[]);
    }

    #[test]
    fn each_rule_is_seen_when_it_is_broken() {
        let (allow, ok) = (Outcome::Allow, ToolStatus::Ok);
        check(1, vec![model_call(2)], &["is requested while 1 tool calls have no result"]);
        check(1, vec![tool_call(2, "c"), finished(2, ok)], &["never started"]);
        check(1, vec![tool_call(2, "c"), decided(2, Outcome::Ask), started(2)], &["without an allow decision"]);
        check(1, vec![tool_call(1, "c")], &["does not follow", "requested twice"]);
        check(1, vec![decided(2, allow)], &["without a request"]);
        let twice = vec![tool_call(2, "c"), decided(2, allow), started(2), finished(2, ok), finished(2, ok)];
        check(1, twice, &["two results"]);
        // The engine's own call answers none of the model's.
        let own = vec![tool_call(2, ""), decided(2, allow), started(2), finished(2, ok), model_call(3)];
        check(1, own, &["is requested while 1 tool calls have no result"]);
    }
}
