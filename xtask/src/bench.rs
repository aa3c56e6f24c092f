//! The bench: the release build against the numbers of the design, in one table.
//!
//! Everything is measured from outside, on the program a person runs; only the journal and the computer are also
//! called directly, where a number is about them alone. It compares with targets, never with yesterday.

mod browser;
mod checkpoints;
mod computer;
mod crowd;
mod egress;
mod engine;
mod journal;
mod many;
mod others;
mod output;
mod statistics;
mod tokens;

use std::process::ExitCode;

use anyhow::Result;

use crate::rig::{self, Programs};

/// One number.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// In `unit`.
    pub value: f64,
    /// Milliseconds, MB, a share …
    pub unit: &'static str,
    /// What the design asks for.
    pub target: Target,
    /// What a reader should know beside it.
    pub note: String,
}

/// What the design asks of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Shown for its own sake.
    None,
}

impl Figure {
    /// Whether the target is met; nothing where there is none.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(most) => Some(self.value <= most),
            Target::AtLeast(least) => Some(self.value >= least),
            Target::None => None,
        }
    }
}

fn figure(name: impl Into<String>, value: f64, unit: &'static str, target: Target) -> Figure {
    Figure { name: name.into(), value, unit, target, note: String::new() }
}

/// A row that says why there is no figure.
fn left_out(name: impl Into<String>, why: impl Into<String>) -> Figure {
    figure(name, f64::NAN, "", Target::None).note(why)
}

impl Figure {
    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// One group of figures: its name, and what measures it.
type Measure = (&'static str, fn(&Programs) -> Result<Vec<Figure>>);

/// What is measured, each on its own so that one failure leaves the others.
const MEASURES: &[Measure] = &[
    ("start", engine::start),
    ("gap", engine::gaps),
    ("load", engine::load),
    ("many", many::tasks),
    ("prompt", tokens::prompt),
    ("append-only", engine::append_only),
    ("output", output::fifty_megabytes),
    ("journal", journal::append),
    ("replay", journal::replay),
    ("computer", computer::commands),
    ("browser", browser::starts),
    ("others", others::boxes),
    ("idle", crowd::idle),
    ("egress", egress::both_ways),
    ("checkpoints", checkpoints::beside_git),
];

/// The names of all groups.
pub fn groups() -> Vec<&'static str> {
    MEASURES.iter().map(|(name, _)| *name).collect()
}

/// Measures everything, or the groups named in `only`, and prints the table. A missed target is shown, not punished:
/// a busy machine is no fault. What cannot be measured at all is.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers talks to its terminal")]
pub fn run(programs: &Programs, only: &[String]) -> Result<ExitCode> {
    rig::become_reaper()?;
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for (name, measure) in MEASURES {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("measuring: {name}");
        match measure(programs) {
            Ok(measured) => figures.extend(measured),
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    }
    println!("{}\n\n{}", surroundings(), table(&figures));
    for failure in &failures {
        println!("not measured: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a reader must know to compare: how many CPUs, and how busy others kept them.
fn surroundings() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().unwrap_or_default();
    format!("{cpus} CPUs, load average of the last minute {load} (this run's own share among it)")
}

/// The table, in columns for a terminal and valid as Markdown.
fn table(figures: &[Figure]) -> String {
    let head = ["number", "figure", "target", "", "note"].map(str::to_owned);
    let mut rows = vec![head];
    for figure in figures {
        let target = match figure.target {
            Target::AtMost(most) => format!("<= {}", round(most)),
            Target::AtLeast(least) => format!(">= {}", round(least)),
            Target::None => String::new(),
        };
        let verdict = match figure.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let value = match figure.value.is_nan() {
            true => "left out".to_owned(),
            false => format!("{} {}", round(figure.value), figure.unit).trim_end().to_owned(),
        };
        rows.push([figure.name.clone(), value, target, verdict.to_owned(), figure.note.clone()]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat((*width).max(3))).collect();
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1, format!("| {} |", rule.join(" | ")));
    lines.join("\n")
}

/// Three figures that count, and no more.
fn round(value: f64) -> String {
    let digits = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 0.1 {
        2
    } else {
        4
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    //! What the table says of a figure. The measuring itself is seen by running it.

    use super::{Target, figure, left_out, table};

    #[test]
    fn a_figure_stands_beside_its_target() {
        let figures = [
            figure("gap", 2.7349, "ms", Target::AtMost(5.0)).note("median"),
            figure("rate", 900.0, "/s", Target::AtLeast(10_000.0)),
            figure("size", 0.5, "", Target::None),
            left_out("peer", "not here"),
        ];
        let expected = "\
| number | figure   | target   |        | note     |
| ------ | -------- | -------- | ------ | -------- |
| gap    | 2.73 ms  | <= 5     | met    | median   |
| rate   | 900 /s   | >= 10000 | MISSED |          |
| size   | 0.50     |          |        |          |
| peer   | left out |          |        | not here |";
        assert_eq!(table(&figures), expected);
    }
}
