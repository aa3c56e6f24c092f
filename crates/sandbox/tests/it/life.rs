//! Who may die, and what is known afterwards.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use sandbox::{Computer, Error, Exit, Recorded, Status, find_keeper, probe, recorded};

use crate::desk::{Desk, PATIENCE, alive, ended, init_pid, keeper_pid, kill, output, run, shell, until};

#[test]
fn a_second_caller_finds_the_same_call_and_the_same_result() {
    let desk = Desk::new();
    let first = desk.open();
    first.start("work", &shell("echo begin; read x; echo $x end; echo once >> count")).unwrap();
    until("it begins", || output(&first, "work").contains("begin"));
    drop(first);
    let second = Computer::attach(&desk.spec.dir).unwrap().expect("it lives");
    assert_eq!(desk.open(), second);
    second.start("work", &shell("echo begin; read x; echo $x end; echo once >> count")).unwrap();
    second.write_input("w", "work", b"the\n").unwrap();
    let result = ended(&second, "work");
    second.start("work", &shell("something else")).unwrap();
    assert_eq!(ended(&second, "work"), result);
    assert_eq!(recorded(&desk.spec.dir, "work").unwrap(), Recorded::Ended(result));
    assert_eq!(std::fs::read_to_string(desk.path().join("workspace/count")).unwrap(), "once\n");
}

#[test]
fn a_caller_killed_in_mid_command_loses_nothing() {
    let desk = Desk::new();
    let script = "echo begun; until [ -e go ]; do sleep 0.02; done; for i in 1 2 3 4 5 6 7 8; do echo line $i; done";
    let undisturbed = desk.open();
    let go = desk.path().join("workspace/go");
    std::fs::write(&go, "").unwrap();
    undisturbed.start("undisturbed", &shell(script)).unwrap();
    ended(&undisturbed, "undisturbed");
    std::fs::remove_file(&go).unwrap();
    // The caller is this program again, in the role below, and dies by SIGKILL while it waits.
    #[expect(clippy::disallowed_methods, reason = "the caller to be killed must be a process of its own")]
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::role_of_the_caller_that_is_killed", "--nocapture"])
        .env("THENAR_TEST_DESK", &desk.spec.dir)
        .env("THENAR_TEST_SCRIPT", script)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it has begun", || recorded(&desk.spec.dir, "killed").unwrap() == Recorded::Running);
    caller.kill().unwrap();
    caller.wait().unwrap();
    std::fs::write(&go, "").unwrap();
    let again = Computer::attach(&desk.spec.dir).unwrap().expect("the keeper outlives its caller");
    assert_eq!(ended(&again, "killed").exit, Exit::Code(0));
    assert_eq!(output(&again, "killed"), output(&again, "undisturbed"));
}

/// Not a test of its own: does nothing unless the test above runs it.
#[test]
fn role_of_the_caller_that_is_killed() {
    let (Some(dir), Ok(script)) = (std::env::var_os("THENAR_TEST_DESK"), std::env::var("THENAR_TEST_SCRIPT")) else {
        return;
    };
    let computer = Computer::attach(dir.as_ref()).unwrap().unwrap();
    computer.start("killed", &shell(&script)).unwrap();
    computer.wait("killed", Duration::from_secs(60)).unwrap();
}

#[test]
fn when_the_keeper_dies_all_dies_and_nothing_is_run_again() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("done", &shell("echo done")).unwrap();
    ended(&computer, "done");
    computer.start("lost", &shell("echo begin >> count; echo begin; sleep 1000")).unwrap();
    until("it begins", || output(&computer, "lost").contains("begin"));
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let init = init_pid(keeper).unwrap();
    kill(keeper);
    until("all is dead", || !alive(keeper) && !alive(init));
    assert!(Computer::attach(&desk.spec.dir).unwrap().is_none());
    assert_eq!(recorded(&desk.spec.dir, "lost").unwrap(), Recorded::Lost);
    assert!(matches!(recorded(&desk.spec.dir, "done").unwrap(), Recorded::Ended(_)));
    assert_eq!(recorded(&desk.spec.dir, "other").unwrap(), Recorded::NeverSeen);
    assert!(matches!(computer.wait("lost", Duration::ZERO).unwrap_err(), Error::Gone { .. }));

    let next = desk.open();
    let refused = next.start("lost", &shell("echo again >> count")).unwrap_err().to_string();
    assert!(refused.contains("what it did is unknown"), "{refused}");
    assert_eq!(recorded(&desk.spec.dir, "lost").unwrap(), Recorded::Lost);
    assert_eq!(run(&next, "cat count"), (Exit::Code(0), "begin\n".to_owned()));
    next.start("done", &shell("echo again")).unwrap();
    assert_eq!(output(&next, "done"), "done\n");
}

