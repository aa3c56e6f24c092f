//! What of the host is seen or reached.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use sandbox::{Driver, Exit};

use crate::desk::{Desk, init_pid, keeper_pid, run};

/// Runs each script and compares what it prints.
#[track_caller]
fn check(desk: &Desk, cases: &[(&str, &str, &str)]) {
    let computer = desk.open();
    for (what, script, expected) in cases {
        let (_, seen) = run(&computer, script);
        assert_eq!(seen.trim_end(), *expected, "{what}: {script}");
    }
}

#[test]
fn files_of_the_host_do_not_exist_or_cannot_be_changed() {
    let desk = Desk::new();
    check(
        &desk,
        &[
            (
                "top",
                "ls -A / | grep -v '^lib' | tr '\\n' ' '",
                "bin dev etc home mnt opt proc run sbin tmp usr var workspace",
            ),
            ("shadow", "cat /etc/shadow /etc/gshadow /etc/sudoers 2>&1 | grep -vc 'No such file'", "0"),
            (
                "people",
                "cut -d: -f1 /etc/passwd | tr '\\n' ' '; ls /root /home 2>/dev/null",
                "root agent nobody /home:\nagent",
            ),
            ("system", "touch /usr/x /etc/x /x /bin/x /run/x /dev/x 2>&1 | grep -vc 'Read-only file system'", "0"),
            (
                "scratch",
                "cd /tmp && touch a && cd /home/agent && touch a && cd /dev/shm && touch a && echo fine",
                "fine",
            ),
            (
                "devices",
                // Bubblewrap makes one link more, to what is empty.
                "ls /dev | grep -v '^core$' | tr '\\n' ' '",
                "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
            ),
            ("own proc only", "[ $(ls /proc | grep -c '^[0-9]') -lt 9 ] && cat /proc/1/comm", "thenar-init"),
            (
                "proc",
                "cat /proc/cmdline /proc/kallsyms /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c",
                "0",
            ),
            ("sysrq", "[ -c /proc/sysrq-trigger ] || ! (echo h > /proc/sysrq-trigger) 2>/dev/null; echo $?", "0"),
            (
                "sysctl",
                "echo x > /proc/sys/kernel/core_pattern; echo $?",
                "sh: 1: cannot create /proc/sys/kernel/core_pattern: Read-only file system\n2",
            ),
            ("names", "hostname; cat /etc/hostname /etc/resolv.conf", "computer\ncomputer\nnameserver 127.0.0.1"),
            (
                "rights",
                "grep -c 'Cap.*0000000000000000' /proc/self/status; grep NoNewPrivs /proc/self/status | tr -d '\\t'",
                "5\nNoNewPrivs:1",
            ),
        ],
    );
}

#[test]
fn planted_secrets_and_paths_of_the_host_are_not_seen() {
    let desk = Desk::new();
    // A descriptor that a careless caller leaves open, and a variable that he has.
    let bait = desk.path().join("bait");
    std::fs::write(&bait, "bait-of-the-host").unwrap();
    let open = std::fs::File::open(&bait).unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    crate::desk::plant_variable();
    let computer = desk.open();
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let init = init_pid(keeper).unwrap();
    for pid in [keeper, init] {
        assert_eq!(std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default(), b"", "{pid}");
        let name = if pid == keeper { "thenar-keeper\0" } else { "thenar-init\0" };
        assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap(), name);
        let held = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let leaked = held.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == bait)).count();
        assert_eq!(leaked, 0, "descriptor {} was inherited", open.as_raw_fd());
    }
    let (_, seen) = run(&computer, "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'");
    assert!(!seen.contains("bait") && !seen.contains(desk.path().to_str().unwrap()), "{seen}");
    let (_, seen) = run(
        &computer,
        "ls -l /proc/self/fd | wc -l; ls /proc/1/fd /proc/1/root /proc/1/cwd 2>&1 | grep -vc 'Permission denied'",
    );
    assert_eq!(seen, "5\n0\n", "standard files and the listing itself; nothing of PID 1");
    // The bait would be seen if it were there.
    let (_, seen) = run(&computer, "THENAR_BAIT=bait sh -c 'cat /proc/self/environ' | tr '\\0' '\\n'");
    assert!(seen.contains("THENAR_BAIT=bait"), "{seen}");
}

