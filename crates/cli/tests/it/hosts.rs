//! What a task may reach, shown and changed from another process while it works, and at rest.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::desk::{Desk, exec, say};

/// A site that answers, and keeps whoever asks for `/hold` waiting.
fn site() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                if first.contains("/hold") {
                    let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nheld\n");
                    return lines.for_each(drop);
                }
                let _ =
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
            });
        }
    });
    port
}

#[test]
fn hosts_are_added_and_taken_away_from_another_process_while_the_task_works() {
    let desk = Desk::new();
    let place = format!("shop.test:80=127.0.0.1:{}", site());
    let command = "touch begun; until curl -s http://shop.test/ | grep hello; do sleep 0.01; done; \
                   curl -sN http://shop.test/hold | tee held; echo cut; curl -s http://shop.test/";
    let script = desk.script(&[exec(command), say("done")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Fetch it"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    desk.run(&["task", "hosts", "t-one", "--allow", &place]).code(0).puts_out(&format!("{place}\n"));
    let held = desk.task("t-one").join("workspace/held");
    crate::desk::until("the download is open", || std::fs::read(&held).is_ok_and(|text| text == b"held\n"));
    desk.run(&["task", "hosts", "t-one", "--deny", "shop.test"])
        .code(0)
        .says("It may reach no host without a question.");
    running.end();
    let result = &desk.results("t-one")[0];
    assert!(result.contains("hello") && result.contains("cut") && result.contains("any more"), "{result}");
    let lists: Vec<_> = desk.events("t-one").into_iter().filter(|event| event["event"] == "hosts_changed").collect();
    assert_eq!(lists.iter().map(|event| event["allow_net"].clone()).collect::<Vec<_>>(), [json!([place]), json!([])]);
}

#[test]
fn hosts_of_a_task_at_rest_are_changed_and_what_is_none_is_refused() {
    let desk = Desk::new();
    let script = desk.script(&[say("done")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--allow-net", "pypi.org,*.shop.test", "Fetch it"]).code(0);
    desk.run(&["task", "hosts", "t-one"]).code(0).puts_out("pypi.org\n*.shop.test\n");
    let why = "a.shop.test may still be reached through *.shop.test: take that away";
    desk.run(&["task", "hosts", "t-one", "--deny", "a.shop.test"]).code(2).says(why);
    desk.run(&["task", "hosts", "t-one", "--allow", "http://x"]).code(2).says("allow-net \"http://x\"");
    let told = desk.run(&["task", "hosts", "t-one", "--deny", "*", "--allow", "Example.ORG:8443", "--json"]).code(0);
    assert_eq!(told.json(), json!({ "id": "t-one", "allow_net": ["example.org:8443"], "answered": [] }));
    desk.run(&["task", "hosts", "t-none"]).code(2);
}
