//! A limit is reached: the work so far is handed over with a plain account, and more room lets the task go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent::{Command, NoFaults, Patience, Place, Start, Summary};
use event::{Event, LimitKind, MicroUsd, StopCause, TaskOptions, ToolStatus};
use model::Price;
use serde_json::json;
use testkit::{Answer, ModelServer, Turn, turn_due};

use crate::rig::{self, DieAt, Rig, Seen};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// A dollar per million tokens: a token costs a millionth.
const PRICE: Price = Price { input: 1.0, cached_input: None, cache_write: None, output: 1.0 };

fn plan() -> Turn {
    let steps = json!([{ "text": "write a", "status": "in_progress" }, { "text": "write b" }]);
    Turn::call("plan_update", &json!({ "steps": steps, "acceptance": ["both letters are there"] }))
}

fn work() -> Vec<Turn> {
    vec![plan(), Turn::exec("echo a >> log"), Turn::exec("echo b >> log"), Turn::say("both are there")]
}

#[track_caller]
fn cut_short(summary: &Summary, limit: LimitKind) {
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Limit(limit))), "{}", summary.reason);
}

#[test]
fn steps_run_out_and_more_of_them_finish_the_work() {
    let rig = Rig::new(ModelServer::playing(work()).unwrap());
    let options = |max_steps| TaskOptions { max_steps: Some(max_steps), ..TaskOptions::default() };
    let id = rig.create(options(2));
    let summary = rig.run(&id);
    cut_short(&summary, LimitKind::Steps);
    assert_eq!(summary.reason, "the limit of 2 steps is reached");
    for missing in ["begun, not finished: write a", "not begun: write b", "not checked: both letters are there"] {
        assert!(summary.text.contains(missing), "{}", summary.text);
    }
    assert_eq!(rig.out_file("unfinished/log"), "a\n");
    // Nothing more is done, and nothing handed over twice, while the limit holds.
    cut_short(&rig.resume(&id), LimitKind::Steps);
    assert_eq!(rig.server.seen().len(), 2);
    assert_eq!(std::fs::read_dir(rig.folder.path().join("out/unfinished")).unwrap().count(), 1);
    rig.tell(&id, Command::Options { options: TaskOptions { out: summary.options.out, ..options(9) }, was: None });
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!(rig.workspace_file(&id, "log"), "a\nb\n");
    rig.check(&id);
}

#[test]
fn a_hand_over_cut_by_a_crash_is_made_once() {
    for place in [Place::Started, Place::Flying, Place::Landed, Place::Recorded] {
        let rig = Rig::new(ModelServer::playing(work()).unwrap());
        let id = rig.create(TaskOptions { max_steps: Some(2), ..TaskOptions::default() });
        // Two replies, the plan and the command come before it.
        assert!(rig.go(&id, Start::Fresh, &mut DieAt::new(place, 5)).is_err());
        cut_short(&rig.resume(&id), LimitKind::Steps);
        let files = std::fs::read_dir(rig.folder.path().join("out/unfinished")).unwrap();
        let names: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["log"], "{place:?}");
        rig.check(&id);
    }
}

/// Calls that each cost 31,000 millionths under a cap of 100,000.
fn under_a_cap(usage: Option<(u64, u64, u64)>) -> (Rig, Summary) {
    let turns = (0..9).map(|_| Turn { usage, ..Turn::exec("echo x >> log") }).collect();
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.price = Some(PRICE);
    let id = rig.create(TaskOptions { max_cost: Some(MicroUsd(100_000)), ..TaskOptions::default() });
    let summary = rig.run(&id);
    rig.check(&id);
    (rig, summary)
}

#[test]
fn what_a_call_might_cost_is_held_against_the_cap() {
    let (rig, summary) = under_a_cap(Some((30_000, 0, 1_000)));
    cut_short(&summary, LimitKind::Cost);
    assert!(summary.spent > MicroUsd(0) && summary.spent <= MicroUsd(100_000), "{}", summary.spent);
    assert!(rig.out_file("unfinished/log").starts_with("x\n"));
}

#[test]
fn a_server_that_counts_nothing_cannot_break_the_cap() {
    let (rig, summary) = under_a_cap(None);
    cut_short(&summary, LimitKind::Cost);
    assert_eq!(summary.spent, MicroUsd(0), "what is not known is not made up");
    let held: u64 = rig
        .events(&summary.id)
        .into_iter()
        .filter_map(|event| match event {
            Event::EffectRequested { effect: event::Effect::Model(call) } => call.reserved,
            _ => None,
        })
        .map(|reserved| reserved.0)
        .sum();
    assert!(held <= 100_000, "the calls together may have cost {held}");
}

