//! Commands: what goes in, what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::{Exit, Limits, Recorded, Request, Status, recorded};

use crate::desk::{Desk, ended, output, run, shell, until};

#[test]
fn a_command_runs_as_an_ordinary_user_in_the_workspace() {
    let desk = Desk::new();
    let computer = desk.open();
    let (exit, output) = run(&computer, "pwd; id -u; hostname; echo made > file; exit 3");
    assert_eq!((exit, output.as_str()), (Exit::Code(3), "/workspace\n1000\ncomputer\n"));
    assert_eq!(std::fs::read_to_string(desk.path().join("workspace/file")).unwrap(), "made\n");
}

#[test]
fn the_environment_is_ours_and_nothing_of_the_callers() {
    let mut desk = Desk::new();
    desk.spec.env.insert("FROM_SPEC".to_owned(), "spec".to_owned());
    let computer = desk.open();
    let env = BTreeMap::from([("FROM_CALL".to_owned(), "call".to_owned()), ("LANG".to_owned(), "C".to_owned())]);
    let request = Request::Exec { argv: vec!["env".to_owned()], cwd: Some("/tmp".to_owned()), env };
    computer.start("env", &request).unwrap();
    ended(&computer, "env");
    let mut seen: Vec<String> = output(&computer, "env").lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "DEBIAN_FRONTEND=noninteractive",
            "FROM_CALL=call",
            "FROM_SPEC=spec",
            "GIT_PAGER=cat",
            "HOME=/home/agent",
            "LANG=C",
            "LOGNAME=agent",
            "MPLCONFIGDIR=/home/agent/.config/matplotlib",
            "NO_COLOR=1",
            "PAGER=cat",
            "PATH=/opt/thenar/toolset/bin:/usr/local/bin:/usr/bin:/bin",
            "PWD=/tmp",
            "PYTHONPATH=/opt/thenar/toolset/site",
            "SHELL=/bin/bash",
            "TERM=dumb",
            "TMPDIR=/tmp",
            "USER=agent",
        ]
    );
}

#[test]
fn what_the_system_knows_of_its_fonts_is_known_inside() {
    // Without it the first program that draws text reads every font there is.
    let there = std::path::Path::new("/var/cache/fontconfig").is_dir();
    let desk = Desk::new();
    let computer = desk.open();
    let list = "ls /var/cache/fontconfig 2>/dev/null; touch /var/cache/fontconfig/mine 2>/dev/null && echo written";
    let (_, inside) = run(&computer, list);
    let outside = if there { std::fs::read_dir("/var/cache/fontconfig").unwrap().count() } else { 0 };
    assert_eq!(inside.lines().count(), outside, "{inside}");
    assert!(!inside.contains("written"));
}

#[test]
fn programs_that_cannot_run_say_so() {
    let desk = Desk::new();
    let computer = desk.open();
    let cases = [
        (vec!["no-such-program"], None, 127, "thenar: run no-such-program: not found\n"),
        (vec!["/etc/passwd"], None, 126, "thenar: run /etc/passwd: Permission denied (os error 13)\n"),
        (vec!["true"], Some("/no/such"), 126, "thenar: go to /no/such: No such file or directory (os error 2)\n"),
        (vec![], None, 126, "thenar: the command is empty\n"),
    ];
    for (index, (argv, cwd, code, text)) in cases.into_iter().enumerate() {
        let call = format!("call-{index}");
        let argv = argv.into_iter().map(str::to_owned).collect();
        let request = Request::Exec { argv, cwd: cwd.map(str::to_owned), env: BTreeMap::new() };
        computer.start(&call, &request).unwrap();
        assert_eq!((ended(&computer, &call).exit, output(&computer, &call).as_str()), (Exit::Code(code), text));
    }
}

