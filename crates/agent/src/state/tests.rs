//! Stories told in events, and where they leave the task. Shared with the tests of `decide`.

use event::{
    AssistantMessage, BlobRef, Decision, Digest, Effect, EffectId, Event, FinishReason, Label, ModelCall, Outcome,
    Reply, TaskCreated, TaskId, TaskOptions, Tier, ToolCall, ToolFact, ToolRequest, ToolResult, ToolStatus,
};

use super::State;

const SECOND: u64 = 1_000;

fn blob() -> BlobRef {
    BlobRef { digest: Digest::of(b""), bytes: 0 }
}

pub(crate) fn created(options: TaskOptions) -> Event {
    Event::TaskCreated(Box::new(TaskCreated {
        id: TaskId::new("t1").unwrap(),
        brief: "count the birds".into(),
        model: "script:test".into(),
        scripted: true,
        options,
        output_tokens_max: None,
        inputs: vec![],
        system: blob(),
        tools: blob(),
        policy: blob(),
        sees: false,
        engine: "0".into(),
        autorun: None,
        forked_from: None,
        boot: "b".into(),
    }))
}

pub(crate) fn decision(outcome: Outcome, rule: &str) -> Decision {
    Decision {
        outcome,
        tier: Tier::Autonomous,
        rules: vec![rule.into()],
        reason: "because".into(),
        why: Vec::new(),
        effect_digest: Digest::of(rule.as_bytes()),
    }
}

pub(crate) fn model_call(id: u64) -> Vec<Event> {
    let call = ModelCall {
        id: EffectId(id),
        turn: 1,
        model: "script:test".into(),
        body: Digest::of(b"body"),
        body_bytes: 4,
        input_tokens_max: 10,
        output_tokens_max: 10,
        reserved: None,
        label: Label::system(),
    };
    vec![
        Event::EffectRequested { effect: Effect::Model(call) },
        Event::EffectDecided { id: EffectId(id), decision: decision(Outcome::Allow, "model") },
        Event::EffectStarted { id: EffectId(id), boot: "b".into() },
    ]
}

pub(crate) fn reply(id: u64, text: &str, calls: &[(&str, &str)]) -> Event {
    let tool_calls = calls
        .iter()
        .enumerate()
        .map(|(i, (name, arguments))| ToolRequest {
            id: format!("call_{i}"),
            name: (*name).into(),
            arguments: (*arguments).into(),
        })
        .collect();
    let message = AssistantMessage { text: text.into(), tool_calls, ..AssistantMessage::default() };
    let reply = Reply {
        message,
        finish: FinishReason::Stop,
        usage: None,
        served_by: String::new(),
        response_id: String::new(),
    };
    Event::ModelReplied { id: EffectId(id), reply: Box::new(reply), cost: None }
}

pub(crate) fn tool_call(id: u64, tool: &str) -> ToolCall {
    ToolCall {
        id: EffectId(id),
        turn: 1,
        call_id: "call_0".into(),
        tool: tool.into(),
        arguments: serde_json::Map::from_iter([("command".to_owned(), "true".into())]),
        labels: Default::default(),
    }
}

pub(crate) fn requested(id: u64, tool: &str) -> Event {
    Event::EffectRequested { effect: Effect::Tool(tool_call(id, tool)) }
}

pub(crate) fn hand_over_requested(id: u64) -> Event {
    let call = ToolCall { call_id: String::new(), ..tool_call(id, tools::HAND_OVER) };
    Event::EffectRequested { effect: Effect::Tool(call) }
}

pub(crate) fn allowed(id: u64) -> Vec<Event> {
    vec![
        Event::EffectDecided { id: EffectId(id), decision: decision(Outcome::Allow, "inside") },
        Event::EffectStarted { id: EffectId(id), boot: "b".into() },
    ]
}

pub(crate) fn finished(id: u64, facts: Vec<ToolFact>) -> Event {
    let result =
        ToolResult { status: ToolStatus::Ok, text: "done".into(), label: Label::output_of(EffectId(id)), facts };
    Event::ToolFinished { id: EffectId(id), result }
}

/// Folds a story, a second between its events.
pub(crate) fn story(parts: impl IntoIterator<Item = Vec<Event>>) -> State {
    let mut state = State::default();
    for (i, event) in parts.into_iter().flatten().enumerate() {
        state.apply(&event, i as u64 * SECOND);
    }
    state
}

fn resumed(previous_lived_ms: u64) -> Vec<Event> {
    vec![Event::Resumed { engine: "0".into(), boot: "b".into(), previous_lived_ms: Some(previous_lived_ms) }]
}

#[test]
fn resumes_that_die_at_once_and_bring_nothing_are_counted() {
    let start = || [vec![created(TaskOptions::default())], model_call(1)];
    let check = |resumes: Vec<Vec<Event>>, exhausted: bool| {
        let state = story(start().into_iter().chain(resumes));
        assert_eq!(state.resumes_exhausted(), exhausted, "{} counted", state.fruitless_resumes);
    };
    check(vec![resumed(10), resumed(10), resumed(10)], false);
    check(vec![resumed(10), resumed(10), resumed(10), resumed(10)], true);
    // One that lived for longer than a minute breaks the row, and so does one that brought something.
    check(vec![resumed(10), resumed(10), resumed(70_000), resumed(10)], false);
    check(vec![resumed(10), resumed(10), resumed(10), vec![reply(1, "hi", &[])], resumed(10)], false);
    // Decisions and starts that a resume repeats are no progress.
    let again = || [resumed(10), allowed(1)].concat();
    check(vec![again(), again(), again(), again()], true);
}

