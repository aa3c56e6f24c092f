//! Chaos: kill the real engine at random moments of real tasks, resume, and hold the result against what was promised.
//!
//! The task appends a line to a file at each step, so that whatever is lost or repeated shows. A model that only recites
//! is enough for that: what is tested is the engine, not the work.

mod check;
mod random;

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::rig::{self, Programs, Script, Stage};
use random::Random;

/// Steps of a task.
pub const STEPS: usize = 50;

/// Kills in one task; more points mean more tasks.
const KILLS_PER_TASK: usize = 5;

/// One task in so many loses keeper and computer together with the engine.
const EVERYTHING_EVERY: usize = 4;

/// The appended side effect, with time before and after it for a kill to fall into.
const COMMAND: &str = "sleep 0.01; echo {i} >> log; sleep 0.01";

/// No start, step or resume takes so long on any machine the tests are meant for.
const PATIENCE: Duration = Duration::from_secs(90);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many kills in all.
    pub points: usize,
    /// Where the random numbers begin.
    pub seed: u64,
}

/// What was done and seen; the promises held, else there would be an error instead.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Tasks run to their end.
    pub tasks: usize,
    /// Kills of the engine alone.
    pub engine_kills: usize,
    /// Kills of engine, keeper and computer together.
    pub everything_kills: usize,
    /// Kills that fell while a command was under way.
    pub in_mid_command: usize,
    /// Calls whose outcome the model was told is unknown; only after everything was killed.
    pub unknown: usize,
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Engine,
    Everything,
}

/// One kill: after so many lines of the log, and then so long.
#[derive(Debug, Clone, Copy)]
struct Kill {
    after_lines: usize,
    delay: Duration,
}

/// Runs tasks until there have been as many kills as planned. `say` gets a line per task.
pub fn run(programs: &Programs, plan: Plan, mut say: impl FnMut(&str)) -> Result<Tally> {
    rig::become_reaper()?;
    let mut random = Random::new(plan.seed);
    let step = undisturbed(programs).context("a task that nobody disturbs")?;
    say(&format!("undisturbed: {STEPS} steps, {} ms each", step.as_millis()));
    let mut tally = Tally::default();
    while tally.engine_kills + tally.everything_kills < plan.points {
        let left = plan.points - tally.engine_kills - tally.everything_kills;
        let everything = tally.tasks % EVERYTHING_EVERY == EVERYTHING_EVERY - 1;
        let victims = if everything { Victims::Everything } else { Victims::Engine };
        let kills = choose(&mut random, left.min(KILLS_PER_TASK), step);
        let number = tally.tasks + 1;
        one_task(programs, &kills, victims, &mut tally)
            .with_context(|| format!("task {number} of seed {} (killing {victims:?}: {kills:?})", plan.seed))?;
        say(&format!(
            "task {number}: {} kills so far, {} of them in mid-command, {} outcomes unknown; all kept",
            tally.engine_kills + tally.everything_kills,
            tally.in_mid_command,
            tally.unknown
        ));
    }
    Ok(tally)
}

/// One task with no kill: shows that the checks pass when nothing happens, and how long a step takes here.
fn undisturbed(programs: &Programs) -> Result<Duration> {
    let stage = stage(programs)?;
    let start = Instant::now();
    let mut child = begin(&stage)?;
    finish(&stage, &mut child)?;
    let took = start.elapsed();
    check::all_kept(&stage)?;
    Ok(took / u32::try_from(STEPS)?)
}

/// Moments spread over the whole task, each at another step: a resume that brings nothing on is a case of its own.
fn choose(random: &mut Random, count: usize, step: Duration) -> Vec<Kill> {
    let mut lines: Vec<usize> = (0..STEPS - 1).collect();
    let mut kills: Vec<Kill> = (0..count)
        .map(|_| {
            let after_lines = lines.swap_remove(random.below(lines.len()));
            let within = step.as_micros() as usize * 3 / 2;
            Kill { after_lines, delay: Duration::from_micros(random.below(within.max(1)) as u64) }
        })
        .collect();
    kills.sort_by_key(|kill| kill.after_lines);
    kills
}

