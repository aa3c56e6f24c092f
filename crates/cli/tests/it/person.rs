//! What a task says to the person and the person to it: questions, approvals, messages, stops, from this and from another
//! process.

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::desk::{Desk, call, exec, exec_until_go, say, until};

/// The built-in rules for what these tests call, and one that asks before each command.
pub(crate) const ASKING: &str = r#"
@id("all")
@reason("it is allowed here")
permit (principal, action, resource);
@id("ask-before-commands")
@tier("user_authorised")
@reason("the person wants to see each command first")
forbid (principal, action == Action::"shell_exec", resource);
"#;

fn asking(desk: &Desk) -> String {
    let policy = desk.write("rules/asking.cedar", ASKING);
    desk.config(&format!("policy = {policy:?}\n"));
    desk.script(&[exec("echo ran >> log.txt; cat log.txt"), say("That was it.")])
}

#[test]
fn a_question_waits_for_its_answer() {
    let desk = Desk::new();
    let script = desk.script(&[call("message_ask_user", json!({ "text": "Which year?" })), say("Thank you.")]);
    let ran = desk.run(&["run", "--model", &script, "--id", "t-one", "Ask me"]);
    assert_snapshot!(ran.seen(), @r#"
    exit 4
    --- out
    --- err
    Task t-one (script:[FOLDER]/script.json: A SCRIPT, NOT A MODEL)

    Waiting for you: it waits for your word
      │ Which year?
    1 step of a script, no model: no cost
    next: to answer: thenar task send t-one "…" && thenar task resume t-one
    "#);
    assert_eq!(
        (desk.shown("t-one")["state"].clone(), desk.shown("t-one")["question"].clone()),
        (json!("waiting"), json!("Which year?"))
    );
    desk.run(&["task", "resume", "t-one"]).code(4);
    desk.run(&["task", "send", "t-one", ""]).code(2).says("the message is empty");
    assert_snapshot!(desk.run(&["task", "send", "t-one", "2024"]).seen(), @r#"
    exit 0
    --- out
    --- err
    the agent reads it before its next step
    Nobody is working on it now. To go on: thenar task resume t-one
    "#);
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Thank you.\n");
    let said: Vec<Value> =
        desk.events("t-one").into_iter().filter(|event| event["event"] == "message_received").collect();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["text"], "2024");
}

#[test]
fn what_needs_a_word_waits_for_it_and_then_happens_once() {
    let desk = Desk::new();
    let script = asking(&desk);
    let ran = desk.run(&["run", "--model", &script, "--id", "t-one", "Run it"]);
    assert_snapshot!(ran.seen(), @r#"
    exit 4
    --- out
    --- err
    Task t-one (script:[FOLDER]/script.json: A SCRIPT, NOT A MODEL)

    Waiting for you: it waits for your word
      │ the person wants to see each command first
      │ shell_exec
      │   command: echo ran >> log.txt; cat log.txt
    1 step of a script, no model: no cost
    next: to allow it (or --deny): thenar task confirm t-one && thenar task resume t-one
    "#);
    assert_eq!(desk.shown("t-one")["approval"]["effect"], "e2");
    desk.run(&["task", "confirm", "t-one", "--effect", "e7"]).code(2).says("the task waits for a word on e2");
    desk.run(&["task", "confirm", "t-one", "--effect", "e2"]).code(0).says("allowed");
    desk.run(&["task", "confirm", "t-one"]).code(2).says("the task waits for no confirmation");
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("That was it.\n");
    let results = desk.results("t-one");
    assert_eq!(results.len(), 1);
    assert!(results[0].contains("ran") && !results[0].contains("ran\nran"), "{results:?}");
}

#[test]
fn a_no_is_told_to_the_agent_with_its_reason() {
    let desk = Desk::new();
    let script = asking(&desk);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Run it"]).code(4);
    desk.run(&["task", "confirm", "t-one", "--deny", "--note", "not today"]).code(0).says("refused");
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("That was it.\n");
    let results = desk.results("t-one");
    assert!(results[0].contains("The person refused this. They said: not today"), "{results:?}");
    assert!(!desk.task("t-one").join("workspace/log.txt").exists());
}

#[test]
fn yes_answers_beforehand_what_may_be_answered_so() {
    let desk = Desk::new();
    let script = asking(&desk);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--yes", "Run it"]).code(0).puts_out("That was it.\n");
    let policy = desk.write("rules/never.cedar", &ASKING.replace("@tier", "@yes(\"never\")\n@tier"));
    desk.config(&format!("policy = {policy:?}\n"));
    desk.run(&["run", "--model", &script, "--yes", "Run it"]).code(4);
}

#[test]
fn another_process_stops_a_task_in_mid_command() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "echo late > late.txt"), say("Finished.")]);
    let running = desk.start(&["run", "--json", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    assert_eq!(desk.shown("t-one")["state"], "running");
    desk.run(&["task", "send", "t-one", "Be quick"]).code(0).says("the agent reads it before its next step");
    assert_snapshot!(desk.run(&["task", "stop", "t-one"]).seen(), @r#"
    exit 0
    --- out
    --- err
    stopping
    To go on later: thenar task resume t-one
    "#);
    let ran = running.end().code(3);
    assert_eq!((&ran.json()["state"], &ran.json()["cause"]), (&json!("stopped"), &json!("person")));
    assert!(!desk.has_computer("t-one"));
    desk.run(&["task", "stop", "t-one"]).code(2).says("the task has already ended");
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
    assert!(!desk.task("t-one").join("workspace/late.txt").exists(), "the stopped command is gone and not run again");
}

#[test]
fn ctrl_c_stops_and_says_how_to_go_on() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "true"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    running.signal(Signal::INT);
    running.end().code(3).says("thenar task resume t-one").says("Stopping; once more to end at once.");
    assert!(!desk.has_computer("t-one"));
    desk.run(&["task", "resume", "--last"]).code(0).puts_out("Finished.\n");
    desk.run(&["task", "resume", "t-one"]).code(0).says("Task t-one is done already").puts_out("Finished.\n");
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let desk = Desk::new();
    // It does not end when it is asked to, so that the first one takes its time.
    let script =
        desk.script(&[exec("trap '' TERM; touch begun; until [ -e go ]; do sleep 0.02; done"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    running.signal(Signal::INT);
    until("the first one is heard", || running.said().contains("Stopping"));
    running.signal(Signal::INT);
    running.end().code(130).says("Ended at once. What runs in its computer runs on: thenar task stop t-one ends it");
    assert!(desk.has_computer("t-one"));
    desk.run(&["task", "stop", "t-one"]).code(0);
    until("its computer is gone", || !desk.has_computer("t-one"));
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
}

#[test]
fn a_task_in_other_hands_is_left_there() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "true"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    let held = format!("task t-one is in the hands of another process (pid {})", running.pid());
    desk.run(&["task", "resume", "t-one"]).code(6).says(&held).says("thenar task stop t-one");
    desk.run(&["task", "resume", "--last"]).code(2).says("there is no task to resume");
    std::fs::write(desk.task("t-one").join("workspace/go"), "").unwrap();
    running.end().code(0).puts_out("Finished.\n");
}

#[test]
fn a_task_that_is_done_goes_on_with_another_word() {
    let desk = Desk::new();
    let script = desk.script(&[say("First."), say("Second.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Talk"]).code(0).puts_out("First.\n");
    desk.run(&["task", "send", "t-one", "And then?"]).code(0).says("To go on: thenar task resume t-one");
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Second.\n");
}

#[test]
fn a_limit_that_still_holds_stops_again_at_once() {
    let desk = Desk::new();
    let script = desk.script(&[exec("sleep 600"), say("Finished.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--max-time", "1s", "Wait"]).code(3);
    desk.run(&["task", "resume", "t-one"]).code(3).says("the time limit of 1 s is reached");
    desk.run(&["task", "resume", "t-one", "--max-time", "10m"]).code(0).puts_out("Finished.\n");
}

#[test]
fn a_command_that_nobody_can_vouch_for_is_not_run_again() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("echo once >> log.txt", "true"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    running.signal(Signal::KILL);
    running.end().code(1_009);
    // The computer goes as it would with the machine.
    let computer = sandbox::Computer::attach(&desk.task("t-one").join("computer")).unwrap().unwrap();
    computer.shutdown().unwrap();
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
    assert_eq!(std::fs::read_to_string(desk.task("t-one").join("workspace/log.txt")).unwrap(), "once\n");
    assert_eq!(desk.results("t-one").len(), 1);
}

#[test]
fn a_polite_kill_is_a_first_ctrl_c() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "true"), say("Finished.")]);
    for signal in [Signal::TERM, Signal::HUP] {
        let id = format!("t-{}", signal.as_raw());
        let running = desk.start(&["run", "--model", &script, "--id", &id, "Wait"]);
        desk.until_there(&desk.task(&id).join("workspace/begun"));
        running.signal(signal);
        running.end().code(3);
        assert!(!desk.has_computer(&id));
    }
}
