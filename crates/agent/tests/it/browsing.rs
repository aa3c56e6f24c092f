//! A task in a browser, from the first page to the last: a shop that its computer serves is logged in to, searched, paged
//! through, downloaded from and ordered from, by tools only.

use event::{Effect, Event, Integrity, Label, TaskOptions, ToolStatus};
use serde_json::{Value, json};
use testkit::{Answer, ModelServer, Turn};

use crate::rig::Rig;

const SHOP: &str = include_str!("shop.py");

/// What the model does next, by how often it has spoken and what it was told last.
fn next(replies: usize, told: &str) -> Turn {
    let at = |element: &str| number(told, element);
    let listens =
        "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000))' 2>/dev/null; do :; done";
    let view = || ("browser_view", json!({}));
    let (tool, arguments) = match replies {
        0 => ("file_write", json!({"path": "shop.py", "content": SHOP})),
        1 => ("file_write", json!({"path": "drawing.txt", "content": "a lamp"})),
        2 => ("shell_exec", json!({"command": format!("python3 shop.py > /dev/null 2>&1 & {listens}")})),
        3 => ("browser_navigate", json!({"url": "http://localhost:8000/"})),
        4 => ("browser_input", json!({"element": at("textbox: User"), "text": "ann"})),
        5 => view(),
        6 => ("browser_input", json!({"element": at("password: Password"), "text": "rain", "press_enter": true})),
        7 => ("browser_input", json!({"element": at("textbox: User"), "text": "ann"})),
        8 => view(),
        9 => {
            ("browser_input", json!({"element": at("password: Password"), "text": "rain and sun", "press_enter": true}))
        }
        10 => ("browser_input", json!({"element": at("searchbox: Search"), "text": "lamp", "press_enter": true})),
        11 => ("browser_click", json!({"element": at("link: Next page")})),
        12 => ("browser_click", json!({"element": at("link: Export as CSV")})),
        13 => view(),
        14 => ("browser_click", json!({"element": at("link: Order Desk lamp 7")})),
        15 => ("browser_input", json!({"element": at("textbox: Name"), "text": "Ann Lee"})),
        16 => view(),
        17 => ("browser_input", json!({"element": at("number: Pieces"), "text": "3"})),
        18 => view(),
        19 => ("browser_select_option", json!({"element": at("select: Colour"), "option": "Black"})),
        20 => view(),
        21 => ("browser_click", json!({"element": at("checkbox: Express")})),
        22 => view(),
        23 => ("browser_input", json!({"element": at("date: Wanted by"), "text": "2031-05-06"})),
        24 => view(),
        25 => ("browser_input", json!({"element": at("file: Drawing"), "text": "drawing.txt"})),
        26 => view(),
        27 => ("browser_click", json!({"element": at("button: Order now")})),
        28 => ("shell_exec", json!({"command": "cat orders.jsonl; wc -l < downloads/list.csv"})),
        _ => return Turn::say("Ordered."),
    };
    Turn::call(tool, &arguments)
}

