//! Telemetry as a collector gets it: the real program, a scripted model over HTTP, a collector on the loopback. How a
//! collector stores it is its own business.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{Answer, ModelServer, Turn, turn_due};

use crate::desk::Desk;

/// In the sentence, the arguments, the output and the last word of the task; nowhere else.
const MARKER: &str = "xylophone-4711";

/// What a collector got, with the headers it came with.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<Vec<Vec<u8>>>>);

impl Got {
    fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for body in self.0.lock().unwrap().iter() {
            let request: Value = serde_json::from_slice(body).unwrap();
            let scope = &request["resourceSpans"][0];
            assert_eq!(
                scope["resource"]["attributes"][0],
                json!({ "key": "service.name", "value": { "stringValue": "mine" } })
            );
            spans.extend(scope["scopeSpans"][0]["spans"].as_array().unwrap().clone());
        }
        spans
    }
}

/// A collector on a free port of the loopback; its address.
fn collector() -> (Got, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let got = Got::default();
    let taking = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut out = stream.try_clone().unwrap();
            let mut reader = BufReader::new(stream);
            while let Some(body) = next_request(&mut reader) {
                taking.0.lock().unwrap().push(body);
                if out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_err() {
                    break;
                }
            }
        }
    });
    (got, format!("http://{address}"))
}

/// The body of the next request for traces.
fn next_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A model that fails once, runs a command, and says something; all with the marker.
fn model() -> ModelServer {
    let counted =
        Turn { usage: Some((1_000, 0, 7)), ..Turn::exec(&format!("echo {MARKER}; touch /workspace/{MARKER}")) };
    let turns = vec![counted, Turn::say(&format!("It is {MARKER}."))];
    ModelServer::start(move |before, request| match before {
        0 => {
            Answer::Status(503, vec![("retry-after".to_owned(), "0".to_owned())], format!("{{\"error\":\"{MARKER}\"}}"))
        }
        _ => Answer::Stream(turn_due(&turns, request)),
    })
    .unwrap()
}

fn desk(model: &ModelServer, collector: &str) -> Desk {
    Desk::new()
        .with("OPENAI_BASE_URL", &model.base_url())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .with("OTEL_SERVICE_NAME", "mine")
}

fn run(desk: &Desk) -> String {
    let brief = format!("Say {MARKER}");
    let ran = desk.run(&["run", "--model", "openai:scripted", "--id", "t-seen", &brief]).code(0);
    assert!(ran.out.contains(MARKER));
    ran.errors.clone()
}

fn of<'a>(span: &'a Value, name: &str) -> Option<&'a Value> {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == name).map(|attribute| &attribute["value"])
}

