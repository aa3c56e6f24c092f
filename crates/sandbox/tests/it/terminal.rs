//! Terminals that last: a real shell on a real screen, whoever comes and goes.

use std::time::Duration;

use sandbox::{
    Computer, Depict, Error, Exit, Look, Recorded, Size, Terminal, Until, recorded, recorded_terminals, typed_into,
};

use crate::desk::{Desk, PATIENCE, alive, ended, keeper_pid, kill, output, run, until};

/// A terminal with a shell that waits.
#[track_caller]
fn open(computer: &Computer, call: &str, name: &str) -> Terminal {
    computer.open_terminal(call, name, None, Default::default(), Size::USUAL).unwrap();
    look(computer, call, Until::AtPrompt, Depict::Nothing).terminal
}

#[track_caller]
fn look(computer: &Computer, call: &str, wanted: Until, depict: Depict) -> Look {
    computer.look(call, wanted, depict, PATIENCE).unwrap().unwrap()
}

fn screen(computer: &Computer, call: &str) -> String {
    look(computer, call, Until::Now, Depict::Text).screen.unwrap().content
}

/// Types a command, waits for its end, and gives its exit code and output.
#[track_caller]
fn command(computer: &Computer, call: &str, write: &str, text: &str) -> (i32, String) {
    let (exit, output) = command_over(computer, call, write, text);
    (exit.unwrap(), output)
}

/// The same where nothing may tell the exit code.
#[track_caller]
fn command_over(computer: &Computer, call: &str, write: &str, text: &str) -> (Option<i32>, String) {
    computer.type_command(write, call, text).unwrap();
    let over = Until::Over { write: write.to_owned() };
    how_it_ended(computer, &look(computer, call, over, Depict::Nothing).terminal)
}

/// Exit code and output of the command that was typed last.
#[track_caller]
fn how_it_ended(computer: &Computer, terminal: &Terminal) -> (Option<i32>, String) {
    let command = terminal.command.as_ref().unwrap();
    let (to, exit) = command.ended.unwrap();
    let bytes = computer.output(&terminal.call, command.from, usize::try_from(to - command.from).unwrap()).unwrap();
    (exit, String::from_utf8(bytes).unwrap().replace('\r', "").replace("\u{1b}]133;C\u{7}", ""))
}

#[test]
fn what_a_shell_has_lasts_between_commands() {
    let desk = Desk::new();
    let computer = desk.open();
    assert_eq!(open(&computer, "t", "main").name, "main");
    assert_eq!(command(&computer, "t", "w1", "cd /tmp; export WORD='well done!'; false"), (1, String::new()));
    assert_eq!(command(&computer, "t", "w2", "pwd; echo \"$WORD\""), (0, "/tmp\nwell done!\n".to_owned()));
    // Several lines are one command, and so is half a line that somebody else had begun.
    let lines = "for word in one two; do\n  echo $word\ndone\necho three; (exit 7)";
    assert_eq!(command(&computer, "t", "w3", lines), (7, "one\ntwo\nthree\n".to_owned()));
    computer.write_input("k1", "t", b"rm -rf half a comm").unwrap();
    until("it is on the screen", || screen(&computer, "t").contains("half a comm"));
    assert_eq!(command(&computer, "t", "w4", "echo clean"), (0, "clean\n".to_owned()));
    assert_eq!(command(&computer, "t", "w5", "tty; [ -t 1 ] && echo screen"), (0, "/dev/pts/0\nscreen\n".to_owned()));
    // A command is only taken by a shell that waits, and a running program takes keys.
    computer.type_command("w6", "t", "echo ready; cat").unwrap();
    let refused = computer.type_command("w7", "t", "echo no").unwrap_err();
    assert!(refused.to_string().contains("does not wait for a command"), "{refused}");
    // Before that, keys are the shell's, and what ends a file for a program is none to it.
    until("it runs", || screen(&computer, "t").contains("\nready"));
    computer.write_input("k2", "t", b"typed\n\x04").unwrap();
    look(&computer, "t", Until::Over { write: "w6".to_owned() }, Depict::Nothing);
    assert!(screen(&computer, "t").contains("typed\ntyped\n"), "{}", screen(&computer, "t"));
    // Leaving it ends it, and frees the name.
    computer.write_input("k3", "t", b"exit 3\r").unwrap();
    assert_eq!(ended(&computer, "t").exit, Exit::Code(3));
    assert_eq!(computer.look("t", Until::Now, Depict::Text, Duration::ZERO).unwrap(), None);
    assert_eq!(computer.terminals().unwrap(), []);
    open(&computer, "u", "main");
    let all = [("main", "t"), ("main", "u")].map(|(name, call)| (name.to_owned(), call.to_owned()));
    assert_eq!(recorded_terminals(&desk.spec.dir).unwrap(), all);
}

