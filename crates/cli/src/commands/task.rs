//! `thenar task …`: look at tasks and speak to whoever holds them.

use agent::{Command, Instance, Reached};
use event::{EffectId, TaskId};

use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, config, env, house, report, screen, words};

/// Characters of a task's sentence in the list.
const BRIEF_CHARS: usize = 60;

/// `thenar task list`.
pub(crate) fn list(json: bool, screen: Screen) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let listing = instance.list()?;
    if json {
        let tasks: Vec<_> = listing.tasks.iter().map(report::json_of).collect();
        screen::json(&serde_json::Value::from(tasks));
    } else if listing.tasks.is_empty() && listing.broken.is_empty() {
        screen.say("There are no tasks yet. Begin with: thenar run \"…\", or thenar demo");
    } else {
        for task in &listing.tasks {
            let brief = clean::line(&task.brief, BRIEF_CHARS);
            data(&format!("{:<16} {:<8} {}  {brief}", task.id.as_str(), task.state, words::moment(task.created_ms)));
        }
    }
    for (id, error) in &listing.broken {
        let text = clean::line(&error.to_string(), 300);
        screen.say(&format!("{} task {id} cannot be read: {text}", screen.paint(Look::Warn, "warning:")));
    }
    Ok(Code::Done)
}

/// `thenar task show`.
pub(crate) fn show(id: &str, json: bool, screen: Screen) -> Outcome {
    let (instance, id) = open(id)?;
    let summary = instance.summary(&id).map_err(house::about(&id))?;
    if json {
        screen::json(&report::json_of(&summary));
        return Ok(Code::Done);
    }
    screen.say(&format!("{} {id}: {}", screen.paint(Look::Bold, "Task"), clean::line(&summary.brief, 400)));
    screen.say(&format!("  begun {}, model {}", words::moment(summary.created_ms), clean::line(&summary.model, 80)));
    if let Some(origin) = &summary.forked_from {
        screen.say(&format!("  begun as task {} was at checkpoint {}", origin.task, origin.checkpoint.number));
    }
    for step in &summary.plan.steps {
        let mark = match step.status {
            event::StepStatus::Done => "✓",
            event::StepStatus::InProgress => "▸",
            event::StepStatus::Pending => "·",
            event::StepStatus::Skipped => "–",
        };
        screen.say(&format!("  {mark} {}", clean::line(&step.text, 200)));
    }
    report::account(screen, &summary);
    report::print_data(screen, &summary, "");
    Ok(Code::Done)
}

/// `thenar task path`.
pub(crate) fn path(id: &str) -> Outcome {
    let (instance, id) = open(id)?;
    data(&instance.folder(&id)?.root().display().to_string());
    Ok(Code::Done)
}

/// `thenar task send`.
pub(crate) fn send(id: &str, text: String, screen: Screen) -> Outcome {
    tell(id, Command::Message { text }, screen)
}

/// `thenar task confirm`.
pub(crate) fn confirm(id: &str, allowed: bool, effect: Option<EffectId>, note: String, screen: Screen) -> Outcome {
    tell(id, Command::Confirm { effect, allowed, note }, screen)
}

/// `thenar task stop`.
pub(crate) fn stop(id: &str, screen: Screen) -> Outcome {
    tell(id, Command::Stop { by: "you".to_owned() }, screen)
}

fn tell(id: &str, command: Command, screen: Screen) -> Outcome {
    let (instance, id) = open(id)?;
    let stop = matches!(command, Command::Stop { .. });
    let (text, held) = heard(&instance, &id, command)?;
    screen.say(&text);
    if stop {
        screen.say(&format!("To go on later: thenar task resume {id}"));
    } else if !held && taken_up(&id) {
        screen.say("The server goes on with it.");
    } else if !held {
        screen.say(&format!("Nobody is working on it now. To go on: thenar task resume {id}"));
    }
    Ok(Code::Done)
}

/// What was said to it that was not refused, and whether somebody works on the task.
pub(crate) fn heard(instance: &Instance, id: &TaskId, command: Command) -> Result<(String, bool), Problem> {
    let (answer, held) = match instance.command(id, command).map_err(house::about(id))? {
        Reached::Holder(answer) => (answer, true),
        Reached::Recorded(answer) => (answer, false),
    };
    if answer.accepted {
        Ok((answer.text, held))
    } else {
        Err(Problem::new(Code::Usage, answer.text).hint(format!("thenar task show {id} tells how it stands")))
    }
}

/// Whether a server of this data folder goes on with it, which would find it by itself a little later.
fn taken_up(id: &TaskId) -> bool {
    let rung = env::home().ok().and_then(|home| server::ring(&home, id).ok()).flatten();
    rung.is_some_and(|rung| rung.accepted)
}

pub(crate) fn open(id: &str) -> Result<(Instance, TaskId), Problem> {
    let instance = house::open(&config::read()?)?;
    let id = house::find(&instance, id)?;
    Ok((instance, id))
}
