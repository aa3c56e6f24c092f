//! What a task's computer may reach: named beforehand, asked about, taken back; and what of it is on the record.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

use agent::{Command, NoFaults, Patience, Start};
use event::{Closed, Connection, Effect, Event, Outcome, TaskOptions};
use testkit::{ModelServer, Turn};

use crate::rig::{Rig, Seen};

/// A site on loopback that answers every request, and keeps those for `/hold` waiting for ever.
pub(crate) fn site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                if first.contains("/hold") {
                    let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nheld\n");
                    // Until the other side is gone.
                    lines.for_each(drop);
                    return;
                }
                let _ =
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
            });
        }
    });
    address
}

pub(crate) fn reaching(places: &[String]) -> TaskOptions {
    TaskOptions { allow_net: places.to_vec(), yes: true, ..TaskOptions::default() }
}

fn opened(events: &[Event]) -> Vec<Connection> {
    let opened = |event: &Event| match event {
        Event::ConnectionOpened { connection } => Some(connection.clone()),
        _ => None,
    };
    events.iter().filter_map(opened).collect()
}

pub(crate) fn closed(events: &[Event]) -> Vec<Closed> {
    let closed = |event: &Event| match event {
        Event::ConnectionClosed { closed } => Some(closed.clone()),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}

/// The rules of what policy said about places, in order.
pub(crate) fn rules(events: &[Event]) -> Vec<(Outcome, String)> {
    let reaches: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::EffectRequested { effect: Effect::Reach(reach) } => Some(reach.id),
            _ => None,
        })
        .collect();
    let decided = |event: &Event| match event {
        Event::EffectDecided { id, decision } if reaches.contains(id) => {
            Some((decision.outcome, decision.rules.join(" ")))
        }
        _ => None,
    };
    events.iter().filter_map(decided).collect()
}

#[test]
fn a_host_that_was_named_is_reached_and_it_is_on_the_record() {
    let address = site();
    let command = "curl -s http://shop.test/; env -u http_proxy curl -s http://shop.test/; \
                   curl -s -o /dev/null -w '%{http_code}\\n' http://169.254.169.254/";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    let id = rig.create(reaching(&[format!("Shop.Test=127.0.0.1:{}", address.port())]));
    assert_eq!(rig.run(&id).state, "done");
    let text = &rig.results(&id)[0].text;
    assert!(text.contains("hello\nhello\n403"), "{text}");
    let events = rig.events(&id);
    assert_eq!(rules(&events), [(Outcome::Allow, "declared-host".to_owned())], "one place, asked about once");
    let (opened, closed) = (opened(&events), closed(&events));
    assert_eq!((opened.len(), closed.len()), (2, 2), "{events:#?}");
    assert!(opened.iter().all(|one| (one.host.as_str(), one.port) == ("shop.test", 80) && one.effect.is_some()));
    assert!(
        closed.iter().all(|one| one.bytes_down > Some(50) && one.address == Some(address.to_string())),
        "{closed:?}"
    );
    let refused = events.iter().find_map(|event| match event {
        Event::ConnectionRefused { connection, refused } => Some((connection.host.as_str(), refused.rule.as_str())),
        _ => None,
    });
    assert_eq!(refused, Some(("169.254.169.254", "egress.address")));
    rig.check(&id);
}