#[test]
fn no_command_hides_its_end_or_the_next_ones() {
    let desk = Desk::new();
    let computer = desk.open();
    let cases = [
        ("cd /; (cd /tmp; exit 3)", Some(3), Some(5)),
        ("set -u; trap true DEBUG; (exit 3)", Some(3), Some(5)),
        ("PROMPT_COMMAND=true; (exit 3)", Some(3), Some(5)),
        ("unset PROMPT_COMMAND; (exit 3)", Some(3), Some(5)),
        ("PS1='mine> '; unset PS0; (exit 3)", Some(3), Some(5)),
        ("exec bash --norc", Some(0), Some(5)),
        ("bash --norc", Some(0), Some(5)),
        // Nobody tells a number any more; that it is over is seen all the same.
        ("shopt -u promptvars; unset PROMPT_COMMAND; (exit 3)", None, None),
        ("unset PS0 PS1 PROMPT_COMMAND; (exit 3)", None, None),
        ("exec env -i TERM=xterm bash --norc", None, None),
    ];
    for (number, (text, first, second)) in cases.into_iter().enumerate() {
        let call = format!("t{number}");
        open(&computer, &call, "main");
        assert_eq!(command_over(&computer, &call, &format!("a{number}"), text).0, first, "{text}");
        let next = command_over(&computer, &call, &format!("b{number}"), "echo next; (exit 5)");
        assert_eq!(next, (second, "next\n".to_owned()), "after {text}");
        computer.kill(&call).unwrap();
        ended(&computer, &call);
    }
    // Its output is no longer the terminal's: the end still is.
    open(&computer, "u", "main");
    assert_eq!(command(&computer, "u", "w1", "exec >/dev/null; (exit 3)").0, 3);
    assert_eq!(command(&computer, "u", "w2", "echo next; (exit 5)"), (5, String::new()));
    // And what ends the shell ends the terminal.
    computer.type_command("w3", "u", "set -e; false").unwrap();
    assert_eq!(ended(&computer, "u").exit, Exit::Code(1));
}

