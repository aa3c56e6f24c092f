//! What to do next, as values: a pure function of the state and the limits.
//!
//! It has no clock (it asks to be woken), touches no file and calls nobody; the loop performs what it returns, one
//! thing at a time, and asks again after each event.

use event::{
    Decision, Digest, Effect, EffectId, EndState, Event, FailureKind, Label, LimitKind, MicroUsd, ModelCall, Outcome,
    StopCause, Tier, ToolCall, ToolResult, ToolStatus, Why,
};
use serde_json::{Map, Value};

use crate::limits::{
    APPROVAL_VALID_MS, COMPUTER_SLEEPS_AFTER_MS, REPLIES_CUT_MAX, STEPS_DEFAULT_MAX, TOOL_CALLS_PER_REPLY_MAX,
};
use crate::state::{Call, Stage, State};

/// The rules by which a call is refused because of its form.
const INVALID_RULES: [&str; 3] = ["limit.calls", "arguments.malformed", "tool.unknown"];

/// What the next model call would cost and weigh; the loop measures it, since the request's bytes are its business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// No more tokens than this in the next request.
    pub input_tokens_max: u64,
    pub output_tokens_max: u64,
    /// The model's window in tokens, where it is known.
    pub window_tokens: Option<u64>,
    /// The price of both, where it is known.
    pub reserve: Option<MicroUsd>,
}

/// One thing for the loop to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the model for its next reply.
    CallModel,
    /// A model call was cut off by a crash, or policy is still to be asked: go on with this very one.
    ContinueModel(ModelCall),
    /// Record that the agent wants this tool call of the latest reply, the one at `index`.
    RequestTool { index: usize, call: Box<ToolCall> },
    /// Ask policy about it, and run it if it may. `answer` is the digest
    /// that the person said yes to, if they were asked.
    AuthorizeTool { call: Box<ToolCall>, answer: Option<Digest> },
    /// It had started when its engine died: find out how it ended, never start it anew. Where it provably never began,
    /// policy is asked again, with the person's yes in `answer`.
    AttachTool { call: Box<ToolCall>, boot: String, answer: Option<Digest> },
    /// Nothing more to find out: this is the result.
    FinishTool { id: EffectId, result: Box<ToolResult> },
    /// Record the refusal of a call that cannot be an effect.
    DenyTool { index: usize, call: Box<ToolCall>, decision: Box<Decision> },
    /// Give the person what there is of an unfinished task.
    HandOver,
    /// Only the person can move the task on.
    AwaitPerson,
    /// They have not done so for long: end the computer, and keep what is in the workspace.
    PutToSleep,
    /// Ask again at this time, in milliseconds since 1970 (UTC).
    WakeAt(u64),
    /// Record this.
    Append(Box<Event>),
}

/// What to do next: at most one thing that moves the task, and when to wake.
pub fn decide(state: &State, limits: &Limits) -> Vec<Action> {
    if state.ended.is_some() {
        return Vec::new();
    }
    let mut actions = Vec::new();
    match ending(state) {
        Some(action) => actions.push(action),
        None => {
            let next = next(state, limits);
            let sleeps_at_ms = sleeps_at_ms(state).filter(|_| next == Action::AwaitPerson);
            if sleeps_at_ms.is_some_and(|at| state.now_ms >= at) {
                return vec![Action::PutToSleep];
            }
            actions.push(next);
            actions.extend(sleeps_at_ms.map(Action::WakeAt));
            actions.extend(state.deadline_ms().map(Action::WakeAt));
        }
    }
    actions
}

/// When the computer of a task that waits for the person is put to sleep, in milliseconds since 1970 (UTC); nothing where there is none, or
/// it is needed.
pub(crate) fn sleeps_at_ms(state: &State) -> Option<u64> {
    // One that the person works with is not idle.
    let sleeps = state.has_computer && state.taken_over.is_none() && state.waits_for_person();
    sleeps.then(|| state.moved_ms.saturating_add(COMPUTER_SLEEPS_AFTER_MS))
}

