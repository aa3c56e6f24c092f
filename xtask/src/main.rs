//! `cargo run -p xtask -- tidy|bench|chaos`: the command line of the automation. Only parsing and exit codes live here.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::chaos::Plan;
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
        #[arg(long)]
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
}

#[expect(clippy::print_stderr, reason = "a command for developers talks to its terminal")]
fn main() -> ExitCode {
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
