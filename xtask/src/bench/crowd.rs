//! Many idle computers side by side: what each holds, what all of them take from the machine, and how soon they are gone. It
//! loads nothing: that is `many`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use sandbox::Computer;
use tempfile::TempDir;

use super::computer::{echo, spec};
use super::{Figure, Target, figure};
use crate::rig::{self, Process, Programs, wait_until};

const IDLE: usize = 1_000;

/// Callers that end them side by side.
const ENDING: usize = 8;

const PATIENCE: Duration = Duration::from_secs(30);

/// A thousand idle computers, and the end of them all.
pub(super) fn idle(programs: &Programs) -> Result<Vec<Figure>> {
    let folders = TempDir::with_prefix("thenar-bench-").context("make a folder for computers")?;
    let before = available_mb()?;
    let mut computers = Vec::new();
    let start = Instant::now();
    for number in 0..IDLE {
        let computer = Computer::open(&spec(programs, &folders.path().join(number.to_string()))?)?;
        echo(&computer, "first")?;
        computers.push(computer);
    }
    let started_s = start.elapsed().as_secs_f64();
    let tree = rig::below_us()?;
    let ours: Vec<_> = tree.iter().filter(|process| is_ours(process)).collect();
    ensure!(ours.len() >= 2 * IDLE, "{} processes stand for {IDLE} computers", ours.len());
    let pss_mb = ours.iter().filter_map(|process| process.pss_kib()).sum::<u64>() as f64 / 1024.0;
    let taken_mb = before - available_mb()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let share = computers.len().div_ceil(ENDING);
        let ending = computers.chunks(share).map(|share| scope.spawn(|| share.iter().try_for_each(Computer::shutdown)));
        let ending: Vec<_> = ending.collect();
        ending
            .into_iter()
            .try_for_each(|ended| ended.join().map_err(|_| anyhow!("a thread failed"))?.context("end a computer"))
    })?;
    let gone = wait_until(PATIENCE, || rig::below_us().is_ok_and(|left| !left.iter().any(is_ours)));
    let ended_s = start.elapsed().as_secs_f64();
    rig::reap_orphans();
    ensure!(gone, "processes of computers are left that were ended {} s ago", PATIENCE.as_secs());
    Ok(vec![
        figure("memory (PSS) of one of 1,000 idle computers", pss_mb / IDLE as f64, "MB", Target::AtMost(1.5)),
        figure("1,000 idle computers: what the machine has less", taken_mb, "MB", Target::AtMost(1536.0))
            .note(format!("all made and answered in {started_s:.1} s")),
        figure("1,000 idle computers: until no process of theirs is left", ended_s, "s", Target::None)
            .note(format!("{ENDING} callers that end them side by side")),
    ])
}

fn is_ours(process: &Process) -> bool {
    process.name.starts_with("thenar-")
}

fn available_mb() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("find MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