/// What the end of the task asks for, if it is to end.
fn ending(state: &State) -> Option<Action> {
    if let Some(by) = &state.stop {
        return Some(end(EndState::Stopped, StopCause::Person, format!("stopped by {by}"), String::new()));
    }
    if state.resumes_exhausted() && state.limits_reached.is_empty() {
        let (used, max) = (u64::from(state.fruitless_resumes), u64::from(crate::limits::RESUMES_FRUITLESS_MAX));
        return Some(reached(LimitKind::Resumes, used, max));
    }
    if let Some(deadline) = state.deadline_ms()
        && state.now_ms >= deadline
        && !state.limits_reached.contains(&LimitKind::Time)
        && state.calls.iter().all(|call| !matches!(call.stage, Stage::Started { .. }))
    {
        let max = state.options.max_time_ms.unwrap_or(0);
        return Some(reached(LimitKind::Time, state.now_ms.saturating_sub(state.created_ms), max));
    }
    if let Some(limit) = state.limits_reached.first() {
        return Some(match limit {
            LimitKind::Resumes => {
                let reason = format!(
                    "resumed {} times in a row without getting anywhere: each resume died within a minute",
                    state.fruitless_resumes
                );
                end(EndState::Failed, StopCause::Limit(*limit), reason, String::new())
            }
            LimitKind::Steps | LimitKind::Cost | LimitKind::Time | LimitKind::Window => match handing_over(state) {
                Some(action) => action,
                None => end(EndState::Stopped, StopCause::Limit(*limit), limit_reason(*limit, state), missing(state)),
            },
        });
    }
    if state.replies_cut >= REPLIES_CUT_MAX {
        let reason = format!(
            "{} replies in a row broke off at the model's output limit or its provider's filter, or came without words and \
             calls: raise the limit, or try another model",
            state.replies_cut
        );
        return handing_over(state).or_else(|| Some(end(EndState::Failed, StopCause::Model, reason, missing(state))));
    }
    if let Some((kind, reason)) = &state.model_failure {
        return Some(match kind {
            FailureKind::WindowExceeded => reached(LimitKind::Window, 0, 0),
            FailureKind::Transient | FailureKind::Rejected => match handing_over(state) {
                Some(action) => action,
                None => end(EndState::Failed, StopCause::Model, reason.clone(), missing(state)),
            },
        });
    }
    None
}

/// The step of the engine's own hand-over that is due, if it is not over.
fn handing_over(state: &State) -> Option<Action> {
    match &state.hand_over {
        None => Some(Action::HandOver),
        Some(call) => tool_action(0, call, state),
    }
}

/// What moves a task on that is not about to end.
fn next(state: &State, limits: &Limits) -> Action {
    if let Some(open) = &state.model_call {
        return match &open.refused {
            None if state.now_ms < open.retry_at_ms => Action::WakeAt(open.retry_at_ms),
            None => Action::ContinueModel(open.call.clone()),
            Some(decision) if decision.rules.iter().any(|rule| rule == "budget.cost") => {
                reached(LimitKind::Cost, state.committed().0, state.options.max_cost.map_or(0, |max| max.0))
            }
            // Settings changed under a request that was never answered: it is made anew.
            Some(decision) if decision.rules.iter().any(|rule| rule == "model.body_changed") => Action::CallModel,
            Some(decision) => {
                let reason = format!("policy refused to call the model: {}", decision.reason);
                end(EndState::Failed, StopCause::Engine, reason, missing(state))
            }
        };
    }
    if state.stands_aside() {
        return Action::AwaitPerson;
    }
    for (index, call) in state.calls.iter().enumerate() {
        if let Some(action) = tool_action(index, call, state) {
            return action;
        }
    }
    if state.question.is_some() || state.network.asking().is_some() {
        return Action::AwaitPerson;
    }
    // What the person said meanwhile is answered before the task ends.
    if let Some(text) = state.idle.as_ref().or(state.last_words.as_ref()).filter(|_| !state.unheard) {
        let text = if text.is_empty() { &state.reply_text } else { text };
        return end(EndState::Done, StopCause::Finished, "the agent is done".to_owned(), text.clone());
    }
    over_budget(state, limits).unwrap_or(Action::CallModel)
}

