//! The person works with a part of the computer in the agent's place, and hands it back with a word.

use agent::{Command, Patience, Reached, Start};
use event::{ComputerPart, Event, TaskOptions};
use serde_json::json;
use testkit::{ModelServer, Turn};

use crate::rig::{Rig, Seen};

fn terminal(name: &str) -> ComputerPart {
    ComputerPart::Terminal { name: name.to_owned() }
}

fn take(what: ComputerPart) -> Command {
    Command::TakeOver { what, page: None }
}

fn hand_back(note: &str) -> Command {
    Command::HandBack { note: note.to_owned(), page: None }
}

fn typing(command: &str) -> Turn {
    Turn::call("shell_exec", &json!({"command": command, "terminal": "main"}))
}

fn refused(rig: &Rig, id: &event::TaskId, command: Command) -> String {
    let (Reached::Holder(answer) | Reached::Recorded(answer)) = rig.instance.command(id, command).unwrap();
    assert!(!answer.accepted, "{}", answer.text);
    answer.text
}

#[test]
fn the_agent_stands_aside_until_it_has_the_part_back_and_reads_the_note_first() {
    let turns = vec![typing("export WORD=hers"), typing("echo $WORD > word"), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    // As soon as the first command is done.
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Event(Event::ToolFinished { .. }) => Some(take(terminal("main"))),
        Seen::Event(_) | Seen::Delta | Seen::Waiting => None,
    });
    assert_eq!((summary.state, summary.taken_over.clone()), ("waiting", Some(terminal("main"))));
    assert!(summary.reason.contains("the terminal \"main\" in your hands"), "{}", summary.reason);
    let asked = rig.server.seen().len();
    // Twice is once, and one part at a time. What is said meanwhile moves nothing.
    let before = rig.events(&id).len();
    rig.tell(&id, take(terminal("main")));
    assert_eq!(rig.events(&id).len(), before);
    assert!(refused(&rig, &id, take(ComputerPart::Browser)).contains("hand it back first"));
    rig.tell(&id, Command::Message { text: "a moment please".to_owned() });
    assert_eq!(rig.resume(&id).state, "waiting");
    assert_eq!(rig.server.seen().len(), asked, "the model is not asked meanwhile");
    // The person types in the very shell that the agent had.
    let at = rig.instance.terminals(&id).unwrap().remove(0);
    rig.instance.type_into_terminal(&id, &at.call, "k1", b"WORD=theirs\r").unwrap();
    let waits = |look: agent::Look| look.terminal.at_prompt;
    let look = rig.instance.look_at_terminal(
        &id,
        &at.call,
        agent::Until::AtPrompt,
        agent::Depict::Nothing,
        std::time::Duration::from_secs(60),
    );
    assert!(look.unwrap().is_some_and(waits));
    rig.tell(&id, hand_back("I set WORD to theirs"));
    let summary = rig.resume(&id);
    assert_eq!((summary.state, summary.taken_over), ("done", None));
    assert_eq!(rig.workspace_file(&id, "word"), "theirs\n");
    let read = String::from_utf8(rig.server.seen()[asked].body.clone()).unwrap();
    for words in ["a moment please", "taken over the terminal", "They say: I set WORD to theirs"] {
        assert!(read.contains(words), "{words} is read: {read}");
    }
    assert!(refused(&rig, &id, hand_back("")).contains("nothing is taken over"));
    assert!(refused(&rig, &id, take(terminal("main"))).contains("already ended"));
    rig.check(&id);
}

#[test]
fn a_call_that_was_asked_for_before_waits_and_a_stop_ends_the_takeover() {
    let turns = vec![typing("echo never > never"), Turn::say("done")];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let id = rig.create(TaskOptions::default());
    let summary = rig.go_saying(&id, Start::Fresh, Patience::Leave, |seen| match seen {
        Seen::Event(Event::EffectStarted { .. }) => Some(take(ComputerPart::Browser)),
        Seen::Event(_) | Seen::Delta | Seen::Waiting => None,
    });
    // The model's reply came; what it asks for has not begun.
    assert_eq!(summary.state, "waiting");
    assert_eq!(rig.results(&id), []);
    rig.tell(&id, Command::Stop { by: "you".to_owned() });
    assert_eq!(rig.instance.summary(&id).unwrap().state, "stopped");
    assert_eq!(rig.instance.summary(&id).unwrap().taken_over, None);
    assert_eq!(rig.resume(&id).state, "done");
    assert_eq!(rig.workspace_file(&id, "never"), "never\n");
    rig.check(&id);
}
