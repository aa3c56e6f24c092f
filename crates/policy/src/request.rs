//! What the rules see: an effect and its facts as a Cedar request. Every attribute is always there, arguments and
//! labels of a tool's call excepted, so that a rule need not ask first; nothing is decided here. The last section of
//! the default policy lists them for those who write rules.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use event::{Confidentiality, Effect, Integrity, Label, MicroUsd, ModelCall, Tier, ToolCall};
use serde_json::{Map, Value};

use crate::Facts;

/// How deep arguments may nest: every tool's are flat, and deeper ones are only work for the rules.
pub(crate) const ARGUMENT_DEPTH_MAX: usize = 16;

type Fields = Vec<(String, RestrictedExpression)>;

/// The request, or why there can be none.
pub(crate) fn build(effect: &Effect, facts: &Facts) -> Result<Request, String> {
    let (action, resource, mut fields) = match effect {
        Effect::Model(call) => ("model_call", uid("Model", &call.model)?, of_model(call, facts)?),
        Effect::Tool(call) => {
            let resource = match &facts.tool {
                None => uid("Unknown", &call.tool)?,
                Some(tool) if tool.leaves => uid("Outside", "world")?,
                Some(_) => uid("Computer", facts.task.as_str())?,
            };
            (call.tool.as_str(), resource, of_tool(call, facts)?)
        }
        Effect::Reach(reach) => {
            ("network_connect", uid("Host", &format!("{}:{}", reach.host, reach.port))?, of_reach()?)
        }
    };
    fields.push(("tool".to_owned(), tool(facts)?));
    fields.push((
        "budget".to_owned(),
        record(vec![
            ("capped".to_owned(), RestrictedExpression::new_bool(facts.budget_left.is_some())),
            ("left".to_owned(), money(facts.budget_left)),
        ])?,
    ));
    fields.push(("network".to_owned(), network(effect, facts)?));
    fields.push(("yes".to_owned(), RestrictedExpression::new_bool(facts.yes)));
    let context = Context::from_pairs(fields).map_err(|error| error.to_string())?;
    let principal = uid("Task", facts.task.as_str())?;
    Request::new(principal, uid("Action", action)?, resource, context, None).map_err(|error| error.to_string())
}

fn of_model(call: &ModelCall, facts: &Facts) -> Result<Fields, String> {
    let model = record(vec![
        ("name".to_owned(), text(&call.model)),
        ("chosen".to_owned(), RestrictedExpression::new_bool(call.model == facts.model)),
        ("priced".to_owned(), RestrictedExpression::new_bool(call.reserved.is_some())),
        ("reserved".to_owned(), money(call.reserved)),
        ("input_tokens_max".to_owned(), number(call.input_tokens_max)),
        ("output_tokens_max".to_owned(), number(call.output_tokens_max)),
        ("body_bytes".to_owned(), number(call.body_bytes)),
    ])?;
    Ok(vec![
        ("model".to_owned(), model),
        ("label".to_owned(), level(Level::of(&call.label))?),
        ("sink".to_owned(), level(Level::LEAST)?),
        ("arguments".to_owned(), record(Vec::new())?),
        ("labels".to_owned(), record(Vec::new())?),
    ])
}

fn of_tool(call: &ToolCall, facts: &Facts) -> Result<Fields, String> {
    let levels: BTreeMap<&str, Level> =
        call.arguments.keys().map(|name| (name.as_str(), Level::of_argument(call, name))).collect();
    let sinks = facts.tool.iter().flat_map(|tool| &tool.sinks);
    let sink = sinks.filter_map(|name| levels.get(name.as_str())).fold(Level::LEAST, |all, one| all.join(*one));
    let joined = levels.values().fold(Level::LEAST, |all, one| all.join(*one));
    let labels: Result<Fields, String> =
        levels.iter().map(|(name, one)| Ok(((*name).to_owned(), level(*one)?))).collect();
    Ok(vec![
        ("model".to_owned(), no_model()?),
        ("label".to_owned(), level(joined)?),
        ("sink".to_owned(), level(sink)?),
        ("arguments".to_owned(), object(&call.arguments, ARGUMENT_DEPTH_MAX)?),
        ("labels".to_owned(), record(labels?)?),
    ])
}

fn of_reach() -> Result<Fields, String> {
    Ok(vec![
        ("model".to_owned(), no_model()?),
        ("label".to_owned(), level(Level::LEAST)?),
        ("sink".to_owned(), level(Level::LEAST)?),
        ("arguments".to_owned(), record(Vec::new())?),
        ("labels".to_owned(), record(Vec::new())?),
    ])
}

