//! The engine dies at every place in the life of every effect, and is taken up again: nothing is lost, nothing repeated.

use agent::{Command, Crash, Error, Faults, NoFaults, Place, Start};
use event::{Event, LimitKind, StopCause, TaskOptions, ToolStatus};
use serde_json::json;
use testkit::{Answer, ModelServer, Turn};

use crate::person::asking_rules;
use crate::rig::{DieAt, Rig, until};

fn turns() -> Vec<Turn> {
    vec![
        Turn::exec("echo 1 >> log"),
        Turn::call("file_write", &json!({ "path": "log", "content": "2\n", "append": true })),
        Turn::exec("echo 3 >> log; cat log"),
        Turn::call("deliver", &json!({ "files": [{ "path": "log" }] })),
        Turn::say("done"),
    ]
}

const PLACES: [Place; 6] = [Place::Decided, Place::Started, Place::Flying, Place::Landed, Place::Recorded, Place::Kept];

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
fn a_limit_of_steps_holds_wherever_the_engine_dies() {
    for place in [Place::Decided, Place::Landed, Place::Recorded] {
        for visit in 1.. {
            let rig = Rig::new(ModelServer::playing(turns()).unwrap());
            let id = rig.create(TaskOptions { max_steps: Some(2), ..TaskOptions::default() });
            if rig.go(&id, Start::Fresh, &mut DieAt::new(place, visit)).is_ok() {
                break;
            }
            let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
            let told = format!("died at {place:?}, visit {visit}");
            assert_eq!(summary.cause, Some(StopCause::Limit(LimitKind::Steps)), "{told}: {}", summary.reason);
            assert_eq!(rig.workspace_file(&id, "log"), "1\n2\n", "{told}");
            rig.check(&id);
        }
    }
}

/// Dies at the n-th visit of any place, by turns of a generator whose seed names the whole story.
struct Dice {
    state: u64,
    left: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, left: 0 }
    }

    /// The next engine lives for so many places: always enough to record something.
    fn next_life(&mut self) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.left = 6 + self.state % 14;
    }
}

impl Faults for Dice {
    fn at(&mut self, _place: Place) -> Result<(), Crash> {
        self.left -= 1;
        if self.left == 0 { Err(Crash) } else { Ok(()) }
    }
}

/// A task with all that can happen: questions to the person, several calls in one reply, two deliveries, a limit.
fn full_life() -> Vec<Turn> {
    let exec = |command: &str| ("shell_exec".to_owned(), json!({ "command": command }).to_string());
    vec![
        Turn::exec("echo 1 >> log"),
        Turn::call("file_write", &json!({ "path": "log", "content": "2\n", "append": true })),
        Turn { calls: vec![exec("echo 3 >> log"), exec("echo 4 >> log; cat log")], ..Turn::default() },
        Turn::call("deliver", &json!({ "files": [{ "path": "log" }] })),
        Turn::exec("echo 5 >> log"),
        Turn::call("deliver", &json!({ "files": [{ "path": "log" }] })),
        Turn::say("done"),
    ]
}