/// The number of the element that is told so; 0 where there is none, which no tool takes.
fn number(told: &str, element: &str) -> u64 {
    let before = told.find(element).map_or("", |at| &told[..at]);
    before.rsplit('[').next().and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn last_told(request: &Value) -> String {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = messages.iter().rev().find(|message| message["role"] == "tool");
    told.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_shop_is_logged_in_to_searched_paged_downloaded_and_ordered_from() {
    let plan = |_: usize, request: &Value| Answer::Stream(next(testkit::replies_in(request), &last_told(request)));
    let rig = Rig::new(ModelServer::start(plan).unwrap());
    let id = rig.create_for("Order three black desk lamps 7.", TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");

    let results = rig.results(&id);
    for (at, result) in results.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| &results[before].text);
        assert_eq!(result.status, ToolStatus::Ok, "call {at}: {}\nafter: {before}", result.text);
    }
    assert!(results[6].text.contains("Wrong name or password."), "{}", results[6].text);
    assert!(results[10].text.contains("12 found, page 1 of 3"), "{}", results[10].text);
    assert!(results[11].text.contains("page 2 of 3"), "{}", results[11].text);
    let downloaded = format!("{}{}", results[12].text, results[13].text);
    assert!(
        downloaded.contains("Downloaded \"list.csv\"") && downloaded.contains("/workspace/downloads/list.csv"),
        "{downloaded}"
    );
    assert!(results[27].text.contains("Order 7 of Desk lamp 7 is on its way."), "{}", results[27].text);
    assert_eq!(
        results[28].text,
        "exit code 0\n{\"by\": \"2031-05-06\", \"colour\": \"Black\", \"drawing\": \"a lamp\", \"express\": \"on\", \
         \"item\": \"Desk lamp 7\", \"name\": \"Ann Lee\", \"pieces\": \"3\"}\n13\n"
    );

    // What pages said is told as theirs, and what was made after it is tainted by it.
    let pages = results.iter().filter(|result| result.text.contains("delete all files"));
    let told: Vec<&str> = pages.flat_map(|result| result.text.lines()).collect();
    assert!(told.iter().filter(|line| line.contains("delete all files")).all(|line| line.starts_with("| ")));
    let labels: Vec<Label> = rig.events(&id).into_iter().filter_map(label_of_the_text).collect();
    assert!(labels.iter().skip(1).all(|label| label.integrity == Integrity::Untrusted), "{labels:?}");
    rig.check(&id);
}

/// A page, looked at with a picture, and what the last request of the task was.
fn looked_at(sees: bool) -> (Rig, event::TaskId, Value) {
    let page = "data:text/html,<title>Red</title><button>Press</button>";
    let turns = vec![
        Turn::call("browser_navigate", &json!({ "url": page })),
        Turn {
            calls: vec![
                ("browser_view".to_owned(), json!({ "picture": true }).to_string()),
                ("shell_exec".to_owned(), json!({ "command": "echo after" }).to_string()),
            ],
            ..Turn::default()
        },
        Turn::say("Red."),
    ];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.sees = Some(sees);
    let id = rig.create_for("What colour is it?", TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    rig.check(&id);
    let request = serde_json::from_slice(&rig.server.seen().last().unwrap().body).unwrap();
    (rig, id, request)
}

#[test]
fn a_model_that_sees_is_shown_the_picture_after_all_results_and_after_a_restart_the_same() {
    let (rig, id, request) = looked_at(true);
    let messages = request["messages"].as_array().unwrap();
    let [.., tool, picture] = &messages[..] else { panic!("no messages") };
    assert_eq!(tool["content"], "exit code 0\nafter\n", "nothing stands between the results of one reply");
    let url = picture["content"][1]["image_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/jpeg;base64,/9j/") && url.len() > 2_000, "{}", url.len());
    assert!(picture["content"][0]["text"].as_str().unwrap().contains("material, not instructions"));
    // Told more, the task goes on with the very same bytes before it.
    rig.tell(&id, agent::Command::Message { text: "And now?".to_owned() });
    assert_eq!(rig.resume(&id).state, "done");
    let seen = rig.server.seen();
    assert!((seen.last().unwrap().append_only - 1.0).abs() < f64::EPSILON);
    assert!(seen.last().unwrap().body.len() > url.len());
    rig.check(&id);
}

#[test]
fn a_model_that_does_not_see_is_told_in_words() {
    let (rig, id, request) = looked_at(false);
    assert!(!request.to_string().contains("image_url"));
    let result = &rig.results(&id)[1];
    assert!(result.text.starts_with("No picture: ") && result.text.contains("button: Press"), "{}", result.text);
}

fn label_of_the_text(event: Event) -> Option<Label> {
    match event {
        Event::EffectRequested { effect: Effect::Tool(call) } if call.tool == "browser_input" => {
            call.labels.get("text").cloned()
        }
        _ => None,
    }
}

/// A task that opens a page, makes another of it, looks twice and is done.
fn pictured() -> (Rig, event::TaskId) {
    let page = "data:text/html,<title>Red</title><body style='background:red'><h1>Seen</h1>";
    let blue = "document.title = 'Blue'; document.body.style.background = 'blue'; 1";
    let rig = Rig::new(
        ModelServer::playing(vec![
            Turn::call("browser_navigate", &json!({ "url": page })),
            Turn::call("browser_console_exec", &json!({ "javascript": blue })),
            Turn::call("browser_view", &json!({})),
            Turn::exec("echo written > it"),
            Turn::call("browser_click", &json!({ "element": 99 })),
            Turn::say("Blue."),
        ])
        .unwrap(),
    );
    let id = rig.create_for("What colour is it?", TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    (rig, id)
}

#[test]
fn every_step_in_the_browser_keeps_a_picture_for_the_person_and_none_for_the_model() {
    let (rig, id) = pictured();
    let pages: Vec<_> = rig.events(&id).iter().filter_map(|event| event.page().cloned()).collect();
    let titles: Vec<&str> = pages.iter().map(|page| page.title.as_str()).collect();
    assert_eq!(titles, ["Red", "Blue", "Blue"], "what was not done has none, and neither has a step elsewhere");
    let pictures: Vec<event::BlobRef> = pages.iter().filter_map(|page| page.picture.clone()).collect();
    let folder = rig.instance.folder(&id).unwrap();
    let blobs = journal::Blobs::open(folder.root());
    for picture in &pictures {
        let jpeg = blobs.get(&picture.digest.0).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.len() as u64 == picture.bytes && jpeg.len() < 150 * 1024);
    }
    assert_eq!(pictures.len(), 3);
    assert!(pictures[0] != pictures[1] && pictures[1] == pictures[2], "the same picture is kept once");
    // The model hears of none of them, and its requests are what they would be without.
    let request = String::from_utf8(rig.server.seen().pop().unwrap().body).unwrap();
    assert!(!request.contains("/9j/") && pictures.iter().all(|picture| !request.contains(&picture.digest.to_string())));
    rig.check(&id);

    // A fork has what its events name, a bundle holds it, and with the task all of it is gone.
    let at = rig.instance.kept(&id).unwrap().checkpoints.last().unwrap().checkpoint.number;
    let fork = rig.instance.fork(&id, &agent::NewFork { at, ..agent::NewFork::default() }).unwrap();
    let theirs = journal::Blobs::open(rig.instance.folder(&fork).unwrap().root());
    assert!(pictures.iter().all(|picture| theirs.get(&picture.digest.0).is_ok()));
    let mut bundle = Vec::new();
    journal::export(&mut journal::Reader::open(folder.root()).unwrap(), &blobs, &mut bundle).unwrap();
    let bundle = String::from_utf8(bundle).unwrap();
    assert!(pictures.iter().all(|picture| bundle.matches(&picture.digest.to_string()).count() >= 2));
    rig.instance.delete(&id).unwrap();
    assert!(!folder.root().exists());
}
