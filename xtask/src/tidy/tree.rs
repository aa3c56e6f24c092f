//! How many packages the product is built from, asked of cargo. Tests and tools are not counted: they do not ship.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Problem, Repository};

/// Above this the build on two cores becomes the project.
pub(super) const PACKAGES_MAX: usize = 350;

pub(super) fn check(repository: &Repository) -> Result<Option<Problem>> {
    let count = packages(&repository.root)?.len();
    Ok((count > PACKAGES_MAX).then(|| Problem {
        file: "Cargo.lock".to_owned(),
        line: 1,
        what: format!("the product's tree has {count} packages (at most {PACKAGES_MAX})"),
        why: "every package is trusted code, and build time",
        cure: "look at `cargo tree -p cli -e normal`, switch features off, or write the few lines that are used"
            .to_owned(),
    }))
}

/// Name and version of each package under `cli`.
pub(super) fn packages(root: &Path) -> Result<BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    #[expect(clippy::disallowed_methods, reason = "cargo is the only one that knows its tree")]
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--package", "cli", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .context("start cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(name).filter(|line| !line.is_empty()).collect())
}
