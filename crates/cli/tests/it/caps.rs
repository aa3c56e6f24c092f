//! What a task may use in all, while its engine is killed again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;
use serde_json::json;
use testkit::{Answer, ModelServer};

use crate::desk::{Desk, call, exec, say, until};

/// What may be sent to one host.
const SENT_MAX: u64 = 256 << 20;
/// What two kills may cost: of what is on its way in each of two connections, and what is written ahead.
const LOST_MAX: u64 = 64 << 20;

/// A site that takes whatever is sent; its port, and how many bytes of bodies have come.
fn sink() -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, came) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&came);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let mut reader = BufReader::with_capacity(64 << 10, &stream);
                let mut lines = reader.by_ref().lines().map_while(Result::ok);
                let gets = lines.next().is_some_and(|line| line.starts_with("GET "));
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                while !gets
                    && let Ok(come) = reader.fill_buf().map(<[u8]>::len).map_err(drop)
                    && come > 0
                {
                    count.fetch_add(u64::try_from(come).unwrap(), Ordering::Relaxed);
                    reader.consume(come);
                }
                let _ =
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
            });
        }
    });
    (port, came)
}

#[test]
fn no_more_is_sent_to_a_host_than_may_be_though_the_engine_is_killed_twice_meanwhile() {
    let desk = Desk::new();
    let (port, came) = sink();
    let place = format!("shop.test:80=127.0.0.1:{port}");
    // The first engine names no connection any more when the large ones begin: of those nothing is on the record.
    let command = "python3 -c \"import urllib.request as r\nfor _ in range(205): r.urlopen('http://shop.test/').read()\"; \
                   truncate -s 200M big; touch begun; \
                   for round in 1 2 3 4 5 6; do for one in 1 2; do \
                   curl -s -o /dev/null -H Expect: -T big http://shop.test/ & done; wait; done; rm big; \
                   curl -s http://shop.test/";
    let wait = call("shell_wait", json!({ "id": "e2", "seconds": 60 }));
    let script = desk.script(&[exec(command), wait, say("Finished.")]);
    let come = || came.load(Ordering::Relaxed);
    let mut running = desk.start(&["run", "--model", &script, "--id", "t-one", "--allow-net", &place, "Send it"]);
    for part in [SENT_MAX / 4, SENT_MAX / 2] {
        until("enough has come for a kill", || come() > part);
        running.signal(Signal::KILL);
        running.end().code(1_009);
        running = desk.start(&["task", "resume", "t-one"]);
    }
    running.end().code(0).puts_out("Finished.\n");
    let results = desk.results("t-one").join("\n");
    assert!(results.contains(&format!("more than {SENT_MAX} bytes would be sent to it")), "{results}");
    assert!((SENT_MAX - LOST_MAX..=SENT_MAX).contains(&come()), "{} bytes came", come());

    // The record knows of it: of what was cut, how much it was at the most.
    let (mut at_most, mut sent) = (0, 0);
    for event in desk.events("t-one") {
        let counted = &event["counted"];
        at_most += if counted["at_most"] == true { counted["bytes_up"].as_u64().unwrap() } else { 0 };
        sent += event["closed"]["bytes_up"].as_u64().or(counted["bytes_up"].as_u64()).unwrap_or(0);
    }
    assert!(at_most > SENT_MAX / 4 && sent >= come() && sent <= SENT_MAX, "{at_most} {sent} {}", come());
    desk.run(&["journal", "verify", "t-one"]).code(0);
}

#[test]
fn a_cap_on_cost_holds_though_the_engine_is_killed_in_the_middle_of_each_call() {
    let server = ModelServer::start(|_, _| Answer::Silence).unwrap();
    let desk = Desk::new().with("OPENAI_BASE_URL", &server.base_url());
    desk.config("[models.\"openai:scripted\"]\ninput_price = 1.0\noutput_price = 10.0\nmax_output = 100\n");
    let killed = |arguments: &[&str], requests: usize| {
        let running = desk.start(arguments);
        assert!(server.wait_for(requests));
        running.signal(Signal::KILL);
        running.end().code(1_009);
    };
    killed(&["run", "--model", "openai:scripted", "--id", "t-one", "--max-cost", "1", "Work"], 1);
    let reserved = desk.events("t-one").iter().find_map(|event| event["effect"]["reserved"].as_u64()).unwrap();
    // Room for two calls and not for three: each may have been charged for.
    let cap = format!("{:.6}", reserved as f64 * 2.5 / 1e6);
    killed(&["task", "resume", "t-one", "--max-cost", &cap], 2);
    let ran = desk.run(&["task", "resume", "t-one", "--json"]).code(3);
    assert_eq!(ran.json()["cause"], json!({ "limit": "cost" }));
    assert_eq!(server.seen().len(), 2, "a third call was made");
}
