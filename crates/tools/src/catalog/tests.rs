//! The tool list as every request carries it, and the promises about its form.

use serde_json::{Map, Value, json};

use super::*;

#[test]
fn the_list_is_the_one_that_was_agreed() {
    let list: Value = serde_json::from_slice(&list_json(Offered::All)).unwrap();
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!("list", list) });
}

#[test]
fn the_list_is_small_and_the_same_bytes_each_time() {
    let bytes = list_json(Offered::All);
    assert_eq!(bytes, list_json(Offered::All));
    assert!(bytes.len() <= 9 * 1024 + 256, "the tool list has {} bytes", bytes.len());
    let text = String::from_utf8(bytes).unwrap();
    for waste in ["$schema", "\"title\"", "\"format\"", "null", "$defs", "$ref", "anyOf", "oneOf"] {
        assert!(!text.contains(waste), "{waste} in {text}");
    }
}

fn names(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| names(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_command_is_what_shell_exec_alone_requires_and_has() {
    for spec in list() {
        let mut found = Vec::new();
        names(&spec.parameters, &mut found);
        assert_eq!(found.contains(&"command".to_owned()), spec.name == "shell_exec", "{}", spec.name);
    }
    let exec = list().iter().find(|spec| spec.name == "shell_exec").unwrap();
    assert_eq!(exec.parameters["required"], json!(["command"]));
}

#[test]
fn every_tool_says_what_it_is_for_and_what_it_is_like() {
    for spec in list() {
        assert!(spec.description.len() >= 15 && spec.description.ends_with('.'), "{}: {}", spec.name, spec.description);
        assert!(spec.manual.starts_with(&spec.description[..10]), "{}", spec.name);
        let facts = facts(spec.name).unwrap();
        for sink in &facts.sinks {
            assert!(spec.parameters["properties"].get(sink).is_some(), "{}: {sink}", spec.name);
        }
    }
    assert!(facts("file_reed").is_none());
    assert!(durable_first("deliver") && !durable_first("shell_exec") && !durable_first("nothing"));
}

/// Run with `UPDATE_DOCS=1` to write the page anew.
#[test]
fn the_page_in_the_manual_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tools.md");
    let page = crate::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "docs/tools.md is stale: UPDATE_DOCS=1 cargo test -p tools the_page_in_the_manual_is_fresh");
}

#[test]
fn a_process_bears_the_name_it_was_given_else_its_effects() {
    let call = |tool: &str, arguments: Value| ToolCall {
        id: event::EffectId(12),
        turn: 1,
        call_id: "c".to_owned(),
        tool: tool.to_owned(),
        arguments: arguments.as_object().cloned().unwrap_or_else(Map::new),
        labels: std::collections::BTreeMap::new(),
    };
    let name = |tool, arguments| process_name(&call(tool, arguments));
    assert_eq!(name("shell_exec", json!({"command": "ls"})).as_deref(), Some("e12"));
    assert_eq!(name("shell_exec", json!({"command": "ls", "id": "server"})).as_deref(), Some("server"));
    assert_eq!(name("shell_exec", json!({"command": "ls", "id": 5})).as_deref(), Some("5"));
    assert_eq!(name("shell_exec", json!({"id": "server"})), None);
    assert_eq!(name("shell_view", json!({"id": "server"})), None);
}
