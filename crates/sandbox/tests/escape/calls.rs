//! System calls that must not work, made directly; and ordinary ones that must.

use sandbox::Exit;

use crate::desk::{Desk, run};

/// Makes calls by number and prints the name of the error, so that no library's fallback hides it.
const CALLER: &str = r#"
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    print(name, "works" if result >= 0 else errno.errorcode.get(ctypes.get_errno(), "?"))
"#;

#[track_caller]
fn check(script: &str, expected: &str) {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path().join("workspace")).unwrap();
    std::fs::write(desk.path().join("workspace/calls.py"), format!("{CALLER}{script}")).unwrap();
    let (exit, seen) = run(&desk.open(), "python3 calls.py");
    assert_eq!((exit, seen.trim()), (Exit::Code(0), expected.trim()));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn dangerous_calls_are_refused() {
    check(
        r#"
for name, number, args in [
    ("ptrace", 101, (0, 0, 0, 0)), ("process_vm_readv", 310, (1, 0, 0, 0, 0, 0)), ("pidfd_getfd", 438, (0, 0, 0)),
    ("mount", 165, (0, 0, 0, 0, 0)), ("umount2", 166, (b"/proc", 2)), ("pivot_root", 155, (0, 0)), ("chroot", 161, (b"/tmp",)),
    ("open_tree", 428, (-100, b"/", 1)), ("fsopen", 430, (b"tmpfs", 0)), ("mount_setattr", 442, (-100, b"/", 0, 0, 0)),
    ("setns", 308, (0, 0)), ("bpf", 321, (0, 0, 0)), ("perf_event_open", 298, (0, 0, -1, -1, 0)), ("userfaultfd", 323, (0,)),
    ("io_uring_setup", 425, (1, 0)), ("keyctl", 250, (0, 0, 0, 0, 0)), ("add_key", 248, (0, 0, 0, 0, 0)),
    ("init_module", 175, (0, 0, 0)), ("finit_module", 313, (0, 0, 0)), ("kexec_load", 246, (0, 0, 0, 0)), ("reboot", 169, (0, 0, 0, 0)),
    ("settimeofday", 164, (0, 0)), ("iopl", 172, (3,)), ("syslog", 103, (3, 0, 0)), ("open_by_handle_at", 304, (0, 0, 0)),
    ("unshare user", 272, (0x10000000,)), ("unshare net", 272, (0x40000000,)), ("clone user", 56, (0x10000011, 0, 0, 0, 0)),
    ("personality", 135, (0x0040000,)), ("sethostname", 170, (b"x", 1)), ("TIOCSTI", 16, (0, 0x5412, 0)), ("TIOCLINUX", 16, (0, 0x541c, 0)),
]: call(name, number, *args)
for name, args in [("packet", (17, 3, 3)), ("raw", (2, 3, 1)), ("raw6", (10, 3, 58)), ("vsock", (40, 1, 0)), ("alg", (38, 5, 0)), ("xdp", (44, 3, 0)),
    ("bluetooth", (31, 3, 0)), ("netfilter", (16, 3, 12)), ("sctp", (2, 1, 132)), ("mptcp", (2, 1, 262))]: call("socket " + name, 41, *args)
"#,
        "ptrace EPERM\nprocess_vm_readv EPERM\npidfd_getfd EPERM\nmount EPERM\numount2 EPERM\npivot_root EPERM\nchroot EPERM\nopen_tree EPERM\nfsopen EPERM\nmount_setattr EPERM\nsetns EPERM\nbpf EPERM\nperf_event_open EPERM\nuserfaultfd EPERM\nio_uring_setup EPERM\nkeyctl EPERM\nadd_key EPERM\ninit_module EPERM\nfinit_module EPERM\nkexec_load EPERM\nreboot EPERM\nsettimeofday EPERM\niopl EPERM\nsyslog EPERM\nopen_by_handle_at EPERM\nunshare user EPERM\nunshare net EPERM\nclone user EPERM\npersonality EPERM\nsethostname EPERM\nTIOCSTI EPERM\nTIOCLINUX EPERM\nsocket packet EPERM\nsocket raw EPERM\nsocket raw6 EPERM\nsocket vsock EPERM\nsocket alg EPERM\nsocket xdp EPERM\nsocket bluetooth EPERM\nsocket netfilter EPERM\nsocket sctp EPERM\nsocket mptcp EPERM",
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_that_a_filter_cannot_read_do_not_exist() {
    check(
        r#"
call("clone3", 435, 0, 0)
call("openat2", 437, -100, b"x", 0, 24)
call("memfd_secret", 447, 0)
call("future", 1000)
call("x32 getpid", 0x40000000 | 39)
"#,
        "clone3 ENOSYS\nopenat2 ENOSYS\nmemfd_secret ENOSYS\nfuture ENOSYS\nx32 getpid ENOSYS",
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn set_id_bits_cannot_be_made_in_any_way() {
    check(
        r#"
open("f", "w").close()
fd = os.open("f", os.O_RDWR)
CREAT, TMPFILE = 0o101, 0o20200002
for bits in (0o4755, 0o2755, 0o6755):
    name = oct(bits)
    call(name + " chmod", 90, b"f", bits)
    call(name + " fchmod", 91, fd, bits)
    call(name + " fchmodat", 268, -100, b"f", bits)
    call(name + " fchmodat2", 452, -100, b"f", bits, 0)
    call(name + " open", 2, b"o", CREAT, bits)
    call(name + " openat", 257, -100, b"p", CREAT, bits)
    call(name + " tmpfile", 257, -100, b".", TMPFILE, bits)
    call(name + " creat", 85, b"c", bits)
    call(name + " mkdir", 83, b"d", bits)
    call(name + " mkdirat", 258, -100, b"e", bits)
    call(name + " mknod", 133, b"n", 0o100000 | bits, 0)
    call(name + " mknodat", 259, -100, b"m", 0o100000 | bits, 0)
call("plain chmod", 90, b"f", 0o755)
call("sticky", 90, b"f", 0o1755)
call("open without making", 2, b"f", 0, 0o4755)
os.close(fd)
print(sorted(os.listdir(".")))
"#,
        &{
            let mut lines = Vec::new();
            for bits in ["0o4755", "0o2755", "0o6755"] {
                for (call, error) in [
                    ("chmod", "EPERM"),
                    ("fchmod", "EPERM"),
                    ("fchmodat", "EPERM"),
                    ("fchmodat2", "ENOSYS"),
                    ("open", "EPERM"),
                    ("openat", "EPERM"),
                    ("tmpfile", "EPERM"),
                    ("creat", "EPERM"),
                    ("mkdir", "EPERM"),
                    ("mkdirat", "EPERM"),
                    ("mknod", "EPERM"),
                    ("mknodat", "EPERM"),
                ] {
                    lines.push(format!("{bits} {call} {error}"));
                }
            }
            lines.extend(
                ["plain chmod works", "sticky works", "open without making works", "['calls.py', 'f']"]
                    .map(str::to_owned),
            );
            lines.join("\n")
        },
    );
}

#[test]
fn processes_cannot_reach_past_their_own() {
    let desk = Desk::new();
    let computer = desk.open();
    let cases = [
        ("PID 1 shrugs", "kill -9 1; kill -15 1; sleep 0.1; echo alive", "alive\n"),
        (
            "limits of others",
            "prlimit --pid 1 --nproc=0:0 2>&1 | grep -c 'not permitted'; prlimit --pid $PPID --nofile=0:0 2>&1 | grep -c 'not permitted'; \
             prlimit --nofile=100:100 sh -c 'ulimit -n'; prlimit --pid 1 --nofile >/dev/null && echo asked",
            "1\n1\n100\nasked\n",
        ),
        (
            "root",
            "su -c id 2>&1 | grep -c 'uid=0'; python3 -c 'import os; os.setuid(0)' 2>&1 | tail -1",
            "0\nOSError: [Errno 22] Invalid argument\n",
        ),
        (
            "priority",
            "nice -n -20 true 2>&1 | grep -c 'Permission denied'; chrt -f 1 true 2>&1 | grep -c 'not permitted'",
            "1\n1\n",
        ),
        ("devices", "mknod d c 1 3 2>&1; ls d 2>/dev/null", "mknod: d: Operation not permitted\n"),
        (
            "ordinary work",
            "bash -c 'mkdir -p a/b && echo x | tee a/b/f && chmod 600 a/b/f && mv a c && rm -r c && mkfifo p && rm p && mkdir x y && touch x/f && mv x/f y/ && ln y/f x/g && rm -r x y'",
            "x\n",
        ),
        (
            "threads and locks",
            "python3 -c 'import threading, multiprocessing as m, tempfile; t = threading.Thread(target=print, args=(1,)); t.start(); t.join(); l = m.Lock(); print(2); tempfile.NamedTemporaryFile()'",
            "1\n2\n",
        ),
    ];
    for (what, script, expected) in cases {
        assert_eq!(run(&computer, script).1, expected, "{what}");
    }
    // Everything that a user may kill, killed: the computer lives.
    assert_eq!(run(&computer, "kill -9 -1; sleep 5").0, Exit::Signal(9));
    assert_eq!(run(&computer, "echo alive").1, "alive\n");
}

#[test]
fn the_second_lock_is_on_where_the_kernel_has_one() {
    // The kernel stacks sixteen of these rule sets: whoever can add only fifteen was in one already.
    let script = r#"
def quiet(number, *args):
    return libc.syscall(ctypes.c_long(number), *args)
handled = (ctypes.c_uint64 * 1)(2)
rules = quiet(444, handled, ctypes.c_size_t(8), ctypes.c_uint32(0))
if rules < 0: print("locked")
else:
    added = 0
    while quiet(446, ctypes.c_int(rules), ctypes.c_uint32(0)) == 0: added += 1
    print("locked" if added == 15 else added)
"#;
    check(script, "locked");
}
