//! Commands: what comes back, what is cut, what runs on, what can be typed into, what is refused.

use std::time::{Duration, Instant};

use event::{ToolFact, ToolStatus};
use serde_json::json;

use crate::task::Task;

#[track_caller]
fn check(command: &str, expected: &str) {
    let mut task = Task::new();
    let result = task.run("shell_exec", json!({"command": command}));
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    assert_eq!(result.text, expected);
}

#[test]
fn a_command_gives_its_exit_code_and_output() {
    check("echo out; echo err >&2; exit 3", "exit code 3\nout\nerr\n");
    check("true", "exit code 0\n(no output)");
    check("pwd", "exit code 0\n/workspace\n");
    check("printf '\\033[31mred\\033[0m\\a'; printf 'caf\\351\\n'", "exit code 0\nredcaf\u{fffd}\n");
    check("kill -9 $$", "killed by signal 9 (SIGKILL)\n(no output)");
}

#[test]
fn a_result_is_the_same_twice_and_carries_its_fact() {
    let mut task = Task::new();
    let one = task.run("shell_exec", json!({"command": "seq 1 5; exit 2"}));
    let two = task.run("shell_exec", json!({"command": "seq 1 5; exit 2"}));
    assert_eq!(one.text, two.text);
    assert_eq!(
        one.facts,
        vec![ToolFact::Command { exit_code: Some(2), output_bytes: 10, running: false, limit: None, limits: vec![] }]
    );
    assert_eq!(one.label, event::Label::output_of(event::EffectId(1)));
}

#[test]
fn a_folder_for_the_command() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "mkdir -p a/b"}));
    assert_eq!(task.text("shell_exec", json!({"command": "pwd", "exec_dir": "a/b"})), "exit code 0\n/workspace/a/b\n");
    assert_eq!(task.text("shell_exec", json!({"command": "pwd", "exec_dir": "/tmp"})), "exit code 0\n/tmp\n");
    let missing = task.text("shell_exec", json!({"command": "pwd", "exec_dir": "nowhere"}));
    assert!(missing.starts_with("exit code 126\n") && missing.contains("/workspace/nowhere"), "{missing}");
}

#[test]
fn fifty_megabytes_are_told_in_ten_thousand_characters_and_kept_whole() {
    let mut task = Task::new();
    let result =
        task.run("shell_exec", json!({"command": "yes 0123456789abcde | head -c 50000000; echo; echo THE END"}));
    let chars = result.text.chars().count();
    assert!(chars <= tools::OBSERVATION_CHARS_MAX, "{chars}");
    assert!(chars > 9_000, "{chars}");
    assert!(result.text.starts_with("exit code 0\n0123456789abcde\n"));
    assert!(result.text.ends_with("THE END\n"));
    assert!(result.text.contains("whole output: /run/thenar/output/e1.log in the computer (50000009 bytes)"));
    let counted = task.text(
        "shell_exec",
        json!({"command": "wc -c < /run/thenar/output/e1.log; tail -n 1 /run/thenar/output/e1.log"}),
    );
    assert_eq!(counted, "exit code 0\n50000009\nTHE END\n");
    let piece = task.text("shell_view", json!({"id": "e1", "offset": 49_999_990}));
    assert!(piece.starts_with("exit code 0; bytes 49999990 to 50000009 of 50000009\n"), "{piece}");
    assert!(piece.ends_with("THE END\n"), "{piece}");
}

#[test]
fn a_line_of_ten_megabytes_and_binary_output_are_safe_to_show() {
    let mut task = Task::new();
    let line = task.text("shell_exec", json!({"command": "head -c 10000000 /dev/zero | tr '\\0' x"}));
    assert!(line.chars().count() <= tools::OBSERVATION_CHARS_MAX && line.contains("bytes left out here"));
    let binary = task.text("shell_exec", json!({"command": "head -c 100000 /dev/urandom"}));
    assert!(binary.contains("[binary data, 100000 bytes, not shown;"), "{binary}");
    let escapes = task.text(
        "shell_exec",
        json!({"command": "for i in $(seq 1 20000); do printf '\\033]0;t\\007\\033[31m%s\\033[0m\\r\\n' $i; done"}),
    );
    assert!(!escapes.contains('\u{1b}') && !escapes.contains('\r') && escapes.ends_with("19999\n20000\n"), "{escapes}");
}

