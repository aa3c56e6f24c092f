//! `thenar run --on-server`: the task is made here, run by the server of the same data folder, and watched from here. What
//! the person says goes the same way as from any other terminal.

use std::time::Duration;

use agent::{Command, Instance, NewTask, Patience, State, Watcher};
use event::{EffectId, Event, TaskId};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::answers::Answers;
use crate::choice::Chosen;
use crate::commands::run::{finish, head};
use crate::exit::{Code, Outcome, Problem, of_state};
use crate::screen::Screen;
use crate::show::Show;
use crate::{env, house};

/// How often the record is looked at.
const LOOK_MS: u64 = 50;

/// Answers on their way to the task.
const ANSWERS_QUEUED_MAX: usize = 16;

/// Gives a new task to the server and watches it until it comes to rest.
pub(crate) fn run(instance: &Instance, task: NewTask, chosen: &Chosen, json: bool, screen: Screen) -> Outcome {
    let home = env::home()?;
    let id = instance.create(task)?;
    let none = || {
        Problem::new(
            Code::Setup,
            format!("no server runs for {}: task {id} is on record but nobody runs it", home.display()),
        )
        .hint(format!("start one with: thenar serve, which takes it up; or run it here: thenar task resume {id}"))
    };
    let heard = server::ring(&home, &id).map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    let heard = heard.ok_or_else(none)?;
    if !heard.accepted {
        let text = format!("the server does not take task {id} now: {}", heard.text);
        return Err(Problem::new(Code::Failed, text).hint(format!("run it here: thenar task resume {id}")));
    }
    head(screen, &id, chosen, "on the server, ");
    watch(instance, &id, json, screen)
}

fn watch(instance: &Instance, id: &TaskId, json: bool, screen: Screen) -> Outcome {
    let (sender, mut answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
    let mut show = Waits { show: Show::new(screen, screen.can_ask().then(|| Answers::new(sender))), asked: None };
    let mut look = instance.look_on(id)?;
    let rested: Result<bool, Problem> = crate::runtime()?.block_on(async {
        let mut interrupted =
            signal(SignalKind::interrupt()).map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
        let mut tick = tokio::time::interval(Duration::from_millis(LOOK_MS));
        loop {
            tokio::select! {
                _ = interrupted.recv() => return Ok(false),
                Some(command) = answers.recv() => tell(instance, id, command)?,
                _ = tick.tick() => {
                    let state = look.tell(&mut show)?;
                    if state.ended.is_some() || state.waits_for_person() && show.ask(state) == Patience::Leave {
                        return Ok(true);
                    }
                }
            }
        }
    });
    let rested = rested?;
    let summary = instance.summary(id).map_err(house::about(id))?;
    if !rested {
        screen
            .say(&format!("\nThe server goes on with it. Look: thenar task show {id}; stop it: thenar task stop {id}"));
        return Ok(Code::Interrupted);
    }
    finish(&summary, show.show.last_words(), json, screen);
    Ok(of_state(summary.state))
}

fn tell(instance: &Instance, id: &TaskId, command: Command) -> Result<(), Problem> {
    // Nobody may hold it: then it is on record, and the server is asked to go on.
    if let agent::Reached::Recorded(_) = instance.command(id, command).map_err(house::about(id))? {
        let home = env::home()?;
        let _ = server::ring(&home, id);
    }
    Ok(())
}

/// The screen, which asks once about one state of things.
struct Waits {
    show: Show,
    asked: Option<u64>,
}

impl Waits {
    fn ask(&mut self, state: &State) -> Patience {
        if self.asked == Some(state.now_ms) {
            return Patience::Stay;
        }
        self.asked = Some(state.now_ms);
        self.show.waiting(state)
    }
}

impl Watcher for Waits {
    fn event(&mut self, seq: u64, time_ms: u64, event: &Event, state: &State) {
        self.show.event(seq, time_ms, event, state);
    }
    fn delta(&mut self, id: EffectId, attempt: u32, delta: &model::Delta) {
        self.show.delta(id, attempt, delta);
    }
    fn withdrawn(&mut self, id: EffectId) {
        self.show.withdrawn(id);
    }
    fn waiting(&mut self, state: &State) -> Patience {
        self.show.waiting(state)
    }
}
