//! Calls whose engine died: found again with the same result, told as unknown, or done once at most.

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