#[test]
fn a_command_that_never_ends_gives_control_back_and_can_be_waited_for_viewed_and_killed() {
    let mut task = Task::new();
    let began = Instant::now();
    let result = task.run("shell_exec", json!({"command": "echo begun; sleep 3600", "id": "server"}));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(tools::SHELL_CONTROL_MS), "{took:?}");
    assert!(result.text.starts_with("Still running as process \"server\"."), "{}", result.text);
    assert!(result.text.ends_with("begun\n"), "{}", result.text);
    assert_eq!(
        result.facts,
        vec![ToolFact::Command { exit_code: None, output_bytes: 6, running: true, limit: None, limits: vec![] }]
    );
    let waited = task.text("shell_wait", json!({"id": "server", "seconds": 1}));
    assert!(waited.starts_with("Still running"), "{waited}");
    assert!(task.text("shell_view", json!({"id": "e1"})).starts_with("Still running"));
    let killed = task.text("shell_kill_process", json!({"id": "server"}));
    assert!(killed.starts_with("killed by signal ") && killed.ends_with("begun\n"), "{killed}");
    assert_eq!(task.text("shell_kill_process", json!({"id": "server"})), killed);
    assert_eq!(task.text("shell_view", json!({"id": "server"})), killed);
}

#[test]
fn what_a_command_left_running_is_ended_by_its_id() {
    let mut task = Task::new();
    let left = "(trap '' HUP; while true; do date +%N > beats; sleep 0.01; done) & echo $! > left; echo started";
    assert_eq!(task.text("shell_exec", json!({"command": left, "id": "server"})), "exit code 0\nstarted\n");
    let lives = "kill -0 $(cat left) && echo lives";
    assert_eq!(task.text("shell_exec", json!({"command": lives})), "exit code 0\nlives\n");
    let killed = task.text("shell_kill_process", json!({"id": "server"}));
    assert_eq!(killed, "exit code 0\nstarted\n");
    let gone = "until ! kill -0 $(cat left) 2>/dev/null; do sleep 0.05; done; echo gone";
    assert_eq!(task.text("shell_exec", json!({"command": gone})), "exit code 0\ngone\n");
    // Where nothing is left, and where no computer is, it says how that was, and starts none.
    assert_eq!(task.text("shell_kill_process", json!({"id": "server"})), killed);
    task.kill_keeper();
    task.restarted();
    assert_eq!(task.text("shell_kill_process", json!({"id": "server"})), killed);
    assert!(task.world.place.opened().is_none(), "a computer was made for it");
}

#[test]
fn a_prompt_is_answered_by_typing() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "read -p 'Name? ' name; echo \"Hello $name\"; read -p 'More? ' more; echo \"[$more]\"", "id": "talk"}));
    let answer = task.typed("talk", "Ada", "Hello Ada");
    assert!(answer.contains("Hello Ada"), "{answer}");
    let end = task.run("shell_write_to_process", json!({"id": "talk", "input": "no", "press_enter": false}));
    assert!(end.text.starts_with("Still running"), "{}", end.text);
    task.text("shell_write_to_process", json!({"id": "talk", "input": ""}));
    let ended = task.text("shell_wait", json!({"id": "talk", "seconds": 60}));
    assert!(ended.contains("[no]"), "{ended}");
    task.text("shell_kill_process", json!({"id": "talk"}));
    let late = task.run("shell_write_to_process", json!({"id": "talk", "input": "x"}));
    assert_eq!(late.status, ToolStatus::Invalid, "{}", late.text);
    assert!(late.text.contains("has ended"), "{}", late.text);
}

#[test]
fn control_keys_reach_the_program() {
    let mut task = Task::new();
    task.text(
        "shell_exec",
        json!({"command": "trap 'echo caught; exit 7' INT; while true; do sleep 1; done", "id": "loop"}),
    );
    task.text("shell_write_to_process", json!({"id": "loop", "input": "\u{3}", "press_enter": false}));
    let result = task.text("shell_wait", json!({"id": "loop", "seconds": 20}));
    assert!(result.starts_with("exit code 7") && result.contains("caught"), "{result}");
}

#[test]
fn a_process_that_nobody_started_is_named_with_those_that_were() {
    let mut task = Task::new();
    let result = task.run("shell_view", json!({"id": "e9"}));
    assert_eq!(
        (result.status, result.text.as_str()),
        (ToolStatus::Invalid, "there is no process \"e9\"; known: none was started")
    );
    task.run("shell_exec", json!({"command": "true", "id": "one"}));
    let result = task.run("shell_wait", json!({"id": "two"}));
    assert_eq!((result.status, result.text.as_str()), (ToolStatus::Invalid, "there is no process \"two\"; known: one"));
}

#[test]
fn a_name_given_again_means_the_newest_process() {
    let mut task = Task::new();
    task.run("shell_exec", json!({"command": "echo old", "id": "job"}));
    task.run("shell_exec", json!({"command": "echo new", "id": "job"}));
    assert_eq!(task.text("shell_view", json!({"id": "job"})), "exit code 0\nnew\n");
}