#[test]
fn a_command_that_is_not_whole_is_not_over_until_it_is() {
    let desk = Desk::new();
    let computer = desk.open();
    open(&computer, "t", "main");
    let now = || look(&computer, "t", Until::Now, Depict::Nothing).terminal;
    // Its prompt for the rest is put back where it was taken.
    command(&computer, "t", "w", "unset PS2");
    let cases = [
        ("echo 'one", "two'; (exit 3)", 3, "one\ntwo\n"),
        ("cat <<END", "in it\nEND", 0, "in it\n"),
        ("if true; then", "(exit 4); fi", 4, ""),
        ("(echo again", "exit 5)", 5, "again\n"),
    ];
    for (number, (begun, rest, exit, output)) in cases.into_iter().enumerate() {
        let write = format!("w{number}");
        computer.type_command(&write, "t", begun).unwrap();
        until("the shell is seen to wait for the rest", || now().unfinished);
        let seen = now();
        assert_eq!((seen.at_prompt, seen.unmarked), (false, false), "{begun}");
        assert_eq!(seen.command.unwrap().ended, None, "{begun}");
        assert!(computer.type_command(&format!("x{number}"), "t", "echo no").is_err(), "{begun}");
        let keys = format!("{}\r", rest.replace('\n', "\r"));
        computer.write_input(&format!("k{number}"), "t", keys.as_bytes()).unwrap();
        let seen = look(&computer, "t", Until::Over { write }, Depict::Nothing).terminal;
        assert!(!seen.unfinished, "{begun}");
        assert_eq!(how_it_ended(&computer, &seen), (Some(exit), output.to_owned()), "{begun}");
    }
    // Given up, it is over as well.
    computer.type_command("v1", "t", "echo \"never").unwrap();
    until("the shell is seen to wait for the rest", || now().unfinished);
    computer.write_input("c1", "t", b"\x03").unwrap();
    look(&computer, "t", Until::Over { write: "v1".to_owned() }, Depict::Nothing);
    assert_eq!(command(&computer, "t", "v2", "echo clean"), (0, "clean\n".to_owned()));
}

#[test]
fn a_shell_that_does_not_tell_is_said_to_be_one() {
    let desk = Desk::new();
    let computer = desk.open();
    open(&computer, "t", "main");
    let unmarked = || look(&computer, "t", Until::Now, Depict::Nothing).terminal.unmarked;
    computer.type_command("w1", "t", "read -r word; echo \"it was $word\"").unwrap();
    until("nothing but the shell has the terminal", unmarked);
    computer.write_input("k1", "t", b"fine\r").unwrap();
    look(&computer, "t", Until::Over { write: "w1".to_owned() }, Depict::Nothing);
    assert!(!unmarked() && screen(&computer, "t").contains("it was fine"));
    // A shell of another kind in its place says nothing, and is typed into as any program.
    computer.type_command("w2", "t", "PS1='$ ' exec sh").unwrap();
    until("it is another shell", unmarked);
    assert!(computer.type_command("w3", "t", "echo no").is_err());
    computer.write_input("k2", "t", b"echo from sh; exec sleep 1000\r").unwrap();
    until("it took it", || screen(&computer, "t").contains("\nfrom sh"));
    // And one that was told to say nothing at all.
    open(&computer, "u", "other");
    let silent = "bind 'set enable-bracketed-paste off'; unset PS0 PS1 PROMPT_COMMAND";
    command_over(&computer, "u", "w4", silent);
    computer.type_command("w5", "u", "echo still told").unwrap();
    until("it is said", || look(&computer, "u", Until::Now, Depict::Nothing).terminal.unmarked);
    assert!(screen(&computer, "u").contains("\nstill told"));
}

#[test]
fn another_size_reaches_the_programs() {
    let desk = Desk::new();
    let computer = desk.open();
    open(&computer, "t", "main");
    assert_eq!(command(&computer, "t", "w1", "stty size"), (0, "30 100\n".to_owned()));
    let size = Size { columns: 61, lines: 17 };
    computer.resize_terminal("t", size).unwrap();
    assert_eq!(command(&computer, "t", "w2", "stty size"), (0, "17 61\n".to_owned()));
    assert_eq!(look(&computer, "t", Until::Now, Depict::Nothing).terminal.size, size);
    for size in [Size { columns: 0, lines: 24 }, Size { columns: 80, lines: 60_000 }] {
        assert!(matches!(computer.resize_terminal("t", size), Err(Error::Invalid(_))));
    }
}

