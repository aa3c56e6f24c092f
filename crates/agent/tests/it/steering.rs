//! A person steers: a word, an answer, a stop, at whatever moment it comes.

use std::thread;

use agent::{Command, Error, NoFaults, Patience, Place, Start};
use event::{Effect, Event, StopCause, TaskOptions, ToolStatus};
use serde_json::json;
use testkit::{Answer, Gate, ModelServer, Turn, turn_due};

use crate::person::asking_rules;
use crate::rig::{DieAt, Rig, Seen, now_ms, until};

fn message(text: &str) -> Command {
    Command::Message { text: text.to_owned() }
}

fn stop() -> Command {
    Command::Stop { by: "you".to_owned() }
}

fn word(allowed: bool, note: &str) -> Command {
    Command::Confirm { effect: None, allowed, note: note.to_owned() }
}

fn body(rig: &Rig, request: usize) -> String {
    String::from_utf8(rig.server.seen()[request].body.clone()).unwrap()
}

#[test]
fn a_word_said_during_the_closing_words_is_read_before_the_task_ends() {
    let gate = Gate::default();
    let held = gate.clone();
    let turns = [Turn::say("that was all there is"), Turn::say("and now this too")];
    let server = ModelServer::start(move |index, request| match index {
        0 => Answer::Gated(turn_due(&turns, request), held.clone()),
        _ => Answer::Stream(turn_due(&turns, request)),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    // The opening and a first word; the rest when the person has been heard.
    gate.let_through(2);
    let mut said = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Delta if !said => {
            said = true;
            Some(message("one thing more"))
        }
        Seen::Event(Event::MessageReceived { .. }) => {
            gate.let_through(1_000);
            None
        }
        Seen::Event(_) | Seen::Delta | Seen::Waiting => None,
    });
    assert_eq!((summary.state, summary.text.as_str()), ("done", "and now this too"));
    assert!(body(&rig, 1).contains("one thing more"));
    rig.check(&id);
}

#[test]
fn more_time_given_to_a_task_at_work_is_its_computers_too() {
    // Time enough for a busy machine to begin.
    const LIMIT_MS: u64 = 12_000;
    let until_ms = now_ms() + LIMIT_MS + 500;
    let wait = format!("while [ $(date +%s%3N) -lt {until_ms} ]; do sleep 0.2; done; echo lived on");
    let more = Turn::call("shell_wait", &json!({ "id": "e4", "seconds": 60 }));
    let turns = vec![Turn::exec("true"), Turn::exec(&wait), more, Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions { max_time_ms: Some(LIMIT_MS), ..TaskOptions::default() });
    let mut due = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        // The computer has been there since the first command.
        Seen::Event(Event::EffectRequested { effect: Effect::Tool(call) }) => {
            due = call.arguments.get("command").is_some_and(|command| command != "true");
            None
        }
        Seen::Event(Event::EffectStarted { .. }) if due => {
            due = false;
            let options = TaskOptions { max_time_ms: Some(3_600_000), ..TaskOptions::default() };
            Some(Command::Options { options, was: None })
        }
        Seen::Event(_) | Seen::Delta | Seen::Waiting => None,
    });
    assert_eq!(summary.state, "done");
    let shown: Vec<_> = rig.results(&id).into_iter().map(|result| result.text).collect();
    assert!(shown[1].starts_with("Still running") && shown[2].contains("lived on"), "{shown:?}");
    rig.check(&id);
}

#[test]
fn a_word_said_while_the_agent_says_it_is_done_is_read_too() {
    let turns = vec![
        Turn { text: "finished".to_owned(), ..Turn::call("idle", &json!({})) },
        Turn { text: "really finished".to_owned(), ..Turn::call("idle", &json!({})) },
    ];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    let mut said = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        // Between the reply and what it asks for.
        let replied = matches!(seen, Seen::Event(Event::ModelReplied { .. }));
        (replied && !std::mem::replace(&mut said, true)).then(|| message("one thing more"))
    });
    assert_eq!((summary.state, summary.text.as_str()), ("done", "really finished"));
    assert!(body(&rig, 1).contains("one thing more"));
    rig.check(&id);
}

