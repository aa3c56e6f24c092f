//! Calls that succeed, and what the server saw of them.

use event::{FinishReason, Item, MicroUsd, Usage};
use model::{Delta, Price, Settings};
use serde_json::Value;
use testkit::{Answer, Gate, ModelServer, Turn};

use crate::support::{call, conversation, permit, permit_for, run, settings};

#[test]
fn a_streamed_reply_and_a_whole_one_are_the_same() {
    let turn = Turn { text: "two words".into(), usage: Some((10, 4, 2)), ..Turn::exec("echo 1") };
    let (streamed, deltas, server) = call(Answer::Stream(turn.clone()));
    let (whole, _, _) = call(Answer::Whole(turn));
    let streamed = streamed.unwrap();
    assert_eq!(streamed, whole.unwrap());
    assert_eq!(streamed.finish, FinishReason::ToolCalls);
    assert_eq!(
        streamed.usage,
        Some(Usage { input_tokens: 10, cached_input_tokens: 4, output_tokens: 2, ..Usage::default() })
    );
    assert_eq!(streamed.message.tool_calls[0].arguments, r#"{"command":"echo 1"}"#);
    let expected = [Delta::Text("two ".into()), Delta::Text("words".into()), Delta::ToolCall("shell_exec".into())];
    assert_eq!(deltas, expected);
    assert_eq!(server.violations(), [""; 0]);
    let seen: Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!((&seen["model"], &seen["stream"]), (&"scripted".into(), &true.into()));
}

#[test]
fn words_are_shown_before_the_reply_is_over() {
    let gate = Gate::default();
    let (turn, serving) = (Turn::say("one two"), gate.clone());
    let server = ModelServer::start(move |_, _| Answer::Gated(turn.clone(), serving.clone())).unwrap();
    let conversation = conversation();
    let client = model::Client::new(settings(&server.base_url())).unwrap();
    // The second word is only sent once the first has been shown.
    gate.let_through(2);
    let mut shown = Vec::new();
    let reply = run(client.call(permit(&conversation), conversation.body(), |delta| {
        shown.push(delta);
        gate.let_through(10);
    }));
    assert_eq!(reply.unwrap().message.text, "one two");
    assert_eq!(shown.len(), 2);
}

#[test]
fn one_client_asks_again_and_again_with_a_growing_body() {
    let turns =
        vec![Turn::exec("echo 1"), Turn { calls: vec![("look at".into(), "{\"cut".into())], ..Turn::default() }];
    let server = ModelServer::playing(turns).unwrap();
    let client = model::Client::new(settings(&server.base_url())).unwrap();
    let mut conversation = conversation();
    run(async {
        for _ in 0..3 {
            let reply = client.call(permit(&conversation), conversation.body(), |_| ()).await.unwrap();
            let calls = reply.message.tool_calls.clone();
            conversation.push(&Item::Assistant { message: reply.message });
            for call in calls {
                let label = event::Label::person();
                conversation.push(&Item::Tool { call_id: call.id, tool: call.name, text: "seen".into(), label });
            }
        }
    });
    assert_eq!(server.violations(), [""; 0]);
    assert!(server.seen().iter().all(|seen| seen.append_only >= 1.0));
}

#[test]
fn the_list_of_models_comes_from_the_server() {
    let server = ModelServer::playing(Vec::new()).unwrap();
    let client = model::Client::new(settings(&server.base_url())).unwrap();
    assert_eq!(run(client.offered()).unwrap()[0].name, "scripted");
}

#[test]
fn an_unknown_price_stays_unknown_and_a_known_one_bounds_the_reply() {
    let usage = Usage { input_tokens: 1_000, output_tokens: 100, ..Usage::default() };
    let unpriced = model::Client::new(settings("http://127.0.0.1:9/v1")).unwrap();
    assert_eq!((unpriced.cost(&usage), unpriced.reserve(1, 1), unpriced.requested_output_max()), (None, None, None));
    let price = Some(Price { input: 2.0, output: 8.0, ..Price::default() });
    let priced = model::Client::new(Settings { price, ..settings("http://127.0.0.1:9/v1") }).unwrap();
    assert_eq!(priced.cost(&usage), Some(MicroUsd(2_800)));
    assert!(priced.requested_output_max().is_some());
}

#[test]
fn anthropic_takes_a_quarter_more_for_what_it_begins_to_keep() {
    let usage = Usage { input_tokens: 1_000, cache_write_input_tokens: 400, ..Usage::default() };
    let cost = |name: &str, cache_write| {
        let price = Some(Price { input: 4.0, cache_write, ..Price::default() });
        let settings = Settings { name: name.into(), price, ..settings("http://127.0.0.1:9") };
        let client = model::Client::new(settings).unwrap();
        (client.cost(&usage).unwrap(), client.reserve(1_000, 0).unwrap())
    };
    assert_eq!(cost("anthropic:m", None), (MicroUsd(600 * 4 + 400 * 5), MicroUsd(5_000)));
    // What is configured holds: two times the price for what is kept an hour, say.
    assert_eq!(cost("anthropic:m", Some(8.0)), (MicroUsd(600 * 4 + 400 * 8), MicroUsd(8_000)));
    assert_eq!(cost("openai:m", None), (MicroUsd(4_000), MicroUsd(4_000)));
}

#[test]
fn a_script_needs_no_server_costs_nothing_and_says_what_it_is() {
    let script = model::Script::parse(r#"{"turns":[{"say":"I am a script."}]}"#).unwrap();
    let settings = Settings { name: "script:test".into(), script: Some(script), endpoint: None, ..settings("") };
    let client = model::Client::new(settings).unwrap();
    let mut conversation = model::Conversation::new("script:test", b"[]", None).unwrap();
    conversation.push(&Item::User { text: "hello".into(), label: event::Label::person() });
    let permit = permit_for("script:test", &conversation);
    let reply = run(client.call(permit, conversation.body(), |_| ())).unwrap();
    assert_eq!((reply.message.text.as_str(), reply.served_by.as_str()), ("I am a script.", "script"));
    assert_eq!(client.cost(&reply.usage.unwrap()), Some(MicroUsd(0)));
}

#[test]
fn a_client_without_what_it_needs_is_not_made() {
    for name in ["openai:m", "script:demo", "gpt-4.1", "claude:x", "openai:"] {
        let settings = Settings { name: name.into(), endpoint: None, ..settings("") };
        let failure = model::Client::new(settings).unwrap_err();
        assert!(failure.reason.contains("missing") || failure.reason.contains("provider:model"), "{failure}");
    }
}
