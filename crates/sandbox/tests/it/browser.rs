//! The browser's box: a line of whole messages, whoever comes and goes; what is in it and what is not.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use sandbox::{Browser, BrowserLine, Computer, Met};

use crate::desk::{Desk, PATIENCE, alive, run, until};

/// Sends a command and gives the answer to it as text; events on the way are passed over.
#[track_caller]
fn ask(stream: &mut UnixStream, id: u32, method: &str, params: &str) -> String {
    write!(stream, "{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\0").unwrap();
    loop {
        let message = next(stream);
        if message.starts_with(&format!("{{\"id\":{id},")) {
            return message;
        }
    }
}

#[track_caller]
fn next(stream: &mut UnixStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut message = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).unwrap();
        if byte == [0] {
            return String::from_utf8(message).unwrap();
        }
        message.push(byte[0]);
    }
}

#[track_caller]
fn line(computer: &Computer) -> BrowserLine {
    computer.browser(Browser::Lean).unwrap_or_else(|error| panic!("{error}"))
}

/// The processes of the browser's box, as the host numbers them, with their command lines. Those that are shut in further
/// see no mounts at all, so they are told by where they come from.
fn processes(desk: &Desk) -> Vec<(i32, String)> {
    let profile = desk.spec.dir.join("browser/profile").canonicalize().unwrap();
    let profile = format!("{} /profile", profile.display());
    let read = |pid: i32, what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let text = |pid, what: &str| String::from_utf8_lossy(&read(pid, what)).into_owned();
    let all =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: Vec<(i32, i32)> =
        all.filter_map(|pid| Some((pid, field(&text(pid, "status"), "PPid:").first()?.parse().ok()?))).collect();
    let mut found: Vec<i32> =
        parents.iter().map(|(pid, _)| *pid).filter(|pid| text(*pid, "mountinfo").contains(&profile)).collect();
    loop {
        let before = found.len();
        let children = parents.iter().filter(|(pid, parent)| found.contains(parent) && !found.contains(pid));
        let children: Vec<i32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        if found.len() == before {
            return found.into_iter().map(|pid| (pid, text(pid, "cmdline").replace('\0', " "))).collect();
        }
    }
}

