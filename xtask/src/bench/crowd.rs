//! Many idle computers side by side: what each holds, what all of them take from the machine, and how soon they are gone. Beside
//! them the other makers of boxes, in the same run. It loads nothing: that is `many`.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sandbox::{Computer, Driver};
use tempfile::TempDir;

use super::computer::{echo, spec};
use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Programs};

const IDLE: usize = 1_000;

const ROUNDS: usize = 30;

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
    let ours: Vec<_> = tree.iter().filter(|process| process.name.starts_with("thenar-")).collect();
    ensure!(ours.len() >= 2 * IDLE, "{} processes stand for {IDLE} computers", ours.len());
    let pss_mb = ours.iter().filter_map(|process| process.pss_kib()).sum::<u64>() as f64 / 1024.0;
    let taken_mb = before - available_mb()?;
    let start = Instant::now();
    for computer in &computers {
        computer.shutdown().context("end a computer")?;
    }
    let ended_s = start.elapsed().as_secs_f64();
    rig::reap_orphans();
    let left = rig::below_us()?.iter().filter(|process| process.name.starts_with("thenar-")).count();
    Ok(vec![
        figure("memory (PSS) of one of 1,000 idle computers", pss_mb / IDLE as f64, "MB", Target::AtMost(1.5)),
        figure("1,000 idle computers: what the machine has less", taken_mb, "MB", Target::AtMost(1536.0))
            .note(format!("all made and answered in {started_s:.1} s")),
        figure("1,000 idle computers: all ended, one after another", ended_s, "s", Target::None)
            .note(format!("{left} processes left a moment later")),
    ])
}

/// The same first output from a box of each other maker that is installed.
pub(super) fn others(programs: &Programs) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if let Some(times) = ours_by_bwrap(programs)? {
        figures.push(told("computer made by bubblewrap: create to first output, median", &times));
    }
    let bwrap = [
        "--unshare-all",
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
    ];
    let rest = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--", "/usr/bin/echo", "here"];
    if let Some(times) = program("bwrap", &[bwrap.as_slice(), &rest].concat())? {
        figures.push(told("bwrap alone, one command in a box of its own, median", &times));
    }
    let unshare = ["-Urmpinf", "--mount-proc", "/usr/bin/echo", "here"];
    if let Some(times) = program("unshare", &unshare)? {
        figures.push(told("unshare alone, with all namespaces, median", &times));
    }
    Ok(figures)
}

fn told(name: &str, times: &[f64]) -> Figure {
    let note = format!("p95 {:.1} ms of {}", percentile(times, 95.0), times.len());
    figure(name, median(times), "ms", Target::None).note(note)
}

/// Nothing where bubblewrap is not installed.
fn ours_by_bwrap(programs: &Programs) -> Result<Option<Vec<f64>>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let mut spec = spec(programs, folder.path())?;
        spec.build = Driver::Bwrap.into();
        let start = Instant::now();
        let Ok(computer) = Computer::open(&spec) else { return Ok(None) };
        echo(&computer, "first")?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        computer.shutdown().context("end the computer")?;
    }
    Ok(Some(times))
}

/// Nothing where the program is not installed or may not do it.
#[expect(clippy::disallowed_methods, reason = "another program, to compare with")]
fn program(name: &str, arguments: &[&str]) -> Result<Option<Vec<f64>>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let output = Command::new(name).args(arguments).env_clear().current_dir("/").stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.stdout == b"here\n" => times.push(start.elapsed().as_secs_f64() * 1000.0),
            Ok(_) | Err(_) => return Ok(None),
        }
    }
    Ok(Some(times))
}

fn available_mb() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("find MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
