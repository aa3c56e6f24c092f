//! The price of one decision with sixty rules. It measures the rules and the digest, not the journal that keeps them.

#![expect(clippy::unwrap_used, reason = "a bench that cannot build its subject has failed")]

use std::collections::BTreeMap;

use event::{Digest, Effect, EffectId, Label, MicroUsd, ModelCall, TaskId, Tier, ToolCall};
use policy::{Engine, Facts, ToolFacts};
use serde_json::{Value, json};

/// As many rules as a house with rules of its own might have.
const RULES: usize = 60;

fn main() {
    divan::main();
}

/// The default policy and, up to sixty, rules that look into arguments and labels.
fn engine() -> Engine {
    let mut text = Engine::default_policy().to_owned();
    let own = text.lines().filter(|line| line.starts_with("@id(")).count();
    for i in own..RULES {
        text.push_str(&format!(
            "@id(\"house-{i}\") @tier(\"user_authorised\") forbid (principal, action == Action::\"shell_exec\", resource)
             when {{ context.arguments has command && context.arguments.command like \"*forbidden-{i}*\"
                     && context.labels.command.integrity == \"untrusted\" }};\n"
        ));
    }
    Engine::load(&text).unwrap()
}

fn facts() -> Facts {
    let tool = ToolFacts { tier: Tier::Autonomous, reversible: true, leaves: false, sinks: Vec::new() };
    Facts {
        task: TaskId::new("t-1").unwrap(),
        model: "script:demo".to_owned(),
        tool: Some(tool),
        yes: false,
        declared: false,
        budget_left: Some(MicroUsd(1_000_000)),
    }
}

fn tool_call(tool: &str, arguments: Value) -> Effect {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let labels: BTreeMap<_, _> = arguments.keys().map(|name| (name.clone(), Label::output_of(EffectId(3)))).collect();
    Effect::Tool(ToolCall {
        id: EffectId(9),
        turn: 4,
        call_id: "call_9".to_owned(),
        tool: tool.to_owned(),
        arguments,
        labels,
    })
}

fn decide(bencher: divan::Bencher<'_, '_>, effect: &Effect) {
    let (engine, facts) = (engine(), facts());
    bencher.bench(|| engine.decide(divan::black_box(effect), &facts));
}

#[divan::bench]
fn shell_exec(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &tool_call("shell_exec", json!({"command": "python3 analyse.py --input data.csv", "cwd": "src"})));
}

#[divan::bench]
fn file_write_of_16_kib(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &tool_call("file_write", json!({"path": "report.md", "content": "word ".repeat(3_277)})));
}

#[divan::bench]
fn model_call(bencher: divan::Bencher<'_, '_>) {
    let call = ModelCall {
        id: EffectId(1),
        turn: 1,
        model: "script:demo".to_owned(),
        body: Digest::of(b"{}"),
        body_bytes: 2,
        input_tokens_max: 1_000,
        output_tokens_max: 500,
        reserved: Some(MicroUsd(20_000)),
        label: Label::person(),
    };
    decide(bencher, &Effect::Model(call));
}
