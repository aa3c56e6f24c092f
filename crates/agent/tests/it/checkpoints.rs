//! The workspace is kept after each turn, can be looked at and put back, and no crash leaves it in between.

use std::path::Path;

use agent::{Command, Error, NoFaults, Patience, Side, Start};
use event::{Checkpoint, Event, TaskId, TaskOptions};
use sandbox::checkpoint::{Bounds, Compression, Id, Store, Take, Taken};
use serde_json::json;
use testkit::{ModelServer, Turn};

use crate::rig::{DieAt, Rig, Seen};

fn write(path: &str, content: &str) -> Turn {
    Turn::call("file_write", &json!({ "path": path, "content": content }))
}

fn taken(rig: &Rig, id: &TaskId) -> Vec<Checkpoint> {
    let taken = |event| if let Event::CheckpointTaken { checkpoint } = event { Some(checkpoint) } else { None };
    rig.events(id).into_iter().filter_map(taken).collect()
}

fn file_at(rig: &Rig, id: &TaskId, number: u64, path: &str) -> Option<String> {
    let piece = rig.instance.kept_file(id, Side::At(number), Path::new(path), 1 << 20).unwrap();
    piece.map(|piece| String::from_utf8(piece.bytes).unwrap())
}

fn body(rig: &Rig, request: usize) -> String {
    String::from_utf8(rig.server.seen()[request].body.clone()).unwrap()
}

/// Makes a file of more stretches than are kept of one.
fn tear(path: &Path) {
    let torn = std::fs::File::create(path).unwrap();
    for at in 0..5_000 {
        std::os::unix::fs::FileExt::write_all_at(&torn, b"x", at * 16_384).unwrap();
    }
}

/// The store as another process sees it.
fn store(rig: &Rig, id: &TaskId) -> Store {
    Store::at(rig.instance.folder(id).unwrap().checkpoints())
}

#[test]
fn each_turn_that_changed_the_workspace_is_kept_and_no_other() {
    let turns = vec![
        write("a", "one"),
        Turn::call("plan_update", &json!({ "steps": [{ "text": "go on", "status": "in_progress" }] })),
        Turn::exec("cat a"),
        Turn::exec("echo -n two > a; echo -n new > b"),
        Turn::say("done"),
    ];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let taken = taken(&rig, &id);
    let turns: Vec<_> = taken.iter().map(|checkpoint| (checkpoint.number, checkpoint.turn, checkpoint.files)).collect();
    assert_eq!(turns, [(1, 1, 1), (2, 4, 2)]);
    let ends: Vec<u64> = taken.iter().map(|checkpoint| checkpoint.at_seq).collect();
    for recorded in rig.instance.events(&id).unwrap().iter().filter(|recorded| ends.contains(&recorded.seq)) {
        assert_eq!(recorded.event.kind(), "tool_finished");
    }
    assert_eq!(file_at(&rig, &id, 1, "a").as_deref(), Some("one"));
    assert_eq!(file_at(&rig, &id, 1, "b"), None);
    assert_eq!(file_at(&rig, &id, 2, "a").as_deref(), Some("two"));
    let diff = rig.instance.compare(&id, Side::At(1), Side::At(2), 10).unwrap();
    assert_eq!((diff.changes.added, diff.changes.changed, diff.changes.removed), (1, 1, 0));
    assert!(rig.instance.compare(&id, Side::At(2), Side::Now, 10).unwrap().changes.is_none());
    rig.check(&id);
}

#[test]
fn a_checkpoint_never_has_half_a_turn_though_the_next_one_follows_at_once() {
    let pair = |number: u32| Turn::exec(&format!("echo -n {number} > a; echo -n {number} > b"));
    let turns: Vec<Turn> = (1..=8).map(pair).chain([Turn::say("done")]).collect();
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let taken = taken(&rig, &id);
    assert_eq!(taken.len(), 8);
    for checkpoint in taken {
        let turn = Some(checkpoint.turn.to_string());
        assert_eq!(file_at(&rig, &id, checkpoint.number, "a"), turn);
        assert_eq!(file_at(&rig, &id, checkpoint.number, "b"), turn);
    }
    rig.check(&id);
}

