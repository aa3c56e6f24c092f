//! The journal alone: how fast events go in, safe against a kill, and how fast a task stands again from them.

use std::path::Path;
use std::time::Instant;

use ::journal::{Draft, Reader, Writer};
use anyhow::{Context, Result, ensure};
use event::{Effect, EffectId, Event};
use tempfile::TempDir;

use super::engine::{begin, finish, stage};
use super::statistics::median;
use super::{Figure, Target, figure};
use crate::rig::Programs;

const APPENDED: usize = 20_000;

/// Events of a middling and of a very long task.
const REPLAYED: [usize; 2] = [1_500, 100_000];

const REPLAYS: usize = 5;

/// Events written together where writing is not what is measured.
const BATCH: usize = 4_096;

/// Steps of the task whose events are used: real ones, repeated with new numbers until there are enough.
const STEPS: usize = 50;

/// One event at a time, each in the file before the next; the disk's own flush runs beside it.
pub(super) fn append(programs: &Programs) -> Result<Vec<Figure>> {
    let events = many(&real(programs)?, APPENDED);
    let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a journal")?;
    let seconds = write(folder.path(), &events, 1)?;
    let each_ms = seconds * 1000.0 / APPENDED as f64;
    Ok(vec![
        figure("append one event, safe against a kill", each_ms, "ms", Target::AtMost(0.1)),
        figure("events per second into the journal", APPENDED as f64 / seconds, "/s", Target::AtLeast(10_000.0)),
    ])
}

/// Take the journal as a resume does: read, check the chain, decode, fold.
pub(super) fn replay(programs: &Programs) -> Result<Vec<Figure>> {
    let real = real(programs)?;
    let mut figures = Vec::new();
    for count in REPLAYED {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a journal")?;
        write(folder.path(), &many(&real, count), BATCH)?;
        let times: Vec<f64> = (0..REPLAYS).map(|_| fold(folder.path(), count)).collect::<Result<_>>()?;
        let target = if count == REPLAYED[0] { Target::AtMost(10.0) } else { Target::None };
        let rate = count as f64 / median(&times);
        figures.push(
            figure(format!("replay of {count} events"), median(&times), "ms", target)
                .note(format!("{rate:.0} events per millisecond, chain checked")),
        );
    }
    Ok(figures)
}

fn write(folder: &Path, events: &[Event], together: usize) -> Result<f64> {
    let mut writer = Writer::create(folder, "bench").context("make a journal")?;
    let drafts: Vec<Draft> =
        (1..).zip(events).map(|(at, event)| Draft::new(at, event.kind(), event::canonical(event))).collect();
    let start = Instant::now();
    for group in drafts.chunks(together) {
        writer.append(group).context("append to the journal")?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn fold(folder: &Path, count: usize) -> Result<f64> {
    let start = Instant::now();
    let mut state = agent::State::default();
    let mut broken = None;
    let mut seen = 0;
    let writer = Writer::open_replaying(folder, |record| {
        seen += 1;
        match serde_json::from_slice::<Event>(&record.payload) {
            Ok(event) => state.apply(&event, record.time_ms),
            Err(error) => broken = Some(error),
        }
    });
    writer.context("take the journal")?;
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    ensure!(broken.is_none(), "decode an event: {broken:?}");
    ensure!(seen == count, "{seen} of {count} events came back");
    ensure!(state.steps > 0, "the fold saw no step");
    Ok(ms)
}

/// The events of a real task.
fn real(programs: &Programs) -> Result<Vec<Event>> {
    let stage = stage(programs, STEPS)?;
    finish(&stage, &mut begin(&stage)?)?;
    let mut reader = Reader::open(&stage.task().context("no task was made")?).context("open the journal")?;
    let records = reader.records(1, usize::MAX).context("read the journal")?;
    records.iter().map(|record| serde_json::from_slice(&record.payload).context("decode an event")).collect()
}

/// The same task going on and on: its beginning once, its turns again and again under new numbers.
fn many(real: &[Event], count: usize) -> Vec<Event> {
    let first_turn = real.iter().position(|event| matches!(event, Event::EffectRequested { .. })).unwrap_or(0);
    let end = real.iter().position(|event| matches!(event, Event::TaskEnded { .. })).unwrap_or(real.len());
    let turns = &real[first_turn..end];
    let last = turns.iter().filter_map(requested).max().unwrap_or(0);
    let again = (0..).flat_map(|round| turns.iter().map(move |event| renumbered(event, round * last)));
    real[..first_turn].iter().cloned().chain(again).take(count).collect()
}

fn requested(event: &Event) -> Option<u64> {
    match event {
        Event::EffectRequested { effect } => Some(effect.id().0),
        _ => None,
    }
}

fn renumbered(event: &Event, by: u64) -> Event {
    let mut event = event.clone();
    let id: Option<&mut EffectId> = match &mut event {
        Event::EffectRequested { effect: Effect::Model(call) } => Some(&mut call.id),
        Event::EffectRequested { effect: Effect::Tool(call) } => Some(&mut call.id),
        Event::EffectDecided { id, .. }
        | Event::EffectStarted { id, .. }
        | Event::ModelReplied { id, .. }
        | Event::ToolFinished { id, .. } => Some(id),
        _ => None,
    };
    if let Some(id) = id {
        id.0 += by;
    }
    event
}