#[test]
fn a_life_of_crashes_ends_as_one_without() {
    for seed in 1..=6 {
        let rig = Rig::with_policy(ModelServer::playing(full_life()).unwrap(), &asking_rules());
        let id = rig.create(TaskOptions { max_steps: Some(3), ..TaskOptions::default() });
        let (mut dice, mut deaths, mut start) = (Dice::new(seed), 0, Start::Fresh);
        for life in 0.. {
            assert!(life < 100, "seed {seed}: it does not come to an end");
            dice.next_life();
            let outcome = rig.go(&id, std::mem::replace(&mut start, Start::Resume), &mut dice);
            match outcome {
                Err(Error::Crashed(_)) => deaths += 1,
                Err(error) => panic!("seed {seed}: {error}"),
                Ok(summary) if summary.state == "waiting" => {
                    rig.tell(&id, Command::Confirm { effect: None, allowed: true, note: String::new() });
                }
                Ok(summary) if summary.state == "stopped" => {
                    assert_eq!(rig.out_file("unfinished/log"), "1\n2\n3\n4\n", "seed {seed}");
                    let options = TaskOptions { max_steps: None, ..summary.options };
                    rig.tell(&id, Command::Options { options, was: None });
                }
                Ok(summary) => {
                    assert_eq!(summary.state, "done", "seed {seed}: {}", summary.reason);
                    break;
                }
            }
        }
        assert!(deaths > 2, "seed {seed} is a poor one: {deaths} deaths");
        assert_eq!(rig.workspace_file(&id, "log"), "1\n2\n3\n4\n5\n", "seed {seed}");
        assert_eq!(rig.out_file("log"), "1\n2\n3\n4\n5\n", "seed {seed}");
        assert_eq!(names_in(&rig.folder.path().join("out")), ["log", "unfinished"], "seed {seed}");
        assert_eq!(names_in(&rig.folder.path().join("out/unfinished")), ["log"], "seed {seed}");
        // Each question is asked once, however often its engine dies.
        let questions = rig.events(&id).iter().filter(|event| matches!(event, Event::ApprovalRequested { .. })).count();
        assert_eq!(questions, 4, "seed {seed}");
        assert!(rig.server.seen().iter().all(|seen| seen.append_only >= 1.0), "seed {seed}: the prompt changed");
        rig.check(&id);
    }
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_computer_that_dies_under_a_living_engine_is_replaced_and_its_command_not_repeated() {
    let turns = vec![
        Turn::exec("echo begun >> log; sleep 1000; echo ended >> log"),
        Turn::exec("echo after >> log"),
        Turn::say("done"),
    ];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| !rig.workspace_file(&id, "log").is_empty());
            kill_keeper(&rig.instance.folder(&id).unwrap().computer());
        });
        rig.run(&id)
    });
    assert_eq!(summary.state, "done");
    let statuses: Vec<_> = rig.results(&id).iter().map(|result| result.status).collect();
    assert_eq!(statuses, [ToolStatus::Unknown, ToolStatus::Ok]);
    assert_eq!(rig.workspace_file(&id, "log"), "begun\nafter\n");
    rig.check(&id);
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
fn a_machine_that_refuses_for_a_while_is_no_engine_that_died() {
    let rig = Rig::new(ModelServer::playing(vec![Turn::say("done")]).unwrap());
    let id = rig.create(TaskOptions::default());
    assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Started, 1)), Err(Error::Crashed(_))));
    // Nobody can be listened to there.
    let control = rig.instance.folder(&id).unwrap().root().join("control");
    std::fs::remove_dir_all(&control).unwrap();
    std::fs::write(&control, "").unwrap();
    for _ in 0..4 {
        assert!(matches!(rig.go(&id, Start::Resume, &mut NoFaults), Err(Error::Io { .. })));
    }
    std::fs::remove_file(&control).unwrap();
    assert_eq!(rig.resume(&id).state, "done");
    let resumes = rig.events(&id).iter().filter(|event| matches!(event, Event::Resumed { .. })).count();
    assert_eq!(resumes, 1);
    rig.check(&id);
}

#[test]
fn a_computer_that_died_with_its_engine_leaves_an_unknown_outcome() {
    let turns = vec![Turn::exec("echo begun >> log; sleep 30; echo ended >> log"), Turn::say("I will look first")];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.linger = std::time::Duration::ZERO;
    rig.dies_after = |rig, id| !rig.workspace_file(id, "log").is_empty();
    let id = rig.create(TaskOptions::default());
    // The second effect to fly is the command.
    assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Flying, 2)), Err(Error::Crashed(_))));
    let folder = rig.instance.folder(&id).unwrap();
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

