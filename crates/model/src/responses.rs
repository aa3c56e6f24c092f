//! OpenAI's responses: items of the request, and the answer's events put into the words of chat completions, which
//! [`crate::chat::Answer`] takes in. It knows no address; nothing is stored at the server.

use event::{Item, ToolRequest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Failure;
use crate::chat::TOOL_CALLS_MAX;
use crate::conversation::{NO_WORDS, Shape, functions, plain_name, sound_arguments};

/// Everything that stands before the first item.
pub(crate) fn head(model: &str, tools: &[u8], output_tokens_max: Option<u64>, shape: &Shape) -> Vec<u8> {
    // Models that do not think refuse to be asked for their thoughts.
    let thinks = ["gpt-5", "o1", "o3", "o4"].iter().any(|start| model.starts_with(start));
    let include = if thinks { "\"include\":[\"reasoning.encrypted_content\"]," } else { "" };
    let limit = output_tokens_max.map(|max| format!("\"max_output_tokens\":{max},")).unwrap_or_default();
    // The same start, the same key: requests that share a cache meet at one server.
    let digest = Sha256::new_with_prefix(model).chain_update(tools).finalize();
    let key: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tools: Vec<Value> = functions(tools)
        .map(|mut function| {
            function["type"] = Value::from("function");
            function["strict"] = Value::from(false);
            function
        })
        .collect();
    let tools = match tools.is_empty() {
        true => String::new(),
        false => format!("\"tools\":{},", String::from_utf8_lossy(&event::canonical(&tools))),
    };
    let shape = match shape {
        Shape::Free => String::new(),
        Shape::Call(tool) => format!("\"tool_choice\":{},", json!({ "type": "function", "name": tool })),
        Shape::Json(schema) | Shape::OldJson(schema) => {
            let format = json!({ "type": "json_schema", "name": "answer", "schema": schema, "strict": true });
            format!("\"text\":{},", json!({ "format": format }))
        }
    };
    let model = Value::from(model);
    format!("{{{include}{limit}\"model\":{model},\"prompt_cache_key\":\"thenar-{key}\",\"store\":false,\"stream\":true,{tools}{shape}\"input\":[")
        .into_bytes()
}

/// One item of the conversation; a reply is several.
pub(crate) fn encode(item: &Item) -> Vec<u8> {
    let items = match item {
        Item::System { text } => vec![json!({ "role": "system", "content": text })],
        Item::User { text, .. } => vec![json!({ "role": "user", "content": text })],
        Item::Tool { call_id, text, .. } => {
            vec![json!({ "type": "function_call_output", "call_id": call_id, "output": text })]
        }
        Item::Picture { text, jpeg, .. } => {
            let image = json!({ "type": "input_image", "image_url": crate::conversation::data_url(jpeg) });
            vec![json!({ "role": "user", "content": [{ "type": "input_text", "text": text }, image] })]
        }
        Item::Assistant { message } if !message.carried.is_empty() => message.carried.clone(),
        Item::Assistant { message } => {
            let silent = message.text.is_empty() && message.tool_calls.is_empty();
            let text = if silent { NO_WORDS } else { &message.text };
            let words = (!text.is_empty()).then(|| json!({ "role": "assistant", "content": text }));
            let calls = message.tool_calls.iter().map(|call| {
                json!({ "type": "function_call", "call_id": call.id, "name": plain_name(&call.name),
                    "arguments": sound_arguments(&call.arguments).to_string() })
            });
            words.into_iter().chain(calls).collect()
        }
    };
    items.iter().map(event::canonical).collect::<Vec<_>>().join(&b","[..])
}

/// An answer's events, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// The items that are whole, as they will go back.
    items: Vec<Value>,
    called: bool,
    bytes: usize,
}