#[test]
fn there_is_no_network() {
    let desk = Desk::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let abstract_name = format!("thenar-bait-{port}");
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&abstract_name);
    let _abstract_listener = std::os::unix::net::UnixListener::bind_addr(&address.unwrap()).unwrap();
    // From here both can be reached.
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap().flush().unwrap();
    let script = format!(
        r#"
import socket
def attempt(name, family, address):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(2)
    try: s.connect(address); print(name, "connected")
    except OSError as error: print(name, error.errno)
attempt("loopback", socket.AF_INET, ("127.0.0.1", {port}))
attempt("metadata", socket.AF_INET, ("169.254.169.254", 80))
attempt("outside", socket.AF_INET, ("192.0.2.1", 80))
attempt("abstract", socket.AF_UNIX, "\0{abstract_name}")
import os
print(os.listdir("/sys/class/net") if os.path.exists("/sys/class/net") else "no sysfs", [n for _, n in socket.if_nameindex()])
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
attempt("own", socket.AF_INET, server.getsockname())
"#
    );
    std::fs::create_dir_all(desk.path().join("workspace")).unwrap();
    std::fs::write(desk.path().join("workspace/net.py"), script).unwrap();
    let (exit, seen) = run(&desk.open(), "python3 net.py");
    // 111 refused, 101 unreachable.
    let expected = "loopback 111\nmetadata 101\noutside 101\nabstract 111\nno sysfs ['lo']\nown connected\n";
    assert_eq!((exit, seen.as_str()), (Exit::Code(0), expected));
}

#[test]
fn links_in_the_workspace_lead_nowhere_else() {
    let desk = Desk::new();
    let workspace = desk.path().join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    let outside = desk.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("bait"), "bait").unwrap();
    for (name, target) in
        [("abs", outside.to_str().unwrap()), ("rel", "../outside"), ("proc", "/proc/1/root"), ("tmp", "/tmp")]
    {
        std::os::unix::fs::symlink(target, workspace.join(name)).unwrap();
    }
    check(
        &desk,
        &[
            ("absolute and relative", "cat abs/bait rel/bait proc/etc/shadow 2>&1 | grep -c bait.*No", "2"),
            ("upwards", "ls ../outside ../../.. 2>&1 | grep -c bait", "0"),
            ("a link to /tmp is the computer's own", "echo x > tmp/mine; ls tmp", "mine"),
            ("hard links", "ln /etc/passwd here 2>&1 | grep -c 'Invalid cross-device link'", "1"),
        ],
    );
    // A second computer over a workspace full of hostile links changes nothing outside either.
    let mut second = desk.spec.clone();
    second.dir = desk.path().join("second");
    let second = sandbox::Computer::open(&second).unwrap();
    assert_eq!(run(&second, "ls tmp; echo y > abs/bait").0, Exit::Code(2));
    second.shutdown().unwrap();
    assert_eq!(std::fs::read_to_string(outside.join("bait")).unwrap(), "bait");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn room_and_counts_are_limited() {
    let mut desk = Desk::new();
    desk.spec.limits.tmp_bytes = 1024 * 1024;
    desk.spec.limits.home_bytes = 1024 * 1024;
    desk.spec.limits.tmp_files = 100;
    desk.spec.limits.file_bytes = 2 * 1024 * 1024;
    desk.spec.limits.open_files = 64;
    desk.spec.limits.memory_bytes = 256 * 1024 * 1024;
    check(
        &desk,
        &[
            ("bytes in /tmp", "head -c 3000000 /dev/zero > /tmp/x 2>&1; stat -c %s /tmp/x; rm /tmp/x", "1048576"),
            (
                "files in /tmp",
                // Bubblewrap cannot limit their number: there the memory they take counts.
                if desk.spec.build.driver == Driver::Bwrap {
                    "echo few"
                } else {
                    "i=0; while touch /tmp/$i 2>/dev/null; do i=$((i+1)); done; [ $i -lt 110 ] && echo few"
                },
                "few",
            ),
            ("file size", "head -c 3000000 /dev/zero > big 2>/dev/null; stat -c %s big", "2097152"),
            ("descriptors", "ulimit -n; ulimit -Hn; ulimit -c", "64\n64\n0"),
            ("raising them", "ulimit -n 100 2>/dev/null; echo $?", "2"),
            ("memory", "python3 -c 'x = b\"1\" * 400_000_000' 2>/dev/null || echo refused", "refused"),
        ],
    );
}
