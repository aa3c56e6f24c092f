//! `thenar task checkpoints | diff | restore | export-files`: the kept states of a task's workspace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use agent::{Instance, Side};
use event::{Changes, Event, TaskId};
use sandbox::checkpoint::{Diff, Difference, EntryKind, Seen, Store, TEXT_BYTES_MAX, text_diff};
use serde_json::{Value, json};

use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, commands, house, screen, words};

/// Entries that a comparison names.
const DIFFERENCES_MAX: usize = 10_000;

/// Files whose lines are compared.
const PATCHES_MAX: usize = 200;

/// Characters of a path on its line.
const PATH_CHARS: usize = 400;

/// `thenar task checkpoints`.
pub(crate) fn list(id: &str, json: bool, screen: Screen) -> Outcome {
    let (instance, id) = commands::task::open(id)?;
    let kept = instance.kept(&id).map_err(house::about(&id))?;
    if json {
        let one = |kept: &agent::KeptCheckpoint| {
            let mut value = serde_json::to_value(kept.checkpoint).unwrap_or_default();
            value["time_ms"] = kept.time_ms.into();
            value
        };
        screen::json(&kept.checkpoints.iter().map(one).collect::<Vec<Value>>().into());
        return Ok(Code::Done);
    }
    for kept in &kept.checkpoints {
        let checkpoint = &kept.checkpoint;
        data(&format!(
            "{:>4}  step {:<5} {}  {:>6} files {:>9}  {:<22} +{} stored",
            checkpoint.number,
            checkpoint.turn,
            words::moment(kept.time_ms),
            checkpoint.files,
            words::size(checkpoint.bytes),
            in_short(&checkpoint.changes),
            words::size(checkpoint.stored_bytes),
        ));
    }
    if let Some(number) = kept.restoring {
        let text = format!(
            "Going back to checkpoint {number} was begun and not finished: the next resume does it, and keeps before what is there now."
        );
        screen.say(&screen.paint(Look::Warn, &text));
    }
    if let Some(reason) = &kept.missed {
        let text = format!("The latest state is not kept: {}", clean::line(reason, PATH_CHARS));
        screen.say(&screen.paint(Look::Warn, &text));
    } else if kept.checkpoints.is_empty() {
        screen.say("Nothing is kept yet: no turn has changed the workspace.");
    }
    Ok(Code::Done)
}

/// `thenar task diff`.
pub(crate) fn diff(id: &str, from: Option<u64>, to: Option<u64>, patch: bool, json: bool) -> Outcome {
    let (instance, id) = commands::task::open(id)?;
    let kept = instance.kept(&id).map_err(house::about(&id))?;
    let newest = kept.checkpoints.last().map(|kept| kept.checkpoint.number);
    let from = match (from, to) {
        (Some(0), _) => Side::Nothing,
        (Some(number), _) => Side::At(number),
        // What one turn did: from the checkpoint before.
        (None, Some(to)) => {
            let before = kept.checkpoints.iter().map(|kept| kept.checkpoint.number).take_while(|number| *number < to);
            before.last().map_or(Side::Nothing, Side::At)
        }
        (None, None) => newest.map_or(Side::Nothing, Side::At),
    };
    let to = to.map_or(Side::Now, Side::At);
    let diff = instance.compare(&id, from, to, DIFFERENCES_MAX).map_err(house::about(&id))?;
    if json {
        screen::json(&json_of(&diff));
        return Ok(Code::Done);
    }
    for (at, difference) in diff.differences.iter().enumerate() {
        let mark = match (&difference.before, &difference.after) {
            (None, _) => '+',
            (_, None) => '-',
            (Some(_), Some(_)) => '~',
        };
        let path = clean::line(&difference.path.to_string_lossy(), PATH_CHARS);
        let about = match (&difference.before, &difference.after) {
            (Some(before), Some(after)) if before.bytes != after.bytes => {
                format!("{} → {}", words::size(before.bytes), words::size(after.bytes))
            }
            (_, Some(seen)) | (Some(seen), None) => words::size(seen.bytes),
            (None, None) => String::new(),
        };
        data(&format!("{mark} {path}  ({about})"));
        if patch && at < PATCHES_MAX {
            print_patch(&instance, &id, difference, (from, to))?;
        }
    }
    data(&in_short(&changes_of(&diff)));
    Ok(Code::Done)
}

