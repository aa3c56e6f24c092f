//! Streams and answers that no server was caught sending: written by hand, or recorded ones that were spoiled.

use super::*;

/// One piece of a stream with this in its choice's delta.
fn piece(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
}

const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

#[track_caller]
fn check(deltas: &[&str], expected: &[(&str, &str, &str)]) {
    let stream: String = deltas.iter().map(|delta| piece(delta)).chain([END.to_owned()]).collect();
    for size in [1, stream.len()] {
        let reply = read(stream.as_bytes(), size).0.unwrap();
        let calls: Vec<_> = reply
            .message
            .tool_calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, expected);
    }
}

#[test]
fn signs_of_life_are_no_progress() {
    let mut decoder = Decoder::default();
    let mut grows = |chunk: &str| {
        let before = decoder.progress();
        decoder.push(chunk.as_bytes(), &mut |_| ()).unwrap();
        decoder.progress() > before
    };
    assert!(!grows(": keep-alive\n\n") && !grows(&piece("{\"content\":\"\"}")));
    assert!(grows(&piece("{\"content\":\"a\"}")) && grows(&piece("{\"reasoning\":\"b\"}")) && !grows(": x\n"));
    // A call that is being written is no chunk yet.
    let mut decoder = decoder_of("responses");
    decoder
        .push(b"data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{\"}\n\n", &mut |_| ())
        .unwrap();
    assert_eq!(decoder.progress(), 1);
}

