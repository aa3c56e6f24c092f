//! A request and a reply in the words of OpenTelemetry's conventions for generative AI, for whoever asked to see what was
//! said. Nothing of it is ever sent to a model.

use event::{AssistantMessage, FinishReason};
use serde_json::{Value, json};

/// The standing instructions and the messages of a request, whatever the provider's dialect.
pub fn request(body: &[u8]) -> (Value, Value) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut told = Told::default();
    for block in list(&body["system"]) {
        told.instructions.push(text(&block["text"]));
    }
    for item in list(&body["messages"]).chain(list(&body["input"])) {
        told.item(item);
    }
    (told.instructions.into(), told.messages.into())
}

/// A reply as the list of messages that it is.
pub fn reply(message: &AssistantMessage, finish: FinishReason) -> Value {
    let mut parts = Vec::new();
    if !message.reasoning.is_empty() {
        parts.push(json!({ "type": "reasoning", "content": message.reasoning }));
    }
    if !message.text.is_empty() {
        parts.push(text(&Value::from(message.text.as_str())));
    }
    parts.extend(
        message
            .tool_calls
            .iter()
            .map(|call| called(&call.id.as_str().into(), &call.name.as_str().into(), &call.arguments)),
    );
    json!([{ "role": "assistant", "parts": parts, "finish_reason": reason(finish) }])
}

/// Why a reply ended, in the conventions' word.
pub fn reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    }
}

#[derive(Debug, Default)]
struct Told {
    instructions: Vec<Value>,
    messages: Vec<Value>,
}

impl Told {
    /// One message of chat completions or of Anthropic's, or one item of responses.
    fn item(&mut self, item: &Value) {
        let role = item["role"].as_str().unwrap_or_default();
        match (role, item["type"].as_str()) {
            ("system", _) => self.instructions.push(text(&item["content"])),
            ("tool", _) => self.push("tool", vec![answered(&item["tool_call_id"], &item["content"])]),
            (_, Some("function_call")) => {
                let arguments = item["arguments"].as_str().unwrap_or_default();
                self.push("assistant", vec![called(&item["call_id"], &item["name"], arguments)]);
            }
            (_, Some("function_call_output")) => {
                self.push("tool", vec![answered(&item["call_id"], &item["output"])]);
            }
            // What a provider keeps sealed says nothing to anybody else.
            ("", _) => {}
            (role, _) => {
                let words = item["content"].as_str().filter(|words| !words.is_empty());
                let words = words.map(|words| text(&words.into()));
                let blocks = list(&item["content"]).map(block);
                let calls = list(&item["tool_calls"]).map(|call| {
                    let function = &call["function"];
                    called(&call["id"], &function["name"], function["arguments"].as_str().unwrap_or_default())
                });
                self.push(role, words.into_iter().chain(blocks).chain(calls).collect());
            }
        }
    }

    fn push(&mut self, role: &str, parts: Vec<Value>) {
        self.messages.push(json!({ "role": role, "parts": parts }));
    }
}

/// A block of Anthropic's.
fn block(block: &Value) -> Value {
    match block["type"].as_str().unwrap_or_default() {
        "tool_use" => called(&block["id"], &block["name"], &block["input"].to_string()),
        "tool_result" => answered(&block["tool_use_id"], &block["content"]),
        "thinking" => json!({ "type": "reasoning", "content": block["thinking"] }),
        // What is on it is kept with the task; here it would only be bytes.
        "image" | "image_url" | "input_image" => json!({ "type": "image" }),
        "redacted_thinking" => json!({ "type": "redacted_thinking" }),
        _ => text(&block["text"]),
    }
}

fn text(content: &Value) -> Value {
    json!({ "type": "text", "content": content })
}

/// Arguments as the object they are, or as the text that they should not be.
fn called(id: &Value, name: &Value, arguments: &str) -> Value {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into());
    json!({ "type": "tool_call", "id": id, "name": name, "arguments": arguments })
}

fn answered(id: &Value, response: &Value) -> Value {
    json!({ "type": "tool_call_response", "id": id, "response": response })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use event::{Item, Label, ToolRequest};

    use super::*;
    use crate::Conversation;

    /// One conversation, told alike by every provider's request.
    #[test]
    fn a_request_is_told_the_same_in_every_dialect() {
        let call = ToolRequest { id: "a".into(), name: "look".into(), arguments: "{\"n\":1}".into() };
        let message =
            AssistantMessage { text: "Looking.".into(), tool_calls: vec![call], ..AssistantMessage::default() };
        let items = [
            Item::System { text: "be good".into() },
            Item::User { text: "hi".into(), label: Label::person() },
            Item::Assistant { message: message.clone() },
            Item::Tool { call_id: "a".into(), tool: "look".into(), text: "seen".into(), label: Label::system() },
        ];
        let tell = |name: &str| {
            let mut conversation = Conversation::new(name, b"[]", None).unwrap();
            items.iter().for_each(|item| conversation.push(item));
            request(conversation.body().as_bytes())
        };
        let looking = json!({ "type": "text", "content": "Looking." });
        let called = json!({ "type": "tool_call", "id": "a", "name": "look", "arguments": { "n": 1 } });
        let seen = json!({ "type": "tool_call_response", "id": "a", "response": "seen" });
        let user = json!({ "role": "user", "parts": [{ "type": "text", "content": "hi" }] });
        let whole =
            json!([user, { "role": "assistant", "parts": [looking, called] }, { "role": "tool", "parts": [seen] }]);
        let instructions = json!([{ "type": "text", "content": "be good" }]);
        for name in ["openai:m", "gemini:m"] {
            assert_eq!(tell(name), (instructions.clone(), whole.clone()), "{name}");
        }
        // A call is an item of its own there.
        let apart = json!([user, { "role": "assistant", "parts": [looking] }, { "role": "assistant", "parts": [called] },
            { "role": "tool", "parts": [seen] }]);
        assert_eq!(tell("responses:m"), (instructions.clone(), apart));
        // A result comes from the user there.
        let by_user =
            json!([user, { "role": "assistant", "parts": [looking, called] }, { "role": "user", "parts": [seen] }]);
        assert_eq!(tell("anthropic:m"), (instructions, by_user));
        let told = reply(&message, FinishReason::ToolCalls);
        assert_eq!(told, json!([{ "role": "assistant", "parts": [looking, called], "finish_reason": "tool_call" }]));
        assert_eq!(request(b"no json"), (json!([]), json!([])));
    }
}