#[test]
fn output_of_any_kind_arrives_byte_for_byte() {
    let desk = Desk::new();
    let computer = desk.open();
    let cases = [
        ("binary", "head -c 300000 /dev/urandom | tee copy"),
        ("a line of 10 MB", "head -c 10000000 /dev/zero | tr '\\0' x | tee copy"),
        ("both streams in order", "(for i in 1 2 3; do echo out $i; echo err $i >&2; done) | tee copy"),
        (
            "through the names of the streams",
            "echo one > /dev/stderr; echo two > /dev/stdout; printf 'one\\ntwo\\n' > copy",
        ),
        ("ANSI and NUL", "printf '\\033[31mred\\033[0m\\000\\r\\n' | tee copy"),
    ];
    for (index, (what, script)) in cases.into_iter().enumerate() {
        let call = format!("call-{index}");
        // The one with two streams copies only the first.
        computer.start(&call, &shell(&script.replace("done) |", "done) 2>&1 |"))).unwrap();
        let result = ended(&computer, &call);
        let copy = std::fs::read(desk.path().join("workspace/copy")).unwrap();
        let got = computer.output(&call, 0, usize::MAX).unwrap();
        assert!(got == copy, "{what}: {} bytes, not {}", got.len(), copy.len());
        assert_eq!(result.output_bytes, copy.len() as u64, "{what}");
        assert!(!result.output_truncated, "{what}");
    }
}

#[test]
fn fifty_megabytes_are_kept_whole_and_can_be_searched_from_inside() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("flood", &shell("head -c 50000000 /dev/zero | tr '\\0' y; echo; echo needle")).unwrap();
    let result = ended(&computer, "flood");
    assert_eq!((result.exit, result.output_bytes, result.output_truncated), (Exit::Code(0), 50_000_008, false));
    assert_eq!(computer.output("flood", 50_000_001, 100).unwrap(), b"needle\n");
    let (_, found) =
        run(&computer, "grep -c needle /run/thenar/output/flood.log; echo x >> /run/thenar/output/flood.log");
    assert!(found.starts_with("1\n") && !found.contains("x\n") && found.contains("cannot create"), "{found}");
}

#[test]
fn output_past_the_ceiling_is_dropped_and_said_so() {
    let mut desk = Desk::new();
    desk.spec.limits = Limits { output_bytes: 1000, ..Limits::default() };
    let computer = desk.open();
    computer.start("much", &shell("head -c 5000 /dev/zero")).unwrap();
    let result = ended(&computer, "much");
    assert_eq!((result.exit, result.output_bytes, result.output_truncated), (Exit::Code(0), 1000, true));
    assert_eq!(
        result.limit.as_deref(),
        Some("output: of one command 1000 bytes are kept; the rest is lost: write long output to a file in /workspace")
    );
}

#[test]
fn a_command_can_be_typed_into_and_each_writing_counts_once() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("ask", &shell("printf 'name? '; read a; echo hello $a; read b; echo bye $b; tty")).unwrap();
    until("it asks", || output(&computer, "ask").contains("name? "));
    for (write_id, text) in [("w1", "ann\n"), ("w1", "ann\n"), ("w2", "bob\n"), ("w1", "ann\n")] {
        computer.write_input(write_id, "ask", text.as_bytes()).unwrap();
    }
    let result = ended(&computer, "ask");
    let seen = output(&computer, "ask");
    assert_eq!(result.exit, Exit::Code(0));
    assert!(seen.contains("hello ann\n") && seen.contains("bye bob\n") && seen.contains("/dev/pts/"), "{seen}");
    computer.write_input("w2", "ask", b"bob\n").unwrap();
    let refused = computer.write_input("w3", "ask", b"more\n").unwrap_err().to_string();
    assert!(refused.starts_with("the call ask"), "{refused}");
}

#[test]
fn control_c_is_typed_like_anything_else() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("wait", &shell("echo ready; sleep 1000")).unwrap();
    until("it is ready", || output(&computer, "wait").contains("ready"));
    // More than once: a shell that is just starting its child swallows one, at any terminal.
    for attempt in 0.. {
        computer.write_input(&format!("stop-{attempt}"), "wait", b"\x03").unwrap();
        if matches!(computer.wait("wait", Duration::from_millis(200)).unwrap(), Status::Ended(_)) {
            break;
        }
        assert!(attempt < 100, "it does not end");
    }
    assert_eq!(ended(&computer, "wait").exit, Exit::Signal(libc::SIGINT));
}