#[test]
fn signed_thoughts_of_gemini_are_kept_with_their_call() {
    let stream = piece(
        r#"{"tool_calls":[{"index":0,"id":"a","extra_content":{"google":{"thought_signature":"s"}},"function":{"name":"f","arguments":"{}"}}]}"#,
    ) + END;
    let message = read(stream.as_bytes(), 7).0.unwrap().message;
    assert_eq!(
        message.carried,
        [serde_json::json!({ "id": "a", "extra_content": { "google": { "thought_signature": "s" } } })]
    );
    let mut conversation = crate::Conversation::new("gemini:m", b"[]", None).unwrap();
    conversation.push(&event::Item::Assistant { message });
    let body = String::from_utf8(conversation.body().into_bytes()).unwrap();
    assert!(body.contains(r#"{"extra_content":{"google":{"thought_signature":"s"}},"function""#), "{body}");
}

#[test]
fn tool_calls_are_told_apart_whatever_the_server_leaves_out() {
    // No index: an id begins a call, pieces without one go on with the last.
    check(
        &[
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"function":{"arguments":":1}"}}]}"#,
            r#"{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &[("a", "f", "{\"x\":1}"), ("b", "f", "{}")],
    );
    // One index for all, told apart by id; then by nothing but a name after a whole object.
    check(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[("a", "f", "{}"), ("b", "g", "{}")],
    );
    check(
        &[
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":2}"}}]}"#,
        ],
        &[("call_0", "f", "{\"x\":1}"), ("call_1", "f", "{\"x\":2}")],
    );
    // The id and the name repeated in every piece; arguments as an object; the same id given twice.
    check(
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"a","function":{"name":"g","arguments":{"y":[2]}}}]}"#,
        ],
        &[("a", "f", "{\"x\":1}"), ("call_1", "g", "{\"y\":[2]}")],
    );
    // An id of the server's that looks like one of ours.
    check(
        &[
            r#"{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{}"}},{"index":1,"function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &[("call_1", "f", "{}"), ("call_2", "g", "{}")],
    );
    // The form before tools, alone and beside the other.
    check(
        &[
            r#"{"function_call":{"name":"f","arguments":"{}"},"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &[("a", "f", "{}")],
    );
    check(&[r#"{"function_call":{"name":"f","arguments":"{}"}}"#], &[("call_0", "f", "{}")]);
}

#[test]
fn oddities_of_form_do_not_matter() {
    let ends = "data: [DONE]\n\n";
    for (stream, expected) in [
        // A byte order mark, comments, names of events, carriage returns.
        (
            format!(
                "\u{feff}: hello\r\nevent: chunk\r\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"é\"}}}}]}}\r\n\r\n{ends}"
            ),
            "é",
        ),
        // White space to keep the connection alive, then one JSON text.
        ("\n\n  {\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"é\"}]}}]}".to_owned(), "é"),
        // An event over several lines.
        (format!("data: {{\"choices\":[\ndata: {{\"delta\":{{\"content\":\"é\"}}}}]}}\n\n{ends}"), "é"),
        // No [DONE], no last line end.
        ("data: {\"choices\":[{\"delta\":{\"content\":\"é\"},\"finish_reason\":\"stop\"}]}".to_owned(), "é"),
        (format!("{}{ends}", piece("{\"content\":null,\"refusal\":\"no\"}")), "no"),
    ] {
        for size in 1..5 {
            let reply = read(stream.as_bytes(), size).0.unwrap_or_else(|failure| panic!("{stream}: {failure}"));
            assert_eq!(reply.message.text, expected, "{stream}");
        }
    }
}

#[test]
fn what_is_no_reply_says_why() {
    let check = |body: &str| told(&read(body.as_bytes(), 3).0) + "\n";
    let bodies = [
        "",
        "data: [DONE]\n\n",
        "{\"id\": 1}",
        "{\"choices\":[{\"mess",
        "<!doctype html><title>Sign in</title>",
        "data: nonsense\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":\"insufficient_system_resource\"}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":\"abort\"}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"function_call_filter: MALFORMED_FUNCTION_CALL\"}]}\n\n",
        "data: {\"choices\":[{\"error\":{\"code\":502,\"message\":\"upstream\"}}]}\n\n",
        "data: {\"object\":\"error\",\"message\":\"out of memory\",\"code\":500}\n\n",
        "data: {\"error\":{\"message\":\"This model's maximum context length is 8 tokens.\"}}\n\n",
    ];
    insta::assert_snapshot!(bodies.map(check).concat(), @r#"
    Transient: the model's answer was empty
    Transient: the server answered, but without a reply in the form of chat completions
    Transient: the server answered, but without a reply in the form of chat completions
    Transient: the model's answer is not what chat completions send: EOF while parsing a string at line 1 column 18
    Rejected: the address answers with a web page, not with a model's reply. Is it the right one? It usually ends in /v1
    Transient: the model's answer is not what chat completions send: expected ident at line 1 column 2
    Transient: the model's answer was cut off before its end
    Transient: the model's server broke off without saying why
    Transient: the model's server broke off: insufficient_system_resource
    Transient: the model's server broke off: abort
    Transient: the model's server broke off: function_call_filter: MALFORMED_FUNCTION_CALL
    Transient: the model's server broke off: upstream
    Transient: the model's server broke off: out of memory
    WindowExceeded: the request does not fit the model's window: This model's maximum context length is 8 tokens.
    "#);
}

#[test]
fn an_answer_has_limits() {
    let mut calls = String::new();
    for index in 0..300 {
        calls.push_str(&piece(&format!("{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"name\":\"f\"}}}}]}}")));
    }
    let long = piece(&format!("{{\"content\":\"{}\"}}", "x".repeat(1024 * 1024))).repeat(17);
    for stream in [calls, long, format!("data: {}", "x".repeat(9 * 1024 * 1024))] {
        let failure = read(stream.as_bytes(), 64 * 1024).0.unwrap_err();
        assert!(failure.reason.contains("more than") || failure.reason.contains("over"), "{failure}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Bytes that were damaged on the way give a reply or a failure, the same however they arrive, and never a panic.
    #[test]
    fn damaged_streams_are_read_the_same_however_they_are_cut(
        file in 0..5_usize,
        damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 0..8),
        size in 1..200_usize,
    ) {
        let files = [
            "openai_tool_calls_in_pieces.sse",
            "groq_tool_call.sse",
            "llama_cpp_text_length.sse",
            "llama_cpp_tool_call_cut.sse",
            "gemini_tool_call_without_id.json",
        ];
        let mut bytes = golden(files[file]);
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let (in_pieces, _) = read(&bytes, size);
        let (whole, _) = read(&bytes, bytes.len());
        proptest::prop_assert_eq!(told(&in_pieces), told(&whole));
    }

    /// What stands for a value may be of any kind. It makes a reply or a failure and no panic, and each call of a reply goes back
    /// once, under the id that its result will name.
    #[test]
    fn values_of_any_kind_are_a_reply_or_a_failure(
        file in 0..FILES.len(),
        changes in proptest::collection::vec((proptest::num::usize::ANY, 0..ODD.len()), 0..6),
    ) {
        let (name, file) = FILES[file];
        let provider = name.split(':').next().unwrap();
        let text = String::from_utf8(golden(file)).unwrap();
        let mut events: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect();
        for (at, odd) in changes {
            let count = events.len();
            let (event, at) = (&mut events[at % count], at / count);
            let mut paths = Vec::new();
            paths_in(event, String::new(), &mut paths);
            *event.pointer_mut(&paths[at % paths.len()]).unwrap() = serde_json::from_str(ODD[odd]).unwrap();
        }
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        if let Ok(reply) = read_as(decoder_of(provider), stream.as_bytes(), 4096).0 {
            let body = sent_back(name, &reply.message).to_string();
            for call in &reply.message.tool_calls {
                let id = Value::from(call.id.as_str()).to_string();
                let said = ["id", "call_id"].map(|field| body.matches(&format!("\"{field}\":{id}")).count());
                proptest::prop_assert_eq!(said.iter().sum::<usize>(), 1, "{}: {}", id, body);
            }
        }
    }
}

/// Streams in which a value is put in another's place, and the model whose they are.
const FILES: [(&str, &str); 6] = [
    ("openai:m", "openai_tool_calls_in_pieces.sse"),
    ("openai:m", "groq_tool_call.sse"),
    ("anthropic:m", "anthropic_parallel_tool_calls.sse"),
    ("anthropic:m", "anthropic_thinking.sse"),
    ("anthropic:m", "anthropic_redacted_thinking.sse"),
    ("responses:m", "responses_tool_calls.sse"),
];

/// Values that nobody expects in any place.
const ODD: [&str; 9] = ["null", "[]", "{}", "\"\"", "\"x\"", "true", "-1", "18446744073709551615", "[{}]"];

fn paths_in(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| paths_in(field, format!("{path}/{name}"), paths))
        }
        Value::Array(parts) => {
            parts.iter().enumerate().for_each(|(at, part)| paths_in(part, format!("{path}/{at}"), paths))
        }
        _ => {}
    }
    paths.push(path);
}
