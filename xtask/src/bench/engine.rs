//! The engine as a whole, against a model that answers at once: start, gap, CPU, memory, and whether prompts only grow.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Process, Programs, Script, Stage};

/// A task as peers were measured with.
const STEPS: usize = 50;

/// A task long enough to show what grows with the record.
const STEPS_LONG: usize = 1_000;

/// Steps that stand for "at step N".
const WINDOW: usize = 50;

const STARTS: usize = 15;

/// How often the tree is looked at. Looking costs CPU of its own, so that no gap is measured meanwhile.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

const PATIENCE: Duration = Duration::from_secs(180);

/// From starting the program to its first request, the computer, the policy and the journal being there or on their way.
pub(super) fn start(programs: &Programs) -> Result<Vec<Figure>> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let stage = stage(programs, 1)?;
        let before_us = now_us();
        let mut child = begin(&stage)?;
        finish(&stage, &mut child)?;
        let first = stage.server.report()?.requests.first().context("no request came")?.arrived_us;
        times.push((first - before_us) / 1000.0);
    }
    let note = format!("p95 {:.0} ms of {STARTS} starts", percentile(&times, 95.0));
    Ok(vec![figure("start to first request, median", median(&times), "ms", Target::AtMost(80.0)).note(note)])
}

/// From the last byte of a reply to the last byte of the next request, with a command run in between.
pub(super) fn gaps(programs: &Programs) -> Result<Vec<Figure>> {
    let stage = stage(programs, STEPS_LONG)?;
    let mut child = begin(&stage)?;
    finish(&stage, &mut child)?;
    let gaps = stage.server.report()?.gaps_ms();
    ensure!(gaps.len() >= STEPS_LONG, "only {} gaps", gaps.len());
    let mut figures = Vec::new();
    for step in [STEPS, STEPS_LONG] {
        let window = &gaps[step - WINDOW..step];
        let name = |what: &str| format!("gap from reply to next request at step {step}, {what}");
        let note = format!("steps {} to {step}, each runs `echo` in the computer", step - WINDOW + 1);
        figures.push(figure(name("median"), median(window), "ms", Target::AtMost(5.0)).note(note));
        figures.push(figure(name("p95"), percentile(window, 95.0), "ms", Target::None));
    }
    Ok(figures)
}

/// What the tree costs while it works.
pub(super) fn load(programs: &Programs) -> Result<Vec<Figure>> {
    let short = watched(programs, STEPS)?;
    let long = watched(programs, STEPS_LONG)?;
    let per_step = |of: fn(&Watched) -> f64| (of(&long) - of(&short)) / (STEPS_LONG - STEPS) as f64;
    let engine = per_step(|watched| watched.engine_cpu_ms);
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    Ok(vec![
        figure("CPU per further step, whole tree", per_step(|watched| watched.cpu_ms), "ms", Target::AtMost(5.0))
            .note(format!("{engine:.1} ms of it in the engine; steps {STEPS} to {STEPS_LONG}")),
        figure(format!("peak memory (PSS) of the tree, {STEPS} steps"), mb(short.pss_kib), "MB", Target::AtMost(40.0))
            .note(short.parts()),
        figure(format!("peak memory (PSS) of the tree, {STEPS_LONG} steps"), mb(long.pss_kib), "MB", Target::None)
            .note(long.parts()),
    ])
}

