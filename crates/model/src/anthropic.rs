//! Anthropic's messages: the request as it grows, and the answer's events put into the words of chat completions, which
//! [`crate::chat::Answer`] takes in. It knows no address and opens no connection.

use event::{AssistantMessage, Item, ToolRequest};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::chat::{REPLY_BYTES_MAX, TOOL_CALLS_MAX};
use crate::conversation::{NO_WORDS, Shape, plain_name, sound_arguments};

/// Blocks of one reply.
const BLOCKS_MAX: usize = 4 * TOOL_CALLS_MAX;

/// Marks what is worth keeping: all up to the block that bears it. In the body's tail it stands on the last block and is
/// no part of what the next body begins with, so it moves and nothing that was sent changes.
const HINT: &str = r#""cache_control":{"type":"ephemeral"}"#;

/// What is kept for five minutes, as [`HINT`] asks for, costs so many times the price of input where nothing else is
/// configured: Anthropic's price list says so of every model.
pub(crate) const CACHE_WRITE_TIMES: f64 = 1.25;

/// Who said the last thing. A person's message stays open, for the results of parallel calls have to be in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// No message yet.
    #[default]
    Nothing,
    /// The list of messages, nothing in it.
    Messages,
    /// A block of a person's message, without its last brace.
    User,
    /// A whole message of the model's.
    Assistant,
}

/// What is open at the body's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder {
    open: Open,
}

impl Encoder {
    /// Everything that stands before the first item.
    pub(crate) fn head(model: &str, tools: &[u8], output_tokens_max: u64, shape: &Shape) -> Vec<u8> {
        let mut head =
            format!("{{\"max_tokens\":{output_tokens_max},\"model\":{},\"stream\":true,", Value::from(model));
        head.push_str(&match shape {
            Shape::Free => String::new(),
            Shape::Call(tool) => format!("\"tool_choice\":{},", json!({ "type": "tool", "name": tool })),
            Shape::Json(schema) | Shape::OldJson(schema) => {
                let format = json!({ "type": "json_schema", "schema": schema });
                format!("\"output_config\":{},", json!({ "format": format }))
            }
        });
        let tools: Vec<Value> = crate::conversation::functions(tools)
            .map(|function| {
                let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({ "type": "object" }));
                let description = function.get("description").cloned().unwrap_or_default();
                let mut tool = json!({ "name": function["name"], "input_schema": schema });
                if description.is_string() {
                    tool["description"] = description;
                }
                tool
            })
            .collect();
        if !tools.is_empty() {
            head.push_str(&format!("\"tools\":{},", String::from_utf8_lossy(&event::canonical(&tools))));
        }
        head.into_bytes()
    }

    /// The bytes that the item adds.
    pub(crate) fn push(&mut self, item: &Item) -> Vec<u8> {
        let mut added = Vec::new();
        match item {
            Item::System { text } if self.open == Open::Nothing => {
                let text = Value::from(text.as_str());
                let system = format!("\"system\":[{{\"text\":{text},\"type\":\"text\",{HINT}}}],\"messages\":[");
                added.extend_from_slice(system.as_bytes());
                self.open = Open::Messages;
            }
            Item::System { text } | Item::User { text, .. } => self.block(&text_block(text), &mut added),
            Item::Tool { call_id, text, .. } => {
                let block = json!({ "type": "tool_result", "tool_use_id": call_id, "content": words(text) });
                self.block(&block, &mut added);
            }
            Item::Picture { text, jpeg, .. } => {
                self.block(&text_block(text), &mut added);
                let source = json!({ "type": "base64", "media_type": "image/jpeg", "data": jpeg });
                self.block(&json!({ "type": "image", "source": source }), &mut added);
            }
            Item::Assistant { message } => {
                added.extend_from_slice(self.end_of_message());
                let message = json!({ "role": "assistant", "content": blocks(message) });
                added.extend_from_slice(&event::canonical(&message));
                self.open = Open::Assistant;
            }
        }
        added
    }

    fn block(&mut self, block: &Value, added: &mut Vec<u8>) {
        if self.open == Open::User {
            added.extend_from_slice(b"},");
        } else {
            added.extend_from_slice(self.end_of_message());
            added.extend_from_slice(b"{\"role\":\"user\",\"content\":[");
        }
        let block = event::canonical(block);
        added.extend_from_slice(block.strip_suffix(b"}").unwrap_or(&block));
        self.open = Open::User;
    }

    /// What has to stand before another message.
    fn end_of_message(&self) -> &'static [u8] {
        match self.open {
            Open::Nothing => b"\"messages\":[",
            Open::Messages => b"",
            Open::User => b"}]},",
            Open::Assistant => b",",
        }
    }

    /// What ends the body as it stands.
    pub(crate) fn tail(&self) -> Vec<u8> {
        match self.open {
            Open::Nothing => b"\"messages\":[]}".to_vec(),
            Open::Messages | Open::Assistant => b"]}".to_vec(),
            Open::User => format!(",{HINT}}}]}}]}}").into_bytes(),
        }
    }
}

