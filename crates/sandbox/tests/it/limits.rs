//! Limits of a whole computer: each can be met, is told in words, and leaves the computer alive.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::{CallResult, Computer, Confinement, Depict, Driver, Exit, Hold, Met, Size, Status, Until};

use crate::desk::{Desk, PATIENCE, driver, ended, init_pid, keeper_pid, output, run, shell, until};

const MIB: u64 = 1024 * 1024;

/// Runs a script and gives its result.
#[track_caller]
fn result(computer: &Computer, call: &str, script: &str) -> CallResult {
    computer.start(call, &shell(script)).unwrap();
    ended(computer, call)
}

#[track_caller]
fn told(result: &CallResult, what: &str) {
    let limit = result.limit.as_deref().unwrap_or_default();
    assert!(limit.contains(what), "{result:?}");
}

#[test]
fn memory_counts_over_all_processes_and_the_computer_lives_on() {
    let mut desk = Desk::new();
    desk.spec.limits.memory_bytes = 128 * MIB;
    let computer = desk.open();
    // Each holds less than one process may, until it is ended; together they hold too much.
    let hold = "(head -c 60000000 /dev/zero; exec sleep 1000) | tail -c 60000000 > /dev/null";
    computer.start("much", &shell(&format!("for i in 1 2 3 4; do ({hold}) & done; wait"))).unwrap();
    until("too much is held", || match computer.wait("much", Duration::from_millis(5)).unwrap() {
        Status::Running { limits, .. } => limits.contains(&Met::Memory { max_bytes: 128 * MIB }),
        Status::Ended(_) => true,
    });
    computer.kill("much").unwrap();
    told(&ended(&computer, "much"), "memory: everything in the computer together may hold 128 MiB");
    let few = result(&computer, "little", "head -c 60000000 /dev/zero | tail -c 60000000 | wc -c");
    assert_eq!((few.exit, few.limit), (Exit::Code(0), None));
}

#[test]
fn more_of_the_processor_than_its_cap_is_not_given_and_is_told() {
    let mut desk = Desk::new();
    desk.spec.limits.cpu_percent = Some(20);
    let computer = desk.open();
    if Confinement::of(&desk.spec.dir).unwrap().processor == Hold::Own {
        return;
    }
    let busy = "python3 -c 'import time\nbegin = time.monotonic()\nwhile time.process_time() < 0.8: pass\n\
                print(time.process_time() < (time.monotonic() - begin) / 2)'";
    let busy = result(&computer, "busy", busy);
    assert_eq!((busy.exit, output(&computer, "busy").as_str()), (Exit::Code(0), "True\n"));
    told(&busy, "processor: everything in the computer together may use 0.20 processors, and wanted more");
    assert_eq!(result(&computer, "idle", "sleep 0.1").limit, None);
}

