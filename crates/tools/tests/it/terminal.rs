//! Terminals as a model uses them: what lasts, what is shown, what is refused, and what an engine that died left behind.

use event::{ToolFact, ToolStatus};
use serde_json::json;

use crate::task::Task;

fn typed(task: &mut Task, command: &str) -> String {
    task.text("shell_exec", json!({"command": command, "terminal": "main"}))
}

#[test]
fn what_a_terminal_has_lasts_between_calls_and_beside_other_commands() {
    let mut task = Task::new();
    assert_eq!(typed(&mut task, "cd /tmp; export A=1; false"), "exit code 1\n(no output)");
    let result = task.run("shell_exec", json!({"command": "pwd; echo $A", "terminal": "main"}));
    assert_eq!(result.text, "exit code 0\n/tmp\n1\n");
    let fact = ToolFact::Command { exit_code: Some(0), output_bytes: 9, running: false, limit: None, limits: vec![] };
    assert_eq!((result.facts, result.label), (vec![fact], event::Label::output_of(event::EffectId(2))));
    assert_eq!(task.text("shell_exec", json!({"command": "pwd"})), "exit code 0\n/workspace\n");
    let other = json!({"command": "pwd", "terminal": "other", "exec_dir": "/usr"});
    assert_eq!(task.text("shell_exec", other.clone()), "exit code 0\n/usr\n");
    let refused = task.run("shell_exec", other);
    assert_eq!(refused.status, ToolStatus::Invalid, "{}", refused.text);
    // Nothing of it can act on the terminal of whoever reads it.
    let escapes = typed(&mut task, r"printf '\033]0;title\007\033[2J\033[31mred\033[m\n'");
    assert_eq!(escapes, "exit code 0\nred\n");
    let screen = task.text("shell_view", json!({"id": "main"}));
    assert!(screen.starts_with("Terminal \"main\" waits for a command; the last command ended with exit code 0."));
    assert!(!screen.contains('\u{1b}') && screen.contains("red"), "{screen}");
    // Of what was typed into it since, and not of the last command that was a call.
    let mut failed = task.run("shell_write_to_process", json!({"id": "main", "input": "(exit 4)"}));
    while !failed.text.contains("the last command ended with exit code 4.") {
        failed = task.run("shell_view", json!({"id": "main"}));
    }
    assert!(matches!(failed.facts[..], [ToolFact::Command { exit_code: Some(4), .. }]), "{:?}", failed.facts);
}

#[test]
fn a_command_that_is_not_whole_is_told_as_that_and_can_be_finished_or_given_up() {
    let mut task = Task::new();
    let begun = task.run("shell_exec", json!({"command": "echo 'one", "terminal": "main"}));
    let running = |facts: &[ToolFact]| matches!(facts, [ToolFact::Command { exit_code: None, running: true, .. }]);
    assert!(begun.text.contains("waits for the rest of a command") && running(&begun.facts), "{}", begun.text);
    let refused = task.run("shell_exec", json!({"command": "echo no", "terminal": "main"}));
    assert_eq!(refused.status, ToolStatus::Invalid);
    assert!(refused.text.contains("not a whole command yet"), "{}", refused.text);
    let whole = task.typed("main", "two'", "\none\ntwo\n");
    assert!(whole.contains("waits for a command") && whole.contains("\none\ntwo\n"), "{whole}");
    assert!(typed(&mut task, "(echo never").contains("not a whole command yet"));
    let mut given_up =
        task.text("shell_write_to_process", json!({"id": "main", "input": "\u{3}", "press_enter": false}));
    while !given_up.contains("waits for a command") {
        given_up = task.text("shell_view", json!({"id": "main"}));
    }
    assert_eq!(typed(&mut task, "echo clean"), "exit code 0\nclean\n");
}

