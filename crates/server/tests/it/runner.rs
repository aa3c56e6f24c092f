//! Tasks side by side: order, bounds, and what one task's trouble means for the others.

use std::fs;

use agent::Start;
use server::{Place, Refused, RunnerLimits};
use testkit::{Answer, Gate, ModelServer, Turn};

use crate::rig::{Rig, until};

fn one_place(queued_max: usize) -> RunnerLimits {
    RunnerLimits { running_max: 1, queued_max, threads: 1, ..RunnerLimits::default() }
}

/// A model whose first request waits at the gate; every request is the end of its task.
fn gated() -> (ModelServer, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let server = ModelServer::start(move |before, _| match before {
        0 => Answer::Gated(Turn::say("done"), held.clone()),
        _ => Answer::Stream(Turn::say("done")),
    });
    (server.unwrap(), gate)
}

#[test]
fn tasks_wait_their_turn_in_order_and_a_full_queue_refuses() {
    let (server, gate) = gated();
    let rig = Rig::new(server, one_place(2));
    let ids: Vec<_> = ["t-1", "t-2", "t-3", "t-4"].map(|id| rig.create(id, "openai:scripted")).into();
    rig.runner.begin(&ids[0], Start::Fresh).unwrap();
    assert!(rig.server.wait_for(1));
    for id in &ids[1..3] {
        rig.runner.begin(id, Start::Fresh).unwrap();
        // Asking twice is asking once.
        rig.runner.begin(id, Start::Fresh).unwrap();
    }
    assert_eq!(rig.runner.begin(&ids[3], Start::Fresh), Err(Refused::Full(2)));
    assert_eq!(rig.runner.place(&ids[0]), Some(Place::Running));
    assert_eq!(rig.index.summary(&ids[0]).unwrap().state, "running");
    assert_eq!(rig.index.summary(&ids[1]).unwrap().state, "queued");
    gate.let_through(usize::MAX);
    for id in &ids[..3] {
        rig.until(id, "done");
    }
    let ended = |id| rig.index.summary(id).unwrap().updated_ms;
    assert!(ended(&ids[0]) <= ended(&ids[1]) && ended(&ids[1]) <= ended(&ids[2]));
    let bodies: Vec<_> =
        rig.server.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    for (body, name) in bodies.iter().zip(["<t-1>", "<t-2>", "<t-3>"]) {
        assert!(body.contains(name), "{name} was not next");
    }
    assert_eq!(rig.index.summary(&ids[3]).unwrap().state, "stopped");
}

#[test]
fn a_task_without_a_model_is_put_off_with_the_reason() {
    let (server, gate) = gated();
    gate.let_through(usize::MAX);
    let rig = Rig::new(server, RunnerLimits::default());
    let id = rig.create("t-1", "openai:gone");
    rig.runner.begin(&id, Start::Fresh).unwrap();
    until("it is put off", || {
        rig.index.summary(&id).unwrap().reason.contains("there is no model openai:gone. name another")
    });
    assert_eq!(rig.index.summary(&id).unwrap().state, "stopped");
    // It has ended: nobody takes it up by itself.
    assert_eq!(rig.runner.take_up(&rig.index, testkit::clock::now_ms()), 0);
}

#[test]
fn a_broken_journal_harms_no_other_task() {
    let (server, gate) = gated();
    gate.let_through(usize::MAX);
    let rig = Rig::new(server, one_place(10));
    let (broken, sound) = (rig.create("t-1", "openai:scripted"), rig.create("t-2", "openai:scripted"));
    fs::write(rig.instance.folder(&broken).unwrap().root().join("journal.db"), "no database").unwrap();
    rig.runner.begin(&broken, Start::Fresh).unwrap();
    rig.runner.begin(&sound, Start::Fresh).unwrap();
    rig.until(&sound, "done");
    until("the other is given up", || rig.runner.place(&broken).is_none());
    let listing = rig.index.list();
    assert_eq!(listing.tasks.len(), 1);
    assert_eq!(listing.broken.len(), 1);
    assert_eq!(rig.runner.load().broken, 1);
}

#[test]
fn a_stopping_runner_puts_down_what_runs_and_takes_no_more() {
    let (server, gate) = gated();
    let rig = Rig::new(server, one_place(10));
    let (first, second) = (rig.create("t-1", "openai:scripted"), rig.create("t-2", "openai:scripted"));
    rig.runner.begin(&first, Start::Fresh).unwrap();
    assert!(rig.server.wait_for(1));
    rig.runner.begin(&second, Start::Fresh).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(rig.runner.stop("tested"));
    assert_eq!(rig.runner.begin(&second, Start::Fresh), Err(Refused::Stopping));
    assert!(rig.runner.place(&first).is_none() && rig.runner.place(&second).is_none());
    let last = rig.instance.events(&first).unwrap().pop().unwrap().event;
    assert_eq!(last.kind(), "put_down");
    assert!(rig.index.summary(&first).unwrap().is_left());
    gate.let_through(usize::MAX);
}

