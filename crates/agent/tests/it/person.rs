//! The person steps in: a yes that grew old, a stop in the middle of a sentence.

use agent::{Command, NoFaults, Patience, Reached, Start, State, Watcher};
use event::{EffectId, Event, TaskOptions};
use testkit::{Answer, Gate, ModelServer, Turn, clock, turn_due};
use tokio::sync::mpsc;

use crate::rig::Rig;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// As the default, but commands wait for the person's word.
pub(crate) fn asking_rules() -> String {
    rules_with(
        "@id(\"commands-ask\")\n@reason(\"a command wants your word\")\n@tier(\"user_authorised\")\n\
         forbid (principal, action == Action::\"shell_exec\", resource);\n",
    )
}

/// The default rules with another.
pub(crate) fn rules_with(rule: &str) -> String {
    // The examples of the default say that commands are free, and would refuse to load beside such a rule.
    let default = policy::Engine::default_policy();
    default.lines().filter(|line| !line.starts_with("//@")).collect::<Vec<_>>().join("\n") + "\n" + rule
}

fn confirmed(rig: &Rig, id: &event::TaskId) {
    let yes = Command::Confirm { effect: None, allowed: true, note: String::new() };
    let Reached::Recorded(answer) = rig.instance.command(id, yes).unwrap() else { panic!("nobody holds the task") };
    assert!(answer.accepted, "{}", answer.text);
}

#[test]
fn a_yes_that_lay_about_for_a_day_is_asked_for_again() {
    let turns = vec![Turn::exec("echo once >> log"), Turn::say("done")];
    let rig = Rig::with_policy(ModelServer::playing(turns).unwrap(), &asking_rules());
    let id = rig.create(TaskOptions::default());
    assert_eq!(rig.run(&id).state, "waiting");
    confirmed(&rig, &id);
    clock::pass_ms(DAY_MS + 60_000);
    assert_eq!(rig.go(&id, Start::Resume, &mut NoFaults).unwrap().state, "waiting", "an old yes is no yes");
    assert_eq!(rig.workspace_file(&id, "log"), "");
    confirmed(&rig, &id);
    clock::pass_ms(60_000);
    assert_eq!(rig.go(&id, Start::Resume, &mut NoFaults).unwrap().state, "done");
    assert_eq!(rig.workspace_file(&id, "log"), "once\n");
    rig.check(&id);
}

#[test]
fn time_that_passes_with_nobody_there_counts() {
    let rig = Rig::with_policy(ModelServer::playing(vec![Turn::exec("true")]).unwrap(), &asking_rules());
    let id = rig.create(TaskOptions { max_time_ms: Some(DAY_MS), ..TaskOptions::default() });
    assert_eq!(rig.run(&id).state, "waiting");
    clock::pass_ms(2 * DAY_MS);
    let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
    assert_eq!(summary.state, "stopped");
    assert!(summary.reason.contains("time limit"), "{}", summary.reason);
    rig.check(&id);
}

/// Stops the task at the first word it hears.
struct Impatient {
    stop: mpsc::Sender<Command>,
    heard: bool,
    withdrawn: bool,
}

impl Watcher for Impatient {
    fn event(&mut self, _seq: u64, _time_ms: u64, _event: &Event, _state: &State) {}
    fn delta(&mut self, _id: EffectId, _attempt: u32, _delta: &model::Delta) {
        if !self.heard {
            self.heard = true;
            self.stop.try_send(Command::Stop { by: "you".to_owned() }).unwrap();
        }
    }
    fn withdrawn(&mut self, _id: EffectId) {
        self.withdrawn = true;
    }
    fn waiting(&mut self, _state: &State) -> Patience {
        Patience::Leave
    }
}

#[test]
fn a_stop_in_the_middle_of_a_sentence_withdraws_it_and_a_resume_asks_again() {
    let gate = Gate::default();
    let held = gate.clone();
    let turns = vec![Turn::say("one two three four five")];
    let server = ModelServer::start(move |index, request| match index {
        0 => Answer::Gated(turn_due(&turns, request), held.clone()),
        _ => Answer::Stream(turn_due(&turns, request)),
    });
    let rig = Rig::new(server.unwrap());
    let id = rig.create(TaskOptions::default());
    let (stop, commands) = mpsc::channel(1);
    let mut watcher = Impatient { stop, heard: false, withdrawn: false };
    // The first two pieces: the opening, and one word.
    gate.let_through(2);
    let summary = rig.go_watched(&id, Start::Fresh, &mut NoFaults, commands, &mut watcher).unwrap();
    assert_eq!(summary.state, "stopped");
    assert!(watcher.heard && watcher.withdrawn);
    let replied = |events: &[Event]| events.iter().any(|event| matches!(event, Event::ModelReplied { .. }));
    assert!(!replied(&rig.events(&id)), "half a sentence is no reply");
    let summary = rig.go(&id, Start::Resume, &mut NoFaults).unwrap();
    assert_eq!((summary.state, summary.text.as_str()), ("done", "one two three four five"));
    assert!(replied(&rig.events(&id)));
    rig.check(&id);
}
