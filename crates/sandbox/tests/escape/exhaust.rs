//! Using things up: what a computer may take of the machine's own counts. After each attempt the computer still answers,
//! and the host has what it had.

use sandbox::{Driver, Exit};

use crate::desk::{Desk, driver, run};

/// Runs a script in Python inside and compares what it prints; then the computer must still answer.
#[track_caller]
fn check(script: &str, expected: &str) {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path().join("workspace")).unwrap();
    std::fs::write(desk.path().join("workspace/take.py"), script).unwrap();
    let computer = desk.open();
    let (exit, seen) = run(&computer, "python3 take.py");
    assert_eq!((exit, seen.trim()), (Exit::Code(0), expected.trim()));
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

#[test]
fn terminals() {
    // Bubblewrap sets no limit of its own; the kernel keeps some back from everybody but the host.
    let most = if driver() == Driver::Bwrap { 4096 } else { 256 };
    check(
        &r#"
import os
open_ones = []
try:
    while len(open_ones) < 4200: open_ones.append(os.openpty())
    print("no end")
except OSError as error: print("ended", len(open_ones) <= MOST, error.errno in (24, 28))
"#
        .replace("MOST", &most.to_string()),
        "ended True True",
    );
}

#[test]
fn watches() {
    // Bubblewrap gives each computer what the kernel gives its user.
    let most = if driver() == Driver::Bwrap { 1024 } else { 64 };
    check(
        &r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
count = 0
while count < 4000 and libc.inotify_init() >= 0: count += 1
print(count <= MOST, ctypes.get_errno())
"#
        .replace("MOST", &most.to_string()),
        "True 24",
    );
}

#[test]
fn locked_memory() {
    check(
        r#"
import ctypes, mmap, resource
libc = ctypes.CDLL(None, use_errno=True)
room = mmap.mmap(-1, 64 << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(room))
print(libc.mlock(ctypes.c_void_p(address), 1 << 20), libc.mlock(ctypes.c_void_p(address), 64 << 20), ctypes.get_errno())
"#,
        "0 -1 12",
    );
}

#[test]
fn queues_and_segments_stay_in_the_computer() {
    // Keys that nobody else has, in any run of this at the same time.
    let first = 0x6000_0000 | (std::process::id() << 4);
    let script = r#"
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
keys = range(FIRST, FIRST + 8)
made = [libc.shmget(key, 4096, 0o1600) for key in keys] + [libc.msgget(key, 0o1600) for key in keys]
print(all(one >= 0 for one in made))
"#;
    check(&script.replace("FIRST", &first.to_string()), "True");
    for file in ["/proc/sysvipc/shm", "/proc/sysvipc/msg"] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let keys = text.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        assert_eq!(keys.filter(|key| (first..first + 8).contains(key)).count(), 0, "{file}: {text}");
    }
}

#[test]
fn a_line_without_end_is_cut_where_the_output_ends() {
    let mut desk = Desk::new();
    desk.spec.limits.output_bytes = 4 * 1024 * 1024;
    let computer = desk.open();
    computer
        .start("line", &crate::desk::shell("head -c 200000000 /dev/zero | tr '\\0' '\\377'; echo; echo last"))
        .unwrap();
    let result = crate::desk::ended(&computer, "line");
    assert_eq!((result.exit, result.output_bytes), (Exit::Code(0), 4 * 1024 * 1024));
    assert!(result.output_truncated);
    // What went past was not kept in memory either.
    let keeper = crate::desk::keeper_pid(&desk.spec.dir).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
    let peak: Option<u64> =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(peak.is_some_and(|peak| peak < 16 * 1024), "{peak:?} KiB");
}

#[test]
fn folders_without_end_and_names_that_lie() {
    let desk = Desk::new();
    let computer = desk.open();
    let (_, seen) = run(
        &computer,
        r#"python3 - <<'END'
import os
top = os.open(".", os.O_RDONLY)
try:
    for depth in range(5000):
        os.mkdir("d"); os.chdir("d")
    print("deep")
except OSError as error: print("deep until", depth, error.errno)
os.chdir(top)
for name in ["n" * 255, "two\nlines", "\x1b[2Jcleared", "\u202egnp.exe", "-rf", "a b", b"\xff\xfe".decode("utf-8", "surrogateescape")]:
    open(name, "w").close()
END"#,
    );
    assert_eq!(seen, "deep\n");
    // A search through it ends, with what it found or with a word that there is more.
    let found = crate::desk::file(
        &computer,
        "find",
        sandbox::FileOp::FindByName { path: ".".to_owned(), glob: "**/*".to_owned(), max: 50 },
    );
    let sandbox::FileAnswer::Paths { found, more } = found else { panic!("{found:?}") };
    assert!(found.len() <= 50 && more, "{} {more}", found.len());
    assert_eq!(run(&computer, "rm -r d && echo gone").1, "gone\n");
}

#[test]
fn programs_of_the_computer_itself_cannot_be_changed() {
    check(
        r#"
import os
for path in ["/proc/1/exe", "/proc/self/exe", "/usr/bin/env", "/proc/1/mem", "/proc/1/fd"]:
    try:
        os.open(path, os.O_RDWR if path != "/proc/1/fd" else os.O_RDONLY); print(path, "opened")
    except OSError as error: print(path, error.errno in (1, 2, 13, 26, 30))
"#,
        "/proc/1/exe True\n/proc/self/exe True\n/usr/bin/env True\n/proc/1/mem True\n/proc/1/fd True",
    );
}

#[test]
fn processes_of_the_host_are_out_of_reach() {
    let own = i32::try_from(std::process::id()).unwrap();
    // From here it can be signalled.
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(own).unwrap()).unwrap();
    // Numbers that the computer has itself are left out: what matters is that none of them is the host's.
    check(
        &format!(
            r#"
import os
reached = []
for pid in [{own}, os.getpid() + 100_000, 4_000_000]:
    try: os.kill(pid, 0); reached.append(pid)
    except ProcessLookupError: pass
print(reached if {own} > 400 else [])
"#
        ),
        "[]",
    );
}
