//! Streams and answers that real servers sent (`tests/golden/README.md` says which), read whole, byte by byte, and cut off at
//! every byte. What no server was caught doing stands in `by_hand`.

mod by_hand;

use event::FailureKind;

use super::*;

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(bytes: &[u8], size: usize) -> (Result<Reply, Failure>, Vec<Delta>) {
    read_as(Decoder::default(), bytes, size)
}

fn read_as(mut decoder: Decoder, bytes: &[u8], size: usize) -> (Result<Reply, Failure>, Vec<Delta>) {
    let mut deltas = Vec::new();
    for chunk in bytes.chunks(size.max(1)) {
        match decoder.push(chunk, &mut |delta| deltas.push(delta)) {
            Ok(true) => break,
            Ok(false) => {}
            Err(failure) => return (Err(failure), deltas),
        }
    }
    (decoder.finish(&mut |delta| deltas.push(delta)), deltas)
}

/// A reply in a few lines.
fn told(read: &Result<Reply, Failure>) -> String {
    let reply = match read {
        Ok(reply) => reply,
        Err(failure) => return format!("{:?}: {failure}", failure.kind),
    };
    let usage = reply.usage.map_or("no usage".to_owned(), |usage| {
        let written = match usage.cache_write_input_tokens {
            0 => String::new(),
            tokens => format!(" {tokens} kept,"),
        };
        format!("{} in, {} cached,{written} {} out", usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
    });
    let mut text = format!("{:?}, {usage}, by {}", reply.finish, reply.served_by);
    for (kind, words) in [("thought", &reply.message.reasoning), ("text", &reply.message.text)] {
        if !words.is_empty() {
            let begins: String = words.chars().take(60).collect();
            text.push_str(&format!("\n  {kind} ({} bytes): {begins:?}", words.len()));
        }
    }
    for part in &reply.message.carried {
        let begins: String = part.to_string().chars().take(100).collect();
        text.push_str(&format!("\n  carried {begins}"));
    }
    for call in &reply.message.tool_calls {
        text.push_str(format!("\n  call {}: {} {}", call.id, call.name, call.arguments).trim_end());
    }
    text
}

/// What reads answers of this provider.
fn decoder_of(provider: &str) -> Decoder {
    match provider {
        "anthropic" => Decoder::of(Dialect::Anthropic(anthropic::Reader::default())),
        "responses" => Decoder::of(Dialect::Responses(crate::responses::Reader::default())),
        _ => Decoder::default(),
    }
}

/// What the next request to a provider says of a reply.
fn sent_back(name: &str, message: &event::AssistantMessage) -> Value {
    let mut conversation = crate::Conversation::new(name, b"[]", None).unwrap();
    conversation.push(&event::Item::User { text: "hi".into(), label: event::Label::person() });
    conversation.push(&event::Item::Assistant { message: message.clone() });
    serde_json::from_slice(conversation.body().as_bytes()).unwrap()
}

/// Reads a recorded answer in every way it could arrive, and cut off at every byte.
fn hold(file: &str) -> String {
    let decoder = decoder_of(file.split('_').next().unwrap());
    let bytes = golden(file);
    let (whole, deltas) = read_as(decoder.clone(), &bytes, bytes.len());
    for size in [1, 7, 1_000] {
        let (again, deltas_again) = read_as(decoder.clone(), &bytes, size);
        assert_eq!(told(&again), told(&whole), "{file} in chunks of {size}");
        assert_eq!(deltas_again, deltas, "{file} in chunks of {size}");
    }
    if let Ok(reply) = &whole {
        let shown: String = deltas
            .iter()
            .filter_map(|delta| if let Delta::Text(text) = delta { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(shown, reply.message.text, "{file}: what was shown is what is kept");
    }
    let mut decoder = decoder;
    for (at, byte) in bytes.iter().enumerate() {
        match (decoder.clone().finish(&mut |_| ()), &whole) {
            (Err(failure), _) => assert_eq!(failure.kind, FailureKind::Transient, "{file} cut at byte {at}: {failure}"),
            (Ok(cut), Ok(reply)) => {
                // All words are there; only the account that comes after them may be missing.
                assert_eq!((&cut.message, cut.finish), (&reply.message, reply.finish), "{file} cut at byte {at}");
                assert!(cut.usage.is_none() || cut.usage == reply.usage, "{file} cut at byte {at}");
            }
            (Ok(_), Err(failure)) => panic!("{file} cut at byte {at} is a reply, whole it is none: {failure}"),
        }
        if decoder.push(&[*byte], &mut |_| ()).is_err() {
            break;
        }
    }
    format!("{file}: {}\n", told(&whole))
}

#[test]
fn recorded_streams_are_read_however_they_are_cut() {
    let files = [
        "openai_text.sse",
        "openai_text_without_usage.sse",
        "openai_two_choices.sse",
        "openai_two_tool_calls.sse",
        "openai_tool_calls_in_pieces.sse",
        "deepseek_reasoning.sse",
        "groq_text.sse",
        "groq_tool_call.sse",
        "groq_error_in_stream.sse",
        "huggingface_nebius_text.sse",
        "llama_cpp_text.sse",
        "llama_cpp_text_length.sse",
        "llama_cpp_cached.sse",
        "llama_cpp_keep_alive.sse",
        "llama_cpp_tool_call.sse",
        "llama_cpp_tool_call_cut.sse",
    ];
    insta::assert_snapshot!(files.map(hold).concat(), @r#"
    openai_text.sse: Stop, 12 in, 0 cached, 5 out, by gpt-4-0613
      text (17 bytes): "\"This is a test.\""
    openai_text_without_usage.sse: Stop, no usage, by gpt-4-0613
      text (15 bytes): "This is a test."
    openai_two_choices.sse: Stop, 26 in, 0 cached, 104 out, by gpt-4o-mini-2024-07-18
      text (277 bytes): "I'm unable to provide real-time weather updates. To get the "
    openai_two_tool_calls.sse: ToolCalls, 364 in, 0 cached, 40 out, by gpt-4o-2024-08-06
      call call_q2UyBRP7eXNTzAoR8lEhjc9Z: get_country {}
      call call_b51ijcpFkDiTQG1bQzsrmtW5: get_product_name {}
    openai_tool_calls_in_pieces.sse: ToolCalls, 75 in, 0 cached, 51 out, by gpt-4o-mini-2024-07-18
      call call_fHCjJqt9Pysde6vcJcvbXGBx: get_current_weather {"location": "Seattle, WA"}
      call call_3J9foSw3CUb48lrqIXoTky6U: get_current_weather {"location": "San Francisco, CA"}
    deepseek_reasoning.sse: Stop, 6 in, 0 cached, 212 out, by deepseek-reasoner
      thought (882 bytes): "Hmm, the user just said \"Hello\". It's a simple greeting but "
      text (43 bytes): "Hello there! 😊 How can I help you today?"
    groq_text.sse: Stop, 320 in, 0 cached, 15 out, by openai/gpt-oss-120b
      text (50 bytes): "The tool call succeeded with the name \"test_name\"."
    groq_tool_call.sse: ToolCalls, 283 in, 0 cached, 43 out, by openai/gpt-oss-120b
      thought (65 bytes): "We need to call with correct param: name. Use a placeholder "
      call fc_bc6fb53e-e06a-4106-bc42-cc5af9731e82: get_something_by_name {"name":"test_name"}
    groq_error_in_stream.sse: Transient: the model's server broke off: Tool call validation failed: tool call validation failed: parameters for tool get_something_by_name did not match schema: errors: [missing properties: 'name', additionalProperties 'nonexistent' not allowed]
    huggingface_nebius_text.sse: Stop, no usage, by Qwen/Qwen2.5-72B-Instruct-fast
      text (142 bytes): "Hello! It seems like your message might have been cut off or"
    llama_cpp_text.sse: Stop, 15 in, 0 cached, 5 out, by smollm2-135m
      text (17 bytes): "Hello in Spanish."
    llama_cpp_text_length.sse: Length, 18 in, 3 cached, 6 out, by smollm2-135m
      text (9 bytes): "你好，"
    llama_cpp_cached.sse: Stop, 15 in, 14 cached, 5 out, by smollm2-135m
      text (17 bytes): "Hello in Spanish."
    llama_cpp_keep_alive.sse: Length, 821 in, 1 cached, 4 out, by smollm2-135m
      text (22 bytes): "The Fibonacci sequence"
    llama_cpp_tool_call.sse: ToolCalls, 349 in, 1 cached, 33 out, by smollm2-135m
      call GTh2a5ixUe5X3dsXVE9DvUVZDfaVbfXT: shell_exec {"command": "ls /var"}
    llama_cpp_tool_call_cut.sse: Length, 349 in, 348 cached, 24 out, by smollm2-135m
      call UG51bJ2esv9cDnT8Gl2eioLbYDKRbigI: shell_exec {"command": "ls /var
    "#);
}

#[test]
fn recorded_whole_answers_are_read_though_a_stream_was_asked_for() {
    let files = [
        "openai_whole_tool_calls.json",
        "cerebras_whole.json",
        "gemini_tool_call_without_id.json",
        "llama_cpp_whole.json",
        "llama_cpp_whole_tool_call.json",
    ];
    insta::assert_snapshot!(files.map(hold).concat(), @r#"
    openai_whole_tool_calls.json: ToolCalls, 75 in, 0 cached, 51 out, by gpt-4o-mini-2024-07-18
      call call_JpNb8OiAkbIbHzDggfpdDHpi: get_current_weather {"location": "Seattle, WA"}
      call call_vaFQc3zK6hHTRZKXRI5Eo2cJ: get_current_weather {"location": "San Francisco, CA"}
    cerebras_whole.json: Stop, 304 in, 0 cached, 25 out, by qwen-3-coder-480b
      text (112 bytes): "The capital of France is Paris. If you need more information"
    gemini_tool_call_without_id.json: ToolCalls, 35 in, 0 cached, 74 out, by gemini-2.5-pro-preview-05-06
      call call_0: get_current_time {}
    llama_cpp_whole.json: Length, 12 in, 5 cached, 12 out, by smollm2-135m
      text (36 bytes): "I'm so glad you're here. I'm so glad"
    llama_cpp_whole_tool_call.json: ToolCalls, 349 in, 348 cached, 33 out, by smollm2-135m
      call K2tc1e4IvJgOkiQfsYgod27y1C2W882j: shell_exec {"command": "ls /var"}
    "#);
}

#[test]
fn recorded_answers_of_more_servers_are_read_however_they_are_cut() {
    let files = [
        "openai_tool_call_parallel.sse",
        "openai_function_call.json",
        "azure_text.sse",
        "azure_filtered_reply.json",
        "databricks_tool_call.sse",
        "deepseek_cached.sse",
        "deepseek_tool_calls.sse",
        "llama_cpp_python_forced_tool_call.sse",
        "mistral_text.sse",
        "openrouter_tool_call.sse",
    ];
    insta::assert_snapshot!(files.map(hold).concat(), @r#"
    openai_tool_call_parallel.sse: ToolCalls, no usage, by gpt-3.5-turbo-0125
      call call_cCPjAyfwTzboEKjVlqFrArNF: get_current_weather {"location": "San Francisco"}
      call call_Zi4He1Ns0mozwT6f85nW1BOW: get_current_weather {"location": "Boston"}
    openai_function_call.json: ToolCalls, 82 in, 0 cached, 16 out, by gpt-4-0613
      call call_0: get_current_weather {
      "location": "Boston"
    }
    azure_text.sse: Stop, no usage, by gpt-35-turbo
      text (120 bytes): "Why did the Opentelemetry developer bring a ladder to the co"
    azure_filtered_reply.json: ContentFilter, 15 in, 0 cached, 19 out, by gpt-35-turbo
    databricks_tool_call.sse: ToolCalls, 402 in, 0 cached, 54 out, by us.anthropic.claude-3-7-sonnet-20250219-v1:0
      text (56 bytes): "I'll help you get the current date in YYYY-MM-DD format."
      call toolu_bdrk_01TPK8QRAHByJ1TANL9PDZQK: get_date
    deepseek_cached.sse: Stop, 368 in, 256 cached, 19 out, by deepseek-v4-flash
      thought (31 bytes): "The current date is 2024-01-01."
      text (10 bytes): "2024-01-01"
    deepseek_tool_calls.sse: ToolCalls, 291 in, 0 cached, 56 out, by deepseek-v4-flash
      thought (103 bytes): "The user wants the current date in YYYY-MM-DD format. Let me"
      call call_00_dTTMe84vrYVi0IrrxM172804: get_current_date2 {}
    llama_cpp_python_forced_tool_call.sse: ToolCalls, no usage, by smollm2
      call call__0_add_cmpl-6d2f368f-ae81-478a-bf50-a73b6573f7df: add { "a":1, "b":23}
    mistral_text.sse: Stop, 22 in, 0 cached, 2 out, by mistral-large-latest
      text (1 bytes): "2"
    openrouter_tool_call.sse: ToolCalls, 63 in, 0 cached, 10 out, by openai/gpt-4o-mini-2024-07-18
      call call_eJmyO5ANyXc20sPeLSuWSngc: get_date {}
    "#);
}

#[test]
fn an_error_after_the_reason_for_the_end_is_still_an_error() {
    // Cut off right before it, it cannot be told from a reply: so it is not cut here.
    let bytes = golden("openrouter_error_in_stream.sse");
    let failure = read(&bytes, 7).0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.reason.contains("Token limit reached"), "{failure}");
}

#[test]
fn recorded_messages_of_anthropic_are_read_however_they_are_cut() {
    let files = [
        "anthropic_text.sse",
        "anthropic_parallel_tool_calls.sse",
        "anthropic_thinking.sse",
        "anthropic_redacted_thinking.sse",
    ];
    insta::assert_snapshot!(files.map(hold).concat(), @r##"
    anthropic_text.sse: Stop, 26 in, 0 cached, 5 out, by claude-haiku-4-5-20251001
      text (1 bytes): "2"
    anthropic_parallel_tool_calls.sse: ToolCalls, 608 in, 0 cached, 94 out, by claude-haiku-4-5-20251001
      call toolu_012gbTrV1LahNLtHdAwDnKPV: favorite_color {"_person": "Joe"}
      call toolu_016MfNFkQMqGdzDjXqKSAo6G: favorite_color {"_person": "Hadley"}
    anthropic_thinking.sse: Stop, 42 in, 0 cached, 419 out, by claude-sonnet-4-5-20250929
      thought (776 bytes): "The question is asking about how to safely cross a street, w"
      text (994 bytes): "# How to Cross a Street Safely\n\nFollow these steps to cross "
      carried {"type":"thinking","thinking":"The question is asking about how to safely cross a street, which is a
      carried {"type":"text","text":"# How to Cross a Street Safely\n\nFollow these steps to cross a street safely
    anthropic_redacted_thinking.sse: Stop, 92 in, 0 cached, 189 out, by claude-sonnet-4-5-20250929
      text (359 bytes): "I notice that you've sent what appears to be some kind of te"
      carried {"type":"redacted_thinking","data":"EqkECkYIBxgCKkA8AZ4noDfV5VcOJe/p3JTRB6Xz5297mrWhl3MbHSXDKTMfuB/Z
      carried {"type":"redacted_thinking","data":"EtgBCkYIBxgCKkDQfGkwzflEJP5asG3oQfJXcTwJLoRznn8CmuczWCsJ36dv93X9
      carried {"type":"text","text":"I notice that you've sent what appears to be some kind of test string or comm
    "##);
}

#[test]
fn recorded_responses_of_openai_are_read_however_they_are_cut() {
    insta::assert_snapshot!(["responses_text.sse", "responses_tool_calls.sse"].map(hold).concat(), @r#"
    responses_text.sse: Stop, 26 in, 0 cached, 5 out, by gpt-5.4-2026-03-05
      text (1 bytes): "2"
    responses_tool_calls.sse: ToolCalls, 82 in, 0 cached, 51 out, by gpt-5.4-2026-03-05
      call call_oQ7mDXOkLxAXCZL2NC0u1smy: favorite_color {"_person":"Joe"}
      call call_qv1uxXmvRZdaGd5z69o0cuMf: favorite_color {"_person":"Hadley"}
    "#);
}

#[test]
fn thoughts_under_seal_go_back_to_responses_as_they_came() {
    let body = r#"{"object":"response","error":null,"model":"m","output":[{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"e"},{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":"{}","status":"completed"}],"usage":{"input_tokens":9,"output_tokens":3,"input_tokens_details":{"cached_tokens":4}}}"#;
    let decoder = Decoder::of(Dialect::Responses(crate::responses::Reader::default()));
    let reply = read_as(decoder, body.as_bytes(), 7).0.unwrap();
    assert_eq!(reply.usage.unwrap().cached_input_tokens, 4);
    assert_eq!(reply.message.tool_calls[0].id, "c");
    let mut conversation = crate::Conversation::new("responses:gpt-5", b"[]", None).unwrap();
    conversation.push(&event::Item::User { text: "hi".into(), label: event::Label::person() });
    conversation.push(&event::Item::Assistant { message: reply.message });
    let body: Value = serde_json::from_slice(conversation.body().as_bytes()).unwrap();
    assert_eq!(body["store"], false);
    assert_eq!(body["include"][0], "reasoning.encrypted_content");
    assert_eq!(body["input"][1]["encrypted_content"], "e");
    assert_eq!(body["input"][2]["call_id"], "c");
    assert_eq!(body["input"].as_array().unwrap().len(), 3);
}

#[test]
fn messages_of_anthropic_break_off_or_come_whole() {
    let tell = |body: &str| {
        let decoder = Decoder::of(Dialect::Anthropic(anthropic::Reader::default()));
        told(&read_as(decoder, body.as_bytes(), 5).0) + "\n"
    };
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":2,\"cache_read_input_tokens\":30,\"cache_creation_input_tokens\":400}}}\n\n";
    let call = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"look\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let end = |reason: &str| {
        format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}},\"usage\":{{\"output_tokens\":5}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let bodies = [
        format!("{start}{call}{}", end("tool_use")),
        format!("{start}{}", end("refusal")),
        format!("{start}{}", end("max_tokens")),
        format!("{start}data: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"),
        format!("{start}{call}"),
        r#"{"type":"message","model":"m","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Looking."},{"type":"tool_use","id":"t","name":"look","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":2,"output_tokens":5}}"#.to_owned(),
    ];
    insta::assert_snapshot!(bodies.map(|body| tell(&body)).concat(), @r#"
    ToolCalls, 432 in, 30 cached, 400 kept, 5 out, by m
      call t: look {}
    ContentFilter, 432 in, 30 cached, 400 kept, 5 out, by m
    Length, 432 in, 30 cached, 400 kept, 5 out, by m
    Transient: the model's server broke off: Overloaded
    Transient: the model's answer was cut off before its end
    ToolCalls, 2 in, 0 cached, 5 out, by m
      thought (2 bytes): "hm"
      text (8 bytes): "Looking."
      carried {"type":"thinking","thinking":"hm","signature":"s"}
      carried {"type":"text","text":"Looking."}
      carried {"type":"tool_use","id":"t","name":"look","input":{"a":1}}
      call t: look {"a":1}
    "#);
}

/// What goes back to Anthropic, or to Responses, after a whole answer with this in it.
fn back(provider: &str, content: &str) -> Value {
    let body = match provider {
        "anthropic" => format!(r#"{{"type":"message","content":[{content}],"stop_reason":"max_tokens"}}"#),
        _ => format!(
            r#"{{"object":"response","output":[{content}],"incomplete_details":{{"reason":"max_output_tokens"}}}}"#
        ),
    };
    let reply = read_as(decoder_of(provider), body.as_bytes(), 7).0.unwrap();
    let body = sent_back(&format!("{provider}:m"), &reply.message);
    if provider == "anthropic" { body["messages"][1]["content"].clone() } else { body["input"].clone() }
}

#[test]
fn a_reply_that_was_cut_in_its_thoughts_does_not_go_back_ending_in_them() {
    let told = |content: &str| back("anthropic", content);
    let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let no_words = json_text(crate::conversation::NO_WORDS);
    let (thought, unsigned) = (
        r#"{"type":"thinking","thinking":"hm","signature":"s"}"#,
        r#"{"type":"thinking","thinking":"hm","signature":""}"#,
    );
    let (sealed, words) = (r#"{"type":"redacted_thinking","data":"d"}"#, r#"{"type":"text","text":"Looking."}"#);
    for cut in [thought, unsigned, sealed, &format!("{thought},{sealed},{unsigned}")] {
        assert_eq!(told(cut), json(format!("[{no_words}]")), "{cut}");
    }
    assert_eq!(told(&format!("{thought},{words},{sealed}")), json(format!("[{thought},{words}]")));
    assert_eq!(told(&format!("{unsigned},{words}")), json(format!("[{}]", json_text("Looking."))));

    let thought = r#"{"type":"reasoning","summary":[],"encrypted_content":"e"}"#;
    let words = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Looking."}]}"#;
    assert_eq!(back("responses", thought)[1]["content"], crate::conversation::NO_WORDS);
    let items = back("responses", &format!("{thought},{words},{thought}"));
    let kinds: Vec<_> = items.as_array().unwrap()[1..].iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message"]);
}

fn json_text(text: &str) -> Value {
    serde_json::json!({ "text": text, "type": "text" })
}

#[test]
fn calls_go_back_under_the_ids_that_their_results_will_name() {
    let thought = r#"{"type":"thinking","thinking":"hm","signature":"s"}"#;
    let call = |id: &str| format!(r#"{{"type":"tool_use","id":"{id}","name":"look at","input":{{"a":1}}}}"#);
    let blocks = back("anthropic", &format!("{thought},{},{},{}", call("t"), call("t"), call("")));
    let ids: Vec<_> = blocks.as_array().unwrap()[1..].iter().map(|block| block["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &blocks[1]["name"]), (vec!["t", "call_1", "call_2"], &"look_at".into()));

    let thought = r#"{"type":"reasoning","summary":[],"encrypted_content":"e"}"#;
    let call = |id: &str, arguments: &str| {
        format!(r#"{{"type":"function_call","call_id":"{id}","name":"look at","arguments":"{arguments}"}}"#)
    };
    let items = back("responses", &format!("{thought},{},{},{}", call("t", "{}"), call("t", "{}"), call("", "{cut")));
    let items = &items.as_array().unwrap()[2..];
    let ids: Vec<_> = items.iter().map(|item| item["call_id"].as_str().unwrap()).collect();
    assert_eq!((ids, &items[0]["name"]), (vec!["t", "call_1", "call_2"], &"look_at".into()));
    assert_eq!((&items[0]["arguments"], &items[2]["arguments"]), (&"{}".into(), &r#"{"malformed":"{cut"}"#.into()));
}

#[test]
fn the_event_that_ends_a_stream_ends_the_reading() {
    for file in ["anthropic_text.sse", "responses_text.sse"] {
        let ended = decoder_of(file.split('_').next().unwrap()).push(&golden(file), &mut |_| ());
        assert_eq!(ended, Ok(true), "{file}");
    }
}

#[test]
fn every_recording_is_named_and_read() {
    let list = String::from_utf8(golden("README.md")).unwrap();
    let readers = [include_str!("tests.rs"), include_str!("../http/tests.rs")];
    let named = |file: &str| list.contains(&format!("| `{file}` |"));
    let mut files = 0;
    for entry in std::fs::read_dir(format!("{}/tests/golden", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file.ends_with(".sse") || file.ends_with(".json") {
            files += 1;
            assert!(named(&file), "README.md does not say where {file} is from");
            assert!(readers.iter().any(|text| text.contains(&format!("\"{file}\""))), "no test reads {file}");
        }
    }
    assert_eq!(list.matches("\n| `").count(), files, "README.md names a file that is not there");
}
