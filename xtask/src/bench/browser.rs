//! The browser of a computer: ready, first picture, memory; the lean one beside the whole Chromium.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use browser::{Destination, Start};
use sandbox::Computer;
use tempfile::TempDir;

use super::computer::spec;
use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Programs};

/// Starts of each kind.
const STARTS: usize = 7;

/// Browsers at once, each in a computer of its own.
const CROWD: usize = 10;

pub(super) fn starts(programs: &Programs) -> Result<Vec<Figure>> {
    let lean = Times::of(programs, sandbox::Browser::Lean)?;
    let whole = Times::of(programs, sandbox::Browser::Full).ok();
    let beside = |value: Option<f64>| {
        value.map_or("no whole Chromium here".to_owned(), |ms| format!("whole Chromium {ms:.0} ms"))
    };
    let p95 = |times: &[f64]| format!("p95 {:.0} ms of {}", percentile(times, 95.0), times.len());
    let ready = beside(whole.as_ref().map(|times| median(&times.ready)));
    let picture = beside(whole.as_ref().map(|times| median(&times.picture)));
    let mut open = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..CROWD {
        open.push(Desk::open(programs, sandbox::Browser::Lean)?);
        memory.push(memory_mb()?);
    }
    let each = memory[CROWD - 1] / CROWD as f64;
    Ok(vec![
        figure("browser: ready, median", median(&lean.ready), "ms", Target::AtMost(200.0))
            .note(format!("{}; {ready}", p95(&lean.ready))),
        figure("browser: first picture, median", median(&lean.picture), "ms", Target::AtMost(450.0))
            .note(format!("{}; {picture}", p95(&lean.picture))),
        figure("browser: memory (PSS) of one", memory[0], "MB", Target::None).note("a blank page"),
        figure(format!("browser: memory (PSS) of each of {CROWD}"), each, "MB", Target::None),
    ])
}

/// Milliseconds from the wish for a browser on.
struct Times {
    ready: Vec<f64>,
    picture: Vec<f64>,
}

impl Times {
    fn of(programs: &Programs, which: sandbox::Browser) -> Result<Self> {
        let mut times = Self { ready: Vec::new(), picture: Vec::new() };
        for _ in 0..STARTS {
            let desk = Desk::open(programs, which)?;
            times.ready.push(desk.ready_ms);
            times.picture.push(desk.picture_ms);
        }
        Ok(times)
    }
}

/// A computer with a browser that has drawn a page.
struct Desk {
    computer: Computer,
    _browser: browser::Browser,
    _folder: TempDir,
    ready_ms: f64,
    picture_ms: f64,
}

impl Desk {
    fn open(programs: &Programs, which: sandbox::Browser) -> Result<Self> {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let computer = Computer::open(&spec(programs, folder.path())?).context("make a computer")?;
        let started = Instant::now();
        let line = computer.browser(which).context("start a browser")?;
        let writer = line.stream.try_clone().context("speak with the browser")?;
        let cancel = Arc::new(AtomicBool::new(false));
        let start =
            Start { generation: line.generation, fresh: line.fresh, downloads: "/downloads".to_owned(), cancel };
        let browser = browser::Browser::attach(line.stream, writer, start).map_err(|error| anyhow!("{error}"))?;
        let ready_ms = started.elapsed().as_secs_f64() * 1000.0;
        browser.navigate(&Destination::Address("about:blank".to_owned())).map_err(|error| anyhow!("{error}"))?;
        browser.picture().map_err(|error| anyhow!("{error}"))?;
        let picture_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok(Self { computer, _browser: browser, _folder: folder, ready_ms, picture_ms })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.computer.shutdown();
    }
}

/// Of all browsers' processes below this one.
fn memory_mb() -> Result<f64> {
    let processes = rig::below_us()?;
    let browsers =
        processes.iter().filter(|process| process.name.starts_with("chrom") || process.name.starts_with("headless"));
    Ok(browsers.filter_map(|process| process.pss_kib()).sum::<u64>() as f64 / 1024.0)
}
