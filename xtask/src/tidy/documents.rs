//! Documents that can fail: links that lead nowhere, promises without a test. It does not read prose.

use std::collections::BTreeSet;

use super::{Problem, Repository, Source};

/// What a visitor expects to find.
const REQUIRED: &[&str] = &["README.md", "ARCHITECTURE.md", "SPECIFICATION.md", "CONTRIBUTING.md", "LICENSE"];

const ARCHITECTURE_LINES_MAX: usize = 400;

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let mut found: Vec<Problem> = repository.ending(".md").flat_map(|page| links(repository, page)).collect();
    for name in REQUIRED.iter().filter(|name| repository.text(name).is_none()) {
        found.push(Problem {
            file: (*name).to_owned(),
            line: 1,
            what: "the file is missing".to_owned(),
            why: "it is one of the five pages that every visitor looks for",
            cure: "write it".to_owned(),
        });
    }
    if let Some(text) = repository.text("ARCHITECTURE.md") {
        let lines = text.lines().count();
        if lines > ARCHITECTURE_LINES_MAX {
            found.push(Problem {
                file: "ARCHITECTURE.md".to_owned(),
                line: ARCHITECTURE_LINES_MAX,
                what: format!("{lines} lines (at most {ARCHITECTURE_LINES_MAX})"),
                why: "a map that is as long as the country is not read",
                cure: "move detail to the crate's own //! or to docs/decisions".to_owned(),
            });
        }
    }
    if let Some(text) = repository.text("SPECIFICATION.md") {
        found.extend(promises(repository, text));
    }
    found
}

/// Lines of a page outside its code blocks, from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn links(repository: &Repository, page: &Source) -> Vec<Problem> {
    let folder = repository.root.join(&page.path);
    let folder = folder.parent().unwrap_or(&repository.root);
    let mut found = Vec::new();
    for (line, text) in prose(&page.text) {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split(['#', ' ']).next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !outside && !folder.join(file).exists() {
                found.push(Problem {
                    file: page.path.clone(),
                    line,
                    what: format!("the link to `{target}` leads nowhere"),
                    why: "a dead link tells a reader that nobody reads this page",
                    cure: "mend the path, seen from the page's own folder".to_owned(),
                });
            }
        }
    }
    found
}

/// Every row of every table in SPECIFICATION.md names, in backticks, a `make` target, a command, or a test that exists.
fn promises(repository: &Repository, text: &str) -> Vec<Problem> {
    let functions = functions(repository);
    let targets: BTreeSet<&str> =
        repository.text("Makefile").unwrap_or_default().lines().filter_map(|line| line.split(':').next()).collect();
    let rows: Vec<(usize, &str)> = prose(text).filter(|(_, line)| line.starts_with('|')).collect();
    let is_rule = |line: &str| line.chars().all(|letter| "|-: ".contains(letter));
    let mut found = Vec::new();
    for (position, (line, row)) in rows.iter().enumerate() {
        let heads = rows.get(position + 1).is_some_and(|(next, below)| *next == line + 1 && is_rule(below));
        let held = row.split('`').skip(1).step_by(2).any(|name| holds(name, &functions, &targets));
        if !is_rule(row) && !heads && !held {
            found.push(Problem {
                file: "SPECIFICATION.md".to_owned(),
                line: *line,
                what: "a promise that no test or bench holds".to_owned(),
                why: "a number with a test, or no promise",
                cure: "name in backticks the test function, `make` target or command that shows it".to_owned(),
            });
        }
    }
    found
}

fn holds(name: &str, functions: &BTreeSet<&str>, targets: &BTreeSet<&str>) -> bool {
    if let Some(target) = name.strip_prefix("make ") {
        return targets.contains(target.split(' ').next().unwrap_or_default());
    }
    let last = name.rsplit("::").next().unwrap_or(name);
    name.starts_with("cargo ") || name.starts_with("thenar ") || functions.contains(last)
}

/// Names of all functions in the repository: a test that was renamed away no longer holds a promise.
fn functions(repository: &Repository) -> BTreeSet<&str> {
    let names =
        repository.files.iter().filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".py")).flat_map(
            |file| {
                let starts = file.text.split("fn ").skip(1).chain(file.text.split("def ").skip(1));
                starts.filter_map(|rest| rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next())
            },
        );
    names.filter(|name| !name.is_empty()).collect()
}
