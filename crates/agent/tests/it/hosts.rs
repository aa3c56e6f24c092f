//! A person changes what a task may reach: while it works, while it waits, and after they had said yes.

use agent::{Command, Patience, Start};
use event::{Event, Outcome, TaskOptions};
use testkit::{ModelServer, Turn};

use crate::network::{closed, reaching, rules, site};
use crate::rig::{Rig, Seen};

fn hosts(allow: &[&str], deny: &[&str]) -> Command {
    let all = |places: &[&str]| places.iter().map(|place| (*place).to_owned()).collect();
    Command::Hosts { allow: all(allow), deny: all(deny) }
}

fn changes(events: &[Event]) -> Vec<Vec<String>> {
    let changed = |event: &Event| match event {
        Event::HostsChanged { allow_net } => Some(allow_net.clone()),
        _ => None,
    };
    events.iter().filter_map(changed).collect()
}

#[test]
fn a_host_that_is_taken_away_is_cut_at_once_and_another_goes_on() {
    let address = site();
    let place = |host: &str| format!("{host}:80={address}");
    let command = "curl -sN --max-time 60 http://kept.test/hold > kept & \
                   until grep -q held kept 2>/dev/null; do sleep 0.01; done; \
                   curl -sN --max-time 60 http://gone.test/hold; echo \"cut $?\"; curl -s http://gone.test/; \
                   kill -0 $! && echo 'the other is open'; until curl -s http://new.test/ | grep hello; do sleep 0.01; done";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    let id = rig.create(reaching(&[place("kept.test"), place("gone.test")]));
    let (change, mut said) = (hosts(&[&place("new.test")], &["gone.test"]), false);
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Event(Event::ConnectionOpened { connection }) if connection.host == "gone.test" && !said => {
            said = true;
            Some(change.clone())
        }
        _ => None,
    });
    assert_eq!(summary.state, "done");
    let text = &rig.results(&id)[0].text;
    assert!(text.contains("it may not be reached any more") && text.contains("cut "), "{text}");
    assert!(text.contains("the other is open") && text.contains("hello"), "{text}");
    let events = rig.events(&id);
    assert_eq!(changes(&events), [[place("kept.test"), place("new.test")]]);
    assert_eq!(summary.options.allow_net, [place("kept.test"), place("new.test")]);
    let cut =
        closed(&events).into_iter().find(|one| one.refused.as_ref().is_some_and(|why| why.rule == "egress.revoked"));
    assert!(cut.is_some(), "{events:#?}");
    let told = String::from_utf8_lossy(&rig.server.seen().last().unwrap().body).into_owned();
    assert!(told.contains("The person has changed the hosts") && told.contains("new.test"), "{told}");
    rig.check(&id);
}

#[test]
fn a_host_that_is_given_another_address_is_cut_off_from_the_old_one() {
    for by_options in [true, false] {
        it_is_cut_off_from_the_old_address(by_options);
    }
}

fn it_is_cut_off_from_the_old_address(by_options: bool) {
    let (old, new) = (site(), site());
    let place = |address| format!("shop.test:80={address}");
    let named = |address| reaching(&[place(address)]);
    let command = "curl -sN --max-time 60 http://shop.test/hold; echo \"cut $?\"; curl -s http://shop.test/";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    let id = rig.create(named(old));
    let mut said = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Event(Event::ConnectionOpened { .. }) if !std::mem::replace(&mut said, true) => Some(if by_options {
            Command::Options { options: named(new), was: None }
        } else {
            hosts(&[&place(new)], &[])
        }),
        _ => None,
    });
    assert_eq!(summary.state, "done");
    let text = &rig.results(&id)[0].text;
    assert!(text.contains("cut ") && text.contains("hello"), "{text}");
    let mut closed = closed(&rig.events(&id));
    closed.sort_by_key(|one| one.number);
    let rule = |at: usize| closed[at].refused.as_ref().map(|refused| refused.rule.as_str());
    assert_eq!((closed.len(), rule(0), rule(1)), (2, Some("egress.revoked"), None), "{closed:?}");
    assert_eq!(closed[1].address, Some(new.to_string()));
    rig.check(&id);
}

#[test]
fn a_yes_to_a_question_can_be_taken_back_while_a_program_goes_on_asking() {
    let command = "until curl -s http://shop.invalid/ | tee out | grep -q 'any more'; do sleep 0.01; done; cat out";
    let rig = Rig::new(ModelServer::playing(vec![Turn::exec(command), Turn::say("done")]).unwrap());
    let id = rig.create(reaching(&[]));
    let mut said = false;
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Stay, |seen| match seen {
        Seen::Event(Event::ApprovalRequested { .. }) => {
            Some(Command::Confirm { effect: None, allowed: true, note: String::new() })
        }
        // It was let through; there is nobody of that name.
        Seen::Event(Event::ConnectionClosed { .. }) if !std::mem::replace(&mut said, true) => {
            Some(hosts(&[], &["shop.invalid"]))
        }
        _ => None,
    });
    assert_eq!((summary.state, summary.answered_net.len()), ("done", 0));
    let events = rig.events(&id);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::GrantEnded { refused, .. } if refused.rule == "egress.revoked"))
    );
    let answers: Vec<bool> = events
        .iter()
        .filter_map(|event| if let Event::ApprovalAnswered { allowed, .. } = event { Some(*allowed) } else { None })
        .collect();
    assert_eq!((answers, changes(&events).len()), (vec![true, false], 0));
    rig.check(&id);
}