#[test]
fn a_browser_reaches_a_named_host_by_its_name_alone_and_says_why_it_does_not_reach_another() {
    let address = site();
    let open = |url: &str| Turn::call("browser_navigate", &serde_json::json!({ "url": url }));
    let turns = vec![open("http://shop.test/"), open("http://other.test/"), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(reaching(&[format!("shop.test=127.0.0.1:{}", address.port())]));
    assert_eq!(rig.run(&id).state, "waiting");
    let results = rig.results(&id);
    assert!(results[0].text.contains("hello") && results[0].text.contains("http://shop.test/"), "{}", results[0].text);
    assert!(results[1].text.contains("the person has to allow it first"), "{}", results[1].text);
    let events = rig.events(&id);
    let named = (Outcome::Allow, "declared-host".to_owned());
    assert_eq!(rules(&events), [named, (Outcome::Ask, "other-host-asks".to_owned())]);
    assert!(opened(&events).iter().all(|one| one.host == "shop.test"), "{events:#?}");
    rig.check(&id);
}

#[test]
fn a_host_that_nobody_named_is_asked_about_and_no_yes_beforehand_answers() {
    let fetch = "curl -s http://shop.invalid/";
    let turns = vec![Turn::exec(fetch), Turn::exec(fetch), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(reaching(&[]));
    assert_eq!(rig.run(&id).state, "waiting");
    assert!(rig.results(&id)[0].text.contains("the person has to allow it first"), "{:?}", rig.results(&id));
    let approval = rig.instance.summary(&id).unwrap().approval.unwrap();
    assert!(approval.question.ends_with("connect to shop.invalid:80"), "{}", approval.question);
    assert_eq!(rig.go(&id, Start::Resume, &mut NoFaults).unwrap().state, "waiting", "nobody has said anything");
    rig.tell(&id, Command::Confirm { effect: Some(approval.effect), allowed: true, note: String::new() });
    assert_eq!(rig.resume(&id).state, "done");
    let text = &rig.results(&id)[1].text;
    assert!(text.contains("look shop.invalid up"), "it got as far as there is a way: {text}");
    let ask = (Outcome::Ask, "other-host-asks".to_owned());
    assert_eq!(rules(&rig.events(&id)), [ask, (Outcome::Allow, "other-host-asks answer".to_owned())]);
    let told = String::from_utf8_lossy(&rig.server.seen().last().unwrap().body).into_owned();
    assert!(told.contains("your computer may now connect to shop.invalid, port 80"), "{told}");
    rig.check(&id);
}

#[test]
fn a_program_waits_while_the_person_thinks() {
    for (allowed, expected) in [(true, "look shop.invalid up"), (false, "the person said no")] {
        let command = "curl -s http://shop.invalid/; curl -s http://shop.invalid/";
        let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
        let id = rig.create(reaching(&[]));
        let summary = rig.go_saying(&id, Start::Fresh, Patience::Stay, |seen| match seen {
            Seen::Event(Event::ApprovalRequested { .. }) => {
                Some(Command::Confirm { effect: None, allowed, note: String::new() })
            }
            _ => None,
        });
        assert_eq!(summary.state, "done");
        let text = &rig.results(&id)[0].text;
        assert_eq!(text.matches(expected).count(), 2, "asked once, and it holds for both: {text}");
        rig.check(&id);
    }
}

#[test]
fn what_was_named_can_be_taken_back() {
    let address = site();
    let command = "curl -sN --max-time 60 http://shop.test/hold; echo \"cut $?\"; curl -s http://shop.test/";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    let id = rig.create(reaching(&[format!("shop.test:80={address}")]));
    let mut said = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Event(Event::ConnectionOpened { .. }) if !std::mem::replace(&mut said, true) => {
            Some(Command::Options { options: reaching(&[]), was: None })
        }
        _ => None,
    });
    assert_eq!(summary.state, "done");
    let events = rig.events(&id);
    let text = &rig.results(&id)[0].text;
    assert!(
        text.contains("cut ") && text.contains("it may not be reached any more"),
        "nor is there a way back: {text}"
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::GrantEnded { refused, .. } if refused.rule == "egress.revoked"))
    );
    let cut = closed(&events);
    assert_eq!(cut[0].refused.as_ref().map(|refused| refused.rule.as_str()), Some("egress.revoked"), "{cut:?}");
    rig.check(&id);
}

#[test]
fn without_an_authority_secrets_go_over_no_tls_and_connections_live_side_by_side() {
    let address = site();
    let place = format!("api.test:80={address}");
    let command = "curl -sN --max-time 60 http://api.test/hold > kept & \
                   until grep -q held kept 2>/dev/null; do sleep 0.01; done; curl -s http://api.test/; kill $!";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    std::fs::create_dir(rig.folder.path().join("home")).unwrap();
    rig.instance.secrets().set("API_KEY", "a-value", std::slice::from_ref(&place)).unwrap();
    let id = rig.create(TaskOptions { secrets: vec!["API_KEY".to_owned()], ..reaching(&[place]) });
    // Whatever is there is no key, and none can be written.
    std::fs::create_dir(rig.instance.folder(&id).unwrap().root().join("egress.key")).unwrap();
    assert_eq!(rig.run(&id).state, "done");
    assert!(rig.results(&id)[0].text.contains("hello"), "{:?}", rig.results(&id));
    let closed = closed(&rig.events(&id));
    assert_eq!(closed.len(), 2);
    assert!(closed.iter().all(|one| one.refused.as_ref().is_none_or(|why| why.rule == "egress.over")), "{closed:?}");
    rig.check(&id);
}

#[test]
fn a_secret_that_is_removed_takes_no_other_out_of_a_task() {
    let rig = Rig::new(
        ModelServer::playing(vec![Turn::exec("echo \"[$KEY_A] [$KEY_B] $SSL_CERT_FILE\""), Turn::say("done")]).unwrap(),
    );
    std::fs::create_dir(rig.folder.path().join("home")).unwrap();
    let names = ["KEY_A", "KEY_B"].map(str::to_owned);
    for name in &names {
        rig.instance.secrets().set(name, "a-value", &["api.test".to_owned()]).unwrap();
    }
    let id = rig.create(TaskOptions { secrets: names.to_vec(), ..reaching(&[]) });
    assert!(rig.instance.secrets().remove("KEY_A").unwrap());
    assert_eq!(rig.run(&id).state, "done");
    let text = &rig.results(&id)[0].text;
    assert!(text.contains("[] [thenar-secret-key_b-") && text.contains("certificates.pem"), "{text}");
    rig.check(&id);
}