#[test]
fn a_collector_sees_spans_of_the_task_its_model_calls_and_tools_without_content() {
    let (got, address) = collector();
    let model = model();
    run(&desk(&model, &address));
    let spans = got.spans();
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let task = named("invoke_agent thenar");
    assert_eq!((task.len(), &task[0]["parentSpanId"]), (1, &json!("")), "{spans:#?}");
    let chats = named("chat scripted");
    let tools = named("execute_tool shell_exec");
    assert_eq!((chats.len(), tools.len()), (3, 1), "{spans:#?}");
    for span in chats.iter().chain(&tools) {
        assert_eq!((&span["parentSpanId"], &span["traceId"]), (&task[0]["spanId"], &task[0]["traceId"]));
        assert_eq!(of(span, "gen_ai.conversation.id"), Some(&json!({ "stringValue": "t-seen" })));
    }
    assert_eq!(of(chats[0], "error.type"), Some(&json!({ "stringValue": "transient" })));
    assert_eq!(chats[0]["status"], json!({ "code": 2 }));
    let expected = [
        ("gen_ai.operation.name", json!({ "stringValue": "chat" })),
        ("gen_ai.provider.name", json!({ "stringValue": "openai" })),
        ("gen_ai.request.model", json!({ "stringValue": "scripted" })),
        ("gen_ai.response.model", json!({ "stringValue": "scripted" })),
        ("gen_ai.usage.input_tokens", json!({ "intValue": "1000" })),
        ("gen_ai.usage.output_tokens", json!({ "intValue": "7" })),
        ("gen_ai.response.finish_reasons", json!({ "arrayValue": { "values": [{ "stringValue": "tool_call" }] } })),
        ("gen_ai.request.stream", json!({ "boolValue": true })),
        ("server.address", json!({ "stringValue": "127.0.0.1" })),
    ];
    for (name, value) in expected {
        assert_eq!(of(chats[1], name), Some(&value), "{name}");
    }
    for name in ["gen_ai.response.id", "gen_ai.response.time_to_first_chunk", "server.port"] {
        assert!(of(chats[1], name).is_some(), "{name}: {:#}", chats[1]);
    }
    assert!(of(chats[1], "gen_ai.response.time_to_first_chunk").unwrap()["doubleValue"].as_f64().unwrap() >= 0.0);
    let expected = [
        ("gen_ai.provider.name", json!({ "stringValue": "openai" })),
        ("gen_ai.request.model", json!({ "stringValue": "scripted" })),
        ("gen_ai.usage.input_tokens", json!({ "intValue": "1000" })),
        ("thenar.state", json!({ "stringValue": "done" })),
    ];
    for (name, value) in expected {
        assert_eq!(of(task[0], name), Some(&value), "{name}");
    }
    assert_eq!(of(tools[0], "gen_ai.tool.type"), Some(&json!({ "stringValue": "function" })));
    // Inside the tool and the computer: each span is the task's, below the call's.
    let [waiting] = named("process.wait")[..] else { panic!("{spans:#?}") };
    for (name, above) in [("computer.open", tools[0]), ("process.wait", tools[0]), ("computer.start", waiting)] {
        let [span] = named(name)[..] else { panic!("{name}: {spans:#?}") };
        assert_eq!((&span["parentSpanId"], &span["traceId"]), (&above["spanId"], &task[0]["traceId"]), "{name}");
        assert_eq!(of(span, "task.id"), Some(&json!({ "stringValue": "t-seen" })), "{name}");
        assert_eq!(of(span, "error.type"), None, "{name}");
    }
    assert_eq!(of(waiting, "thenar.ended"), Some(&json!({ "stringValue": "exit code 0" })));
    assert_eq!(of(tools[0], "gen_ai.tool.name"), Some(&json!({ "stringValue": "shell_exec" })));
    assert_eq!(of(tools[0], "gen_ai.tool.call.id"), Some(&json!({ "stringValue": "call_1_0" })));
    assert!(task[0]["events"].as_array().unwrap().iter().any(|event| event["name"] == "the model is called again"));
    assert!(!got.text().contains(MARKER), "content left: {}", got.text());
}

#[test]
fn content_leaves_only_where_the_person_says_so() {
    let (got, address) = collector();
    let model = model();
    run(&desk(&model, &address).with("THENAR_TELEMETRY_CONTENT", "yes"));
    let spans = got.spans();
    let tool = spans.iter().find(|span| span["name"] == "execute_tool shell_exec").unwrap();
    for name in ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"] {
        assert!(of(tool, name).unwrap().to_string().contains(MARKER), "{name}: {tool:#}");
    }
    let chat = spans.iter().rfind(|span| span["name"] == "chat scripted").unwrap();
    let told = |name: &str| -> Value {
        serde_json::from_str(of(chat, name).unwrap()["stringValue"].as_str().unwrap()).unwrap()
    };
    let input = told("gen_ai.input.messages");
    let roles: Vec<_> = input.as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    for (at, kind) in ["text", "tool_call", "tool_call_response"].iter().enumerate() {
        let part = &input[at]["parts"][0];
        assert!(part["type"] == *kind && part.to_string().contains(MARKER), "{part}");
    }
    let said = json!([{ "type": "text", "content": format!("It is {MARKER}.") }]);
    assert_eq!(told("gen_ai.output.messages")[0]["parts"], said);
    assert_eq!(told("gen_ai.system_instructions")[0]["type"], "text");
}

#[test]
fn a_collector_that_is_down_costs_a_task_nothing() {
    let model = model();
    run(&desk(&model, "http://127.0.0.1:1"));
    // One that takes the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    run(&desk(&model, &format!("http://{}", silent.local_addr().unwrap())));
}

#[test]
fn the_log_goes_to_standard_error_and_only_where_asked() {
    let plain = run(&Desk::new().with("OPENAI_BASE_URL", &model().base_url()));
    assert!(!plain.contains("the model is called again"), "{plain}");
    let text = run(&Desk::new().with("OPENAI_BASE_URL", &model().base_url()).with("THENAR_LOG", "info"));
    let line = text.lines().find(|line| line.contains("the model is called again")).unwrap();
    assert!(line.contains("task.id=t-seen"), "{line}");
    let desk = Desk::new().with("OPENAI_BASE_URL", &model().base_url());
    let json = run(&desk.with("THENAR_LOG", "agent=info").with("THENAR_LOG_FORMAT", "json"));
    let logged: Vec<Value> = json.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let again = logged.iter().find(|line| line["fields"]["message"] == "the model is called again").unwrap();
    assert_eq!(again["span"]["task.id"], "t-seen", "{again}");
    assert!(!logged.iter().any(|line| line.to_string().contains(MARKER)), "{json}");
}