#[test]
fn a_result_that_its_record_does_not_take_is_told_and_written_later() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let desk = Desk::new();
    let computer = desk.open();
    let work = shell("until [ -e go ]; do sleep 0.01; done; echo done; exit 3");
    computer.start("work", &work).unwrap();
    let keeper = Pid::from_raw(keeper_pid(&desk.spec.dir).unwrap());
    // As on a full disk: the record grows no more.
    let length = std::fs::metadata(desk.spec.dir.join("calls.jsonl")).unwrap().len();
    let maximum = getrlimit(Resource::Fsize).maximum;
    let before = prlimit(keeper, Resource::Fsize, Rlimit { current: Some(length), maximum }).unwrap();
    std::fs::write(desk.path().join("workspace/go"), "").unwrap();
    for _ in 0..3 {
        let result = ended(&computer, "work");
        assert_eq!((result.exit, output(&computer, "work")), (Exit::Code(3), "done\n".to_owned()));
    }
    assert_eq!(recorded(&desk.spec.dir, "work").unwrap(), Recorded::Running, "it is written");
    assert!(computer.start("other", &work).is_err(), "what cannot be put on record is not begun");
    computer.start("work", &work).unwrap();
    prlimit(keeper, Resource::Fsize, before).unwrap();
    let told = ended(&computer, "work");
    until("it is written", || recorded(&desk.spec.dir, "work").unwrap() == Recorded::Ended(told.clone()));
    assert_eq!(ended(&computer, "work"), told);
    assert_eq!(run(&computer, "echo more"), (Exit::Code(0), "more\n".to_owned()));
}

#[test]
fn when_pid_1_dies_the_keeper_says_so_and_leaves() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("lost", &shell("echo begin; sleep 1000")).unwrap();
    until("it begins", || output(&computer, "lost").contains("begin"));
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let waiter = std::thread::spawn({
        let computer = computer.clone();
        move || computer.wait("lost", PATIENCE)
    });
    kill(init_pid(keeper).unwrap());
    // On a busy machine the waiter may only ask when the keeper has left: then it is told by the record, or finds nobody.
    let told = match waiter.join().unwrap() {
        Err(_) => true,
        Ok(sandbox::Status::Ended(result)) => result.exit == Exit::Died,
        Ok(sandbox::Status::Running { .. }) => false,
    };
    assert!(told, "whoever waits is told");
    until("the keeper has left", || !alive(keeper));
    assert_eq!(recorded(&desk.spec.dir, "lost").unwrap(), Recorded::Lost);
    assert_eq!(run(&desk.open(), "echo new"), (Exit::Code(0), "new\n".to_owned()));
}

#[test]
fn all_killed_at_once_leaves_the_outcome_unknown() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("lost", &shell("echo begin; sleep 1000")).unwrap();
    until("it begins", || output(&computer, "lost").contains("begin"));
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let init = init_pid(keeper).unwrap();
    kill(keeper);
    // It may be gone with its keeper already.
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(init).unwrap(), rustix::process::Signal::KILL);
    until("all is dead", || !alive(keeper) && !alive(init));
    assert_eq!(recorded(&desk.spec.dir, "lost").unwrap(), Recorded::Lost);
}

#[test]
fn shutdown_ends_everything_within_a_second() {
    let took = || {
        let desk = Desk::new();
        let computer = desk.open();
        computer.start("endless", &shell("echo up; trap '' TERM; sleep 1000 & wait")).unwrap();
        until("it is up", || output(&computer, "endless").contains("up"));
        let keeper = keeper_pid(&desk.spec.dir).unwrap();
        let init = init_pid(keeper).unwrap();
        let asked = Instant::now();
        computer.shutdown().unwrap();
        until("all is gone", || !alive(keeper) && !alive(init));
        let took = asked.elapsed();
        assert!(matches!(recorded(&desk.spec.dir, "endless").unwrap(), Recorded::Ended(_)));
        computer.shutdown().unwrap();
        assert!(Computer::attach(&desk.spec.dir).unwrap().is_none());
        took
    };
    // A machine that is busy elsewhere may be late now and then.
    let within = (0..5).any(|_| took() < Duration::from_secs(1));
    assert!(within, "never within a second");
}

