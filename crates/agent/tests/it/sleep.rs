//! A task that waits for long needs no computer: it is put to sleep, and wakes with the next call.

use std::sync::atomic::{AtomicUsize, Ordering};

use agent::{Command, NoFaults, Patience, Start};
use event::TaskOptions;
use serde_json::json;
use testkit::{ModelServer, Turn, clock};

use crate::person::asking_rules;
use crate::rig::{Rig, Seen, pass_ms, until};

const HALF_AN_HOUR_MS: u64 = 30 * 60 * 1_000;

/// Starts a server of its own, asks the person, and looks what is left.
fn turns() -> Vec<Turn> {
    vec![
        Turn::call("shell_exec", &json!({ "command": "echo here > a; sleep 1000 > /dev/null 2>&1 &", "id": "dev" })),
        Turn::call("message_ask_user", &json!({ "text": "Which colour?" })),
        Turn::exec("cat a"),
        Turn::call("shell_view", &json!({ "id": "dev" })),
        Turn::say("done"),
    ]
}

fn asleep(rig: &Rig, id: &event::TaskId) -> bool {
    sandbox::Computer::attach(&rig.instance.folder(id).unwrap().computer()).unwrap().is_none()
}

fn answer(rig: &Rig, id: &event::TaskId) {
    rig.tell(id, Command::Message { text: "blue".to_owned() });
}

/// What the model was told in its request of this number, about a computer that slept.
fn told(rig: &Rig, request: usize) -> usize {
    String::from_utf8_lossy(&rig.server.seen()[request].body).matches("put to sleep").count()
}

#[test]
fn a_task_that_nobody_holds_is_put_to_sleep_kept_and_woken_by_its_next_call() {
    let rig = Rig::with_policy(ModelServer::playing(turns()).unwrap(), policy::Engine::default_policy());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "waiting");
    clock::pass_ms(HALF_AN_HOUR_MS - 60_000);
    assert!(!rig.instance.put_to_sleep(&id).unwrap() && !asleep(&rig, &id), "it may still be wanted");
    clock::pass_ms(120_000);
    assert!(rig.instance.put_to_sleep(&id).unwrap());
    until(|| asleep(&rig, &id));
    assert!(!rig.instance.put_to_sleep(&id).unwrap(), "once is enough");
    assert_eq!(rig.instance.summary(&id).unwrap().state, "waiting");
    answer(&rig, &id);
    assert_eq!(rig.go(&id, Start::Resume, &mut NoFaults).unwrap().state, "done");
    assert_eq!((told(&rig, 2), told(&rig, 4)), (1, 1), "it is said once");
    let results = rig.results(&id);
    assert!(results[2].text.contains("here"), "{}", results[2].text);
    assert!(results[3].text.contains("dev"), "{}", results[3].text);
    assert_ne!(results[3].status, event::ToolStatus::Ok, "what ran is gone");
    assert_eq!(rig.instance.kept(&id).unwrap().checkpoints.len(), 1);
    rig.check(&id);
}

/// Whether a process with this in its command line runs anywhere on the machine.
fn runs(words: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(words))
}

#[test]
fn a_task_that_is_over_leaves_no_computer_and_no_process() {
    // Nobody else sleeps so long.
    let seconds = 1_000_000 + u64::from(std::process::id());
    let stray = format!("setsid sleep {seconds} > /dev/null 2>&1 & sleep {seconds} > /dev/null 2>&1 &");
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(&stray), Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    let mut ran = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        ran |=
            matches!(seen, Seen::Event(event) if event.kind() == "tool_finished") && runs(&format!("sleep {seconds}"));
        None
    });
    assert!(summary.state == "done" && ran, "it ran while the task did");
    until(|| asleep(&rig, &id) && !runs(&format!("sleep {seconds}")));
    rig.check(&id);
}