#[test]
fn one_program_that_alone_wants_more_memory_than_there_is_is_told_of_it() {
    let mut desk = Desk::new();
    desk.spec.limits.memory_bytes = 128 * MIB;
    let computer = desk.open();
    let greedy = result(&computer, "greedy", "python3 -c 'x = b\"1\" * 400_000_000'");
    if Confinement::of(&desk.spec.dir).unwrap().memory == Hold::Own {
        // Nobody counts there what one program was refused; its own words tell.
        assert_eq!(greedy.exit, Exit::Code(1));
    } else {
        told(&greedy, "memory: everything in the computer together may hold 128 MiB");
    }
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

/// Fills what a program can hold without having it in view, and tells how much that was.
#[track_caller]
fn hides_memory(what: &str, script: &str) {
    let mut desk = Desk::new();
    desk.spec.limits.memory_bytes = 128 * MIB;
    let computer = desk.open();
    std::fs::write(desk.path().join("workspace/hide.py"), script).unwrap();
    // Longer than anybody who looks now and then needs.
    let seen = result(&computer, "hide", "python3 hide.py; sleep 3");
    let said = crate::desk::output(&computer, "hide");
    let held = said.lines().find_map(|line| line.strip_prefix("held ")?.parse::<u64>().ok());
    let is_told = seen.limit.as_deref().is_some_and(|limit| limit.contains("memory: everything in the computer"));
    assert!(is_told || held.is_some_and(|held| held < 128 * MIB), "{what}: {seen:?} {said}");
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

#[test]
fn what_connections_hold_unread_counts() {
    hides_memory(
        "connections",
        r#"
import socket, time
held, kept, server = 0, [], socket.socket()
server.bind(("127.0.0.1", 0)); server.listen(64)
try:
    while held < 600 << 20:
        one = socket.create_connection(server.getsockname()); other, _ = server.accept(); one.setblocking(False)
        kept += [one, other]
        if len(kept) > 1000: break
        try:
            while True: held += one.send(bytes(65536))
        except BlockingIOError: pass
except OSError: pass
print("held", held, flush=True)
time.sleep(30)
"#,
    );
}

/// Memory in files that have no name, told and held for a while.
const HELD_WITHOUT_A_NAME: &str = r#"
held, kept = 0, []
for number in range(8):
    kept.append(os.memfd_create("x"))
    for piece in range(64): held += os.write(kept[-1], bytes(1 << 20))
print("held", held, flush=True)
time.sleep(3)
"#;

/// Processes that have as many files open as they may.
const MANY_OPEN: &str = r#"
import os, time
for child in range(20):
    if os.fork() == 0:
        for number in range(3000): os.dup(0)
        time.sleep(20)
        os._exit(0)
time.sleep(2)
"#;

#[test]
fn files_in_memory_without_a_name_count() {
    hides_memory("files in memory", &format!("import os, time\n{HELD_WITHOUT_A_NAME}"));
}

#[test]
fn whoever_has_files_open_without_number_hides_no_memory_behind_them() {
    hides_memory("files in memory behind many others", &format!("{MANY_OPEN}{HELD_WITHOUT_A_NAME}"));
}

#[test]
fn a_filled_memory_disk_is_refused_and_not_the_end_of_the_computer() {
    let desk = Desk::new();
    let computer = desk.open();
    let fill = "head -c 600000000 /dev/zero > /dev/shm/x; echo $?; rm /dev/shm/x";
    let (exit, said) = run(&computer, fill);
    assert!(exit == Exit::Code(0) && said.contains("No space left on device\n1\n"), "{said}");
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

/// Fills a folder to the brim and does not fail.
fn fill(place: &str) -> String {
    format!("head -c 50000000 /dev/zero > {place}/x 2>/dev/null || echo filled")
}

#[test]
fn a_full_folder_in_memory_is_told_by_its_name_and_size_each_time_that_it_fills() {
    let mut desk = Desk::new();
    let limits = &mut desk.spec.limits;
    (limits.tmp_bytes, limits.home_bytes, limits.shm_bytes) = (4 * MIB, 2 * MIB, 3 * MIB);
    let computer = desk.open();
    for (place, size) in [("/tmp", "4 MiB"), ("/home/agent", "2 MiB"), ("/dev/shm", "3 MiB")] {
        let name = |what: &str| format!("{what}{}", place.replace('/', "-"));
        let words = format!(
            "scratch room: {place} was full, it holds {size} and no more: remove files there, or write to /workspace"
        );
        for round in ["fill", "again"] {
            let full = result(&computer, &name(round), &fill(place));
            assert_eq!((full.exit, full.limit.as_deref()), (Exit::Code(0), Some(&*words)));
            // It stays full, which is no news, but why something fails may be.
            assert_eq!(result(&computer, &name(&format!("{round}-fine")), "true").limit, None);
            assert_eq!(result(&computer, &name(&format!("{round}-fail")), "false").limit.as_deref(), Some(&*words));
            assert_eq!(result(&computer, &name(&format!("{round}-rm")), &format!("rm {place}/x")).limit, None);
        }
    }
    assert_eq!(result(&computer, "fail", "false").limit, None);
}

#[test]
fn a_folder_that_is_filled_emptied_and_filled_again_by_one_command_is_told_twice() {
    let mut desk = Desk::new();
    desk.spec.limits.tmp_bytes = 4 * MIB;
    let computer = desk.open();
    let script = format!("{0}; read go; rm /tmp/x; echo empty; read go; {0}; read go", fill("/tmp"));
    computer.start("twice", &shell(&script)).unwrap();
    let once = Met::ScratchBytes { place: "/tmp".to_owned(), max_bytes: 4 * MIB, times: 1 };
    until("it is told while it runs", || so_far(&computer, "twice") == [once.clone()]);
    computer.write_input("empty", "twice", b"\n").unwrap();
    until("it is empty", || crate::desk::output(&computer, "twice").contains("empty"));
    // The end of a command is a look.
    assert_eq!(result(&computer, "look", "true").limit, None);
    computer.write_input("fill", "twice", b"\n").unwrap();
    until("it is told again", || so_far(&computer, "twice") != [once.clone()]);
    computer.write_input("end", "twice", b"\n").unwrap();
    told(&ended(&computer, "twice"), "scratch room: /tmp was full 2 times, it holds 4 MiB");
    assert_eq!(result(&computer, "after", "true").limit, None, "it is told once");
}

/// The limits that a running call has met.
#[track_caller]
fn so_far(computer: &Computer, call: &str) -> Vec<Met> {
    match computer.wait(call, Duration::from_millis(5)).unwrap() {
        Status::Running { limits, .. } => limits,
        Status::Ended(result) => panic!("{call} has ended: {result:?}"),
    }
}

#[test]
fn a_folder_in_memory_that_takes_no_more_files_is_told() {
    let mut desk = Desk::new();
    desk.spec.limits.tmp_files = 50;
    let computer = desk.open();
    for place in ["/tmp", "/home/agent", "/dev/shm"] {
        let name = |what: &str| format!("{what}{}", place.replace('/', "-"));
        let many = format!("for i in $(seq 100); do true > {place}/$i; done 2>/dev/null; ls {place} | wc -l");
        let full = result(&computer, &name("many"), &many);
        // The folder itself is one of them.
        assert_eq!(crate::desk::output(&computer, &name("many")), "49\n", "{place}");
        told(&full, &format!("scratch files: {place} was full, it takes 50 files and folders and no more"));
        assert_eq!(result(&computer, &name("rm"), &format!("rm {place}/*")).limit, None);
        assert_eq!(result(&computer, &name("fine"), "false").limit, None);
    }
}

#[test]
fn a_program_that_has_as_many_files_open_as_it_may_is_told_while_it_runs_and_after() {
    let mut desk = Desk::new();
    desk.spec.limits.open_files = 64;
    let computer = desk.open();
    let script = r#"python3 -c '
import os
held = []
try:
    while True: held.append(os.dup(0))
except OSError as error: print("out of them:", error.errno, flush=True)
input()'"#;
    let half = r#"python3 -c '
import os
held = [os.dup(0) for one in range(30)]
input()'"#;
    computer.start("half", &shell(half)).unwrap();
    computer.start("leak", &shell(script)).unwrap();
    let met = Met::OpenFiles { max: 64, times: 1 };
    until("it is told while it runs", || so_far(&computer, "leak") == [met.clone()]);
    assert_eq!(crate::desk::output(&computer, "leak"), "out of them: 24\n");
    computer.write_input("leak-ends", "leak", b"\n").unwrap();
    let leak = ended(&computer, "leak");
    assert_eq!((leak.exit, &*leak.limits), (Exit::Code(0), &[met][..]));
    told(&leak, "open files: a program had 64 open, and none may have more: close files and connections");
    computer.write_input("half-ends", "half", b"\n").unwrap();
    ended(&computer, "half");
    assert_eq!(result(&computer, "after", "true").limit, None, "it is told once");
}

#[test]
fn a_program_that_dies_at_once_of_its_open_files_is_told_by_its_last_words() {
    let mut desk = Desk::new();
    desk.spec.limits.open_files = 64;
    let computer = desk.open();
    let dies = result(&computer, "dies", "python3 -c 'held = [open(\"/dev/null\") for one in range(100)]'");
    assert_eq!(dies.limits, [Met::OpenFiles { max: 64, times: 1 }]);
    let machine = result(&computer, "machine", "echo Too many open files in system; false");
    let said = result(&computer, "said", "echo Too many open files");
    assert_eq!((machine.limit, said.limit), (None, None), "neither the machine's, nor what did not fail");
}

#[test]
fn half_of_the_open_files_is_no_limit() {
    let mut desk = Desk::new();
    desk.spec.limits.open_files = 64;
    let computer = desk.open();
    // Longer than the looks that follow a beginning.
    let script = "import os, time\nheld = [os.dup(0) for one in range(40)]\ntime.sleep(1.5)";
    assert_eq!(result(&computer, "half", &format!("python3 -c '{script}'")).limit, None);
}

#[test]
fn what_a_leftover_meets_while_nobody_runs_is_told_to_the_next_command() {
    let mut desk = Desk::new();
    desk.spec.limits.open_files = 64;
    let computer = desk.open();
    let leak =
        "import os, time\ntry:\n  while True: os.dup(0)\nexcept OSError: print(\"held\", flush=True)\ntime.sleep(1000)";
    let leave = format!("(until [ -e go ]; do sleep 0.02; done; exec python3 -c '{leak}') & true");
    computer.start("leave", &shell(&leave)).unwrap();
    assert_eq!(ended(&computer, "leave").limit, None);
    std::fs::write(desk.path().join("workspace/go"), "").unwrap();
    until("it holds them", || crate::desk::output(&computer, "leave").contains("held"));
    let call = std::cell::Cell::new(0);
    until("a command is told", || {
        call.set(call.get() + 1);
        let told = result(&computer, &format!("next-{}", call.get()), "true").limit;
        told.is_some_and(|told| told.starts_with("open files: a program had 64 open, and none may have more"))
    });
    assert_eq!(result(&computer, "last", "true").limit, None, "it is told once");
}

#[test]
fn a_command_typed_at_a_terminal_is_told_the_limits_that_it_met() {
    let mut desk = Desk::new();
    (desk.spec.limits.tmp_bytes, desk.spec.limits.file_bytes) = (4 * MIB, 8 * MIB);
    let computer = desk.open();
    computer.open_terminal("shell", "main", None, BTreeMap::new(), Size::USUAL).unwrap();
    let look = |until| computer.look("shell", until, Depict::Nothing, PATIENCE).unwrap().unwrap().terminal;
    look(Until::AtPrompt);
    let typed = |write: &str, command: &str| {
        computer.type_command(write, "shell", command).unwrap();
        let command = look(Until::Over { write: write.to_owned() }).command.unwrap();
        assert!(command.write == write && command.ended.is_some(), "{command:?}");
        command.limits
    };
    let scratch = Met::ScratchBytes { place: "/tmp".to_owned(), max_bytes: 4 * MIB, times: 1 };
    assert_eq!(typed("one", "true"), []);
    assert_eq!(typed("two", &fill("/tmp")), [scratch]);
    assert_eq!(typed("three", "rm /tmp/x"), []);
    assert_eq!(typed("four", "head -c 50000000 /dev/zero > big"), [Met::FileSize { max_bytes: 8 * MIB }]);
    assert_eq!(typed("five", "false"), []);
}

#[test]
fn refused_processes_are_told() {
    let mut desk = Desk::new();
    desk.spec.limits.processes = 40;
    let computer = desk.open();
    // The shell gives up where it is refused one; those before it stay until they are ended.
    let result = result(&computer, "many", "for i in $(seq 100); do sleep 1000 & done; wait");
    told(&result, "processes: 40 may run at one time");
    computer.kill("many").unwrap();
    until("there is room again", || run(&computer, "echo fine").1 == "fine\n");
}

#[test]
fn a_limit_that_was_met_before_the_computers_end_is_told_with_it() {
    let mut desk = Desk::new();
    desk.spec.limits.processes = 40;
    let computer = desk.open();
    // The shell that is refused one gives up; the one around it does not.
    let script = "(for i in $(seq 100); do sleep 1000 & done); sleep 1000";
    computer.start("many", &shell(script)).unwrap();
    let met = Met::Processes { max: 40 };
    until("it is told while it runs", || so_far(&computer, "many") == [met.clone()]);
    computer.set_deadline(Some(0)).unwrap();
    assert_eq!(ended(&computer, "many").limits, [Met::Time, met]);
}

#[test]
fn commands_that_could_not_begin_leave_room_for_others() {
    if crate::desk::driver() == sandbox::Driver::Bwrap {
        // Bubblewrap sets no limit of its own for terminals.
        return;
    }
    let desk = Desk::new();
    let computer = desk.open();
    let hold = "import os\nheld = []\ntry:\n  while True: held.append(os.openpty())\nexcept OSError: print(\"held\", flush=True)\ninput()";
    computer.start("hold", &shell(&format!("python3 -c '{hold}'"))).unwrap();
    until("no terminal is left", || crate::desk::output(&computer, "hold").contains("held"));
    // More than may be at work at one time.
    for number in 0..150 {
        let failed = result(&computer, &format!("failed-{number}"), "true");
        assert_eq!(failed.exit, Exit::Code(125), "{failed:?}");
    }
    computer.write_input("end", "hold", b"\n").unwrap();
    assert_eq!(ended(&computer, "hold").exit, Exit::Code(0));
    until("there is room again", || run(&computer, "echo fine").1 == "fine\n");
}

#[test]
fn a_full_workspace_ends_what_fills_it_and_can_be_cleaned_up() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_bytes = 8 * MIB;
    let computer = desk.open();
    let filled = result(&computer, "fill", "head -c 50000000 /dev/zero > big; echo filled; sleep 1000");
    assert!(matches!(filled.exit, Exit::Signal(_)), "{filled:?}");
    // How much that was depends on how fast the disk takes it.
    told(&filled, "disk: the workspace holds ");
    told(&filled, " MiB in 1 files, and may hold 8 MiB");
    // Nothing can be added now, but everything be removed.
    let more = result(&computer, "more", "cat big > bigger");
    assert_ne!(more.exit, Exit::Code(0));
    told(&more, "disk: the workspace holds");
    assert_eq!(result(&computer, "remove", "rm big bigger").exit, Exit::Code(0));
    until("there is room again", || run(&computer, "echo a > b && cat b") == (Exit::Code(0), "a\n".to_owned()));
}

#[test]
fn a_file_that_is_not_written_for_a_limit_is_told_of_it_and_leaves_no_draft() {
    let mut desk = Desk::new();
    (desk.spec.limits.workspace_bytes, desk.spec.limits.file_bytes) = (8 * MIB, MIB);
    let computer = desk.open();
    let write = |call: &str, bytes: usize, append: bool| {
        let op = sandbox::FileOp::Write { path: "small".to_owned(), content: vec![b'x'; bytes], append };
        let answer = crate::desk::file(&computer, call, op);
        let failed = matches!(answer, sandbox::FileAnswer::Failed { .. });
        (failed, ended(&computer, call).limits)
    };
    assert_eq!(write("fits", 3, false), (false, vec![]));
    assert_eq!(write("large", 2 << 20, false), (true, vec![Met::FileSize { max_bytes: MIB }]));
    result(&computer, "fill", "for i in $(seq 50); do head -c 1000000 /dev/zero > big$i; done; sleep 1000");
    for (call, append) in [("whole", false), ("more", true)] {
        let (failed, limits) = write(call, 3, append);
        assert!(failed && matches!(&limits[..], [Met::Workspace { .. }]), "{limits:?}");
    }
    assert_eq!(run(&computer, "ls -A | grep -v big; cat small").1, "small\nxxx");
    // Neither is told who only looks for what is not there.
    let missing = sandbox::FileOp::Read { path: "missing".to_owned(), offset: 0, max: 1 };
    crate::desk::file(&computer, "missing", missing);
    assert_eq!(ended(&computer, "missing").limits, []);
}

#[test]
fn files_deleted_and_still_open_count() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_bytes = 8 * MIB;
    let computer = desk.open();
    let script = "exec 9> hidden; rm hidden; head -c 50000000 /dev/zero >&9; sleep 1000";
    told(&result(&computer, "hide", script), " MiB in 0 files, and may hold 8 MiB");
}

#[test]
fn what_is_in_folders_that_are_closed_counts() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_bytes = 8 * MIB;
    let computer = desk.open();
    let script = "mkdir d; exec 9> d/hidden; chmod 0 d; head -c 50000000 /dev/zero >&9; sleep 1000";
    told(&result(&computer, "hide", script), " MiB in 2 files, and may hold 8 MiB");
    assert_eq!(result(&computer, "remove", "chmod 700 d; rm -r d").exit, Exit::Code(0));
}