#[test]
fn the_person_goes_back_and_forth_and_the_agent_is_told_once() {
    let turns = vec![
        write("a", "one"),
        write("a", "two"),
        Turn::say("done"),
        Turn::exec("cat a"),
        Turn::exec("cat a"),
        Turn::say("seen"),
    ];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    // Changed by hand since: going back keeps it, so that it can be had again.
    std::fs::write(rig.instance.folder(&id).unwrap().workspace().join("mine"), "by hand").unwrap();
    let events = rig.instance.restore(&id, 1, false, "you").unwrap();
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, ["checkpoint_taken", "restore_begun", "workspace_restored"]);
    assert_eq!((rig.workspace_file(&id, "a"), rig.workspace_file(&id, "mine")), ("one".to_owned(), String::new()));
    let events = rig.instance.restore(&id, 3, false, "you").unwrap();
    assert_eq!(events.len(), 2, "there was nothing new to keep");
    assert_eq!(rig.workspace_file(&id, "mine"), "by hand");
    let _ = rig.instance.restore(&id, 1, true, "you").unwrap();
    assert!(matches!(rig.instance.restore(&id, 9, false, "you"), Err(Error::NoCheckpoint { number: 9, .. })));
    rig.tell(&id, Command::Message { text: "look again".to_owned() });
    assert_eq!(rig.resume(&id).state, "done");
    let told = |request: usize| body(&rig, request).matches("set the workspace back to checkpoint 1").count();
    assert_eq!((told(2), told(3), told(4)), (0, 2, 2), "twice it was set back to that one, and each is said once");
    let seen = rig.results(&id).into_iter().rev().find(|result| result.text.contains("one"));
    assert!(seen.is_some(), "the agent found it as it was");
    rig.check(&id);
}

/// A process died between its word that it goes back and the end of it.
fn leave_begun(rig: &Rig, id: &TaskId, number: u64) -> journal::Writer {
    let begun = Event::RestoreBegun { number, by: "you".to_owned() };
    let mut writer = journal::Writer::open(rig.instance.folder(id).unwrap().root()).unwrap();
    let time_ms = rig.instance.events(id).unwrap().last().unwrap().time_ms;
    writer.append(&[journal::Draft::new(time_ms, begun.kind(), event::canonical(&begun))]).unwrap();
    writer
}

