//! Calls whose engine died: found again with the same result, told as unknown, or done once at most.

use std::sync::Arc;
use std::time::Duration;

use event::ToolStatus;
use serde_json::json;

use crate::task::Task;

#[test]
fn a_command_under_way_is_attached_to_with_the_result_it_would_have_given() {
    let mut task = Task::new();
    let command = json!({"command": "echo begun; for i in 1 2 3; do echo $i >> log; sleep 0.2; done; cat log"});
    let whole = task.text("shell_exec", command.clone());
    task.text("shell_exec", json!({"command": "rm log"}));
    let call = task.call("shell_exec", command);
    assert_eq!(tools::attach(&call, &task.world), None, "it has not begun");
    // The engine dies just after the computer took the command.
    let argv = ["bash", "-c", call.arguments["command"].as_str().expect("text")].map(str::to_owned).to_vec();
    let request = sandbox::Request::Exec { argv, cwd: None, env: Default::default() };
    task.world.place.computer().expect("a computer").start(&call.id.to_string(), &request).expect("it starts");
    task.restarted();
    let attached = tools::attach(&call, &task.world).expect("it has begun");
    assert_eq!(attached.text, whole);
    assert_eq!(tools::attach(&call, &task.world), Some(attached));
}

#[test]
fn a_command_whose_computer_died_is_unknown_and_never_run_again() {
    let mut task = Task::new();
    let call = task.call("shell_exec", json!({"command": "echo x >> log; sleep 3600"}));
    let argv = ["bash", "-c", "echo x >> log; sleep 3600"].map(str::to_owned).to_vec();
    let request = sandbox::Request::Exec { argv, cwd: None, env: Default::default() };
    let computer = task.world.place.computer().expect("a computer");
    computer.start(&call.id.to_string(), &request).expect("it starts");
    let log = task.workspace().join("log");
    let written = || std::fs::read_to_string(&log).unwrap_or_default();
    while written().is_empty() {
        computer.wait(&call.id.to_string(), Duration::from_millis(20)).expect("it runs");
    }
    task.kill_keeper();
    task.restarted();
    let result = tools::attach(&call, &task.world).expect("it had begun");
    assert_eq!(result.status, ToolStatus::Unknown);
    assert!(result.text.contains("may have happened wholly, in part or not at all"), "{}", result.text);
    assert_eq!(task.text("shell_exec", json!({"command": "cat log"})), "exit code 0\nx\n");
}

#[test]
fn a_computer_that_lives_is_told_whom_to_trust_by_whoever_takes_it_up() {
    let mut task = Task::new();
    let (_, place) = tools::TRUST[0];
    let read = |task: &mut Task| task.text("shell_exec", json!({ "command": format!("tail -n 1 {place}") }));
    assert!(read(&mut task).contains("No such file"), "no secret was given to it so far");
    let spec = task.world.place.spec.clone();
    let again = tools::Place::new(task.folder.path().join("task"), spec, None, Default::default());
    task.world.place = Arc::new(again.with_trusted("vouches\n".to_owned()));
    // As an engine does that takes the task up again; no tool has needed the computer yet.
    task.world.place.attach();
    assert_eq!(read(&mut task), "exit code 0\nvouches\n");
}

#[test]
fn typing_into_what_died_is_unknown_and_into_what_ended_shows_its_last_words() {
    let mut task = Task::new();
    let terminal = task.call("shell_exec", json!({"command": "cat", "terminal": "main"}));
    let computer = task.world.place.computer().expect("a computer");
    let usual = sandbox::Size::USUAL;
    computer.open_terminal(&terminal.id.to_string(), "main", None, Default::default(), usual).expect("it opens");
    task.text("shell_exec", json!({"command": "read -r word; echo \"it was $word\"", "id": "ends"}));
    let calls = [("main", "never mind"), ("ends", "fine")];
    let calls = calls.map(|(id, input)| task.call("shell_write_to_process", json!({"id": id, "input": input})));
    for call in &calls {
        assert_eq!(tools::attach(call, &task.world), None, "it is not typed");
    }
    let [into_terminal, into_process] = calls;
    computer.write_input(&into_terminal.id.to_string(), &terminal.id.to_string(), b"never mind\r").expect("typed");
    let shown = task.run_call(&into_process).text;
    // Whether the echo of what was typed comes before it, and alone at first, is up to the machine.
    let all = if shown.contains("it was") { shown.clone() } else { task.text("shell_wait", json!({"id": "ends"})) };
    assert!(all.contains("\nit was fine\n"), "{all}");
    task.kill_keeper();
    task.restarted();
    let unknown = tools::attach(&into_terminal, &task.world).expect("it was typed");
    assert_eq!(unknown.status, ToolStatus::Unknown, "{}", unknown.text);
    assert_eq!(tools::attach(&into_process, &task.world).expect("it was typed").text, shown);
    assert!(task.world.place.opened().is_none(), "nothing is made for it");
}

#[test]
fn an_append_and_a_key_press_happen_once() {
    let mut task = Task::new();
    let append = task.call("file_write", json!({"path": "log", "content": "once\n", "append": true}));
    let first = task.run_call(&append);
    task.restarted();
    assert_eq!(tools::attach(&append, &task.world), Some(first.clone()));
    assert_eq!(task.run_call(&append), first);
    assert_eq!(task.text("file_read", json!({"path": "log"})), "once\n");

    task.text("shell_exec", json!({"command": "cat > typed", "id": "cat"}));
    let typing = task.call("shell_write_to_process", json!({"id": "cat", "input": "once"}));
    task.run_call(&typing);
    task.restarted();
    task.run_call(&typing);
    task.text("shell_write_to_process", json!({"id": "cat", "input": "\u{4}", "press_enter": false}));
    task.text("shell_wait", json!({"id": "cat"}));
    assert_eq!(task.text("file_read", json!({"path": "typed"})), "once\n");
}
