//! Many idle computers side by side: what each holds, what all of them take from the machine, and how soon they are gone. It
//! loads nothing: that is `many`.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use sandbox::Computer;
use tempfile::TempDir;

use super::computer::{echo, spec};
use super::statistics::{median, percentile};
use super::{Figure, Target, figure, others};
use crate::rig::{self, Process, Programs, wait_until};

const IDLE: usize = 1_000;

/// Callers that end them side by side.
const ENDING: usize = 8;

/// What the program that stays outside is called.
const KEEPER: &str = "thenar-keeper";

/// How often they are killed: who shares the machine's processors tells on a single time.
const KILLED_TIMES: usize = 5;

const PATIENCE: Duration = Duration::from_secs(30);

/// A thousand idle computers, and the end of them all: asked to go, and killed.
pub(super) fn idle(programs: &Programs) -> Result<Vec<Figure>> {
    let before = available_mb()?;
    let (crowd, started_s) = Crowd::made(programs)?;
    let ours = crowd.processes()?;
    let pss_mb = ours.iter().filter_map(Process::pss_kib).sum::<u64>() as f64 / 1024.0;
    let taken_mb = before - available_mb()?;
    let start = Instant::now();
    crowd.end()?;
    let ended_s = gone_after(start, &ours)?;
    drop(crowd);
    let (mut killed_s, mut boxes) = (Vec::new(), Vec::new());
    for _ in 0..KILLED_TIMES {
        killed_s.push(self::killed_s(programs)?);
        boxes.extend(bubblewrap()?);
    }
    let (beside_s, beside_mb): (Vec<_>, Vec<_>) = boxes.into_iter().unzip();
    let none = || "; bubblewrap is not here".to_owned();
    let (killed_beside, held_beside) = if beside_s.is_empty() {
        (none(), none())
    } else {
        (
            format!("; as many small boxes of bubblewrap, killed alike: {:.2} s", median(&beside_s)),
            format!("; one of as many small boxes of bubblewrap {:.2} MB", median(&beside_mb) / IDLE as f64),
        )
    };
    let range =
        format!("median of {KILLED_TIMES}, {:.2} to {:.2}", percentile(&killed_s, 0.0), percentile(&killed_s, 100.0));
    Ok(vec![
        figure("memory (PSS) of one of 1,000 idle computers", pss_mb / IDLE as f64, "MB", Target::AtMost(1.5))
            .note(format!("its keeper and its PID 1{held_beside}")),
        figure("1,000 idle computers: what the machine has less", taken_mb, "MB", Target::AtMost(1536.0))
            .note(format!("all made and answered in {started_s:.1} s")),
        figure("1,000 idle computers: asked to end, until no process of theirs is left", ended_s, "s", Target::None)
            .note(format!("{ENDING} callers that end them side by side")),
        figure(
            "1,000 idle computers: killed, until no process of theirs is left",
            median(&killed_s),
            "s",
            Target::AtMost(0.5),
        )
        .note(format!("{range}; only the keepers outside are killed: what is inside goes with them{killed_beside}")),
    ])
}

/// Seconds until a crowd is gone whose keepers are killed.
fn killed_s(programs: &Programs) -> Result<f64> {
    let (crowd, _) = Crowd::made(programs)?;
    let ours = crowd.processes()?;
    let start = Instant::now();
    ours.iter().filter(|process| process.name == KEEPER).for_each(|keeper| rig::kill(keeper.pid));
    let seconds = gone_after(start, &ours)?;
    // The next one to be made clears away what they left of their groups.
    crowd.open(programs, 0)?.shutdown()?;
    Ok(seconds)
}

/// Seconds until as many small boxes of bubblewrap are gone whose processes outside are killed, and the megabytes (PSS) that all of
/// them held. Nothing where it makes none.
#[expect(clippy::disallowed_methods, reason = "another program, to compare with")]
fn bubblewrap() -> Result<Option<(f64, f64)>> {
    let inside = ["--die-with-parent", "--", "/usr/bin/sh", "-c", "echo; exec sleep 120"];
    let mut outside = Vec::new();
    for _ in 0..IDLE {
        let mut bwrap = Command::new("bwrap");
        bwrap.args(others::BWRAP_BOX).args(inside).env_clear().current_dir("/");
        let Ok(mut child) = bwrap.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() else { break };
        let mut ready = [0];
        let answered = child.stdout.take().is_some_and(|mut output| output.read_exact(&mut ready).is_ok());
        outside.push(child);
        if !answered {
            break;
        }
    }
    let names = ["bwrap", "sh", "sleep"];
    let boxes: Vec<_> = rig::below_us()?.into_iter().filter(|process| names.contains(&process.name.as_str())).collect();
    let held_mb = boxes.iter().filter_map(Process::pss_kib).sum::<u64>() as f64 / 1024.0;
    let start = Instant::now();
    outside.iter_mut().try_for_each(Child::kill).context("kill a box of bubblewrap")?;
    let seconds = gone_after(start, &boxes)?;
    Ok((boxes.len() >= 3 * IDLE).then_some((seconds, held_mb)))
}

struct Crowd {
    folders: TempDir,
    computers: Vec<Computer>,
}

impl Crowd {
    /// All of them, each of which has answered; and how many seconds that took.
    fn made(programs: &Programs) -> Result<(Self, f64)> {
        let folders = TempDir::with_prefix("thenar-bench-").context("make a folder for computers")?;
        let mut crowd = Self { folders, computers: Vec::new() };
        let start = Instant::now();
        for number in 0..IDLE {
            let computer = crowd.open(programs, number)?;
            echo(&computer, "first")?;
            crowd.computers.push(computer);
        }
        Ok((crowd, start.elapsed().as_secs_f64()))
    }

    fn open(&self, programs: &Programs, number: usize) -> Result<Computer> {
        Ok(Computer::open(&spec(programs, &self.folders.path().join(number.to_string()))?)?)
    }

    fn processes(&self) -> Result<Vec<Process>> {
        let tree = rig::below_us()?;
        let ours: Vec<_> = tree.into_iter().filter(is_ours).collect();
        ensure!(ours.len() >= 2 * self.computers.len(), "{} processes stand for {IDLE} computers", ours.len());
        Ok(ours)
    }

    /// Asks each to end.
    fn end(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let share = self.computers.len().div_ceil(ENDING);
            let shares = self.computers.chunks(share);
            let ending = shares.map(|share| scope.spawn(|| share.iter().try_for_each(Computer::shutdown)));
            let ending: Vec<_> = ending.collect();
            ending
                .into_iter()
                .try_for_each(|ended| ended.join().map_err(|_| anyhow!("a thread failed"))?.context("end a computer"))
        })
    }
}

/// Seconds from this moment until none of these is left. They are looked for one after the other, and no other process is: to ask
/// after all of them again and again would take the machine's time from those that end.
fn gone_after(start: Instant, computers: &[Process]) -> Result<f64> {
    let mut left: Vec<_> = computers.iter().collect();
    let gone = wait_until(PATIENCE, || {
        while left.pop_if(|process| process.is_gone()).is_some() {}
        left.is_empty()
    });
    let seconds = start.elapsed().as_secs_f64();
    ensure!(gone, "processes of computers are left that were ended {} s ago", PATIENCE.as_secs());
    ensure!(!rig::below_us()?.iter().any(is_ours), "a process of a computer is left that was not there before");
    Ok(seconds)
}

fn is_ours(process: &Process) -> bool {
    process.name.starts_with("thenar-")
}

fn available_mb() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("find MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