#[test]
fn too_many_files_in_the_workspace_are_too_much() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_files = 100;
    let computer = desk.open();
    let filled = result(&computer, "fill", "mkdir d; for i in $(seq 200); do : > d/$i; done; sleep 1000");
    told(&filled, "files, and may hold 16 GiB in 100");
    assert_eq!(result(&computer, "remove", "rm -r d").exit, Exit::Code(0));
}

#[test]
fn what_a_lent_folder_holds_already_is_not_held_against_it() {
    let mut desk = Desk::new();
    let lent = desk.path().join("lent");
    std::fs::create_dir(&lent).unwrap();
    std::fs::write(lent.join("theirs"), vec![1; 20_000_000]).unwrap();
    desk.spec.workspace = sandbox::Workspace::Folder(lent);
    desk.spec.limits.workspace_bytes = 8 * MIB;
    let computer = desk.open();
    // Long enough for a look, which finds nothing.
    assert_eq!(result(&computer, "wait", "sleep 5").limit, None);
    // A slow disk is met in the middle of it; what counts is that the file that was there does not.
    let filled = result(&computer, "fill", "head -c 50000000 /dev/zero > big; sleep 1000");
    told(&filled, "MiB in 1 files, and may hold 8 MiB");
}

#[test]
fn output_of_all_commands_together_has_an_end() {
    let mut desk = Desk::new();
    desk.spec.limits.outputs_bytes = 5000;
    let computer = desk.open();
    let first = result(&computer, "first", "head -c 3000 /dev/zero");
    assert_eq!((first.output_bytes, first.output_truncated, first.limit), (3000, false, None));
    let second = result(&computer, "second", "head -c 3000 /dev/zero");
    assert_eq!((second.output_bytes, second.output_truncated), (2000, true));
    told(&second, "output: all that is kept of all commands together is used up");
    // And over the end of one keeper.
    computer.shutdown().unwrap();
    let third = result(&desk.open(), "third", "echo more");
    assert_eq!((third.output_bytes, third.output_truncated), (0, true));
}