#[test]
fn a_wait_gives_control_back_and_a_kill_ends_the_whole_tree() {
    let desk = Desk::new();
    let computer = desk.open();
    // One that does not listen, one that hides behind a session of its own, one that left its parents.
    let script = "trap '' TERM; setsid sleep 1111 & (setsid sleep 2222 &) ; (trap '' TERM; sleep 3333) & echo up; wait; sleep 4444";
    computer.start("endless", &shell(script)).unwrap();
    until("it is up", || output(&computer, "endless").contains("up"));
    assert!(matches!(
        computer.wait("endless", Duration::from_millis(50)).unwrap(),
        Status::Running { output_bytes: 3, .. }
    ));
    assert_eq!(recorded(computer.dir(), "endless").unwrap(), Recorded::Running);
    computer.kill("endless").unwrap();
    assert_eq!(ended(&computer, "endless").exit, Exit::Signal(libc::SIGKILL));
    until("nothing of it is left", || run(&computer, "ps -eo args | grep -c '[s]leep [1-4]'").1 == "0\n");
    assert!(matches!(recorded(computer.dir(), "endless").unwrap(), Recorded::Ended(_)));
}

#[test]
fn a_command_that_ends_its_watcher_leaves_nothing_that_nobody_watches() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("other", &shell("echo up; read word; echo \"$word\"")).unwrap();
    until("the other is up", || output(&computer, "other").contains("up"));
    // The parent of a call's own shell; a session of its own has no part in its end.
    let script = "(trap '' TERM HUP; echo $PPID > parent; setsid sleep 54321) & until [ -s parent ]; do sleep 0.02; done; \
                  kill -9 $PPID; sleep 65432";
    computer.start("ends", &shell(script)).unwrap();
    assert_eq!(ended(&computer, "ends").exit, Exit::Signal(libc::SIGKILL));
    until("nothing of it is left", || run(&computer, "ps -eo args | grep -c '[s]leep [56]'").1 == "0\n");
    computer.write_input("word", "other", b"well\n").unwrap();
    assert_eq!(ended(&computer, "other").exit, Exit::Code(0), "another call is not ended with it");
    // All that it may, and itself not: it is ended all the same.
    computer.start("all", &shell("(kill -9 -1; exec sleep 54321) & wait")).unwrap();
    assert_eq!(ended(&computer, "all").exit, Exit::Signal(libc::SIGKILL));
    until("nothing is left", || run(&computer, "ps -eo args | grep -c '[s]leep [56]'").1 == "0\n");
}

#[test]
fn a_command_that_stops_its_watcher_or_everybody_can_be_ended() {
    let desk = Desk::new();
    let computer = desk.open();
    let up = |call: &str, script: &str| {
        computer.start(call, &shell(script)).unwrap();
        until("it is up", || output(&computer, call).contains('\n'));
    };
    let end = |call: &str| {
        computer.kill(call).unwrap();
        assert!(matches!(ended(&computer, call).exit, Exit::Signal(_)), "{call}");
    };
    up("stops", "kill -STOP $PPID; echo up; exec sleep 1000");
    end("stops");
    up("other", "echo up; exec sleep 1000");
    up("all", "kill -STOP -1; echo up; exec sleep 1000");
    end("other");
    end("all");
    // One that stops it faster than anybody has it go on.
    up("stopped", "echo $PPID; exec sleep 1000");
    let watcher = output(&computer, "stopped").trim().to_owned();
    let again = format!("import os\nprint(\"up\", flush=True)\nwhile True: os.kill({watcher}, 19)");
    // It is gone as soon as its number is.
    computer.start("again", &shell(&format!("exec python3 -c '{again}' 2>&1"))).unwrap();
    until("it is up", || output(&computer, "again").contains("up"));
    end("stopped");
    assert_eq!(ended(&computer, "again").exit, Exit::Code(1));
    computer.open_terminal("terminal", "main", None, BTreeMap::new(), sandbox::Size::USUAL).unwrap();
    computer.write_input("typed", "terminal", b"kill -STOP $PPID; echo u''p\n").unwrap();
    until("it is typed", || output(&computer, "terminal").contains("up"));
    end("terminal");
}

