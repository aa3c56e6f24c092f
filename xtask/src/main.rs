//! `cargo run -p xtask -- tidy|bench|chaos`: the command line of the automation. Only parsing and exit codes live here.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
}

fn main() -> Result<ExitCode> {
    let root = repository_root();
    match Arguments::parse().command {
        Command::Tidy => xtask::tidy::report(&root),
    }
}

fn repository_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