#[test]
fn what_has_lain_too_long_waits_for_a_person() {
    let (server, gate) = gated();
    gate.let_through(usize::MAX);
    let limits = RunnerLimits { recovery_age_ms: 60_000, ..RunnerLimits::default() };
    let rig = Rig::new(server, limits);
    let id = rig.create("t-1", "openai:scripted");
    let now = testkit::clock::now_ms();
    assert_eq!(rig.runner.take_up(&rig.index, now), 0, "just made: whoever made it runs it");
    assert_eq!(rig.runner.take_up(&rig.index, now + 61_000), 0, "too old");
    assert_eq!(rig.runner.take_up(&rig.index, now + 30_000), 1);
    rig.until(&id, "done");
}

#[test]
fn the_computer_of_a_task_that_is_over_is_ended_at_the_next_look() {
    let (server, gate) = gated();
    gate.let_through(usize::MAX);
    let rig = Rig::new(server, one_place(10));
    let id = rig.create("t-1", "openai:scripted");
    rig.runner.begin(&id, Start::Fresh).unwrap();
    rig.until(&id, "done");
    until("it is out of hand", || rig.runner.place(&id).is_none());
    // As an engine leaves it that dies right after the last event.
    let folder = rig.instance.folder(&id).unwrap().root().to_owned();
    let spec = sandbox::ComputerSpec {
        dir: folder.join("computer"),
        workspace: sandbox::Workspace::Own(folder.join("workspace")),
        toolset: None,
        limits: sandbox::Limits::default(),
        deadline_unix_ms: None,
        env: Default::default(),
        keeper: sandbox::find_keeper().unwrap(),
        forbidden: Vec::new(),
        build: Default::default(),
        egress: false,
    };
    sandbox::Computer::open(&spec).unwrap();
    rig.runner.take_up(&rig.index, testkit::clock::now_ms());
    assert!(sandbox::Computer::attach(&spec.dir).unwrap().is_none());
}

#[test]
fn what_a_crash_left_among_the_checkpoints_of_a_task_that_is_over_goes_at_the_next_look() {
    let rig =
        Rig::new(ModelServer::playing(vec![Turn::exec("echo here > a"), Turn::say("done")]).unwrap(), one_place(10));
    let id = rig.create("t-1", "openai:scripted");
    rig.runner.begin(&id, Start::Fresh).unwrap();
    rig.until(&id, "done");
    until("it is out of hand", || rig.runner.place(&id).is_none());
    let checkpoints = rig.instance.folder(&id).unwrap().checkpoints();
    let kept = rig.instance.kept(&id).unwrap().checkpoints.len();
    let names = || std::fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    // As an engine leaves it that dies while it writes one, or right after, before it is on record.
    let half = checkpoints.join(".new-1-1");
    std::fs::write(&half, "half a pack").unwrap();
    let whole = rig.folder.path().join("other");
    std::fs::create_dir(&whole).unwrap();
    std::fs::write(whole.join("b"), "never on record").unwrap();
    let take = sandbox::checkpoint::Take {
        tree: &whole,
        last: None,
        bounds: Default::default(),
        stop: &std::sync::atomic::AtomicBool::new(false),
    };
    let taken = sandbox::checkpoint::Store::at(checkpoints.clone()).take(&take, &mut |_| {}).unwrap();
    assert!(matches!(taken, sandbox::checkpoint::Taken::New(_)));
    std::fs::write(&half, "half a pack").unwrap();
    let before = names().len();
    rig.runner.take_up(&rig.index, testkit::clock::now_ms());
    assert!(!half.exists());
    assert!(names().len() + 2 <= before, "{:?}", names());
    assert_eq!(sandbox::checkpoint::Store::at(checkpoints.clone()).ids().unwrap().len(), kept);
}

#[test]
fn a_computer_whose_task_waits_for_long_is_put_to_sleep_at_the_next_look() {
    let turns =
        vec![Turn::exec("echo here > a"), Turn::call("message_ask_user", &serde_json::json!({ "text": "Which?" }))];
    let rig = Rig::new(ModelServer::playing(turns).unwrap(), one_place(10));
    let id = rig.create("t-1", "openai:scripted");
    rig.runner.begin(&id, Start::Fresh).unwrap();
    rig.until(&id, "waiting");
    until("it is out of hand", || rig.runner.place(&id).is_none());
    let computer = rig.instance.folder(&id).unwrap().computer();
    rig.runner.take_up(&rig.index, testkit::clock::now_ms());
    assert!(sandbox::Computer::attach(&computer).unwrap().is_some(), "it may still be wanted");
    testkit::clock::pass_ms(31 * 60 * 1_000);
    rig.runner.take_up(&rig.index, testkit::clock::now_ms());
    until("it sleeps", || sandbox::Computer::attach(&computer).unwrap().is_none());
    let last = rig.instance.events(&id).unwrap().pop().unwrap().event;
    assert_eq!(last.kind(), "computer_slept");
    assert_eq!(rig.index.summary(&id).unwrap().state, "waiting");
}
