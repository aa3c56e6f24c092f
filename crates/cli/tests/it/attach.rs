//! What a server that was killed finds again: terminals with their programs and screens, browsers with their pages; and
//! what becomes of a computer that died with it, or whose task is over.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal};
use sandbox::{Computer, Depict, Until};
use serde_json::json;

use crate::desk::{Desk, Running, call, exec, exec_until_go, say, until};
use crate::serve::serve;

/// The processes inside a computer, as this machine numbers them: those that see its workspace, and those below them.
fn inside(workspace: &Path) -> Vec<i32> {
    let mark = format!("{} /workspace", workspace.canonicalize().unwrap().display());
    let profile = format!("{}/computer/browser/profile", workspace.parent().unwrap().canonicalize().unwrap().display());
    let text = |pid: i32, what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let sees = |pid: &i32| {
        let mounts = text(*pid, "mountinfo");
        mounts.contains(&mark) || mounts.contains(&profile)
    };
    numbers.filter(sees).collect()
}

fn are_gone(pids: &[i32]) -> bool {
    let ended = |pid: &i32| match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // Dead, and not yet collected by whoever adopted it.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => true,
    };
    pids.iter().all(ended)
}

/// The one terminal of a task's computer: its screen as it would be drawn.
fn drawn(desk: &Desk, id: &str) -> sandbox::Screen {
    let computer = Computer::attach(&desk.task(id).join("computer")).unwrap().unwrap();
    let terminal = &computer.terminals().unwrap()[0];
    let look = computer.look(&terminal.call, Until::Now, Depict::Drawing, Duration::from_secs(60)).unwrap();
    look.unwrap().screen.unwrap()
}

fn killed_and_started_again<'a>(desk: &'a Desk, server: Running<'a>) -> Running<'a> {
    server.signal(Signal::KILL);
    server.end().code(1_009);
    let server = serve(desk);
    assert!(server.said().contains("One task was under way and goes on."), "{}", server.said());
    server
}

#[test]
fn a_killed_server_finds_terminals_again_with_program_and_screen() {
    let desk = Desk::new();
    let typed = |input: &str| call("shell_write_to_process", json!({ "id": "main", "input": input }));
    let at = |command: &str| call("shell_exec", json!({ "command": command, "terminal": "main" }));
    let script = desk.script(&[
        at("cd /tmp; WORD=kept; setsid sleep 1000 & echo $$ > /workspace/before"),
        typed("cat > /workspace/typed"),
        typed("sooner"),
        exec_until_go("true", "true"),
        typed("later"),
        call("shell_write_to_process", json!({ "id": "main", "input": "\u{4}", "press_enter": false })),
        at("echo $$ > /workspace/after; echo \"$WORD in $PWD\"; (exit 3)"),
        say("Finished."),
    ]);
    let server = serve(&desk);
    let run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Type"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    let screen = drawn(&desk, "t-one");
    assert!(screen.content.contains("sooner"), "{}", screen.content);
    let processes = inside(&workspace);
    assert!(processes.len() > 3, "{processes:?}");
    let server = killed_and_started_again(&desk, server);
    assert_eq!(drawn(&desk, "t-one"), screen);
    fs::write(workspace.join("go"), "").unwrap();
    run.end().code(0).puts_out("Finished.\n");
    let read = |name: &str| fs::read_to_string(workspace.join(name)).unwrap();
    assert_eq!(read("typed"), "sooner\nlater\n");
    assert_eq!(read("before"), read("after"), "it is the same shell");
    let told = &desk.results("t-one")[6];
    assert!(told.contains("exit code 3\n") && told.contains("kept in /tmp"), "{told}");
    // The task is over: so are its shell, and what was sent into a session of its own.
    until("all of it is gone", || are_gone(&processes) && !desk.has_computer("t-one"));
    server.signal(Signal::TERM);
    server.end().code(0);
    desk.run(&["journal", "verify", "t-one"]).code(0);
}

