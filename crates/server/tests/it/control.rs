//! What a person tells a task over HTTP: a yes, a no, a word; and what a server says that has its hands full.

use event::TaskId;
use serde_json::{Value, json};
use server::{HttpLimits, RunnerLimits};
use testkit::{Answer, Gate, ModelServer, Turn};

use crate::door::{Door, ask, door_before, door_with, get, made, post, request};

/// A model that asks to hand over although the points have failed, which is for the person to grant; then it is done.
fn asking() -> Door {
    let server = ModelServer::start(|before, _| {
        Answer::Stream(match before {
            0 => Turn::exec("echo all of it > report.txt"),
            1 => Turn::call("deliver", &json!({"files": ["report.txt"], "request_waiver": true})),
            _ => Turn::say("That was it."),
        })
    });
    door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default())
}

/// The task, once it waits for a yes or a no, and what it asks.
async fn waiting(door: &Door) -> (TaskId, Value) {
    let id = made(door).await;
    tokio::task::block_in_place(|| door.rig.until(&id, "waiting"));
    let asked = get(door, &format!("/v1/tasks/{id}/confirm")).await;
    assert_eq!(asked.status, 200, "{}", asked.json());
    (id, asked.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_holds_for_what_was_read_and_the_effect_happens_once() {
    let door = asking();
    let (id, asked) = waiting(&door).await;
    let task = get(&door, &format!("/v1/tasks/{id}")).await.json();
    assert_eq!((task["waits_for"].as_str(), &task["confirm"]["digest"]), (Some("confirmation"), &asked["digest"]));
    assert!(asked["question"].as_str().unwrap().contains("deliver"), "{asked}");
    assert_eq!(asked["schema"]["properties"]["effect"]["const"], asked["effect"]);
    let path = format!("/v1/tasks/{id}/confirm");
    let other = event::Digest::of(b"another effect");
    for stale in [
        json!({"effect": asked["effect"], "digest": other, "allowed": true}),
        json!({"effect": 1, "digest": asked["digest"], "allowed": true}),
    ] {
        let told = post(&door, &path, stale).await;
        assert_eq!((told.status, told.json()["type"].as_str()), (409, Some("/v1/problems#stale-confirmation")));
    }
    assert_eq!(get(&door, &format!("/v1/tasks/{id}")).await.json()["state"], "waiting");
    let yes = json!({"effect": asked["effect"], "digest": asked["digest"], "allowed": true});
    assert_eq!(post(&door, &path, yes.clone()).await.status, 202);
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    let again = post(&door, &path, yes).await;
    assert_eq!((again.status, again.json()["type"].as_str()), (409, Some("/v1/problems#stale-confirmation")));
    let told = get(&door, &format!("/v1/tasks/{id}/deliverables")).await.json();
    assert_eq!(told["deliverables"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(get(&door, &format!("/v1/tasks/{id}/deliverables/report.txt")).await.body, b"all of it\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_told_to_the_agent_with_its_note() {
    let door = asking();
    let (id, asked) = waiting(&door).await;
    let no = json!({"effect": asked["effect"], "digest": asked["digest"], "allowed": false, "note": "not like that"});
    assert_eq!(post(&door, &format!("/v1/tasks/{id}/confirm"), no).await.status, 202);
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    let heard = String::from_utf8(door.rig.server.seen().pop().unwrap().body).unwrap();
    assert!(heard.contains("not like that"), "{heard}");
    assert_eq!(get(&door, &format!("/v1/tasks/{id}/deliverables/report.txt")).await.status, 404);
    let gone = get(&door, &format!("/v1/tasks/{id}/confirm")).await;
    assert_eq!((gone.status, gone.json()["type"].as_str()), (404, Some("/v1/problems#nothing-awaited")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_before_a_task_is_made() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = ModelServer::start(move |_, _| Answer::Gated(Turn::say("done"), held.clone()));
    let one = RunnerLimits { running_max: 1, queued_max: 1, threads: 1, ..RunnerLimits::default() };
    let door = door_before(server.unwrap(), one, HttpLimits::default());
    let first = made(&door).await;
    tokio::task::block_in_place(|| assert!(door.rig.server.wait_for(1)));
    let second = made(&door).await;
    let key = [("idempotency-key", "third")];
    let third = || ask(&door, request(&door, "POST", "/v1/tasks", &key, Some(&json!({"task": "say done"}))));
    let told = third().await;
    assert_eq!((told.status, told.json()["type"].as_str()), (503, Some("/v1/problems#queue-full")));
    assert_eq!(told.headers["retry-after"], "1");
    assert_eq!(get(&door, "/v1/tasks").await.json()["tasks"].as_array().unwrap().len(), 2);
    gate.let_through(usize::MAX);
    tokio::task::block_in_place(|| [&first, &second].map(|id| door.rig.until(id, "done")));
    assert_eq!(third().await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_told_when_to_ask_again() {
    // Nothing is given back in this test, however long it takes.
    let limits = HttpLimits {
        burst_requests_max: 3,
        requests_per_second: 0,
        burst_strangers_max: 2,
        strangers_per_second: 0,
        ..HttpLimits::default()
    };
    let door = door_with(limits);
    let stranger = || ask(&door, request(&door, "GET", "/v1/tasks", &[("authorization", "Bearer x")], None));
    assert_eq!([stranger().await.status, stranger().await.status, stranger().await.status], [401, 401, 429]);
    // Who has the token is not kept out by those who have not.
    for _ in 0..3 {
        assert_eq!(get(&door, "/v1/tasks").await.status, 200);
    }
    let told = get(&door, "/v1/tasks").await;
    assert_eq!((told.status, told.json()["type"].as_str()), (429, Some("/v1/problems#too-many-requests")));
    assert_eq!(told.headers["retry-after"], "1");
    assert_eq!(get(&door, "/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_yesterday_that_gets_an_hour_has_an_hour_from_now() {
    let door = door_with(HttpLimits::default());
    let id = crate::door::ended(&door).await;
    let made_ms = get(&door, &format!("/v1/tasks/{id}")).await.json()["created_ms"].as_u64().unwrap();
    let told = post(&door, &format!("/v1/tasks/{id}/resume"), json!({"max_time": "1h"})).await.json();
    let until_ms = made_ms + told["max_time_ms"].as_u64().unwrap();
    assert!(until_ms >= made_ms + 3_600_000 && until_ms <= testkit::clock::now_ms() + 3_600_000, "{told}");
    let dear = post(&door, &format!("/v1/tasks/{id}/resume"), json!({"max_cost_usd": 1})).await;
    assert_eq!((dear.status, dear.json()["type"].as_str()), (409, Some("/v1/problems#price-unknown")));
}
