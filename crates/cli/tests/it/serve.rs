//! The server as a process: killed, stopped, replaced, and met by other processes of the same data folder.

use std::fs;
use std::io::{Read as _, Write as _};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::desk::{Desk, Running, call, exec, exec_until_go, say, until};

/// A server that answers.
pub(crate) fn serve(desk: &Desk) -> Running<'_> {
    let server = desk.start(&["serve", "--addr", "127.0.0.1:0"]);
    until("the server serves", || server.said().contains("Ctrl-C stops the server"));
    server
}

fn counting(desk: &Desk) -> String {
    let first = exec_until_go("echo begun >> log.txt; seq 1 500", "seq 501 1000; echo ended >> log.txt");
    let steps = (1..=5).map(|number| exec(&format!("echo step {number} >> log.txt")));
    let mut turns: Vec<Value> = std::iter::once(first).chain(steps).collect();
    turns.extend([call("deliver", json!({ "files": ["log.txt"] })), say("Finished.")]);
    desk.script(&turns)
}

const LOG: &str = "begun\nended\nstep 1\nstep 2\nstep 3\nstep 4\nstep 5\n";

#[track_caller]
fn finished_once(desk: &Desk, id: &str) {
    until("the task is done", || desk.shown(id)["state"] == "done");
    assert_eq!(fs::read_to_string(desk.task(id).join("workspace/log.txt")).unwrap(), LOG);
    let output = &desk.results(id)[0];
    let numbers: Vec<u32> = output.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=1_000).collect::<Vec<_>>(), "{output}");
    desk.run(&["journal", "verify", id]).code(0);
    until("its computer is gone", || !desk.has_computer(id));
}

