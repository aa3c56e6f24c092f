//! Attacks that take long: bombs, floods, endless trees, races of tens of thousands of rounds (`make test-escape`). After each
//! the computer still answers, its neighbour has noticed nothing that it should not, and the host has what it had.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;

use std::path::Path;

use sandbox::{CallResult, Computer, Driver, Exit, FileAnswer, FileOp, Folder};

use desk::{Desk, Who, ended, keeper_pid, run, shell, until};

const MIB: u64 = 1024 * 1024;
/// What a keeper may hold at the most, whatever is done below it.
const KEEPER_KIB_MAX: u64 = 24 * 1024;

#[test]
fn all_of_it_in_computers_of_bubblewrap() {
    desk::again(Driver::Bwrap, Who::Same, &["bomb", "flood", "folders", "swap"]);
}

#[test]
fn all_of_it_for_an_ordinary_user() {
    desk::again(Driver::Native, Who::User, &["bomb", "flood", "folders", "swap"]);
}

#[test]
fn all_of_it_in_computers_of_bubblewrap_for_an_ordinary_user() {
    desk::again(Driver::Bwrap, Who::User, &["bomb", "flood", "folders", "swap"]);
}

/// Under a name that serves as the call's.
#[track_caller]
fn result(computer: &Computer, call: &str, script: &str) -> CallResult {
    computer.start(call, &shell(script)).unwrap();
    ended(computer, call)
}

fn available_kib() -> u64 {
    number(&std::fs::read_to_string("/proc/meminfo").unwrap(), "MemAvailable:")
}