#[test]
fn at_rest_naming_a_host_answers_the_question_about_it_and_taking_it_away_holds_at_the_next_start() {
    let fetch = "curl -s http://shop.test/";
    let turns = vec![Turn::exec(fetch), Turn::exec(fetch), Turn::say("done"), Turn::exec(fetch), Turn::say("over")];
    let (rig, address) = (Rig::new(ModelServer::playing(turns).unwrap()), site());
    let id = rig.create(reaching(&[]));
    assert_eq!(rig.run(&id).state, "waiting");
    let place = format!("shop.test:80={address}");
    rig.tell(&id, hosts(&[&place], &[]));
    let summary = rig.instance.summary(&id).unwrap();
    assert!(summary.approval.is_none(), "{summary:?}");
    assert_eq!(rig.resume(&id).state, "done");
    assert!(rig.results(&id)[1].text.contains("hello"), "{:?}", rig.results(&id));
    rig.tell(&id, hosts(&[], &["shop.test"]));
    let summary = rig.instance.summary(&id).unwrap();
    assert_eq!((summary.options.allow_net.len(), summary.answered_net.len()), (0, 0));
    rig.tell(&id, Command::Message { text: "again".to_owned() });
    assert_eq!(rig.resume(&id).state, "done");
    assert!(rig.results(&id)[2].text.contains("the person said no"), "{:?}", rig.results(&id));
    let last = rules(&rig.events(&id)).pop();
    assert_eq!(last.map(|(outcome, _)| outcome), Some(Outcome::Deny));
    rig.check(&id);
}

#[test]
fn options_that_name_a_host_answer_the_question_about_it() {
    let (fetch, address) = ("curl -s http://shop.test/", site());
    let turns = vec![Turn::exec(fetch), Turn::exec(fetch), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(reaching(&[]));
    assert_eq!(rig.run(&id).state, "waiting");
    rig.tell(&id, Command::Options { options: reaching(&["other.test".to_owned()]), was: None });
    assert!(rig.instance.summary(&id).unwrap().approval.is_some(), "they say nothing of it");
    rig.tell(&id, Command::Options { options: reaching(&[format!("shop.test:80={address}")]), was: None });
    assert!(rig.instance.summary(&id).unwrap().approval.is_none());
    assert_eq!(rig.resume(&id).state, "done");
    assert!(rig.results(&id)[1].text.contains("hello"), "{:?}", rig.results(&id));
    rig.check(&id);
}

#[test]
fn limits_that_were_read_before_a_host_was_taken_away_do_not_bring_it_back() {
    let rig = Rig::new(ModelServer::playing(vec![Turn::say("done")]).unwrap());
    let id = rig.create(reaching(&["shop.test".to_owned()]));
    let read = rig.instance.summary(&id).unwrap().options;
    rig.tell(&id, hosts(&[], &["shop.test"]));
    let say = |was: &TaskOptions| {
        let options = TaskOptions { max_steps: Some(7), ..was.clone() };
        rig.instance.command(&id, Command::Options { options, was: Some(Box::new(was.clone())) })
    };
    let now = || rig.instance.summary(&id).unwrap().options;
    let (agent::Reached::Holder(answer) | agent::Reached::Recorded(answer)) = say(&read).unwrap();
    assert_eq!((answer.accepted, answer.because), (false, Some(agent::Because::OptionsChanged)));
    assert_eq!((now().allow_net.len(), now().max_steps), (0, None));
    say(&now()).unwrap();
    assert_eq!((now().allow_net.len(), now().max_steps), (0, Some(7)));
    rig.check(&id);
}

#[test]
fn what_would_not_hold_is_refused_in_words() {
    let rig = Rig::new(ModelServer::playing(vec![Turn::say("done")]).unwrap());
    let named = ["*.shop.test".to_owned(), "a.shop.test:8443".to_owned(), "pypi.org".to_owned()];
    let id = rig.create(reaching(&named));
    let say = |allow: &[&str], deny: &[&str]| {
        let (agent::Reached::Holder(answer) | agent::Reached::Recorded(answer)) =
            rig.instance.command(&id, hosts(allow, deny)).unwrap();
        (answer.accepted, answer.text)
    };
    let refused = |deny: &str, why: &str| {
        let (accepted, text) = say(&[], &[deny]);
        assert!(!accepted && text.contains(why), "{deny}: {text}");
    };
    refused("b.shop.test", "may still be reached through *.shop.test");
    refused("other.test", "is not among what the task may reach");
    refused("pypi.org:8443", "is not among what the task may reach");
    refused("pypi.org:443", "may still be reached through pypi.org");
    refused("a b", "a b");
    assert!(!say(&["http://x"], &[]).0);
    assert_eq!(
        say(&["pypi.org"], &[]),
        (true, "nothing changes: it may reach *.shop.test, a.shop.test:8443, pypi.org".to_owned())
    );
    // A wide one takes all below it along.
    assert_eq!(say(&[], &["*.shop.test"]), (true, "it may reach pypi.org".to_owned()));
    assert_eq!(say(&["a.test"], &["*"]), (true, "it may reach a.test".to_owned()));
    assert_eq!(changes(&rig.events(&id)), [["pypi.org"], ["a.test"]]);
    rig.check(&id);
}
