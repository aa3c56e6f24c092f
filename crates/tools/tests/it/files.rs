//! Files of the computer: written, read in pieces, changed, found.

use event::ToolStatus;
use serde_json::{Value, json};

use crate::task::Task;

#[track_caller]
fn refused(task: &mut Task, tool: &str, arguments: Value, part: &str) {
    let result = task.run(tool, arguments);
    assert_eq!(result.status, ToolStatus::Invalid, "{}", result.text);
    assert!(result.text.contains(part), "{}", result.text);
}

#[test]
fn a_file_is_written_continued_and_read() {
    let mut task = Task::new();
    let written = task.text("file_write", json!({"path": "notes/a.txt", "content": "one\ntwo\n"}));
    assert_eq!(written, "Wrote 8 bytes to /workspace/notes/a.txt.");
    let appended =
        task.text("file_write", json!({"path": "/workspace/notes/a.txt", "content": "three\n", "append": true}));
    assert_eq!(appended, "Appended 6 bytes to /workspace/notes/a.txt.");
    assert_eq!(task.text("file_read", json!({"path": "notes/a.txt"})), "one\ntwo\nthree\n");
    assert_eq!(task.text("file_read", json!({"path": "notes/a.txt", "start_line": 2, "end_line": 2})), "two\n");
    assert_eq!(task.text("file_read", json!({"path": "notes/a.txt", "start_line": "3"})), "three\n");
    let beyond = task.text("file_read", json!({"path": "notes/a.txt", "start_line": 9}));
    assert_eq!(beyond, "/workspace/notes/a.txt has no line 9 (14 bytes in all).");
    task.text("file_write", json!({"path": "notes/a.txt", "content": ""}));
    assert_eq!(task.text("file_read", json!({"path": "notes/a.txt"})), "/workspace/notes/a.txt is empty.");
    refused(&mut task, "file_read", json!({"path": "notes/a.txt", "start_line": 3, "end_line": 2}), "comes before");
    refused(&mut task, "file_read", json!({"path": "nowhere.txt"}), "/workspace/nowhere.txt");
    refused(&mut task, "file_read", json!({"path": "notes"}), "/workspace/notes");
}

#[test]
fn files_are_written_and_read_when_all_output_is_used_up() {
    let mut task = Task::with_limits(sandbox::Limits { outputs_bytes: 5_000, ..sandbox::Limits::default() });
    let flood = task.text("shell_exec", json!({"command": "yes | head -c 9000"}));
    assert!(flood.contains("all that is kept of all commands together is used up"), "{flood}");
    let written = task.run("file_write", json!({"path": "notes", "content": "one\n"}));
    assert_eq!(written.status, ToolStatus::Ok, "{}", written.text);
    assert_eq!(task.text("file_read", json!({"path": "notes"})), "one\n");
}

#[test]
fn a_long_file_is_read_in_pieces() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "seq -f 'line %06g' 1 100000 > long.txt; head -c 30000 /dev/zero | tr '\\0' y > wide.txt; printf 'a\\r\\nb\\r\\n' > dos.txt; head -c 5000 /dev/urandom > noise"}));
    let first = task.text("file_read", json!({"path": "long.txt"}));
    assert!(first.starts_with("line 000001\n") && first.chars().count() <= tools::OBSERVATION_CHARS_MAX);
    let next: u64 = first
        .rsplit_once("start_line ")
        .and_then(|(_, rest)| rest.trim_end_matches(']').parse().ok())
        .expect("where to go on");
    let second = task.text("file_read", json!({"path": "long.txt", "start_line": next}));
    assert!(second.starts_with(&format!("line {next:06}\n")), "{second}");
    let far = task.text("file_read", json!({"path": "long.txt", "start_line": 99_999}));
    assert_eq!(far, "line 099999\nline 100000\n");
    let wide = task.text("file_read", json!({"path": "wide.txt"}));
    assert!(
        wide.contains("[line 1 is longer than can be shown; /workspace/wide.txt has 30000 bytes"),
        "{}",
        &wide[wide.len() - 200..]
    );
    assert_eq!(task.text("file_read", json!({"path": "dos.txt"})), "a\nb\n\n[line ends are CRLF]");
    assert!(task.text("file_read", json!({"path": "noise"})).contains("is a binary file of 5000 bytes"));
}

#[test]
fn a_change_is_exact_or_none() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "a.txt", "content": "x = 1\ny = 1\n"}));
    assert_eq!(
        task.text("file_str_replace", json!({"path": "a.txt", "old": "x = 1", "new": "x = 2"})),
        "Replaced in /workspace/a.txt."
    );
    assert_eq!(task.text("file_read", json!({"path": "a.txt"})), "x = 2\ny = 1\n");
    refused(&mut task, "file_str_replace", json!({"path": "a.txt", "old": " = ", "new": "x"}), "2");
    refused(&mut task, "file_str_replace", json!({"path": "a.txt", "old": "z = 1", "new": "x"}), "/workspace/a.txt");
    refused(&mut task, "file_str_replace", json!({"path": "a.txt", "old": "", "new": "x"}), "`old`");
    refused(&mut task, "file_str_replace", json!({"path": "b.txt", "old": "a", "new": "x"}), "/workspace/b.txt");
    assert_eq!(task.text("file_read", json!({"path": "a.txt"})), "x = 2\ny = 1\n");
}

#[test]
fn lines_and_files_are_found() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "mkdir -p d/e; echo 'alpha 1' > d/a.txt; printf 'beta\\nalpha 22\\n' > d/e/b.md; seq 1 5000 > many.txt"}));
    let found = task.text("file_find_in_content", json!({"path": "d", "regex": "alpha \\d+"}));
    assert_eq!(found, "/workspace/d/a.txt:1: alpha 1\n/workspace/d/e/b.md:2: alpha 22\n");
    assert_eq!(
        task.text("file_find_in_content", json!({"path": "d/a.txt", "regex": "^beta"})),
        "No line in /workspace/d/a.txt matches."
    );
    let many = task.text("file_find_in_content", json!({"path": "many.txt", "regex": "."}));
    assert!(
        many.ends_with("[there are more; narrow the search]") && many.chars().count() <= tools::OBSERVATION_CHARS_MAX
    );
    refused(&mut task, "file_find_in_content", json!({"path": "d", "regex": "("}), "(");
    assert_eq!(
        task.text("file_find_by_name", json!({"path": "/workspace", "glob": "**/*.md"})),
        "/workspace/d/e/b.md\n"
    );
    assert_eq!(
        task.text("file_find_by_name", json!({"path": ".", "glob": "*.pdf"})),
        "No file below /workspace/. matches."
    );
}

#[test]
fn what_the_computers_user_may_not_touch_stays_untouched() {
    let mut task = Task::new();
    let result = task.run("file_write", json!({"path": "/usr/thenar-test", "content": "x"}));
    assert_ne!(result.status, ToolStatus::Ok, "{}", result.text);
    task.text("shell_exec", json!({"command": "ln -s /usr/thenar-test link"}));
    // Whatever becomes of the link, what it points to is out of reach.
    task.text("file_write", json!({"path": "link", "content": "x"}));
    assert!(!std::path::Path::new("/usr/thenar-test").exists());
}
