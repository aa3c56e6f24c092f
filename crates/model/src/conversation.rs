//! The request as it grows: every item is encoded once and appended, and nothing that was sent is ever touched again.
//!
//! The body is `{"model":…,…,"tools":[…],"messages":[` + messages + `]}`: all that stays the same comes first, so each
//! request begins with the bytes of the one before it and providers can keep them cached. The digest and the bound on
//! tokens are carried along; step 1,000 costs what step 1 costs, but for the copy.

use event::{Digest, Item, ToolRequest, Usage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::anthropic;
use crate::client::OUTPUT_TOKENS_DEFAULT_MAX;
use crate::name::{Name, Provider, UnknownModel};

const TAIL: &[u8] = b"]}";

/// Tokens that a message costs beside its text.
const TOKENS_PER_MESSAGE: u64 = 8;

/// No picture of a window costs more tokens than this at any of the providers.
const PICTURE_TOKENS_MAX: usize = 4_000;

/// Text of so many bytes is more than one token in any language: a server that counts fewer has left something out, as
/// those do that do not count what they had cached.
const BYTES_PER_TOKEN_MAX: u64 = 8;

/// Characters of a tool's name that servers take.
const TOOL_NAME_CHARS_MAX: usize = 64;

/// Stands for a reply without words or calls.
pub(crate) const NO_WORDS: &str = "(no words)";

/// What a reply has to be. A task's replies are free; the others try what a server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    #[default]
    Free,
    /// A call of this tool.
    Call(String),
    /// JSON by this schema.
    Json(Value),
    /// The same as older servers of chat completions want it.
    OldJson(Value),
}

/// A conversation with a model, encoded.
#[derive(Clone, Debug)]
pub struct Conversation {
    bytes: Vec<u8>,
    hasher: Sha256,
    messages: u64,
    input_tokens_max: u64,
    output_tokens_max: Option<u64>,
    dialect: Dialect,
}

/// In which words the conversation is written.
#[derive(Clone, Debug)]
enum Dialect {
    Chat(Thinking),
    Responses,
    Anthropic(anthropic::Encoder),
}

/// What becomes of a model's thinking in the requests after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    /// It stays away: most servers do not need it, and some refuse it.
    Dropped,
    /// It goes back with the tool calls it led to, or the server refuses the request.
    Returned,
}

