//! Stories in, next action out.

use event::{Event, LimitKind, MicroUsd, Outcome, TaskOptions, ToolFact};

use super::{Action, Limits, decide};
use crate::state::tests::{
    allowed, created, decision, finished, hand_over_requested, model_call, reply, requested, story,
};

/// The first action in a few words.
fn next(parts: Vec<Vec<Event>>, limits: &Limits) -> String {
    let state = story(parts);
    match decide(&state, limits).into_iter().next() {
        None => "nothing".into(),
        Some(Action::CallModel) => "call model".into(),
        Some(Action::ContinueModel(call)) => format!("continue {}", call.id),
        Some(Action::RequestTool { index, call }) => format!("request {} #{index} {}", call.tool, call.id),
        Some(Action::AuthorizeTool { call, answer }) => {
            format!("authorize {}{}", call.id, if answer.is_some() { " answered" } else { "" })
        }
        Some(Action::AttachTool { call, .. }) => format!("attach {}", call.id),
        Some(Action::FinishTool { id, result }) => format!("finish {id} {:?}: {}", result.status, result.text),
        Some(Action::DenyTool { call, decision, .. }) => format!("deny {} {}", call.id, decision.rules.join(",")),
        Some(Action::HandOver) => "hand over".into(),
        Some(Action::AwaitPerson) => "await person".into(),
        Some(Action::PutToSleep) => "put to sleep".into(),
        Some(Action::WakeAt(at)) => format!("wake at {at}"),
        Some(Action::Append(event)) => match *event {
            Event::LimitReached { limit, .. } => format!("limit {limit:?}"),
            Event::TaskEnded { state, cause, text, .. } => format!("end {state:?} {cause:?} {text}").trim_end().into(),
            other => format!("append {}", other.kind()),
        },
    }
}

#[track_caller]
fn check(parts: Vec<Vec<Event>>, expected: &str) {
    assert_eq!(next(parts, &Limits::default()), expected);
}

fn start(options: TaskOptions) -> Vec<Event> {
    [vec![created(options)], model_call(1)].concat()
}

fn replied(calls: &[(&str, &str)]) -> Vec<Event> {
    [start(TaskOptions::default()), vec![reply(1, "on it", calls)]].concat()
}

#[test]
fn the_way_of_a_turn() {
    let plain = TaskOptions::default;
    check(vec![vec![created(plain())]], "call model");
    check(vec![start(plain())], "continue e1");
    check(vec![replied(&[])], "end Done Finished on it");
    check(vec![replied(&[("shell_exec", "{\"command\":\"ls\"}")])], "request shell_exec #0 e2");
    check(vec![replied(&[("shell_exec", "{\"command\":\"ls\"}")]), vec![requested(2, "shell_exec")]], "authorize e2");
    check(
        vec![replied(&[("shell_exec", "{\"command\":\"ls\"}")]), vec![requested(2, "shell_exec")], allowed(2)],
        "attach e2",
    );
    let one_done = || vec![replied(&[("idle", "{}"), ("idle", "{}")]), vec![requested(2, "idle")], allowed(2)];
    check([one_done(), vec![vec![finished(2, vec![])]]].concat(), "request idle #1 e3");
}

#[test]
fn a_call_that_cannot_be_an_effect_is_refused_with_words() {
    check(vec![replied(&[("shell_exec", "{\"command\": \"ls")])], "deny e2 arguments.malformed");
    check(vec![replied(&[("shell_exec", "[1]")])], "deny e2 arguments.malformed");
    check(vec![replied(&[("shell_exec", "{}")])], "deny e2 arguments.malformed");
    check(vec![replied(&[("fly", "{}")])], "deny e2 tool.unknown");
    check(vec![replied(&[(tools::HAND_OVER, "{}")])], "deny e2 tool.unknown");
    let denied = Event::EffectDecided { id: event::EffectId(2), decision: decision(Outcome::Deny, "tool.unknown") };
    let parts = vec![replied(&[("fly", "{}")]), vec![requested(2, "fly"), denied]];
    check(parts, "finish e2 Invalid: Not done: because (rule: tool.unknown).");
    let many: Vec<_> = (0..40).map(|_| ("idle", "{}")).collect();
    let mut parts = vec![replied(&many)];
    for id in 2..34 {
        parts.push([vec![requested(id, "idle")], allowed(id), vec![finished(id, vec![])]].concat());
    }
    check(parts, "deny e34 limit.calls");
}

