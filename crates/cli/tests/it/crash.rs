//! Engines that die: nothing is lost, nothing happens twice.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::desk::{Desk, call, exec_until_go, say};

#[test]
fn a_command_outlives_its_engine_and_its_output_arrives_whole() {
    let desk = Desk::new();
    let counting = exec_until_go("echo begun >> log.txt; seq 1 500", "seq 501 1000; echo ended >> log.txt");
    let script = desk.script(&[counting, call("deliver", json!({ "files": ["log.txt"] })), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    running.signal(Signal::KILL);
    running.end().code(1_009);
    let shown = desk.shown("t-one");
    assert_eq!(shown["state"], "stopped", "{shown}");
    fs::write(workspace.join("go"), "").unwrap();
    desk.run(&["task", "resume", "--last"]).code(0).puts_out("Finished.\n[FOLDER]/here/thenar-out/t-one/log.txt\n");
    assert_eq!(fs::read_to_string(desk.here.join("thenar-out/t-one/log.txt")).unwrap(), "begun\nended\n");
    let output = &desk.results("t-one")[0];
    let numbers: Vec<u32> = output.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=1_000).collect::<Vec<_>>(), "{output}");
    assert!(!desk.has_computer("t-one"));
    desk.run(&["journal", "verify", "t-one"]).code(0);
}

#[test]
fn a_script_named_from_its_folder_is_found_from_another() {
    let desk = Desk::new();
    desk.write(
        "here/script.json",
        &json!({ "turns": [call("message_ask_user", json!({ "text": "?" })), say("Finished.")] }).to_string(),
    );
    desk.run(&["run", "--model", "script:script.json", "--id", "t-one", "Ask"]).code(4);
    desk.run(&["task", "send", "t-one", "yes"]).code(0);
    let elsewhere = desk.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let desk = desk.standing_in(elsewhere);
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
}

#[test]
fn what_an_engine_left_that_died_at_the_very_end_is_cleared_by_the_next_one() {
    let desk = Desk::new();
    let script = desk.script(&[say("Finished.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Say it"]).code(0);
    // As it is after a kill between the last event and the end of the computer.
    let spec = sandbox::ComputerSpec {
        dir: desk.task("t-one").join("computer"),
        workspace: sandbox::Workspace::Own(desk.task("t-one").join("workspace")),
        toolset: None,
        limits: sandbox::Limits::default(),
        deadline_unix_ms: None,
        env: Default::default(),
        keeper: sandbox::find_keeper().unwrap(),
        forbidden: Vec::new(),
        build: Default::default(),
        egress: false,
    };
    sandbox::Computer::open(&spec).unwrap();
    assert!(desk.has_computer("t-one"));
    desk.run(&["run", "--model", &script, "--id", "t-two", "Say it again"]).code(0);
    assert!(!desk.has_computer("t-one"));
}