#[test]
fn what_the_file_tools_answered_is_no_output_for_the_next_keeper_either() {
    let mut desk = Desk::new();
    desk.spec.limits.outputs_bytes = 3000;
    let computer = desk.open();
    assert_eq!(result(&computer, "make", "head -c 5000 /dev/zero > zeros").limit, None);
    crate::desk::file(&computer, "read", sandbox::FileOp::Read { path: "zeros".to_owned(), offset: 0, max: 5000 });
    assert!(ended(&computer, "read").output_bytes > 3000);
    computer.shutdown().unwrap();
    let after = result(&desk.open(), "after", "echo more");
    assert_eq!((after.output_bytes, after.output_truncated, after.limit), (5, false, None));
}

#[test]
fn a_program_that_takes_all_terminals_is_told_as_that() {
    // In one of bubblewrap they are the whole machine's.
    if driver() == Driver::Bwrap {
        return;
    }
    let desk = Desk::new();
    let computer = desk.open();
    // Those of commands that end it takes too.
    let take = "import os, time\nopen_ones = []\nwhile True:\n    try: open_ones.append(os.openpty())\n    \
        except OSError: time.sleep(0.01)\n";
    std::fs::write(desk.path().join("workspace/take.py"), take).unwrap();
    let begun = "ulimit -n $(ulimit -Hn); python3 take.py & true";
    assert_eq!(result(&computer, "holder", begun).exit, Exit::Code(0));
    until("all are taken", || run(&computer, "sleep 0.05").0 == Exit::Code(125));
    let refused = result(&computer, "refused", "echo no");
    assert_eq!(refused.exit, Exit::Code(125));
    told(&refused, "all terminals of this computer are taken: end the program that has them");
    assert!(!refused.limit.as_ref().is_some_and(|limit| limit.contains("processes")), "{refused:?}");
    computer.kill("holder").unwrap();
    until("there are terminals again", || run(&computer, "true").0 == Exit::Code(0));
}

