//! The engine dies at every place in the life of every effect, and is taken up again: nothing is lost, nothing repeated.

use agent::{Error, NoFaults, Place, Start};
use event::{Event, LimitKind, StopCause, TaskOptions, ToolStatus};
use serde_json::json;
use testkit::{Answer, ModelServer, Turn};

use crate::rig::{DieAt, Rig};

fn turns() -> Vec<Turn> {
    vec![
        Turn::exec("echo 1 >> log"),
        Turn::call("file_write", &json!({ "path": "log", "content": "2\n", "append": true })),
        Turn::exec("echo 3 >> log; cat log"),
        Turn::call("deliver", &json!({ "files": [{ "path": "log" }] })),
        Turn::say("done"),
    ]
}

const PLACES: [Place; 5] = [Place::Decided, Place::Started, Place::Flying, Place::Landed, Place::Recorded];

#[test]
fn a_crash_anywhere_loses_nothing_and_repeats_nothing() {
    for place in PLACES {
        for visit in 1.. {
            let rig = Rig::new(ModelServer::playing(turns()).unwrap());
            let id = rig.create(TaskOptions::default());
            match rig.go(&id, Start::Fresh, &mut DieAt::new(place, visit)) {
                // The place is not visited so often: all of them have been tried.
                Ok(_) => break,
                Err(Error::Crashed(died_at)) => assert_eq!(died_at, place),
                Err(error) => panic!("{place:?} {visit}: {error}"),
            }
            let before = rig.server.seen();
            let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
            let told = format!("died at {place:?}, visit {visit}");
            assert_eq!(summary.state, "done", "{told}: {}", summary.reason);
            assert_eq!(rig.workspace_file(&id, "log"), "1\n2\n3\n", "{told}");
            assert_eq!(std::fs::read_to_string(rig.folder.path().join("out/log")).unwrap(), "1\n2\n3\n", "{told}");
            assert_eq!(std::fs::read_dir(rig.folder.path().join("out")).unwrap().count(), 1, "{told}");
            for seen in rig.server.seen() {
                assert!((seen.append_only - 1.0).abs() < f64::EPSILON, "{told}: the prompt changed");
            }
            assert!(rig.server.seen().len() <= before.len() + turns().len(), "{told}");
            rig.check(&id);
        }
    }
}

#[test]
fn resumes_that_bring_nothing_end_in_failed() {
    let rig = Rig::new(ModelServer::start(|_, _| Answer::Silence).unwrap());
    let id = rig.create(TaskOptions::default());
    let die = |start| rig.go(&id, start, &mut DieAt::new(Place::Flying, 1));
    assert!(matches!(die(Start::Fresh), Err(Error::Crashed(_))));
    for _ in 0..3 {
        assert!(matches!(die(Start::Resume), Err(Error::Crashed(_))));
    }
    let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
    assert_eq!((summary.state, summary.cause), ("failed", Some(StopCause::Limit(LimitKind::Resumes))));
    assert!(summary.reason.contains("died within a minute"), "{}", summary.reason);
    rig.check(&id);
}

#[test]
fn a_computer_that_died_with_its_engine_leaves_an_unknown_outcome() {
    let turns = vec![Turn::exec("echo begun >> log; sleep 30; echo ended >> log"), Turn::say("I will look first")];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.linger = std::time::Duration::ZERO;
    let id = rig.create(TaskOptions::default());
    // The second effect to fly is the command.
    assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Flying, 2)), Err(Error::Crashed(_))));
    let folder = rig.instance.folder(&id).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rig.workspace_file(&id, "log").is_empty() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    kill_keeper(&folder.computer());
    let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
    assert_eq!(summary.state, "done");
    let unknown = rig
        .events(&id)
        .into_iter()
        .any(|event| matches!(event, Event::ToolFinished { result, .. } if result.status == ToolStatus::Unknown));
    assert!(unknown, "the model is told that nobody knows");
    assert_eq!(rig.workspace_file(&id, "log"), "begun\n", "and nothing is run again");
    rig.check(&id);
}

/// Kills the keeper of this very folder, and with it all that is inside.
fn kill_keeper(folder: &std::path::Path) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        let ours = std::fs::read_dir(path.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target.starts_with(folder)));
        if name.trim() == "thenar-keeper" && ours {
            let pid: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            return;
        }
    }
    panic!("no keeper has {} open", folder.display());
}
