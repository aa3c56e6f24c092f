//! Plain text: no trailing blanks, no tabs where spaces are meant, a newline at the end. Recorded data and snapshots stay as they came.

use super::{Problem, Repository, Source};

const ENDINGS: &[&str] =
    &[".rs", ".toml", ".md", ".py", ".sh", ".cedar", ".json", ".yml", ".yaml", ".js", ".css", ".ci/run"];

/// Folders of recorded or outside data: a blank there may be the point of it.
const AS_RECORDED: &[&str] = &["/fixtures/", "/golden/", "/snapshots/", "/data/", "/samples/"];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let ours = |file: &&Source| {
        ENDINGS.iter().any(|end| file.path.ends_with(end)) && !AS_RECORDED.iter().any(|part| file.path.contains(part))
    };
    repository.files.iter().filter(ours).flat_map(lines).collect()
}

fn lines(file: &Source) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |line: usize, what: &str, cure: &str| {
        found.push(Problem {
            file: file.path.clone(),
            line,
            what: what.to_owned(),
            why: "a diff should show what was meant and nothing else",
            cure: cure.to_owned(),
        });
    };
    for (index, line) in file.text.split('\n').enumerate() {
        if line.ends_with([' ', '\t']) {
            add(index + 1, "space at the end of the line", "delete it");
        }
        if line.ends_with('\r') {
            add(index + 1, "a carriage return", "save the file with plain newlines");
        }
        if line.starts_with('\t') {
            add(index + 1, "a tab as indent", "indent with four spaces (Makefile excepted)");
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        add(file.text.lines().count(), "no newline at the end of the file", "add one");
    }
    found
}