#[test]
fn keys_are_pressed_once_whenever_the_engine_dies() {
    let turns = || {
        vec![
            Turn::call("shell_exec", &json!({ "command": "cat >> log", "id": "pen" })),
            Turn::call("shell_write_to_process", &json!({ "id": "pen", "input": "typed" })),
            Turn::exec("cat log"),
            Turn::say("done"),
        ]
    };
    let write = |place| {
        let rig = Rig::new(ModelServer::playing(turns()).unwrap());
        let id = rig.create(TaskOptions::default());
        // Two requests, the program, and then what is typed into it.
        assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(place, 4)), Err(Error::Crashed(_))), "{place:?}");
        assert_eq!(rig.resume(&id).state, "done", "{place:?}");
        assert_eq!(rig.workspace_file(&id, "log"), "typed\n", "{place:?}");
        let statuses: Vec<_> = rig.results(&id).iter().map(|result| result.status).collect();
        assert_eq!(statuses, [ToolStatus::Ok; 3], "{place:?}");
        rig.check(&id);
    };
    // Side by side, since a program that waits for input keeps each of them for the ten seconds of a command.
    std::thread::scope(|scope| {
        for place in [Place::Started, Place::Flying, Place::Landed, Place::Recorded] {
            scope.spawn(move || write(place));
        }
    });
}

#[test]
fn after_a_loss_of_power_no_trace_is_no_proof() {
    let turns = || vec![Turn::exec("echo x >> log"), Turn::call("deliver", &json!({ "files": [{ "path": "log" }] }))];
    for (power_lost, status, log) in [(false, ToolStatus::Ok, "x\n"), (true, ToolStatus::Unknown, "")] {
        let mut rig = Rig::new(ModelServer::playing(turns()).unwrap());
        let id = rig.create(TaskOptions::default());
        // The second effect to start is the command; nothing of it has begun.
        assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Started, 2)), Err(Error::Crashed(_))));
        if power_lost {
            rig.reboot();
        }
        assert_eq!(rig.resume(&id).state, "done");
        assert_eq!(rig.results(&id)[0].status, status);
        assert_eq!(rig.workspace_file(&id, "log"), log);
        rig.check(&id);
    }
    // A delivery knows itself what it has done, and is simply made.
    let mut rig = Rig::new(ModelServer::playing(turns()).unwrap());
    let id = rig.create(TaskOptions::default());
    assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Started, 4)), Err(Error::Crashed(_))));
    rig.reboot();
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!((rig.results(&id)[1].status, rig.out_file("log").as_str()), (ToolStatus::Ok, "x\n"));
    rig.check(&id);
}

#[test]
fn a_task_that_nobody_holds_is_stopped_with_its_computer() {
    let turns = vec![Turn::exec("echo begun >> log; sleep 1000; echo ended >> log"), Turn::say("I see")];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.linger = std::time::Duration::ZERO;
    rig.dies_after = |rig, id| !rig.workspace_file(id, "log").is_empty();
    let id = rig.create(TaskOptions::default());
    assert!(matches!(rig.go(&id, Start::Fresh, &mut DieAt::new(Place::Flying, 2)), Err(Error::Crashed(_))));
    rig.tell(&id, Command::Stop { by: "you".to_owned() });
    assert_eq!(rig.instance.summary(&id).unwrap().state, "stopped");
    let computer = rig.instance.folder(&id).unwrap().computer();
    until(|| sandbox::Computer::attach(&computer).unwrap().is_none());
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!(rig.results(&id).len(), 1, "what came of it is told once");
    assert_eq!(rig.workspace_file(&id, "log"), "begun\n", "and it is not run again");
    rig.check(&id);
}

/// Kills the keeper of this very folder, and with it all that is inside.
fn kill_keeper(folder: &std::path::Path) {
    let lock = folder.join("keeper.lock");
    let holds = |pid: &std::path::Path| {
        let keeper = std::fs::read_to_string(pid.join("comm")).is_ok_and(|name| name.trim() == "thenar-keeper");
        let open = || std::fs::read_dir(pid.join("fd")).into_iter().flatten().flatten();
        keeper && open().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
    };
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let keeper = processes.find(|pid| holds(pid)).expect("the keeper runs");
    let pid = keeper.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // Its death is seen by what it held being let go.
    until(|| !holds(&keeper));
}
