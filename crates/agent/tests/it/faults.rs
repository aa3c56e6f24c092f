//! What a model's server can do wrong, and what becomes of the task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::{Command, NoFaults, Patience, Start};
use event::{Event, FailureKind, LimitKind, StopCause, TaskOptions, ToolStatus};
use serde_json::json;
use testkit::{Answer, ModelServer, Turn, replies_in, turn_due};
use tokio::sync::mpsc;

use crate::rig::{Rig, Seen, pass_ms};

/// How long a model may be silent where it is: longer than a busy machine keeps one that answers waiting.
const SILENT: Duration = Duration::from_millis(1_500);

fn turns() -> Vec<Turn> {
    vec![Turn::exec("echo once >> log; cat log"), Turn::say("all done")]
}

/// A server that fails the second request so many times, and then goes on.
fn failing(times: usize, failure: Answer) -> ModelServer {
    ModelServer::start(move |index, request| {
        if (1..=times).contains(&index) { failure.clone() } else { Answer::Stream(turn_due(&turns(), request)) }
    })
    .unwrap()
}

#[test]
fn what_may_pass_is_tried_again_with_the_same_bytes_and_the_step_happens_once() {
    let status = |code, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer::Status(code, headers, json!({ "error": { "message": "not now" } }).to_string())
    };
    let failures = [
        status(429, &[("retry-after", "0")]),
        status(500, &[("retry-after-ms", "5")]),
        status(503, &[("retry-after", "0")]),
        Answer::Reset,
        Answer::Half(Turn::exec("echo twice >> log"), 4),
        Answer::ErrorInStream("overloaded".to_owned()),
        Answer::Silence,
    ];
    for failure in failures {
        let name = format!("{failure:?}");
        let silent = matches!(failure, Answer::Silence);
        let mut rig = Rig::new(failing(1, failure));
        if silent {
            rig.idle = SILENT;
        }
        let id = rig.create(TaskOptions::default());
        let summary = rig.run(&id);
        assert_eq!((summary.state, summary.text.as_str()), ("done", "all done"), "{name}");
        assert_eq!(rig.workspace_file(&id, "log"), "once\n", "{name}");
        assert_eq!(rig.server.seen().len(), 3, "{name}");
        let retries = rig.events(&id).iter().filter(|event| matches!(event, Event::ModelAttemptFailed { .. })).count();
        assert_eq!(retries, 1, "{name}");
        rig.check(&id);
    }
}

#[test]
fn a_server_that_is_away_for_minutes_is_waited_for_and_one_that_charges_is_not() {
    let away = Answer::Status(503, vec![("retry-after".to_owned(), "0".to_owned())], "{}".to_owned());
    for (times, failure, state, requests) in [
        (19, away.clone(), "done", 21),
        (20, away, "failed", 21),
        (5, Answer::ErrorInStream("overloaded".to_owned()), "failed", 6),
    ] {
        let rig = Rig::ahead_of_time(failing(times, failure));
        let id = rig.create(TaskOptions::default());
        let mut waited_ms = 0;
        let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
            if let Seen::Event(Event::ModelAttemptFailed { retry_in_ms, .. }) = seen {
                waited_ms += retry_in_ms;
                pass_ms(*retry_in_ms);
            }
            None
        });
        assert_eq!((summary.state, rig.server.seen().len()), (state, requests), "{}", summary.reason);
        assert!(requests == 6 || (5 * 60_000..15 * 60_000).contains(&waited_ms), "waited {waited_ms} ms");
        rig.check(&id);
    }
}

/// Whether the clock has been set back, to a year where it stands still.
static SET_BACK: AtomicBool = AtomicBool::new(false);

fn set_back_ms() -> u64 {
    if SET_BACK.load(Ordering::Relaxed) { 1_600_000_000_000 } else { 1_700_000_000_000 }
}

#[test]
fn a_clock_behind_the_record_holds_up_no_try_and_no_time_limit() {
    let server = failing(1, Answer::Status(503, Vec::new(), "{}".to_owned()));
    let rig = Rig::with_clock(server, set_back_ms);
    let id = rig.create(TaskOptions::default());
    SET_BACK.store(true, Ordering::Relaxed);
    assert_eq!(rig.run(&id).state, "done");
    let waited = rig.events(&id).iter().filter(|event| matches!(event, Event::TimeReached { .. })).count();
    assert_eq!(waited, 1, "one wait is one event");
    rig.check(&id);

    SET_BACK.store(false, Ordering::Relaxed);
    let rig = Rig::with_clock(ModelServer::start(|_, _| Answer::Silence).unwrap(), set_back_ms);
    let id = rig.create(TaskOptions { max_time_ms: Some(300), ..TaskOptions::default() });
    SET_BACK.store(true, Ordering::Relaxed);
    let summary = rig.run(&id);
    assert_eq!(summary.cause, Some(StopCause::Limit(LimitKind::Time)), "{}", summary.reason);
    rig.check(&id);
}

#[test]
fn a_whole_answer_serves_where_a_stream_was_asked_for() {
    let server = ModelServer::start(|_, request| Answer::Whole(turn_due(&turns(), request))).unwrap();
    let rig = Rig::new(server);
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    rig.check(&id);
}