#[test]
fn a_program_with_the_whole_screen_is_seen_and_driven() {
    let desk = Desk::new();
    let computer = desk.open();
    open(&computer, "t", "main");
    command(&computer, "t", "w1", "seq 200 > numbers");
    let program = "import curses\n\
        def main(screen):\n    screen.addstr(3, 10, 'press a key')\n    key = screen.getkey()\n    \
        screen.addstr(4, 10, 'it was ' + key, curses.A_BOLD)\n    screen.getkey()\n\
        curses.wrapper(main)\n";
    std::fs::write(desk.path().join("workspace/full.py"), program).unwrap();
    computer.type_command("w2", "t", "python3 full.py").unwrap();
    until("it asks", || screen(&computer, "t").contains("press a key"));
    computer.write_input("k1", "t", b"x").unwrap();
    until("it answers", || screen(&computer, "t").contains("it was x"));
    let seen = look(&computer, "t", Until::Now, Depict::Text).screen.unwrap();
    assert!(seen.full_screen);
    assert_eq!(seen.content.lines().nth(4), Some("          it was x"));
    computer.write_input("k2", "t", b"q").unwrap();
    look(&computer, "t", Until::Over { write: "w2".to_owned() }, Depict::Nothing);
    assert!(!screen(&computer, "t").contains("press a key"), "the screen before is back");
    computer.type_command("w3", "t", "less numbers").unwrap();
    until("a page is there", || screen(&computer, "t").starts_with("1\n2\n3\n"));
    computer.write_input("k3", "t", b"G").unwrap();
    until("the end is there", || screen(&computer, "t").contains("\n200\n"));
    computer.write_input("k4", "t", b"q").unwrap();
    look(&computer, "t", Until::Over { write: "w3".to_owned() }, Depict::Nothing);
}

#[test]
fn whoever_comes_back_finds_the_same_screen_and_types_nothing_twice() {
    let desk = Desk::new();
    let first = desk.open();
    open(&first, "t", "main");
    command(&first, "t", "w1", "seq 100");
    first.type_command("w2", "t", "echo once >> count; cat").unwrap();
    until("it runs", || {
        let seen = look(&first, "t", Until::Now, Depict::Text).screen.unwrap();
        seen.cursor.0 == 0 && desk.path().join("workspace/count").exists()
    });
    let drawing = |computer: &Computer| look(computer, "t", Until::Now, Depict::Drawing).screen.unwrap();
    let seen = drawing(&first);
    drop(first);
    let again = Computer::attach(&desk.spec.dir).unwrap().expect("it lives");
    assert_eq!(drawing(&again), seen);
    again.open_terminal("t", "main", None, Default::default(), Size::USUAL).unwrap();
    again.type_command("w2", "t", "echo once >> count; cat").unwrap();
    again.write_input("k1", "t", b"a\n").unwrap();
    again.write_input("k1", "t", b"a\n").unwrap();
    again.write_input("k2", "t", b"\x04").unwrap();
    look(&again, "t", Until::Over { write: "w2".to_owned() }, Depict::Nothing);
    assert!(screen(&again, "t").trim_end().ends_with("cat\na\na\n/workspace $"), "{}", screen(&again, "t"));
    assert_eq!(std::fs::read_to_string(desk.path().join("workspace/count")).unwrap(), "once\n");
    assert_eq!(typed_into(&desk.spec.dir, "w2").unwrap().as_deref(), Some("t"));
    assert_eq!(typed_into(&desk.spec.dir, "w3").unwrap(), None);
    // With its computer it is gone, and what was typed is known for ever.
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    kill(keeper);
    until("the keeper is dead", || !alive(keeper));
    assert!(matches!(again.look("t", Until::Now, Depict::Text, Duration::ZERO), Err(Error::Gone { .. })));
    assert_eq!(recorded(&desk.spec.dir, "t").unwrap(), Recorded::Lost);
    assert_eq!(typed_into(&desk.spec.dir, "w2").unwrap().as_deref(), Some("t"));
    let next = desk.open();
    assert!(next.open_terminal("t", "main", None, Default::default(), Size::USUAL).is_err(), "nothing is run again");
    assert_eq!(next.terminals().unwrap(), []);
    open(&next, "u", "main");
}

