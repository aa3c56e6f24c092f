//! Effects and facts for the tables: harmless ones, to be changed where a row says so. It decides nothing.

use std::collections::BTreeMap;

use event::{Confidentiality, Digest, EffectId, Integrity, Label, MicroUsd, ModelCall, Source, TaskId, Tier, ToolCall};
use policy::{Engine, Facts, ToolFacts};
use serde_json::{Map, Value};

/// The model chosen for the task.
pub(crate) const MODEL: &str = "script:demo";

/// A tool's call with the person's own words as its arguments.
pub(crate) fn call(tool: &str, arguments: Value) -> ToolCall {
    let arguments = match arguments {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let labels: BTreeMap<String, Label> = arguments.keys().map(|name| (name.clone(), Label::person())).collect();
    ToolCall { id: EffectId(7), turn: 3, call_id: "call_1".to_owned(), tool: tool.to_owned(), arguments, labels }
}

/// The same call with another label on one argument.
pub(crate) fn labelled(mut call: ToolCall, argument: &str, label: Label) -> ToolCall {
    call.labels.insert(argument.to_owned(), label);
    call
}

pub(crate) fn untrusted() -> Label {
    Label::output_of(EffectId(2))
}

pub(crate) fn secret() -> Label {
    Label::new(Integrity::Trusted, Confidentiality::Secret, Source::Person)
}

/// A call to the task's model that may cost two cents.
pub(crate) fn model_call() -> ModelCall {
    ModelCall {
        id: EffectId(1),
        turn: 1,
        model: MODEL.to_owned(),
        body: Digest::of(b"{}"),
        body_bytes: 2,
        input_tokens_max: 1_000,
        output_tokens_max: 500,
        reserved: Some(MicroUsd(20_000)),
        label: Label::person(),
    }
}

/// A tool that stays inside, no cap, no `--yes`.
pub(crate) fn inside() -> Facts {
    let tool = ToolFacts { tier: Tier::Autonomous, reversible: true, leaves: false, sinks: Vec::new() };
    Facts {
        task: TaskId::new("t-1").unwrap(),
        model: MODEL.to_owned(),
        tool: Some(tool),
        yes: false,
        declared: false,
        budget_left: None,
    }
}

/// A tool that sends something out to its argument `to`.
pub(crate) fn outside() -> Facts {
    let tool = ToolFacts { tier: Tier::Autonomous, reversible: false, leaves: true, sinks: vec!["to".to_owned()] };
    Facts { tool: Some(tool), ..inside() }
}

/// The same, and the person said yes beforehand.
pub(crate) fn with_yes(facts: Facts) -> Facts {
    Facts { yes: true, ..facts }
}

pub(crate) fn default_engine() -> Engine {
    Engine::load(Engine::default_policy()).unwrap()
}