#[test]
fn a_word_said_between_two_tries_waits_for_the_next_request() {
    let turns = [Turn::exec("echo once >> log"), Turn::say("done")];
    let server = ModelServer::start(move |index, request| match index {
        0 => Answer::Status(503, vec![("retry-after-ms".to_owned(), "300".to_owned())], "{}".to_owned()),
        _ => Answer::Stream(turn_due(&turns, request)),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        matches!(seen, Seen::Event(Event::ModelAttemptFailed { .. })).then(|| message("hurry up"))
    });
    assert_eq!(summary.state, "done");
    assert_eq!(body(&rig, 0), body(&rig, 1), "the second try is the first request");
    assert!(body(&rig, 2).contains("hurry up"));
    rig.check(&id);
}

#[test]
fn a_stop_between_two_tries_does_not_wait_for_the_next() {
    let server = ModelServer::start(|_, _| {
        Answer::Status(429, vec![("retry-after".to_owned(), "500".to_owned())], "{}".to_owned())
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        matches!(seen, Seen::Event(Event::ModelAttemptFailed { .. })).then(stop)
    });
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Person)));
    assert_eq!(rig.server.seen().len(), 1);
    rig.check(&id);
}

#[test]
fn a_stop_while_the_model_is_silent_ends_at_once_and_the_same_request_is_asked_again() {
    let turns = [Turn::say("here I am")];
    let server = ModelServer::start(move |index, request| match index {
        0 => Answer::Silence,
        _ => Answer::Stream(turn_due(&turns, request)),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = thread::scope(|scope| {
        scope.spawn(|| {
            assert!(rig.server.wait_for(1));
            rig.tell(&id, stop());
        });
        rig.run(&id)
    });
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Person)), "{}", summary.reason);
    assert_eq!(rig.resume(&id).text, "here I am");
    assert_eq!(body(&rig, 0), body(&rig, 1));
    rig.check(&id);
}

#[test]
fn a_stop_ends_the_running_command_and_a_resume_knows_it() {
    let turns = vec![Turn::exec("echo begun >> log; sleep 1000; echo ended >> log"), Turn::say("I see")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = thread::scope(|scope| {
        scope.spawn(|| {
            until(|| !rig.workspace_file(&id, "log").is_empty());
            rig.tell(&id, stop());
        });
        rig.run(&id)
    });
    assert_eq!((summary.state, summary.cause), ("stopped", Some(StopCause::Person)));
    assert_eq!(rig.results(&id)[0].status, ToolStatus::Interrupted);
    assert_eq!((rig.resume(&id).state, rig.results(&id).len()), ("done", 1));
    assert_eq!(rig.workspace_file(&id, "log"), "begun\n", "what was stopped stays stopped");
    rig.check(&id);
}

#[test]
fn a_stop_in_the_middle_of_a_large_delivery_hands_nothing_over() {
    let deliver = Turn::call("deliver", &json!({ "files": [{ "path": "large" }] }));
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec("truncate -s 900M large"), deliver]).unwrap());
    let id = rig.create(TaskOptions::default());
    let copies = rig.instance.folder(&id).unwrap().root().join("deliver");
    let is_copied = || {
        let mut calls = std::fs::read_dir(&copies).into_iter().flatten().flatten();
        calls.any(|call| call.path().join("files/large").metadata().is_ok_and(|copy| copy.len() > 0))
    };
    let summary = thread::scope(|scope| {
        scope.spawn(|| {
            until(is_copied);
            rig.tell(&id, stop());
        });
        rig.run(&id)
    });
    assert_eq!((summary.state, rig.results(&id)[1].status), ("stopped", ToolStatus::Interrupted));
    // Nobody is left who would put it there later: the engine's threads have ended.
    let out = rig.folder.path().join("out");
    assert_eq!(std::fs::read_dir(out).map_or(0, Iterator::count), 0);
    rig.check(&id);
}

