//! What a task may reach, shown and changed from another process while it works, and at rest.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;

use crate::desk::{Desk, exec, say, until};

/// A site that answers, and keeps whoever asks for `/hold` waiting; its port, and how many wait.
fn site() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, waiting) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&waiting);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                if first.contains("/hold") {
                    count.fetch_add(1, Ordering::Relaxed);
                    let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nheld\n");
                    lines.for_each(drop);
                    count.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                let _ =
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
            });
        }
    });
    (port, waiting)
}

#[test]
fn hosts_are_added_and_taken_away_from_another_process_while_the_task_works() {
    let desk = Desk::new();
    let place = format!("shop.test:80=127.0.0.1:{}", site().0);
    let command = "touch begun; until curl -s http://shop.test/ | grep hello; do sleep 0.01; done; \
                   curl -sN http://shop.test/hold | tee held; echo cut; curl -s http://shop.test/";
    let script = desk.script(&[exec(command), say("done")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "Fetch it"]);
    desk.until_there(&desk.task("t-one").join("workspace/begun"));
    desk.run(&["task", "hosts", "t-one", "--allow", &place]).code(0).puts_out(&format!("{place}\n"));
    let held = desk.task("t-one").join("workspace/held");
    until("the download is open", || std::fs::read(&held).is_ok_and(|text| text == b"held\n"));
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
    desk.run(&["task", "hosts", "t-one", "--allow", "http://x"])
        .code(2)
        .says("the host \"http://x\": the name is not one that there can be; write the host alone, without http://");
    let told = desk.run(&["task", "hosts", "t-one", "--deny", "*", "--allow", "Example.ORG:8443", "--json"]).code(0);
    assert_eq!(told.json(), json!({ "id": "t-one", "allow_net": ["example.org:8443"], "answered": [] }));
    desk.run(&["task", "hosts", "t-none"]).code(2);
}

#[test]
fn an_engine_killed_in_the_middle_of_downloads_leaves_nothing_open_and_the_next_one_lets_nothing_else_through() {
    let desk = Desk::new();
    let (port, waiting) = site();
    let place = format!("shop.test:80=127.0.0.1:{port}");
    // By name alone, through the proxy, through a tunnel, and by SOCKS.
    let ways = [
        "--noproxy '*'",
        "-x http://127.0.0.1:3128",
        "-p -x http://127.0.0.1:3128",
        "--socks5-hostname 127.0.0.1:1080",
    ];
    let each = |(number, way): (usize, &&str)| format!("curl -sN {way} http://shop.test/hold > got{number} & ");
    let downloads: String = ways.iter().enumerate().map(each).collect();
    let command = format!(
        "{downloads} wait; echo all cut; curl -s http://shop.test/; \
         curl -s -o /dev/null -w '%{{http_code}}\\n' http://10.0.0.1/; curl -s http://other.test/"
    );
    let script = desk.script(&[exec(&command), say("Finished.")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "--allow-net", &place, "Fetch"]);
    let got = |number: usize| desk.task("t-one").join(format!("workspace/got{number}"));
    until("all downloads are under way", || {
        (0..ways.len()).all(|number| std::fs::read(got(number)).is_ok_and(|text| text == b"held\n"))
    });
    assert_eq!(waiting.load(Ordering::Relaxed), ways.len());
    running.signal(Signal::KILL);
    running.end().code(1_009);
    until("nothing is left open", || waiting.load(Ordering::Relaxed) == 0);
    assert!(desk.has_computer("t-one"));

    // The task goes on; a host that nobody named is asked about, as before.
    desk.run(&["task", "resume", "t-one"]).code(4).says("connect to other.test:80");
    let result = &desk.results("t-one")[0];
    assert!(result.contains("all cut") && result.contains("hello") && result.contains("403"), "{result}");
    assert!(result.contains("the person has to allow it first"), "{result}");
    let events = desk.events("t-one");
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).cloned().collect::<Vec<_>>();
    let ends: BTreeMap<u64, String> = of("connection_closed")
        .iter()
        .map(|end| {
            let (number, rule) = (&end["closed"]["number"], &end["closed"]["refused"]["rule"]);
            (number.as_u64().unwrap(), rule.as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let opened: Vec<u64> =
        of("connection_opened").iter().map(|one| one["connection"]["number"].as_u64().unwrap()).collect();
    assert_eq!((opened.len(), of("connection_closed").len()), (ways.len() + 1, ways.len() + 1), "each has one end");
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), opened);
    let gone = ends.values().filter(|rule| *rule == "egress.engine_gone").count();
    // Some had come down of each, and nobody knows how much: that is what the record says, and no number.
    for end in of("connection_closed") {
        let (closed, gone) = (&end["closed"], end["closed"]["refused"]["rule"] == "egress.engine_gone");
        for field in ["bytes_up", "bytes_down", "ms"] {
            assert_eq!(closed.get(field).is_none(), gone, "{end}");
        }
    }
    let shown = desk.run(&["journal", "show", "t-one"]).code(0);
    assert!(shown.out.contains("\"bytes_down\":\"unknown\""), "{}", shown.out);
    assert_eq!((gone, ends.values().filter(|rule| rule.is_empty()).count()), (ways.len(), 1), "{ends:?}");
    desk.run(&["task", "confirm", "t-one", "--deny"]).code(0);
    desk.run(&["task", "resume", "t-one"]).code(0).puts_out("Finished.\n");
    desk.run(&["journal", "verify", "t-one"]).code(0);
    assert!(!desk.has_computer("t-one"));
}

#[test]
fn a_task_that_waits_goes_on_with_one_more_host_and_one_more_secret() {
    let desk = Desk::new().with("THENAR_ALLOW_NET", "always.test");
    let (port, _) = site();
    let place = format!("api.test:80=127.0.0.1:{port}");
    desk.run_reading(&["secret", "set", "API_KEY", "--host", &place], b"sk-4f1e9c77\n").code(0);
    let ask = crate::desk::call("message_ask_user", json!({ "text": "May I?" }));
    let script =
        desk.script(&[exec("echo \"it is [$API_KEY]\""), ask, exec("echo \"it is [$API_KEY]\""), say("Finished.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--allow-net", "pypi.org", "Use it"]).code(4);
    // The same computer, which was made before the task had the secret.
    assert!(desk.has_computer("t-one"));
    desk.run(&["task", "hosts", "t-one", "--deny", "always.test"]).code(0);
    desk.run(&["task", "send", "t-one", "yes"]).code(0);
    desk.run(&["task", "resume", "t-one", "--secret", "NO_KEY"]).code(2).says("there is no secret NO_KEY");
    desk.run(&["task", "resume", "t-one", "--secret", "API_KEY", "--allow-net", "example.net"]).code(0);
    desk.run(&["task", "hosts", "t-one"]).code(0).puts_out(&format!("pypi.org\nexample.net\n{place}\n"));
    let results = desk.results("t-one");
    let said: Vec<&String> = results.iter().filter(|text| text.contains("it is [")).collect();
    assert!(said[0].contains("it is []") && said[1].contains("it is [thenar-secret-api_key-"), "{said:?}");
}
