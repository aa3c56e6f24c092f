//! Where a task stands: a pure fold over its events.
//!
//! The state holds what [`crate::decide`] needs and what a list shows. It does not hold the model's context (that is
//! [`crate::context`]) and it never looks at a clock: its time is that of the last event.

mod kept;

use std::collections::BTreeMap;

use event::{
    AcceptanceItem, AutorunFile, ComputerPart, Decision, Deliverable, Digest, Effect, EffectId, EndState, Event,
    LimitKind, MicroUsd, ModelCall, PageSeen, Plan, StopCause, TaskCreated, TaskOptions, ToolCall, ToolFact,
    ToolRequest, ToolResult, Usage,
};

pub use self::kept::{Kept, KeptCheckpoint};
pub(crate) use self::kept::{LEFT_UNFINISHED, Moment};
use crate::limits::{RESUME_FRUITLESS_MS, RESUMES_FRUITLESS_MAX};
use crate::network::Network;

/// A task as its events left it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The number of the last event: they are counted from 1 without a gap.
    pub seq: u64,
    /// Time of the last event, in milliseconds since 1970 (UTC).
    pub now_ms: u64,
    pub created_ms: u64,
    /// When an engine last took the task up.
    pub taken_up_ms: u64,
    pub created: Option<Box<TaskCreated>>,
    pub options: TaskOptions,
    /// The number the next effect will bear.
    pub next_effect: u64,
    /// Model replies so far.
    pub steps: u64,
    pub spent: MicroUsd,
    /// Calls whose price or usage is not known: where there is one, `spent` is a lower bound.
    pub unpriced_calls: u64,
    /// What calls may have cost at the most of which no server said what they did cost: counted against the cap.
    pub unaccounted: MicroUsd,
    pub usage: Usage,
    /// The model call under way.
    pub model_call: Option<OpenModelCall>,
    /// The tool calls of the latest reply, in order.
    pub calls: Vec<Call>,
    /// The latest reply asked for no tool: its text.
    pub last_words: Option<String>,
    /// Replies in a row that broke off before they asked for anything, or brought nothing.
    pub replies_cut: u32,
    /// What the model said beside its latest tool calls.
    pub reply_text: String,
    pub plan: Plan,
    pub acceptance: Vec<AcceptanceItem>,
    pub deliverables: Vec<Deliverable>,
    /// What programs of the person's run in the folder that they lent, and is not what it was; whether there may be more.
    pub autorun: (Vec<AutorunFile>, bool),
    /// Which call a process id means: the newest that bears it.
    pub processes: BTreeMap<String, EffectId>,
    /// What of the computer the person has in their own hands.
    pub taken_over: Option<ComputerPart>,
    /// A question that the person has not answered.
    pub question: Option<String>,
    pub stop: Option<String>,
    /// The person has said something since the task ended.
    pub unread: bool,
    /// The person has said something that is in no request yet.
    pub unheard: bool,
    /// Limits reached since the task was last taken up.
    pub limits_reached: Vec<LimitKind>,
    /// The model said that it is finished.
    pub idle: Option<String>,
    pub model_failure: Option<(event::FailureKind, String)>,
    pub ended: Option<Ended>,
    /// Resumes in a row that died within a minute and brought nothing.
    pub fruitless_resumes: u32,
    pub resumes: u64,
    /// What is kept of the workspace.
    pub kept: Kept,
    /// A tool call may have left a computer running.
    pub has_computer: bool,
    /// When something happened last; that time passed, or that something was kept, is not meant.
    pub moved_ms: u64,
    resumed_without_progress: bool,
    /// The engine's own hand-over of unfinished work.
    pub hand_over: Option<Call>,
    /// The computer's network.
    pub network: Network,
    /// Pictures of the browser's pages that are kept for the person.
    pub pages: Pages,
}

/// What is kept of the browser's pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    pub bytes: u64,
    last: Option<Digest>,
}