/// One request's body, as sent.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Body {
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a body has at least its frame.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Conversation {
    /// An empty conversation. `name` is `provider:model`; `tools` is the tool list as it stands in every request.
    pub fn new(name: &str, tools: &[u8], output_tokens_max: Option<u64>) -> Result<Self, UnknownModel> {
        Self::shaped(name, tools, output_tokens_max, &Shape::Free)
    }

    /// An empty conversation whose replies have a given shape.
    pub fn shaped(
        name: &str,
        tools: &[u8],
        output_tokens_max: Option<u64>,
        shape: &Shape,
    ) -> Result<Self, UnknownModel> {
        let name: Name = name.parse()?;
        let mut output_tokens_max = output_tokens_max;
        let (dialect, bytes) = match name.provider {
            Provider::Anthropic => {
                let max = *output_tokens_max.get_or_insert(OUTPUT_TOKENS_DEFAULT_MAX);
                let head = anthropic::Encoder::head(&name.model, tools, max, shape);
                (Dialect::Anthropic(anthropic::Encoder::default()), head)
            }
            Provider::Responses => {
                (Dialect::Responses, crate::responses::head(&name.model, tools, output_tokens_max, shape))
            }
            Provider::OpenAi | Provider::Gemini | Provider::Script => {
                (Dialect::Chat(thinking_of(&name.model)), chat_head(name.model, tools, output_tokens_max, shape))
            }
        };
        let hasher = Sha256::new_with_prefix(&bytes);
        let input_tokens_max = bytes.len() as u64;
        Ok(Self { bytes, hasher, messages: 0, input_tokens_max, output_tokens_max, dialect })
    }

    /// Appends an item.
    pub fn push(&mut self, item: &Item) {
        let before = self.bytes.len();
        match &mut self.dialect {
            Dialect::Chat(thinking) => {
                if self.messages > 0 {
                    self.bytes.push(b',');
                }
                self.bytes.extend_from_slice(&encode(item, *thinking));
            }
            Dialect::Responses => {
                if self.messages > 0 {
                    self.bytes.push(b',');
                }
                self.bytes.extend_from_slice(&crate::responses::encode(item));
            }
            Dialect::Anthropic(encoder) => self.bytes.extend_from_slice(&encoder.push(item)),
        }
        self.hasher.update(&self.bytes[before..]);
        self.messages += 1;
        self.input_tokens_max += tokens_max(item);
        if let Item::Assistant { message } = item {
            let thinking = matches!(self.dialect, Dialect::Chat(Thinking::Returned));
            self.input_tokens_max += if thinking { message.reasoning.len() as u64 } else { 0 };
            self.input_tokens_max += message.carried.iter().map(|part| part.to_string().len() as u64).sum::<u64>();
        }
    }

    /// The request as it stands.
    pub fn body(&self) -> Body {
        let tail = match &self.dialect {
            Dialect::Chat(_) | Dialect::Responses => TAIL.to_vec(),
            Dialect::Anthropic(encoder) => encoder.tail(),
        };
        let mut bytes = Vec::with_capacity(self.bytes.len() + tail.len());
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&tail);
        let digest = Digest(self.hasher.clone().chain_update(&tail).finalize().into());
        Body { bytes, digest }
    }

    /// Takes in what the server counted for the request as it stands. From here on only what is added is bounded by its
    /// bytes, or the bound would be four times the truth and a task would stop in a window that is three quarters empty.
    pub fn counted(&mut self, usage: &Usage) {
        let believable = usage.input_tokens >= self.bytes.len() as u64 / BYTES_PER_TOKEN_MAX;
        if believable {
            self.input_tokens_max = self.input_tokens_max.min(usage.input_tokens);
        }
    }

    /// No more tokens than this: what was counted, and at least a byte per token of what is sent beside it.
    pub fn input_tokens_max(&self) -> u64 {
        self.input_tokens_max
    }

    /// The bound on the reply that is sent with every request; none where the server is left to its own.
    pub fn output_tokens_max(&self) -> Option<u64> {
        self.output_tokens_max
    }
}

/// The functions of a list of tools.
pub(crate) fn functions(tools: &[u8]) -> impl Iterator<Item = Value> {
    let list: Vec<Value> = serde_json::from_slice(tools).unwrap_or_default();
    list.into_iter().filter_map(|mut tool| tool.get_mut("function").map(Value::take))
}

/// What stands before the messages of chat completions.
fn chat_head(model: String, tools: &[u8], output_tokens_max: Option<u64>, shape: &Shape) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tools.len() + 4096);
    bytes.push(b'{');
    if let Some(max) = output_tokens_max {
        bytes.extend_from_slice(format!("\"{}\":{max},", output_limit_field(&model)).as_bytes());
    }
    bytes.extend_from_slice(format!("\"model\":{},\"stream\":true,", Value::from(model)).as_bytes());
    bytes.extend_from_slice(b"\"stream_options\":{\"include_usage\":true},");
    if !tools.is_empty() && tools != b"[]" {
        bytes.extend_from_slice(b"\"tools\":");
        bytes.extend_from_slice(tools);
        bytes.push(b',');
    }
    let shape = match shape {
        Shape::Free => String::new(),
        Shape::Call(tool) => {
            format!("\"tool_choice\":{},", json!({ "type": "function", "function": { "name": tool } }))
        }
        Shape::Json(schema) => {
            let format = json!({ "name": "answer", "schema": schema, "strict": true });
            format!("\"response_format\":{},", json!({ "type": "json_schema", "json_schema": format }))
        }
        Shape::OldJson(schema) => {
            format!("\"response_format\":{},", json!({ "type": "json_object", "schema": schema }))
        }
    };
    bytes.extend_from_slice(shape.as_bytes());
    bytes.extend_from_slice(b"\"messages\":[");
    bytes
}