#[test]
fn a_task_in_hand_is_nobody_elses() {
    let rig = Rig::new(ModelServer::start(|_, _| Answer::Silence).unwrap());
    let id = rig.create(TaskOptions::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(rig.server.wait_for(1));
            assert!(matches!(rig.go(&id, Start::Resume, &mut NoFaults), Err(Error::Held { pid: Some(_), .. })));
            assert_eq!(rig.instance.summary(&id).unwrap().state, "running");
            rig.tell(&id, stop());
        });
        assert_eq!(rig.run(&id).state, "stopped");
    });
    assert!(!rig.events(&id).iter().any(|event| matches!(event, Event::Resumed { .. })));
    rig.check(&id);
}

#[test]
fn a_question_is_put_waited_for_and_answered() {
    let ask = Turn::call("message_ask_user", &json!({ "text": "Which year?" }));
    let rig = Rig::new(ModelServer::playing(vec![ask, Turn::say("2019 it is")]).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.run(&id);
    assert_eq!((summary.state, summary.question.as_deref()), ("waiting", Some("Which year?")));
    assert_eq!(rig.resume(&id).state, "waiting", "a resume is no answer");
    rig.tell(&id, message("2019"));
    assert_eq!(rig.resume(&id).text, "2019 it is");
    assert!(body(&rig, 1).contains("\"content\":\"2019\""));
    rig.check(&id);
}

#[test]
fn what_needs_a_word_happens_once_after_a_yes_and_never_after_a_no() {
    let turns = || vec![Turn::exec("echo once >> log"), Turn::say("done")];
    for (answer, log, status) in
        [(word(true, ""), "once\n", ToolStatus::Ok), (word(false, "not on a Sunday"), "", ToolStatus::Refused)]
    {
        let rig = Rig::with_policy(ModelServer::playing(turns()).unwrap(), &asking_rules());
        let id = rig.create(TaskOptions::default());
        let asked = rig.run(&id);
        let question = asked.approval.unwrap().question;
        assert!(asked.state == "waiting" && question.contains("echo once >> log"), "{question}");
        assert_eq!(rig.workspace_file(&id, "log"), "");
        rig.tell(&id, answer.clone());
        assert_eq!(rig.resume(&id).state, "done");
        assert_eq!(rig.workspace_file(&id, "log"), log);
        assert_eq!(rig.results(&id)[0].status, status);
        let told = body(&rig, 1);
        assert_eq!(told.contains("not on a Sunday"), status == ToolStatus::Refused);
        rig.check(&id);

        // The same at the terminal, where the person is there to answer.
        let rig = Rig::with_policy(ModelServer::playing(turns()).unwrap(), &asking_rules());
        let id = rig.create(TaskOptions::default());
        let mut said = false;
        let summary = rig.go_saying(&id, Start::Fresh, Patience::Stay, |seen| {
            (matches!(seen, Seen::Waiting) && !std::mem::replace(&mut said, true)).then(|| answer.clone())
        });
        assert_eq!((summary.state, rig.workspace_file(&id, "log").as_str()), ("done", log));
        rig.check(&id);
    }
    let rig = Rig::with_policy(ModelServer::playing(turns()).unwrap(), &asking_rules());
    let id = rig.create(TaskOptions { yes: true, ..TaskOptions::default() });
    assert_eq!((rig.run(&id).state, rig.workspace_file(&id, "log").as_str()), ("done", "once\n"));
    rig.check(&id);
}

#[test]
fn a_yes_outlives_the_engine_it_was_said_to() {
    for place in [Place::Decided, Place::Started, Place::Flying, Place::Landed] {
        let turns = vec![Turn::exec("echo once >> log"), Turn::say("done")];
        let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), &asking_rules());
        let id = rig.create(TaskOptions::default());
        assert_eq!(rig.run(&id).state, "waiting");
        rig.tell(&id, word(true, ""));
        assert!(matches!(rig.go(&id, Start::Resume, &mut DieAt::new(place, 1)), Err(Error::Crashed(_))));
        assert_eq!(rig.resume(&id).state, "done", "{place:?}: the person has said yes to this very effect");
        assert_eq!(rig.workspace_file(&id, "log"), "once\n", "{place:?}");
        rig.check(&id);
    }
}
