//! The manual's page on the tools, made from the same types that the model is told of. It is written to `docs/tools.md`;
//! a test fails when that page is stale.

use event::Tier;
use serde_json::Value;

use crate::arguments;
use crate::catalog::{ToolSpec, facts, list};

/// The reference page of all tools, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Tools\n\nWhat the model can ask for. This page is generated from the argument types in `crates/tools`; the first \
         paragraph of each entry is what the model is told.\n",
    );
    for spec in list() {
        page.push_str(&entry(spec));
    }
    page
}

fn entry(spec: &ToolSpec) -> String {
    let mut text = format!("\n## {}\n\n{}\n", spec.name, spec.manual.trim());
    let rows = rows(&spec.parameters);
    if rows.is_empty() {
        text.push_str("\nNo arguments.\n");
    } else {
        text.push_str("\n| argument | form | required |\n| --- | --- | --- |\n");
        text.push_str(&rows);
    }
    if let Some(facts) = facts(spec.name) {
        let tier = match facts.tier {
            Tier::Autonomous => "runs by itself",
            Tier::UserAuthorised => "waits for the person",
            Tier::UserOnly => "is never executed",
        };
        let undone = if facts.reversible { "can be undone" } else { "cannot be undone" };
        let leaves = if facts.leaves { "leaves the task" } else { "stays within the task" };
        text.push_str(&format!("\nBy default it {tier}; it {undone} and {leaves}.\n"));
    }
    text
}

fn rows(schema: &Value) -> String {
    let mut rows = String::new();
    for (name, field) in arguments::ordered(schema) {
        let form = arguments::form(field).replace('|', "\\|");
        let required = if arguments::is_required(schema, name) { "yes" } else { "no" };
        rows.push_str(&format!("| `{name}` | {form} | {required} |\n"));
    }
    rows
}
