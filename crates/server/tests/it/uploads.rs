//! Tasks that bring files: what comes through, what is refused, and what an upload that breaks off leaves.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use server::HttpLimits;

use crate::door::{Door, Told, ask, door, door_with, get, request};

const BOUNDARY: &str = "a-line-that-is-in-no-file";

/// A part of a form: its name, a file's name, its content.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

fn sending(door: &Door, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [&[("content-type", kind.as_str())], headers].concat();
    let mut asked = request(door, "POST", "/v1/tasks", &headers, None);
    *asked.body_mut() = body;
    asked
}

async fn send(door: &Door, headers: &[(&str, &str)], parts: &[Part<'_>]) -> Told {
    ask(door, sending(door, headers, form(parts).into())).await
}

fn incoming(door: &Door) -> PathBuf {
    door.rig.folder.path().join("home/server/incoming")
}

/// No file waits for a task, and there are so many tasks.
#[track_caller]
fn nothing_is_left(door: &Door, tasks: usize) {
    let waits = || fs::read_dir(incoming(door)).map_or(0, Iterator::count);
    crate::rig::until("the files are gone", || waits() == 0);
    assert_eq!(door.rig.instance.ids().unwrap().len(), tasks);
    let folders = fs::read_dir(door.rig.folder.path().join("home/tasks")).map_or(0, Iterator::count);
    assert_eq!(folders, tasks, "something half made is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_a_task_as_inputs_do() {
    let door = door();
    let big = vec![7; 3 * 1024 * 1024];
    let told = send(
        &door,
        &[],
        &[
            ("file", Some("a b.csv"), b"1,2\r\n3,4"),
            ("task", None, b"say done"),
            ("file", Some("\u{62a5}\u{544a}.bin"), &big),
            ("max_steps", None, b"7"),
            ("max_time", None, b"2h"),
            ("yes", None, b"true"),
            ("file", Some("empty"), b""),
        ],
    )
    .await;
    let task = told.json();
    assert_eq!(told.status, 201, "{task}");
    assert_eq!(task["inputs"], serde_json::json!(["a b.csv", "\u{62a5}\u{544a}.bin", "empty"]));
    assert_eq!((task["max_steps"].as_u64(), task["max_time_ms"].as_u64()), (Some(7), Some(7_200_000)));
    assert_eq!((task["yes"].as_bool(), task["task"].as_str()), (Some(true), Some("say done")));
    let id = event::TaskId::new(task["id"].as_str().unwrap()).unwrap();
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    let file = |name: &str| format!("/v1/tasks/{id}/files/{name}");
    assert_eq!(get(&door, &file("a%20b.csv")).await.body, b"1,2\r\n3,4");
    assert_eq!(get(&door, &file("%E6%8A%A5%E5%91%8A.bin")).await.body, big);
    // The model is told of them as it is of files that the command line gave.
    let body = String::from_utf8(door.rig.server.seen()[0].body.clone()).unwrap();
    assert!(body.contains("a b.csv"), "{body}");
    nothing_is_left(&door, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_as_a_form_makes_no_task() {
    let door = door_with(HttpLimits { upload_bytes_max: 1_000, ..HttpLimits::default() });
    let task: Part<'_> = ("task", None, b"say done");
    let long = vec![b'x'; 3 * 1024 * 1024];
    for (parts, status, kind) in [
        (vec![("file", Some("a"), &b"x"[..])], 422, "invalid"),
        (vec![task, task], 422, "invalid"),
        (vec![task, ("more", None, b"x")], 422, "invalid"),
        (vec![("task", None, b" \n")], 422, "invalid"),
        (vec![("task", None, b"\xff")], 422, "invalid"),
        (vec![("task", None, &long)], 413, "too-large"),
        (vec![task, ("max_steps", None, b"+7")], 422, "invalid"),
        (vec![task, ("max_cost_usd", None, b"NaN")], 422, "invalid"),
        (vec![task, ("yes", None, b"perhaps")], 422, "invalid"),
        (vec![task, ("model", None, b"openai:other")], 409, "model-unavailable"),
        (vec![task, ("file", None, b"x")], 422, "invalid"),
        (vec![task, ("file", Some(""), b"x")], 422, "invalid"),
        (vec![task, ("file", Some("../../escaped"), b"x")], 422, "invalid"),
        (vec![task, ("file", Some("/etc/escaped"), b"x")], 422, "invalid"),
        (vec![task, ("file", Some("c:\\\\escaped"), b"x")], 422, "invalid"),
        (vec![task, ("file", Some(".."), b"x")], 422, "invalid"),
        (vec![task, ("file", Some("a"), b"x"), ("file", Some("a"), b"y")], 409, "same-name"),
        (vec![task, ("file", Some("a"), &[0; 600]), ("file", Some("b"), &[0; 600])], 413, "too-large"),
    ] {
        let told = send(&door, &[], &parts).await;
        let json = told.json();
        assert_eq!(
            (told.status, json["type"].as_str()),
            (status, Some(format!("/v1/problems#{kind}").as_str())),
            "{json}"
        );
        nothing_is_left(&door, 0);
    }
    let many: Vec<String> = (0..=1_000).map(|number| number.to_string()).collect();
    let parts: Vec<Part<'_>> = many.iter().map(|name| ("file", Some(name.as_str()), &b""[..])).collect();
    assert_eq!(send(&door, &[], &parts).await.status, 413);
    let broken = [&b"no form at all"[..], b"", &form(&[task])[..20]];
    for body in broken {
        let told = ask(&door, sending(&door, &[], body.to_vec().into())).await;
        assert_eq!((told.status, told.json()["type"].as_str()), (400, Some("/v1/problems#malformed")));
    }
    let without = ask(&door, sending(&door, &[("content-type", "multipart/form-data")], form(&[task]).into())).await;
    assert_eq!(without.status, 400, "{}", without.json());
    nothing_is_left(&door, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_task_of_many_uploads() {
    let door = Arc::new(door());
    let parts: [Part<'_>; 2] = [("task", None, b"say done"), ("file", Some("a.csv"), b"1,2")];
    let mut once = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (door, body) = (Arc::clone(&door), form(&parts));
        once.spawn(async move { ask(&door, sending(&door, &[("idempotency-key", "one")], body.into())).await });
    }
    let told = once.join_all().await;
    assert_eq!(told.iter().filter(|told| told.status == 201).count(), 1);
    let ids: std::collections::BTreeSet<String> = told
        .iter()
        .map(|told| told.json()["id"].as_str().unwrap_or_else(|| panic!("{}", told.json())).to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let other = send(&door, &[("idempotency-key", "one")], &[parts[0], ("file", Some("b.csv"), b"1,2")]).await;
    assert_eq!((other.status, other.json()["type"].as_str()), (409, Some("/v1/problems#key-reused")));
    nothing_is_left(&door, 1);
}

/// A body that says so much and then breaks off, or falls silent.
fn cut(all: &[u8], bytes: usize, silent: bool) -> Body {
    let said = futures_util::stream::iter([Ok(axum::body::Bytes::copy_from_slice(&all[..bytes]))]);
    if silent {
        return Body::from_stream(said.chain(futures_util::stream::pending()));
    }
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(said.chain(futures_util::stream::iter([Err(broken)])))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_anywhere_leaves_nothing() {
    let door = door();
    let all = form(&[("task", None, b"say done"), ("file", Some("a.csv"), &[b'x'; 2_000]), ("file", Some("b"), b"y")]);
    for bytes in (0..all.len()).step_by(97).chain([all.len() - 5]) {
        let told = ask(&door, sending(&door, &[("idempotency-key", "one")], cut(&all, bytes, false))).await;
        assert_eq!(told.status, 400, "after {bytes} bytes: {}", told.json());
    }
    nothing_is_left(&door, 0);
    // Whoever went away without a word as well.
    let gone = ask(&door, sending(&door, &[], cut(&all, all.len() / 2, true)));
    assert!(tokio::time::timeout(Duration::from_millis(1), gone).await.is_err());
    nothing_is_left(&door, 0);
    let told = ask(&door, sending(&door, &[("idempotency-key", "one")], all.into())).await;
    assert_eq!(told.status, 201, "{}", told.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_uploads_at_once() {
    let door = Arc::new(door_with(HttpLimits { uploads_max: 1, ..HttpLimits::default() }));
    let all = form(&[("task", None, b"say done"), ("file", Some("a"), b"x")]);
    let (holding, silent) = (Arc::clone(&door), cut(&all, 200, true));
    let first = tokio::spawn(async move { ask(&holding, sending(&holding, &[], silent)).await.status });
    let begun = || fs::read_dir(incoming(&door)).is_ok_and(|mut folders| folders.next().is_some());
    tokio::task::block_in_place(|| crate::rig::until("the first has begun", begun));
    let told = ask(&door, sending(&door, &[], all.clone().into())).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (503, Some("/v1/problems#busy")));
    assert_eq!(told.headers["retry-after"], "1");
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(ask(&door, sending(&door, &[], all.into())).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let door = door();
    let all = form(&[("task", None, b"say done")]);
    let told = ask(&door, sending(&door, &[], cut(&all, 30, true))).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (408, Some("/v1/problems#too-slow")));
    assert_eq!(told.headers["connection"], "close");
    // One that trickles without end as well: each byte is in time, all of them are not.
    let trickle = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    let mut asked = request(&door, "POST", "/v1/tasks", &[("content-type", "application/json")], None);
    *asked.body_mut() = Body::from_stream(trickle);
    assert_eq!(ask(&door, asked).await.status, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_clears_what_a_killed_one_left() {
    let door = door();
    let left = incoming(&door).join("left");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("half.csv"), "1,").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    server::serve(listener, door.state.clone(), async {}).await.unwrap();
    assert!(!incoming(&door).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_brings_its_own_files_and_one_click_makes_one_of_it() {
    let door = door();
    let begin = || request(&door, "POST", "/v1/demo", &[("idempotency-key", "click-1")], None);
    let first = ask(&door, begin()).await;
    assert_eq!(first.status, 201, "{:?}", String::from_utf8_lossy(&first.body));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(first.json()["task"], "Count the figures");
    let again = ask(&door, begin()).await;
    assert_eq!((again.status, again.json()["id"].as_str()), (200, Some(id.as_str())));
    let file = get(&door, &format!("/v1/tasks/{id}/files/figures.csv")).await;
    assert_eq!(file.body, b"a,b\n1,2\n");
    nothing_is_left(&door, 1);
    let nobody = request(&door, "POST", "/v1/demo", &[("authorization", "")], None);
    assert_eq!(ask(&door, nobody).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_over_what_was_asked_the_files_and_the_last_words() {
    let door = door();
    let plain = crate::door::ended(&door).await;
    let told = send(&door, &[], &[("task", None, b"Compare the offers"), ("file", Some("Offer-2025.pdf"), b"1")]).await;
    let with_file = event::TaskId::new(told.json()["id"].as_str().unwrap()).unwrap();
    tokio::task::block_in_place(|| door.rig.until(&with_file, "done"));
    let (one, other) = (plain.as_str(), with_file.as_str());
    for (search, expected) in [
        ("say", vec![one]),
        ("offer-2025", vec![other]),
        // In any order, in capitals, and each word from another place.
        ("DONE%20compare", vec![other]),
        ("pdf%20Offers%20don", vec![other]),
        ("say%20offers", vec![]),
        ("DONE", vec![other, one]),
        (&one.to_uppercase(), vec![one]),
        ("%20", vec![other, one]),
    ] {
        let page = get(&door, &format!("/v1/tasks?search={search}")).await.json();
        let found: Vec<_> = page["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{search}");
    }
}
