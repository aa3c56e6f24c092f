//! Examples that stand in a policy as comments and are held against its rules at load, so that a policy says what its
//! author means or is not used. They are no second set of rules: nothing is decided by them.
//!
//! One line each: `//@ allow|ask|deny {…}`. The object names a `tool` (with `arguments`, `labels` and the tool's facts
//! `leaves`, `reversible`, `sinks`, `tier`; `unknown` if it is one nobody knows), a `model` (with `reserved`) or a `host` (with
//! `port`, 443 by itself, and `declared` if the person named it for the task), may add `yes` and `budget_left`, and with `rules` names the very rules that must speak. What is left out is harmless: a tool
//! that stays inside, the person's own words, the task's own model, no cap.

use std::collections::BTreeMap;

use event::{
    Confidentiality, Digest, Effect, EffectId, Integrity, Label, MicroUsd, ModelCall, Outcome, Reach, Source, TaskId,
    Tier, ToolCall,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Engine, Error, Facts, ToolFacts};

/// What begins an example's line.
const MARK: &str = "//@";

/// The model of an example's task.
const MODEL: &str = "example:model";

/// Holds every example of the text against the rules.
pub(crate) fn check(engine: &Engine) -> Result<(), Error> {
    for (index, line) in engine.text().lines().enumerate() {
        if let Some(example) = line.trim_start().strip_prefix(MARK) {
            check_one(engine, example.trim(), index + 1)?;
        }
    }
    Ok(())
}

fn check_one(engine: &Engine, example: &str, line: usize) -> Result<(), Error> {
    let bad = |problem: String| Error::Example { line, problem };
    let (word, case) = example.split_once(char::is_whitespace).unwrap_or((example, ""));
    let expected = match word {
        "allow" => Outcome::Allow,
        "ask" => Outcome::Ask,
        "deny" => Outcome::Deny,
        other => return Err(bad(format!("must begin with allow, ask or deny, not {other:?}"))),
    };
    let case: Case = serde_json::from_str(case).map_err(|error| bad(error.to_string()))?;
    let expected_rules = case.rules.clone();
    let (effect, facts) = case.build().map_err(bad)?;
    let decision = engine.decide(&effect, &facts);
    let rules_agree = expected_rules.as_ref().is_none_or(|rules| *rules == decision.rules);
    if decision.outcome == expected && rules_agree {
        return Ok(());
    }
    let by = |rules: &[String]| if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) };
    Err(Error::Contradicted {
        line,
        expected: format!("{word}{}", by(&expected_rules.unwrap_or_default())),
        found: format!("{}{}", said(decision.outcome), by(&decision.rules)),
    })
}

fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::Ask => "ask",
    }
}

/// An example as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Case {
    tool: Option<String>,
    arguments: Map<String, Value>,
    /// Words such as "untrusted", "secret", "untrusted public"; an argument without any is the person's.
    labels: BTreeMap<String, String>,
    unknown: bool,
    leaves: bool,
    irreversible: bool,
    sinks: Vec<String>,
    tier: Option<Tier>,
    model: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    declared: bool,
    /// What the model would read, as in `labels`.
    label: String,
    reserved: Option<u64>,
    budget_left: Option<u64>,
    yes: bool,
    rules: Option<Vec<String>>,
}

impl Case {
    fn build(self) -> Result<(Effect, Facts), String> {
        let task = TaskId::new("example").map_err(|error| error.to_string())?;
        let tool = ToolFacts {
            tier: self.tier.unwrap_or(Tier::Autonomous),
            reversible: !self.irreversible,
            leaves: self.leaves,
            sinks: self.sinks,
        };
        let facts = Facts {
            task,
            model: MODEL.to_owned(),
            tool: (self.tool.is_some() && !self.unknown).then_some(tool),
            yes: self.yes,
            declared: self.declared,
            budget_left: self.budget_left.map(MicroUsd),
        };
        let id = EffectId(1);
        let effect = match (self.tool, self.model, self.host) {
            (Some(tool), None, None) => {
                if let Some(name) = self.labels.keys().find(|name| !self.arguments.contains_key(*name)) {
                    return Err(format!("a label for the argument {name:?}, which is not there"));
                }
                let mut labels = BTreeMap::new();
                for name in self.arguments.keys() {
                    let words = self.labels.get(name).map_or("", String::as_str);
                    labels.insert(name.clone(), label(words)?);
                }
                Effect::Tool(ToolCall { id, turn: 1, call_id: String::new(), tool, arguments: self.arguments, labels })
            }
            (None, Some(model), None) => Effect::Model(ModelCall {
                id,
                turn: 1,
                model,
                body: Digest::of(b""),
                body_bytes: 0,
                input_tokens_max: 0,
                output_tokens_max: 0,
                reserved: self.reserved.map(MicroUsd),
                label: label(&self.label)?,
            }),
            (None, None, Some(host)) => Effect::Reach(Reach { id, host, port: self.port.unwrap_or(443) }),
            _ => return Err("a tool, a model or a host must be named, and only one of them".to_owned()),
        };
        Ok((effect, facts))
    }
}

fn label(words: &str) -> Result<Label, String> {
    let mut label = Label::new(Integrity::Trusted, Confidentiality::Private, Source::Person);
    for word in words.split_whitespace() {
        match word {
            "trusted" => label.integrity = Integrity::Trusted,
            "untrusted" => label.integrity = Integrity::Untrusted,
            "public" => label.confidentiality = Confidentiality::Public,
            "private" => label.confidentiality = Confidentiality::Private,
            "secret" => label.confidentiality = Confidentiality::Secret,
            other => return Err(format!("{other:?} is no word of a label")),
        }
    }
    Ok(label)
}
