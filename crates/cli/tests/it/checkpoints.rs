//! The kept states of a workspace, as a person and a script meet them.

use std::fs;

use serde_json::json;

use crate::desk::{Desk, call, exec, say};

fn written(desk: &Desk) {
    let turns = [
        call("file_write", json!({ "path": "notes.md", "content": "one\n" })),
        exec("printf 'two\\n' > notes.md; mkdir data; echo x > data/rows.csv"),
        say("Written."),
    ];
    desk.run(&["run", "--model", &desk.script(&turns), "--id", "t-kept", "Write"]).code(0);
}

#[test]
fn a_person_lists_compares_goes_back_and_takes_along() {
    let desk = Desk::new();
    written(&desk);
    let listed = desk.run(&["task", "checkpoints", "--json", "t-kept"]).code(0).json();
    let seen: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| (one["number"].clone(), one["files"].clone())).collect();
    assert_eq!(seen, [(json!(1), json!(1)), (json!(2), json!(2))]);
    assert!(desk.run(&["task", "checkpoints", "t-kept"]).code(0).out.lines().count() == 2);
    desk.run(&["task", "diff", "t-kept", "--to", "2", "--patch"]).code(0).puts_out(
        "+ data  (0 B)\n+ data/rows.csv  (2 B)\n    @@ -0,0 +1 @@\n    +x\n~ notes.md  (4 B)\n    @@ -1 +1 @@\n    -one\n    +two\n2 new, 1 changed, 0 gone\n",
    );
    desk.run(&["task", "diff", "t-kept"]).code(0).puts_out("nothing differs\n");
    let archive = desk.path("then.tar");
    desk.run(&["task", "export-files", "t-kept", "--at", "1", archive.to_str().unwrap()]).code(0).says("1 files");
    assert!(fs::read(&archive).unwrap().windows(8).any(|window| window == b"notes.md"));
    desk.run(&["task", "export-files", "t-kept", "--at", "1", archive.to_str().unwrap()]).code(2).says("there already");
    desk.run(&["task", "restore", "t-kept", "--at", "1"]).code(0).says("as checkpoint 1 has it");
    let workspace = desk.task("t-kept").join("workspace");
    assert_eq!(fs::read_to_string(workspace.join("notes.md")).unwrap(), "one\n");
    assert!(!workspace.join("data").exists());
    desk.run(&["task", "restore", "t-kept", "--at", "5"]).code(2).says("no checkpoint 5");
    desk.run(&["journal", "verify", "t-kept"]).code(0);
}

#[test]
fn it_is_tried_another_way_at_once_or_later() {
    let desk = Desk::new();
    written(&desk);
    let later = desk.run(&["task", "fork", "t-kept", "--at", "1"]).code(0).says("task resume").out;
    let later = later.trim();
    let origin = desk.shown(later)["forked_from"].clone();
    assert_eq!((&origin["task"], &origin["checkpoint"]), (&json!("t-kept"), &json!(1)));
    let workspace = desk.task(later).join("workspace");
    assert_eq!(fs::read_to_string(workspace.join("notes.md")).unwrap(), "one\n");
    desk.run(&["task", "resume", later]).code(0);
    assert_eq!(fs::read_to_string(workspace.join("notes.md")).unwrap(), "two\n");
    desk.run(&["journal", "verify", later]).code(0);
    let now = desk.run(&["task", "fork", "t-kept", "--at", "2", "--json", "Otherwise"]).code(0).json();
    assert_eq!((&now["state"], &now["text"]), (&json!("done"), &json!("Written.")));
    desk.run(&["task", "show", now["id"].as_str().unwrap()]).code(0).says("begun as task t-kept was at checkpoint 2");
}

#[test]
fn a_backup_has_the_checkpoints() {
    let desk = Desk::new();
    written(&desk);
    let copy = desk.path("copy");
    desk.run(&["backup", copy.to_str().unwrap()]).code(0);
    let desk = desk.with_home(copy);
    desk.run(&["task", "diff", "t-kept", "--from", "2"]).code(0).puts_out("nothing differs\n");
    desk.run(&["task", "restore", "t-kept", "--at", "1"]).code(0);
    assert_eq!(fs::read_to_string(desk.task("t-kept").join("workspace/notes.md")).unwrap(), "one\n");
}

#[test]
fn what_a_crash_left_among_checkpoints_is_told_by_the_doctor_and_cleared_away_by_a_command() {
    let desk = Desk::new();
    written(&desk);
    let kept = desk.task("t-kept").join("checkpoints");
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let left_behind = || {
        let report = desk.run(&["doctor", "--json"]).code(0).json();
        let all = report["findings"].as_array().unwrap().clone();
        all.into_iter().find(|finding| finding["name"] == "left behind").unwrap()["finding"].to_string()
    };
    let told = "1 task with checkpoints that its record does not name";
    let before = names();
    // One that never came on record, as an engine leaves it that dies right after the last file is whole; then half a file.
    let other = desk.write("other/b", "never on record");
    let take = sandbox::checkpoint::Take {
        tree: other.parent().unwrap(),
        last: None,
        bounds: Default::default(),
        stop: &std::sync::atomic::AtomicBool::new(false),
    };
    let taken = sandbox::checkpoint::Store::at(kept.clone()).take(&take, &mut |_| {}).unwrap();
    assert!(matches!(taken, sandbox::checkpoint::Taken::New(_)));
    assert!(desk.run(&["clean"]).code(0).out.contains(told));
    assert_eq!(names(), before);
    fs::write(kept.join(".new-1-1"), "half a pack").unwrap();
    assert!(left_behind().contains(told));
    assert!(desk.run(&["clean"]).code(0).out.contains(told));
    assert_eq!(names(), before);
    assert!(!desk.run(&["clean"]).code(0).seen().contains("checkpoints"));
    desk.run(&["task", "restore", "t-kept", "--at", "1"]).code(0);
}

#[test]
fn checkpoints_that_cannot_be_cleared_away_are_told_with_their_task() {
    let desk = Desk::new();
    written(&desk);
    let kept = desk.task("t-kept").join("checkpoints");
    let listed = desk.run(&["task", "checkpoints", "--json", "t-kept"]).code(0).json();
    let digest = listed[1]["digest"].as_str().unwrap();
    fs::write(kept.join(format!("{digest}.checkpoint")), "damaged").unwrap();
    fs::write(kept.join(".new-1-1"), "half a pack").unwrap();
    desk.run(&["clean"]).code(1).says("clear away checkpoints of task t-kept: ");
    assert_eq!(fs::read_to_string(kept.join(format!("{digest}.checkpoint"))).unwrap(), "damaged", "nothing is let go");
}
