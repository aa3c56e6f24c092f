//! `thenar models`: what can be used, and whether it works.

use event::{EffectId, Item, Label, ModelCall, TaskId};
use policy::{Engine, Facts};
use serde_json::json;

use crate::choice::{self, Chosen};
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, config, env, screen};

/// `thenar models`.
pub(crate) fn list(json_wanted: bool, screen: Screen) -> Outcome {
    let config = config::read()?;
    let mut names: Vec<(String, &str)> = config.models.keys().map(|name| (name.clone(), "configured")).collect();
    let mut trouble = None;
    if env::var(env::OPENAI_BASE_URL).is_some() || env::var(env::OPENAI_API_KEY).is_some() {
        let chosen = choice::client("openai:any", &config)?;
        match crate::runtime()?.block_on(chosen.client.offered()) {
            Ok(offered) => names.extend(offered.into_iter().map(|name| (format!("openai:{name}"), "offered"))),
            Err(failure) => trouble = Some(failure.to_string()),
        }
    }
    for (variables, any) in [
        ([env::ANTHROPIC_API_KEY, env::ANTHROPIC_BASE_URL], "anthropic:any"),
        ([env::GEMINI_API_KEY, env::GEMINI_BASE_URL], "gemini:any"),
    ] {
        if variables.iter().all(|variable| env::var(variable).is_none()) {
            continue;
        }
        let chosen = choice::client(any, &config)?;
        let provider = any.trim_end_matches("any");
        match crate::runtime()?.block_on(chosen.client.offered()) {
            Ok(offered) => names.extend(offered.into_iter().map(|name| (format!("{provider}{name}"), "offered"))),
            Err(failure) => trouble = Some(failure.to_string()),
        }
    }
    names.push((format!("script:{}", choice::DEMO), "a script, no model: the demo"));
    if json_wanted {
        let models: Vec<_> = names.iter().map(|(name, note)| json!({ "name": name, "note": note })).collect();
        screen::json(&serde_json::Value::from(models));
    } else {
        for (name, note) in &names {
            data(&format!("{:<40} {note}", clean::line(name, 80)));
        }
    }
    if let Some(trouble) = trouble {
        screen.say(&format!("{} {}", screen.paint(Look::Warn, "warning:"), clean::line(&trouble, 400)));
    }
    match choice::name(None, &config) {
        Ok(name) => screen.say(&format!("`thenar run` takes {} unless told otherwise.", clean::line(&name, 80))),
        Err(problem) => screen.say(&problem.message),
    }
    Ok(Code::Done)
}

/// `thenar models test`.
pub(crate) fn test(name: Option<&str>, screen: Screen) -> Outcome {
    let config = config::read()?;
    let name = choice::name(name, &config)?;
    let chosen = choice::client(&name, &config)?;
    screen.say(&format!("Testing {} …", clean::line(&name, 80)));
    let words = attempt(&chosen, "Answer with the single word: ready", b"[]")?;
    let said = clean::line(&words.message.text, 60);
    data(&format!("reply        ok   it said {said:?}"));
    let usage = match words.usage {
        Some(usage) => format!("ok   {} tokens in, {} out", usage.input_tokens, usage.output_tokens),
        None => "no   the server does not report it: costs cannot be told".to_owned(),
    };
    data(&format!("usage        {usage}"));
    let tool = json!([{ "type": "function", "function": { "name": "add", "description": "Adds two numbers.",
        "parameters": { "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } },
        "required": ["a", "b"] } } }]);
    let reply = attempt(&chosen, "Call the tool add with a = 19 and b = 23.", &event::canonical(&tool))?;
    let sound = reply.message.tool_calls.iter().any(|call| {
        call.name == "add"
            && serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok_and(|value| value["a"] == 19)
    });
    if chosen.scripted {
        data("tool calls   –    a script plays what is written in it");
    } else if sound {
        data("tool calls   ok");
    } else {
        data("tool calls   no   it did not call the tool it was told to call");
    }
    let price = if chosen.priced { "ok" } else { "no   not in config.toml: --max-cost cannot be used" };
    data(&format!("price        {price}"));
    if sound || chosen.scripted {
        Ok(Code::Done)
    } else {
        Err(Problem::new(Code::Setup, "this model does not call tools: Thenar cannot work with it")
            .hint("some servers need a switch for tool calls (llama.cpp: --jinja; vLLM: --enable-auto-tool-choice)"))
    }
}

/// One call, by the same way and under the same rules as a task's.
fn attempt(chosen: &Chosen, words: &str, tools: &[u8]) -> Result<event::Reply, Problem> {
    let failed = |text: String| Problem::new(Code::Setup, text);
    let mut conversation = model::Conversation::new(&chosen.name, tools, chosen.client.requested_output_max())
        .map_err(|error| failed(error.to_string()))?;
    conversation.push(&Item::User { text: words.to_owned(), label: Label::person() });
    let body = conversation.body();
    let call = ModelCall {
        id: EffectId(1),
        turn: 1,
        model: chosen.name.clone(),
        body: body.digest(),
        body_bytes: body.len() as u64,
        input_tokens_max: conversation.input_tokens_max(),
        output_tokens_max: chosen.client.output_tokens_max(),
        reserved: None,
        label: Label::person(),
    };
    let policy = Engine::load(Engine::default_policy()).map_err(|error| failed(error.to_string()))?;
    let task = TaskId::new("test").map_err(|error| failed(error.to_string()))?;
    let facts = Facts { task, model: chosen.name.clone(), tool: None, yes: false, budget_left: None };
    let verdict = policy.authorize_model(call, &facts, None);
    let permit = verdict.permit.ok_or_else(|| failed(format!("the policy refused: {}", verdict.decision.reason)))?;
    let reply = crate::runtime()?.block_on(chosen.client.call(permit, body, |_| ()));
    reply.map_err(|failure| failed(failure.to_string()))
}