#[test]
fn a_file_that_grows_too_large_is_told() {
    let mut desk = Desk::new();
    desk.spec.limits.file_bytes = MIB;
    let result = result(&desk.open(), "grow", "head -c 3000000 /dev/zero > big");
    told(&result, "file size: no file may be larger than 1 MiB");
}

#[test]
fn the_groups_of_a_computer_go_with_it() {
    let desk = Desk::new();
    let computer = desk.open();
    let holds = Confinement::of(&desk.spec.dir).unwrap();
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let init = init_pid(keeper).unwrap();
    let own = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let named = format!("/thenar/{keeper}-");
    if holds.is_whole() {
        // One group of the unified kind has all limits, of the earlier kind each has its own.
        let wanted = if holds.memory == Hold::GroupV2 { 1 } else { 3 };
        assert!(own(init).matches(&named).count() >= wanted, "{}", own(init));
        assert!(!own(keeper).contains("/thenar/"), "the keeper is not held itself");
        // From inside, nothing of it is to be seen.
        assert_eq!(run(&computer, "cut -d: -f3 /proc/self/cgroup | sort -u").1, "/\n");
    } else {
        assert!([holds.memory, holds.processes, holds.processor].contains(&Hold::Own) && !holds.reason.is_empty());
    }
    computer.shutdown().unwrap();
    until("the groups are gone", || {
        let found = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        !found.into_iter().any(|tree| has_below(&tree.path(), &format!("{keeper}-"), 5))
    });
}

