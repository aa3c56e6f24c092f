//! The browser of a computer: ready, first picture, memory; the lean one beside the whole Chromium.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use browser::Start;
use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::Computer;
use tempfile::TempDir;

use super::computer::spec;
use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Programs};

/// Starts of each kind.
const STARTS: usize = 7;

/// Browsers at once whose memory is told, each in a computer of its own.
const CROWDS: [usize; 3] = [1, 10, 30];

pub(super) fn starts(programs: &Programs) -> Result<Vec<Figure>> {
    let lean = Times::of(programs, sandbox::Browser::Lean)?;
    let whole = Times::of(programs, sandbox::Browser::Full).ok();
    let bare = Times::bare()?;
    let beside = |value: Option<f64>| {
        value.map_or("no whole Chromium here".to_owned(), |ms| format!("whole Chromium {ms:.0} ms"))
    };
    let p95 = |times: &[f64]| format!("p95 {:.0} ms of {}", percentile(times, 95.0), times.len());
    let ready = beside(whole.as_ref().map(|times| median(&times.ready)));
    let picture = beside(whole.as_ref().map(|times| median(&times.picture)));
    let mut figures = vec![
        figure("browser: ready, median", median(&lean.ready), "ms", Target::AtMost(200.0))
            .note(format!("{}; {ready}", p95(&lean.ready))),
        figure("browser: first picture, median", median(&lean.picture), "ms", Target::AtMost(450.0))
            .note(format!("{}; {picture}", p95(&lean.picture))),
        figure(
            "browser: ready without a computer around it, its own sandbox off",
            median(&bare.ready),
            "ms",
            Target::None,
        )
        .note(p95(&bare.ready)),
        figure("browser: first picture of that one", median(&bare.picture), "ms", Target::None)
            .note(p95(&bare.picture)),
    ];
    figures.extend(crowd(programs)?);
    Ok(figures)
}

/// What each of more and more browsers takes that show a blank page.
fn crowd(programs: &Programs) -> Result<Vec<Figure>> {
    let mut open = Vec::new();
    let mut figures = Vec::new();
    for crowd in CROWDS {
        while open.len() < crowd {
            open.push(Desk::open(programs, sandbox::Browser::Lean)?);
        }
        let target = if crowd == 30 { Target::AtMost(80.0) } else { Target::None };
        let name = format!("browser: memory (PSS) of each of {crowd}");
        figures.push(figure(name, memory_mb()? / crowd as f64, "MB", target).note("a blank page, drawn"));
    }
    Ok(figures)
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

    /// The lean one by itself, as this user's own program.
    fn bare() -> Result<Self> {
        let mut times = Self { ready: Vec::new(), picture: Vec::new() };
        for _ in 0..STARTS {
            let profile = TempDir::with_prefix("thenar-bench-").context("make a folder for a profile")?;
            let started = Instant::now();
            let program = Bare::start(&profile)?;
            let writer = program.line.try_clone().context("speak with the browser")?;
            let browser = attach(program.line.try_clone().context("listen to the browser")?, writer, (1, true))?;
            times.ready.push(ms_since(started));
            first_picture(&browser)?;
            times.picture.push(ms_since(started));
        }
        Ok(times)
    }
}

/// A browser that nothing is around.
struct Bare {
    child: Child,
    line: UnixStream,
}

impl Bare {
    #[expect(clippy::disallowed_methods, reason = "the program that is measured beside ours")]
    fn start(profile: &TempDir) -> Result<Self> {
        let (line, line_end) = UnixStream::pair().context("make a line to a browser")?;
        let mut shell = Command::new("sh");
        let start = "exec chromium-headless-shell --headless --no-sandbox --disable-gpu --remote-debugging-pipe \
                     --user-data-dir=\"$0\" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        shell.args(["-c", start]).arg(profile.path()).process_group(0);
        let theirs = |end: &UnixStream| end.try_clone().map(|end| Stdio::from(OwnedFd::from(end)));
        shell.stdin(theirs(&line_end)?).stdout(theirs(&line_end)?).stderr(Stdio::null());
        Ok(Self { child: shell.spawn().context("start chromium-headless-shell")?, line })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Its pages' processes with it: left over, they would count as others'.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}

fn attach(stream: UnixStream, writer: UnixStream, (generation, fresh): (u32, bool)) -> Result<browser::Browser> {
    let cancel = Arc::new(AtomicBool::new(false));
    let start = Start { generation, fresh, standing: Vec::new(), downloads: "/downloads".to_owned(), cancel };
    browser::Browser::attach(stream, writer, start).map_err(|error| anyhow!("{error}"))
}

/// Of the page that it opens with: no wait until one that was gone to has come to rest, which is as long as the page likes.
fn first_picture(browser: &browser::Browser) -> Result<()> {
    browser.picture().map(drop).map_err(|error| anyhow!("{error}"))
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
        let browser = attach(line.stream, writer, (line.generation, line.fresh))?;
        let ready_ms = ms_since(started);
        first_picture(&browser)?;
        let picture_ms = ms_since(started);
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