#[test]
fn a_program_with_a_screen_is_looked_at_typed_into_and_waited_for() {
    let mut task = Task::new();
    let program = "import curses\ndef main(s):\n    s.addstr(2, 4, 'your name?')\n    curses.echo()\n    \
        name = s.getstr(3, 4).decode()\n    open('name', 'w').write(name)\ncurses.wrapper(main)\nprint('bye')\n";
    std::fs::write(task.workspace().join("ask.py"), program).expect("a program");
    typed(&mut task, "python3 -c 'import curses'");
    let python = task.call("shell_exec", json!({"command": "python3 ask.py", "terminal": "main"}));
    // It asks and would wait for ten seconds, so it is stopped from waiting, not from running.
    let place = std::sync::Arc::clone(&task.world.place);
    let watcher = std::thread::spawn(move || {
        let computer = place.computer().expect("a computer");
        let shows = || {
            let open = computer.terminals().expect("it answers").remove(0);
            let (until, depict) = (sandbox::Until::Now, sandbox::Depict::Text);
            let look = computer.look(&open.call, until, depict, std::time::Duration::ZERO).expect("it answers");
            look.and_then(|look| look.screen).is_some_and(|screen| screen.content.contains("your name?"))
        };
        while !shows() {
            std::thread::yield_now();
        }
        place.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let waiting = task.run_call(&python);
    watcher.join().expect("it looked");
    task.world.place.cancel.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(waiting.status, ToolStatus::Interrupted, "{}", waiting.text);
    assert!(waiting.text.contains("    your name?"), "{}", waiting.text);
    let busy = task.run("shell_exec", json!({"command": "echo no", "terminal": "main"}));
    assert_eq!(busy.status, ToolStatus::Invalid);
    assert!(busy.text.contains("a program runs in terminal \"main\""), "{}", busy.text);
    task.text("shell_write_to_process", json!({"id": "main", "input": "Ada"}));
    let waited = task.text("shell_wait", json!({"id": "main"}));
    assert!(waited.contains("waits for a command") && waited.contains("\nbye\n"), "{waited}");
    assert_eq!(std::fs::read_to_string(task.workspace().join("name")).expect("it is written"), "Ada");
    let ended = task.text("shell_kill_process", json!({"id": "main"}));
    assert!(ended.starts_with("killed by signal") || ended.starts_with("exit code"), "{ended}");
    let over = task.run("shell_view", json!({"id": "main"}));
    assert!(over.status == ToolStatus::Invalid && over.text.contains("is over"), "{}", over.text);
    assert_eq!(typed(&mut task, "echo again"), "exit code 0\nagain\n");
}

#[test]
fn a_command_is_typed_once_however_often_its_engine_dies() {
    let mut task = Task::new();
    let call = task.call("shell_exec", json!({"command": "echo once | tee -a log", "terminal": "main"}));
    assert_eq!(tools::attach(&call, &task.world), None, "it has not begun");
    // Died between opening and typing.
    let computer = task.world.place.computer().expect("a computer");
    computer
        .open_terminal(&call.id.to_string(), "main", None, Default::default(), sandbox::Size::USUAL)
        .expect("it opens");
    task.restarted();
    assert_eq!(tools::attach(&call, &task.world), None, "it is not typed");
    let first = task.run_call(&call);
    assert_eq!(first.text, "exit code 0\nonce\n");
    task.restarted();
    assert_eq!(tools::attach(&call, &task.world), Some(first.clone()));
    assert_eq!(task.run_call(&call), first);
    assert_eq!(task.text("file_read", json!({"path": "log"})), "once\n");
    // With its computer the rest is gone: nobody knows how it ended, and it is not typed again.
    let call = task.call("shell_exec", json!({"command": "echo begun > begun; cat", "terminal": "main"}));
    computer.type_command(&call.id.to_string(), "e1", "echo begun > begun; cat").expect("it is typed");
    while !task.workspace().join("begun").exists() {
        std::thread::yield_now();
    }
    task.kill_keeper();
    task.restarted();
    assert_eq!(tools::attach(&call, &task.world).expect("it had begun").status, ToolStatus::Unknown);
    assert_eq!(typed(&mut task, "cat log"), "exit code 0\nonce\n", "another of this name");
}

#[test]
fn names_and_commands_that_cannot_be_are_refused_with_words() {
    let mut task = Task::unopened();
    for arguments in [
        json!({"command": "ls", "terminal": "a b"}),
        json!({"command": "ls", "terminal": "main", "id": "other"}),
        json!({"command": "echo \u{1b}[201~", "terminal": "main"}),
        json!({"command": "x".repeat(10_000), "terminal": "main"}),
    ] {
        let result = task.run("shell_exec", arguments.clone());
        assert_eq!(result.status, ToolStatus::Invalid, "{arguments}: {}", result.text);
    }
}
