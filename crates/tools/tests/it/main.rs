//! The tools against a real computer, in one binary: what a model is told and what became of the files.

#![expect(clippy::expect_used, reason = "a test's helper that cannot go on fails its test")]

mod browser;
mod checks;
mod deliver;
mod files;
mod kinds;
mod person;
mod resume;
mod shell;
mod task;
mod terminal;
