//! The browser over HTTP: taken over, watched, clicked and typed in, handed back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

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

/// A site on loopback, which its task knows as a host: it says its path back, and asks for a file at `/file`.
fn site() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = first.split(' ').nth(1).unwrap_or_default();
            let page = if path == "/file" {
                "<title>File</title><input type=file style='position:fixed;left:0;top:0;width:400px;height:100px' \
                 onchange='this.files[0].text().then(text => { location = \"/got?\" + this.files[0].name + \":\" + text })'>"
                    .to_owned()
            } else {
                format!("<title>At {path}</title>")
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
            let _ = (&stream).write_all(format!("{head}{page}").as_bytes());
        }
    });
    address
}

/// What a watcher of the browser is told of the page.
struct Pages(axum::body::BodyDataStream);

impl Pages {
    async fn of(door: &Door, id: &TaskId) -> Self {
        let asked = request(door, "GET", &format!("/v1/tasks/{id}/browser"), &[], None);
        Self(door.router.clone().oneshot(asked).await.unwrap().into_body().into_data_stream())
    }

    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let piece = self.0.next().await.expect("it goes on").unwrap();
            let piece = String::from_utf8_lossy(&piece).into_owned();
            let Some(page) = piece.strip_prefix("event: page\ndata: ") else { continue };
            let page: Value = serde_json::from_str(page.trim()).unwrap();
            if wanted(&page) {
                return page;
            }
        }
    }

    async fn at(&mut self, address: &str) -> Value {
        self.until(|page| page["address"] == address && page["loading"] == false).await
    }
}

