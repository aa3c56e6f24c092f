//! A driver that has no way out and no browser: who asks for them is refused in words, and nobody makes the computer in its
//! place.

use agent::{Error, NewFork, NewTask};
use event::{Event, TaskOptions, ToolStatus};
use sandbox::Driver;
use serde_json::json;
use testkit::{ModelServer, Turn};

use crate::rig::Rig;

fn reaching() -> TaskOptions {
    TaskOptions { allow_net: vec!["example.org".to_owned()], yes: true, ..TaskOptions::default() }
}

#[test]
fn hosts_and_secrets_are_refused_when_a_task_is_made_forked_and_taken_up() {
    let turns = vec![Turn::exec("echo here > file"), Turn::say("done")];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(reaching());
    rig.instance.secrets().set("KEY", "a value of some length", &["example.org".to_owned()]).unwrap();
    let refused = |rig: &Rig, options: TaskOptions| {
        let task =
            NewTask { brief: "x".to_owned(), model: "openai:scripted".to_owned(), options, ..NewTask::default() };
        match rig.instance.create(task) {
            Err(Error::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    rig.made_by(Driver::Bwrap);
    for options in [reaching(), TaskOptions { secrets: vec!["KEY".to_owned()], ..TaskOptions::default() }] {
        let text = refused(&rig, options);
        assert!(text.contains("the driver bwrap makes no way out") && text.contains("THENAR_COMPUTER"), "{text}");
    }
    // Made while another driver was in use: it does not run without what it was promised, and says why.
    for start in ["fresh", "again"] {
        let summary = if start == "fresh" { rig.run(&id) } else { rig.resume(&id) };
        assert_eq!(summary.state, "stopped", "{start}");
        let Some(Event::TaskEnded { reason, .. }) = rig.events(&id).pop() else { panic!("{:?}", rig.events(&id)) };
        assert!(reason.contains("hosts were named") && reason.contains("take the driver native"), "{reason}");
    }
    assert!(rig.server.seen().is_empty(), "the model was not asked");
    rig.made_by(Driver::Native);
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!(rig.workspace_file(&id, "file"), "here\n");
    rig.made_by(Driver::Bwrap);
    let at = rig.events(&id).iter().filter(|event| event.kind() == "checkpoint_made").count() as u64;
    let fork = NewFork { at: at.max(1), ..NewFork::default() };
    assert!(matches!(rig.instance.fork(&id, &fork), Err(Error::Invalid(text)) if text.contains("no way out")));
    rig.check(&id);
}

#[test]
fn a_task_without_them_runs_is_offered_no_browser_and_told_that_there_is_none() {
    let turns = vec![
        Turn::call("browser_navigate", &json!({ "url": "data:text/html,x" })),
        Turn::exec("echo here"),
        Turn::say("done"),
    ];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.made_by(Driver::Bwrap);
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "done");
    let results = rig.results(&id);
    assert_eq!((results[0].status, results[1].text.as_str()), (ToolStatus::Failed, "exit code 0\nhere\n"));
    assert!(results[0].text.contains("the driver native does"), "{}", results[0].text);
    let offered = |rig: &Rig| {
        let request: serde_json::Value = serde_json::from_slice(&rig.server.seen().pop().unwrap().body).unwrap();
        let names = request["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].to_string());
        let browsing = names.filter(|name| name.starts_with("\"browser_")).count();
        (browsing, request["messages"][0]["content"].as_str().unwrap().contains("There is no browser here"))
    };
    assert_eq!(offered(&rig), (0, true));
    // The other driver makes one, and its tasks have all twelve.
    rig.made_by(Driver::Native);
    rig.server = ModelServer::playing(vec![Turn::say("done")]).unwrap();
    let other = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&other).state, "done");
    assert_eq!(offered(&rig), (12, false));
    rig.check(&id);
}