#[test]
fn a_terminal_is_made_anew_by_the_next_call_that_names_it() {
    let typing = |command: &str| Turn::call("shell_exec", &json!({ "command": command, "terminal": "main" }));
    let ask = Turn::call("message_ask_user", &json!({ "text": "Which colour?" }));
    let turns = vec![typing("export WORD=mine; echo here > a"), ask, typing("echo \"<$WORD>\" > b"), Turn::say("done")];
    let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), policy::Engine::default_policy());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "waiting");
    clock::pass_ms(HALF_AN_HOUR_MS + 60_000);
    assert!(rig.instance.put_to_sleep(&id).unwrap());
    answer(&rig, &id);
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!((rig.workspace_file(&id, "a"), rig.workspace_file(&id, "b")), ("here\n".into(), "<>\n".into()));
    rig.check(&id);
}

#[test]
fn a_command_under_way_keeps_its_computer_while_the_person_is_asked_about_a_host() {
    let command = "curl -s http://shop.invalid/; until test -e go; do sleep 0.02; done; echo ended";
    let turns = vec![Turn::exec(command), Turn::say("done")];
    let mut rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), policy::Engine::default_policy());
    rig.linger = std::time::Duration::ZERO;
    let id = rig.create(TaskOptions::default());
    // Its server stops while the command is at work.
    let put_down = || Command::PutDown { reason: "the server stops".to_owned() };
    let mut held = "";
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        matches!(seen, Seen::Event(event) if event.kind() == "approval_requested").then(|| {
            held = rig.instance.summary(&id).unwrap().state;
            put_down()
        })
    });
    assert_eq!(held, "waiting", "whoever lists the tasks sees that an answer is wanted");
    assert!(summary.is_left() && summary.approval.is_some(), "{}: somebody has to attach", summary.state);
    clock::pass_ms(HALF_AN_HOUR_MS + 60_000);
    assert!(!rig.instance.put_to_sleep(&id).unwrap() && !asleep(&rig, &id));
    std::fs::write(rig.instance.folder(&id).unwrap().workspace().join("go"), "").unwrap();
    assert_eq!(rig.resume(&id).state, "waiting", "only now it waits for the word");
    let results = rig.results(&id);
    assert!(results.len() == 1 && results[0].text.contains("ended"), "{results:?}");
    rig.check(&id);
}

#[test]
fn a_loop_that_stays_puts_its_own_computer_to_sleep() {
    let rig = Rig::ahead_of_time(ModelServer::playing(turns()).unwrap());
    let id = rig.create(TaskOptions::default());
    let waits = AtomicUsize::new(0);
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Stay, |seen| match seen {
        Seen::Waiting if waits.fetch_add(1, Ordering::Relaxed) == 0 => {
            pass_ms(HALF_AN_HOUR_MS + 1_000);
            None
        }
        Seen::Event(event) if event.kind() == "computer_slept" => Some(Command::Message { text: "blue".to_owned() }),
        Seen::Event(_) | Seen::Delta | Seen::Waiting => None,
    });
    assert_eq!(summary.state, "done");
    assert_eq!(told(&rig, 2), 1);
    rig.check(&id);
}

#[test]
fn a_call_that_waits_for_a_yes_runs_in_a_new_computer() {
    let turns = vec![Turn::exec("echo once >> log"), Turn::exec("cat log"), Turn::say("done")];
    let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), &asking_rules());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "waiting");
    let yes = || Command::Confirm { effect: None, allowed: true, note: String::new() };
    clock::pass_ms(HALF_AN_HOUR_MS + 1_000);
    assert!(!rig.instance.put_to_sleep(&id).unwrap(), "there is no computer yet");
    rig.tell(&id, yes());
    assert_eq!(rig.resume(&id).state, "waiting");
    clock::pass_ms(HALF_AN_HOUR_MS + 1_000);
    assert!(rig.instance.put_to_sleep(&id).unwrap());
    rig.tell(&id, yes());
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!(rig.results(&id)[1].text.matches("once").count(), 1);
    rig.check(&id);
}