/// A task whose browser the person has, at a page of its own; the model waits for them.
async fn taken_over(door: &Door, options: Value) -> (TaskId, Pages) {
    let told = post(door, "/v1/tasks", options).await;
    assert_eq!(told.status, 201, "{}", told.json());
    let id = TaskId::new(told.json()["id"].as_str().unwrap()).unwrap();
    tokio::task::block_in_place(|| assert!(door.rig.server.wait_for(2)));
    let over = json!({"what": {"part": "browser"}});
    assert_eq!(post(door, &format!("/v1/tasks/{id}/takeover"), over).await.status, 202);
    let mut pages = Pages::of(door, &id).await;
    pages.at(PAGE).await;
    (id, pages)
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

#[tokio::test(flavor = "multi_thread")]
async fn a_person_goes_where_the_task_may_and_is_asked_about_any_other_place() {
    let gate = Gate::default();
    let door = browsing(&gate);
    let at = site().port();
    let options = json!({"task": "say done", "allow_net": [format!("site.test:80=127.0.0.1:{at}")]});
    let (id, mut pages) = taken_over(&door, options).await;
    gate.let_through(1_000);
    let path = format!("/v1/tasks/{id}/browser/go");
    let go = async |to: Value| post(&door, &path, to).await;
    assert_eq!(go(json!({"to": "address", "address": "http://site.test/one"})).await.status, 204);
    pages.at("http://site.test/one").await;
    assert_eq!(go(json!({"to": "address", "address": "http://site.test/two"})).await.status, 204);
    pages.at("http://site.test/two").await;
    assert_eq!(go(json!({"to": "back"})).await.status, 204);
    pages.at("http://site.test/one").await;
    assert_eq!(go(json!({"to": "forward"})).await.status, 204);
    pages.at("http://site.test/two").await;
    let none = go(json!({"to": "forward"})).await;
    assert_eq!(kind(&none), (409, "not-now".to_owned()), "{}", none.json());
    assert_eq!(go(json!({"to": "reload"})).await.status, 204);
    // Tabs.
    assert_eq!(go(json!({"to": "new_tab"})).await.status, 204);
    let page = pages.at("about:blank").await;
    let number = |shown: bool| {
        let tab = page["tabs"].as_array().unwrap().iter().find(|tab| tab["shown"] == shown);
        tab.unwrap()["number"].clone()
    };
    assert_eq!(page["tabs"].as_array().map(Vec::len), Some(2));
    assert_eq!(go(json!({"to": "tab", "number": number(false)})).await.status, 204);
    pages.at("http://site.test/two").await;
    assert_eq!(go(json!({"to": "close", "number": number(true)})).await.status, 204);
    pages.until(|page| page["tabs"].as_array().is_some_and(|tabs| tabs.len() == 1)).await;
    assert_eq!(kind(&go(json!({"to": "tab", "number": number(true)})).await), (409, "not-now".to_owned()));
    // What is no address, what leads into the browser's own files, and what nobody answers at.
    for wrong in ["how to cook", "file:///etc/passwd", "back", "http://localhost:1/"] {
        let told = go(json!({"to": "address", "address": wrong})).await;
        assert_eq!(kind(&told), (409, "not-now".to_owned()), "{wrong}: {}", told.json());
    }
    assert_eq!(go(json!({"to": "address", "address": ""})).await.status, 422);
    // Any other place: the person is asked, as they are when the agent wants it, and their word is what counts.
    let wanted = tokio::spawn({
        let asked =
            request(&door, "POST", &path, &[], Some(&json!({"to": "address", "address": "http://other.test/"})));
        let router = door.router.clone();
        async move { router.oneshot(asked).await.unwrap().status().as_u16() }
    });
    let confirm = format!("/v1/tasks/{id}/confirm");
    let asked = loop {
        let asked = get(&door, &confirm).await;
        if asked.status == 200 {
            break asked.json();
        }
    };
    assert!(asked["question"].as_str().unwrap().contains("other.test:80"), "{asked}");
    let no = json!({"effect": asked["effect"], "digest": asked["digest"], "allowed": false});
    assert_eq!(post(&door, &confirm, no).await.status, 202);
    wanted.await.unwrap();
    let back = post(&door, &format!("/v1/tasks/{id}/handback"), json!({"note": ""})).await;
    assert_eq!(back.status, 202, "{}", back.json());
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    assert_eq!(kind(&go(json!({"to": "reload"})).await), (409, "not-now".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_for_files_gets_them_from_the_workspace_or_from_the_person() {
    let gate = Gate::default();
    let door = browsing(&gate);
    let at = site().port();
    let options = json!({"task": "say done", "allow_net": [format!("site.test:80=127.0.0.1:{at}")]});
    let (id, mut pages) = taken_over(&door, options).await;
    let path = |rest: &str| format!("/v1/tasks/{id}/browser/{rest}");
    let workspace = door.rig.instance.folder(&id).unwrap().workspace();
    std::fs::write(workspace.join("plan.txt"), "the plan").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", workspace.join("link.txt")).unwrap();
    let give = async |paths: Value| post(&door, &path("files"), json!({ "paths": paths })).await;
    assert_eq!(kind(&give(json!(["plan.txt"])).await), (409, "not-now".to_owned()));
    let there = json!({"to": "address", "address": "http://site.test/file"});
    assert_eq!(post(&door, &path("go"), there).await.status, 204);
    pages.at("http://site.test/file").await;
    let click = json!({"acts": [
        {"act": "button", "x": 50, "y": 50, "down": true},
        {"act": "button", "x": 50, "y": 50, "down": false},
    ]});
    let ask_for_files = async |pages: &mut Pages| {
        assert_eq!(post(&door, &path("input"), click.clone()).await.status, 204);
        let page = pages.until(|page| !page["wants_files"].is_null()).await;
        assert_eq!(page["wants_files"], json!({"many": false}));
    };
    ask_for_files(&mut pages).await;
    for wrong in
        [json!(["link.txt"]), json!(["../x"]), json!(["/etc/passwd"]), json!(["nothing"]), json!(["plan.txt", "b"])]
    {
        let told = give(wrong).await;
        assert_eq!(kind(&told), (409, "not-now".to_owned()), "{}", told.json());
    }
    let many: Vec<String> = (0..21).map(|nth| format!("{nth}")).collect();
    assert_eq!(give(json!(many)).await.status, 422);
    assert_eq!(give(json!(["plan.txt"])).await.status, 204);
    let page = pages.at("http://site.test/got?plan.txt:the%20plan").await;
    assert!(page["wants_files"].is_null(), "{page}");
    // One of the person's own, which does not come into the workspace.
    assert_eq!(post(&door, &path("go"), json!({"to": "back"})).await.status, 204);
    pages.at("http://site.test/file").await;
    ask_for_files(&mut pages).await;
    let part = |name: &str, field: &str| {
        format!("--line\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\nmine\r\n")
    };
    let send = async |body: String| {
        let headers = [("content-type", "multipart/form-data; boundary=line")];
        let mut asked = request(&door, "POST", &path("upload"), &headers, None);
        *asked.body_mut() = Body::from(format!("{body}--line--\r\n"));
        ask(&door, asked).await
    };
    for wrong in [String::new(), part("a/b", "file"), part("a", "task")] {
        let told = send(wrong).await;
        assert_eq!(told.status, 422, "{}", told.json());
    }
    assert_eq!(kind(&send(part("a", "file") + &part("a", "file")).await), (409, "same-name".to_owned()));
    assert_eq!(kind(&send(part("a", "file") + &part("b", "file")).await), (409, "not-now".to_owned()));
    assert_eq!(send(part("mine.txt", "file")).await.status, 204);
    pages.at("http://site.test/got?mine.txt:mine").await;
    assert!(!workspace.join("mine.txt").exists());
    // It may be told that there are none.
    assert_eq!(post(&door, &path("go"), json!({"to": "back"})).await.status, 204);
    pages.at("http://site.test/file").await;
    ask_for_files(&mut pages).await;
    assert_eq!(give(json!([])).await.status, 204);
    pages.until(|page| page["wants_files"].is_null()).await;
    assert_eq!(kind(&send(part("late", "file")).await), (409, "not-now".to_owned()));
    let incoming = door.rig.folder.path().join("home/server/incoming");
    let waits = || std::fs::read_dir(&incoming).map_or(0, Iterator::count);
    tokio::task::block_in_place(|| crate::rig::until("the uploads are gone", || waits() == 0));
    gate.let_through(1_000);
    assert_eq!(post(&door, &format!("/v1/tasks/{id}/handback"), json!({})).await.status, 202);
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_window_has_taken_over_is_refused_to_another_in_words() {
    let gate = Gate::default();
    let door = browsing(&gate);
    let id = made(&door).await;
    tokio::task::block_in_place(|| assert!(door.rig.server.wait_for(2)));
    let from = async |window: &str, rest: &str, body: Value| {
        let path = format!("/v1/tasks/{id}/{rest}");
        ask(&door, request(&door, "POST", &path, &[("thenar-hand", window)], Some(&body))).await
    };
    let over = || json!({"what": {"part": "browser"}});
    let acts = || json!({"acts": [{"act": "move", "x": 1, "y": 1}]});
    let refused = |told: &Told| {
        assert_eq!(kind(told), (409, "not-now".to_owned()), "{}", told.json());
        told.json()["detail"] == "another window has it in hand"
    };
    assert_eq!(from("one", "takeover", over()).await.status, 202);
    assert!(refused(&from("two", "takeover", over()).await));
    assert_eq!(from("one", "takeover", over()).await.status, 202);
    assert!(refused(&from("two", "browser/input", acts()).await));
    assert!(refused(&from("two", "browser/go", json!({"to": "reload"})).await));
    assert!(refused(&from("two", "browser/files", json!({"paths": []})).await));
    assert_eq!(from("one", "browser/input", acts()).await.status, 204);
    // A program says nothing of windows, and is let through.
    assert_eq!(post(&door, &format!("/v1/tasks/{id}/browser/input"), acts()).await.status, 204);
    // The other one gives it back and takes it.
    assert_eq!(from("two", "handback", json!({})).await.status, 202);
    assert_eq!(from("two", "takeover", over()).await.status, 202);
    assert!(refused(&from("one", "browser/input", acts()).await));
    assert_eq!(from("two", "browser/input", acts()).await.status, 204);
    gate.let_through(1_000);
    assert_eq!(from("two", "handback", json!({})).await.status, 202);
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_has_begun_in_a_browser_is_not_cut_by_whoever_takes_it_over() {
    let long = "await new Promise((done) => setTimeout(() => done('all of it'), 3000))";
    let server = ModelServer::start(move |before, _| match before {
        0 => Answer::Stream(Turn::call("browser_navigate", &json!({ "url": PAGE }))),
        1 => Answer::Stream(Turn::call("browser_console_exec", &json!({ "javascript": long }))),
        _ => Answer::Stream(Turn::say("That was it.")),
    });
    let door = door_before(server.unwrap(), RunnerLimits::default(), HttpLimits::default());
    let id = made(&door).await;
    let at = |rest: &str| format!("/v1/tasks/{id}{rest}");
    let events = async || get(&door, &at("/events?limit=2000")).await.json()["events"].as_array().unwrap().clone();
    let count = |events: &[Value], kind: &str| events.iter().filter(|line| line["event"]["event"] == kind).count();
    // Two calls of the model's and two of tools have begun, and one of the tools' has ended.
    while count(&events().await, "effect_started") < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(post(&door, &at("/takeover"), json!({"what": {"part": "browser"}})).await.status, 202);
    let response = door.router.clone().oneshot(request(&door, "GET", &at("/browser"), &[], None)).await.unwrap();
    let mut pictures = Body::into_data_stream(response.into_body());
    // Watched all the while, and clicked in as soon as it can be.
    let key = json!({ "acts": [{ "act": "key", "key": "a" }] });
    while post(&door, &at("/browser/input"), key.clone()).await.status != 204 {
        pictures.next().await.expect("it goes on").unwrap();
    }
    let told = events().await;
    let ended: Vec<&Value> = told.iter().filter(|line| line["event"]["event"] == "tool_finished").collect();
    assert_eq!((ended.len(), &ended[1]["event"]["result"]["status"]), (2, &json!("ok")), "{:?}", ended[1]);
    let text = ended[1]["event"]["result"]["text"].as_str().unwrap();
    assert!(text.contains("all of it"), "{text}");
    assert_eq!(post(&door, &at("/stop"), json!({})).await.status, 202);
}
