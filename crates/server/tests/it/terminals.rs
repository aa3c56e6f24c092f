//! Terminals over HTTP: listed, looked at, watched, taken over, typed into, handed back.

use axum::body::Body;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use server::{HttpLimits, RunnerLimits};
use testkit::{Answer, Gate, ModelServer, Turn};
use tower::ServiceExt as _;

use crate::door::{Door, Told, ask, door_before, get, made, post, request};
use crate::rig::until;

/// A model that works in a terminal, waits at the gate, works in it again, and is done.
fn working(gate: &Gate) -> Door {
    let held = gate.clone();
    let typing = |command: &str| Turn::call("shell_exec", &json!({"command": command, "terminal": "main"}));
    let server = ModelServer::start(move |before, _| match before {
        0 => Answer::Stream(typing("echo from the agent")),
        1 => Answer::Gated(typing("echo $WORD > word"), held.clone()),
        _ => Answer::Stream(Turn::say("That was it.")),
    });
    door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default())
}

fn kind(told: &Told) -> (u16, String) {
    (told.status, told.json()["type"].as_str().unwrap_or_default().replace("/v1/problems#", ""))
}

/// A terminal's stream, read as far as somebody wants.
struct Watched {
    body: axum::body::BodyDataStream,
    read: String,
}

impl Watched {
    async fn open(door: &Door, path: &str) -> Self {
        let sse = [("accept", "text/event-stream")];
        let response = door.router.clone().oneshot(request(door, "GET", path, &sse, None)).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { body: Body::into_data_stream(response.into_body()), read: String::new() }
    }

    /// Reads until this text has come; to the end where it does not.
    async fn until(&mut self, text: &str) {
        while !self.read.contains(text) {
            let Some(piece) = self.body.next().await else { panic!("{text} never came: {}", self.read) };
            self.read.push_str(&String::from_utf8_lossy(&piece.unwrap()));
        }
    }

    fn pieces(&self, kind: &str) -> Vec<Value> {
        let pieces = self.read.split("\n\n").filter_map(|piece| piece.strip_prefix(&format!("event: {kind}\ndata: ")));
        pieces.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_watched_taken_over_typed_into_and_handed_back() {
    let gate = Gate::default();
    let door = working(&gate);
    let id = made(&door).await;
    let at = |rest: &str| format!("/v1/tasks/{id}/terminals{rest}");
    // The first command is done, and the model thinks.
    tokio::task::block_in_place(|| assert!(door.rig.server.wait_for(2)));
    let listed = get(&door, &at("")).await.json();
    let main =
        json!({"name": "main", "open": true, "columns": 100, "lines": 30, "at_prompt": true, "taken_over": false});
    assert_eq!(listed, json!({"terminals": [main]}));
    let screen = get(&door, &at("/main")).await.json();
    assert!(screen["text"].as_str().unwrap().contains("\nfrom the agent\n"), "{screen}");
    let mut watched = Watched::open(&door, &at("/main")).await;
    watched.until("from the agent").await;
    // It is the agent's: nobody else types.
    let keys = |text: &str, key: &str| json!({"text": text, "id": key});
    assert_eq!(kind(&post(&door, &at("/main/keys"), keys("x", "k0")).await), (409, "not-now".to_owned()));
    assert_eq!(
        kind(&post(&door, &at("/main/size"), json!({"columns": 80, "lines": 24})).await),
        (409, "not-now".to_owned())
    );
    let take = |name: &str| json!({"what": {"part": "terminal", "name": name}});
    let takeover = format!("/v1/tasks/{id}/takeover");
    assert_eq!(kind(&post(&door, &takeover, take("other")).await), (404, "no-such-terminal".to_owned()));
    assert_eq!(post(&door, &takeover, take("main")).await.status, 202);
    gate.let_through(1_000);
    tokio::task::block_in_place(|| door.rig.until(&id, "waiting"));
    let task = get(&door, &format!("/v1/tasks/{id}")).await.json();
    assert_eq!(
        (&task["waits_for"], &task["taken_over"]),
        (&json!("hand_back"), &json!({"part": "terminal", "name": "main"}))
    );
    // Now it is the person's.
    assert_eq!(post(&door, &at("/main/size"), json!({"columns": 61, "lines": 17})).await.status, 204);
    for _ in 0..2 {
        assert_eq!(
            post(&door, &at("/main/keys"), keys("export WORD=mine; stty size; echo $((6 * 7))x\r", "k1")).await.status,
            204
        );
    }
    watched.until("42x").await;
    watched.until("17 61").await;
    let sizes: Vec<_> = watched.pieces("screen").iter().map(|screen| screen["columns"].clone()).collect();
    assert!(sizes.starts_with(&[json!(100)]) && sizes.contains(&json!(61)), "{sizes:?}");
    assert_eq!(watched.read.matches("42x").count(), 1, "the same keys are typed once: {}", watched.read);
    for (text, key) in [("", "k"), ("x", "a b")] {
        assert_eq!(kind(&post(&door, &at("/main/keys"), keys(text, key)).await), (422, "invalid".to_owned()));
    }
    assert_eq!(
        kind(&post(&door, &at("/main/size"), json!({"columns": 2, "lines": 17})).await),
        (422, "invalid".to_owned())
    );
    assert_eq!(kind(&post(&door, &at("/none/keys"), keys("x", "k2")).await), (404, "no-such-terminal".to_owned()));
    let back = post(&door, &format!("/v1/tasks/{id}/handback"), json!({"note": "WORD is set"})).await;
    assert_eq!(back.status, 202, "{}", back.json());
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    let heard = String::from_utf8(door.rig.server.seen().pop().unwrap().body).unwrap();
    assert!(heard.contains("They say: WORD is set"), "{heard}");
    let word = get(&door, &format!("/v1/tasks/{id}/files/word")).await;
    assert_eq!(word.body, b"mine\n");
    // With its computer the terminal is over; what it put out is still there.
    watched.until("event: end").await;
    until("it is closed", || door.rig.instance.terminals(&id).unwrap().is_empty());
    let sse = [("accept", "text/event-stream")];
    let last = ask(&door, request(&door, "GET", &at("/main"), &sse, None)).await;
    let last = String::from_utf8(last.body).unwrap();
    assert!(
        last.contains("from the agent") && last.contains("42x") && last.ends_with("event: end\ndata: {}\n\n"),
        "{last}"
    );
    assert_eq!(get(&door, &at("")).await.json()["terminals"][0]["open"], false);
    assert_eq!(kind(&get(&door, &at("/main")).await), (404, "no-such-terminal".to_owned()));
    assert_eq!(kind(&post(&door, &takeover, take("main")).await), (404, "no-such-terminal".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_reaches_a_watcher_as_screens_and_no_more_than_they_hold() {
    let flood = Turn::call(
        "shell_exec",
        &json!({"command": "yes 0123456789 | head -c 20000000; echo over", "terminal": "main"}),
    );
    let server = ModelServer::start(move |before, _| match before {
        0 => Answer::Stream(flood.clone()),
        _ => Answer::Stream(Turn::say("That was it.")),
    });
    let door = door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default());
    let id = made(&door).await;
    until("it is open", || door.rig.instance.terminals(&id).is_ok_and(|open| !open.is_empty()));
    let mut watched = Watched::open(&door, &format!("/v1/tasks/{id}/terminals/main")).await;
    watched.until("event: end").await;
    assert!(watched.read.len() < 8_000_000, "{} bytes", watched.read.len());
    assert!(!watched.pieces("screen").is_empty());
}