/// What the limit on a reply is called. OpenAI's reasoning models refuse the old name, most other servers know only that.
fn output_limit_field(model: &str) -> &'static str {
    let id = model.rsplit('/').next().unwrap_or(model);
    let of_openai = ["gpt-", "chatgpt-", "o1", "o3", "o4"].iter().any(|start| id.starts_with(start));
    if of_openai && !id.starts_with("gpt-oss") { "max_completion_tokens" } else { "max_tokens" }
}

/// DeepSeek, Kimi and MiMo refuse a request whose tool calls come without the thinking before them (their guides to tool
/// calls in thinking mode say so, DeepSeek since V3.2); models distilled from them run elsewhere and have no such rule.
fn thinking_of(model: &str) -> Thinking {
    let id = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let asks = ["deepseek-", "kimi-", "mimo-"].iter().any(|start| id.starts_with(start));
    if asks && !id.contains("distill") { Thinking::Returned } else { Thinking::Dropped }
}

/// No more tokens than this in one item, a model's thinking aside.
pub fn tokens_max(item: &Item) -> u64 {
    let text = match item {
        Item::System { text } | Item::User { text, .. } | Item::Tool { text, .. } => text.len(),
        // Providers count pictures by their size in points, whatever their bytes.
        Item::Picture { text, .. } => text.len() + PICTURE_TOKENS_MAX,
        Item::Assistant { message } => {
            let calls =
                message.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len() + 8);
            message.text.len() + calls.sum::<usize>()
        }
    };
    text as u64 + TOKENS_PER_MESSAGE
}

/// One message of chat completions, canonical.
fn encode(item: &Item, thinking: Thinking) -> Vec<u8> {
    let message = match item {
        Item::System { text } => json!({ "role": "system", "content": text }),
        Item::User { text, .. } => json!({ "role": "user", "content": text }),
        Item::Tool { call_id, text, .. } => json!({ "role": "tool", "tool_call_id": call_id, "content": text }),
        Item::Picture { text, jpeg, .. } => {
            let url = json!({ "url": data_url(jpeg) });
            json!({ "role": "user", "content": [{ "type": "text", "text": text }, { "type": "image_url", "image_url": url }] })
        }
        Item::Assistant { message } if message.tool_calls.is_empty() => {
            // Some servers refuse a message with nothing in it.
            let text = if message.text.is_empty() { NO_WORDS } else { &message.text };
            json!({ "role": "assistant", "content": text })
        }
        Item::Assistant { message } => {
            let mut calls: Vec<Value> = message.tool_calls.iter().map(encode_call).collect();
            for (call, part) in calls.iter_mut().flat_map(|call| {
                let of_it = message.carried.iter().find(|part| part["id"] == call["id"]);
                of_it.map(|part| (call, part))
            }) {
                call["extra_content"] = part["extra_content"].clone();
            }
            let content = if message.text.is_empty() { Value::Null } else { Value::from(message.text.clone()) };
            let mut encoded = json!({ "role": "assistant", "content": content, "tool_calls": calls });
            if thinking == Thinking::Returned {
                encoded["reasoning_content"] = Value::from(message.reasoning.clone());
            }
            encoded
        }
    };
    event::canonical(&message)
}

/// A picture as an address that holds it.
pub(crate) fn data_url(jpeg: &str) -> String {
    format!("data:image/jpeg;base64,{jpeg}")
}

