//! Limits of a whole computer: each can be met, is told in words, and leaves the computer alive.

use sandbox::{CallResult, Computer, Confinement, Exit, Hold};

use crate::desk::{Desk, ended, init_pid, keeper_pid, run, shell, until};

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
    // Each holds less than one process may; together they hold too much.
    let hold = "(head -c 60000000 /dev/zero; sleep 3) | tail -c 60000000 > /dev/null";
    let many = format!("for i in 1 2 3 4; do ({hold}) & done; wait; echo over");
    told(&result(&computer, "much", &many), "memory: everything in the computer together may hold 128 MiB");
    let few = result(&computer, "little", "head -c 60000000 /dev/zero | tail -c 60000000 | wc -c");
    assert_eq!((few.exit, few.limit), (Exit::Code(0), None));
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
time.sleep(3)
"#,
    );
}

#[test]
fn files_in_memory_without_a_name_count() {
    hides_memory(
        "files in memory",
        r#"
import os, time
held, kept = 0, []
for number in range(8):
    kept.append(os.memfd_create("x"))
    for piece in range(64): held += os.write(kept[-1], bytes(1 << 20))
print("held", held, flush=True)
time.sleep(3)
"#,
    );
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

#[test]
fn refused_processes_are_told() {
    let mut desk = Desk::new();
    desk.spec.limits.processes = 40;
    let computer = desk.open();
    let result = result(&computer, "many", "for i in $(seq 100); do sleep 2 & done; wait");
    told(&result, "processes: 40 may run at one time");
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
fn files_deleted_and_still_open_count() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_bytes = 8 * MIB;
    let computer = desk.open();
    let script = "exec 9> hidden; rm hidden; head -c 50000000 /dev/zero >&9; sleep 1000";
    told(&result(&computer, "hide", script), " MiB in 0 files, and may hold 8 MiB");
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
    assert_eq!(result(&computer, "wait", "sleep 2.5").limit, None);
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

#[test]
fn a_greedy_computer_leaves_a_polite_one_its_share() {
    let (greedy_desk, polite_desk) = (Desk::new(), Desk::new());
    let (greedy, polite) = (greedy_desk.open(), polite_desk.open());
    if Confinement::of(&polite_desk.spec.dir).unwrap().processor == Hold::Own {
        // Here a computer is as many as its processes are, and `thenar doctor` says so.
        return;
    }
    let cores = std::thread::available_parallelism().unwrap().get();
    let both = [(&greedy, 5 * cores), (&polite, cores)];
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
        let said = crate::desk::output(computer, "count");
        said.lines().filter_map(|line| line.parse::<u64>().ok()).sum::<u64>()
    });
    // Alone by its processes it would get a fifth of what the other gets.
    assert!(polite > greedy / 2, "the polite one counted to {polite}, the greedy one to {greedy}");
}