impl Pages {
    /// One that is as the one before it is kept once.
    fn seen(&mut self, page: &PageSeen) {
        if let Some(picture) = &page.picture
            && self.last != Some(picture.digest)
        {
            self.bytes += picture.bytes;
            self.last = Some(picture.digest);
        }
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub state: EndState,
    pub cause: StopCause,
    pub reason: String,
    pub text: String,
}

/// A model call without a reply yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenModelCall {
    pub call: ModelCall,
    pub attempts_failed: u32,
    /// Those of them that the server may charge for.
    pub attempts_charged: u32,
    /// An attempt began, and nothing is known of its end.
    pub in_flight: bool,
    /// Not before this time, in milliseconds since 1970 (UTC).
    pub retry_at_ms: u64,
    /// What policy said, where it did not allow.
    pub refused: Option<Decision>,
}

impl OpenModelCall {
    fn new(call: ModelCall) -> Self {
        Self { call, attempts_failed: 0, attempts_charged: 0, in_flight: false, retry_at_ms: 0, refused: None }
    }
}

/// One tool call of a reply, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As the model wrote it; for the engine's own calls, as if it had.
    pub request: ToolRequest,
    pub stage: Stage,
}

/// How far a tool call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not looked at yet.
    Pending,
    /// Requested, not decided (or to be decided anew).
    Requested(ToolCall),
    /// Waits for the person's word on this digest.
    Asking {
        call: ToolCall,
        digest: Digest,
        question: String,
    },
    /// The person has said.
    Answered {
        call: ToolCall,
        digest: Digest,
        allowed: bool,
        note: String,
        at_ms: u64,
    },
    /// Policy said no.
    Denied {
        call: ToolCall,
        decision: Decision,
    },
    /// It may be under way: attach, never start anew.
    Started {
        call: ToolCall,
        boot: String,
        /// What the person said yes to and when, if they were asked: it holds as long as nothing has begun.
        answer: Option<(Digest, u64)>,
    },
    Finished,
}

impl Call {
    /// The effect that the call has become, while it is open.
    pub fn effect(&self) -> Option<&ToolCall> {
        match &self.stage {
            Stage::Requested(call)
            | Stage::Asking { call, .. }
            | Stage::Answered { call, .. }
            | Stage::Denied { call, .. }
            | Stage::Started { call, .. } => Some(call),
            Stage::Pending | Stage::Finished => None,
        }
    }
}

impl State {
    /// Folds one event in. `time_ms` is the time in the event's envelope.
    pub fn apply(&mut self, event: &Event, time_ms: u64) {
        self.seq += 1;
        self.now_ms = time_ms;
        if event.is_progress() {
            self.fruitless_resumes = 0;
            self.resumed_without_progress = false;
        }
        if !matches!(event, Event::TimeReached { .. } | Event::CheckpointTaken { .. } | Event::CheckpointMissed { .. })
        {
            self.moved_ms = time_ms;
        }
        self.network.apply(event, time_ms);
        if let Some(page) = event.page() {
            self.pages.seen(page);
        }
        match event {
            Event::TaskCreated(created) => {
                (self.created_ms, self.taken_up_ms) = (time_ms, time_ms);
                self.next_effect = 1;
                self.options = created.options.clone();
                self.acceptance.clear();
                self.kept.begun(created, self.seq);
                self.created = Some(created.clone());
            }
            Event::Resumed { previous_lived_ms, .. } => self.resumed(*previous_lived_ms),
            Event::Forked { options } => self.forked(options.clone()),
            // A resume after this says nothing about a task that kills its engine.
            Event::PutDown { .. } => self.resumed_without_progress = false,
            Event::OptionsChanged { options } => {
                self.options = options.clone();
                self.limits_reached.clear();
            }
            Event::HostsChanged { allow_net } => self.options.allow_net.clone_from(allow_net),
            Event::MessageReceived { .. } => {
                self.unread = self.ended.is_some();
                self.unheard = true;
                self.question = None;
                self.last_words = None;
                self.idle = None;
            }
            Event::EffectRequested { effect } => self.requested(effect),
            Event::EffectDecided { id, decision } => self.decided(*id, decision),
            Event::ApprovalRequested { id, effect_digest, question } => {
                self.stage(*id, |call| Stage::Asking { call, digest: *effect_digest, question: question.clone() });
            }
            Event::ApprovalAnswered { id, effect_digest, allowed, note, .. } => {
                let (digest, allowed, note) = (*effect_digest, *allowed, note.clone());
                self.stage(*id, |call| Stage::Answered { call, digest, allowed, note, at_ms: time_ms });
            }
            Event::EffectStarted { id, boot } => self.started(*id, boot.clone()),
            Event::ModelAttemptFailed { retry_in_ms, charged, .. } => {
                self.tried(*charged);
                if let Some(open) = &mut self.model_call {
                    open.attempts_failed += 1;
                    open.attempts_charged += u32::from(*charged);
                    open.retry_at_ms = time_ms.saturating_add(*retry_in_ms);
                }
            }
            Event::ModelReplied { reply, cost, .. } => self.replied(reply, *cost),
            Event::ModelFailed { kind, reason, charged, .. } => {
                self.tried(*charged);
                self.model_call = None;
                self.model_failure = Some((*kind, reason.clone()));
            }
            Event::ToolFinished { id, result } => self.finished(*id, result),
            Event::AutorunChanged { files, cut } => self.autorun = (files.clone(), *cut),
            Event::CheckpointTaken { .. }
            | Event::CheckpointMissed { .. }
            | Event::CheckpointsLetGo { .. }
            | Event::RestoreBegun { .. }
            | Event::WorkspaceRestored { .. } => self.kept.apply(event, time_ms),
            Event::ComputerSlept { .. } => {
                self.has_computer = false;
                self.processes.clear();
            }
            Event::LimitReached { limit, .. } => self.limits_reached.push(*limit),
            // All that these say is the network's, or the time.
            Event::TimeReached { .. }
            | Event::ConnectionOpened { .. }
            | Event::ConnectionClosed { .. }
            | Event::ConnectionRefused { .. }
            | Event::ConnectionsCounted { .. }
            | Event::GrantEnded { .. } => {}
            Event::StopRequested { by } => self.stop = Some(by.clone()),
            Event::TakenOver { what, .. } => self.taken_over = Some(what.clone()),
            Event::HandedBack { .. } => {
                (self.taken_over, self.unheard) = (None, true);
                self.last_words = None;
                self.idle = None;
            }
            Event::TaskEnded { state, cause, reason, text } => {
                self.has_computer = false;
                self.taken_over = None;
                self.ended = Some(Ended { state: *state, cause: *cause, reason: reason.clone(), text: text.clone() });
            }
        }
    }

