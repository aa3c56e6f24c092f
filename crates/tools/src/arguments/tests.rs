//! What models get slightly wrong, as pairs of arguments and what becomes of them.

use serde_json::{Value, json};

use crate::catalog::admit;

#[track_caller]
fn mended(tool: &str, given: Value, expected: Value) {
    let given = given.as_object().expect("an object");
    assert_eq!(admit(tool, given).map(Value::Object), Ok(expected.clone()));
    let expected = expected.as_object().expect("an object");
    assert_eq!(admit(tool, expected).as_ref(), Ok(expected), "mending twice changes nothing");
}

#[track_caller]
fn refused(tool: &str, given: Value, expected: &str) {
    let given = given.as_object().expect("an object");
    assert_eq!(admit(tool, given), Err(expected.to_owned()));
}

#[test]
fn small_slips_are_mended() {
    mended(
        "file_read",
        json!({"path": "a", "start_line": "3", "end_line": null}),
        json!({"path": "a", "start_line": 3}),
    );
    mended("file_read", json!({"path": "a", "start_line": 3.0, "why": "x"}), json!({"path": "a", "start_line": 3}));
    mended(
        "file_write",
        json!({"path": "a", "content": "5", "append": "true"}),
        json!({"path": "a", "content": "5", "append": true}),
    );
    mended("shell_exec", json!({"command": "ls", "id": 7, "exec_dir": null}), json!({"command": "ls", "id": "7"}));
    mended("deliver", json!({"files": "a.pdf"}), json!({"files": [{"path": "a.pdf"}]}));
    mended("deliver", json!({"files": ["a", {"path": "b"}]}), json!({"files": [{"path": "a"}, {"path": "b"}]}));
    mended("deliver", json!({"files": "[{\"path\": \"a\"}]"}), json!({"files": [{"path": "a"}]}));
    mended("deliver", json!({"files": {"path": "a"}}), json!({"files": [{"path": "a"}]}));
    mended("idle", json!({"text": "bye"}), json!({}));
}

#[test]
fn words_for_a_state_are_understood() {
    let steps = json!(["one", {"text": "two", "status": "In Progress"}, {"text": "three", "status": "completed"}]);
    let expected =
        json!([{"text": "one"}, {"text": "two", "status": "in_progress"}, {"text": "three", "status": "done"}]);
    mended(
        "plan_update",
        json!({"steps": steps, "acceptance": "opens"}),
        json!({"steps": expected, "acceptance": [{"text": "opens"}]}),
    );
    mended(
        "deliver",
        json!({"files": ["a"], "acceptance": [{"text": "x", "status": "PASS"}]}),
        json!({"files": [{"path": "a"}], "acceptance": [{"text": "x", "status": "passed"}]}),
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_form_expected() {
    let form = "It takes {path: string, end_line?: integer, start_line?: integer}";
    let read = |problem: &str| format!("file_read cannot be called so: {problem}. {form}");
    refused("file_read", json!({}), &read("`path` is missing"));
    refused("file_read", json!({"file": "a"}), &read("`path` is missing (not known: `file`)"));
    refused("file_read", json!({"path": null}), &read("`path` is missing"));
    refused("file_read", json!({"path": ["a"]}), &read("`path` must be text, not a list"));
    refused(
        "file_read",
        json!({"path": "a", "start_line": "two"}),
        &read("`start_line` must be a whole number, not \"two\""),
    );
    refused(
        "file_write",
        json!({"path": "a", "content": 5}),
        "file_write cannot be called so: `content` must be text, not 5. It takes {path: string, content: string, \
         append?: boolean}",
    );
    refused("file_read", json!({"path": "a", "start_line": -1}), &read("`start_line` must be a whole number, not -1"));
    refused("file_read", json!({"path": "a", "end_line": 1.5}), &read("`end_line` must be a whole number, not 1.5"));
    let form = "It takes {path: string, content: string, append?: boolean}";
    refused(
        "file_write",
        json!({"content": {"a": 1}}),
        &format!("file_write cannot be called so: `content` must be text, not an object; `path` is missing. {form}"),
    );
}

#[test]
fn a_place_in_a_list_is_named() {
    let problem =
        admit("deliver", json!({"files": [{"path": "a"}, {"name": "b"}, 5]}).as_object().unwrap()).unwrap_err();
    assert!(problem.contains("`files[1].path` is missing (not known: `name`)"), "{problem}");
    assert!(problem.contains("`files[2]` must be {path: string, description?: string}, not 5"), "{problem}");
    let problem =
        admit("plan_update", json!({"steps": [{"text": "a", "status": "maybe"}]}).as_object().unwrap()).unwrap_err();
    assert!(
        problem.contains("`steps[0].status` must be one of pending|in_progress|done|skipped, not \"maybe\""),
        "{problem}"
    );
}

#[test]
fn an_unknown_tool_is_answered_with_the_list() {
    let problem = admit("file_reed", &serde_json::Map::new()).unwrap_err();
    assert!(
        problem.starts_with("there is no tool named \"file_reed\". The tools are: message_notify_user, "),
        "{problem}"
    );
}
