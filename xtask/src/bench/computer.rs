//! The computer alone: from nothing to the first output of a command, a further command in a computer that is there, and its
//! end with everything in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sandbox::{Computer, ComputerSpec, Limits, Request, Status, Workspace};
use tempfile::TempDir;

use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Process, Programs, wait_until};

const COMPUTERS: usize = 30;

const FURTHER: usize = 200;

/// Computers that are ended with all that runs in them, and how much that is.
const KILLS: usize = 10;
const PROCESSES: usize = 50;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn commands(programs: &Programs) -> Result<Vec<Figure>> {
    let (mut first, mut alone) = (Vec::new(), Vec::new());
    let mut further = Vec::new();
    // They go when all is measured: a file system that has just let go of many files is slow at making others.
    let mut folders = Vec::new();
    // One with a way out and one without, in turn.
    for number in 0..2 * COMPUTERS {
        let egress = number % 2 == 0;
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let start = Instant::now();
        let spec = ComputerSpec { egress, ..spec(programs, folder.path())? };
        let computer = Computer::open(&spec).context("make a computer")?;
        echo(&computer, "first")?;
        let times = if egress { &mut first } else { &mut alone };
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        let more = if number == 0 { FURTHER } else { 0 };
        for call in 0..more {
            let start = Instant::now();
            echo(&computer, &format!("further-{call}"))?;
            further.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        computer.shutdown().context("end the computer")?;
        folders.push(folder);
    }
    let ends = ends(programs)?;
    let p95 = |values: &[f64]| format!("p95 {:.1} ms of {}", percentile(values, 95.0), values.len());
    Ok(vec![
        figure("computer: create to first output, median", median(&first), "ms", Target::AtMost(10.0)).note(format!(
            "with a way out; {}; without one {:.1} ms",
            p95(&first),
            median(&alone)
        )),
        figure("computer: a further command, median", median(&further), "ms", Target::AtMost(3.0)).note(p95(&further)),
        figure(
            format!("computer: killed with {PROCESSES} processes in it, until all are gone, median"),
            median(&ends),
            "ms",
            Target::AtMost(500.0),
        )
        .note(p95(&ends)),
    ])
}

/// Milliseconds from the order to end until no process of the computer is left.
fn ends(programs: &Programs) -> Result<Vec<f64>> {
    let script = format!("for number in $(seq {PROCESSES}); do setsid sleep 1000 & done; wait");
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
    let inside = |processes: &[Process]| processes.iter().filter(|process| process.name == "sleep").count();
    let ours = |process: &Process| process.name.starts_with("thenar-") || process.name == "sleep";
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let computer = Computer::open(&spec(programs, folder.path())?).context("make a computer")?;
        let request = Request::Exec { argv: argv.clone(), cwd: None, env: BTreeMap::new() };
        computer.start("many", &request).context("start many processes")?;
        let full = wait_until(PATIENCE, || rig::below_us().is_ok_and(|processes| inside(&processes) == PROCESSES));
        ensure!(full, "{PROCESSES} processes did not start");
        let start = Instant::now();
        computer.shutdown().context("end the computer")?;
        let gone = wait_until(PATIENCE, || rig::below_us().is_ok_and(|processes| !processes.iter().any(ours)));
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(gone, "processes of a computer are left that was ended {} s ago", PATIENCE.as_secs());
        rig::reap_orphans();
    }
    Ok(times)
}

pub(super) fn spec(programs: &Programs, folder: &Path) -> Result<ComputerSpec> {
    let workspace = folder.join("workspace");
    std::fs::create_dir_all(&workspace).context("make a workspace")?;
    Ok(ComputerSpec {
        dir: folder.join("computer"),
        workspace: Workspace::Own(workspace),
        toolset: None,
        limits: Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: programs.keeper.clone(),
        forbidden: Vec::new(),
        build: Default::default(),
        egress: false,
    })
}

pub(super) fn echo(computer: &Computer, call: &str) -> Result<()> {
    let argv = ["/bin/echo", "here"].map(str::to_owned).to_vec();
    computer.start(call, &Request::Exec { argv, cwd: None, env: BTreeMap::new() }).context("start a command")?;
    match computer.wait(call, PATIENCE).context("wait for a command")? {
        Status::Ended(_) => {}
        Status::Running { .. } => bail!("`echo` did not end within {} s", PATIENCE.as_secs()),
    }
    let output = computer.output(call, 0, 64).context("read a command's output")?;
    ensure!(output == b"here\n", "`echo here` put out {:?}", String::from_utf8_lossy(&output));
    Ok(())
}