fn one_task(programs: &Programs, kills: &[Kill], victims: Victims, tally: &mut Tally) -> Result<()> {
    let stage = stage(programs)?;
    let mut child = begin(&stage)?;
    let mut killed = 0;
    for kill in kills {
        let before = rig::wait_until(PATIENCE, || lines(&stage) >= kill.after_lines || ended(&mut child));
        ensure!(before, "no line {} after {} s\n{}", kill.after_lines, PATIENCE.as_secs(), stage.said());
        rig::pause(kill.delay);
        if ended(&mut child) {
            break;
        }
        if commands_running()? > 0 {
            tally.in_mid_command += 1;
        }
        strike(&mut child, victims)?;
        killed += 1;
        child = go_on(&stage)?;
    }
    finish(&stage, &mut child)?;
    tally.tasks += 1;
    match victims {
        Victims::Engine => {
            tally.engine_kills += killed;
            check::all_kept(&stage)
        }
        Victims::Everything => {
            tally.everything_kills += killed;
            tally.unknown += check::at_most_once(&stage, killed)?;
            Ok(())
        }
    }
}

fn stage(programs: &Programs) -> Result<Stage> {
    Stage::set(programs, &Script { steps: STEPS, command: COMMAND.to_owned() })
}

fn begin(stage: &Stage) -> Result<Child> {
    stage.start(&["run", "--model", "openai:scripted", "--yes", "write the numbers from 1 to 50 into a log"])
}

/// Resumes the task, or begins it where the kill came before there was one.
fn go_on(stage: &Stage) -> Result<Child> {
    // By its name: one that had just ended when the kill came is no task to be resumed, and says so.
    match stage.task() {
        Some(task) => stage.start(&["task", "resume", &task.file_name().unwrap_or_default().to_string_lossy()]),
        None => begin(stage),
    }
}

fn finish(stage: &Stage, child: &mut Child) -> Result<()> {
    let status = rig::wait_at_most(child, PATIENCE).with_context(|| stage.said())?;
    ensure!(status.success(), "thenar ended with {status}\n{}", stage.said());
    Ok(())
}

fn ended(child: &mut Child) -> bool {
    rig::reap_orphans();
    child.try_wait().ok().flatten().is_some()
}

/// SIGKILL, as near to one moment as a program can.
fn strike(child: &mut Child, victims: Victims) -> Result<()> {
    let others = match victims {
        Victims::Engine => Vec::new(),
        Victims::Everything => ours()?,
    };
    child.kill().context("kill the engine")?;
    others.into_iter().for_each(rig::kill);
    child.wait().context("wait for the killed engine")?;
    if victims == Victims::Engine {
        return Ok(());
    }
    let all_gone = rig::wait_until(PATIENCE, || {
        rig::reap_orphans();
        // One that was being born while we looked is found now.
        let left = ours().unwrap_or_default();
        left.iter().copied().for_each(rig::kill);
        left.is_empty()
    });
    ensure!(all_gone, "keeper or computer outlived SIGKILL: {:?}", rig::below_us()?);
    Ok(())
}

/// Every process of the product: engine, keeper, init, and what is on its way to become one of them.
fn ours() -> Result<Vec<i32>> {
    let ours = rig::below_us()?.into_iter().filter(|process| process.name.starts_with("thenar"));
    Ok(ours.map(|process| process.pid).collect())
}

/// Processes that are neither ours nor the server: what a command started.
fn commands_running() -> Result<usize> {
    let ours = |name: &str| name.starts_with("thenar") || name == "scripted-model";
    Ok(rig::below_us()?.iter().filter(|process| !ours(&process.name)).count())
}

/// How far the task is, read from its side effect.
fn lines(stage: &Stage) -> usize {
    stage.task().map_or(0, |task| log(&task).lines().count())
}

fn log(task: &Path) -> String {
    std::fs::read_to_string(task.join("workspace/log")).unwrap_or_default()
}
