//! The browser over HTTP: taken over, watched, clicked and typed in, handed back.

use axum::body::Body;
use event::TaskId;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use server::{HttpLimits, RunnerLimits};
use testkit::{Answer, Gate, ModelServer, Turn};
use tower::ServiceExt as _;

use crate::door::{Door, Told, ask, door_before, get, made, post, request};

const PAGE: &str =
    "data:text/html,<title>Form</title><input style='position:fixed;left:0;top:0;width:400px;height:100px'>";

/// A model that opens a page, waits at the gate, looks at the page again, and is done.
fn browsing(gate: &Gate) -> Door {
    let held = gate.clone();
    let server = ModelServer::start(move |before, _| match before {
        0 => Answer::Stream(Turn::call("browser_navigate", &json!({ "url": PAGE }))),
        1 => Answer::Gated(Turn::call("browser_view", &json!({})), held.clone()),
        _ => Answer::Stream(Turn::say("That was it.")),
    });
    door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default())
}

fn kind(told: &Told) -> (u16, String) {
    (told.status, told.json()["type"].as_str().unwrap_or_default().replace("/v1/problems#", ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_taken_over_watched_typed_into_and_handed_back() {
    let gate = Gate::default();
    let door = browsing(&gate);
    let id = made(&door).await;
    let at = |rest: &str| format!("/v1/tasks/{id}{rest}");
    let acts = |acts: serde_json::Value| json!({ "acts": acts });
    // The page is open, and the model thinks.
    tokio::task::block_in_place(|| assert!(door.rig.server.wait_for(2)));
    // It is the agent's: anybody let in sees it move, and nobody else clicks or copies.
    let response = door.router.clone().oneshot(request(&door, "GET", &at("/browser"), &[], None)).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let mut pictures = Body::into_data_stream(response.into_body());
    let mut next = async |wanted: &str| loop {
        let piece = pictures.next().await.expect("it goes on").unwrap();
        let piece = String::from_utf8_lossy(&piece).into_owned();
        if piece.starts_with(wanted) && !piece.contains("about:blank") {
            return piece;
        }
    };
    let page = next("event: page\ndata: ").await;
    assert!(page.contains(r#""title":"Form""#) && page.contains(r#""question":null"#), "{page}");
    next("event: frame\ndata: ").await;
    assert_eq!(kind(&get(&door, &at("/browser/selection")).await), (409, "not-now".to_owned()));
    let key = acts(json!([{ "act": "key", "key": "a" }]));
    assert_eq!(kind(&post(&door, &at("/browser/input"), key.clone()).await), (409, "not-now".to_owned()));
    assert_eq!(post(&door, &at("/takeover"), json!({"what": {"part": "browser"}})).await.status, 202);
    gate.let_through(1_000);
    tokio::task::block_in_place(|| door.rig.until(&id, "waiting"));
    // The same watcher goes on seeing, and another one sees as well.
    let other = door.router.clone().oneshot(request(&door, "GET", &at("/browser"), &[], None)).await.unwrap();
    let mut others = Body::into_data_stream(other.into_body());
    while !others.next().await.expect("it goes on").unwrap().starts_with(b"event: frame") {}
    drop(others);
    let frame = next("event: frame\ndata: ").await;
    let frame: serde_json::Value = serde_json::from_str(frame["event: frame\ndata: ".len()..].trim()).unwrap();
    assert_eq!((&frame["width"], &frame["height"]), (&json!(1280), &json!(800)));
    assert!(frame["jpeg"].as_str().unwrap().starts_with("/9j/"));
    for wrong in [json!([]), json!([{"act": "move", "x": -1, "y": 0}]), json!([{"act": "key", "key": "NoSuchKey"}])] {
        assert_eq!(post(&door, &at("/browser/input"), acts(wrong)).await.status, 422);
    }
    let typed = acts(json!([
        {"act": "button", "x": 50, "y": 50, "down": true},
        {"act": "button", "x": 50, "y": 50, "down": false},
        {"act": "compose", "text": "shou"},
        {"act": "text", "text": "手"},
        {"act": "text", "text": " by hand"},
        {"act": "key", "key": "Control+A"},
    ]));
    assert_eq!(post(&door, &at("/browser/input"), typed).await.status, 204);
    let mut selected = String::new();
    while selected != "手 by hand" {
        let told = get(&door, &at("/browser/selection")).await;
        assert_eq!(told.status, 200, "{}", told.json());
        selected = told.json()["text"].as_str().unwrap().to_owned();
    }
    // What was done is seen.
    next("event: frame\n").await;
    let back = post(&door, &at("/handback"), json!({"note": "I filled it in"})).await;
    assert_eq!(back.status, 202, "{}", back.json());
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    // The agent has the very page, with what the person typed, and the person's line is over.
    let heard = String::from_utf8(door.rig.server.seen().pop().unwrap().body).unwrap();
    assert!(heard.contains("They say: I filled it in") && heard.contains("= 手 by hand"), "{heard}");
    next("event: end\n").await;
    pages_stand_in_the_record(&door, &id).await;
    assert_eq!(kind(&post(&door, &at("/browser/input"), key).await), (409, "not-now".to_owned()));
}

/// What the browser showed at each step, when the person took it and when they gave it back: to be seen with the token or a link
/// that shows everything, and by nobody else.
async fn pages_stand_in_the_record(door: &Door, id: &TaskId) {
    let events = |told: Told| told.json()["events"].as_array().unwrap().clone();
    let kept = |events: &[Value]| -> Vec<(String, String)> {
        let page = |line: &Value| {
            let facts = line["event"]["result"]["facts"].as_array();
            let fact = facts.and_then(|facts| facts.iter().find(|fact| fact["fact"] == "page"));
            let page = fact.map_or(&line["event"]["page"], |fact| &fact["page"]);
            let digest = page["picture"]["digest"].as_str()?;
            assert_eq!(page["title"], "Form");
            Some((line["event"]["event"].as_str()?.to_owned(), digest.to_owned()))
        };
        events.iter().filter_map(page).collect()
    };
    let own = kept(&events(get(door, &format!("/v1/tasks/{id}/events?limit=2000")).await));
    let kinds: Vec<&str> = own.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["tool_finished", "taken_over", "handed_back", "tool_finished"]);
    assert!(own[0].1 == own[1].1 && own[1].1 != own[2].1, "what the person typed is seen");
    let told = get(door, &format!("/v1/tasks/{id}/pictures/{}", own[2].1)).await;
    assert!(told.status == 200 && told.body.starts_with(&[0xff, 0xd8, 0xff]));
    for (what, status) in [("everything", 200), ("outputs", 404)] {
        let made = post(door, &format!("/v1/tasks/{id}/shares"), json!({"what": what, "expires": "7d"})).await.json();
        let key = made["path"].as_str().unwrap().strip_prefix("/shared/").unwrap().to_owned();
        let guest = async |path: &str| {
            let path = format!("/v1/shared/{key}/{path}");
            ask(door, request(door, "GET", &path, &[("authorization", "")], None)).await
        };
        let seen = kept(&events(guest("events?limit=2000").await));
        assert_eq!(seen.len(), if status == 200 { own.len() } else { 0 });
        assert_eq!(guest(&format!("pictures/{}", own[2].1)).await.status, status, "{what}");
        assert_eq!(guest("pictures/00").await.status, 404);
    }
}
