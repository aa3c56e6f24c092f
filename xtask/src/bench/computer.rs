//! The computer alone: from nothing to the first output of a command, and a further command in a computer that is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sandbox::{Computer, ComputerSpec, Limits, Request, Status, Workspace};
use tempfile::TempDir;

use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::Programs;

const COMPUTERS: usize = 30;

const FURTHER: usize = 200;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn commands(programs: &Programs) -> Result<Vec<Figure>> {
    let mut first = Vec::new();
    let mut further = Vec::new();
    for number in 0..COMPUTERS {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let start = Instant::now();
        let computer = Computer::open(&spec(programs, folder.path())?).context("make a computer")?;
        echo(&computer, "first")?;
        first.push(start.elapsed().as_secs_f64() * 1000.0);
        let more = if number == 0 { FURTHER } else { 0 };
        for call in 0..more {
            let start = Instant::now();
            echo(&computer, &format!("further-{call}"))?;
            further.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        computer.shutdown().context("end the computer")?;
    }
    let p95 = |values: &[f64]| format!("p95 {:.1} ms of {}", percentile(values, 95.0), values.len());
    Ok(vec![
        figure("computer: create to first output, median", median(&first), "ms", Target::AtMost(10.0))
            .note(p95(&first)),
        figure("computer: a further command, median", median(&further), "ms", Target::None).note(p95(&further)),
    ])
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