/// The words after a name in a status file.
fn field(status: &str, name: &str) -> Vec<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_browser_answers_and_outlives_its_caller() {
    let desk = Desk::new();
    let computer = desk.open();
    let mut first = line(&computer);
    assert!(first.fresh);
    let version = ask(&mut first.stream, 1, "Browser.getVersion", "{}");
    assert!(version.contains("Chrome"), "{version}");
    // One goes in mid-word; the next one's first message must not begin with the other's half.
    let made = ask(&mut first.stream, 2, "Target.createTarget", r#"{"url":"about:blank#kept"}"#);
    first.stream.write_all(b"{\"id\":3,\"method\":\"Target.createTar").unwrap();
    drop(first);
    let mut second = line(&computer);
    assert!(!second.fresh && second.generation > 1, "{second:?}");
    let targets = ask(&mut second.stream, 4, "Target.getTargets", "{}");
    assert!(targets.contains("about:blank#kept"), "{made} then {targets}");
    // A third takes the line over.
    let mut third = line(&computer);
    second.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(second.stream.read(&mut [0; 16]).unwrap(), 0, "the second is cut off");
    assert!(ask(&mut third.stream, 5, "Target.getTargets", "{}").contains("about:blank#kept"));
}

#[test]
fn a_flood_that_nobody_reads_stops_neither_keeper_nor_browser() {
    let desk = Desk::new();
    let computer = desk.open();
    let mut deaf = line(&computer);
    for id in 1..=2_000 {
        write!(deaf.stream, "{{\"id\":{id},\"method\":\"SystemInfo.getInfo\"}}\0").unwrap();
    }
    let (exit, said) = run(&computer, "echo still here");
    assert_eq!((exit, said.as_str()), (sandbox::Exit::Code(0), "still here\n"));
    let mut other = line(&computer);
    assert!(ask(&mut other.stream, 900_000, "Browser.getVersion", "{}").contains("Chrome"));
}

#[test]
fn the_box_has_pages_shut_in_twice_and_no_workspace() {
    let desk = Desk::new();
    let computer = desk.open();
    run(&computer, "echo secret > /workspace/secret.txt");
    let mut line = line(&computer);
    ask(&mut line.stream, 1, "Browser.getVersion", "{}");
    // Some come and go: those that lived while all of it was read.
    let lived = std::cell::RefCell::new(Vec::new());
    let read = |(pid, words): (i32, String)| {
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{pid}/{what}")).ok();
        let (mounts, status) = (read("mountinfo")?, read("status")?);
        (!["Z", "X"].contains(&field(&status, "State:").first()?.as_str())).then_some((words, status, mounts))
    };
    // A page's process adds a filter of its own a moment after its start: ours are two.
    until("there are renderers, and each has shut itself in", || {
        *lived.borrow_mut() = processes(&desk).into_iter().filter_map(read).collect();
        let lived = lived.borrow();
        let mut renderers = lived.iter().filter(|(words, ..)| words.contains("--type=renderer")).peekable();
        let filters = |status: &str| field(status, "Seccomp_filters:").first().and_then(|count| count.parse().ok());
        renderers.peek().is_some() && renderers.all(|(_, status, _)| filters(status) >= Some(3))
    });
    for (words, status, mounts) in lived.take() {
        let field = |name| field(&status, name);
        assert_eq!(field("NoNewPrivs:"), ["1"], "{words}");
        assert_eq!(field("Seccomp:"), ["2"], "{words}");
        assert!(!field("Uid:").contains(&"0".to_owned()), "{words}: {status}");
        if words.contains("--type=renderer") {
            assert!(field("NSpid:").len() >= 3, "in a namespace of its own below ours: {status}");
        }
        assert!(!words.contains("--no-sandbox"), "{words}");
        assert!(!mounts.contains("/workspace"), "{mounts}");
    }
}

#[test]
fn it_shares_the_network_of_the_shell_and_nothing_else() {
    let desk = Desk::new();
    let computer = desk.open();
    let mut line = line(&computer);
    ask(&mut line.stream, 1, "Browser.getVersion", "{}");
    let (_, seen) =
        run(&computer, "readlink /proc/self/ns/net; readlink /proc/self/ns/pid; ls /proc | grep -c '^[0-9]'");
    let seen: Vec<&str> = seen.lines().collect();
    let (browser, _) =
        processes(&desk).into_iter().find(|(_, words)| words.contains("--remote-debugging-pipe")).unwrap();
    let namespace = |name| std::fs::read_link(format!("/proc/{browser}/ns/{name}")).unwrap().display().to_string();
    // What another session's browser keeps does not exist there; its own does.
    let other = Desk::new();
    let profile = other.spec.dir.join("browser/profile");
    std::fs::create_dir_all(&profile).unwrap();
    let seen_there = |path: &std::path::Path| std::fs::metadata(format!("/proc/{browser}/root{}", path.display()));
    assert!(seen_there("/profile".as_ref()).is_ok() && profile.exists());
    assert_eq!(seen_there(&profile).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(namespace("net"), seen[0]);
    assert_ne!(namespace("pid"), seen[1]);
    assert!(seen[2].parse::<u32>().unwrap() < 10, "the shell sees none of its processes: {seen:?}");
    // Nobody listens there: the line to it is a pipe.
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{browser}/net/{table}")).unwrap_or_default();
        let listens = |line: &&str| line.split_whitespace().nth(3) == Some("0A");
        assert_eq!(table.lines().filter(listens).count(), 0, "{table}");
    }
}

#[test]
fn it_ends_with_its_computer_and_when_asked() {
    let desk = Desk::new();
    let computer = desk.open();
    let mut line = line(&computer);
    ask(&mut line.stream, 1, "Browser.getVersion", "{}");
    computer.end_browser().unwrap();
    until("the first browser is gone", || processes(&desk).is_empty());
    line = self::line(&computer);
    assert!(line.fresh);
    ask(&mut line.stream, 2, "Browser.getVersion", "{}");
    let pids: Vec<i32> = processes(&desk).into_iter().map(|(pid, _)| pid).collect();
    assert!(pids.len() > 2, "{pids:?}");
    computer.shutdown().unwrap();
    until("the browser is gone with its computer", || !pids.iter().any(|pid| alive(*pid)));
}

#[test]
fn copies_for_pages_go_before_the_next_browser_and_its_profile_stays() {
    let desk = Desk::new();
    let computer = desk.open();
    drop(line(&computer));
    let folders = computer.browser_folders();
    let copy = folders.uploads.join("call-0");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("a.txt"), "content").unwrap();
    std::fs::write(folders.profile.join("mark"), "kept").unwrap();
    computer.end_browser().unwrap();
    assert!(copy.exists() && line(&computer).fresh);
    assert!(!copy.exists() && folders.profile.join("mark").exists());
}

