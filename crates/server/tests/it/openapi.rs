//! The API document: kept as a file, held against what the program says, and whole.

use std::collections::BTreeSet;

use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

fn document() -> Value {
    serde_json::from_str(server::openapi()).unwrap()
}

#[test]
fn the_document_in_the_manual_is_fresh() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, server::openapi()).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    let stale = "docs/openapi.json is stale: UPDATE_DOCS=1 cargo test -p server the_document_in_the_manual_is_fresh";
    assert!(kept == server::openapi(), "{stale}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    found.insert(to.clone());
                }
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    walk(&document, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for to in found {
        assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to} leads nowhere");
    }
}

#[test]
fn every_kind_of_event_is_described() {
    let document = document();
    let variants = document["components"]["schemas"]["Event"]["oneOf"].as_array().unwrap().clone();
    let kinds: BTreeSet<String> = variants
        .iter()
        .map(|variant| {
            let parts = variant["allOf"].as_array().cloned().unwrap_or_else(|| vec![variant.clone()]);
            let tag = parts.iter().find_map(|part| part["properties"]["event"]["enum"][0].as_str());
            tag.unwrap_or_else(|| panic!("no tag in {variant}")).to_owned()
        })
        .collect();
    assert_eq!(kinds.len(), variants.len());
    for kind in ["task_created", "model_replied", "tool_finished", "approval_requested", "task_ended"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
}
