//! What a model says, heard while it says it: by whoever listens to the events, beside the record and not on it.

use axum::body::Body;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use server::{HttpLimits, RunnerLimits};
use testkit::{Answer, Gate, ModelServer, Turn};
use tower::ServiceExt as _;

use crate::door::{Door, door_before, post, request};

const SAID: &str = "All is well with the three of them.";

/// A message of the stream: its number where it has one, its kind, what it says.
type Message = (Option<u64>, String, Value);

struct Ear {
    body: axum::body::BodyDataStream,
    rest: String,
}

impl Ear {
    async fn open(door: &Door, path: &str) -> Self {
        let asked = request(door, "GET", path, &[("accept", "text/event-stream")], None);
        let response = door.router.clone().oneshot(asked).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: Body::into_data_stream(response.into_body()), rest: String::new() }
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
                let kind = field("event: ").map(str::to_owned);
                let data = field("data: ").map(|data| serde_json::from_str(data).unwrap());
                let number = field("id: ").map(|id| id.parse().unwrap());
                self.rest = rest.to_owned();
                if let (Some(kind), Some(data)) = (kind, data) {
                    return Some((number, kind, data));
                }
                continue;
            }
            let piece = self.body.next().await?.unwrap();
            self.rest.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

async fn made(door: &Door) -> String {
    post(door, "/v1/tasks", json!({"task": "say it"})).await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_heard_as_they_come_and_bear_no_number() {
    let gate = Gate::default();
    let door = {
        let gate = gate.clone();
        let server = ModelServer::start(move |_, _| Answer::Gated(Turn::say(SAID), gate.clone())).unwrap();
        door_before(server, RunnerLimits::default(), HttpLimits::default())
    };
    let id = made(&door).await;
    let mut ear = Ear::open(&door, &format!("/v1/tasks/{id}/events?follow=false")).await;
    gate.let_through(4);
    let (mut said, mut numbers) = (String::new(), Vec::new());
    while said.is_empty() {
        let (number, kind, data) = ear.next().await.unwrap();
        if kind == "words" {
            assert_eq!((number, &data["attempt"]), (None, &json!(1)));
            said.push_str(data["text"].as_str().unwrap());
        }
        numbers.extend(number);
    }
    assert!(SAID.starts_with(&said) && said.len() < SAID.len(), "{said}");
    // Whoever comes later hears the beginning as well.
    let mut late = Ear::open(&door, &format!("/v1/tasks/{id}/events?after={}", numbers.last().unwrap())).await;
    let heard = loop {
        let (_, kind, data) = late.next().await.unwrap();
        if kind == "words" {
            break data["text"].as_str().unwrap().to_owned();
        }
    };
    assert!(heard.starts_with(&said), "{heard}");
    gate.let_through(usize::MAX);
    let mut replies = 0;
    while let Some((number, kind, data)) = ear.next().await {
        if kind == "words" {
            said.push_str(data["text"].as_str().unwrap());
        }
        if kind == "model_replied" {
            replies += 1;
            assert_eq!(data["event"]["reply"]["message"]["text"], SAID);
        }
        numbers.extend(number);
    }
    assert_eq!(replies, 1);
    assert!(SAID.starts_with(&said), "{said}");
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_try_that_broke_off_are_taken_back() {
    let server = ModelServer::start(|request, _| match request {
        0 => Answer::Half(Turn::say(SAID), 4),
        _ => Answer::Stream(Turn::say(SAID)),
    });
    let door = door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default());
    let id = made(&door).await;
    let mut ear = Ear::open(&door, &format!("/v1/tasks/{id}/events?follow=false")).await;
    let (mut heard, mut void) = (Vec::new(), Vec::new());
    while let Some((_, kind, data)) = ear.next().await {
        match (kind.as_str(), data["text"].as_str()) {
            ("words", Some(_)) => heard.push(data["attempt"].as_u64().unwrap()),
            ("words", None) => void.push((data["attempt"].as_u64().unwrap(), heard.last().copied())),
            // The task's clock stands still between two looks at it: without this, the pause before the next try has no end.
            ("model_attempt_failed", _) => testkit::clock::pass_ms(data["event"]["retry_in_ms"].as_u64().unwrap()),
            _ => {}
        }
    }
    // The listener may have come after the first try; what it heard of that was taken back before anything else.
    assert!(void.iter().all(|taken_back| *taken_back == (1, Some(1))), "{void:?}");
    assert_eq!(heard.contains(&1), void.len() == 1, "{heard:?} {void:?}");
}