/// A text without a word in it is refused.
fn words(text: &str) -> &str {
    if text.trim().is_empty() { NO_WORDS } else { text }
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": words(text) })
}

/// A reply's blocks. Where it thought, they go back as they came: thinking that was changed or moved is refused.
fn blocks(message: &AssistantMessage) -> Vec<Value> {
    if !message.carried.is_empty() {
        return message.carried.clone();
    }
    let text = (!message.text.trim().is_empty()).then(|| text_block(&message.text));
    let mut blocks: Vec<Value> = text.into_iter().chain(message.tool_calls.iter().map(tool_use)).collect();
    if blocks.is_empty() {
        blocks.push(text_block(""));
    }
    blocks
}

fn tool_use(call: &ToolRequest) -> Value {
    json!({ "type": "tool_use", "id": call.id, "name": plain_name(&call.name), "input": sound_arguments(&call.arguments) })
}

/// An answer's events, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// The blocks so far, as they will go back; a tool's input as text until the block ends.
    blocks: Vec<Value>,
    usage: Map<String, Value>,
    bytes: usize,
}

impl Reader {
    /// Bytes of the reply so far, those too that no chunk has: seals.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One event, or a whole answer, as a chunk of chat completions.
    pub(crate) fn translate(&mut self, value: &Value) -> Result<Value, Failure> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let chunk = match kind {
            "message_start" => {
                let message = &value["message"];
                self.count(&message["usage"]);
                json!({ "id": message["id"], "model": message["model"], "choices": [{ "delta": {} }] })
            }
            "content_block_start" => self.begin(&value["content_block"])?,
            "content_block_delta" => self.grow(&value["delta"])?,
            "content_block_stop" => self.end(),
            "message_delta" => {
                self.count(&value["usage"]);
                self.finish(value.pointer("/delta/stop_reason"))
            }
            "message" => self.whole(value)?,
            "error" => json!({ "error": value["error"] }),
            // `ping`, and what comes to be.
            _ => json!({}),
        };
        Ok(chunk)
    }

    fn begin(&mut self, block: &Value) -> Result<Value, Failure> {
        if !block.is_object() {
            return Err(Failure::transient("the model's reply has a block that is none"));
        }
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(Failure::transient(format!("the model's reply has more than {BLOCKS_MAX} blocks")));
        }
        self.room(block.to_string().len())?;
        let mut kept = block.clone();
        let at = self.blocks.len();
        let delta = match kind_of(block) {
            "tool_use" => {
                // A whole answer has the input here, a stream an empty object and then its pieces.
                let input = block["input"].as_object().filter(|input| !input.is_empty());
                let written = input.map(|_| block["input"].to_string()).unwrap_or_default();
                kept["input"] = Value::from(written.clone());
                json!({ "tool_calls": [{ "index": at, "id": block["id"],
                    "function": { "name": block["name"], "arguments": written } }] })
            }
            "text" => json!({ "content": block["text"] }),
            "thinking" => json!({ "reasoning": block["thinking"] }),
            _ => json!({}),
        };
        self.blocks.push(kept);
        Ok(piece(&delta))
    }

    fn grow(&mut self, delta: &Value) -> Result<Value, Failure> {
        let (field, from) = match kind_of(delta) {
            "text_delta" => ("text", "text"),
            "thinking_delta" => ("thinking", "thinking"),
            "signature_delta" => ("signature", "signature"),
            "input_json_delta" => ("input", "partial_json"),
            _ => return Ok(json!({})),
        };
        let text = delta[from].as_str().unwrap_or_default();
        self.room(text.len())?;
        let at = self.blocks.len().saturating_sub(1);
        let Some(block) = self.blocks.last_mut() else { return Ok(json!({})) };
        let is_call = kind_of(block) == "tool_use";
        match &mut block[field] {
            Value::String(so_far) => so_far.push_str(text),
            other => *other = Value::from(text),
        }
        Ok(match field {
            "text" => piece(&json!({ "content": text })),
            "thinking" => piece(&json!({ "reasoning": text })),
            // Only a call that began as one: the blocks and the calls of the reply are matched by their order.
            "input" if is_call => piece(&json!({ "tool_calls": [{ "index": at, "function": { "arguments": text } }] })),
            _ => json!({}),
        })
    }

    /// A call without arguments gets none at all from the stream.
    fn end(&mut self) -> Value {
        let at = self.blocks.len().saturating_sub(1);
        let Some(block) = self.blocks.last_mut() else { return json!({}) };
        if kind_of(block) != "tool_use" || block["input"].as_str() != Some("") {
            return json!({});
        }
        block["input"] = Value::from("{}");
        piece(&json!({ "tool_calls": [{ "index": at, "function": { "arguments": "{}" } }] }))
    }

    fn whole(&mut self, value: &Value) -> Result<Value, Failure> {
        let mut delta = json!({ "content": "", "reasoning": "", "tool_calls": [] });
        for block in value["content"].as_array().into_iter().flatten() {
            let begun = self.begin(block)?;
            let part = &begun["choices"][0]["delta"];
            for field in ["content", "reasoning"] {
                let text = format!("{}{}", delta[field].as_str().unwrap_or(""), part[field].as_str().unwrap_or(""));
                delta[field] = Value::from(text);
            }
            let call = part.pointer("/tool_calls/0").cloned();
            if let (Some(call), Some(calls)) = (call, delta["tool_calls"].as_array_mut()) {
                calls.push(call);
            }
        }
        self.count(&value["usage"]);
        let mut chunk = self.finish(value.get("stop_reason"));
        chunk["choices"][0]["delta"] = delta;
        chunk["model"] = value["model"].clone();
        chunk["id"] = value["id"].clone();
        Ok(chunk)
    }

    fn room(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes += bytes;
        if self.bytes > REPLY_BYTES_MAX {
            return Err(Failure::transient(format!("the model's reply is over {REPLY_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Counts are sums so far: what comes later holds.
    fn count(&mut self, usage: &Value) {
        for (name, count) in usage.as_object().into_iter().flatten().filter(|(_, count)| count.is_u64()) {
            self.usage.insert(name.clone(), count.clone());
        }
    }

    fn finish(&self, reason: Option<&Value>) -> Value {
        let number = |name: &str| self.usage.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (cached, written) = (number("cache_read_input_tokens"), number("cache_creation_input_tokens"));
        let input = number("input_tokens").saturating_add(cached).saturating_add(written);
        let reason = reason.and_then(Value::as_str).map(|reason| match reason {
            "end_turn" | "stop_sequence" | "pause_turn" => "stop",
            "tool_use" => "tool_calls",
            "max_tokens" | "model_context_window_exceeded" => "length",
            "refusal" => "content_filter",
            other => other,
        });
        json!({
            "choices": [{ "delta": {}, "finish_reason": reason }],
            "usage": { "prompt_tokens": input, "completion_tokens": number("output_tokens"),
                "prompt_tokens_details": { "cached_tokens": cached, "cache_write_tokens": written } },
        })
    }

    /// What has to go back as it came: all blocks, where the model thought. The calls are those of the reply: their results
    /// name them by what they are called there.
    pub(crate) fn carried(self, calls: &[ToolRequest]) -> Vec<Value> {
        let mut calls = calls.iter();
        let back = |block: Value| match kind_of(&block) {
            "tool_use" => calls.next().map(|call| called(block, call)),
            "text" => has_words(&block, "text").then_some(block),
            // Cut before it was signed, it would be refused.
            "thinking" => has_words(&block, "signature").then_some(block),
            _ => Some(block),
        };
        let mut blocks: Vec<Value> = self.blocks.into_iter().filter_map(back).collect();
        // What was thought and led to nothing may not be the last.
        while blocks.last().is_some_and(is_thought) {
            blocks.pop();
        }
        if blocks.iter().any(is_thought) { blocks } else { Vec::new() }
    }
}

/// A call's block under the name and id that the reply has it by, and with an input that can be read.
fn called(mut block: Value, call: &ToolRequest) -> Value {
    block["id"] = Value::from(call.id.as_str());
    block["name"] = Value::from(plain_name(&call.name));
    block["input"] = sound_arguments(&call.arguments);
    block
}

fn is_thought(block: &Value) -> bool {
    matches!(kind_of(block), "thinking" | "redacted_thinking")
}

fn has_words(block: &Value, field: &str) -> bool {
    !block[field].as_str().unwrap_or_default().trim().is_empty()
}

fn kind_of(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn piece(delta: &Value) -> Value {
    json!({ "choices": [{ "delta": delta }] })
}