#[test]
fn a_process_is_the_newest_call_that_bears_its_name() {
    let mut first = tool_call(2, "shell_exec");
    first.arguments.insert("id".into(), "server".into());
    let second = ToolCall { id: EffectId(3), ..first.clone() };
    let mut third = tool_call(4, "shell_exec");
    third.call_id = "call_2".into();
    let request = |call: &ToolCall| Event::EffectRequested { effect: Effect::Tool(call.clone()) };
    let calls = [
        ("shell_exec", "{\"command\":\"ls\"}"),
        ("shell_exec", "{\"command\":\"ls\"}"),
        ("shell_exec", "{\"command\":\"ls\"}"),
    ];
    let state = story([
        vec![created(TaskOptions::default())],
        model_call(1),
        vec![reply(1, "", &calls), request(&first)],
        allowed(2),
        vec![finished(2, vec![]), request(&second)],
        allowed(3),
        vec![finished(3, vec![]), request(&third)],
        allowed(4),
        vec![finished(4, vec![])],
    ]);
    let processes: Vec<_> = state.processes.iter().map(|(name, id)| (name.as_str(), id.0)).collect();
    assert_eq!(processes, [("e4", 4), ("server", 3)]);
    assert!(state.turn_complete());
}

#[test]
fn a_hand_over_is_the_engines_own_call_even_where_the_models_wait() {
    let state = story([
        vec![created(TaskOptions::default())],
        model_call(1),
        vec![reply(1, "", &[("idle", "{}")]), hand_over_requested(2)],
    ]);
    assert_eq!(state.calls[0].stage, super::Stage::Pending);
    assert!(matches!(state.hand_over.unwrap().stage, super::Stage::Requested(_)));
}

#[test]
fn a_try_that_its_server_may_charge_for_counts_with_what_was_reserved_over_any_number_of_kills() {
    let reserved = |id| {
        let mut events = model_call(id);
        if let Event::EffectRequested { effect: Effect::Model(call) } = &mut events[0] {
            call.reserved = Some(event::MicroUsd(5));
        }
        events
    };
    let check = |after: Vec<Vec<Event>>, committed: u64| {
        let story = story([vec![created(TaskOptions::default())], reserved(1)].into_iter().chain(after));
        assert_eq!(story.committed(), event::MicroUsd(committed));
    };
    let failed = |charged| {
        let (id, reason) = (EffectId(1), "cut".to_owned());
        vec![Event::ModelAttemptFailed { id, attempt: 1, reason, retry_in_ms: 0, charged }]
    };
    let gave_up = || {
        let (id, reason) = (EffectId(1), "cut".to_owned());
        vec![Event::ModelFailed { id, kind: event::FailureKind::Transient, reason, charged: true }]
    };
    check(vec![], 0);
    check(vec![resumed(10)], 5);
    check(vec![resumed(10), resumed(10)], 5);
    check(vec![resumed(10), allowed(1), resumed(10), allowed(1), resumed(10)], 15);
    check(vec![failed(false), allowed(1), failed(false), resumed(10)], 0);
    check(vec![failed(true), allowed(1), failed(true)], 10);
    check(vec![failed(true), resumed(10), allowed(1), resumed(10), allowed(1), gave_up()], 15);
    check(vec![failed(true), allowed(1), vec![reply(1, "hi", &[])], resumed(10)], 10);
}

#[test]
fn a_servers_count_of_tokens_may_be_any_number() {
    let counted = |id| match reply(id, "hi", &[("idle", "{}")]) {
        Event::ModelReplied { id, mut reply, cost } => {
            let most = u64::MAX;
            reply.usage = Some(event::Usage {
                input_tokens: most,
                cached_input_tokens: most,
                cache_write_input_tokens: most,
                output_tokens: most,
            });
            Event::ModelReplied { id, reply, cost }
        }
        other => other,
    };
    let state = story([
        vec![created(TaskOptions::default())],
        model_call(1),
        vec![counted(1)],
        model_call(2),
        vec![counted(2)],
    ]);
    assert_eq!((state.usage.input_tokens, state.usage.output_tokens), (u64::MAX, u64::MAX));
}

#[test]
fn a_time_limit_and_steps_are_counted_from_the_first_engine_on() {
    let options = TaskOptions { max_time_ms: Some(60 * SECOND), max_steps: Some(9), ..TaskOptions::default() };
    let lives = || [resumed(10), allowed(1)].concat();
    let state = story([vec![created(options)], model_call(1), lives(), lives(), vec![reply(1, "hi", &[])], lives()]);
    assert_eq!((state.deadline_ms(), state.steps), (Some(60 * SECOND), 1));
}
