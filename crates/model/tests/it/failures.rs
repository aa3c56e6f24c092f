//! Calls that fail. Each is one attempt: the server sees exactly one request.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use event::FailureKind;
use model::{Failure, Settings};
use testkit::{Answer, ModelServer, Turn};

use crate::support::{call, call_at, conversation, permit, run, settings};

#[track_caller]
fn check(answer: Answer, kind: FailureKind, words: &str) -> Failure {
    let (reply, _, server) = call(answer);
    let failure = reply.unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.reason.contains(words), "{failure}");
    assert_eq!(server.seen().len(), 1, "one attempt is one request");
    assert_eq!(server.violations(), [""; 0]);
    failure
}

fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::Status(status, headers, body.to_owned())
}

#[test]
fn a_busy_server_says_how_long_to_wait() {
    let failure = check(status(429, &[("retry-after", "7")], "{}"), FailureKind::Transient, "429");
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    assert!(!failure.silent && !failure.charged);
}

#[test]
fn a_broken_server_is_worth_another_try() {
    for code in [500, 502, 503, 504, 529] {
        check(status(code, &[], ""), FailureKind::Transient, &code.to_string());
    }
}

#[test]
fn a_full_window_is_no_broken_server() {
    let body = r#"{"error":{"code":"context_length_exceeded","message":"too long"}}"#;
    check(status(400, &[], body), FailureKind::WindowExceeded, "window");
}

#[test]
fn a_refusal_says_what_to_do_and_never_repeats_the_key() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-not-a-real-key."}}"#;
    let failure = check(status(401, &[], body), FailureKind::Rejected, "Check OPENAI_API_KEY");
    assert!(!failure.charged, "what was refused costs nothing");
    assert!(failure.reason.contains("[key]") && !failure.reason.contains("sk-not"), "{failure}");
    check(status(404, &[], ""), FailureKind::Rejected, "thenar models");
}

#[test]
fn an_error_in_the_stream_is_no_reply() {
    assert!(check(Answer::ErrorInStream("overloaded".into()), FailureKind::Transient, "overloaded").charged);
}

#[test]
fn a_connection_that_breaks_is_worth_another_try() {
    let had_it = check(Answer::Reset, FailureKind::Transient, "cannot reach the model").charged;
    assert!(had_it, "a server that had the request may charge for it");
    let turn = Turn::exec("echo half");
    for pieces in 0..4 {
        assert!(check(Answer::Half(turn.clone(), pieces), FailureKind::Transient, "cut off").charged);
    }
}

#[test]
fn a_server_that_sends_nothing_is_given_up() {
    let server = ModelServer::start(|_, _| Answer::Silence).unwrap();
    let settings = Settings { idle: Duration::from_millis(200), ..settings(&server.base_url()) };
    let failure = call_at(settings).0.unwrap_err();
    assert!(failure.silent && failure.kind == FailureKind::Transient, "{failure}");
}

#[test]
fn a_stream_that_falls_silent_is_given_up() {
    let gate = testkit::Gate::default();
    gate.let_through(2);
    let turn = Turn::say("one two three");
    let server = ModelServer::start(move |_, _| Answer::Gated(turn.clone(), gate.clone())).unwrap();
    // Longer than a busy machine keeps what comes waiting.
    let settings = Settings { idle: Duration::from_secs(3), ..settings(&server.base_url()) };
    let (reply, deltas) = call_at(settings);
    assert!(reply.unwrap_err().silent);
    assert_eq!(deltas, [model::Delta::Text("one ".into())], "what came is shown all the same");
}

#[test]
fn nobody_there_and_no_address_at_all() {
    let failure = call_at(settings("http://127.0.0.1:1/v1")).0.unwrap_err();
    assert!(failure.kind == FailureKind::Transient && !failure.charged, "{failure}");
    let failure = call_at(settings("localhost/v1")).0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected, "{failure}");
}

#[test]
fn a_key_is_not_carried_to_another_address() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/v1/chat/completions", elsewhere.local_addr().unwrap());
    check(status(307, &[("location", &target)], ""), FailureKind::Rejected, "another address");
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "nobody came there");
}

#[test]
fn another_body_than_the_permitted_one_is_not_sent() {
    let server = ModelServer::start(|_, _| Answer::Stream(Turn::say("never"))).unwrap();
    let client = model::Client::new(settings(&server.base_url())).unwrap();
    let permitted = permit(&conversation());
    let mut other = conversation();
    other.push(&event::Item::User { text: "and this".into(), label: event::Label::person() });
    let failure = run(client.call(permitted, other.body(), |_| ())).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(server.seen().is_empty());
}

/// A server that sends these bytes and closes, whatever it is asked.
fn raw(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64 * 1024]);
        let _ = stream.write_all(answer);
    });
    url
}

#[test]
fn a_reply_that_is_whole_outlives_its_connection() {
    // All that was missing is what the server calls the end, or half of its account.
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usa",
    ] {
        assert_eq!(call_at(settings(&raw(answer))).0.unwrap().message.text, "42");
    }
}

#[test]
fn a_server_that_only_shows_signs_of_life_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64 * 1024]);
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        // Until the other side is gone.
        while sent.is_ok() {
            sent = stream.write_all(b": still here\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\n");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    let failure = call_at(Settings { idle: Duration::from_millis(250), ..settings(&url) }).0.unwrap_err();
    assert!(failure.silent && failure.charged && failure.kind == FailureKind::Transient, "{failure}");
}

#[test]
fn bytes_that_are_no_http_are_no_reply() {
    for answer in [&b"SSH-2.0-server\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"choices\":[", b""] {
        assert_eq!(call_at(settings(&raw(answer))).0.unwrap_err().kind, FailureKind::Transient);
    }
}