fn peak_kib(desk: &Desk) -> u64 {
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    number(&std::fs::read_to_string(format!("/proc/{keeper}/status")).unwrap(), "VmHWM:")
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs each bomb in a small computer; a neighbour works on meanwhile, and afterwards both answer.
#[test]
fn bombs_go_off_inside() {
    let neighbour_desk = Desk::new();
    let neighbour = neighbour_desk.open();
    let mut desk = Desk::new();
    desk.spec.limits.memory_bytes = 256 * MIB;
    desk.spec.limits.processes = 64;
    let computer = desk.open();
    let before = available_kib();
    for (name, bomb) in [
        ("processes", "timeout -s KILL 6 bash -c 'b() { b | b & }; b' 2>/dev/null; sleep 6"),
        ("orphans", "for i in $(seq 300); do (sleep 4 & sleep 4 &) 2>/dev/null; done; wait"),
        (
            "the-dead",
            "python3 -c 'import os\nfor i in range(20000):\n p = os.fork()\n if p == 0: os._exit(0)\n if i % 40 == 39:\n  while True:\n   try: os.wait()\n   except ChildProcessError: break'",
        ),
        (
            "threads",
            "python3 -c 'import threading, time\ntry:\n while True: threading.Thread(target=time.sleep, args=(4,), daemon=True).start()\nexcept RuntimeError: print(\"refused\")'",
        ),
        (
            "memory",
            "for i in 1 2 3 4 5 6 7 8; do head -c 200000000 /dev/zero | tail -c 100000000 >/dev/null & done; wait",
        ),
        ("shared-memory", "head -c 2000000000 /dev/zero > /dev/shm/x; rm -f /dev/shm/x"),
        (
            "memory-files",
            "python3 -c 'import os\nfd = os.memfd_create(\"x\")\nwhile True: os.write(fd, bytes(1 << 20))'",
        ),
        (
            "pipes",
            "python3 -c 'import os, fcntl\nall = []\ntry:\n while True:\n  r, w = os.pipe(); os.set_blocking(w, False); all.append((r, w))\n  try:\n   while True: os.write(w, bytes(65536))\n  except BlockingIOError: pass\nexcept OSError: pass'",
        ),
        ("signals", "for i in 1 2 3; do (trap '' TERM; sleep 2) & done; kill -TERM -1; kill -KILL -1"),
    ] {
        computer.start(name, &shell(bomb)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(run(&neighbour, "seq 1000 | tail -1").1, "1000\n", "beside {name}");
        ended(&computer, name);
        // What is left over of it goes, and there is room again.
        until("the computer answers", || {
            let call = format!("after-{name}-{}", available_kib());
            computer.start(&call, &shell("echo fine")).is_ok() && {
                ended(&computer, &call);
                desk::output(&computer, &call) == "fine\n"
            }
        });
    }
    // The machine's, of which others take as well.
    until("the memory is back", || before.saturating_sub(available_kib()) < 1024 * 1024);
    assert!(peak_kib(&desk) < KEEPER_KIB_MAX, "the keeper held {} KiB", peak_kib(&desk));
}

#[test]
fn a_flood_of_output_is_cut_and_keeps_nothing_in_memory() {
    let mut desk = Desk::new();
    desk.spec.limits.output_bytes = 8 * MIB;
    let computer = desk.open();
    for (name, flood) in [
        ("one-line", "head -c 1000000000 /dev/zero | tr '\\0' x"),
        ("zeroes", "head -c 300000000 /dev/zero"),
        ("no-text", "head -c 300000000 /dev/zero | tr '\\0' '\\377'"),
        ("escapes", "yes \"$(printf '\\033[2J\\033]0;x\\007\\342\\200\\256')\" | head -c 300000000"),
        ("two-mouths", "(head -c 200000000 /dev/zero >&2) & head -c 200000000 /dev/zero; wait"),
    ] {
        let seen = result(&computer, name, flood);
        assert_eq!((seen.exit, seen.output_bytes, seen.output_truncated), (Exit::Code(0), 8 * MIB, true), "{name}");
    }
    assert!(peak_kib(&desk) < KEEPER_KIB_MAX, "the keeper held {} KiB", peak_kib(&desk));
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

#[test]
fn folders_without_number_meet_the_limit_and_can_be_removed() {
    let mut desk = Desk::new();
    desk.spec.limits.workspace_files = 20_000;
    let computer = desk.open();
    let make = r#"python3 -c 'import os
for a in range(60):
    os.mkdir(str(a)); os.chdir(str(a))
    for b in range(1000): os.mkdir(str(b))
    os.chdir("..")
print("all made")'; sleep 1000"#;
    let made = result(&computer, "make", make);
    assert!(made.limit.as_deref().unwrap_or_default().contains("files, and may hold"), "{made:?}");
    let find = FileOp::FindByName { path: ".".to_owned(), glob: "**/999".to_owned(), max: 50 };
    let FileAnswer::Paths { found, more } = desk::file(&computer, "find", find) else { panic!("no paths") };
    assert!(found.len() <= 50 && (more || !found.is_empty()));
    assert_eq!(result(&computer, "remove", "rm -rf -- *").exit, Exit::Code(0));
    until("there is room again", || run(&computer, "echo a > b && cat b") == (Exit::Code(0), "a\n".to_owned()));
    assert!(peak_kib(&desk) < KEEPER_KIB_MAX, "the keeper held {} KiB", peak_kib(&desk));
}

/// Looks of the host's while a program in a computer swaps what it looks at.
const ROUNDS: usize = 20_000;

#[test]
fn a_swap_from_inside_never_shows_the_hosts_file() {
    let desk = Desk::new();
    let workspace = desk.path().join("workspace");
    let host = desk.path().join("host");
    for (folder, text) in [(workspace.join("d"), "inside"), (host.clone(), "bait")] {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), text).unwrap();
    }
    std::fs::write(workspace.join("file"), "inside").unwrap();
    std::os::unix::fs::symlink(&host, workspace.join("link")).unwrap();
    std::os::unix::fs::symlink(host.join("file"), workspace.join("file-link")).unwrap();
    let computer = desk.open();
    let swap = r#"exec python3 -c 'import ctypes
libc = ctypes.CDLL(None)
print("begun", flush=True)
while True:
    libc.renameat2(-100, b"d", -100, b"link", 2)
    libc.renameat2(-100, b"file", -100, b"file-link", 2)'"#;
    computer.start("swap", &shell(swap)).unwrap();
    until("it swaps", || desk::output(&computer, "swap") == "begun\n");
    let folder = Folder::open(&workspace).unwrap();
    let (mut inside, mut refused) = (0, 0);
    let mut round = 0;
    while round < ROUNDS || inside == 0 || refused == 0 {
        round += 1;
        let path = if round % 2 == 0 { "d/file" } else { "file" };
        match folder.file(Path::new(path)) {
            Ok(file) => {
                assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
                inside += 1;
            }
            Err(_) => refused += 1,
        }
    }
    computer.kill("swap").unwrap();
    ended(&computer, "swap");
    assert_eq!(std::fs::read_to_string(host.join("file")).unwrap(), "bait");
}