#[test]
fn pages_that_keep_more_than_there_is_room_for_end_the_browser_and_keep_nothing() {
    let mut desk = Desk::new();
    desk.spec.limits.browser_bytes = 96 << 20;
    let computer = desk.open();
    let argv =
        ["python3", "-c", "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=8000)"];
    let argv = argv.map(str::to_owned).to_vec();
    let site = sandbox::Request::Exec { argv, cwd: None, env: std::collections::BTreeMap::new() };
    computer.start("site", &site).unwrap();
    run(&computer, "until curl -s http://localhost:8000/ > page; do sleep 0.1; done");
    let mut line = line(&computer);
    let made = ask(&mut line.stream, 1, "Target.createTarget", r#"{"url":"http://localhost:8000/"}"#);
    let word = |message: &str, name: &str| {
        let after = message.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name}: {message}")).1;
        after.split('"').next().unwrap().to_owned()
    };
    let attach = format!(r#"{{"targetId":"{}","flatten":true}}"#, word(&made, "targetId"));
    let session = word(&ask(&mut line.stream, 2, "Target.attachToTarget", &attach), "sessionId");
    let mut id = 2;
    let mut evaluate = |script: &str| {
        id += 1;
        let params = format!(r#"{{"expression":"{script}"}},"sessionId":"{session}""#);
        ask(&mut line.stream, id, "Runtime.evaluate", &params)
    };
    // Until its page is there.
    while !evaluate("location.href").contains("//localhost:8000/") {}
    let fill = "(async () => { const root = await navigator.storage.getDirectory(); for (let n = 0;; n++) { \
        const file = await (await root.getFileHandle('f' + n, { create: true })).createWritable(); \
        await file.write(new Uint8Array(4 << 20).fill(7)); await file.close(); } })(); 1";
    evaluate(fill);
    line.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = [0; 4096];
    while line.stream.read(&mut rest).expect("the browser is ended in time") > 0 {}
    let folders = computer.browser_folders();
    until("what it kept is gone", || !folders.profile.exists());
    let met = computer.browser_limits().unwrap();
    let [Met::BrowserRoom { bytes, max_bytes: 0x600_0000, max_files: 200_000, .. }] = met[..] else {
        panic!("{met:?}")
    };
    assert!(bytes > 96 << 20, "{met:?}");
    assert_eq!(computer.browser_limits().unwrap(), [], "it is told once");
    let again = self::line(&computer);
    assert_eq!((again.fresh, again.last_words), (true, met[0].to_string()));
    let mut stream = again.stream;
    assert!(ask(&mut stream, 4, "Browser.getVersion", "{}").contains("Chrome"), "the next one has room");
}

#[test]
fn a_mark_is_new_once_and_never_forgotten() {
    let desk = Desk::new();
    let computer = desk.open();
    assert_eq!(sandbox::recorded(computer.dir(), "e7").unwrap(), sandbox::Recorded::NeverSeen);
    assert!(computer.mark("e7").unwrap());
    assert!(!computer.mark("e7").unwrap());
    assert_eq!(sandbox::recorded(computer.dir(), "e7").unwrap(), sandbox::Recorded::Running);
    computer.shutdown().unwrap();
    until("the keeper is gone", || sandbox::recorded(computer.dir(), "e7").unwrap() == sandbox::Recorded::Lost);
}

/// Runs a script as the user of a process, in what it sees as `/tmp`; gives what is complained about.
#[expect(clippy::disallowed_methods, reason = "somebody who writes where the browser does")]
fn as_its_user(process: i32, script: &str) -> String {
    // Open without a mark, so that the shell has it, too.
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
    let place = rustix::fs::open(format!("/proc/{process}/root/tmp"), flags, rustix::fs::Mode::empty()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let user: u32 = field(&status, "Uid:")[0].parse().unwrap();
    let script = format!("cd /proc/self/fd/{} && {script}", place.as_raw_fd());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir("/");
    if rustix::process::geteuid().is_root() {
        shell.uid(user).gid(user);
    }
    String::from_utf8(shell.output().unwrap().stderr).unwrap()
}

#[test]
fn a_folder_of_its_own_that_fills_is_told_once_by_name_and_size() {
    let desk = Desk::new();
    let computer = desk.open();
    assert_eq!(computer.browser_limits().unwrap(), [], "there is none that could have met any");
    let mut line = line(&computer);
    ask(&mut line.stream, 1, "Browser.getVersion", "{}");
    assert_eq!(computer.browser_limits().unwrap(), []);
    let (browser, _) =
        processes(&desk).into_iter().find(|(_, words)| words.contains("--remote-debugging-pipe")).unwrap();
    // What a page has the browser write there is Chromium's business; that it is full is seen whoever filled it.
    assert!(as_its_user(browser, "head -c 70000000 /dev/zero > fill").contains("No space left on device"));
    let scratch = Met::BrowserScratchBytes { place: "/tmp".to_owned(), max_bytes: 64 << 20, times: 1 };
    assert_eq!(computer.browser_limits().unwrap(), std::slice::from_ref(&scratch));
    assert_eq!(computer.browser_limits().unwrap(), [], "it is told once");
    as_its_user(browser, "rm fill");
    assert_eq!(computer.browser_limits().unwrap(), []);
    as_its_user(browser, "head -c 70000000 /dev/zero > fill");
    // What was met and not told is told after its end, and the next one begins with an empty folder.
    computer.end_browser().unwrap();
    assert_eq!(computer.browser_limits().unwrap(), [scratch]);
    line = self::line(&computer);
    ask(&mut line.stream, 2, "Browser.getVersion", "{}");
    assert_eq!(computer.browser_limits().unwrap(), []);
}

#[test]
fn whoever_wants_a_living_one_starts_none() {
    let desk = Desk::new();
    let computer = desk.open();
    assert!(computer.living_browser().unwrap().is_none() && !desk.spec.dir.join("browser/profile").exists());
    let first = line(&computer);
    let second = computer.living_browser().unwrap().expect("it lives");
    assert!(first.fresh && !second.fresh && second.generation > first.generation);
    computer.end_browser().unwrap();
    assert!(computer.living_browser().unwrap().is_none());
}
