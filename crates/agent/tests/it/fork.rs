//! It is tried both ways: a new task begins as another one was, and neither touches the other.

use agent::{Command, Error, NewFork, Patience, Start};
use event::{Event, TaskId, TaskOptions};
use serde_json::json;
use testkit::{ModelServer, Turn, audit};

use crate::rig::{Rig, Seen};

fn write(path: &str, content: &str) -> Turn {
    Turn::call("file_write", &json!({ "path": path, "content": content }))
}

fn turns() -> Vec<Turn> {
    let deliver = Turn::call("deliver", &json!({ "files": [{ "path": "a" }] }));
    vec![write("a", "one"), write("a", "two"), deliver, write("a", "three"), Turn::say("done")]
}

/// A task that is done, and the server that its forks meet.
fn forked(own: Vec<Turn>) -> (Rig, TaskId, ModelServer) {
    let mut rig = Rig::new(ModelServer::playing(turns()).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    rig.check(&id);
    let other = ModelServer::playing(turns().into_iter().take(2).chain(own).collect()).unwrap();
    let first = std::mem::replace(&mut rig.server, other);
    (rig, id, first)
}

fn fork(at: u64, message: Option<&str>) -> NewFork {
    NewFork { at, message: message.map(str::to_owned), ..NewFork::default() }
}

#[test]
fn a_fork_goes_on_from_the_same_words_and_files_and_neither_touches_the_other() {
    let (rig, id, first) = forked(vec![Turn::exec("cat a; echo -n other > a"), Turn::say("the other way")]);
    let before = rig.instance.events(&id).unwrap();
    let new = rig.instance.fork(&id, &fork(2, Some("do it the other way"))).unwrap();
    assert_eq!(rig.workspace_file(&new, "a"), "two");
    let summary = rig.run(&new);
    assert_eq!((summary.state, summary.text.as_str()), ("done", "the other way"));
    assert_eq!((rig.workspace_file(&new, "a"), rig.workspace_file(&id, "a")), ("other".into(), "three".into()));
    assert_eq!(rig.instance.events(&id).unwrap().len(), before.len(), "the first one knows nothing of it");
    // Both were asked with the same words up to there.
    let (theirs, ours) = (first.seen()[2].body.clone(), rig.server.seen()[0].body.clone());
    let shared = theirs.strip_suffix(b"]}").unwrap();
    assert!(ours.starts_with(shared) && ours.len() > shared.len());
    let said = String::from_utf8(ours).unwrap();
    assert!(said.contains("do it the other way") && said.contains("begun as a copy"), "{said}");
    let origin = summary.forked_from.unwrap();
    assert_eq!((origin.task, origin.checkpoint.number), (id.clone(), 2));
    let (old, new_events) = (rig.events(&id), rig.events(&new));
    let shared = usize::try_from(origin.at_seq).unwrap();
    assert_eq!(old[1..shared], new_events[1..shared]);
    assert_eq!(new_events[shared].kind(), "forked");
    assert_eq!(summary.deliverables, [], "what the other one handed over is not this one's");
    let kept: Vec<u64> =
        rig.instance.kept(&new).unwrap().checkpoints.iter().map(|kept| kept.checkpoint.number).collect();
    assert_eq!(kept, [2, 3]);
    rig.check(&new);
    rig.instance.delete(&id).unwrap();
    rig.check(&new);
}

#[test]
fn a_fork_begins_without_the_sockets_and_pipes_of_the_other_task() {
    let first = vec![Turn::exec("mkfifo /workspace/pipe; echo -n one > a"), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(first).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let new = rig.instance.fork(&id, &fork(1, None)).unwrap();
    assert_eq!(rig.workspace_file(&new, "a"), "one");
    let workspace = |id| rig.instance.folder(id).unwrap().workspace();
    assert!(workspace(&id).join("pipe").exists() && !workspace(&new).join("pipe").exists());
}

#[test]
fn a_fork_of_a_fork_holds_and_a_task_at_work_can_be_forked() {
    let (mut rig, id, _first) = forked(vec![write("a", "four"), write("a", "five"), Turn::say("second")]);
    let second = rig.instance.fork(&id, &fork(2, None)).unwrap();
    let mut third = None;
    let summary = rig.go_saying(&second, Start::Fresh, Patience::Leave, |seen| {
        if let Seen::Event(Event::CheckpointTaken { checkpoint }) = seen
            && checkpoint.number == 4
        {
            third = Some(rig.instance.fork(&second, &fork(4, Some("again"))).unwrap());
        }
        None
    });
    assert_eq!(summary.text, "second");
    rig.check(&second);
    let third = third.unwrap();
    rig.server = ModelServer::start(|_, _| testkit::Answer::Stream(Turn::say("third"))).unwrap();
    assert_eq!(rig.workspace_file(&third, "a"), "five");
    assert_eq!(rig.run(&third).text, "third");
    rig.check(&third);
    // Where it began is among its checkpoints.
    assert_eq!(rig.instance.restore(&third, 4, false, "you").unwrap().len(), 2);
    rig.check(&third);
}

#[test]
fn costs_and_limits_of_a_fork_are_its_own() {
    let (rig, id, _first) = forked(vec![]);
    assert!(rig.instance.summary(&id).unwrap().unpriced_calls > 0);
    let new = rig.instance.fork(&id, &fork(2, None)).unwrap();
    let summary = rig.instance.summary(&new).unwrap();
    assert_eq!((summary.spent, summary.unpriced_calls, summary.usage), Default::default());
    assert!(summary.created_ms >= rig.instance.summary(&id).unwrap().updated_ms);
    rig.tell(&new, Command::Stop { by: "you".to_owned() });
    let events = rig.instance.events(&new).unwrap();
    assert_eq!(audit(events.iter().map(|recorded| (recorded.seq, &recorded.event))), [""; 0]);
}

#[test]
fn what_cannot_be_forked_leaves_nothing_behind() {
    let (rig, id, _first) = forked(vec![]);
    let tasks = rig.instance.home().tasks();
    let there = || std::fs::read_dir(&tasks).unwrap().count();
    let before = there();
    assert!(matches!(rig.instance.fork(&id, &fork(9, None)), Err(Error::NoCheckpoint { number: 9, .. })));
    assert!(matches!(rig.instance.fork(&id, &fork(2, Some(" "))), Err(Error::Invalid(_))));
    let taken = NewFork { id: Some(id.clone()), ..fork(2, None) };
    assert!(matches!(rig.instance.fork(&id, &taken), Err(Error::Invalid(_))));
    assert_eq!(there(), before);
}

#[test]
fn outputs_that_the_history_names_are_there_and_later_ones_are_not() {
    let turns = vec![
        Turn::exec("echo the whole of it; echo one > a"),
        Turn::exec("echo later; echo two > a"),
        Turn::say("done"),
    ];
    let mut rig = Rig::new(ModelServer::playing(turns.clone()).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let look = Turn::exec("cat /run/thenar/output/e2.log; ls /run/thenar/output");
    rig.server = ModelServer::playing(vec![turns[0].clone(), look, Turn::say("done")]).unwrap();
    let new = rig.instance.fork(&id, &fork(1, None)).unwrap();
    assert_eq!(rig.run(&new).state, "done");
    let seen = &rig.results(&new)[1].text;
    assert!(seen.contains("the whole of it") && seen.contains("e2.log") && !seen.contains("later"), "{seen}");
    rig.check(&new);
}

#[test]
fn a_terminal_of_the_history_is_a_new_one_in_the_copy() {
    let typing = |command: &str| Turn::call("shell_exec", &json!({ "command": command, "terminal": "main" }));
    let turns = vec![typing("export WORD=mine; echo one > a"), Turn::say("done")];
    let mut rig = Rig::new(ModelServer::playing(turns.clone()).unwrap());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    rig.server =
        ModelServer::playing(vec![turns[0].clone(), typing("echo \"<$WORD>\" > b"), Turn::say("done")]).unwrap();
    let new = rig.instance.fork(&id, &fork(1, Some("go on"))).unwrap();
    assert_eq!(rig.run(&new).state, "done");
    assert_eq!((rig.workspace_file(&new, "a"), rig.workspace_file(&new, "b")), ("one\n".into(), "<>\n".into()));
    rig.check(&new);
}