/// What a tool call of the latest reply needs, if it is not finished.
fn tool_action(index: usize, call: &Call, state: &State) -> Option<Action> {
    match &call.stage {
        Stage::Finished => None,
        Stage::Pending => Some(first_look(index, call, state)),
        Stage::Requested(call) => Some(Action::AuthorizeTool { call: Box::new(call.clone()), answer: None }),
        Stage::Asking { .. } => Some(Action::AwaitPerson),
        Stage::Answered { call, allowed: false, note, .. } => {
            let said = if note.is_empty() { String::new() } else { format!(" They said: {note}") };
            let text = format!("The person refused this.{said} Nothing was done. Go on without it or ask them.");
            Some(refusal(call, ToolStatus::Refused, text))
        }
        // An answer that lay about for too long is no answer: the person is asked again.
        Stage::Answered { call, digest, at_ms, .. } => {
            let answer = holds(*at_ms, state).then_some(*digest);
            Some(Action::AuthorizeTool { call: Box::new(call.clone()), answer })
        }
        Stage::Denied { call, decision } => {
            let invalid = decision.rules.iter().any(|rule| INVALID_RULES.contains(&rule.as_str()));
            let status = if invalid { ToolStatus::Invalid } else { ToolStatus::Refused };
            Some(refusal(call, status, refusal_text(decision)))
        }
        Stage::Started { call, boot, answer } => {
            let answer = answer.filter(|(_, at_ms)| holds(*at_ms, state)).map(|(digest, _)| digest);
            Some(Action::AttachTool { call: Box::new(call.clone()), boot: boot.clone(), answer })
        }
    }
}

/// Whether a yes of that time still counts.
fn holds(at_ms: u64, state: &State) -> bool {
    state.now_ms.saturating_sub(at_ms) <= APPROVAL_VALID_MS
}

/// A tool call as the model wrote it becomes an effect, or a refusal that says what is wrong with it.
fn first_look(index: usize, call: &Call, state: &State) -> Action {
    let id = EffectId(state.next_effect);
    let mut effect = ToolCall {
        id,
        turn: state.steps,
        call_id: call.request.id.clone(),
        tool: call.request.name.clone(),
        arguments: Map::new(),
        labels: std::collections::BTreeMap::new(),
    };
    let problem = if index >= TOOL_CALLS_PER_REPLY_MAX {
        let text = format!("a reply may hold {TOOL_CALLS_PER_REPLY_MAX} tool calls; this one is over");
        Some(("limit.calls", text, Why::TooManyCalls { max: TOOL_CALLS_PER_REPLY_MAX as u64 }))
    } else if tools::is_known(&call.request.name) {
        match parse(&call.request.arguments).and_then(|arguments| tools::admit(&call.request.name, &arguments)) {
            Ok(arguments) => {
                effect.arguments = arguments;
                None
            }
            Err(problem) => Some(("arguments.malformed", problem.clone(), Why::ArgumentsMalformed { problem })),
        }
    } else {
        let tool = call.request.name.clone();
        Some(("tool.unknown", tools::unknown_tool(&tool), Why::NoSuchTool { tool }))
    };
    match problem {
        None => Action::RequestTool { index, call: Box::new(effect) },
        Some((rule, reason, why)) => {
            let decision = Decision {
                outcome: Outcome::Deny,
                tier: Tier::Autonomous,
                rules: vec![rule.to_owned()],
                reason,
                why: vec![why],
                effect_digest: Digest::of_canonical(&Effect::Tool(effect.clone())),
            };
            Action::DenyTool { index, call: Box::new(effect), decision: Box::new(decision) }
        }
    }
}