#[test]
fn output_without_an_end_is_bounded_and_hinders_nobody() {
    let mut desk = Desk::new();
    desk.spec.limits.output_bytes = 100_000;
    let computer = desk.open();
    open(&computer, "t", "main");
    computer.type_command("w1", "t", "yes thenar").unwrap();
    until("more is put out than is kept", || {
        let terminal = look(&computer, "t", Until::Now, Depict::Nothing).terminal;
        terminal.kept_bytes == 100_000 && terminal.seen_bytes > 2_000_000
    });
    assert_eq!(run(&computer, "echo meanwhile"), (Exit::Code(0), "meanwhile\n".to_owned()));
    computer.write_input("k1", "t", b"\x03").unwrap();
    look(&computer, "t", Until::Over { write: "w1".to_owned() }, Depict::Nothing);
    computer.type_command("w2", "t", "echo still drawn").unwrap();
    until("the screen goes on", || screen(&computer, "t").contains("\nstill drawn\n"));
    assert_eq!(output(&computer, "t").len(), 100_000);
    computer.kill("t").unwrap();
    let result = ended(&computer, "t");
    assert!(result.output_truncated && result.limit.unwrap().contains("output: of one command 97.6 KiB are kept"));
}

#[test]
fn terminals_are_counted_and_named() {
    let desk = Desk::new();
    let computer = desk.open();
    for number in 0..sandbox::TERMINALS_MAX {
        computer
            .open_terminal(&format!("t{number}"), &format!("name-{number}"), None, Default::default(), Size::USUAL)
            .unwrap();
    }
    let refused =
        computer.open_terminal("u", "one-more", None, Default::default(), Size::USUAL).unwrap_err().to_string();
    assert!(refused.contains("terminals are open already"), "{refused}");
    let refused = computer.open_terminal("u", "name-3", None, Default::default(), Size::USUAL).unwrap_err().to_string();
    assert!(refused.contains("there is a terminal name-3 already"), "{refused}");
    for name in ["", "a b", "a/b", &"x".repeat(65)] {
        assert!(
            matches!(computer.open_terminal("u", name, None, Default::default(), Size::USUAL), Err(Error::Invalid(_))),
            "{name}"
        );
    }
    assert_eq!(recorded(&desk.spec.dir, "u").unwrap(), Recorded::NeverSeen);
    let names: Vec<String> = computer.terminals().unwrap().into_iter().map(|terminal| terminal.name).collect();
    assert_eq!(names, (0..sandbox::TERMINALS_MAX).map(|number| format!("name-{number}")).collect::<Vec<_>>());
}

#[test]
fn those_who_watch_keep_no_computer_alive() {
    let mut desk = Desk::new();
    // Long enough for a busy machine to begin to watch.
    desk.spec.limits.idle_ms = 6_000;
    let computer = desk.open();
    open(&computer, "t", "main");
    let changes = look(&computer, "t", Until::Now, Depict::Nothing).terminal.changes;
    let watch = || computer.look("t", Until::Changed { changes }, Depict::Nothing, PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let watchers = [scope.spawn(watch), scope.spawn(watch)];
        assert_eq!(watchers.map(|watcher| watcher.join().unwrap()), [None, None], "it is over");
    });
    until("the computer has gone to rest", || Computer::attach(&desk.spec.dir).unwrap().is_none());
    assert!(matches!(recorded(&desk.spec.dir, "t").unwrap(), Recorded::Ended(_)));
}

#[test]
fn a_shell_that_waits_keeps_no_computer_alive() {
    let mut desk = Desk::new();
    desk.spec.limits.idle_ms = 500;
    // On a busy machine one may have gone before a terminal is opened in it: then it is in another.
    let call = (0..).map(|number| format!("t{number}")).find(|call| {
        let opened = desk.open().open_terminal(call, "main", None, Default::default(), Size::USUAL);
        opened.is_ok()
    });
    until("the computer has gone to rest", || Computer::attach(&desk.spec.dir).unwrap().is_none());
    assert!(matches!(recorded(&desk.spec.dir, &call.unwrap()).unwrap(), Recorded::Ended(_)));
}