#[test]
fn a_model_that_never_answers_ends_in_failed_with_the_reason() {
    let mut rig = Rig::new(ModelServer::start(|_, _| Answer::Silence).unwrap());
    rig.idle = SILENT;
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.cause), ("failed", Some(StopCause::Model)));
    assert!(summary.reason.contains("sent nothing for"), "{}", summary.reason);
    assert_eq!(rig.server.seen().len(), 3, "silence is tried three times");
    rig.check(&id);
}

#[test]
fn a_stop_needs_no_answer_of_the_model() {
    let rig = Rig::new(ModelServer::start(|_, _| Answer::Silence).unwrap());
    let id = rig.create(TaskOptions::default());
    let (sender, commands) = mpsc::channel(1);
    sender.blocking_send(Command::Stop { by: "you".to_owned() }).unwrap();
    let summary = rig.go_hearing(&id, Start::Fresh, &mut NoFaults, commands).unwrap();
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Person)));
    rig.check(&id);
}

#[test]
fn a_request_over_the_window_hands_over_what_there_is() {
    // The server says so.
    let refusal = json!({ "error": { "message": "too long", "code": "context_length_exceeded" } }).to_string();
    let server = ModelServer::start(move |index, request| match index {
        0 => Answer::Stream(turn_due(&turns(), request)),
        _ => Answer::Status(400, Vec::new(), refusal.clone()),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Limit(LimitKind::Window))));
    assert!(rig.folder.path().join("out/unfinished/log").is_file());
    rig.check(&id);

    // We know it beforehand, and ask nothing.
    let mut rig = Rig::new(ModelServer::playing(turns()).unwrap());
    rig.window = Some(20_000);
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Limit(LimitKind::Window))));
    assert_eq!(rig.server.seen().len(), 0);
    rig.check(&id);
}

#[test]
fn what_the_model_gets_wrong_is_told_and_runs_nothing() {
    let calls = [
        ("shell_exec", "{\"command\": \"echo x >> log"),
        ("shell_exec", "not json"),
        ("shell_exec", "{}"),
        ("shell_exec", "{\"command\": 7}"),
        ("fly_to_the_moon", "{}"),
        ("hand_over", "{}"),
    ];
    let wrong = calls.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())).to_vec();
    let server = ModelServer::playing(vec![Turn { calls: wrong, ..Turn::default() }, Turn::say("sorry")]).unwrap();
    let rig = Rig::new(server);
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let results: Vec<_> = rig
        .events(&id)
        .into_iter()
        .filter_map(|event| if let Event::ToolFinished { result, .. } = event { Some(result) } else { None })
        .collect();
    assert_eq!(results.len(), calls.len());
    for (result, call) in results.iter().zip(calls) {
        assert_eq!(result.status, ToolStatus::Invalid, "{call:?}: {}", result.text);
    }
    assert_eq!(rig.workspace_file(&id, "log"), "");
    assert!(
        !rig.events(&id).iter().any(|event| matches!(event, Event::ModelFailed { kind: FailureKind::Rejected, .. }))
    );
    rig.check(&id);
}

#[test]
fn half_a_reply_is_no_last_word() {
    let cut = Turn { cut: true, ..Turn::say("The result is, as far as") };
    let rig = Rig::new(ModelServer::playing(vec![cut.clone(), Turn::say("42")]).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.text.as_str()), ("done", "42"));
    assert!(String::from_utf8_lossy(&rig.server.seen()[1].body).contains("cut at the output limit"));
    rig.check(&id);

    // One that never gets further is not asked for ever.
    let rig = Rig::new(ModelServer::start(move |_, _| Answer::Stream(cut.clone())).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.cause), ("failed", Some(StopCause::Model)));
    assert!(summary.reason.starts_with("3 replies in a row broke off"), "{}", summary.reason);
    assert_eq!(rig.server.seen().len(), 3);
    rig.check(&id);
}

#[test]
fn a_reply_with_neither_words_nor_calls_is_no_last_word() {
    let nothing = Turn::default();
    let rig = Rig::new(ModelServer::playing(vec![nothing.clone(), Turn::say("42")]).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.text.as_str()), ("done", "42"));
    assert!(String::from_utf8_lossy(&rig.server.seen()[1].body).contains("No tool call arrived"));
    rig.check(&id);

    let rig = Rig::new(ModelServer::start(move |_, _| Answer::Stream(nothing.clone())).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.cause, rig.server.seen().len()), ("failed", Some(StopCause::Model), 3));
    rig.check(&id);
}

#[test]
fn what_a_person_says_in_mid_turn_waits_for_its_place() {
    let server = ModelServer::start(|_, request| match replies_in(request) {
        0 => Answer::Stream(Turn {
            calls: vec![
                ("shell_exec".to_owned(), json!({ "command": "echo a" }).to_string()),
                ("shell_exec".to_owned(), json!({ "command": "echo b" }).to_string()),
            ],
            ..Turn::default()
        }),
        _ => Answer::Stream(Turn::say("done")),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let (sender, commands) = mpsc::channel(1);
    sender.blocking_send(Command::Message { text: "hurry up".to_owned() }).unwrap();
    rig.go_hearing(&id, Start::Fresh, &mut NoFaults, commands).unwrap();
    let last = rig.server.seen().pop().unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("hurry up"));
    // The server has held every request against the rule that a call is followed by its results.
    rig.check(&id);
}