/// Whether a folder has one of a name, not far below it.
fn has_below(folder: &std::path::Path, name: &str, depth: usize) -> bool {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    found.into_iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).any(|entry| {
        entry.file_name().to_string_lossy().starts_with(name) || depth > 0 && has_below(&entry.path(), name, depth - 1)
    })
}

/// Counts as fast as it can on all processors, several times over, from a key press on; tells the sum when it is ended.
fn counting(workers: usize) -> String {
    let count = "i=0; trap 'echo $i; exit' TERM; while :; do i=$((i+1)); done";
    format!("read begin; for w in $(seq {workers}); do (trap - TERM; {count}) & done; trap '' TERM; wait")
}

/// What two computers count to in the same time, one with so many times the other's processes.
fn counted(times: usize) -> (u64, u64) {
    let (greedy_desk, polite_desk) = (Desk::new(), Desk::new());
    let (greedy, polite) = (greedy_desk.open(), polite_desk.open());
    let cores = std::thread::available_parallelism().unwrap().get();
    let both = [(&greedy, times * cores), (&polite, cores)];
    for (computer, workers) in both {
        computer.start("count", &shell(&counting(workers))).unwrap();
    }
    for (computer, _) in both {
        computer.write_input("begin", "count", b"\n").unwrap();
    }
    // Not a measure of time: whatever it is, both have it.
    let _ = polite.wait("count", std::time::Duration::from_secs(4)).unwrap();
    for (computer, _) in both {
        computer.kill("count").unwrap();
    }
    let [greedy, polite] = both.map(|(computer, _)| {
        ended(computer, "count");
        output(computer, "count").lines().filter_map(|line| line.parse::<u64>().ok()).sum::<u64>()
    });
    (greedy, polite)
}

#[test]
fn a_greedy_computer_leaves_a_polite_one_its_share() {
    let desk = Desk::new();
    desk.open();
    if Confinement::of(&desk.spec.dir).unwrap().processor == Hold::Own {
        // Here a computer is as many as its processes are, and `thenar doctor` says so.
        return;
    }
    // Alone by its processes it would get a tenth of what the other gets, each time. With equal shares it gets as much, and on a
    // machine that is busy with others now and then less.
    let fair = |(greedy, polite): &(u64, u64)| polite > &(greedy / 2);
    let mut tries = vec![counted(10)];
    while !tries.iter().any(fair) && tries.len() < 3 {
        tries.push(counted(10));
    }
    assert!(tries.iter().any(fair), "the greedy and the polite one counted to {tries:?}");
}