impl Reader {
    /// Bytes of the reply so far, those too that no chunk has: a call's arguments while they are written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One event, or a whole answer, as a chunk of chat completions.
    pub(crate) fn translate(&mut self, value: &Value) -> Result<Value, Failure> {
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        self.bytes = self.bytes.saturating_add(text("delta").len());
        Ok(match text("type") {
            "response.created" => {
                let response = &value["response"];
                json!({ "id": response["id"], "model": response["model"], "choices": [{ "delta": {} }] })
            }
            "response.output_text.delta" | "response.refusal.delta" => piece(&json!({ "content": text("delta") })),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                piece(&json!({ "reasoning": text("delta") }))
            }
            "response.output_item.done" => self.item(&value["item"])?,
            "response.completed" | "response.incomplete" => self.end(&value["response"]),
            "response.failed" => json!({ "error": value["response"]["error"] }),
            "error" if value["error"].is_object() => json!({ "error": value["error"] }),
            "error" => json!({ "error": value }),
            _ if value["object"] == "response" => self.whole(value)?,
            _ => json!({}),
        })
    }

    /// A whole item; a call is only taken once it is whole.
    fn item(&mut self, item: &Value) -> Result<Value, Failure> {
        let at = self.items.len();
        if at >= 4 * TOOL_CALLS_MAX {
            return Err(Failure::transient(format!("the model's reply has more than {at} items")));
        }
        let mut kept = item.clone();
        let kind = item["type"].as_str().unwrap_or_default();
        if let (Some(fields), true) = (kept.as_object_mut(), kind != "reasoning") {
            // Nothing was stored: their names mean nothing later.
            fields.remove("id");
            fields.remove("status");
        }
        self.items.push(kept);
        if kind != "function_call" {
            return Ok(json!({}));
        }
        self.called = true;
        let function = json!({ "name": item["name"], "arguments": item["arguments"] });
        Ok(piece(&json!({ "tool_calls": [{ "index": at, "id": item["call_id"], "function": function }] })))
    }

    fn end(&self, response: &Value) -> Value {
        let reason = match response.pointer("/incomplete_details/reason").and_then(Value::as_str) {
            Some("max_output_tokens") => "length",
            Some(other) => other,
            None if self.called => "tool_calls",
            None => "stop",
        };
        let usage = &response["usage"];
        json!({
            "id": response["id"],
            "model": response["model"],
            "choices": [{ "delta": {}, "finish_reason": reason }],
            "usage": { "prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"],
                "prompt_tokens_details": usage["input_tokens_details"] },
        })
    }

    fn whole(&mut self, response: &Value) -> Result<Value, Failure> {
        if response["error"].is_object() {
            return Ok(json!({ "error": response["error"] }));
        }
        let (mut words, mut calls) = (String::new(), Vec::new());
        for item in response["output"].as_array().into_iter().flatten() {
            for part in item["content"].as_array().into_iter().flatten().filter(|_| item["type"] == "message") {
                words.push_str(part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default());
            }
            calls.extend(self.item(item)?.pointer("/choices/0/delta/tool_calls/0").cloned());
        }
        let mut chunk = self.end(response);
        chunk["choices"][0]["delta"] = json!({ "content": words, "tool_calls": calls });
        Ok(chunk)
    }

    /// What has to go back as it came: all items, where the model thought under seal. The calls are those of the reply: their
    /// results name them by what they are called there.
    pub(crate) fn carried(self, calls: &[ToolRequest]) -> Vec<Value> {
        let mut calls = calls.iter();
        let back = |item: Value| match item["type"].as_str() {
            Some("function_call") => calls.next().map(|call| called(item, call)),
            _ => Some(item),
        };
        let mut items: Vec<Value> = self.items.into_iter().filter_map(back).collect();
        // A thought that was cut before what it led to is refused.
        while items.last().is_some_and(|item| item["type"] == "reasoning") {
            items.pop();
        }
        let sealed = items.iter().any(|item| item["encrypted_content"].is_string());
        if sealed { items } else { Vec::new() }
    }
}

/// A call's item under the name and id that the reply has it by, and with arguments that can be read.
fn called(mut item: Value, call: &ToolRequest) -> Value {
    item["call_id"] = Value::from(call.id.as_str());
    item["name"] = Value::from(plain_name(&call.name));
    let is_sound = serde_json::from_str::<serde_json::Map<String, Value>>(&call.arguments).is_ok();
    let arguments = if is_sound { call.arguments.clone() } else { sound_arguments(&call.arguments).to_string() };
    item["arguments"] = Value::from(arguments);
    item
}

fn piece(delta: &Value) -> Value {
    json!({ "choices": [{ "delta": delta }] })
}