#[test]
fn whoever_takes_a_task_up_finishes_going_back_and_clears_away_what_a_crash_left() {
    let rig = Rig::new(ModelServer::playing(vec![write("a", "one"), write("a", "two"), Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let folder = rig.instance.folder(&id).unwrap();
    let writer = leave_begun(&rig, &id, 1);
    assert!(matches!(rig.instance.restore(&id, 2, false, "you"), Err(Error::Held { .. })));
    drop(writer);
    // Half undone, or made by hand since: nobody can know.
    std::fs::write(folder.workspace().join("half"), "of it").unwrap();
    // And another one after a checkpoint was made and before it was on record.
    let take = Take {
        tree: rig.folder.path(),
        last: None,
        bounds: Bounds::default(),
        stop: &std::sync::atomic::AtomicBool::new(false),
    };
    let Taken::New(debris) = store(&rig, &id).take(&take, &mut |_| {}).unwrap() else { panic!("nothing was taken") };
    assert_eq!(store(&rig, &id).ids().unwrap().len(), 3);
    rig.tell(&id, Command::Message { text: "go on".to_owned() });
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!((rig.workspace_file(&id, "a"), rig.workspace_file(&id, "half")), ("one".to_owned(), String::new()));
    let there = store(&rig, &id).ids().unwrap();
    assert!(there.len() == 3 && !there.contains(&debris.id));
    assert_eq!(file_at(&rig, &id, 3, "half").as_deref(), Some("of it"), "it can be had again");
    rig.check(&id);
    // The person themself goes on from there, to another one.
    drop(leave_begun(&rig, &id, 2));
    std::fs::write(folder.workspace().join("since"), "by hand").unwrap();
    let events = rig.instance.restore(&id, 1, false, "you").unwrap();
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, ["checkpoint_taken", "restore_begun", "workspace_restored"]);
    assert_eq!(file_at(&rig, &id, 4, "since").as_deref(), Some("by hand"));
    rig.check(&id);
}

#[test]
fn going_back_that_was_left_is_not_finished_over_what_cannot_be_kept() {
    let rig = Rig::new(ModelServer::playing(vec![write("a", "one"), write("a", "two"), Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    drop(leave_begun(&rig, &id, 1));
    let torn = rig.instance.folder(&id).unwrap().workspace().join("torn");
    tear(&torn);
    rig.tell(&id, Command::Message { text: "go on".to_owned() });
    assert_eq!(rig.resume(&id).state, "done");
    assert!(torn.exists() && rig.workspace_file(&id, "a") == "two");
    let problem = |event| if let Event::WorkspaceRestored { problem, .. } = event { problem } else { None };
    let said = rig.events(&id).into_iter().find_map(problem).unwrap();
    assert!(said.contains("not finished: 1 of the files and folders") && said.ends_with(": torn"), "{said}");
    let heard = String::from_utf8(rig.server.seen().pop().unwrap().body).unwrap();
    assert!(
        heard.contains("back to checkpoint 1, and that was not finished") && !heard.contains("is undone"),
        "{heard}"
    );
    rig.check(&id);
}

#[test]
fn going_back_takes_nothing_away_that_cannot_be_kept_unless_it_is_to_be_thrown_away() {
    let rig = Rig::new(ModelServer::playing(vec![write("a", "one"), write("a", "two"), Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let workspace = rig.instance.folder(&id).unwrap().workspace();
    tear(&workspace.join("torn\nhint: by a file"));
    let _socket = std::os::unix::net::UnixListener::bind(workspace.join("socket")).unwrap();
    let refused = rig.instance.restore(&id, 1, false, "you").unwrap_err();
    let text = "keep the workspace as it is now: 1 of the files and folders in the workspace cannot be kept: torn hint: by a file";
    assert_eq!(refused.to_string(), text);
    assert!(refused.hint().unwrap().contains("--throw-away"));
    assert_eq!(store(&rig, &id).ids().unwrap().len(), 2, "what is on no record takes no room");
    assert_eq!((rig.workspace_file(&id, "a").as_str(), std::fs::read_dir(&workspace).unwrap().count()), ("two", 3));
    let _ = rig.instance.restore(&id, 1, true, "you").unwrap();
    assert_eq!((rig.workspace_file(&id, "a").as_str(), std::fs::read_dir(&workspace).unwrap().count()), ("one", 1));
    rig.check(&id);
}

#[test]
fn what_the_person_gave_is_kept_before_the_agent_touches_it() {
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec("rm given; echo x > made"), Turn::say("done")]).unwrap());
    let lent = rig.folder.path().join("lent");
    std::fs::create_dir(&lent).unwrap();
    std::fs::write(lent.join("given"), "mine").unwrap();
    let workspace = Some(lent.to_str().unwrap().to_owned());
    let id = rig.create(TaskOptions { workspace, ..TaskOptions::default() });
    assert_eq!(rig.run(&id).state, "done");
    assert_eq!(file_at(&rig, &id, 1, "given").as_deref(), Some("mine"));
    assert!(lent.join("made").exists());
    let _ = rig.instance.restore(&id, 1, false, "you").unwrap();
    assert_eq!(std::fs::read_to_string(lent.join("given")).unwrap(), "mine");
    assert!(!lent.join("made").exists());
    rig.check(&id);
    rig.instance.delete(&id).unwrap();
    assert!(lent.join("given").exists() && rig.instance.folder(&id).is_err(), "only what is ours goes");
}

#[test]
fn a_large_folder_of_the_persons_is_worked_in_and_not_kept() {
    let turns = vec![write("a", "1"), write("a", "2"), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let lent = rig.folder.path().join("lent");
    std::fs::create_dir(&lent).unwrap();
    let large = std::fs::File::create(lent.join("large")).unwrap();
    for at in 0..257 {
        std::os::unix::fs::FileExt::write_all_at(&large, &[at as u8; 1 << 20], at << 20).unwrap();
    }
    let workspace = Some(lent.to_str().unwrap().to_owned());
    let id = rig.create(TaskOptions { workspace, ..TaskOptions::default() });
    assert_eq!(rig.run(&id).state, "done");
    let missed = rig.events(&id).iter().filter(|event| event.kind() == "checkpoint_missed").count();
    assert_eq!((taken(&rig, &id).len(), missed), (0, 1), "it is said once");
    assert!(store(&rig, &id).bytes().unwrap() < 1 << 20, "and takes no room");
    rig.check(&id);
}

#[test]
fn a_crash_beside_a_checkpoint_leaves_those_that_are_on_record() {
    let turns = || vec![write("a", "1"), write("a", "2"), write("a", "3"), Turn::say("done")];
    for visit in 1.. {
        let rig = Rig::new(ModelServer::playing(turns()).unwrap());
        let id = rig.create(TaskOptions::default());
        match rig.go(&id, Start::Fresh, &mut DieAt::new(agent::Place::Kept, visit)) {
            Ok(_) => break,
            Err(Error::Crashed(_)) => {}
            Err(error) => panic!("{visit}: {error}"),
        }
        assert_eq!(rig.go(&id, Start::Resume, &mut NoFaults).unwrap().state, "done");
        assert_eq!(taken(&rig, &id).last().map(|checkpoint| checkpoint.turn), Some(3), "visit {visit}");
        rig.check(&id);
    }
}

#[test]
fn of_many_checkpoints_older_ones_are_let_go_and_take_no_room() {
    let turns: Vec<Turn> = (0..66).map(|number| write("a", &number.to_string())).chain([Turn::say("done")]).collect();
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let kept = rig.instance.kept(&id).unwrap();
    assert_eq!(kept.numbered, 66);
    assert!(kept.checkpoints.len() <= 64, "{}", kept.checkpoints.len());
    let mut there = store(&rig, &id).ids().unwrap();
    let mut named: Vec<Id> = kept.checkpoints.iter().map(|kept| Id(kept.checkpoint.digest.0)).collect();
    there.sort();
    named.sort();
    assert_eq!(there, named);
    assert_eq!(file_at(&rig, &id, 1, "a").as_deref(), Some("0"));
    assert_eq!(file_at(&rig, &id, 66, "a").as_deref(), Some("65"));
    rig.check(&id);
}

#[test]
fn no_further_checkpoint_is_let_go_while_what_was_let_go_cannot_be_cleared_away() {
    let turns: Vec<Turn> = (0..6).map(|number| write("a", &number.to_string())).chain([Turn::say("done")]).collect();
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    let mut read = None;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| {
        if matches!(seen, Seen::Event(Event::CheckpointTaken { checkpoint }) if checkpoint.number == 1) {
            let store = store(&rig, &id);
            // Its store is over its bytes from here on, and somebody reads in it.
            std::fs::File::create(store.folder().join("large")).unwrap().set_len(5 << 30).unwrap();
            let lock = std::fs::File::open(store.folder().join("in-use")).unwrap();
            lock.lock_shared().unwrap();
            read = Some(lock);
        }
        None
    });
    assert_eq!(summary.state, "done");
    assert!(read.is_some());
    let left: Vec<u64> =
        rig.instance.kept(&id).unwrap().checkpoints.iter().map(|kept| kept.checkpoint.number).collect();
    assert_eq!(left, [2, 3, 4, 5, 6]);
    rig.check(&id);
}

#[test]
fn a_checkpoint_leaves_the_house_as_an_archive() {
    let rig = Rig::new(ModelServer::playing(vec![write("deep/a", "one"), Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    rig.run(&id);
    let mut archive = Vec::new();
    let checkpoint = rig.instance.export_files(&id, 1, Compression::None, &mut archive).unwrap();
    assert_eq!((checkpoint.files, checkpoint.bytes), (1, 3));
    assert!(archive.len() > 1024 && archive.windows(6).any(|window| window == b"deep/a"));
}
