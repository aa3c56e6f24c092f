//! Measures a computer: from nothing to the first output, a further command, and the memory of an idle one. A measurement, not a test: it asserts nothing.
//!
//! `cargo run --release -p sandbox --example measure -- [ROUNDS]`, with `thenar-keeper` built in the same profile.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement speaks on standard output and stops when it cannot go on"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::{Computer, ComputerSpec, Limits, Request, Workspace, find_keeper};

/// Idle computers side by side; what they share then counts a part only.
const CROWD: usize = 20;

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(50, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut further, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let spec = spec(&folder.path().join(round.to_string()));
        let started = Instant::now();
        let computer = Computer::open(&spec).unwrap();
        run(&computer, "first", "echo first");
        first.push(started.elapsed());
        for command in 0..5 {
            let started = Instant::now();
            run(&computer, &format!("further-{command}"), "echo further");
            further.push(started.elapsed());
        }
        let started = Instant::now();
        computer.shutdown().unwrap();
        ends.push(started.elapsed());
    }
    println!("{:<34}{:>9}{:>9}", "", "p50", "p95");
    for (what, times) in [("create to first output", first), ("further command", further), ("shutdown", ends)] {
        let (median, late) = percentiles(times);
        println!("{what:<34}{median:>6.2} ms{late:>6.2} ms");
    }
    let computer = Computer::open(&spec(&folder.path().join("flood"))).unwrap();
    let started = Instant::now();
    run(&computer, "flood", "head -c 50000000 /dev/zero");
    println!("{:<34}{:>6.0} ms", "50 MB of output", millis(started.elapsed()));
    println!("{:<34}{:>6} KiB", "memory, after work (PSS)", pss_kib(&computer));
    computer.shutdown().unwrap();
    let mut idle = Vec::new();
    for number in 0..CROWD {
        let computer = Computer::open(&spec(&folder.path().join(format!("idle-{number}")))).unwrap();
        run(&computer, "one", "true");
        if number == 0 {
            println!("{:<34}{:>6} KiB", "memory, one idle (PSS)", pss_kib(&computer));
        }
        idle.push(computer);
    }
    println!("{:<34}{:>6} KiB", format!("memory, each of {CROWD} idle (PSS)"), pss_kib(&idle[0]));
    for computer in idle {
        computer.shutdown().unwrap();
    }
}

fn spec(folder: &Path) -> ComputerSpec {
    ComputerSpec {
        dir: folder.join("computer"),
        workspace: Workspace::Own(folder.join("workspace")),
        toolset: None,
        limits: Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: find_keeper().unwrap(),
        forbidden: Vec::new(),
        build: Default::default(),
        egress: false,
    }
}

fn run(computer: &Computer, call: &str, script: &str) {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    computer.start(call, &Request::Exec { argv, cwd: None, env: BTreeMap::new() }).unwrap();
    computer.wait(call, Duration::from_secs(60)).unwrap();
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    (millis(times[times.len() / 2]), millis(times[times.len() * 95 / 100]))
}

/// Proportional memory of the two processes of a computer: the keeper is the one that holds the lock.
fn pss_kib(computer: &Computer) -> u64 {
    let lock = computer.dir().join("keeper.lock");
    let read = |pid: &str, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let all = || std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let holds = |pid: &String| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path == lock))
    };
    let parent = |pid: &str| {
        let stat = read(pid, "stat");
        stat.rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned))
            .unwrap_or_default()
    };
    let pss = |pid: &str| {
        let memory = read(pid, "smaps_rollup");
        let line = memory.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
    };
    let keeper = all().find(holds).unwrap();
    let inside = all().filter(|pid| parent(pid) == keeper);
    pss(&keeper) + inside.map(|pid| pss(&pid)).sum::<u64>()
}
