//! `cargo run -p xtask -- tidy|bench|chaos|miniwob`: the command line of the automation. Only parsing and exit codes live here.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use xtask::chaos::Plan;
use xtask::miniwob;
use xtask::rig::Programs;

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "automation of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the repository against its own rules: crate edges, manifests, sources, documents
    Tidy,
    /// Measure the programs of this build (use --release) and print one table
    Bench {
        /// Measure only these groups
        #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(xtask::bench::groups()))]
        only: Vec<String>,
    },
    /// Kill the programs of this build at random moments of real tasks, and check that nothing is lost or done twice
    Chaos {
        /// How many kills
        #[arg(long, default_value_t = 300)]
        points: usize,
        /// Repeats the moments of an earlier run
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Work the pages of MiniWoB++ by scripted oracles through the browser's tools; the last line is passed/total
    Miniwob {
        /// The oracles: see bench/miniwob
        #[arg(long)]
        oracle: PathBuf,
        /// One seed, or a range of them
        #[arg(long, default_value = "1-5", value_parser = xtask::miniwob::seeds)]
        seeds: RangeInclusive<u64>,
        /// The folder of the pages; fetched where none is given
        #[arg(long)]
        pages: Option<PathBuf>,
        /// Only these tasks
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
}

/// The names under which a keeper starts itself and its boxes.
const KEEPER_NAMES: [&str; 3] = ["thenar-keeper", "thenar-init", "thenar-browser"];

#[expect(clippy::print_stderr, reason = "a command for developers talks to its terminal")]
fn main() -> ExitCode {
    // As the keeper of a computer that it has made itself: no other program need be built for it.
    if std::env::args_os().next().is_some_and(|name| KEEPER_NAMES.iter().any(|known| name == *known)) {
        return sandbox::keeper_main();
    }
    run(&Arguments::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: &Command) -> Result<ExitCode> {
    let root = repository_root();
    match command {
        Command::Tidy => xtask::tidy::report(&root),
        Command::Bench { only } => xtask::bench::run(&Programs::of_this_build()?, only),
        Command::Chaos { points, seed } => chaos(*points, *seed),
        Command::Miniwob { oracle, seeds, pages, only } => {
            let (oracle, pages, only) = (oracle.clone(), pages.clone(), only.clone());
            miniwob(&miniwob::Plan { oracle, seeds: seeds.clone(), pages, only })
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command for developers talks to its terminal")]
fn chaos(points: usize, seed: Option<u64>) -> Result<ExitCode> {
    let seed = seed.unwrap_or_else(seed_of_today);
    println!("seed {seed} (--seed {seed} repeats it)");
    let start = Instant::now();
    let tally = xtask::chaos::run(&Programs::of_this_build()?, Plan { points, seed }, |line| println!("{line}"))?;
    println!(
        "{} kills of the engine and {} of engine, keeper and computer together in {} tasks, {} in mid-command, \
         {} outcomes told as unknown, {} s: nothing lost, nothing repeated",
        tally.engine_kills,
        tally.everything_kills,
        tally.tasks,
        tally.in_mid_command,
        tally.unknown,
        start.elapsed().as_secs()
    );
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "a command for developers talks to its terminal")]
fn miniwob(plan: &miniwob::Plan) -> Result<ExitCode> {
    let start = Instant::now();
    let keeper = std::env::current_exe().context("find this executable")?;
    let tally = miniwob::run(&keeper, plan, |line| println!("{line}"))?;
    let miniwob::Tally { passed, total, tasks, whole_tasks } = tally;
    println!("{whole_tasks} of {tasks} tasks with every seed, {} s", start.elapsed().as_secs());
    println!("{passed}/{total}");
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::disallowed_methods,
    reason = "another seed at each run; it is printed, so that the run can be repeated"
)]
fn seed_of_today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn repository_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
