//! `thenar models test`: what a model and its server can do, tried through the same adapter and under the same rules as a
//! task's calls. It says nothing about how good the model is.

use event::{EffectId, Item, Label, ModelCall, Reply, TaskId};
use model::{Conversation, Delta, Failure, Shape};
use policy::{Engine, Facts};
use serde_json::{Value, json};

use crate::choice::{self, Chosen};
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Screen, data};
use crate::{clean, config, screen};

/// The most tokens of one reply here, unless the configuration says less. A model that thinks needs some for that.
const OUTPUT_TOKENS_MAX: u64 = 1_024;

/// Calls that are made at the most.
const CALLS_MAX: u64 = 7;

/// Input tokens of all calls together, at the most; the long ones are the two that begin alike.
const INPUT_TOKENS_MAX: u64 = 16_000;

/// How often the sentence stands in a request that is to be cached. Most providers keep what is over 1,024 tokens,
/// Anthropic what is over 4,096 with some models.
const REPEATED: usize = 110;
const REPEATED_FOR_ANTHROPIC: usize = 350;

const SENTENCE: &str = "This sentence stands here many times, so that there is something to keep. ";

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
    NotTold,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotTold => "not told",
        }
    }

    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// One line of the table.
struct Line {
    what: &'static str,
    verdict: Verdict,
    reason: String,
}

/// A model that is being tried.
struct Trial {
    chosen: Chosen,
    policy: Engine,
    runtime: tokio::runtime::Runtime,
    output_max: u64,
    lines: Vec<Line>,
    json: bool,
}

/// `thenar models test`.
pub(crate) fn test(name: Option<&str>, json_wanted: bool, screen: Screen) -> Outcome {
    let config = config::read()?;
    let chosen = choice::client(&choice::name(name, &config)?, &config)?;
    let name = clean::line(&chosen.name, 80).to_string();
    let output_max = chosen.client.requested_output_max().unwrap_or(OUTPUT_TOKENS_MAX).min(OUTPUT_TOKENS_MAX);
    let policy = built_in()?;
    let most = match chosen.client.reserve(INPUT_TOKENS_MAX, CALLS_MAX * output_max) {
        Some(_) if chosen.scripted => "nothing".to_owned(),
        Some(cost) => format!("{cost} at the most"),
        None => "what your provider takes for that: no price is configured".to_owned(),
    };
    screen.say(&format!(
        "Testing {name}: up to {CALLS_MAX} calls, {INPUT_TOKENS_MAX} tokens in and {} out together. Costs {most}.",
        CALLS_MAX * output_max
    ));
    let mut trial =
        Trial { chosen, policy, runtime: crate::runtime()?, output_max, lines: Vec::new(), json: json_wanted };
    let usable = trial.all();
    if json_wanted {
        let lines = trial
            .lines
            .iter()
            .map(|line| json!({ "what": line.what, "verdict": line.verdict.word(), "reason": line.reason }));
        screen::json(&json!({ "model": trial.chosen.name, "usable": usable, "tests": lines.collect::<Vec<_>>() }));
    }
    if usable {
        return Ok(Code::Done);
    }
    let answers = trial.lines.iter().any(|line| line.what == "answers" && line.verdict == Verdict::Yes);
    Err(match answers {
        true => Problem::new(Code::Setup, "this model does not call tools: Thenar cannot work with it")
            .hint("some servers need a switch for tool calls (llama.cpp: --jinja; vLLM: --enable-auto-tool-choice)"),
        false => Problem::new(Code::Setup, "this model does not answer"),
    })
}

/// The same for whoever reads no terminal.
pub(crate) fn tried(chosen: Chosen) -> Result<server::Trial, Problem> {
    let output_max = chosen.client.requested_output_max().unwrap_or(OUTPUT_TOKENS_MAX).min(OUTPUT_TOKENS_MAX);
    let policy = built_in()?;
    let mut trial = Trial { chosen, policy, runtime: crate::runtime()?, output_max, lines: Vec::new(), json: true };
    let usable = trial.all();
    let test = |line: Line| server::Test {
        what: line.what.to_owned(),
        verdict: line.verdict.word().to_owned(),
        reason: line.reason,
    };
    let tests = trial.lines.into_iter().map(test).collect();
    Ok(server::Trial { model: trial.chosen.name, usable, tests })
}

fn built_in() -> Result<Engine, Problem> {
    Engine::load(Engine::default_policy())
        .map_err(|error| Problem::new(Code::Setup, format!("load the built-in policy: {error}")))
}

