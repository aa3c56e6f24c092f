//! Chat completions' answers, whole or in pieces, into one reply. Servers differ in what they leave out, so everything is
//! looked for and nothing is relied upon; what comes from outside has a limit.

use event::{AssistantMessage, FinishReason, Reply, ToolRequest, Usage};
use serde_json::Value;

use crate::{Delta, Failure};

/// Bytes of one reply, all its parts together.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Tool calls of one reply.
pub(crate) const TOOL_CALLS_MAX: usize = 256;

/// Characters of the names that the server gives its model and its reply.
const NAME_CHARS_MAX: usize = 200;

/// A reply in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    text: String,
    reasoning: String,
    calls: Vec<Piece>,
    /// Which of several choices this is: the first that came. Only one is ever asked for.
    choice: Option<u64>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    served_by: String,
    response_id: String,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    /// The number the server gave the call, where it gave one.
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// What Gemini wants back with the call: its signed thoughts.
    extra: Value,
}

impl Piece {
    fn is_complete(&self) -> bool {
        !self.name.is_empty() && serde_json::from_str::<Value>(&self.arguments).is_ok_and(|value| value.is_object())
    }
}

impl Answer {
    /// Takes in one chunk of a stream, or a whole answer.
    pub(crate) fn take(&mut self, value: &Value, on_delta: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        if let Some(error) = error_in(value) {
            return Err(crate::http::stream_error(error));
        }
        // Azure's first chunk has an empty name.
        if let Some(model) = value.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) {
            self.served_by = model.chars().take(NAME_CHARS_MAX).collect();
        }
        if let Some(id) = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            self.response_id = id.chars().take(NAME_CHARS_MAX).collect();
        }
        let usages = [value.get("usage"), value.pointer("/x_groq/usage")];
        if let Some(usage) = usages.into_iter().flatten().find_map(read_usage) {
            self.usage = Some(usage);
        }
        for choice in value.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            if *self.choice.get_or_insert(index) == index {
                self.choice(choice, on_delta)?;
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Value, on_delta: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        if let Some(error) = choice.get("error").filter(|error| !error.is_null()) {
            return Err(crate::http::stream_error(error));
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            if reason == "error" {
                return Err(Failure::transient("the model's server broke off without saying why"));
            }
            if broke_off(reason) {
                let reason = crate::http::plain(reason);
                return Err(Failure::transient(format!("the model's server broke off: {reason}")));
            }
            self.finish = Some(read_finish(reason));
        }
        let Some(part) = choice.get("delta").or_else(|| choice.get("message")) else { return Ok(()) };
        for text in [read_text(part.get("content")), read_text(part.get("refusal"))] {
            if !text.is_empty() {
                self.grow(text.len())?;
                self.text.push_str(&text);
                on_delta(Delta::Text(text));
            }
        }
        let thoughts = ["reasoning_content", "reasoning"].map(|key| part.get(key).and_then(Value::as_str));
        if let Some(thought) = thoughts.into_iter().flatten().find(|thought| !thought.is_empty()) {
            self.grow(thought.len())?;
            self.reasoning.push_str(thought);
            on_delta(Delta::Reasoning(thought.to_owned()));
        }
        let calls = part.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty());
        for call in calls.into_iter().flatten() {
            self.call(call, on_delta)?;
        }
        // The form before tools: one call, without an id. Some servers say the same call in both forms.
        if let Some(function) = part.get("function_call").filter(|function| calls.is_none() && function.is_object()) {
            self.call(&serde_json::json!({ "index": 0, "function": function }), on_delta)?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Value, on_delta: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let function = call.get("function");
        let (index, id) = (call.get("index").and_then(Value::as_u64), text(call.get("id")));
        let name = text(function.and_then(|function| function.get("name")));
        let arguments = match function.and_then(|function| function.get("arguments")) {
            Some(Value::String(arguments)) => arguments.clone(),
            None | Some(Value::Null) => String::new(),
            // Some servers give the arguments as an object.
            Some(other) => other.to_string(),
        };
        self.grow(id.len() + name.len() + arguments.len())?;
        let extra = call.get("extra_content").filter(|extra| extra.is_object()).cloned().unwrap_or_default();
        self.grow(if extra.is_null() { 0 } else { extra.to_string().len() })?;
        let at = self.place(index, &id, &name, &arguments);
        let Some(at) = at else {
            if self.calls.len() >= TOOL_CALLS_MAX {
                return Err(Failure::transient(format!("the model's reply has more than {TOOL_CALLS_MAX} tool calls")));
            }
            on_delta(Delta::ToolCall(name.clone()));
            self.calls.push(Piece { index, id, name, arguments, extra });
            return Ok(());
        };
        let piece = &mut self.calls[at];
        if !extra.is_null() {
            piece.extra = extra;
        }
        if piece.id.is_empty() {
            piece.id = id;
        }
        // A server that repeats the whole name with each piece does not mean it twice.
        if piece.name != name {
            piece.name.push_str(&name);
        }
        piece.arguments.push_str(&arguments);
        Ok(())
    }

    /// Which call a piece belongs to; none for a new one.
    fn place(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> Option<usize> {
        let same_id = |piece: &Piece| id.is_empty() || piece.id.is_empty() || piece.id == id;
        let found = match index {
            // One index for several calls: another id tells them apart. With another id in each piece of one call, the
            // missing name does.
            Some(_) => {
                let at = |same: &dyn Fn(&Piece) -> bool| {
                    self.calls.iter().rposition(|piece| piece.index == index && same(piece))
                };
                at(&same_id).or_else(|| at(&|_| name.is_empty()))
            }
            None if !id.is_empty() => self.calls.iter().rposition(|piece| piece.id == id),
            None if !name.is_empty() => None,
            None => self.calls.len().checked_sub(1),
        };
        // A name and arguments that begin anew, after a call that is complete: the next call, whatever its index says.
        found.filter(|at| name.is_empty() || !arguments.trim_start().starts_with('{') || !self.calls[*at].is_complete())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes += bytes;
        if self.bytes > REPLY_BYTES_MAX {
            return Err(Failure::transient(format!("the model's reply is over {REPLY_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Bytes of the reply so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything of a reply has come, be it empty.
    pub(crate) fn has_begun(&self) -> bool {
        self.choice.is_some()
    }

    /// Whether the server has said why it stopped: without that, a stream's end is a cut.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The reply.
    pub(crate) fn into_reply(self) -> Reply {
        let mut taken = std::collections::HashSet::new();
        let mut carried = Vec::new();
        let mut tool_calls = Vec::with_capacity(self.calls.len());
        for (at, piece) in self.calls.into_iter().enumerate() {
            // Results are matched by id: make one where it is missing or given twice, the same in every run.
            let mut id = piece.id;
            let mut number = at;
            while id.is_empty() || !taken.insert(id.clone()) {
                id = format!("call_{number}");
                number += 1;
            }
            if !piece.extra.is_null() {
                carried.push(serde_json::json!({ "id": id, "extra_content": piece.extra }));
            }
            tool_calls.push(ToolRequest { id, name: piece.name, arguments: piece.arguments });
        }
        let message = AssistantMessage { text: self.text, reasoning: self.reasoning, tool_calls, carried };
        let finish = self.finish.unwrap_or(FinishReason::Other);
        Reply { message, finish, usage: self.usage, served_by: self.served_by, response_id: self.response_id }
    }
}

fn read_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<String>()
        }
        Some(_) | None => String::new(),
    }
}

/// Reasons for an end that is none of the model's: DeepSeek without room, vLLM and SGLang whose request was dropped, Gemini
/// whose model wrote a call that could not be read.
fn broke_off(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    matches!(reason.as_str(), "insufficient_system_resource" | "abort") || reason.contains("malformed_function_call")
}

fn read_finish(reason: &str) -> FinishReason {
    match reason {
        "stop" | "end_turn" | "eos" => FinishReason::Stop,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "length" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// What was counted, once input and output both are: Databricks sends the input alone until the end.
fn read_usage(usage: &Value) -> Option<Usage> {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let details = usage.get("prompt_tokens_details");
    let cached = details
        .and_then(|details| details.get("cached_tokens"))
        .or_else(|| usage.get("prompt_cache_hit_tokens"))
        .or_else(|| usage.get("cached_tokens"));
    let (input, output) = (number(usage.get("prompt_tokens"))?, number(usage.get("completion_tokens"))?);
    // Some servers count a model's thinking in the total alone; it is charged as output.
    let output = output.max(number(usage.get("total_tokens")).unwrap_or(0).saturating_sub(input));
    Some(Usage {
        input_tokens: input,
        cached_input_tokens: number(cached).unwrap_or(0),
        // OpenRouter's name for it.
        cache_write_input_tokens: number(details.and_then(|details| details.get("cache_write_tokens"))).unwrap_or(0),
        output_tokens: output,
    })
}

/// The error that a chunk or a whole answer is: under `error`, or the chunk itself.
fn error_in(value: &Value) -> Option<&Value> {
    let itself = value.get("object").and_then(Value::as_str) == Some("error");
    value.get("error").filter(|error| !error.is_null()).or(itself.then_some(value))
}
