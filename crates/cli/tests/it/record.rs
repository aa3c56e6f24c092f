//! The record of a task: checked, exported, damaged; what is damaged is named and harms nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use crate::desk::{Desk, exec, exec_until_go, say};

/// Flips a byte in the payload of a record, as a careless or a wicked hand would.
fn damage(folder: &Path, seq: i64) {
    let journal = rusqlite::Connection::open(folder.join("journal.db")).unwrap();
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
    let mut payload = journal.query_row("SELECT payload FROM record WHERE seq = ?1", [seq], read).unwrap();
    let middle = payload.len() / 2;
    payload[middle] ^= 1;
    let changed = journal.execute("UPDATE record SET payload = ?1 WHERE seq = ?2", (payload, seq)).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_damaged_task_is_named_and_the_others_are_unharmed() {
    let desk = Desk::new();
    let script = desk.script(&[exec("echo work"), say("Finished.")]);
    for id in ["t-one", "t-two", "t-three"] {
        desk.run(&["run", "--model", &script, "--id", id, "Work"]).code(0);
    }
    damage(&desk.task("t-two"), 3);
    let before = fs::read(desk.task("t-two").join("journal.db")).unwrap();
    for command in [&["task", "show", "t-two"][..], &["task", "resume", "t-two"], &["journal", "show", "t-two"]] {
        desk.run(command).code(7).says("t-two").says("other tasks are not touched");
    }
    desk.run(&["task", "send", "t-two", "hello"]).code(7);
    assert_snapshot!(desk.run(&["journal", "verify", "t-two"]).seen(), @r#"
    exit 7
    --- out
    bad: record 3: the payload does not match its digest
    --- err
    This journal was changed or damaged after it was written.
    "#);
    desk.run(&["journal", "export", "t-two", "two.journal"]).code(7);
    assert!(!desk.here.join("two.journal").exists());
    assert!(fs::read(desk.task("t-two").join("journal.db")).unwrap() == before, "it is left as it is");

    let list = desk.run(&["task", "list", "--json"]).code(0).says("warning: task t-two cannot be read");
    let ids: Vec<_> = list.json().as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert_eq!(ids, ["t-three", "t-one"]);
    desk.run(&["task", "show", "t-one"]).code(0).puts_out("Finished.\n");
    desk.run(&["run", "--model", &script, "Work"]).code(0);
}

#[expect(clippy::disallowed_methods, reason = "the verifier that needs no Thenar")]
fn verified_by_the_page_of_python(bundle: &Path) -> (Option<i32>, String) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_journal.py");
    let output = Command::new("python3").arg(page).arg(bundle).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn an_exported_record_is_checked_by_us_and_by_anybody() {
    let desk = Desk::new();
    let script = desk.script(&[exec("seq 1 50000"), say("Finished: ✓ \u{202e}")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "Work"]).code(0);
    let verified = desk.run(&["journal", "verify", "t-one"]).code(0);
    let exported = desk.run(&["journal", "export", "t-one", "one.journal"]).code(0);
    assert_eq!(exported.out, verified.out);
    assert_snapshot!(exported.seen(), @r#"
    exit 0
    --- out
    ok: task t-one, 14 records, 3 blobs, head [HASH]
    --- err
    Written to one.journal. Anybody can check it: python3 docs/verify_journal.py FILE
    "#);
    let file = desk.run(&["journal", "verify", "one.journal"]).code(0);
    assert_eq!(file.out, verified.out);
    let bundle = desk.here.join("one.journal");
    assert_eq!(verified_by_the_page_of_python(&bundle).0, Some(0));
    desk.run(&["journal", "export", "t-one", "one.journal"]).code(2).says("is there already");

    let whole = fs::read(&bundle).unwrap();
    for at in [0, whole.len() / 5, whole.len() / 2, whole.len() - 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&bundle, flipped).unwrap();
        let ran = desk.run(&["journal", "verify", "one.journal"]).code(7);
        assert!(ran.out.starts_with("bad: "), "{}", ran.out);
        let (code, said) = verified_by_the_page_of_python(&bundle);
        assert_eq!(code, Some(1), "byte {at}: {said}");
    }
    desk.run(&["journal", "verify", "nothing"]).code(2).says("nor is there a file nothing");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a person's own copy")]
fn a_copy_of_the_data_folder_is_a_backup() {
    let desk = Desk::new();
    let script =
        desk.script(&[exec("echo work > work.txt"), exec("cat work.txt; echo more >> work.txt"), say("Finished.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--max-steps", "1", "Work"]).code(3);
    let copy = desk.path("copy");
    assert!(Command::new("cp").arg("-a").arg(desk.path("home")).arg(&copy).status().unwrap().success());
    fs::remove_dir_all(desk.path("home")).unwrap();
    let desk = desk.with_home(copy.clone());
    desk.run(&["journal", "verify", "t-one"]).code(0);
    desk.run(&["task", "resume", "t-one", "--max-steps", "9"]).code(0);
    assert_eq!(fs::read_to_string(copy.join("tasks/t-one/workspace/work.txt")).unwrap(), "work\nmore\n");
}

#[test]
fn the_record_of_a_running_task_can_be_read_checked_and_exported() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "true"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    desk.run(&["journal", "verify", "t-one"]).code(0);
    desk.run(&["journal", "show", "t-one"]).code(0);
    desk.run(&["journal", "export", "t-one", "early.journal"]).code(0);
    assert_eq!(verified_by_the_page_of_python(&desk.here.join("early.journal")).0, Some(0));
    fs::write(desk.task("t-one").join("workspace/go"), "").unwrap();
    running.end().code(0);
    // A task whose folder was taken away is forgotten.
    fs::remove_dir_all(desk.task("t-one")).unwrap();
    desk.run(&["task", "list", "--json"]).code(0).puts_out("[]\n");
}