fn print_patch(instance: &Instance, id: &TaskId, difference: &Difference, sides: (Side, Side)) -> Result<(), Problem> {
    let is_file = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.kind == EntryKind::File);
    if !is_file(&difference.before) && !is_file(&difference.after) {
        return Ok(());
    }
    let read = |side| -> Result<Vec<u8>, Problem> {
        let piece = instance.kept_file(id, side, &difference.path, TEXT_BYTES_MAX + 1).map_err(house::about(id))?;
        Ok(piece.map(|piece| piece.bytes).unwrap_or_default())
    };
    if let Some(text) = text_diff(&read(sides.0)?, &read(sides.1)?) {
        for line in text.lines() {
            data(&format!("    {}", clean::line(line, PATH_CHARS)));
        }
    }
    Ok(())
}

/// `thenar task restore`.
pub(crate) fn restore(id: &str, at: u64, throw_away: bool, screen: Screen) -> Outcome {
    let (instance, id) = commands::task::open(id)?;
    let events = instance.restore(&id, at, throw_away, "you").map_err(house::about(&id))?;
    for event in &events {
        if let Event::CheckpointTaken { checkpoint } = event {
            screen.say(&format!("What was there is kept as checkpoint {}.", checkpoint.number));
        }
        if let Event::WorkspaceRestored { number, changes, problem, .. } = event {
            if let Some(problem) = problem {
                let text = format!("checkpoint {number} is not wholly restored: {problem}");
                return Err(Problem::new(Code::Failed, text).hint(format!(
                    "the same command can be run again; thenar task diff {id} --from {number} shows what differs"
                )));
            }
            screen.say(&format!("The workspace is as checkpoint {number} has it: {}.", in_short(changes)));
        }
    }
    screen.say(&format!("The agent is told. To go on: thenar task send {id} \"…\", then thenar task resume {id}"));
    Ok(Code::Done)
}

/// `thenar task export-files`.
pub(crate) fn export(id: &str, at: u64, file: &Path, screen: Screen) -> Outcome {
    let (instance, id) = commands::task::open(id)?;
    let usage = |text: String| Problem::new(Code::Usage, text);
    let compression = Store::compression_of(file)
        .ok_or_else(|| usage(format!("{} names no archive: end it in .tar or .tar.zst", file.display())))?;
    let failed = |error: std::io::Error| Problem::new(Code::Failed, format!("write {}: {error}", file.display()));
    let opened = File::create_new(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => usage(format!("{} is there already: name another file", file.display())),
        _ => failed(error),
    })?;
    let mut out = BufWriter::new(opened);
    let written = instance.export_files(&id, at, compression, &mut out).map_err(house::about(&id));
    let written = written.and_then(|checkpoint| out.flush().map(|()| checkpoint).map_err(failed));
    let checkpoint = written.inspect_err(|_| {
        // Half an archive is none.
        let _ = std::fs::remove_file(file);
    })?;
    screen.say(&format!(
        "Written to {}: {} files, {}. Unpack it with tar.",
        file.display(),
        checkpoint.files,
        words::size(checkpoint.bytes)
    ));
    Ok(Code::Done)
}

fn changes_of(diff: &Diff) -> Changes {
    let changes = diff.changes;
    Changes { added: changes.added, changed: changes.changed, removed: changes.removed }
}

fn in_short(changes: &Changes) -> String {
    let Changes { added, changed, removed } = changes;
    match (added, changed, removed) {
        (0, 0, 0) => "nothing differs".to_owned(),
        _ => format!("{added} new, {changed} changed, {removed} gone"),
    }
}

fn json_of(diff: &Diff) -> Value {
    let side = |seen: &Option<Seen>| {
        seen.as_ref().map(|seen| {
            let kind = match seen.kind {
                EntryKind::Folder => "folder",
                EntryKind::File => "file",
                EntryKind::Symlink => "symlink",
                EntryKind::LeftOut => "left_out",
            };
            json!({ "kind": kind, "bytes": seen.bytes, "mode": seen.mode, "mtime_ms": seen.mtime_ms })
        })
    };
    let one = |difference: &Difference| {
        json!({ "path": difference.path.to_string_lossy(), "before": side(&difference.before),
            "after": side(&difference.after) })
    };
    json!({
        "changes": changes_of(diff),
        "differences": diff.differences.iter().map(one).collect::<Vec<_>>(),
    })
}
