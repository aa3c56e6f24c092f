//! What a person at a terminal sees and answers; text of models, tools and files never reaches the terminal raw.

use insta::assert_snapshot;
use serde_json::json;

use testkit::{ModelServer, Turn};

use crate::desk::{Desk, Ran, call, exec, say};

/// Clears the screen, sets the title, is a C1 escape, turns the writing round, hides, rings.
const ATTACK: &str = "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m b\u{202e}cod.exe\u{2066}\u{200b}\u{feff}\u{e0041}\u{8}\rz";

#[track_caller]
fn harmless(ran: &Ran) {
    for (stream, text) in [("out", &ran.out), ("err", &ran.errors)] {
        let raw = |c: &char| {
            c.is_control() && !"\n\t".contains(*c)
                || ('\u{200b}'..='\u{200f}').contains(c)
                || ('\u{202a}'..='\u{202e}').contains(c)
                || ('\u{2060}'..='\u{206f}').contains(c)
                || ('\u{e0000}'..='\u{e007f}').contains(c)
                || *c == '\u{feff}'
        };
        assert_eq!(text.chars().find(raw), None, "{stream}: {text:?}");
    }
}

#[test]
fn no_text_commands_the_terminal() {
    let desk = Desk::new();
    let plan = json!({ "steps": [{ "text": ATTACK, "status": "in_progress" }], "acceptance": [ATTACK] });
    let named = "r\u{1b}[31m\u{202e}txt.md";
    let script = desk.script(&[
        call("plan_update", plan),
        call("message_notify_user", json!({ "text": ATTACK })),
        exec(&format!("echo '{ATTACK}'; exit 3")),
        exec(&format!("echo '{ATTACK}' > attack; python3 -c 'print(open(\"attack\").read() * 400)' > long")),
        call("shell_exec", json!({ "command": "cat attack", "terminal": "main" })),
        call("shell_exec", json!({ "command": "cat long", "terminal": "main" })),
        call("shell_view", json!({ "id": "main" })),
        call("shell_write_to_process", json!({ "id": "main", "input": "cat attack" })),
        call(ATTACK, json!({ "text": ATTACK })),
        call("file_write", json!({ "path": named, "content": ATTACK })),
        call("deliver", json!({ "files": [{ "path": named, "description": ATTACK }], "summary": ATTACK })),
        call("deliver", json!({ "files": [ATTACK] })),
        call("message_ask_user", json!({ "text": ATTACK })),
        json!({ "say": ATTACK, "calls": [{ "name": "idle" }] }),
    ]);
    let ran = desk.run(&["run", "--model", &script, "--id", "t-one", ATTACK]).code(4);
    harmless(&ran);
    harmless(&desk.run(&["task", "send", "t-one", ATTACK]).code(0));
    let ran = desk.run(&["task", "resume", "t-one"]).code(0);
    harmless(&ran);
    assert!(ran.out.contains("b·cod.exe"), "the words themselves stay: {}", ran.out);
    for command in [
        &["task", "show", "t-one"][..],
        &["task", "show", "--json", "t-one"],
        &["task", "list"],
        &["task", "list", "--json"],
        &["journal", "show", "t-one"],
        &["journal", "show", "--json", "t-one"],
    ] {
        harmless(&desk.run(command).code(0));
    }
    harmless(&desk.run(&["task", "show", ATTACK]).code(2));
    harmless(&desk.run(&["journal", "verify", ATTACK]).code(2));
    harmless(&desk.run(&["run", "--model", ATTACK, "x"]).code(5));
    harmless(&desk.run(&["run", "--model", &format!("script:{ATTACK}"), "x"]).code(5));
    harmless(&desk.run(&["run", "--model", "script:demo", "--workspace", ATTACK, "x"]).code(2));
    harmless(&desk.run(&["run", "--model", "script:demo", "--input", ATTACK, "x"]).code(2));
}

/// A screen without the colours that are ours.
fn without_colours(screen: &str) -> String {
    regex::Regex::new("\u{1b}\\[(0|1|2|31|32|33)m").unwrap().replace_all(screen, "").into_owned()
}

