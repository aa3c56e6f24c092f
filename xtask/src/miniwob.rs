//! The pages of MiniWoB++ worked by scripted oracles through the agent's own browser tools, each call under a permit. What
//! the oracles mean is in `bench/miniwob`; there is no model in this.

mod desk;
mod episode;
mod oracle;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use desk::Desk;
use oracle::Oracle;

/// Reasons shown for a task that did not pass with every seed.
const REASONS_MAX: usize = 2;
/// Episodes that one computer and browser serve before others do: the record of calls only grows.
const EPISODES_PER_DESK: usize = 60;

/// What is to be worked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file of oracles.
    pub oracle: PathBuf,
    pub seeds: RangeInclusive<u64>,
    /// The folder of the pages; fetched where none is given.
    pub pages: Option<PathBuf>,
    /// Only these tasks; all where it is empty.
    pub only: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub total: usize,
    pub tasks: usize,
    pub whole_tasks: usize,
}

/// Reads `1-5` or `3`.
///
/// # Errors
/// If it is neither.
pub fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("{text:?} is no number"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let seeds = number(first)?..=number(last)?;
    if seeds.is_empty() { Err(format!("{text} has no seed in it")) } else { Ok(seeds) }
}

/// Works the plan. `keeper` is the program that keeps the computer.
pub fn run(keeper: &Path, plan: &Plan, mut say: impl FnMut(&str)) -> Result<Tally> {
    let text = std::fs::read_to_string(&plan.oracle).with_context(|| format!("read {}", plan.oracle.display()))?;
    let oracle = Oracle::read(&text).with_context(|| format!("understand {}", plan.oracle.display()))?;
    for name in &plan.only {
        ensure!(oracle.tasks.iter().any(|task| task.name == *name), "{} names no task {name}", plan.oracle.display());
    }
    let pages = match &plan.pages {
        Some(pages) => pages.clone(),
        None => fetch_pages()?,
    };
    ensure!(pages.join("core/core.js").is_file(), "{} does not hold the pages of MiniWoB++", pages.display());
    let (mut tally, mut desk, mut served) = (Tally::default(), None, 0);
    for task in oracle.tasks.iter().filter(|task| plan.only.is_empty() || plan.only.contains(&task.name)) {
        let (mut good, mut reasons) = (0, BTreeSet::new());
        for seed in plan.seeds.clone() {
            if served % EPISODES_PER_DESK == 0 {
                drop(desk.take());
            }
            served += 1;
            let desk = match &mut desk {
                Some(desk) => desk,
                none => none.insert(Desk::open(keeper, &pages)?),
            };
            match episode::play(desk, task, seed) {
                Ok(Some(())) => (good, tally.passed, tally.total) = (good + 1, tally.passed + 1, tally.total + 1),
                Ok(None) => good += 1,
                Err(error) => {
                    tally.total += 1;
                    reasons.insert(format!("seed {seed}: {error:#}"));
                }
            }
        }
        let seeds = plan.seeds.clone().count();
        tally.tasks += 1;
        if good == seeds {
            tally.whole_tasks += 1;
        }
        let reasons: Vec<String> = reasons.into_iter().take(REASONS_MAX).collect();
        say(format!("{:<32} {good}/{seeds} {}", task.name, reasons.join(" || ")).trim_end());
    }
    Ok(tally)
}

#[expect(clippy::disallowed_methods, reason = "the script that fetches the pages, as a person would run it")]
fn fetch_pages() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/miniwob.sh");
    let told = Command::new("sh").arg(&script).output().context("run scripts/miniwob.sh")?;
    if !told.status.success() {
        bail!("fetch the pages: {}", String::from_utf8_lossy(&told.stderr).trim());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()))
}

#[cfg(test)]
mod tests {
    use super::seeds;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!(seeds("1-5"), Ok(1..=5));
        assert_eq!(seeds("7"), Ok(7..=7));
        for wrong in ["", "5-1", "a", "1-", "-3"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