impl Trial {
    /// All tries; whether Thenar can work with this model.
    fn all(&mut self) -> bool {
        if !self.speech() {
            return false;
        }
        let called = self.tool_call();
        self.forced_tool();
        self.json_schema();
        self.cache();
        self.window();
        let (verdict, reason) = match (self.chosen.scripted, self.chosen.priced) {
            (true, _) => (Verdict::Yes, "a script costs nothing".to_owned()),
            (false, true) => (Verdict::Yes, "in config.toml".to_owned()),
            (false, false) => (Verdict::NotTold, "not in config.toml: --max-cost cannot be used".to_owned()),
        };
        self.line("price", verdict, reason);
        called || self.chosen.scripted
    }

    fn line(&mut self, what: &'static str, verdict: Verdict, reason: impl Into<String>) {
        let reason = clean::line(&reason.into(), 300).to_string();
        if !self.json {
            data(&format!("{what:<20} {:<9} {reason}", verdict.word()));
        }
        self.lines.push(Line { what, verdict, reason });
    }

    /// Answers, streaming and usage, by one call.
    fn speech(&mut self) -> bool {
        let mut pieces = 0;
        let count = |delta: Delta| match delta {
            Delta::Text(_) | Delta::Reasoning(_) => pieces += 1,
            Delta::ToolCall(_) => (),
        };
        let words = "Count from one to ten, in words, on one line.";
        let reply = match self.call(words, &[], &Shape::Free, count) {
            Ok(reply) => reply,
            Err(failure) => {
                self.line("answers", Verdict::No, failure.reason);
                return false;
            }
        };
        let said = clean::line(&reply.message.text, 60).to_string();
        let spoke = !reply.message.text.is_empty() || !reply.message.reasoning.is_empty();
        self.line("answers", Verdict::of(spoke), format!("it said {said:?}"));
        let streamed = if pieces > 1 { format!("{pieces} pieces") } else { "it all came at once".to_owned() };
        self.line("streaming", Verdict::of(pieces > 1), streamed);
        match reply.usage {
            Some(usage) => {
                let counted = format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens);
                self.line("usage", Verdict::Yes, counted);
            }
            None => self.line("usage", Verdict::NotTold, "the server counts no tokens: costs cannot be told"),
        }
        spoke
    }

    fn tool_call(&mut self) -> bool {
        let reply = self.call("Call the tool add with a = 19 and b = 23.", &[add(), shout()], &Shape::Free, |_| ());
        let (verdict, reason) = match &reply {
            Ok(reply) => match added(reply) {
                Some(arguments) => {
                    let right = arguments["a"] == 19 && arguments["b"] == 23;
                    (Verdict::of(right), format!("add({arguments})"))
                }
                None if self.chosen.scripted => (Verdict::NotTold, "a script plays what is written in it".to_owned()),
                None => (Verdict::No, "it did not call the tool it was told to call".to_owned()),
            },
            Err(failure) => (Verdict::No, failure.reason.clone()),
        };
        self.line("tool call", verdict, reason);
        verdict == Verdict::Yes
    }

    /// Words that ask for no tool, and a request that demands one.
    fn forced_tool(&mut self) {
        let shape = Shape::Call("add".to_owned());
        let reply = self.call("Good morning. Take 19 and 23.", &[shout(), add()], &shape, |_| ());
        let (verdict, reason) = match reply {
            Ok(reply) => match added(&reply) {
                Some(arguments) if arguments["a"].is_i64() && arguments["b"].is_i64() => {
                    (Verdict::Yes, format!("add({arguments})"))
                }
                Some(arguments) => (Verdict::No, format!("it called add with {arguments}, against the schema")),
                None if self.chosen.scripted => (Verdict::NotTold, "a script plays what is written in it".to_owned()),
                None => (Verdict::No, "it answered without the call that was demanded".to_owned()),
            },
            Err(failure) => (Verdict::No, failure.reason),
        };
        self.line("forced tool choice", verdict, reason);
    }

    fn json_schema(&mut self) {
        if self.chosen.scripted {
            return self.line("JSON by schema", Verdict::NotTold, "a script plays what is written in it");
        }
        let schema = json!({ "type": "object", "additionalProperties": false, "required": ["city", "country"],
            "properties": { "city": { "type": "string" }, "country": { "type": "string" } } });
        let words = "Which city is the capital of France, and in which country is it?";
        let mut reply = self.call(words, &[], &Shape::Json(schema.clone()), |_| ());
        let mut how = "";
        // Servers that do not know the form say so with any status, 500 among them.
        if matches!(&reply, Err(failure) if !failure.silent) {
            let again = self.call(words, &[], &Shape::OldJson(schema), |_| ());
            if again.is_ok() {
                (reply, how) = (again, ", as json_object with a schema");
            }
        }
        let (verdict, reason) = match reply {
            Ok(reply) => {
                let text = reply.message.text;
                let sound = serde_json::from_str::<Value>(text.trim()).is_ok_and(|value| {
                    let fields = value.as_object().map_or(0, serde_json::Map::len);
                    fields == 2 && value["city"].is_string() && value["country"].is_string()
                });
                let said = clean::line(&text, 80).to_string();
                (Verdict::of(sound), if sound { format!("{said}{how}") } else { format!("it answered {said:?}{how}") })
            }
            Err(failure) => (Verdict::No, failure.reason),
        };
        self.line("JSON by schema", verdict, reason);
    }

    /// The same long beginning twice.
    fn cache(&mut self) {
        if self.chosen.scripted {
            return self.line("cached tokens", Verdict::NotTold, "a script keeps nothing");
        }
        let anthropic = self.chosen.name.starts_with("anthropic:");
        let words = SENTENCE.repeat(if anthropic { REPEATED_FOR_ANTHROPIC } else { REPEATED }) + "Say: yes.";
        let first = self.call(&words, &[], &Shape::Free, |_| ());
        let second = first.and_then(|_| self.call(&words, &[], &Shape::Free, |_| ()));
        let (verdict, reason) = match second.map(|reply| reply.usage) {
            Ok(Some(usage)) if usage.cached_input_tokens > 0 => {
                let counted = format!("{} of {} at the second time", usage.cached_input_tokens, usage.input_tokens);
                (Verdict::Yes, counted)
            }
            Ok(Some(_)) => (Verdict::No, "the server told of none at the second time".to_owned()),
            Ok(None) => (Verdict::NotTold, "the server counts no tokens".to_owned()),
            Err(failure) => (Verdict::No, failure.reason),
        };
        self.line("cached tokens", verdict, reason);
    }

    fn window(&mut self) {
        let bare = self.chosen.name.split_once(':').map_or("", |(_, model)| model).to_owned();
        let configured = self.chosen.client.window_tokens();
        let ours = configured.map_or("config.toml says nothing".to_owned(), |tokens| format!("config.toml: {tokens}"));
        let listed = self.runtime.block_on(self.chosen.client.offered());
        let told = listed.ok().and_then(|models| models.into_iter().find(|model| model.name == bare)?.window_tokens);
        match told {
            Some(tokens) => {
                // More than there is, and a task would run into the wall instead of stopping before it.
                let fits = configured.is_none_or(|ours| ours <= tokens);
                let warning = if fits { "" } else { ", which is too much" };
                let reason = format!("{tokens} tokens, as the server says; {ours}{warning}");
                self.line("context window", Verdict::of(fits), reason);
            }
            None => self.line("context window", Verdict::NotTold, format!("the server does not say; {ours}")),
        }
    }

    /// One call, by the same way and under the same rules as a task's.
    fn call(&self, words: &str, tools: &[Value], shape: &Shape, on_delta: impl FnMut(Delta)) -> Result<Reply, Failure> {
        let failed = |reason: String| Failure {
            kind: event::FailureKind::Rejected,
            reason,
            retry_after: None,
            silent: false,
            charged: false,
        };
        let tools = event::canonical(&tools);
        let mut conversation = Conversation::shaped(&self.chosen.name, &tools, Some(self.output_max), shape)
            .map_err(|error| failed(error.to_string()))?;
        conversation.push(&Item::User { text: words.to_owned(), label: Label::person() });
        let body = conversation.body();
        let call = ModelCall {
            id: EffectId(1),
            turn: 1,
            model: self.chosen.name.clone(),
            body: body.digest(),
            body_bytes: body.len() as u64,
            input_tokens_max: conversation.input_tokens_max(),
            output_tokens_max: self.output_max,
            reserved: None,
            label: Label::person(),
        };
        let task = TaskId::new("test").map_err(|error| failed(error.to_string()))?;
        let facts =
            Facts { task, model: self.chosen.name.clone(), tool: None, yes: false, declared: false, budget_left: None };
        let verdict = self.policy.authorize_model(call, &facts, None);
        let refused = || failed(format!("the policy refused: {}", verdict.decision.reason));
        let permit = verdict.permit.ok_or_else(refused)?;
        self.runtime.block_on(self.chosen.client.call(permit, body, on_delta))
    }
}

/// The arguments of the call of `add`, where there is one.
fn added(reply: &Reply) -> Option<Value> {
    let call = reply.message.tool_calls.iter().find(|call| call.name == "add")?;
    serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object)
}

fn add() -> Value {
    tool("add", "Adds two numbers.", &json!({ "a": { "type": "integer" }, "b": { "type": "integer" } }), &["a", "b"])
}

/// Another tool, so that the right one has to be chosen.
fn shout() -> Value {
    tool("shout", "Says a text loudly.", &json!({ "text": { "type": "string" } }), &["text"])
}

fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    let parameters = json!({ "type": "object", "properties": properties, "required": required });
    json!({ "type": "function",
        "function": { "name": name, "description": description, "parameters": parameters } })
}
