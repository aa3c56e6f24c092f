//! What must hold after the kills. Each check names what it found, not only that something is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use event::{Event, ToolStatus};

use super::{STEPS, log};
use crate::rig::Stage;

/// The engine alone was killed: nothing is lost, nothing is repeated, nothing is unknown.
pub(super) fn all_kept(stage: &Stage) -> Result<()> {
    let task = task(stage)?;
    let expected: Vec<String> = (1..=STEPS).map(|line| line.to_string()).collect();
    let found = log_lines(&task);
    ensure!(found == expected, "the log is not 1 to {STEPS}, each once and in order: {}", found.join(" "));
    let unknown = sound(stage, &task)?;
    ensure!(unknown == 0, "{unknown} outcomes are unknown though the keeper lived");
    Ok(())
}

/// Everything was killed: no line twice or out of order, and a line is missing only where the outcome was said to be
/// unknown. Gives the number of unknown outcomes.
pub(super) fn at_most_once(stage: &Stage, kills: usize) -> Result<usize> {
    let task = task(stage)?;
    let found: Vec<usize> = log_lines(&task).iter().map(|line| line.parse()).collect::<Result<_, _>>()?;
    ensure!(found.windows(2).all(|pair| pair[0] < pair[1]), "a line was written twice or out of order: {found:?}");
    let unknown = sound(stage, &task)?;
    let missing = STEPS - found.len();
    ensure!(missing <= unknown, "{missing} lines are missing, and only {unknown} outcomes were said to be unknown");
    ensure!(unknown <= kills, "{unknown} outcomes are unknown after {kills} kills");
    Ok(unknown)
}

fn task(stage: &Stage) -> Result<PathBuf> {
    stage.task().with_context(|| format!("there is no task\n{}", stage.said()))
}

fn log_lines(task: &Path) -> Vec<String> {
    log(task).lines().map(str::to_owned).collect()
}

/// What holds however hard a task was hit: the journal verifies, each effect has one result in the right order, prompts
/// only ever grew. Gives the number of unknown outcomes.
fn sound(stage: &Stage, task: &Path) -> Result<usize> {
    let id = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let verify = stage.thenar(&["journal", "verify", &id]).output().context("start thenar journal verify")?;
    ensure!(verify.status.success(), "the journal does not verify: {}", String::from_utf8_lossy(&verify.stderr).trim());

    let events = events(task)?;
    let broken = testkit::audit(events.iter().map(|(seq, event)| (*seq, event)));
    ensure!(broken.is_empty(), "the journal breaks its rules:\n{}", broken.join("\n"));
    let replies = events.iter().filter(|(_, event)| matches!(event, Event::ModelReplied { .. })).count();
    let commands = events.iter().filter(|(_, event)| matches!(event, Event::ToolFinished { .. })).count();
    ensure!(replies > STEPS && commands >= STEPS, "only {replies} replies and {commands} results are on the record");

    let report = stage.server.report()?;
    ensure!(report.violations.is_empty(), "requests broke rules:\n{}", report.violations.join("\n"));
    let share = report.append_only_min();
    ensure!(share >= 1.0, "a request kept only {share:.4} of the one before it");

    let unknown = |event: &Event| match event {
        Event::ToolFinished { result, .. } => result.status == ToolStatus::Unknown,
        _ => false,
    };
    Ok(events.iter().filter(|(_, event)| unknown(event)).count())
}

fn events(task: &Path) -> Result<Vec<(u64, Event)>> {
    let mut reader = journal::Reader::open(task).context("open the journal")?;
    let records = reader.records(1, usize::MAX).context("read the journal")?;
    let decode = |record: &journal::Record| serde_json::from_slice(&record.payload).map(|event| (record.seq, event));
    records.iter().map(|record| decode(record).with_context(|| format!("read event {}", record.seq))).collect()
}
