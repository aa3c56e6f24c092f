//! Models: listed with where they come from, found on this machine, tried line by line. How good they are is not asked.

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::{Answer, ModelServer, Turn};

use crate::desk::Desk;

/// A server that can do all that is asked of it.
fn able() -> ModelServer {
    ModelServer::start(|index, request| {
        let words = request["messages"].to_string();
        let turn = if request["tools"].is_array() {
            let forced = request["tool_choice"]["function"]["name"] == "add";
            assert!(forced || words.contains("Call the tool add"), "{request}");
            Turn::call("add", &json!({ "a": 19, "b": 23 }))
        } else if request["response_format"]["json_schema"]["schema"].is_object() {
            Turn::say(r#"{"city":"Paris","country":"France"}"#)
        } else {
            Turn::say("one two three")
        };
        let cached = if words.contains("many times") && index > 4 { 1_024 } else { 0 };
        Answer::Stream(Turn { usage: Some((2_000, cached, 3)), ..turn })
    })
    .unwrap()
}

/// A server that speaks, and no more: nothing in pieces, no calls, no schema, no counts.
fn unable() -> ModelServer {
    ModelServer::start(|_, request| match request.get("response_format") {
        Some(_) => Answer::Status(400, vec![], r#"{"error":{"message":"response_format is unknown"}}"#.to_owned()),
        None => Answer::Whole(Turn::say("ready")),
    })
    .unwrap()
}

fn address(server: &ModelServer) -> String {
    server.base_url().trim_start_matches("http://").trim_end_matches("/v1").to_owned()
}

fn desk_of(server: &ModelServer) -> Desk {
    Desk::new().with("OPENAI_BASE_URL", &server.base_url())
}

#[test]
fn models_are_listed_with_where_they_come_from() {
    let desk = Desk::new();
    assert_snapshot!(desk.run(&["models"]).seen(), @r#"
    exit 0
    --- out
    script:demo                              a script, no model: the demo
    --- err
    there is no model yet. Ways to get one:
      export OPENAI_API_KEY=…                             OpenAI, or any service that speaks its API
      export OPENAI_BASE_URL=http://127.0.0.1:11434/v1    a model on this machine (Ollama, llama.cpp, vLLM, LM Studio)
      thenar run --model openai:NAME …                    or THENAR_MODEL, or model = "openai:NAME" in config.toml
      make demo (or: thenar demo)                         works without any: a script drives the real tools
    "#);
    let server = able();
    let desk = desk_of(&server);
    assert_snapshot!(desk.run(&["models"]).seen(), @r#"
    exit 0
    --- out
    openai:scripted                          offered
    script:demo                              a script, no model: the demo
    --- err
    `thenar run` takes openai:scripted unless told otherwise.
    "#);
    assert_eq!(desk.run(&["models", "--json"]).code(0).json()[0]["name"], "openai:scripted");
    // The same server is not told twice.
    let desk = desk.with("THENAR_LOCAL_SERVERS", &address(&server));
    assert_eq!(desk.run(&["models", "--json"]).code(0).json().as_array().unwrap().len(), 2);
}

#[test]
fn a_server_found_on_this_machine_is_told_and_never_taken_unasked() {
    let server = able();
    // Nobody listens at the first.
    let places = format!("127.0.0.1:1,{}", address(&server));
    let desk = Desk::new().with("THENAR_LOCAL_SERVERS", &places);
    let base_url = server.base_url();
    desk.run(&["run", "x"])
        .code(5)
        .says("this machine has a server that answers")
        .says(&format!("export OPENAI_BASE_URL={base_url}"))
        .says("export THENAR_MODEL=openai:scripted");
    assert!(server.seen().is_empty(), "nothing was asked of it");
    assert!(!desk.path("home/tasks").exists(), "nothing was begun");
    let listed = desk.run(&["models", "--json"]).code(0).json();
    assert_eq!(listed[0]["name"], "openai:scripted");
    assert_eq!(listed[0]["base_url"], base_url.as_str());
    let desk = desk.with("OPENAI_BASE_URL", &base_url).with("THENAR_MODEL", "openai:scripted");
    desk.run(&["models", "test"]).code(0);
}

#[test]
fn only_this_machine_is_looked_at() {
    for wrong in ["10.0.0.5:8000", "127.0.0.1", "localhost:80", "127.0.0.1:1,192.168.0.1:2"] {
        let desk = Desk::new().with("THENAR_LOCAL_SERVERS", wrong);
        desk.run(&["run", "x"]).code(5).says("is no address of this machine: write 127.0.0.1:PORT, or none");
    }
}

#[test]
fn an_able_model_passes_line_by_line() {
    let server = able();
    let desk = desk_of(&server);
    assert_snapshot!(desk.run(&["models", "test"]).seen(), @r#"
    exit 0
    --- out
    answers              yes       it said "one two three"
    streaming            yes       3 pieces
    usage                yes       2000 tokens in, 3 out
    tool call            yes       add({"a":19,"b":23})
    forced tool choice   yes       add({"a":19,"b":23})
    JSON by schema       yes       {"city":"Paris","country":"France"}
    cached tokens        yes       1024 of 2000 at the second time
    context window       not told  the server does not say; config.toml says nothing
    price                not told  not in config.toml: --max-cost cannot be used
    --- err
    Testing openai:scripted: up to 7 calls, 16000 tokens in and 7168 out together. Costs what your provider takes for that: no price is configured.
    "#);
    assert_eq!(server.seen().len(), 6, "no more than was said");
}

#[test]
fn what_a_model_cannot_do_is_said_with_the_reason() {
    let server = unable();
    let desk = desk_of(&server);
    desk.config("[models.\"openai:scripted\"]\ninput_price = 2.0\noutput_price = 8.0\nmax_output = 100\n");
    assert_snapshot!(desk.run(&["models", "test"]).seen(), @r#"
    exit 5
    --- out
    answers              yes       it said "ready"
    streaming            no        it all came at once
    usage                not told  the server counts no tokens: costs cannot be told
    tool call            no        it did not call the tool it was told to call
    forced tool choice   no        it answered without the call that was demanded
    JSON by schema       no        the model's server refused the request (400): response_format is unknown
    cached tokens        not told  the server counts no tokens
    context window       not told  the server does not say; config.toml says nothing
    price                yes       in config.toml
    --- err
    Testing openai:scripted: up to 7 calls, 16000 tokens in and 700 out together. Costs $0.0376 at the most.
    error: this model does not call tools: Thenar cannot work with it
    hint: some servers need a switch for tool calls (llama.cpp: --jinja; vLLM: --enable-auto-tool-choice)
    "#);
    for seen in server.seen() {
        let request: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(request["max_tokens"], 100, "the limit that the cost was counted from is sent");
    }
    let told = desk.run(&["models", "test", "--json"]).code(5).json();
    assert_eq!(told["usable"], false);
    let line = told["tests"].as_array().unwrap().iter().find(|line| line["what"] == "forced tool choice").unwrap();
    assert_eq!(line["verdict"], "no");
    let silent = ModelServer::start(|_, _| Answer::Status(500, vec![], "{}".to_owned())).unwrap();
    desk_of(&silent).run(&["models", "test", "openai:m"]).code(5).says("this model does not answer");
    assert_eq!(silent.seen().len(), 1, "whoever does not answer is not asked on");
}
