//! How a task stands, for a person and for a script: the end of `run`, `task show`, `task list`.

use agent::Summary;
use serde_json::{Value, json};

use crate::screen::{Look, Screen, data};
use crate::show::{acceptance_mark, quoted};
use crate::words;
use crate::{clean, env};

/// Files of the person's folder that are named at the end; `--json` has all.
const AUTORUN_SHOWN_MAX: usize = 12;

/// The task as one JSON object.
pub(crate) fn json_of(summary: &Summary) -> Value {
    let files: Vec<Value> = summary
        .deliverables
        .iter()
        .map(|file| {
            json!({ "path": file.path, "name": file.name, "bytes": file.bytes, "sha256": file.digest,
                "finding": file.finding, "description": file.description })
        })
        .collect();
    json!({
        "id": summary.id,
        "state": summary.state,
        "cause": summary.cause,
        "reason": summary.reason,
        "text": summary.text,
        "task": summary.brief,
        "model": summary.model,
        "scripted": summary.scripted,
        "forked_from": summary.forked_from.as_ref().map(|origin| {
            json!({ "task": origin.task, "checkpoint": origin.checkpoint.number, "at_seq": origin.at_seq })
        }),
        "created_ms": summary.created_ms,
        "updated_ms": summary.updated_ms,
        "steps": summary.steps,
        "cost_usd": (summary.unpriced_calls == 0).then(|| summary.spent.0 as f64 / 1e6),
        "usage": summary.usage,
        "plan": summary.plan.steps,
        "acceptance": summary.acceptance,
        "files": files,
        "autorun": summary.autorun.0,
        "question": summary.question,
        "approval": summary.approval.as_ref().map(|open| {
            json!({ "effect": open.effect.to_string(), "digest": open.digest, "question": open.question })
        }),
        "next": next(summary).map(|(_, command)| command),
        "out": summary.out,
        "workspace": summary.workspace,
        "folder": summary.folder,
    })
}

/// The data of a task for standard output: its last words, then a path per file. Where the same person sees both
/// streams, nothing is said twice: neither what the account holds, nor what they have just read.
pub(crate) fn print_data(screen: Screen, summary: &Summary, already_read: &str) {
    let text = clean::text(summary.text.trim());
    let both = screen.shows_data();
    let read = both && (summary.state != "done" || summary.text.trim() == already_read.trim());
    if !read && !text.is_empty() {
        data(&text);
    }
    if both {
        return;
    }
    for file in &summary.deliverables {
        data(&clean::text(&file.path));
    }
}

/// The account of a task for the person.
pub(crate) fn account(screen: Screen, summary: &Summary) {
    let (look, word) = match summary.state {
        "done" => (Look::Good, "Done"),
        "failed" => (Look::Bad, "Failed"),
        "waiting" => (Look::Warn, "Waiting for you"),
        "running" => (Look::Bold, "Running"),
        _ => (Look::Warn, "Stopped"),
    };
    let reason = clean::line(&summary.reason, 400);
    let reason = if summary.state == "done" || reason.is_empty() { String::new() } else { format!(": {reason}") };
    screen.say("");
    screen.say(&format!("{}{reason}", screen.paint(look, word)));
    if summary.state != "done" && !summary.text.trim().is_empty() {
        screen.say(&indent(&clean::text(summary.text.trim())));
    }
    if let Some(open) = &summary.approval {
        screen.say(&quoted(screen, &open.question));
    } else if let Some(question) = &summary.question {
        screen.say(&quoted(screen, question));
    }
    for item in &summary.acceptance {
        let (mark, look) = acceptance_mark(item.status);
        let note = if item.note.is_empty() { String::new() } else { format!(" ({})", clean::line(&item.note, 120)) };
        let note = screen.paint(Look::Dim, &note);
        screen.say(&format!("  {} {}{note}", screen.paint(look, mark), clean::line(&item.text, 160)));
    }
    if !summary.deliverables.is_empty() {
        screen.say(&screen.paint(Look::Bold, "Files"));
        for file in &summary.deliverables {
            let about = format!("{}, {}", clean::line(&file.finding, 80), words::size(file.bytes));
            screen.say(&format!("  {}  {}", clean::line(&file.path, 400), screen.paint(Look::Dim, &about)));
        }
    }
    autorun(screen, summary);
    screen.say(&screen.paint(Look::Dim, &cost(summary)));
    if let Some((what, command)) = next(summary) {
        screen.say(&format!("{} {what}: {}", screen.paint(Look::Dim, "next:"), screen.paint(Look::Bold, &command)));
    }
}

/// What the person should look at before they use their folder again.
fn autorun(screen: Screen, summary: &Summary) {
    let (files, cut) = &summary.autorun;
    if files.is_empty() && !cut {
        return;
    }
    screen.say(&screen.paint(
        Look::Warn,
        "Look at these before you use the folder: programs of yours run them, and they were changed",
    ));
    for file in files.iter().take(AUTORUN_SHOWN_MAX) {
        let when = screen.paint(Look::Dim, &clean::line(&file.when, 100));
        screen.say(&format!("  {}  {when}", clean::line(&file.path, 400)));
    }
    let more = files.len().saturating_sub(AUTORUN_SHOWN_MAX);
    if more > 0 {
        screen.say(&format!("  … and {more} more: thenar task show --json {}", summary.id));
    }
    if *cut {
        screen.say("  The folder is too large to have seen all of it.");
    }
}

/// Steps, tokens and money in one line; what is not known is said.
fn cost(summary: &Summary) -> String {
    let steps = format!("{} step{}", summary.steps, if summary.steps == 1 { "" } else { "s" });
    if summary.scripted {
        return format!("{steps} of a script, no model: no cost");
    }
    let usage = &summary.usage;
    let tokens =
        format!("{} tokens in ({} cached), {} out", usage.input_tokens, usage.cached_input_tokens, usage.output_tokens);
    let money = if summary.unpriced_calls == 0 {
        format!("cost {}", summary.spent)
    } else {
        format!("cost not known: no price for {} (set it in config.toml)", clean::line(&summary.model, 80))
    };
    format!("{steps}, {tokens}, {money}")
}

/// What the person can do next: in words, and as the command.
pub(crate) fn next(summary: &Summary) -> Option<(&'static str, String)> {
    let id = &summary.id;
    let served = || env::home().is_ok_and(|home| server::is_answered(&home));
    let resume = || if served() { String::new() } else { format!(" && thenar task resume {id}") };
    match summary.state {
        "waiting" if summary.approval.is_some() => {
            Some(("to allow it (or --deny)", format!("thenar task confirm {id}{}", resume())))
        }
        "waiting" if summary.taken_over.is_some() => Some(("to hand it back, in the app", "thenar serve".to_owned())),
        "waiting" => Some(("to answer", format!("thenar task send {id} \"…\"{}", resume()))),
        "stopped" => match summary.cause {
            Some(event::StopCause::Limit(limit)) => {
                let option = match limit {
                    event::LimitKind::Steps => "--max-steps N",
                    event::LimitKind::Cost => "--max-cost USD",
                    event::LimitKind::Time => "--max-time DUR",
                    event::LimitKind::Window | event::LimitKind::Resumes => return None,
                };
                Some(("to go on with a higher limit", format!("thenar task resume {id} {option}")))
            }
            Some(_) | None => Some(("to go on", format!("thenar task resume {id}"))),
        },
        "failed" => Some(("to try again", format!("thenar task resume {id}"))),
        "done" => Some(("to check its record", format!("thenar journal verify {id}"))),
        _ => Some(("to watch it", format!("thenar task show {id}"))),
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
