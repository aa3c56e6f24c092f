//! What must hold after the kills. Each check names what it found, not only that something is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use event::{Event, ToolFact, ToolStatus};
use sandbox::checkpoint::{Compression, Id, Side, Store};

use super::{STEPS, log};
use crate::rig::Stage;

/// What the model was told of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It ended well.
    Well,
    /// It ended otherwise, killed with its computer.
    Killed,
    /// Nobody knows whether it happened.
    Unknown,
}

/// The engine alone was killed: nothing is lost, nothing is repeated, and every command ended well.
pub(super) fn all_kept(stage: &Stage) -> Result<()> {
    let task = task(stage)?;
    let expected: Vec<usize> = (1..=STEPS).collect();
    let found = log_lines(&task)?;
    ensure!(found == expected, "the log is not 1 to {STEPS}, each once and in order: {found:?}");
    let told = sound(stage, &task)?;
    ensure!(
        told.iter().all(|told| *told == Told::Well),
        "a command did not end well though its keeper lived: {told:?}"
    );
    kept_by_turns(&task)
}

/// Every checkpoint on record is whole, and has the log as its turn left it: no line of the turn missing, none of the next in it.
fn kept_by_turns(task: &Path) -> Result<()> {
    let mut state = agent::State::default();
    events(task)?.iter().for_each(|(_, event)| state.apply(event, 0));
    let kept = &state.kept.checkpoints;
    ensure!(
        kept.last().is_some_and(|kept| kept.checkpoint.turn == STEPS as u64),
        "the last turn is not kept: {kept:?}"
    );
    let store = Store::at(task.join("checkpoints"));
    for checkpoint in kept.iter().map(|kept| &kept.checkpoint) {
        let (number, id) = (checkpoint.number, Id(checkpoint.digest.0));
        store
            .export(&id, Compression::None, &mut std::io::sink())
            .with_context(|| format!("read checkpoint {number}"))?;
        let piece = store.read_file(Side::At(id), Path::new("log"), 0, 1 << 20)?.context("a checkpoint has no log")?;
        let lines = String::from_utf8_lossy(&piece.bytes).lines().count() as u64;
        ensure!(lines == checkpoint.turn, "checkpoint {number} of turn {} has {lines} lines", checkpoint.turn);
    }
    Ok(())
}

/// Everything was killed: no line twice or out of order, and a line is missing only where the model was told that the
/// command did not end well. Gives the number of outcomes said to be unknown.
pub(super) fn at_most_once(stage: &Stage, kills: usize) -> Result<usize> {
    let task = task(stage)?;
    let found = log_lines(&task)?;
    ensure!(found.windows(2).all(|pair| pair[0] < pair[1]), "a line was written twice or out of order: {found:?}");
    let told = sound(stage, &task)?;
    for (line, told) in (1..).zip(&told) {
        let lost = *told == Told::Well && !found.contains(&line);
        ensure!(!lost, "line {line} is missing though the model was told that its command ended well: {found:?}");
    }
    let not_well = told.iter().filter(|told| **told != Told::Well).count();
    ensure!(not_well <= kills, "{not_well} commands did not end well after {kills} kills: {told:?}");
    Ok(told.iter().filter(|told| **told == Told::Unknown).count())
}

fn task(stage: &Stage) -> Result<PathBuf> {
    stage.task().with_context(|| format!("there is no task\n{}", stage.said()))
}

fn log_lines(task: &Path) -> Result<Vec<usize>> {
    log(task).lines().map(|line| line.parse().with_context(|| format!("the log has the line {line:?}"))).collect()
}

/// What holds however hard a task was hit: the journal verifies, each effect has one result in the right order, prompts
/// only ever grew. Gives what the model was told of each step's command.
fn sound(stage: &Stage, task: &Path) -> Result<Vec<Told>> {
    let id = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let verify = stage.thenar(&["journal", "verify", &id]).output().context("start thenar journal verify")?;
    ensure!(verify.status.success(), "the journal does not verify: {}", String::from_utf8_lossy(&verify.stderr).trim());

    let events = events(task)?;
    let broken = testkit::audit(events.iter().map(|(seq, event)| (*seq, event)));
    ensure!(broken.is_empty(), "the journal breaks its rules:\n{}", broken.join("\n"));
    let told: Vec<Told> = events.iter().filter_map(|(_, event)| told(event)).collect();
    ensure!(told.len() == STEPS, "{} commands have a result on the record, not {STEPS}", told.len());

    let report = stage.server.report()?;
    ensure!(report.violations.is_empty(), "requests broke rules:\n{}", report.violations.join("\n"));
    let share = report.append_only_min();
    ensure!(share >= 1.0, "a request kept only {share:.4} of the one before it");

    Ok(told)
}

fn told(event: &Event) -> Option<Told> {
    let Event::ToolFinished { result, .. } = event else { return None };
    let well = |fact: &ToolFact| matches!(fact, ToolFact::Command { exit_code: Some(0), .. });
    Some(if result.status == ToolStatus::Unknown {
        Told::Unknown
    } else if result.facts.iter().any(well) {
        Told::Well
    } else {
        Told::Killed
    })
}

fn events(task: &Path) -> Result<Vec<(u64, Event)>> {
    let mut reader = journal::Reader::open(task).context("open the journal")?;
    let records = reader.records(1, usize::MAX).context("read the journal")?;
    let decode = |record: &journal::Record| serde_json::from_slice(&record.payload).map(|event| (record.seq, event));
    records.iter().map(|record| decode(record).with_context(|| format!("read event {}", record.seq))).collect()
}