    /// What the task has cost at the most.
    pub fn committed(&self) -> MicroUsd {
        self.spent.plus(self.unaccounted)
    }

    /// The task's time limit, in milliseconds since 1970 (UTC).
    pub fn deadline_ms(&self) -> Option<u64> {
        self.options.max_time_ms.map(|max| self.created_ms.saturating_add(max))
    }

    /// Whether every tool call of the latest reply has its result.
    pub fn turn_complete(&self) -> bool {
        self.model_call.is_none() && self.between_turns()
    }

    /// Whether no tool call is open: what the model asked for last is all done, whatever it is asked next.
    pub fn between_turns(&self) -> bool {
        self.calls.iter().all(|call| call.stage == Stage::Finished)
    }

    /// Whether only the person can move the task on. A question about a place is put beside the work: what is under way goes on
    /// without its answer.
    pub fn waits_for_person(&self) -> bool {
        let asked_beside = self.question.is_some() || self.network.asking().is_some();
        self.ended.is_none()
            && (asked_beside && self.turn_complete() || self.stands_aside() || self.asking_call().is_some())
    }

    /// Whether the agent begins nothing because the person has a part of the computer. What had begun goes on to its end.
    pub fn stands_aside(&self) -> bool {
        let begun = self.all_calls().any(|call| matches!(call.stage, Stage::Started { .. }));
        self.taken_over.is_some() && self.model_call.is_none() && !begun
    }

    /// The approval the task waits for.
    pub fn open_approval(&self) -> Option<(EffectId, Digest, &str)> {
        self.asking_call().or_else(|| self.network.asking())
    }

    fn asking_call(&self) -> Option<(EffectId, Digest, &str)> {
        self.all_calls().find_map(|call| match &call.stage {
            Stage::Asking { call, digest, question } => Some((call.id, *digest, question.as_str())),
            Stage::Pending
            | Stage::Requested(_)
            | Stage::Answered { .. }
            | Stage::Denied { .. }
            | Stage::Started { .. }
            | Stage::Finished => None,
        })
    }

