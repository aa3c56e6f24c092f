//! A data folder of an earlier version (`tests/golden/home-1`: a task that is done, one that asks, one whose engine and
//! computer died in mid-command; written by that version and never made anew), taken up by this one; and what a newer
//! version wrote, refused.

use std::fs;
use std::path::Path;

use testkit::{Answer, ModelServer, Turn, turn_due};

use crate::desk::Desk;

/// A copy of the folder of that version; git keeps no empty folders.
fn earlier(model: &ModelServer) -> Desk {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let desk = Desk::new().with("OPENAI_BASE_URL", &model.base_url());
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/home-1"), &desk.path("home"));
    for id in ["t-done", "t-asks", "t-killed"] {
        fs::create_dir_all(desk.task(id).join("workspace")).unwrap();
    }
    desk
}

/// A model that goes on where each record stands.
fn model() -> ModelServer {
    let count = [Turn::exec("one"), Turn::exec("two"), Turn::exec("echo four >> log.txt"), Turn::say("Finished.")];
    let ask = [Turn::exec("asked"), Turn::say("Thank you.")];
    ModelServer::start(move |_, request| {
        let turns = if request["messages"][1].to_string().contains("Count") { &count[..] } else { &ask[..] };
        Answer::Stream(turn_due(turns, request))
    })
    .unwrap()
}

#[test]
fn tasks_of_an_earlier_version_are_read_and_go_on() {
    let model = model();
    let desk = earlier(&model);
    let heads = ["t-done", "t-asks", "t-killed"].map(|id| desk.run(&["journal", "verify", id]).code(0).out);
    assert!(heads.iter().all(|line| line.starts_with("ok: ")), "{heads:?}");
    assert_eq!(desk.shown("t-done")["state"], "done");
    assert_eq!(desk.shown("t-asks")["question"], "Which year?");
    desk.run(&["task", "resume", "t-killed"]).code(0).puts_out("Finished.\n");
    assert_eq!(model.violations(), [""; 0], "each request begins with the one before it");
    desk.run(&["task", "send", "t-asks", "2024"]).code(0);
    desk.run(&["task", "resume", "t-asks"]).code(0).puts_out("Thank you.\n");
    let log = fs::read_to_string(desk.task("t-killed").join("workspace/log.txt")).unwrap();
    assert_eq!(log, "one\ntwo\nfour\n", "what an earlier version had begun is not begun again");
    assert!(desk.results("t-killed")[1].contains("unknown"), "{:?}", desk.results("t-killed"));
    for id in ["t-asks", "t-killed"] {
        let events: Vec<event::Event> =
            desk.events(id).into_iter().map(|event| serde_json::from_value(event).unwrap()).collect();
        let broken = testkit::audit((1..).zip(&events));
        assert!(broken.is_empty(), "{broken:#?}");
        desk.run(&["journal", "verify", id]).code(0);
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_with_the_word_update_and_left_alone() {
    let model = model();
    let desk = earlier(&model);
    // A later format of the record.
    let database = desk.task("t-done").join("journal.db");
    rusqlite::Connection::open(&database).unwrap().execute("UPDATE meta SET v = 99", []).unwrap();
    let written = fs::read(&database).unwrap();
    for command in [["task", "show", "t-done"], ["task", "resume", "t-done"], ["journal", "show", "t-done"]] {
        desk.run(&command).code(5).says("update thenar");
    }
    assert_eq!(fs::read(&database).unwrap(), written);
    // An event that this version does not know, on a record that it can read.
    let mut writer = journal::Writer::open(&desk.task("t-asks")).unwrap();
    let payload = br#"{"event":"sung","song":"high"}"#.to_vec();
    writer.append(&[journal::Draft { time_ms: 1, kind: "sung".to_owned(), payload }]).unwrap();
    drop(writer);
    desk.run(&["task", "resume", "t-asks"]).code(5).says("update thenar");
    desk.run(&["journal", "verify", "t-asks"]).code(0);
    // Neither harms another.
    desk.run(&["task", "list"]).code(0);
    desk.run(&["task", "resume", "t-killed"]).code(0);
}