#[test]
fn what_a_command_leaves_running_goes_on_and_can_be_ended_later() {
    let desk = Desk::new();
    let computer = desk.open();
    computer.start("server", &shell("(while sleep 0.05; do echo tick; done) & echo started")).unwrap();
    let result = ended(&computer, "server");
    assert_eq!(result.exit, Exit::Code(0));
    until("it ticks", || output(&computer, "server").matches("tick").count() > 3);
    computer.kill("server").unwrap();
    until("it is gone", || run(&computer, "ps -eo comm | grep -c '[s]leep'").1 == "0\n");
    assert_eq!(ended(&computer, "server"), result, "the result was written once");
}

#[test]
fn the_deadline_holds_with_nobody_there() {
    let mut desk = Desk::new();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    // Time enough for a busy machine to begin.
    desk.spec.deadline_unix_ms = Some(now + 5_000);
    let computer = desk.open();
    computer.start("endless", &shell("echo up; sleep 1000")).unwrap();
    until("the time is over", || matches!(recorded(&desk.spec.dir, "endless").unwrap(), Recorded::Ended(_)));
    let Recorded::Ended(result) = recorded(&desk.spec.dir, "endless").unwrap() else { panic!() };
    assert_eq!(
        (result.exit, result.limit.as_deref()),
        (Exit::Signal(libc::SIGKILL), Some("time: the task's time is over; everything that ran was ended"))
    );
    assert_eq!(ended(&computer, "endless"), result, "a wait on a computer that is gone finds the result");
}

#[test]
fn an_output_that_is_given_on_goes_as_far_as_its_call_did() {
    let desk = Desk::new();
    let computer = desk.open();
    let script = "(while [ ! -e go ]; do sleep 0.05; done; echo later; touch done) & echo first";
    computer.start("one", &shell(script)).unwrap();
    assert_eq!(ended(&computer, "one").exit, Exit::Code(0));
    let other = desk.path().join("other");
    sandbox::give_outputs(&desk.spec.dir, &other, |_| true).unwrap();
    std::fs::write(desk.path().join("workspace/go"), "").unwrap();
    until("it has written on", || output(&computer, "one") == "first\nlater\n");
    computer.shutdown().unwrap();
    let third = desk.path().join("third");
    sandbox::give_outputs(&desk.spec.dir, &third, |_| true).unwrap();
    for place in [other, third] {
        assert_eq!(std::fs::read_to_string(place.join("output/one.log")).unwrap(), "first\n");
    }
}

#[test]
fn a_deadline_that_is_moved_holds_from_then_on() {
    let mut desk = Desk::new();
    let now_ms = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let first = now_ms() + 4_000;
    desk.spec.deadline_unix_ms = Some(first);
    desk.open();
    // Who opens it again names the deadline of now.
    desk.spec.deadline_unix_ms = None;
    let computer = desk.open();
    let script = format!("while [ $(date +%s%3N) -lt {} ]; do sleep 0.2; done; echo lived on", first + 500);
    assert_eq!(run(&computer, &script), (Exit::Code(0), "lived on\n".to_owned()));
    computer.start("endless", &shell("sleep 1000")).unwrap();
    computer.set_deadline(Some(now_ms())).unwrap();
    until("the time is over", || matches!(recorded(&desk.spec.dir, "endless").unwrap(), Recorded::Ended(_)));
}

#[test]
fn a_fork_bomb_is_contained_and_control_comes_back() {
    let mut desk = Desk::new();
    desk.spec.limits = Limits { processes: 60, ..Limits::default() };
    let computer = desk.open();
    // Bounded by itself as well: each of its processes ends after some seconds.
    let bomb = "echo up; f() { [ $SECONDS -gt 20 ] && exit; f 2>/dev/null | f 2>/dev/null & }; f; sleep 20";
    let argv = ["bash", "-c", bomb].map(str::to_owned).to_vec();
    computer.start("bomb", &Request::Exec { argv, cwd: None, env: BTreeMap::new() }).unwrap();
    until("it is up", || output(&computer, "bomb").contains("up"));
    assert!(matches!(computer.wait("bomb", Duration::from_millis(500)).unwrap(), Status::Running { .. }));
    computer.kill("bomb").unwrap();
    assert!(matches!(ended(&computer, "bomb").exit, Exit::Signal(_)));
    until("commands run again", || run(&computer, "echo fine") == (Exit::Code(0), "fine\n".to_owned()));
}
