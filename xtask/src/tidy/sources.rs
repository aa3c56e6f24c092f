//! Rust sources: module docs, file length, and the walls that invariants 6 and 7 of ARCHITECTURE.md speak of. It sees words, not types.

use super::rust::{code_only, is_test_file, lines_before_tests, lines_with, without_tests};
use super::{Problem, Repository, Source};

/// Non-test lines of a file.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer, each with the reason.
const LONGER: &[(&str, &str)] = &[];

/// Folders and files that do no I/O, read no clock and roll no dice (invariant 6).
const PURE: &[&str] = &[
    "crates/event/src/",
    "crates/policy/src/",
    "crates/provenance/src/",
    "crates/agent/src/state",
    "crates/agent/src/decide",
    "crates/agent/src/context",
];

const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant",
    "tokio",
    "rand",
    "getrandom",
    "async",
];

/// The crates that may start processes (invariant 7), for their own reasons.
const MAY_SPAWN: &[&str] = &["crates/sandbox/", "crates/cli/", "crates/testkit/", "xtask/"];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let mut found = Vec::new();
    for file in repository.ending(".rs") {
        let code = code_only(&file.text);
        found.extend(opening(file));
        found.extend(shape_of_tests(repository, file));
        found.extend(exceptions(file, &code));
        found.extend(sharp_code(file, &code));
        if !is_test_file(&file.path) {
            let code = without_tests(&code);
            found.extend(length(file, &code));
            found.extend(purity(file, &code));
            found.extend(places(file, &code));
        }
    }
    found
}

fn problem(file: &Source, line: usize, what: String, why: &'static str, cure: &str) -> Problem {
    Problem { file: file.path.clone(), line, what, why, cure: cure.to_owned() }
}

fn opening(file: &Source) -> Option<Problem> {
    let first = file.text.lines().next().unwrap_or_default();
    (!first.starts_with("//! ")).then(|| {
        problem(
            file,
            1,
            "the file does not open with `//!`".to_owned(),
            "a reader should know in one sentence what the file is, and what it leaves to others",
            "open it with `//! What it is.` and one thing that it deliberately does not do",
        )
    })
}

fn length(file: &Source, code: &str) -> Option<Problem> {
    let lines = lines_before_tests(code);
    let exempt = LONGER.iter().any(|(path, _reason)| *path == file.path);
    (lines > FILE_LINES_MAX && !exempt).then(|| {
        problem(
            file,
            FILE_LINES_MAX,
            format!("{lines} lines that are not tests (at most {FILE_LINES_MAX})"),
            "a file that nobody can summarise in one sentence holds more than one idea",
            "split it by idea; tests longer than the code go to a file of their own; an exemption with its reason is a line in LONGER",
        )
    })
}

fn purity(file: &Source, code: &str) -> Vec<Problem> {
    if !PURE.iter().any(|pure| file.path.starts_with(pure)) {
        return Vec::new();
    }
    let hits = IMPURE.iter().flat_map(|word| lines_with(code, word).into_iter().map(move |line| (*word, line)));
    hits.map(|(word, line)| {
        problem(
            file,
            line,
            format!("`{word}` in a pure file"),
            "replay must give the same state, the same decision and the same context on every machine and every day (invariant 6)",
            "take the value as an argument, or return an effect and let the loop do it",
        )
    })
    .collect()
}

/// Words that belong in one place.
fn places(file: &Source, code: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let path = file.path.as_str();
    let mut ban = |word: &'static str, why: &'static str, cure: &str| {
        let lines = lines_with(code, word).into_iter();
        found.extend(lines.map(|line| problem(file, line, format!("`{word}` here"), why, cure)));
    };
    if path.starts_with("crates/agent/src/") && !path.starts_with("crates/agent/src/run") {
        let why = "the loop is the only async code of the agent, so that everything else can be tested by calling it";
        ban("async", why, "move what waits to run.rs");
        ban(".await", why, "move what waits to run.rs");
    }
    if path.starts_with("crates/sandbox/src/") {
        ban(
            "tokio",
            "the keeper must stay small and the box must not depend on a runtime",
            "use plain threads and poll",
        );
    }
    if !MAY_SPAWN.iter().any(|crate_| path.starts_with(crate_)) {
        ban(
            "Command::new",
            "only `sandbox` starts processes for a task, and `cli` the product's own (invariant 7)",
            "ask the sandbox for it",
        );
    }
    found
}

/// Integration tests are one binary per crate, in a folder; none is switched off.
fn shape_of_tests(repository: &Repository, file: &Source) -> Vec<Problem> {
    let mut found = Vec::new();
    let alone = file.path.split_once("/tests/").is_some_and(|(crate_, rest)| {
        let manifest = repository.text(&format!("{crate_}/Cargo.toml"));
        !rest.contains('/') && manifest.is_some_and(|manifest| !manifest.contains("autotests = false"))
    });
    if alone {
        found.push(problem(
            file,
            1,
            "a test binary of its own".to_owned(),
            "each binary is linked again on every change: two cores feel it",
            "make it a module of tests/it/main.rs; a file that two binaries share needs autotests = false",
        ));
    }
    let code = code_only(&file.text);
    for line in lines_with(&code, "#[ignore").into_iter().chain(lines_with(&code, "#[should_panic")) {
        found.push(problem(
            file,
            line,
            "a test that is ignored or should panic".to_owned(),
            "a test that does not run protects nobody; one that panics anywhere passes for the wrong reason",
            "assert what happens today, or delete the test",
        ));
    }
    found
}

/// Every exception to a lint says why.
fn exceptions(file: &Source, code: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    for start in ["[allow(", "[expect("] {
        for (at, _) in code.match_indices(start).filter(|(at, _)| code[..*at].ends_with(['#', '!'])) {
            let attribute = code[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason") {
                found.push(problem(
                    file,
                    code[..at].matches('\n').count() + 1,
                    "a lint is switched off without a reason".to_owned(),
                    "the next reader must be able to tell whether the exception still holds",
                    "write #[expect(lint, reason = \"…\")]",
                ));
            }
        }
    }
    found
}

fn sharp_code(file: &Source, code: &str) -> Vec<Problem> {
    if file.path.starts_with("crates/sandbox/") {
        return Vec::new();
    }
    let lines = lines_with(code, "unsafe").into_iter().chain(lines_with(code, "unsafe_code"));
    let why = "only `sandbox` talks to the kernel where the compiler cannot follow";
    lines
        .map(|line| problem(file, line, "`unsafe` outside sandbox".to_owned(), why, "use a safe wrapper (rustix)"))
        .collect()
}