/// The arguments as a JSON object. Nothing at all stands for an empty one, as some models write it.
fn parse(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("the arguments are not a JSON object".to_owned()),
        Err(error) if error.is_eof() => Err(format!(
            "the arguments are cut off: {error}. Write the whole call again, in smaller pieces if it is long"
        )),
        Err(error) => Err(format!("the arguments are not valid JSON: {error}")),
    }
}

fn refusal_text(decision: &Decision) -> String {
    format!("Not done: {} (rule: {}).", decision.reason.trim_end_matches('.'), decision.rules.join(", "))
}

fn refusal(call: &ToolCall, status: ToolStatus, text: String) -> Action {
    let result = ToolResult { status, text, label: Label::system(), facts: Vec::new() };
    Action::FinishTool { id: call.id, result: Box::new(result) }
}

fn over_budget(state: &State, limits: &Limits) -> Option<Action> {
    let steps_max = state.options.max_steps.unwrap_or(STEPS_DEFAULT_MAX);
    if state.steps >= steps_max {
        return Some(reached(LimitKind::Steps, state.steps, steps_max));
    }
    if let Some(window) = limits.window_tokens {
        let needed = limits.input_tokens_max.saturating_add(limits.output_tokens_max);
        if needed > window {
            return Some(reached(LimitKind::Window, needed, window));
        }
    }
    if let Some(cap) = state.options.max_cost {
        let reserve = limits.reserve.unwrap_or(MicroUsd(u64::MAX));
        if state.committed().plus(reserve) > cap {
            return Some(reached(LimitKind::Cost, state.committed().0, cap.0));
        }
    }
    None
}

fn reached(limit: LimitKind, used: u64, max: u64) -> Action {
    Action::Append(Box::new(Event::LimitReached { limit, used, max }))
}

fn end(state: EndState, cause: StopCause, reason: String, text: String) -> Action {
    Action::Append(Box::new(Event::TaskEnded { state, cause, reason, text }))
}

fn limit_reason(limit: LimitKind, state: &State) -> String {
    let options = &state.options;
    match limit {
        LimitKind::Steps => {
            let max = options.max_steps.unwrap_or(STEPS_DEFAULT_MAX);
            format!("the limit of {max} step{} is reached", if max == 1 { "" } else { "s" })
        }
        LimitKind::Cost => {
            let max = options.max_cost.unwrap_or_default();
            let unaccounted = match state.unaccounted {
                MicroUsd(0) => String::new(),
                held => format!(", up to {held} more for calls whose server did not say what they used"),
            };
            format!("the next step might cost more than is left of {max} ({} spent{unaccounted})", state.spent)
        }
        LimitKind::Time => {
            format!("the time limit of {} s is reached", options.max_time_ms.unwrap_or(0) / 1_000)
        }
        LimitKind::Window => "the next request would not fit the model's window".to_owned(),
        LimitKind::Resumes => "too many resumes without progress".to_owned(),
    }
}

/// A plain account of what an unfinished task lacks.
pub fn missing(state: &State) -> String {
    use event::{AcceptanceStatus, StepStatus};
    let mut lines = Vec::new();
    for step in &state.plan.steps {
        match step.status {
            StepStatus::Pending => lines.push(format!("- not begun: {}", step.text)),
            StepStatus::InProgress => lines.push(format!("- begun, not finished: {}", step.text)),
            StepStatus::Done | StepStatus::Skipped => {}
        }
    }
    for item in &state.acceptance {
        match item.status {
            AcceptanceStatus::Unchecked => lines.push(format!("- not checked: {}", item.text)),
            AcceptanceStatus::Failed => lines.push(format!("- not met: {}", item.text)),
            AcceptanceStatus::Passed | AcceptanceStatus::Waived => {}
        }
    }
    if lines.is_empty() {
        return "The task was cut short; there is no plan that says what is missing.".to_owned();
    }
    format!("Missing:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests;