    /// Whether too many resumes in a row died at once and brought nothing.
    pub fn resumes_exhausted(&self) -> bool {
        self.fruitless_resumes >= RESUMES_FRUITLESS_MAX
    }

    /// The calls of the latest reply and the engine's own.
    pub fn all_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().chain(&self.hand_over)
    }

    fn resumed(&mut self, previous_lived_ms: Option<u64>) {
        if self.resumed_without_progress && previous_lived_ms.unwrap_or(0) <= RESUME_FRUITLESS_MS {
            self.fruitless_resumes += 1;
        } else {
            self.fruitless_resumes = 0;
        }
        self.resumed_without_progress = true;
        self.resumes += 1;
        self.taken_up_ms = self.now_ms;
        self.ended = None;
        self.unread = false;
        self.stop = None;
        self.limits_reached.clear();
        self.model_failure = None;
        self.replies_cut = 0;
        self.hand_over = None;
        if let Some(open) = &mut self.model_call {
            (open.attempts_failed, open.attempts_charged, open.retry_at_ms, open.refused) = (0, 0, 0, None);
        }
        // Its server may have answered.
        self.tried(true);
    }

    /// A try that was under way gave nothing. Where its server may have charged for it, it is counted as if it had.
    fn tried(&mut self, charged: bool) {
        if let Some(open) = &mut self.model_call
            && std::mem::take(&mut open.in_flight)
            && charged
        {
            self.unaccounted = self.unaccounted.plus(open.call.reserved.unwrap_or_default());
        }
    }

    /// What was the other task's alone is gone: its costs, what it handed over, what ran in its computer, how it was to end.
    fn forked(&mut self, options: TaskOptions) {
        (self.created_ms, self.taken_up_ms) = (self.now_ms, self.now_ms);
        self.options = options;
        (self.spent, self.unaccounted, self.unpriced_calls) = Default::default();
        self.usage = Usage::default();
        self.deliverables.clear();
        self.autorun = Default::default();
        self.processes.clear();
        self.has_computer = false;
        self.taken_over = None;
        self.stop = None;
        self.unread = false;
        self.limits_reached.clear();
        self.model_failure = None;
        self.replies_cut = 0;
        self.hand_over = None;
        (self.resumes, self.fruitless_resumes, self.resumed_without_progress) = (0, 0, false);
        // In a copy of a copy the first of these is history.
        let origin = self.created.as_ref().and_then(|created| created.forked_from.as_deref());
        if let Some(origin) = origin.filter(|origin| self.seq == origin.at_seq + 1) {
            self.kept.forked(&origin.checkpoint, self.now_ms);
        }
    }

    /// The person's yes to this effect, and when they said it.
    fn answer_on(&self, id: EffectId) -> Option<(Digest, u64)> {
        self.all_calls().find_map(|open| match &open.stage {
            Stage::Answered { call, digest, allowed: true, at_ms, .. } if call.id == id => Some((*digest, *at_ms)),
            Stage::Started { call, answer, .. } if call.id == id => *answer,
            Stage::Pending
            | Stage::Requested(_)
            | Stage::Asking { .. }
            | Stage::Answered { .. }
            | Stage::Denied { .. }
            | Stage::Started { .. }
            | Stage::Finished => None,
        })
    }

    /// The model's words for the call with this effect; none for the engine's own.
    pub fn request_of(&self, id: EffectId) -> Option<&ToolRequest> {
        self.calls.iter().find(|call| call.effect().is_some_and(|effect| effect.id == id)).map(|call| &call.request)
    }

    fn requested(&mut self, effect: &Effect) {
        self.next_effect = self.next_effect.max(effect.id().0 + 1);
        // The work goes on: what was handed over of it is not all any more.
        if !matches!(effect, Effect::Reach(_)) {
            self.hand_over = None;
        }
        match effect {
            // It comes beside whatever is under way.
            Effect::Reach(_) => {}
            Effect::Model(call) => {
                self.calls.clear();
                self.last_words = None;
                self.unheard = false;
                self.model_call = Some(OpenModelCall::new(call.clone()));
            }
            Effect::Tool(call) => {
                let stage = Stage::Requested(call.clone());
                // The engine's own call answers no call of the model; a model that uses the name is refused in its place.
                if call.tool == tools::HAND_OVER && call.call_id.is_empty() {
                    let request = ToolRequest { id: String::new(), name: call.tool.clone(), arguments: String::new() };
                    self.hand_over = Some(Call { request, stage });
                } else if let Some(open) = self.calls.iter_mut().find(|open| open.stage == Stage::Pending) {
                    open.stage = stage;
                }
            }
        }
    }

    fn started(&mut self, id: EffectId, boot: String) {
        if let Some(open) = self.model_call.as_mut().filter(|open| open.call.id == id) {
            open.in_flight = true;
        }
        let answer = self.answer_on(id);
        let mut name = None;
        let mut used = false;
        self.stage(id, |call| {
            used = kept::uses_computer(&call.tool);
            name = tools::process_name(&call);
            Stage::Started { call, boot, answer }
        });
        self.has_computer |= used;
        self.processes.extend(name.map(|name| (name, id)));
    }

    fn decided(&mut self, id: EffectId, decision: &Decision) {
        match decision.outcome {
            event::Outcome::Allow => {}
            // What follows is the question itself, with the words the person will read.
            event::Outcome::Ask => {}
            event::Outcome::Deny => {
                let decision = decision.clone();
                if let Some(open) = self.model_call.as_mut().filter(|open| open.call.id == id) {
                    open.refused = Some(decision);
                } else {
                    self.stage(id, |call| Stage::Denied { call, decision });
                }
            }
        }
    }

    fn replied(&mut self, reply: &event::Reply, cost: Option<MicroUsd>) {
        let reserved = self.model_call.take().and_then(|open| open.call.reserved).unwrap_or_default();
        self.model_failure = None;
        self.steps += 1;
        match cost {
            Some(cost) => self.spent = self.spent.plus(cost),
            None => {
                self.unpriced_calls += 1;
                self.unaccounted = self.unaccounted.plus(reserved);
            }
        }
        if let Some(usage) = reply.usage {
            // A server's word: it may be any number.
            let add = |sum: &mut u64, tokens: u64| *sum = sum.saturating_add(tokens);
            add(&mut self.usage.input_tokens, usage.input_tokens);
            add(&mut self.usage.cached_input_tokens, usage.cached_input_tokens);
            add(&mut self.usage.cache_write_input_tokens, usage.cache_write_input_tokens);
            add(&mut self.usage.output_tokens, usage.output_tokens);
        }
        self.calls = reply
            .message
            .tool_calls
            .iter()
            .map(|request| Call { request: request.clone(), stage: Stage::Pending })
            .collect();
        self.reply_text = reply.message.text.clone();
        // Half a reply is no last word.
        let cut = crate::context::cut_short(reply).is_some();
        self.replies_cut = if cut { self.replies_cut + 1 } else { 0 };
        self.last_words = (self.calls.is_empty() && !cut).then(|| reply.message.text.clone());
    }

    fn finished(&mut self, id: EffectId, result: &ToolResult) {
        if let Some(call) = self.calls.iter().find_map(|call| call.effect().filter(|call| call.id == id)) {
            self.kept.finished(&call.tool, result.status, self.seq, self.steps);
        }
        self.stage(id, |_| Stage::Finished);
        for fact in &result.facts {
            match fact {
                ToolFact::Plan { plan } => self.plan = plan.clone(),
                ToolFact::Acceptance { items } => self.acceptance = items.clone(),
                ToolFact::Notice { .. } => {}
                ToolFact::Question { text } => self.question = Some(text.clone()),
                ToolFact::Delivered { files } => {
                    self.deliverables.retain(|old| files.iter().all(|new| new.path != old.path));
                    self.deliverables.extend(files.iter().cloned());
                }
                ToolFact::Command { .. }
                | ToolFact::BrowserLimits { .. }
                | ToolFact::Picture { .. }
                | ToolFact::Page { .. } => {}
                ToolFact::Idle { text } => self.idle = Some(text.clone()),
            }
        }
    }

    /// Moves the call of this effect to another stage; the effect itself goes along.
    fn stage(&mut self, id: EffectId, next: impl FnOnce(ToolCall) -> Stage) {
        let calls = self.calls.iter_mut().chain(&mut self.hand_over);
        for open in calls {
            let Some(call) = open.effect() else { continue };
            if call.id == id {
                open.stage = next(call.clone());
                return;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