#[test]
fn a_killed_server_goes_on_by_itself_at_the_next_start() {
    let desk = Desk::new();
    let script = counting(&desk);
    let server = serve(&desk);
    let run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    server.signal(Signal::KILL);
    server.end().code(1_009);
    fs::write(workspace.join("go"), "").unwrap();
    let server = serve(&desk);
    assert!(server.said().contains("One task was under way and goes on."), "{}", server.said());
    finished_once(&desk, "t-one");
    run.end().code(0).puts_out("Finished.\n[FOLDER]/here/thenar-out/t-one/log.txt\n");
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn a_server_killed_again_and_again_loses_nothing_and_repeats_nothing() {
    let desk = Desk::new();
    let turns = (1..=30).map(|number| exec(&format!("echo {number} >> log.txt"))).chain([say("Finished.")]);
    let script = desk.script(&turns.collect::<Vec<_>>());
    let mut server = serve(&desk);
    let tasks = ["t-one", "t-two", "t-three"];
    let watching: Vec<_> =
        tasks.iter().map(|id| desk.start(&["run", "--on-server", "--model", &script, "--id", id, "Count"])).collect();
    for kill in 1..=4 {
        // Not at a time of the clock but of the work.
        let log = desk.task("t-two").join("workspace/log.txt");
        until("the work has come on", || fs::read_to_string(&log).is_ok_and(|text| text.lines().count() >= kill * 6));
        server.signal(Signal::KILL);
        server.end().code(1_009);
        server = serve(&desk);
    }
    for (id, run) in tasks.iter().zip(watching) {
        run.end().code(0);
        let log = fs::read_to_string(desk.task(id).join("workspace/log.txt")).unwrap();
        assert_eq!(log, (1..=30).map(|number| format!("{number}\n")).collect::<String>(), "{id}");
        desk.run(&["journal", "verify", id]).code(0);
    }
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn a_stopped_server_leaves_computers_running_and_attaches_again() {
    let desk = Desk::new();
    let script = counting(&desk);
    let server = serve(&desk);
    let _run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    server.signal(Signal::TERM);
    server.end().code(0).says("tasks are put down");
    assert!(desk.has_computer("t-one"));
    let events = desk.events("t-one");
    assert_eq!(events.last().unwrap()["event"], "put_down", "{events:?}");
    // More often than a task that kills its engine would be taken up.
    for _ in 0..4 {
        let server = serve(&desk);
        until("the task is in hand", || desk.shown("t-one")["state"] == "running");
        server.signal(Signal::TERM);
        server.end().code(0);
    }
    fs::write(workspace.join("go"), "").unwrap();
    let _server = serve(&desk);
    finished_once(&desk, "t-one");
}

#[test]
fn new_programs_take_over_in_mid_task() {
    let desk = Desk::new().with_own_programs();
    let script = counting(&desk);
    let server = serve(&desk);
    let _run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    desk.replace_programs();
    server.signal(Signal::TERM);
    server.end().code(0);
    let _server = serve(&desk);
    fs::write(workspace.join("go"), "").unwrap();
    finished_once(&desk, "t-one");
}

/// Asks over a connection of its own; the status and all that came.
fn ask(server: &Running<'_>, request: &str) -> (u16, String) {
    ask_with(server, request, "")
}

fn ask_with(server: &Running<'_>, request: &str, body: &str) -> (u16, String) {
    let said = server.said();
    let address = said.split("http://").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    write!(stream, "{}\r\nHost: {address}\r\nConnection: close\r\n\r\n{body}", request.trim()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn a_program_with_the_token_reaches_the_tasks_and_nobody_else_does() {
    let desk = Desk::new();
    let script = desk.script(&[say("Finished.")]);
    let server = serve(&desk);
    desk.run(&["run", "--on-server", "--model", &script, "--id", "t-one", "Say it"]).code(0);
    assert_eq!(ask(&server, "GET /healthz HTTP/1.1").0, 200);
    assert_eq!(ask(&server, "GET /v1/tasks HTTP/1.1").0, 401);
    let token = fs::read_to_string(desk.path("home/access-token")).unwrap();
    let (status, answer) = ask(&server, &format!("GET /v1/tasks HTTP/1.1\r\nAuthorization: Bearer {}", token.trim()));
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""id":"t-one","state":"done""#), "{answer}");
    let foreign =
        format!("GET /v1/tasks HTTP/1.1\r\nOrigin: http://evil.example\r\nAuthorization: Bearer {}", token.trim());
    assert_eq!(ask(&server, &foreign).0, 403);
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn secrets_kept_by_a_server_and_by_commands_at_once_are_all_there() {
    let desk = Desk::new();
    let server = serve(&desk);
    let token = fs::read_to_string(desk.path("home/access-token")).unwrap();
    let put = |name: &str| {
        let body = json!({ "value": "a value", "hosts": ["api.test"] }).to_string();
        let head = format!("PUT /v1/secrets/{name} HTTP/1.1\r\nAuthorization: Bearer {}\r\n", token.trim());
        let about = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        ask_with(&server, &format!("{head}{about}"), &body).0
    };
    let commands: Vec<_> = (0..10)
        .map(|number| {
            desk.start_reading(&["secret", "set", &format!("COMMAND_{number}"), "--host", "api.test"], b"a value\n")
        })
        .collect();
    for number in 0..10 {
        assert_eq!(put(&format!("SERVER_{number}")), 204);
    }
    for command in commands {
        command.end().code(0);
    }
    let kept = desk.run(&["secret", "list", "--json"]).code(0).json();
    let names: Vec<_> = kept.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    let all = ["COMMAND", "SERVER"].iter().flat_map(|who| (0..10).map(move |number| format!("{who}_{number}")));
    assert_eq!(names, all.collect::<Vec<_>>());
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn a_server_whose_computers_bubblewrap_makes_runs_tasks_and_refuses_what_it_cannot_make() {
    let desk = Desk::new();
    desk.config("[computer]\ndriver = \"bwrap\"\n");
    let _server = serve(&desk);
    let script = desk.script(&[exec("cat /proc/1/comm; echo here > made.txt"), say("Finished.")]);
    desk.run(&["run", "--on-server", "--model", &script, "--id", "t-one", "Make"]).code(0).puts_out("Finished.\n");
    assert_eq!(fs::read_to_string(desk.task("t-one").join("workspace/made.txt")).unwrap(), "here\n");
    let proved = sandbox::Confinement::of(&desk.task("t-one").join("computer")).unwrap();
    assert_eq!(proved.driver, sandbox::Driver::Bwrap);
    desk.run(&["journal", "verify", "t-one"]).code(0);
    until("its computer is gone", || !desk.has_computer("t-one"));
    // What it cannot do is said before there is a task.
    let wanted = ["run", "--on-server", "--model", &script, "--allow-net", "example.org", "--id"];
    desk.run(&[&wanted[..], &["t-two", "Fetch"]].concat()).code(2).says("the driver bwrap makes no way out");
    assert!(!desk.task("t-two").exists());
    // The one who asks may have another driver than the server, which is then who says it.
    desk.config("");
    desk.run(&[&wanted[..], &["t-three", "Fetch"]].concat()).code(3).says("the driver bwrap makes no way out");
    assert!(!desk.events("t-three").iter().any(|event| event["event"] == "tool_requested"));
}

#[test]
fn one_server_per_data_folder() {
    let desk = Desk::new();
    let _server = serve(&desk);
    desk.run(&["serve", "--addr", "127.0.0.1:0"]).code(6).says("another server has the data folder");
}

#[test]
fn a_task_in_a_terminal_is_left_alone_until_its_process_dies() {
    let desk = Desk::new();
    let script = counting(&desk);
    let terminal = desk.start(&["run", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    let _server = serve(&desk);
    assert!(!desk.events("t-one").iter().any(|event| event["event"] == "resumed"));
    terminal.signal(Signal::KILL);
    terminal.end().code(1_009);
    fs::write(workspace.join("go"), "").unwrap();
    finished_once(&desk, "t-one");
}

#[test]
fn without_a_server_the_task_is_kept_and_the_way_on_is_told() {
    let desk = Desk::new();
    let script = desk.script(&[say("Finished.")]);
    let ran = desk.run(&["run", "--on-server", "--model", &script, "--id", "t-one", "Say it"]);
    ran.code(5).says("thenar task resume t-one");
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
}

#[test]
fn a_task_that_waits_goes_on_with_the_answer_from_another_process() {
    let desk = Desk::new();
    let script = desk.script(&[call("message_ask_user", json!({ "text": "Which?" })), say("Finished.")]);
    let _server = serve(&desk);
    let asked = desk.run(&["run", "--on-server", "--model", &script, "--id", "t-one", "Ask"]).code(4);
    assert!(!asked.errors.contains("taken up again"), "{}", asked.errors);
    until("nobody holds it", || desk.shown("t-one")["state"] == "waiting");
    desk.run(&["task", "send", "t-one", "this one"]).code(0).says("The server goes on with it");
    until("the task is done", || desk.shown("t-one")["state"] == "done");
}

#[test]
fn a_task_is_opened_by_its_link_and_one_that_is_not_there_is_refused() {
    let desk = Desk::new();
    let script = desk.script(&[say("Finished.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Say it"]).code(0);
    let server = desk.start(&["serve", "--addr", "127.0.0.1:0", "--open", "t-one"]);
    until("the link is printed", || server.said().contains("/tasks/t-one?token="));
    server.signal(Signal::TERM);
    server.end().code(0);
    desk.run(&["serve", "--addr", "127.0.0.1:0", "--open", "t-two"]).code(2);
}
