//! The tidy test: rules of the house that a compiler cannot see, each failure with its place, its reason and its cure.
//!
//! It judges text and manifests only; what a lint of rustc or clippy can hold is left to them.

mod documents;
mod edges;
mod manifests;
mod rust;
mod secrets;
mod sources;
mod text;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path from the root of the repository.
    pub file: String,
    /// Counted from one.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why the house does not want it.
    pub why: &'static str,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}:{}: {}", self.file, self.line, self.what)?;
        writeln!(out, "    why: {}", self.why)?;
        write!(out, "    do:  {}", self.cure)
    }
}

/// A text file of the repository.
#[derive(Debug)]
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

/// The repository as the rules see it: every text file, read once.
#[derive(Debug)]
pub struct Repository {
    /// Where it lies.
    pub root: PathBuf,
    /// In order of path.
    pub files: Vec<Source>,
}

/// Folders that hold nothing we wrote.
const NOT_OURS: &[&str] = &["target", ".git", "node_modules", "thenar-out", "__pycache__", ".venv", "dist"];

/// No text of ours is near this; bigger is data.
const TEXT_BYTES_MAX: u64 = 2 << 20;

impl Repository {
    /// Reads all text below `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let kind = entry.file_type()?;
                if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                    folders.push(entry.path());
                } else if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
                    let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
                    let path = entry.path().strip_prefix(root)?.to_string_lossy().into_owned();
                    files.push(Source { path, text });
                }
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self { root: root.to_owned(), files })
    }

    /// The text of one file, if it is there.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Files whose path ends so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a Source> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

/// Every problem of the repository at `root`, in order of place; none in a tidy one.
pub fn problems(root: &Path) -> Result<Vec<Problem>> {
    let repository = Repository::read(root)?;
    let mut all = judge(&repository)?;
    all.extend(tree::check(&repository)?);
    Ok(all)
}

/// The rules that need nothing but the text.
fn judge(repository: &Repository) -> Result<Vec<Problem>> {
    let mut all = Vec::new();
    all.extend(edges::check(repository)?);
    all.extend(manifests::check(repository)?);
    all.extend(sources::check(repository));
    all.extend(text::check(repository));
    all.extend(documents::check(repository));
    all.extend(secrets::check(repository)?);
    all.sort_by(|left, right| (&left.file, left.line, &left.what).cmp(&(&right.file, right.line, &right.what)));
    Ok(all)
}

/// The command: prints what is wrong, and the size of the product's dependency tree.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers talks to its terminal")]
pub fn report(root: &Path) -> Result<ExitCode> {
    let found = problems(root)?;
    for problem in &found {
        eprintln!("{problem}\n");
    }
    println!("packages in the product's tree: {} (at most {})", tree::packages(root)?.len(), tree::PACKAGES_MAX);
    if found.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} to mend", found.len());
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests;