fn no_model() -> Result<RestrictedExpression, String> {
    record(vec![
        ("name".to_owned(), text("")),
        ("chosen".to_owned(), RestrictedExpression::new_bool(false)),
        ("priced".to_owned(), RestrictedExpression::new_bool(false)),
        ("reserved".to_owned(), number(0)),
        ("input_tokens_max".to_owned(), number(0)),
        ("output_tokens_max".to_owned(), number(0)),
        ("body_bytes".to_owned(), number(0)),
    ])
}

/// The place to be reached; nowhere for every other effect.
fn network(effect: &Effect, facts: &Facts) -> Result<RestrictedExpression, String> {
    let (host, port) = match effect {
        Effect::Reach(reach) => (reach.host.as_str(), reach.port),
        Effect::Model(_) | Effect::Tool(_) => ("", 0),
    };
    record(vec![
        ("host".to_owned(), text(host)),
        ("port".to_owned(), number(u64::from(port))),
        ("address".to_owned(), RestrictedExpression::new_bool(host.parse::<core::net::IpAddr>().is_ok())),
        ("declared".to_owned(), RestrictedExpression::new_bool(facts.declared)),
    ])
}

fn tool(facts: &Facts) -> Result<RestrictedExpression, String> {
    let tier = match facts.tool.as_ref().map_or(Tier::Autonomous, |tool| tool.tier) {
        Tier::Autonomous => "autonomous",
        Tier::UserAuthorised => "user_authorised",
        Tier::UserOnly => "user_only",
    };
    let tool = facts.tool.as_ref();
    let sinks = tool.iter().flat_map(|tool| &tool.sinks).map(|name| text(name));
    record(vec![
        ("tier".to_owned(), text(tier)),
        ("reversible".to_owned(), RestrictedExpression::new_bool(tool.is_none_or(|tool| tool.reversible))),
        ("leaves".to_owned(), RestrictedExpression::new_bool(tool.is_some_and(|tool| tool.leaves))),
        ("sinks".to_owned(), RestrictedExpression::new_set(sinks)),
    ])
}

/// The two of a label's parts that rules judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    integrity: Integrity,
    confidentiality: Confidentiality,
}

impl Level {
    /// Of nothing at all.
    const LEAST: Self = Self { integrity: Integrity::Trusted, confidentiality: Confidentiality::Public };

    fn of(label: &Label) -> Self {
        Self { integrity: label.integrity, confidentiality: label.confidentiality }
    }

    /// An argument without a label could have been written by anybody and hold anything.
    fn of_argument(call: &ToolCall, name: &str) -> Self {
        let worst = Self { integrity: Integrity::Untrusted, confidentiality: Confidentiality::Secret };
        call.labels.get(name).map_or(worst, Self::of)
    }

    fn join(self, other: Self) -> Self {
        Self {
            integrity: self.integrity.max(other.integrity),
            confidentiality: self.confidentiality.max(other.confidentiality),
        }
    }
}

fn level(level: Level) -> Result<RestrictedExpression, String> {
    let integrity = match level.integrity {
        Integrity::Trusted => "trusted",
        Integrity::Untrusted => "untrusted",
    };
    let confidentiality = match level.confidentiality {
        Confidentiality::Public => "public",
        Confidentiality::Private => "private",
        Confidentiality::Secret => "secret",
    };
    record(vec![("integrity".to_owned(), text(integrity)), ("confidentiality".to_owned(), text(confidentiality))])
}

fn object(map: &Map<String, Value>, depth: usize) -> Result<RestrictedExpression, String> {
    let mut fields = Vec::with_capacity(map.len());
    for (name, value) in map {
        if let Some(value) = expression(value, depth)? {
            fields.push((name.clone(), value));
        }
    }
    record(fields)
}

/// None for null, which Cedar does not have.
fn expression(value: &Value, depth: usize) -> Result<Option<RestrictedExpression>, String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("arguments nested deeper than {ARGUMENT_DEPTH_MAX}"));
    };
    Ok(match value {
        Value::Null => None,
        Value::Bool(flag) => Some(RestrictedExpression::new_bool(*flag)),
        // A number that does not fit stands as its text rather than as another number.
        Value::Number(number) => Some(match number.as_i64() {
            Some(whole) => RestrictedExpression::new_long(whole),
            None => RestrictedExpression::new_string(number.to_string()),
        }),
        Value::String(words) => Some(text(words)),
        Value::Array(items) => {
            let mut set = Vec::with_capacity(items.len());
            for item in items {
                set.extend(expression(item, depth)?);
            }
            Some(RestrictedExpression::new_set(set))
        }
        Value::Object(map) => Some(object(map, depth)?),
    })
}

fn record(fields: Fields) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(fields).map_err(|error| error.to_string())
}

fn text(words: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(words.to_owned())
}

fn number(count: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(count).unwrap_or(i64::MAX))
}

fn money(amount: Option<MicroUsd>) -> RestrictedExpression {
    number(amount.map_or(0, |amount| amount.0))
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