#[test]
fn a_person_at_a_terminal_answers_there_and_reads_nothing_twice() {
    let desk = Desk::new();
    let policy = desk.write("rules/asking.cedar", crate::person::ASKING);
    desk.config(&format!("policy = {policy:?}\n"));
    let script = desk.script(&[
        call("message_ask_user", json!({ "text": "Which year?" })),
        exec("python3 - <<'END'\nprint('counted')\nEND\necho x > x.txt"),
        exec("echo refused > refused.txt"),
        call("deliver", json!({ "files": ["x.txt"] })),
        say("All is ready."),
    ]);
    let mut terminal = desk.start_at_terminal(&["run", "--model", &script, "--id", "t-one", "Ask me"]);
    terminal.until_shown("Your answer: ");
    terminal.types("2024");
    terminal.until_shown("Allow this? [y/N] ");
    terminal.types("y");
    terminal.until_shown_times("Allow this? [y/N] ", 2);
    terminal.types("");
    let (code, screen) = terminal.end();
    let screen = without_colours(&screen);
    assert_eq!(code, Some(0), "{screen}");
    let screen = screen.replace(&*desk.path("").to_string_lossy(), "[FOLDER]/").replace("[y/N] \n", "[y/N]\n");
    assert_snapshot!(screen, @r#"
    Task t-one (script:[FOLDER]/script.json: A SCRIPT, NOT A MODEL)

      │ Which year?
    ? Your answer: 2024
      you: 2024

      │ the person wants to see each command first
      │ shell_exec
      │   command: python3 - <<'END'
      │       print('counted')
      │       END
      │       echo x > x.txt
    ? Allow this? [y/N] y
      you allowed it
      ✓ run         python3 - <<'END' … (+3 lines)

      │ the person wants to see each command first
      │ shell_exec
      │   command: echo refused > refused.txt
    ? Allow this? [y/N]
      you refused it
      ✗ run         echo refused > refused.txt (not permitted)
          The person refused this. Nothing was done. Go on without it or ask them.
      ✓ deliver     x.txt
    All is ready.

    Done
    Files
      [FOLDER]/here/thenar-out/t-one/x.txt  text, 1 line, 2 B
    5 steps of a script, no model: no cost
    next: to check its record: thenar journal verify t-one
    "#);
    assert!(!desk.task("t-one").join("workspace/refused.txt").exists());
}

#[test]
fn a_stream_cannot_command_the_terminal_either() {
    let server = ModelServer::playing(vec![Turn::say(&format!("{ATTACK} {ATTACK}"))]).unwrap();
    let desk = Desk::new().with("OPENAI_BASE_URL", &server.base_url());
    let (code, screen) = desk.start_at_terminal(&["run", "Talk"]).end();
    let out = without_colours(&screen);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(out.matches("cod.exe").count(), 2, "streamed, and not said again: {out}");
    harmless(&Ran::of(out));
    let desk = desk.with("NO_COLOR", "1");
    let (_, screen) = desk.start_at_terminal(&["run", "Talk"]).end();
    harmless(&Ran::of(screen));
}

#[test]
fn an_answer_from_elsewhere_leaves_the_keyboard_to_the_next_question() {
    let desk = Desk::new();
    let policy = desk.write("rules/asking.cedar", crate::person::ASKING);
    desk.config(&format!("policy = {policy:?}\n"));
    let script = desk.script(&[
        call("message_ask_user", json!({ "text": "Which year?" })),
        exec("echo allowed"),
        exec("echo allowed too"),
        say("All is ready."),
    ]);
    let mut terminal = desk.start_at_terminal(&["run", "--model", &script, "--id", "t-one", "Ask me"]);
    terminal.until_shown("Your answer: ");
    desk.run(&["task", "send", "t-one", "2024"]).code(0);
    terminal.until_shown("command: echo allowed\n");
    terminal.until_shown("Allow this? [y/N] ");
    desk.run(&["task", "confirm", "t-one"]).code(0);
    terminal.until_shown("command: echo allowed too\n");
    terminal.until_shown_times("Allow this? [y/N] ", 2);
    terminal.types("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(without_colours(&screen).contains("? Your answer: \n  you: 2024\n"), "{screen}");
    let results = desk.results("t-one");
    assert!(results.len() == 3 && results[2].contains("allowed too"), "{results:?}");
}
