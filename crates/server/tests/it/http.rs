//! The HTTP door: who gets in, what tasks and events look like from outside, and a thousand listeners at once.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::door::{ask, door, ended, get, post, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_made_run_shown_and_removed() {
    let door = door();
    let id = ended(&door).await;
    let shown = get(&door, &format!("/v1/tasks/{id}")).await.json();
    assert_eq!((shown["state"].as_str(), shown["task"].as_str()), (Some("done"), Some("say done")));
    let events = get(&door, &format!("/v1/tasks/{id}/events")).await.json();
    assert_eq!(events["events"][0]["event"]["event"], "task_created");
    assert_eq!(events["events"].as_array().unwrap().last().unwrap()["event"]["event"], "task_ended");
    // The runner lets go of a task a moment after its last event.
    tokio::task::block_in_place(|| crate::rig::until("nobody has it", || door.rig.runner.place(&id).is_none()));
    assert_eq!(ask(&door, request(&door, "DELETE", &format!("/v1/tasks/{id}"), &[], None)).await.status, 204);
    let told = get(&door, &format!("/v1/tasks/{id}")).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (404, Some("/v1/problems#no-such-task")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_task() {
    let door = door();
    let body = json!({"task": "say done"});
    let once = || ask(&door, request(&door, "POST", "/v1/tasks", &[("idempotency-key", "a key")], Some(&body)));
    let (first, second) = (once().await, once().await);
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(get(&door, "/v1/tasks").await.json()["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_task_once() {
    let door = door();
    let mut made_ids = Vec::new();
    for _ in 0..5 {
        made_ids.push(ended(&door).await.to_string());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&door, &format!("/v1/tasks?limit=2&state=done{cursor}")).await.json();
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    made_ids.reverse();
    assert_eq!(seen, made_ids);
    assert!(get(&door, "/v1/tasks?state=failed").await.json()["tasks"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_pointed_at_us_is_refused() {
    let door = door();
    for (host, status) in [
        ("127.0.0.1:7171", 200),
        ("localhost:7171", 200),
        ("[::1]:7171", 200),
        ("thenar.test", 200),
        ("evil.example:7171", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
        ("", 421),
    ] {
        let told = ask(&door, request(&door, "GET", "/v1/tasks", &[("host", host)], None)).await;
        assert_eq!(told.status, status, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_makes_a_browser_ask_is_refused() {
    let door = door();
    let cookie = format!("thenar_token={}", door.token);
    let body = json!({"task": "say done"});
    let by_cookie = [("authorization", ""), ("cookie", cookie.as_str())];
    for (more, status) in [
        (vec![("origin", "http://127.0.0.1:7171")], 201),
        (vec![], 403),
        (vec![("origin", "http://127.0.0.1:3000")], 403),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("origin", "http://127.0.0.1:7171"), ("sec-fetch-site", "cross-site")], 403),
        (vec![("origin", "http://127.0.0.1:7171"), ("sec-fetch-site", "same-site")], 403),
        (vec![("origin", "http://127.0.0.1:7171"), ("content-type", "text/plain")], 415),
    ] {
        let headers = [&by_cookie[..], &more].concat();
        let told = ask(&door, request(&door, "POST", "/v1/tasks", &headers, Some(&body))).await;
        assert_eq!(told.status, status, "{more:?}: {}", told.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_opens() {
    let door = door();
    let wrong = format!("Bearer {}", "0".repeat(64));
    for authorization in ["", "Bearer", "Bearer x", wrong.as_str(), "Basic dTpw"] {
        let told = ask(&door, request(&door, "GET", "/v1/tasks", &[("authorization", authorization)], None)).await;
        assert_eq!(told.status, 401);
        assert_eq!(told.headers[header::CONTENT_TYPE], "application/problem+json");
        assert!(told.json()["hint"].as_str().unwrap().contains("access-token"));
    }
    // A proxy before the server may ask for a word of its own, which is none of ours.
    let cookie = format!("thenar_token={}", door.token);
    for (authorization, status) in [("Basic dTpw", 200), (wrong.as_str(), 401)] {
        let both = [("authorization", authorization), ("cookie", cookie.as_str())];
        assert_eq!(ask(&door, request(&door, "GET", "/v1/tasks", &both, None)).await.status, status);
    }
    assert_eq!(ask(&door, request(&door, "GET", "/healthz", &[("authorization", "")], None)).await.status, 200);
    assert_eq!(ask(&door, request(&door, "GET", "/readyz", &[("authorization", "")], None)).await.status, 200);
    let path = format!("/?token={}", door.token);
    let told = ask(&door, request(&door, "GET", &path, &[("authorization", "")], None)).await;
    assert_eq!((told.status, told.headers[header::LOCATION].to_str().unwrap()), (303, "/"));
    let cookie = told.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_as_a_problem() {
    let door = door();
    for (method, path, headers, body, status, kind) in [
        ("POST", "/v1/tasks", vec![], r#"{"task": "  "}"#, 422, "invalid"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "x", "max_time": "soon"}"#, 422, "invalid"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "x", "more": 1}"#, 422, "invalid"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "x", "max_steps": 0}"#, 422, "invalid"),
        ("POST", "/v1/tasks", vec![("idempotency-key", "")], "[]", 422, "invalid"),
        ("POST", "/v1/tasks", vec![("idempotency-key", "\u{e9}")], r#"{"task": "x"}"#, 422, "invalid"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "#, 400, "malformed"),
        // A list is no object, though each field may be left out.
        ("POST", "/v1/tasks/none/handback", vec![], "[]", 422, "invalid"),
        ("POST", "/v1/tasks/none/handback", vec![], "{}", 404, "no-such-task"),
        // Who asks is known before it is looked at what they ask for.
        ("POST", "/v1/tasks/none/browser/go", vec![("thenar-hand", "a b")], r#"{"to": "back"}"#, 422, "invalid"),
        ("POST", "/v1/tasks/none/browser/go", vec![("thenar-hand", "a")], r#"{"to": "back"}"#, 404, "no-such-task"),
        ("POST", "/v1/tasks", vec![("content-type", "")], r#"{"task": "x"}"#, 415, "unsupported-media-type"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "x", "model": "openai:other"}"#, 409, "model-unavailable"),
        ("POST", "/v1/tasks", vec![], r#"{"task": "x", "max_cost_usd": 1}"#, 409, "price-unknown"),
        ("GET", "/v1/tasks?limit=0", vec![], "", 422, "invalid"),
        ("GET", "/v1/tasks?state=gone", vec![], "", 422, "invalid"),
        ("GET", "/v1/tasks?cursor=1", vec![], "", 422, "invalid"),
        ("GET", "/v1/tasks/none", vec![], "", 404, "no-such-task"),
        ("GET", "/v1/tasks/NONE", vec![], "", 404, "no-such-task"),
        ("GET", "/v1/tasks/%ff", vec![], "", 400, "malformed"),
        ("GET", "/v1/tasks/none/events?after=-1", vec![], "", 422, "invalid"),
        ("GET", "/v1/tasks/none/events", vec![("last-event-id", "x")], "", 422, "invalid"),
        ("GET", "/v1/tasks/none/events", vec![("last-event-id", " ")], "", 422, "invalid"),
        ("GET", "/v1/tasks/none/events?after=9007199254740992", vec![("last-event-id", "0")], "", 422, "invalid"),
        ("GET", "/v1/tasks/none/events?limit=0", vec![("accept", "text/event-stream")], "", 422, "invalid"),
        ("GET", "/v1/nowhere", vec![], "", 404, "no-such-route"),
        ("PUT", "/v1/tasks", vec![], "", 405, "method-not-allowed"),
    ] {
        let mut asked = request(&door, method, path, &headers, None);
        if method == "POST" {
            asked.headers_mut().entry(header::CONTENT_TYPE).or_insert("application/json".parse().unwrap());
            if headers.iter().any(|(name, value)| *name == "content-type" && value.is_empty()) {
                asked.headers_mut().remove(header::CONTENT_TYPE);
            }
            *asked.body_mut() = body.to_owned().into();
        }
        let answer = ask(&door, asked).await;
        let told = answer.json();
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{method} {path}");
        assert_eq!((answer.status, told["status"].as_u64()), (status, Some(status.into())), "{method} {path} {told}");
        assert_eq!(told["type"], format!("/v1/problems#{kind}"), "{method} {path}");
        assert_eq!(told["instance"], path.split('?').next().unwrap());
        assert!(["title", "detail", "hint"].iter().all(|name| !told[name].as_str().unwrap().is_empty()), "{told}");
    }
    let long = "x".repeat(3 * 1024 * 1024);
    assert_eq!(post(&door, "/v1/tasks", json!({"task": long})).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let told = ask(&door, request(&door, "PUT", "/v1/tasks/none", &[], None)).await;
    assert_eq!(told.headers[header::ALLOW], "GET,HEAD,DELETE");
    // Each kind is explained where its `type` leads.
    let kinds = get(&door, "/v1/problems").await.json();
    assert!(kinds["problems"].as_array().unwrap().iter().any(|kind| kind["type"] == "/v1/problems#in-hand"));
}

/// The numbers of the events in a stream's text, and whether each came once and in order.
fn numbers(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_it_broke_off() {
    let door = door();
    let id = ended(&door).await;
    let path = format!("/v1/tasks/{id}/events?follow=false");
    let sse = ("accept", "text/event-stream");
    let whole = ask(&door, request(&door, "GET", &path, &[sse], None)).await;
    assert_eq!(whole.headers[header::CONTENT_TYPE], "text/event-stream");
    let all = numbers(&String::from_utf8_lossy(&whole.body));
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    let rest = ask(&door, request(&door, "GET", &path, &[sse, ("last-event-id", "2")], None)).await;
    assert_eq!(numbers(&String::from_utf8_lossy(&rest.body)), all[2..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_listeners_get_every_event_once() {
    const LISTENERS: usize = 1_000;
    const MESSAGES: usize = 20;
    // Both ends of each connection are ours.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).unwrap();
    let door = door();
    let id = ended(&door).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, door.router.clone()).into_future());
    let ask_for = format!(
        "GET /v1/tasks/{id}/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\n\r\n",
        door.token
    );
    // One that never reads, beside them: nobody waits for it.
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    silent.write_all(ask_for.as_bytes()).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..LISTENERS {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(ask_for.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let before = door.rig.instance.head(&id).unwrap();
    let last = before + MESSAGES as u64;
    let until = format!("id: {last}\n");
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            let until = until.clone();
            tokio::spawn(async move {
                let (mut text, mut piece) = (String::new(), vec![0; 16 * 1024]);
                while !text.contains(&until) {
                    let read = stream.read(&mut piece).await.unwrap();
                    assert!(read > 0, "the stream ended early: {text}");
                    text.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                numbers(&text)
            })
        })
        .collect();
    let (instance, name) = (Arc::clone(&door.rig.instance), id.clone());
    let speak = move || {
        for number in 0..MESSAGES {
            instance.command(&name, agent::Command::Message { text: format!("word {number}") }).unwrap();
        }
    };
    tokio::task::spawn_blocking(speak).await.unwrap();
    let expected: Vec<u64> = (1..=last).collect();
    for reader in readers {
        let got = tokio::time::timeout(std::time::Duration::from_secs(60), reader).await.unwrap().unwrap();
        assert_eq!(got, expected);
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_told_and_resumed() {
    let door = door();
    let id = ended(&door).await;
    let path = |what: &str| format!("/v1/tasks/{id}/{what}");
    assert_eq!(get(&door, &path("confirm")).await.status, 404);
    let word = json!({"effect": 1, "digest": event::Digest::of(b"x"), "allowed": true});
    assert_eq!(post(&door, &path("confirm"), word).await.status, 409);
    assert_eq!(post(&door, &path("messages"), json!({"text": "and again"})).await.status, 202);
    assert_eq!(post(&door, &path("messages"), json!({"text": " "})).await.status, 422);
    assert_eq!(get(&door, &format!("/v1/tasks/{id}")).await.json()["unread"], true);
    let told = post(&door, &path("resume"), json!({"max_steps": 7})).await;
    assert_eq!((told.status, told.json()["max_steps"].as_u64()), (202, Some(7)), "{}", told.json());
    tokio::task::block_in_place(|| {
        crate::rig::until("the model heard it", || door.rig.server.seen().len() == 2);
        door.rig.until(&id, "done");
    });
    assert_eq!(post(&door, &path("stop"), json!({})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_reads_how_much_there_is_to_do() {
    let door = door();
    let _ = ended(&door).await;
    let text = String::from_utf8(get(&door, "/metrics").await.body).unwrap();
    for line in ["thenar_tasks{state=\"done\"} 1", "thenar_listeners 0", "thenar_requests_total{status=\"201\"} 1"] {
        assert!(text.lines().any(|told| told == line), "no {line} in\n{text}");
    }
    assert_eq!(get(&door, "/v1/budgets").await.json()["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(get(&door, "/v1/models").await.json()["models"][0]["name"], "openai:scripted");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_parts_and_never_through_a_link() {
    let door = door();
    let id = ended(&door).await;
    let workspace = door.rig.instance.summary(&id).unwrap().workspace;
    std::fs::create_dir(workspace.join("sub")).unwrap();
    std::fs::write(workspace.join("sub/a b.html"), "0123456789").unwrap();
    std::os::unix::fs::symlink("/etc", workspace.join("etc")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", workspace.join("passwd")).unwrap();
    let files = get(&door, &format!("/v1/tasks/{id}/files")).await.json();
    assert_eq!(
        (files["files"][0]["path"].as_str(), files["files"].as_array().unwrap().len()),
        (Some("sub/a b.html"), 1)
    );
    let path = format!("/v1/tasks/{id}/files/sub/a%20b.html");
    let whole = get(&door, &path).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!(whole.headers[header::CONTENT_DISPOSITION], "attachment; filename*=UTF-8''a%20b.html");
    assert_eq!(whole.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let tag = whole.headers[header::ETAG].to_str().unwrap();
    for (headers, status, body) in [
        (vec![("range", "bytes=2-4")], 206, "234"),
        (vec![("range", "bytes=-2"), ("if-range", tag)], 206, "89"),
        (vec![("range", "bytes=2-4"), ("if-range", "\"old\"")], 200, "0123456789"),
    ] {
        let told = ask(&door, request(&door, "GET", &path, &headers, None)).await;
        assert_eq!((told.status, String::from_utf8_lossy(&told.body).as_ref()), (status, body), "{headers:?}");
    }
    let told = ask(&door, request(&door, "GET", &path, &[("range", "bytes=10-")], None)).await;
    assert_eq!((told.status, told.headers[header::CONTENT_RANGE].to_str().unwrap()), (416, "bytes */10"));
    for wrong in
        ["passwd", "etc/passwd", "%2e%2e/journal.db", "sub/%2e%2e/%2e%2e/lock", "%2Fetc%2Fpasswd", "sub", "none"]
    {
        assert_eq!(get(&door, &format!("/v1/tasks/{id}/files/{wrong}")).await.status, 404, "{wrong}");
    }
    assert_eq!(get(&door, &format!("/v1/tasks/{id}/deliverables/none")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_holds_nobody_up_and_a_file_without_end_comes_in_parts() {
    let door = door();
    let id = ended(&door).await;
    let workspace = door.rig.instance.summary(&id).unwrap().workspace;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, workspace.join("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(workspace.join("socket")).unwrap();
    // A terabyte, of which the disk holds nothing.
    std::fs::File::create(workspace.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    for name in ["pipe", "socket"] {
        assert_eq!(get(&door, &format!("/v1/tasks/{id}/files/{name}")).await.status, 404, "{name}");
    }
    let files = get(&door, &format!("/v1/tasks/{id}/files")).await.json();
    assert_eq!(files["files"].as_array().unwrap().len(), 1, "{files}");
    assert_eq!((&files["files"][0]["path"], &files["files"][0]["bytes"]), (&json!("sparse"), &json!(1_u64 << 40)));
    let path = format!("/v1/tasks/{id}/files/sparse");
    let end = ask(&door, request(&door, "GET", &path, &[("range", "bytes=-3")], None)).await;
    assert_eq!((end.status, end.body.as_slice()), (206, &[0, 0, 0][..]));
}