#[test]
fn an_unused_computer_goes_by_itself() {
    let mut desk = Desk::new();
    desk.spec.limits.idle_ms = 500;
    // On a busy machine one may have gone before it is given work: then another is.
    let mut tries = 0;
    let computer = loop {
        tries += 1;
        let computer = desk.open();
        if computer.start(&format!("work-{tries}"), &shell("sleep 1; echo worked")).is_ok() {
            break computer;
        }
    };
    let work = format!("work-{tries}");
    assert!(matches!(ended(&computer, &work).exit, Exit::Code(0)), "work is use");
    until("it is gone", || Computer::attach(&desk.spec.dir).unwrap().is_none());
    assert_eq!(output(&computer, &work), "worked\n");
}

#[test]
fn a_computer_whose_folder_is_deleted_goes_too() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("endless", &shell("echo up; sleep 1000")).unwrap();
    until("it is up", || output(&computer, "endless").contains("up"));
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    std::fs::remove_dir_all(&desk.spec.dir).unwrap();
    until("it is gone", || !alive(keeper));
}

#[test]
fn two_callers_at_once_get_one_computer() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| desk.open())).collect();
        for caller in callers {
            caller.join().unwrap();
        }
    });
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    assert!(init_pid(keeper).is_some());
    assert_eq!(run(&desk.open(), "echo one").1, "one\n");
}

#[test]
fn a_folder_of_200_bytes_has_room_for_a_socket() {
    let mut desk = Desk::new();
    desk.spec.dir = desk.path().join("d".repeat(100)).join("e".repeat(100)).join("computer");
    let computer = desk.open();
    assert_eq!(run(&computer, "echo deep").1, "deep\n");
    let reader = Computer::attach(&desk.spec.dir).unwrap().unwrap();
    assert!(matches!(reader.wait("no-such", Duration::ZERO).unwrap_err(), Error::Refused(_)));
    assert!(!matches!(reader.wait("no-such", Duration::ZERO), Ok(Status::Running { .. })));
}

#[test]
fn bad_ids_never_reach_the_disk() {
    let desk = Desk::new();
    let computer = desk.open();
    for id in ["", "../x", ".hidden", "a/b", "a b", &"x".repeat(101)] {
        assert!(matches!(computer.start(id, &shell("true")).unwrap_err(), Error::Invalid(_)), "{id:?}");
        assert!(recorded(&desk.spec.dir, id).is_err(), "{id:?}");
    }
}

#[test]
fn the_probe_proves_what_works_here() {
    let desk = Desk::new();
    let found = probe(desk.path(), &desk.spec.keeper, desk.spec.build).unwrap();
    let broken: Vec<_> = found.iter().filter(|capability| capability.needed && !capability.works).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    // Who holds the limits differs from machine to machine; that they were met and told does not.
    let limits = found.iter().find(|capability| capability.name == "limits").unwrap();
    assert!(limits.finding.starts_with("memory"), "{limits:?}");
    assert_eq!(limits.works, limits.finding.contains("memory, processes, processor by control groups"), "{limits:?}");
    let hosts = found.iter().find(|capability| capability.name == "allowed hosts").unwrap();
    assert_eq!(hosts.works, desk.spec.build.driver.has_way_out(), "{hosts:?}");
    assert_eq!(hosts.finding.contains("allowed was reached from inside"), hosts.works, "{hosts:?}");
    assert!(hosts.works || hosts.fix.contains("the driver native makes one"), "{hosts:?}");
    let missing = probe(desk.path(), &desk.path().join("nowhere"), desk.spec.build).unwrap();
    assert!(!missing[0].works && missing[0].fix.contains("THENAR_KEEPER"), "{missing:?}");
    assert!(find_keeper().unwrap().ends_with("thenar-keeper"));
}

#[test]
fn a_rude_or_silent_caller_hinders_nobody() {
    let desk = Desk::new();
    let computer = desk.open();
    std::env::set_current_dir(&desk.spec.dir).unwrap();
    let call = || std::os::unix::net::UnixStream::connect("keeper.sock").unwrap();
    let silent = call();
    let halfway = call();
    (&halfway).write_all(&[200, 0, 0, 0, b'{']).unwrap();
    for rude in [&b"\xff\xff\xff\xff"[..], b"\x02\0\0\0[]", b"\x20\0\0\0{\"version\":9,\"ask\":\"hello\"}      "] {
        let stream = call();
        (&stream).write_all(rude).unwrap();
        let mut answer = Vec::new();
        (&stream).read_to_end(&mut answer).unwrap();
        assert!(!answer.is_empty(), "even {rude:?} is answered");
    }
    assert_eq!(run(&computer, "echo calm").1, "calm\n");
    drop((silent, halfway));
    assert_eq!(run(&computer, "echo calm").1, "calm\n");
}