/// Whether each request begins with the whole of the one before it: in one run, and over a kill and a resume.
pub(super) fn append_only(programs: &Programs) -> Result<Vec<Figure>> {
    let whole = stage(programs, STEPS)?;
    finish(&whole, &mut begin(&whole)?)?;
    let in_a_run = whole.server.report()?.append_only_min();

    let cut = stage(programs, STEPS)?;
    let mut child = begin(&cut)?;
    let half = || cut.server.report().is_ok_and(|report| report.requests.len() > STEPS / 2);
    ensure!(rig::wait_until(PATIENCE, half), "the task did not get to step {}", STEPS / 2);
    child.kill().context("kill the engine")?;
    child.wait().context("wait for the killed engine")?;
    let before = cut.server.report()?.requests.len();
    finish(&cut, &mut cut.start(&["task", "resume", "--last"])?)?;
    let report = cut.server.report()?;
    ensure!(report.requests.len() > before, "the resumed task asked the model nothing");
    Ok(vec![
        figure("append-only share, minimum over a run", in_a_run, "", Target::AtLeast(1.0)),
        figure(
            "append-only share, minimum over a kill and a resume",
            report.append_only_min(),
            "",
            Target::AtLeast(1.0),
        )
        .note(format!("killed after request {before} of {}", report.requests.len())),
    ])
}

pub(super) fn stage(programs: &Programs, steps: usize) -> Result<Stage> {
    Stage::set(programs, &Script { steps, command: "echo {i}".to_owned() })
}

pub(super) fn begin(stage: &Stage) -> Result<Child> {
    let steps = (STEPS_LONG * 2).to_string();
    stage.start(&["run", "--model", "openai:scripted", "--yes", "--max-steps", &steps, "count in the shell"])
}

pub(super) fn finish(stage: &Stage, child: &mut Child) -> Result<()> {
    let status = rig::wait_at_most(child, PATIENCE).with_context(|| stage.said())?;
    ensure!(status.success(), "thenar ended with {status}: {}", stage.said());
    let violations = stage.server.report()?.violations;
    ensure!(violations.is_empty(), "requests broke rules: {}", violations.join("; "));
    Ok(())
}

/// What was seen of one run.
#[derive(Debug, Default)]
struct Watched {
    cpu_ms: f64,
    engine_cpu_ms: f64,
    pss_kib: u64,
    /// At the peak, by name of process.
    pss_by_name: BTreeMap<String, u64>,
}

impl Watched {
    fn parts(&self) -> String {
        let part = |(name, kib): (&String, &u64)| format!("{name} {:.1}", *kib as f64 * 1024.0 / 1e6);
        self.pss_by_name.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

/// Runs a task while looking at every process of it.
fn watched(programs: &Programs, steps: usize) -> Result<Watched> {
    let stage = stage(programs, steps)?;
    let mut child = begin(&stage)?;
    let engine = i32::try_from(child.id())?;
    let server = i32::try_from(stage.server.pid())?;
    let mut last: BTreeMap<i32, Process> = BTreeMap::new();
    let mut seen = Watched::default();
    loop {
        let tree: Vec<Process> = rig::descendants()?.into_iter().filter(|process| process.pid != server).collect();
        let over = tree.iter().any(|process| process.pid == engine && process.zombie);
        let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
        for process in &tree {
            *by_name.entry(process.name.clone()).or_default() += process.pss_kib().unwrap_or(0);
        }
        by_name.retain(|_, kib| *kib > 0);
        let pss_kib = by_name.values().sum();
        if pss_kib > seen.pss_kib {
            (seen.pss_kib, seen.pss_by_name) = (pss_kib, by_name);
        }
        last.extend(tree.into_iter().map(|process| (process.pid, process)));
        if over {
            break;
        }
        rig::pause(SAMPLE_EVERY);
    }
    finish(&stage, &mut child)?;
    for process in last.values() {
        // Commands are counted once: by init, which waits for each of them.
        match process.name.as_str() {
            "thenar" => {
                seen.cpu_ms += process.cpu_ms;
                seen.engine_cpu_ms += process.cpu_ms;
            }
            "thenar-keeper" => seen.cpu_ms += process.cpu_ms,
            "thenar-init" => seen.cpu_ms += process.cpu_ms + process.cpu_children_ms,
            _ => {}
        }
    }
    ensure!(seen.pss_kib > 0, "the kernel does not tell the memory of processes (smaps_rollup)");
    Ok(seen)
}

#[expect(clippy::disallowed_methods, reason = "the server's clock and ours must be the same one")]
fn now_us() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e6)
}
