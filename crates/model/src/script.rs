//! The script: turns written beforehand, played in order. It is no model, decides nothing and says so wherever it shows.
//!
//! Which turn is due is read off the request (how many replies it holds), so a script goes on after a crash like a model
//! would. Texts and arguments may hold `{{KEY}}`; it stands for what a tool printed last as `KEY: value` or `KEY=value`
//! on a line of its own, which is how a script speaks of figures that were computed in the run.

use std::collections::BTreeMap;

use event::{AssistantMessage, FinishReason, Reply, ToolRequest, Usage};
use serde::Deserialize;
use serde_json::Value;

use crate::{Body, Delta, Failure};

/// Turns of one script, repeats counted.
const TURNS_MAX: u64 = 100_000;

/// What a script says when its turns are over.
const AFTER_THE_END: &str = "The script has no more turns.";

/// A script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    turns: Vec<Turn>,
    /// The sentence that the script was written for, and its input files: for whoever plays it.
    #[serde(default)]
    pub task: String,
    #[serde(default)]
    pub inputs: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    #[serde(default)]
    say: String,
    #[serde(default)]
    calls: Vec<Call>,
    /// So many times over; `{{i}}` counts from 1.
    #[serde(default = "once")]
    repeat: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    /// An object, or a text that is passed on as it is: also one that is not JSON.
    #[serde(default)]
    arguments: Value,
}

fn once() -> u64 {
    1
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It is not the JSON of a script.
    #[error("read the script: {0}")]
    Form(#[from] serde_json::Error),
    /// It is too long.
    #[error("the script has more than {TURNS_MAX} turns")]
    TooLong,
}

impl Script {
    /// Reads a script: `{"turns":[{"say":…,"calls":[{"name":…,"arguments":{…}}],"repeat":…}]}`.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_json::from_str(text)?;
        let turns = script.turns.iter().fold(0_u64, |sum, turn| sum.saturating_add(turn.repeat));
        if turns > TURNS_MAX { Err(ScriptError::TooLong) } else { Ok(script) }
    }

    /// The turn that is due after this request.
    pub(crate) fn reply(&self, body: &Body, on_delta: &mut dyn FnMut(Delta)) -> Result<Reply, Failure> {
        let request: Value = serde_json::from_slice(body.as_bytes())
            .map_err(|error| Failure::rejected(format!("the script cannot read the request: {error}")))?;
        let messages = request.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let role = |message: &&Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
        let due = messages.iter().filter(|message| role(message, "assistant")).count() as u64;
        let mut values = values_in(messages.iter().filter(|message| role(message, "tool")));
        let message = match self.turn(due) {
            None => AssistantMessage { text: AFTER_THE_END.to_owned(), ..AssistantMessage::default() },
            Some((turn, i)) => {
                values.insert("i".to_owned(), i.to_string());
                let call = |(at, call): (usize, &Call)| {
                    let arguments = match &call.arguments {
                        Value::String(text) => filled(text, &values),
                        Value::Null => "{}".to_owned(),
                        other => filled_value(other, &values).to_string(),
                    };
                    ToolRequest { id: format!("script_{due}_{at}"), name: call.name.clone(), arguments }
                };
                AssistantMessage {
                    text: filled(&turn.say, &values),
                    reasoning: String::new(),
                    tool_calls: turn.calls.iter().enumerate().map(call).collect(),
                    carried: Vec::new(),
                }
            }
        };
        if !message.text.is_empty() {
            on_delta(Delta::Text(message.text.clone()));
        }
        let finish = if message.tool_calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        Ok(Reply {
            message,
            finish,
            usage: Some(Usage::default()),
            served_by: "script".to_owned(),
            response_id: String::new(),
        })
    }

    /// The turn at this place, counted from 0, and how many times it has come round.
    fn turn(&self, mut due: u64) -> Option<(&Turn, u64)> {
        for turn in &self.turns {
            if due < turn.repeat {
                return Some((turn, due + 1));
            }
            due -= turn.repeat;
        }
        None
    }
}

/// `KEY: value` and `KEY=value` lines of what the tools brought back; the last one wins.
fn values_in<'a>(results: impl Iterator<Item = &'a Value>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for result in results {
        let text = result.get("content").and_then(Value::as_str).unwrap_or_default();
        for line in text.lines() {
            let Some(end) = line.find([':', '=']) else { continue };
            let (key, value) = (&line[..end], line[end + 1..].trim());
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if !key.is_empty() && key.chars().all(plain) {
                values.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    values
}

fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let value = from.find("}}").and_then(|end| Some((end, values.get(&from[2..end])?)));
        match value {
            Some((end, value)) => {
                out.push_str(value);
                rest = &from[end + 2..];
            }
            None => {
                out.push_str("{{");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn filled_value(value: &Value, values: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(filled(text, values)),
        Value::Array(items) => items.iter().map(|item| filled_value(item, values)).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), filled_value(item, values))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use event::{Item, Label};

    use super::*;
    use crate::Conversation;

    fn play(script: &str, results: &[&str]) -> AssistantMessage {
        let script = Script::parse(script).unwrap();
        let mut conversation = Conversation::new("script:test", b"[]", None).unwrap();
        for text in results {
            let message = script.reply(&conversation.body(), &mut |_| ()).unwrap().message;
            let call_id = message.tool_calls.first().map(|call| call.id.clone()).unwrap_or_default();
            conversation.push(&Item::Assistant { message });
            let (text, tool) = ((*text).to_owned(), "shell_exec".to_owned());
            conversation.push(&Item::Tool { call_id, tool, text, label: Label::system() });
        }
        script.reply(&conversation.body(), &mut |_| ()).unwrap().message
    }

    #[test]
    fn figures_come_from_what_the_tools_printed() {
        let script = r#"{"turns":[{"calls":[{"name":"a"}]},{"say":"{{ROWS}} rows, {{NOT}} {{x","calls":[{"name":"b","arguments":{"n":["{{ROWS}}"]}}]}]}"#;
        let message = play(script, &["ROWS: 1\nnoise\nROWS=9,900\nlower: no"]);
        assert_eq!(message.text, "9,900 rows, {{NOT}} {{x");
        assert_eq!(message.tool_calls[0].arguments, r#"{"n":["9,900"]}"#);
    }

    #[test]
    fn turns_repeat_and_end() {
        let script = r#"{"turns":[{"repeat":2,"calls":[{"name":"a","arguments":"{\"cut\": \"{{i}}"}]}]}"#;
        assert_eq!(play(script, &[]).tool_calls[0].arguments, "{\"cut\": \"1");
        assert_eq!(play(script, &["x"]).tool_calls[0].arguments, "{\"cut\": \"2");
        assert_eq!(play(script, &["x", "y"]).text, AFTER_THE_END);
    }
}