/// A call as it goes back. Servers check what they get: a cut argument or a name with a space in it would be refused, and
/// the whole request with it, for ever. The model is told of its mistake in the result.
fn encode_call(call: &ToolRequest) -> Value {
    let arguments = match serde_json::from_str::<Value>(&call.arguments) {
        Ok(Value::Object(_)) => call.arguments.clone(),
        Ok(_) | Err(_) => sound_arguments(&call.arguments).to_string(),
    };
    let name = plain_name(&call.name);
    json!({ "id": call.id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// Arguments as an object, whatever the model wrote.
pub(crate) fn sound_arguments(arguments: &str) -> Value {
    match serde_json::from_str::<Value>(arguments) {
        Ok(object @ Value::Object(_)) => object,
        Ok(_) | Err(_) => json!({ "malformed": arguments }),
    }
}

/// A tool's name as servers take it.
pub(crate) fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(TOOL_NAME_CHARS_MAX).map(plain).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use event::{AssistantMessage, Label};

    use super::*;

    fn items() -> Vec<Item> {
        let call = |arguments: &str| ToolRequest { id: "c1".into(), name: "look".into(), arguments: arguments.into() };
        let message = |arguments| AssistantMessage {
            text: String::new(),
            reasoning: "hm".into(),
            tool_calls: vec![call(arguments)],
            carried: Vec::new(),
        };
        let result = |text: &str| Item::Tool {
            call_id: "c1".into(),
            tool: "look".into(),
            text: text.into(),
            label: Label::system(),
        };
        vec![
            Item::System { text: "be good".into() },
            Item::User { text: "hi \u{1f426} \u{1}\n".into(), label: Label::person() },
            Item::Assistant { message: message("{\"a\": 1}") },
            result("seen"),
            Item::Assistant { message: message("{\"a\": ") },
            result("malformed"),
        ]
    }

    #[test]
    fn the_limit_on_a_reply_bears_the_name_the_model_knows() {
        for (model, field) in [
            ("gpt-4.1", "max_completion_tokens"),
            ("openai/o3-mini", "max_completion_tokens"),
            ("gpt-oss-20b", "max_tokens"),
            ("qwen3-coder", "max_tokens"),
        ] {
            assert_eq!(output_limit_field(model), field, "{model}");
        }
    }

    #[test]
    fn what_the_server_counted_corrects_the_bound_unless_it_left_something_out() {
        let usage = |input_tokens| Usage { input_tokens, ..Usage::default() };
        let mut conversation = Conversation::new("openai:m", b"[]", None).unwrap();
        conversation.push(&Item::System { text: "x".repeat(8_000) });
        let bound = conversation.input_tokens_max();
        for left_out in [0, 20, 999] {
            conversation.counted(&usage(left_out));
            assert_eq!(conversation.input_tokens_max(), bound);
        }
        conversation.counted(&usage(2_000));
        assert_eq!(conversation.input_tokens_max(), 2_000);
        conversation.push(&Item::User { text: "y".repeat(100), label: Label::person() });
        assert_eq!(conversation.input_tokens_max(), 2_000 + 100 + TOKENS_PER_MESSAGE);
        conversation.counted(&usage(9_000_000));
        assert_eq!(conversation.input_tokens_max(), 2_108, "a count can only lower the bound");
    }

    #[test]
    fn thinking_goes_back_only_to_those_who_ask_for_it() {
        for (model, thinking) in [
            ("deepseek-v4-pro", Thinking::Returned),
            ("deepseek/deepseek-reasoner", Thinking::Returned),
            ("moonshotai/Kimi-K2-Thinking", Thinking::Returned),
            ("deepseek-r1-distill-llama-70b", Thinking::Dropped),
            ("gpt-4.1", Thinking::Dropped),
        ] {
            assert_eq!(thinking_of(model), thinking, "{model}");
            let mut conversation = Conversation::new(&format!("openai:{model}"), b"[]", None).unwrap();
            items().iter().for_each(|item| conversation.push(item));
            let body = String::from_utf8(conversation.body().into_bytes()).unwrap();
            let returned = body.matches(r#""reasoning_content":"hm""#).count();
            assert_eq!(returned, if thinking == Thinking::Returned { 2 } else { 0 }, "{model}");
        }
    }

    #[test]
    fn nothing_goes_back_that_a_server_refuses() {
        let call = ToolRequest { id: "c".into(), name: "look <at>".into(), arguments: "[1]".into() };
        let nameless = ToolRequest { name: String::new(), ..call.clone() };
        let message = AssistantMessage { tool_calls: vec![call, nameless], ..AssistantMessage::default() };
        let text = |item: &Item| String::from_utf8(encode(item, Thinking::Dropped)).unwrap();
        insta::assert_snapshot!(text(&Item::Assistant { message }), @r#"{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"malformed\":\"[1]\"}","name":"look__at_"},"id":"c","type":"function"},{"function":{"arguments":"{\"malformed\":\"[1]\"}","name":"unnamed"},"id":"c","type":"function"}]}"#);
        insta::assert_snapshot!(text(&Item::Assistant { message: AssistantMessage::default() }), @r#"{"content":"(no words)","role":"assistant"}"#);
    }

    #[test]
    fn every_body_begins_with_the_one_before_it_and_its_digest_is_that_of_its_bytes() {
        let mut conversation = Conversation::new("openai:m", b"[{\"type\":\"function\"}]", Some(100)).unwrap();
        let mut before: Vec<u8> = conversation.body().into_bytes();
        for item in items() {
            conversation.push(&item);
            let body = conversation.body();
            assert!(body.as_bytes().starts_with(&before[..before.len() - TAIL.len()]));
            assert_eq!(body.digest(), Digest::of(body.as_bytes()));
            assert!(body.len() as u64 <= conversation.input_tokens_max() + 400);
            before = body.into_bytes();
        }
        let parsed: Value = serde_json::from_slice(&before).unwrap();
        assert_eq!(parsed["messages"].as_array().unwrap().len(), items().len());
        // What a server has to parse is always an object, whatever the model wrote.
        let broken = parsed["messages"][4]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(broken).unwrap().is_object());
    }

    /// One conversation in the words of every provider.
    #[test]
    fn a_conversation_is_written_as_each_provider_wants_it() {
        let tools = br#"[{"function":{"description":"Looks.","name":"look","parameters":{"type":"object"}},"type":"function"}]"#;
        let call = |id: &str| ToolRequest { id: id.into(), name: "look".into(), arguments: "{\"a\":1}".into() };
        let result = |id: &str| Item::Tool {
            call_id: id.into(),
            tool: "look".into(),
            text: "seen".into(),
            label: Label::system(),
        };
        let message =
            |tool_calls| AssistantMessage { text: "Looking.".into(), tool_calls, ..AssistantMessage::default() };
        let thought =
            json!([{ "type": "thinking", "thinking": "hm", "signature": "s" }, { "type": "text", "text": "ok" }]);
        let thoughtful = AssistantMessage {
            text: "ok".into(),
            carried: thought.as_array().unwrap().clone(),
            ..AssistantMessage::default()
        };
        let items = [
            Item::System { text: "be good".into() },
            Item::User { text: "hi".into(), label: Label::person() },
            Item::Assistant { message: message(vec![call("a"), call("b")]) },
            result("a"),
            result("b"),
            Item::User { text: "  ".into(), label: Label::person() },
            Item::Assistant { message: thoughtful },
            Item::User { text: "go on".into(), label: Label::person() },
            Item::Picture { text: "the page".into(), jpeg: "/9j/".into(), label: Label::system() },
        ];
        let write = |name: &str| {
            let mut conversation = Conversation::new(name, tools, None).unwrap();
            let mut kept = conversation.bytes.clone();
            for item in &items {
                conversation.push(item);
                let body = conversation.body();
                assert!(body.as_bytes().starts_with(&kept), "{name}");
                assert_eq!(body.digest(), Digest::of(body.as_bytes()), "{name}");
                serde_json::from_slice::<Value>(body.as_bytes()).unwrap();
                kept = conversation.bytes.clone();
            }
            format!("{name}\n{}\n", String::from_utf8(conversation.body().into_bytes()).unwrap())
        };
        insta::assert_snapshot!(write("responses:m"), @r#"
    responses:m
    {"model":"m","prompt_cache_key":"thenar-3c683cde00bfdf8e","store":false,"stream":true,"tools":[{"description":"Looks.","name":"look","parameters":{"type":"object"},"strict":false,"type":"function"}],"input":[{"content":"be good","role":"system"},{"content":"hi","role":"user"},{"content":"Looking.","role":"assistant"},{"arguments":"{\"a\":1}","call_id":"a","name":"look","type":"function_call"},{"arguments":"{\"a\":1}","call_id":"b","name":"look","type":"function_call"},{"call_id":"a","output":"seen","type":"function_call_output"},{"call_id":"b","output":"seen","type":"function_call_output"},{"content":"  ","role":"user"},{"signature":"s","thinking":"hm","type":"thinking"},{"text":"ok","type":"text"},{"content":"go on","role":"user"},{"content":[{"text":"the page","type":"input_text"},{"image_url":"data:image/jpeg;base64,/9j/","type":"input_image"}],"role":"user"}]}
    "#);
        insta::assert_snapshot!(["openai:m", "gemini:m", "anthropic:m"].map(write).concat(), @r#"
    openai:m
    {"model":"m","stream":true,"stream_options":{"include_usage":true},"tools":[{"function":{"description":"Looks.","name":"look","parameters":{"type":"object"}},"type":"function"}],"messages":[{"content":"be good","role":"system"},{"content":"hi","role":"user"},{"content":"Looking.","role":"assistant","tool_calls":[{"function":{"arguments":"{\"a\":1}","name":"look"},"id":"a","type":"function"},{"function":{"arguments":"{\"a\":1}","name":"look"},"id":"b","type":"function"}]},{"content":"seen","role":"tool","tool_call_id":"a"},{"content":"seen","role":"tool","tool_call_id":"b"},{"content":"  ","role":"user"},{"content":"ok","role":"assistant"},{"content":"go on","role":"user"},{"content":[{"text":"the page","type":"text"},{"image_url":{"url":"data:image/jpeg;base64,/9j/"},"type":"image_url"}],"role":"user"}]}
    gemini:m
    {"model":"m","stream":true,"stream_options":{"include_usage":true},"tools":[{"function":{"description":"Looks.","name":"look","parameters":{"type":"object"}},"type":"function"}],"messages":[{"content":"be good","role":"system"},{"content":"hi","role":"user"},{"content":"Looking.","role":"assistant","tool_calls":[{"function":{"arguments":"{\"a\":1}","name":"look"},"id":"a","type":"function"},{"function":{"arguments":"{\"a\":1}","name":"look"},"id":"b","type":"function"}]},{"content":"seen","role":"tool","tool_call_id":"a"},{"content":"seen","role":"tool","tool_call_id":"b"},{"content":"  ","role":"user"},{"content":"ok","role":"assistant"},{"content":"go on","role":"user"},{"content":[{"text":"the page","type":"text"},{"image_url":{"url":"data:image/jpeg;base64,/9j/"},"type":"image_url"}],"role":"user"}]}
    anthropic:m
    {"max_tokens":16384,"model":"m","stream":true,"tools":[{"description":"Looks.","input_schema":{"type":"object"},"name":"look"}],"system":[{"text":"be good","type":"text","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"text":"hi","type":"text"}]},{"content":[{"text":"Looking.","type":"text"},{"id":"a","input":{"a":1},"name":"look","type":"tool_use"},{"id":"b","input":{"a":1},"name":"look","type":"tool_use"}],"role":"assistant"},{"role":"user","content":[{"content":"seen","tool_use_id":"a","type":"tool_result"},{"content":"seen","tool_use_id":"b","type":"tool_result"},{"text":"(no words)","type":"text"}]},{"content":[{"signature":"s","thinking":"hm","type":"thinking"},{"text":"ok","type":"text"}],"role":"assistant"},{"role":"user","content":[{"text":"go on","type":"text"},{"text":"the page","type":"text"},{"source":{"data":"/9j/","media_type":"image/jpeg","type":"base64"},"type":"image","cache_control":{"type":"ephemeral"}}]}]}
    "#);
    }
}