#[test]
fn connections_without_end_are_counted_and_no_longer_named() {
    let address = site();
    let script = "import urllib.request as r\nfor _ in range(230): r.urlopen('http://shop.test/').read()";
    let command = format!(
        "python3 -c \"{script}\" && for i in $(seq 30); do curl -s http://10.0.0.1/ >/dev/null; done; \
         curl -s -X 'NO REQUEST' http://shop.test/ >/dev/null"
    );
    let rig = Rig::new(
        ModelServer::playing(vec![
            Turn::exec(&command),
            Turn::call("shell_wait", &serde_json::json!({ "id": "e2", "seconds": 60 })),
            Turn::say("done"),
        ])
        .unwrap(),
    );
    let id = rig.create(reaching(&[format!("shop.test:80={address}")]));
    assert_eq!(rig.run(&id).state, "done");
    let events = rig.events(&id);
    assert_eq!((opened(&events).len(), closed(&events).len()), (200, 200));
    let counted = |host: &str| -> (u64, u64, u64) {
        let of = events.iter().filter_map(|event| match event {
            Event::ConnectionsCounted { counted } if counted.host == host => Some(counted),
            _ => None,
        });
        of.fold((0, 0, 0), |sum, one| (sum.0 + one.opened, sum.1 + one.refused, sum.2 + one.bytes_down))
    };
    let (opened, refused, down) = counted("shop.test");
    assert!((opened, refused) == (30, 0) && down > 30 * 50, "{opened} {refused} {down}");
    assert_eq!(counted("10.0.0.1"), (0, 10, 0));
    assert_eq!(counted(""), (0, 1, 0), "of what names no host the number is told");
    rig.check(&id);
}

#[test]
fn a_host_that_was_named_by_itself_is_reached_after_any_number_of_others() {
    let address = site();
    let script = "import socket\n\
        for number in range(300):\n\
        \x20   line = socket.create_connection(('127.0.0.1', 3128))\n\
        \x20   line.sendall(b'GET http://%d.evil.test/ HTTP/1.1\\r\\n\\r\\n' % number)\n\
        \x20   assert line.recv(12) == b'HTTP/1.1 403'";
    let others = "curl -s http://shop.test/; curl -s http://a.shop.invalid/";
    let command = format!("python3 - <<'END'\n{script}\nEND\necho asked; {others}");
    let turns = vec![
        Turn::exec(&command),
        Turn::call("shell_wait", &serde_json::json!({ "id": "e2", "seconds": 60 })),
        Turn::say("done"),
    ];
    let only = "@id(\"no-other\") @reason(\"nobody named it\")\n\
                forbid (principal, action == Action::\"network_connect\", resource) when { context.network.host like \"*.evil.test\" };";
    let rules = format!("{}\n{only}", policy::Engine::default_policy());
    let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), &rules);
    let id = rig.create(reaching(&[format!("shop.test:80={address}"), "*.shop.invalid".to_owned()]));
    assert_eq!(rig.run(&id).state, "done");
    let results = rig.results(&id);
    let text: String = results.iter().map(|result| result.text.as_str()).collect();
    assert!(text.contains("asked\nhello\n") && text.contains("look a.shop.invalid up"), "{text}");
    let judged = self::rules(&rig.events(&id));
    assert_eq!(
        judged.iter().filter(|(outcome, _)| *outcome == Outcome::Deny).count(),
        256,
        "no more are put on the record"
    );
    rig.check(&id);
}

#[test]
fn a_host_that_the_policy_file_lets_through_is_not_asked_about_and_another_is() {
    let command = "curl -s http://mirror.invalid/; curl -s http://other.invalid/";
    let turns = vec![Turn::exec(command), Turn::say("done")];
    let asks = "when { !context.network.declared };\n//@ ask";
    let ours = "when { !context.network.declared && !([\"mirror.invalid\"].contains(context.network.host)) };\n//@ ask";
    let usual = policy::Engine::default_policy();
    let (before, after) = usual.rsplit_once(asks).unwrap();
    let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), &format!("{before}{ours}{after}"));
    let id = rig.create(reaching(&[]));
    let summary = rig.run(&id);
    assert_eq!(summary.state, "waiting");
    assert!(summary.approval.is_some_and(|asked| format!("{asked:?}").contains("other.invalid")));
    // Permitted, it was looked up, and found nowhere.
    let text = &rig.results(&id)[0].text;
    assert!(text.contains("look mirror.invalid up"), "{text}");
    let judged = self::rules(&rig.events(&id));
    assert_eq!(judged[0], (Outcome::Allow, "other-host".to_owned()), "{judged:?}");
    rig.check(&id);
}

/// A page says each of the network's rules in its own language: one that is not in the vocabulary would stay English there.
#[test]
fn every_rule_of_the_network_is_in_the_vocabulary() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = std::collections::BTreeSet::new();
    for folder in ["../sandbox/src/egress", "src", "src/run"] {
        for file in std::fs::read_dir(root.join(folder)).unwrap() {
            let Ok(text) = std::fs::read_to_string(file.unwrap().path()) else { continue };
            let named = text.split('"').filter(|part| part.starts_with("egress."));
            used.extend(named.map(str::to_owned));
        }
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), event::NETWORK_RULES);
}