#[test]
fn a_killed_server_finds_browsers_again_with_page_and_numbers() {
    let desk = Desk::new();
    let page = "data:text/html,<title>Shop</title><p><label>Name <input></label>\
        <button onclick='this.textContent=`Bought by ${document.querySelector(`input`).value}`'>Buy</button>";
    let script = desk.script(&[
        call("browser_navigate", json!({ "url": page })),
        call("browser_input", json!({ "element": 1, "text": "Ann Lee" })),
        call("browser_view", json!({})),
        exec_until_go("true", "true"),
        call("browser_view", json!({})),
        call("browser_click", json!({ "element": 2 })),
        call("browser_view", json!({})),
        say("Finished."),
    ]);
    let server = serve(&desk);
    let run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Buy"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    let processes = inside(&workspace);
    let server = killed_and_started_again(&desk, server);
    fs::write(workspace.join("go"), "").unwrap();
    run.end().code(0);
    let told = desk.results("t-one");
    let page = told[2].lines().find(|line| line.contains("[1 textbox") && line.contains("[2 button")).unwrap();
    assert!(page.contains("Ann Lee") && told[4].contains(page), "before: {}\nafter: {}", told[2], told[4]);
    assert!(told[4].contains("taken up anew"), "{}", told[4]);
    assert!(told[6].contains("Bought by Ann Lee"), "{}", told[6]);
    until("all of it is gone", || are_gone(&processes) && !desk.has_computer("t-one"));
    server.signal(Signal::TERM);
    server.end().code(0);
}

/// Gives a list, whose end it keeps back until there is a file.
const SITE: &str = "import http.server, os, time\n\
    class Site(http.server.BaseHTTPRequestHandler):\n\
    \u{20}def do_GET(self):\n\
    \u{20} self.send_response(200)\n\
    \u{20} if self.path != '/list':\n\
    \u{20}  self.send_header('Content-Type', 'text/html'); self.end_headers()\n\
    \u{20}  return self.wfile.write(b'<a href=/list>List</a>')\n\
    \u{20} self.send_header('Content-Type', 'text/csv')\n\
    \u{20} self.send_header('Content-Disposition', 'attachment; filename=\"list of May.csv\"'); self.end_headers()\n\
    \u{20} self.wfile.write(b'a,b\\n'); self.wfile.flush()\n\
    \u{20} while not os.path.exists('finish'): time.sleep(.02)\n\
    \u{20} self.wfile.write(b'1,2\\n')\n\
    http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Site).serve_forever()\n";