#[test]
fn the_person_is_waited_for_and_heard() {
    let asked = |allowed: bool| {
        let (id, effect_digest) = (event::EffectId(2), event::Digest::of(b"ask"));
        let mut events = vec![
            requested(2, "deliver"),
            Event::EffectDecided { id, decision: decision(Outcome::Ask, "waiver") },
            Event::ApprovalRequested { id, effect_digest, question: "deliver all the same?".into() },
        ];
        let answer =
            Event::ApprovalAnswered { id, effect_digest, allowed, by: "person".into(), note: "it is broken".into() };
        let waiting = events.clone();
        events.push(answer);
        (waiting, events)
    };
    let calls = || replied(&[("deliver", "{}")]);
    check(vec![calls(), asked(true).0], "await person");
    check(vec![calls(), asked(true).1], "authorize e2 answered");
    let refused = "finish e2 Refused: The person refused this. They said: it is broken Nothing was done. \
                   Go on without it or ask them.";
    check(vec![calls(), asked(false).1], refused);
    let question = || ToolFact::Question { text: "which year?".into() };
    let asking = || {
        let ask = vec![requested(2, "message_ask_user")];
        vec![replied(&[("message_ask_user", "{}")]), ask, allowed(2), vec![finished(2, vec![question()])]]
    };
    check(asking(), "await person");
    let said = Event::MessageReceived { text: "2019".into(), label: event::Label::person() };
    check([asking(), vec![vec![said]]].concat(), "call model");
}

#[test]
fn limits_end_a_task_with_what_there_is() {
    let options = |change: fn(&mut TaskOptions)| {
        let mut options = TaskOptions::default();
        change(&mut options);
        options
    };
    let turn = |options: TaskOptions| {
        let done = [vec![requested(2, "file_read")], allowed(2), vec![finished(2, vec![])]].concat();
        vec![start(options), vec![reply(1, "", &[("file_read", "{}")])], done]
    };
    check(turn(options(|o| o.max_steps = Some(1))), "limit Steps");
    check(turn(options(|o| o.max_steps = Some(2))), "call model");
    check(turn(options(|o| o.max_time_ms = Some(3_000))), "limit Time");
    check(turn(options(|o| o.max_cost = Some(MicroUsd(5)))), "limit Cost");
    let reached = |limit| vec![Event::LimitReached { limit, used: 1, max: 1 }];
    check([turn(options(|o| o.max_steps = Some(1))), vec![reached(LimitKind::Steps)]].concat(), "hand over");
    let handed = [vec![hand_over_requested(3)], allowed(3), vec![finished(3, vec![])]].concat();
    let parts = [turn(options(|o| o.max_steps = Some(1))), vec![reached(LimitKind::Steps), handed]].concat();
    check(parts, "end Stopped Limit(Steps) The task was cut short; there is no plan that says what is missing.");
    // With more room the work goes on, and the next limit hands over what has come of it since.
    let more = vec![Event::OptionsChanged { options: options(|o| o.max_steps = Some(2)) }];
    let second = vec![requested(5, "file_read")];
    let again = [more, model_call(4), vec![reply(4, "", &[("file_read", "{}")])], second, allowed(5)].concat();
    let handed = [vec![hand_over_requested(3)], allowed(3), vec![finished(3, vec![])]].concat();
    let parts = [turn(options(|o| o.max_steps = Some(1))), vec![reached(LimitKind::Steps), handed, again]].concat();
    let parts = [parts, vec![vec![finished(5, vec![])], reached(LimitKind::Steps)]].concat();
    check(parts, "hand over");
    let tight = Limits { input_tokens_max: 90, output_tokens_max: 20, window_tokens: Some(100), reserve: None };
    assert_eq!(next(turn(TaskOptions::default()), &tight), "limit Window");
}

#[test]
fn a_stop_comes_before_all_else() {
    let stop = vec![Event::StopRequested { by: "you".into() }];
    check(vec![replied(&[("shell_exec", "{\"command\":\"ls\"}")]), stop], "end Stopped Person");
}

#[test]
fn back_off_waits_on_the_record() {
    let failed = |retry_in_ms| {
        let reason = "429".to_owned();
        vec![Event::ModelAttemptFailed { id: event::EffectId(1), attempt: 1, reason, retry_in_ms, charged: false }]
    };
    check(vec![start(TaskOptions::default()), failed(60_000)], "wake at 64000");
    let later = vec![Event::TimeReached { at_ms: 5_000 }];
    check(vec![start(TaskOptions::default()), failed(500), later], "continue e1");
}