#[test]
fn a_stop_ends_the_running_command() {
    let mut task = Task::new();
    let cancel = task.world.place.cancel.clone();
    let computer = task.world.place.computer().expect("a computer");
    let stopper = std::thread::spawn(move || {
        // The person stops the task as soon as the command has said something.
        while !matches!(
            computer.wait("e1", Duration::from_millis(50)),
            Ok(sandbox::Status::Running { output_bytes: 6.., .. })
        ) {}
        cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let result = task.run("shell_exec", json!({"command": "echo begun; sleep 3600"}));
    stopper.join().expect("the stopper ends");
    assert_eq!(result.status, ToolStatus::Interrupted);
    assert_eq!(result.text, "Interrupted: the task is being stopped.\nbegun\n");
}

#[test]
fn wrong_arguments_start_nothing() {
    let mut task = Task::new();
    for (arguments, expected) in [
        (
            json!({}),
            "shell_exec cannot be called so: `command` is missing. It takes {command: string, exec_dir?: string, id?: string, terminal?: string}",
        ),
        (
            json!({"cmd": "touch x"}),
            "shell_exec cannot be called so: `command` is missing (not known: `cmd`). It takes {command: string, exec_dir?: string, id?: string, terminal?: string}",
        ),
        (
            json!({"command": ["touch", "x"]}),
            "shell_exec cannot be called so: `command` must be text, not a list. It takes {command: string, exec_dir?: string, id?: string, terminal?: string}",
        ),
        (json!({"command": "  "}), "`command` must be 1 to 120000 bytes without NUL; put what is longer in a file"),
    ] {
        let result = task.run("shell_exec", arguments);
        assert_eq!((result.status, result.text.as_str()), (ToolStatus::Invalid, expected));
    }
    assert_eq!(task.text("shell_exec", json!({"command": "ls -A"})), "exit code 0\n(no output)");
}

#[test]
fn a_limit_that_was_met_is_told_to_the_model_and_to_the_person() {
    let mut task = Task::with_limits(sandbox::Limits { file_bytes: 1 << 20, ..sandbox::Limits::default() });
    let result = task.run("shell_exec", json!({"command": "head -c 3000000 /dev/zero > big"}));
    let met = "file size: no file may be larger than 1 MiB: write several smaller ones";
    assert!(result.text.contains(&format!("(limit reached: {met})")), "{}", result.text);
    let [ToolFact::Command { limit: Some(limit), limits, .. }] = &result.facts[..] else {
        panic!("{:?}", result.facts)
    };
    assert_eq!((limit.as_str(), &limits[..]), (met, &[event::ComputerLimit::FileSize { max_bytes: 1 << 20 }][..]));
}

#[test]
fn a_limit_is_told_of_a_process_that_goes_on_at_a_terminal_and_of_a_file_that_did_not_fit() {
    let limits = sandbox::Limits { tmp_bytes: 4 << 20, ..sandbox::Limits::default() };
    let mut task = Task::with_limits(limits);
    let words = "scratch room: /tmp was full, it holds 4 MiB and no more: remove files there, or write to /workspace";
    let told = format!("(limit reached: {words})");
    let scratch = event::ComputerLimit::ScratchBytes { place: "/tmp".to_owned(), max_bytes: 4 << 20, times: 1 };
    let fill = "head -c 50000000 /dev/zero > /tmp/x";
    let mut runs = task.run("shell_exec", json!({"command": format!("{fill}; read go"), "id": "filler"}));
    // A busy machine may take its time to fill it.
    while !runs.text.contains(&told) {
        assert!(runs.text.starts_with("Still running"), "{}", runs.text);
        runs = task.run("shell_wait", json!({"id": "filler", "seconds": 1}));
    }
    let [ToolFact::Command { running: true, limit: Some(limit), limits, .. }] = &runs.facts[..] else {
        panic!("{:?}", runs.facts)
    };
    assert_eq!((limit.as_str(), &limits[..]), (words, std::slice::from_ref(&scratch)));
    let content = "x".repeat(100_000);
    let written = task.run("file_write", json!({"path": "/tmp/y", "content": content}));
    assert!(written.text.contains("there is no room left") && written.text.ends_with(&told), "{}", written.text);
    task.text("shell_exec", json!({"command": "rm -f /tmp/x /tmp/y"}));
    let typed = task.run("shell_exec", json!({"command": fill, "terminal": "main"}));
    assert!(typed.text.starts_with(&format!("exit code 1 {told}")), "{}", typed.text);
    let [ToolFact::Command { running: false, limits, .. }] = &typed.facts[..] else { panic!("{:?}", typed.facts) };
    assert_eq!(limits, &[scratch]);
    let viewed = task.run("shell_view", json!({"id": "main"}));
    assert!(!viewed.text.contains("limit reached"), "it is told once: {}", viewed.text);
}
