//! Backup and restore of the data folder as the guide has them, with the real program: at rest by `cp`, at work by
//! `thenar backup`; each copy is put elsewhere and resumed from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use testkit::{Answer, ModelServer, Turn, turn_due};

use crate::desk::{Desk, until};

/// A model that lets the next of these follow on each reply that it is shown: whoever resumes goes on where the record is.
fn model(commands: Vec<String>) -> ModelServer {
    let turns: Vec<Turn> = commands.iter().map(|command| Turn::exec(command)).chain([Turn::say("Finished.")]).collect();
    ModelServer::start(move |_, request| Answer::Stream(turn_due(&turns, request))).unwrap()
}

fn desk(model: &ModelServer) -> Desk {
    Desk::new().with("OPENAI_BASE_URL", &model.base_url()).with("THENAR_MODEL", "openai:scripted")
}

/// As the guide says it.
#[expect(clippy::disallowed_methods, reason = "the person's own command")]
fn cp(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn log(desk: &Desk, id: &str) -> String {
    fs::read_to_string(desk.task(id).join("workspace/log.txt")).unwrap_or_default()
}

/// The events of a task, as they stand on its record.
fn record(desk: &Desk, id: &str) -> Vec<String> {
    desk.run(&["journal", "show", "--json", id]).code(0).out.lines().map(str::to_owned).collect()
}

fn audited(desk: &Desk, id: &str) {
    let events: Vec<event::Event> =
        desk.events(id).into_iter().map(|event| serde_json::from_value(event).unwrap()).collect();
    let broken = testkit::audit((1..).zip(&events));
    assert!(broken.is_empty(), "{broken:#?}");
    desk.run(&["journal", "verify", id]).code(0);
}

#[test]
fn a_copy_at_rest_is_put_elsewhere_and_resumed() {
    let model = model(vec!["echo one >> log.txt".to_owned(), "echo two >> log.txt".to_owned()]);
    let desk = desk(&model);
    desk.run(&["run", "--id", "t-half", "--max-steps", "1", "Count"]).code(3);
    desk.run(&["run", "--id", "t-whole", "Count"]).code(0);
    let heads = |desk: &Desk| ["t-half", "t-whole"].map(|id| desk.run(&["journal", "verify", id]).code(0).out);
    let (before, old) = (heads(&desk), desk.path("home"));
    let (copy, elsewhere) = (desk.path("copy"), desk.path("another/place/for-it"));
    cp(&old, &copy);
    fs::remove_dir_all(&old).unwrap();
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    cp(&copy, &elsewhere);
    let desk = desk.with_home(elsewhere);
    assert_eq!(heads(&desk), before);
    desk.run(&["task", "resume", "t-half", "--max-steps", "9"]).code(0);
    assert_eq!((log(&desk, "t-half"), log(&desk, "t-whole")), ("one\ntwo\n".to_owned(), "one\ntwo\n".to_owned()));
    audited(&desk, "t-half");
}

/// A command that waits until somebody makes the file `go`.
fn waiting() -> String {
    "echo two >> log.txt; touch begun; until [ -e go ]; do sleep 0.02; done; echo three >> log.txt".to_owned()
}

#[test]
fn a_task_at_work_is_copied_whole_and_goes_on_in_both_places() {
    let steps = vec!["echo one >> log.txt".to_owned(), waiting(), "echo four >> log.txt".to_owned()];
    let model = model(steps);
    let desk = desk(&model);
    let running = desk.start(&["run", "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    desk.write("home/config.toml", "model_timeout = \"1m\"\n");
    let copy = desk.path("backups/monday");
    let ran = desk.run(&["backup", copy.to_str().unwrap()]).code(0).says("1 task with ");
    assert!(ran.out.starts_with("ok: task t-one, "), "{}", ran.out);
    fs::write(workspace.join("go"), "").unwrap();
    running.end().code(0);
    assert_eq!(log(&desk, "t-one"), "one\ntwo\nthree\nfour\n", "the original noticed nothing");
    audited(&desk, "t-one");
    let original = record(&desk, "t-one");
    let desk = desk.with_home(copy.clone());
    let copied = record(&desk, "t-one");
    assert_eq!(copied[..], original[..copied.len()], "the copy's record is what the original's was");
    assert!(!copy.join("tasks/t-one/control").exists() && copy.join("config.toml").is_file());
    desk.run(&["task", "resume", "t-one"]).code(0);
    assert_eq!(log(&desk, "t-one"), "one\ntwo\nfour\n", "nobody knows whether it ended, so it is not run again");
    let statuses: Vec<Value> = desk
        .events("t-one")
        .iter()
        .filter(|event| event["event"] == "tool_finished")
        .map(|event| event["result"]["status"].clone())
        .collect();
    assert_eq!(statuses, ["ok", "unknown", "ok"]);
    audited(&desk, "t-one");
}

#[test]
fn tasks_of_a_busy_server_are_copied_with_nothing_lost_and_nothing_twice() {
    let steps: Vec<String> = (1..=40).map(|number| format!("echo {number} >> log.txt")).collect();
    let model = model(steps);
    let desk = desk(&model);
    let server = desk.start(&["serve", "--addr", "127.0.0.1:0"]);
    until("the server serves", || server.said().contains("Ctrl-C stops the server"));
    let tasks = ["t-one", "t-two", "t-three"];
    let watching = tasks.map(|id| desk.start(&["run", "--on-server", "--id", id, "Count"]));
    let copies: Vec<PathBuf> = [4, 14, 24]
        .map(|lines| {
            until("the work has come on", || log(&desk, "t-two").lines().count() >= lines);
            let copy = desk.path(&format!("copy-{lines}"));
            desk.run(&["backup", copy.to_str().unwrap()]).code(0);
            copy
        })
        .into();
    for running in watching {
        running.end().code(0);
    }
    server.signal(Signal::TERM);
    server.end().code(0);
    let mut desk = desk;
    for id in tasks {
        assert_eq!(log(&desk, id).lines().count(), 40, "the original noticed nothing");
    }
    for copy in copies {
        desk = desk.with_home(copy);
        for id in tasks {
            // A copy may hold a task that had just been made, or was done already.
            desk.run(&["task", "resume", id]);
            assert_eq!(desk.shown(id)["state"], "done");
            let unknown = desk.events(id).iter().filter(|event| event["result"]["status"] == "unknown").count();
            let numbers: Vec<u32> = log(&desk, id).lines().map(|line| line.parse().unwrap()).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "something was done twice: {numbers:?}");
            assert!(unknown <= 1 && numbers.len() + unknown >= 40, "{unknown} unknown: {numbers:?}");
            audited(&desk, id);
        }
    }
}

#[test]
fn nothing_is_copied_over_nor_into_itself_and_nothing_half_is_left() {
    let desk = Desk::new();
    let script = desk.script(&[crate::desk::say("Done.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Talk"]).code(0);
    let there = desk.write("there/file", "mine").parent().unwrap().to_owned();
    desk.run(&["backup", there.to_str().unwrap()]).code(2).says("there is something already");
    let inside = desk.path("home/backup");
    desk.run(&["backup", inside.to_str().unwrap()]).code(2).says("it lies in the data folder itself");
    assert!(!inside.exists() && fs::read_dir(&there).unwrap().count() == 1);
    // A record that does not verify is kept as it is, and named.
    let database = desk.task("t-one").join("journal.db");
    let mut bytes = fs::read(&database).unwrap();
    let at = bytes.windows(9).rposition(|part| part == b"task_ende").unwrap();
    bytes[at] ^= 1;
    fs::write(&database, &bytes).unwrap();
    let copy = desk.path("copy");
    desk.run(&["backup", copy.to_str().unwrap()]).code(1).says("task t-one is in it as it is, but does not verify");
    assert_eq!(fs::read(copy.join("tasks/t-one/journal.db")).unwrap(), bytes);
    let left: Vec<_> = fs::read_dir(desk.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".part-")), "{left:?}");
}

#[test]
fn a_backup_needs_no_privilege() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let desk = Desk::new().owned_by_user(64_322);
    let script =
        desk.script(&[crate::desk::exec("echo hi > a; chmod 0 a; mkdir d; ln -s a d/l"), crate::desk::say("Done.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Write"]).code(0);
    let copy = desk.here.join("copy");
    // What not even its owner may read is left out and told.
    desk.run(&["backup", copy.to_str().unwrap()]).code(0).says("task t-one: 1 not copied").says("workspace/a");
    assert!(copy.join("tasks/t-one/workspace/d/l").is_symlink());
    desk.with_home(copy).run(&["journal", "verify", "t-one"]).code(0);
}
