//! Manifests: one list of versions, a reason for each part, the house's lints everywhere. It does not judge whether a reason is good.

use anyhow::Result;

use super::edges::{crate_of, is_ours};
use super::{Problem, Repository, Source};

pub(super) fn check(repository: &Repository) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    let house = repository.text("Cargo.toml").unwrap_or_default();
    for manifest in repository.ending("Cargo.toml") {
        if crate_of(&manifest.path).is_some() {
            found.extend(lines(manifest, house));
            found.extend(lints(manifest));
        }
    }
    found.extend(sources_outside_the_registry(house));
    Ok(found)
}

fn lines(manifest: &Source, house: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut section = "";
    let mut comment_above = false;
    for (index, line) in manifest.text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed;
        }
        let depends = section.contains("dependencies") && !trimmed.starts_with(['[', '#']) && trimmed.contains('=');
        if depends {
            let name = trimmed.split(['.', '=', ' ']).next().unwrap_or_default();
            let mut add = |what: String, why: &'static str, cure: String| {
                found.push(Problem { file: manifest.path.clone(), line: index + 1, what, why, cure });
            };
            let code = trimmed.split(" #").next().unwrap_or_default();
            if !code.contains("workspace = true") {
                add(
                    format!("`{name}` does not take its version from the workspace"),
                    "one list of versions: two crates never build two copies of a part",
                    format!(
                        "list it under [workspace.dependencies] in Cargo.toml and write `{name}.workspace = true  # reason`"
                    ),
                );
            }
            let reason = trimmed.contains('#') || comment_above || house_reason(house, name);
            if !section.contains("dev-") && !is_ours(name) && !reason {
                add(
                    format!("`{name}` has no reason"),
                    "each part from outside is trusted with everything, so it is here on purpose",
                    "add `# what it saves us` behind it".to_owned(),
                );
            }
        }
        comment_above = trimmed.starts_with('#') || (comment_above && depends && !trimmed.contains('#'));
    }
    found
}

/// A part that most crates use says its reason once, in the workspace's list.
fn house_reason(house: &str, name: &str) -> bool {
    house.lines().any(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', '.'])) && line.contains(" # ")
    })
}

fn lints(manifest: &Source) -> Option<Problem> {
    let inherits = manifest.text.contains("[lints]\nworkspace = true");
    (!inherits).then(|| Problem {
        file: manifest.path.clone(),
        line: 1,
        what: "the crate does not take the house's lints".to_owned(),
        why: "a wall with a gap is no wall: bans on process spawning, clocks and unsafe code hold everywhere or nowhere",
        cure: "add [lints] with workspace = true; an exception is #[expect(…, reason = \"…\")] at its place".to_owned(),
    })
}

fn sources_outside_the_registry(house: &str) -> Vec<Problem> {
    let outside = |line: &&str| line.contains("git =") || (line.contains("path =") && !line.contains("\"crates/"));
    let lines = house.lines().enumerate().filter(|(_, line)| outside(line));
    lines
        .map(|(index, line)| Problem {
            file: "Cargo.toml".to_owned(),
            line: index + 1,
            what: format!("a part from outside the registry: {line}"),
            why: "a repository can vanish or change under us; a registry's release cannot",
            cure: "use a released version, or write the few lines we need".to_owned(),
        })
        .collect()
}