#[test]
fn a_cap_given_later_holds_where_no_request_bounds_the_reply() {
    for (window, limit) in [(None, true), (Some(200_000), true), (Some(20_000), false)] {
        let mut rig = Rig::new(ModelServer::playing(work()).unwrap());
        // No price was known, so the task was begun without a bound on replies.
        let options = |max_cost| TaskOptions { max_steps: Some(1), max_cost, ..TaskOptions::default() };
        let id = rig.create(options(None));
        cut_short(&rig.run(&id), LimitKind::Steps);
        rig.price = Some(PRICE);
        rig.window = window;
        let out = rig.instance.summary(&id).unwrap().options.out;
        let options = TaskOptions { max_steps: None, out, ..options(Some(MicroUsd(60_000))) };
        rig.tell(&id, Command::Options { options, was: None });
        let summary = rig.resume(&id);
        assert_eq!(summary.cause == Some(StopCause::Limit(LimitKind::Cost)), limit, "{window:?}: {}", summary.reason);
        rig.check(&id);
    }
}

#[test]
fn calls_that_died_with_their_engine_are_held_against_the_cap() {
    let mut rig = Rig::new(ModelServer::playing(work()).unwrap());
    rig.price = Some(PRICE);
    let id = rig.create(TaskOptions { max_cost: Some(MicroUsd(60_000)), ..TaskOptions::default() });
    // The server may have answered, and counted, each time.
    assert!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Landed, 1)).is_err());
    assert!(rig.go(&id, Start::Resume, &mut DieAt::new(Place::Landed, 1)).is_err());
    let asked = rig.server.seen().len();
    cut_short(&rig.resume(&id), LimitKind::Cost);
    assert_eq!((asked, rig.server.seen().len()), (2, 2), "a third could break the cap");
    rig.check(&id);
}

#[test]
fn time_ends_a_wait_for_the_model() {
    let turns = [Turn::say("at last")];
    // Whether the request that is cut off has come by then is up to the machine.
    let answers = Arc::new(AtomicBool::new(false));
    let ready = Arc::clone(&answers);
    let server = ModelServer::start(move |_, request| match ready.load(Ordering::Relaxed) {
        false => Answer::Silence,
        true => Answer::Stream(turn_due(&turns, request)),
    });
    let rig = Rig::ahead_of_time(server.unwrap());
    let options = |hours| TaskOptions { max_time_ms: Some(hours * HOUR_MS), ..TaskOptions::default() };
    let id = rig.create(options(1));
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        if matches!(seen, Seen::Event(Event::EffectStarted { id, .. }) if id.0 == 1) {
            rig::pass_ms(2 * HOUR_MS);
        }
        None
    });
    cut_short(&summary, LimitKind::Time);
    rig.tell(&id, Command::Options { options: options(9), was: None });
    answers.store(true, Ordering::Relaxed);
    assert_eq!(rig.resume(&id).text, "at last");
    let seen = rig.server.seen();
    assert!(seen.windows(2).all(|pair| pair[0].body == pair[1].body), "the request that was cut off is asked again");
    rig.check(&id);
}

#[test]
fn time_ends_the_command_under_way() {
    let turns = vec![Turn::exec("echo a >> log"), Turn::exec("sleep 1000"), Turn::say("slept")];
    let rig = Rig::ahead_of_time(ModelServer::playing(turns).unwrap());
    let options = |hours| TaskOptions { max_time_ms: Some(hours * HOUR_MS), ..TaskOptions::default() };
    let id = rig.create(options(1));
    let mut started = 0;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        started += usize::from(matches!(seen, Seen::Event(Event::EffectStarted { .. })));
        // Two requests, the first command, and then the one that sleeps.
        if started == 4 {
            rig::pass_ms(2 * HOUR_MS);
            started += 1;
        }
        None
    });
    cut_short(&summary, LimitKind::Time);
    assert_eq!(summary.reason, "the time limit of 3600 s is reached");
    assert_eq!(rig.out_file("unfinished/log"), "a\n");
    let interrupted = rig.results(&id).iter().filter(|result| result.status == ToolStatus::Interrupted).count();
    assert_eq!(interrupted, 1);
    rig.tell(&id, Command::Options { options: TaskOptions { out: summary.options.out, ..options(9) }, was: None });
    let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
    assert_eq!((summary.state, summary.text.as_str()), ("done", "slept"));
    rig.check(&id);
}
