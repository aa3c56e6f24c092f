//! Text of models, tools and files never reaches the person's terminal raw.

use serde_json::json;

use crate::desk::{Desk, Ran, call, exec};

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
