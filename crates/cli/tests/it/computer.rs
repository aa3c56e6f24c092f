//! `computer exec`: the command's output and exit code are ours, and the person's folder stays theirs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use crate::desk::{Desk, Ran, Running, until};

fn exec(desk: &Desk, more: &[&str], script: &str) -> Ran {
    desk.run(&[&["computer", "exec"], more, &["--", "sh", "-c", script]].concat())
}

#[test]
fn the_exit_code_is_the_commands() {
    let desk = Desk::new();
    for (script, code) in [("true", 0), ("exit 42", 42), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
    {
        exec(&desk, &[], script).code(code).puts_out("");
    }
    let ran = desk.run(&["computer", "exec", "--", "no-such-program"]).code(127);
    assert!(ran.out.contains("no-such-program: not found"), "{}", ran.out);
    exec(&desk, &[], "echo out; echo err >&2; pwd; id -u").code(0).puts_out("out\nerr\n/workspace\n1000\n");
    let left = fs::read_dir(desk.path("home/exec")).into_iter().flatten().count();
    assert_eq!(left, 0, "nothing is left of them");
}

#[test]
fn a_workspace_deeper_than_there_are_descriptors_goes_with_its_command() {
    let desk = Desk::new();
    let dig = "import os\nfor level in range(2_000):\n os.mkdir('d'); os.chdir('d')\nprint('dug')";
    // As a shell of an ordinary user begins: a removal that holds one for each level would stop half way.
    let machine = "ulimit -n 1024; exec \"$@\"";
    let dug = desk.run_as_it_is(machine, &["computer", "exec", "--", "python3", "-c", dig]);
    dug.code(0).puts_out("dug\n");
    assert_eq!(fs::read_dir(desk.path("home/exec")).into_iter().flatten().count(), 0, "nothing is left of it");
}

#[test]
fn input_is_passed_on_as_it_is() {
    let desk = Desk::new();
    let reading =
        |command: &[&str], input: &[u8]| desk.run_reading(&[&["computer", "exec", "--"], command].concat(), input);
    reading(&["sort"], b"pear\napple\n").code(0).puts_out("apple\npear\n");
    reading(&["wc", "-c"], b"").code(0).puts_out("0\n");
    reading(&["true"], b"not read").code(0).puts_out("");
    // No line of a terminal is as long, and none holds these bytes.
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let ran = reading(&["sha256sum"], &all).code(0);
    assert!(ran.out.starts_with(&event::Digest::of(&all).to_string()), "{}", ran.out);
}

#[test]
fn at_a_terminal_the_command_has_one_too() {
    let desk = Desk::new();
    let mut terminal =
        desk.start_at_terminal(&["computer", "exec", "--", "sh", "-c", "test -t 0 && echo ask; read x; echo got $x"]);
    terminal.until_shown("ask\n");
    terminal.types("word");
    assert_eq!(terminal.end(), (Some(0), "ask\nword\ngot word\n".to_owned()));
}

#[test]
fn a_persons_folder_is_lent_not_given() {
    let desk = Desk::new();
    let (kept, folder) = (desk.write("mine/kept.txt", "kept\n"), desk.path("mine"));
    exec(&desk, &["--workspace", folder.to_str().unwrap()], "cat kept.txt; echo new > new.txt")
        .code(0)
        .puts_out("kept\n");
    let (new, own) = (fs::metadata(folder.join("new.txt")).unwrap(), fs::metadata(&folder).unwrap());
    assert_eq!((new.uid(), new.gid()), (own.uid(), own.gid()));
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept\n");
}

#[test]
fn folders_that_are_not_for_lending_are_refused() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("home/tasks")).unwrap();
    let home = ["home", "home/tasks", "person", ""].map(|below| desk.path(below).to_string_lossy().into_owned());
    for folder in ["/", "/etc", "/root", "/home"].into_iter().chain(home.iter().map(String::as_str)) {
        let ran = exec(&desk, &["--workspace", folder], "true");
        assert_eq!(ran.out, "", "{folder}");
        ran.code(125).says("error: ");
    }
    exec(&desk, &["--workspace", "nowhere"], "true").code(125).says("use nowhere as workspace: it cannot be opened");
    // A task with such a folder fails before it does anything.
    let script = desk.script(&[crate::desk::exec("true"), crate::desk::say("Finished.")]);
    for folder in ["/", home[2].as_str()] {
        desk.run(&["run", "--model", &script, "--workspace", folder, "x"]).code(2).says("--workspace");
    }
}

/// A command that runs until it is ended, in a folder in which the test can see that it does.
fn waiting(desk: &Desk) -> Running<'_> {
    let folder = desk.path("mine");
    fs::create_dir_all(&folder).unwrap();
    let script = "touch begun; exec sleep 600";
    let running = desk.start(&["computer", "exec", "--workspace", folder.to_str().unwrap(), "--", "sh", "-c", script]);
    desk.until_there(&folder.join("begun"));
    running
}

#[test]
fn ctrl_c_ends_the_command_and_its_computer() {
    let desk = Desk::new();
    let running = waiting(&desk);
    let folder = desk.path(&format!("home/exec/{}/computer", running.pid()));
    assert!(matches!(sandbox::Computer::attach(&folder), Ok(Some(_))));
    running.signal(Signal::INT);
    running.end().code(130);
    until("its computer is gone", || !matches!(sandbox::Computer::attach(&folder), Ok(Some(_))));
    assert_eq!(fs::read_dir(desk.path("home/exec")).unwrap().count(), 0);
}

#[test]
fn what_a_killed_one_left_the_next_one_clears_away() {
    let desk = Desk::new();
    let running = waiting(&desk);
    let folder = desk.path(&format!("home/exec/{}/computer", running.pid()));
    running.signal(Signal::KILL);
    running.end().code(1_009);
    let computer = sandbox::Computer::attach(&folder).unwrap();
    assert!(computer.is_some());
    exec(&desk, &[], "true").code(0);
    assert!(!folder.exists());
    let gone =
        || !matches!(computer.as_ref().map(|computer| computer.wait("exec", std::time::Duration::ZERO)), Some(Ok(_)));
    until("its computer is gone", gone);
}

#[test]
fn a_limit_of_the_configuration_is_met_and_told() {
    let desk = Desk::new();
    desk.config("[computer]\nmemory = \"96M\"\ndisk = \"4M\"\n");
    let hold = "(head -c 48000000 /dev/zero; sleep 8) | tail -c 48000000 >/dev/null";
    let ran = exec(&desk, &[], &format!("for i in 1 2 3 4; do ({hold}) & done; wait"));
    ran.says("limit reached: memory: everything in the computer together may hold 96 MiB");
    let ran = exec(&desk, &[], "head -c 50000000 /dev/zero > big; sleep 1000");
    ran.says("and may hold 4 MiB in").code(137);
}