#[test]
fn a_download_that_ends_while_nobody_listens_keeps_its_name() {
    let desk = Desk::new();
    let listens =
        "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000))' 2>/dev/null; do :; done";
    let script = desk.script(&[
        call("file_write", json!({ "path": "site.py", "content": SITE })),
        exec(&format!("python3 site.py > /dev/null 2>&1 & {listens}")),
        call("browser_navigate", json!({ "url": "http://localhost:8000/" })),
        call("browser_click", json!({ "element": 1 })),
        exec_until_go("true", "true"),
        call("browser_view", json!({})),
        say("Finished."),
    ]);
    let server = serve(&desk);
    let run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Fetch"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    server.signal(Signal::KILL);
    server.end().code(1_009);
    fs::write(workspace.join("finish"), "").unwrap();
    let downloads = desk.task("t-one").join("computer/browser/downloads");
    let whole = || {
        let all: Vec<_> = fs::read_dir(&downloads).unwrap().flatten().map(|entry| entry.path()).collect();
        all.into_iter()
            .find(|path| path.extension().is_none() && fs::read(path).is_ok_and(|text| text == b"a,b\n1,2\n"))
    };
    until("it is whole", || whole().is_some());
    // It came a while ago: nobody waits any more for the browser's word on it.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(whole().unwrap()).unwrap().set_modified(long_ago).unwrap();
    let server = serve(&desk);
    fs::write(workspace.join("go"), "").unwrap();
    run.end().code(0);
    let told = &desk.results("t-one")[5];
    assert!(
        told.contains("An earlier download of \"list of May.csv\" (8 bytes) is at \"/workspace/downloads/"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(workspace.join("downloads/list of May.csv")).unwrap(), "a,b\n1,2\n");
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn a_computer_that_died_with_the_server_is_told_of_and_cleared_away() {
    let desk = Desk::new();
    let script = desk.script(&[
        call("shell_exec", json!({ "command": "echo here", "terminal": "main" })),
        exec_until_go("echo once >> log.txt", "true"),
        exec("echo after >> log.txt"),
        call("shell_view", json!({ "id": "main" })),
        say("Finished."),
    ]);
    let server = serve(&desk);
    let run = desk.start(&["run", "--on-server", "--model", &script, "--id", "t-one", "Count"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    let processes = inside(&workspace);
    let keeper = keeper_of(&processes);
    let groups = groups_of(keeper);
    server.signal(Signal::KILL);
    server.end().code(1_009);
    rustix::process::kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    until("it is dead with all that was in it", || are_gone(&processes) && are_gone(&[keeper]));
    let socket = desk.task("t-one").join("computer/keeper.sock");
    assert!(socket.exists(), "its socket is left");
    let server = serve(&desk);
    run.end().code(0).puts_out("Finished.\n");
    let told = desk.results("t-one");
    assert!(told[1].contains("unknown") || told[1].contains("not known"), "{}", told[1]);
    assert_eq!(fs::read_to_string(workspace.join("log.txt")).unwrap(), "once\nafter\n", "nothing is run again");
    assert!(told[3].contains("main") && !told[3].contains("waits for a command"), "{}", told[3]);
    until("nothing is left", || {
        !desk.has_computer("t-one") && !socket.exists() && groups.iter().all(|group| !Path::new(group).exists())
    });
    server.signal(Signal::TERM);
    server.end().code(0);
}

#[test]
fn what_the_killed_left_is_told_by_the_doctor_and_cleared_away_by_a_command() {
    let desk = Desk::new();
    let script = desk.script(&[exec_until_go("true", "true"), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Wait"]);
    let workspace = desk.task("t-one").join("workspace");
    desk.until_there(&workspace.join("begun"));
    let processes = inside(&workspace);
    let keeper = keeper_of(&processes);
    running.signal(Signal::KILL);
    running.end().code(1_009);
    rustix::process::kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    until("all is dead", || are_gone(&processes) && are_gone(&[keeper]));
    let report = desk.run(&["doctor", "--json"]).code(0).json();
    let finding = |report: &serde_json::Value| {
        let all = report["findings"].as_array().unwrap().clone();
        all.into_iter().find(|finding| finding["name"] == "left behind").unwrap()
    };
    let found = finding(&report);
    assert_eq!((&found["works"], &found["fix"]), (&json!(false), &json!("thenar clean")), "{found}");
    assert!(found["finding"].as_str().unwrap().contains("1 socket at which nobody answers"), "{found}");
    let ran = desk.run(&["clean"]).code(0);
    assert!(ran.out.starts_with("cleared: 1 socket at which nobody answers"), "{}", ran.out);
    // Others on this machine may leave groups in the kernel at any time; here nothing is left.
    let ran = desk.run(&["clean"]).code(0);
    assert!(!ran.seen().contains("socket"), "{}", ran.seen());
    // The task is as it was: what its command did is unknown, and it goes on.
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
}

/// The keeper above these processes.
fn keeper_of(processes: &[i32]) -> i32 {
    let parent = |pid: i32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let is = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "thenar-keeper\n");
    processes.iter().filter_map(|pid| parent(*pid)).find(is).unwrap()
}

/// The control groups that bear this keeper's number, where this machine lets any be made.
fn groups_of(keeper: i32) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let named = entry.file_name().to_string_lossy().starts_with(&format!("{keeper}-"));
                found.extend(named.then(|| entry.path().display().to_string()));
                folders.push(entry.path());
            }
        }
    }
    found
}
