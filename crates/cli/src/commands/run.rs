//! `thenar run` and `thenar task resume`: a task in this process, in the foreground.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::{Command, Input, Instance, NewFork, NewTask, Start, Summary};
use event::{MicroUsd, TaskId, TaskOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::answers::Answers;
use crate::args::{Limits, Reach, Run};
use crate::choice::{self, Chosen};
use crate::commands::task::heard;
use crate::exit::{Code, Outcome, Problem, of_state};
use crate::screen::{Look, Screen};
use crate::show::Show;
use crate::{clean, commands, config, env, house, report, screen};

/// Answers and stops on their way to the loop.
const COMMANDS_QUEUED_MAX: usize = 16;

/// How long the end of the program waits for threads that have nothing more to say.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_millis(200);

/// `thenar run`.
pub(crate) fn run(args: Run, screen: Screen) -> Outcome {
    let config = config::read()?;
    let name = choice::name(args.model.as_deref(), &config)?;
    let chosen = choice::client(&name, &config)?;
    check_price(&chosen, args.limits.max_cost.is_some())?;
    let instance = house::open(&config)?;
    // A usual cap is for models whose price is known; one that was asked for is kept or refused.
    let usual_cost = config.limits.max_cost.filter(|_| chosen.priced).map(|usd| MicroUsd((usd * 1e6).round() as u64));
    instance.secrets().named(&args.reach.secret).map_err(usage)?;
    // What the settings name counts where nothing is named here.
    let named = if args.reach.allow_net.is_empty() { &config.allow_net } else { &args.reach.allow_net };
    let allow_net = instance.secrets().whole_list(named, &args.reach.secret, &env::always_reached()).map_err(usage)?;
    let options = TaskOptions {
        max_steps: args.limits.max_steps.or(config.limits.max_steps),
        max_cost: args.limits.max_cost.or(usual_cost),
        max_time_ms: args.limits.max_time.or(config.limits.max_time),
        yes: args.yes,
        workspace: args.workspace.as_deref().map(|path| text_of(&house::lendable(path, &config)?)).transpose()?,
        out: None,
        allow_net,
        secrets: args.reach.secret.clone(),
    };
    let id = match &args.id {
        Some(id) => TaskId::new(id.as_str()).map_err(|error| Problem::new(Code::Usage, error.to_string()))?,
        None => instance.new_id()?,
    };
    let out = out_folder(args.out.as_deref(), options.workspace.is_some(), &id)?;
    let options = TaskOptions { out, ..options };
    let inputs = args.input.iter().map(|path| input(path).map(Input::Copy)).collect::<Result<_, _>>()?;
    let task = NewTask {
        brief: args.task,
        model: chosen.name.clone(),
        scripted: chosen.scripted,
        output_tokens_max: chosen.client.requested_output_max(),
        sees: chosen.client.sees(),
        options,
        inputs,
        id: Some(id),
    };
    if args.on_server {
        return commands::on_server::run(&instance, task, &chosen, args.json, screen);
    }
    let id = instance.create(task)?;
    head(screen, &id, &chosen, "");
    drive(&instance, &id, Start::Fresh, chosen, args.json, screen)
}

/// `thenar task resume`.
pub(crate) fn resume(id: Option<&str>, limits: &Limits, reach: &Reach, json: bool, screen: Screen) -> Outcome {
    let config = config::read()?;
    let instance = house::open(&config)?;
    let id = match id {
        Some(id) => house::find(&instance, id)?,
        None => last_resumable(&instance)?,
    };
    let summary = instance.summary(&id).map_err(house::about(&id))?;
    let raised = !reach.allow_net.is_empty()
        || !reach.secret.is_empty()
        || limits.max_steps.is_some()
        || limits.max_cost.is_some()
        || limits.max_time.is_some();
    if summary.state == "done" && !summary.unread {
        screen.say(&format!("Task {id} is done already. Say more with `thenar task send {id} \"…\"`, then resume."));
        finish(&summary, "", json, screen);
        return Ok(Code::Done);
    }
    let chosen = choice::client(&summary.model, &config)?;
    if raised {
        let time = limits.max_time.map(|more| env::now_ms().saturating_sub(summary.created_ms).saturating_add(more));
        let options = TaskOptions {
            max_steps: limits.max_steps.or(summary.options.max_steps),
            max_cost: limits.max_cost.or(summary.options.max_cost),
            // Counted from the task's creation; the person means from now on.
            max_time_ms: time.or(summary.options.max_time_ms),
            ..summary.options.clone()
        };
        let options = instance.secrets().with_more(options, &reach.allow_net, &reach.secret).map_err(usage)?;
        check_price(&chosen, options.max_cost.is_some())?;
        let was = Some(Box::new(summary.options.clone()));
        heard(&instance, &id, Command::Options { options, was })?;
    }
    head(screen, &id, &chosen, "resumed, ");
    drive(&instance, &id, Start::Resume, chosen, json, screen)
}

/// `thenar task fork`.
pub(crate) fn fork(id: &str, at: u64, out: Option<&Path>, text: Option<String>, json: bool, screen: Screen) -> Outcome {
    let config = config::read()?;
    let instance = house::open(&config)?;
    let from = house::find(&instance, id)?;
    let model = instance.summary(&from).map_err(house::about(&from))?.model;
    let new = instance.new_id()?;
    let out = out_folder(out, false, &new)?;
    let runs = text.is_some();
    let chosen = runs.then(|| choice::client(&model, &config)).transpose()?;
    let fork = NewFork { at, message: text, options: None, out, id: Some(new) };
    let new = instance.fork(&from, &fork).map_err(house::about(&from))?;
    if let Some(chosen) = chosen {
        head(screen, &new, &chosen, &format!("as {from} was at checkpoint {at}, "));
        return drive(&instance, &new, Start::Fresh, chosen, json, screen);
    }
    if json {
        screen::json(&report::json_of(&instance.summary(&new).map_err(house::about(&new))?));
    } else {
        screen::data(new.as_str());
    }
    screen.say(&format!("It is as task {from} was at checkpoint {at}. To go on with it: thenar task resume {new}"));
    Ok(Code::Done)
}

/// What was named is none, or cannot be had.
fn usage(error: agent::Error) -> Problem {
    Problem::new(Code::Usage, error.to_string())
}

fn last_resumable(instance: &Instance) -> Result<TaskId, Problem> {
    let listing = instance.list()?;
    let open = |summary: &&Summary| summary.state != "done" && summary.state != "running";
    match listing.tasks.iter().find(open) {
        Some(summary) => Ok(summary.id.clone()),
        None => Err(Problem::new(Code::Usage, "there is no task to resume").hint("`thenar task list` shows all")),
    }
}

fn check_price(chosen: &Chosen, capped: bool) -> Result<(), Problem> {
    if !capped || chosen.priced {
        return Ok(());
    }
    let name = &chosen.name;
    let text = format!("--max-cost cannot be kept: the price of {name} is not known");
    Err(Problem::new(Code::Setup, text).hint(format!(
        "put its price (US dollars per million tokens) into config.toml:\n  [models.\"{name}\"]\n  input_price = …\n  output_price = …"
    )))
}

pub(crate) fn head(screen: Screen, id: &TaskId, chosen: &Chosen, how: &str) {
    let model = if chosen.scripted {
        screen.paint(Look::Warn, &format!("{}: A SCRIPT, NOT A MODEL", clean::line(&chosen.name, 80)))
    } else {
        clean::line(&chosen.name, 80)
    };
    screen.say(&format!("{} {} ({how}{model})", screen.paint(Look::Bold, "Task"), id));
}

/// Runs the loop in this process until the task comes to rest.
fn drive(instance: &Instance, id: &TaskId, start: Start, chosen: Chosen, json: bool, screen: Screen) -> Outcome {
    instance.end_left_computers();
    let runtime = crate::runtime()?;
    let (sender, commands) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let answers = screen.can_ask().then(|| Answers::new(sender.clone()));
    let mut show = Show::new(screen, answers);
    let client = Arc::new(chosen.client);
    let summary = runtime.block_on(async {
        watch_signals(id.clone(), sender, screen);
        instance.run(id, start, client, commands, &mut show).await
    });
    // A thread may still sit in a read of the terminal: nobody waits for it.
    runtime.shutdown_timeout(SHUTDOWN);
    let summary = summary.map_err(|error| {
        let problem = house::about(id)(error);
        if problem.code != Code::Failed || !problem.hints.is_empty() {
            return problem;
        }
        problem.hint(format!("nothing that was recorded is lost: thenar task resume {id}"))
    })?;
    finish(&summary, show.last_words(), json, screen);
    Ok(of_state(summary.state))
}

pub(crate) fn finish(summary: &Summary, already_read: &str, json: bool, screen: Screen) {
    report::account(screen, summary);
    if json {
        screen::json(&report::json_of(summary));
    } else if !std::io::stdout().is_terminal() {
        // On a terminal the person has just read both.
        report::print_data(screen, summary, already_read);
    }
}

/// The first Ctrl-C stops the task, the second one ends the program at once. A terminal that goes away, or a polite kill,
/// is a first Ctrl-C.
fn watch_signals(id: TaskId, commands: mpsc::Sender<Command>, screen: Screen) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let (seen, mut seen_by_all) = mpsc::channel(4);
    for kind in kinds {
        let seen = seen.clone();
        tokio::spawn(async move {
            let Ok(mut signals) = signal(kind) else { return };
            while signals.recv().await.is_some() {
                let _ = seen.send(()).await;
            }
        });
    }
    tokio::spawn(async move {
        let mut stopping = false;
        let ended_at_once = format!(
            "\nEnded at once. What runs in its computer runs on: thenar task stop {id} ends it, thenar task resume {id} goes on."
        );
        while seen_by_all.recv().await.is_some() {
            if stopping {
                screen.say(&ended_at_once);
                std::process::exit(Code::Interrupted as i32);
            }
            stopping = true;
            screen.say("\nStopping; once more to end at once.");
            let _ = commands.send(Command::Stop { by: "you".to_owned() }).await;
        }
    });
}

/// A file to give with the task: it can be read, or the command line is wrong.
fn input(path: &Path) -> Result<PathBuf, Problem> {
    let wrong = |error| Problem::new(Code::Usage, format!("--input {}: {error}", path.display()));
    std::fs::File::open(path).map_err(wrong)?;
    absolute(path)
}

/// Where deliverables go: the folder named, else one of the task's own; in a person's folder they stay where they are.
fn out_folder(named: Option<&Path>, in_place: bool, id: &TaskId) -> Result<Option<String>, Problem> {
    let path = match named {
        Some(path) => path.to_owned(),
        None if in_place => return Ok(None),
        None => Path::new("thenar-out").join(id.as_str()),
    };
    Ok(Some(text_of(&absolute(&path)?)?))
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path)
        .map_err(|error| Problem::new(Code::Usage, format!("make {} absolute: {error}", path.display())))
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Problem::new(Code::Usage, format!("{} is not UTF-8: rename it first", path.display())))
}
