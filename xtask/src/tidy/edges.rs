//! Which crate may depend on which of ours, as data, checked against the manifests. It does not look at what is imported where.

use anyhow::{Context, Result};

use super::{Problem, Repository};

/// A crate and the crates of ours that it may name under `[dependencies]`. A new edge is a decision: change it here, and say why.
const EDGES: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("journal", &[]),
    ("sandbox", &[]),
    ("browser", &[]),
    ("policy", &["event"]),
    ("model", &["event", "policy"]),
    ("provenance", &["event"]),
    ("tools", &["event", "policy", "sandbox", "browser"]),
    ("agent", &["event", "journal", "policy", "model", "tools", "provenance", "sandbox", "browser"]),
    ("server", &["event", "journal", "agent"]),
    ("cli", ALL),
    ("xtask", ALL),
    ("testkit", &["event", "journal"]),
];

/// All that ships. `testkit` does not ship, so it is a dev-dependency everywhere but in `xtask`, which does not ship either.
const ALL: &[&str] =
    &["event", "journal", "sandbox", "browser", "policy", "model", "provenance", "tools", "agent", "server", "cli"];

/// Names that gather whatever has no better place.
const NAMES_FOR_ANYTHING: &[&str] = &["common", "core", "util", "utils", "types", "helpers", "manager"];

/// A part, the crates that may use it, and the reason why no other may.
const OWNED: &[(&str, &[&str], &str)] = &[
    ("reqwest", &["model", "tools"], "only `model` and `tools` open connections to the outside"),
    ("rusqlite", &["journal"], "only `journal` writes the record"),
    ("cedar-policy", &["policy"], "only `policy` decides"),
    ("seccompiler", &["sandbox"], "only `sandbox` builds the box"),
    ("landlock", &["sandbox"], "only `sandbox` builds the box"),
    ("anyhow", &["cli", "xtask"], "a library's errors are an enum that its caller can act on"),
    ("tiktoken-rs", &["xtask"], "its table costs 46 MB and a sixth of a second at start: for measuring only"),
];

/// Crates that must stay synchronous.
const NO_RUNTIME: &[&str] = &["event", "journal", "policy", "sandbox", "browser", "provenance"];

pub(super) fn check(repository: &Repository) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    for manifest in repository.ending("Cargo.toml").filter(|file| file.path.contains('/')) {
        let Some(name) = crate_of(&manifest.path) else { continue };
        let place = |line: &str| manifest.text.lines().position(|text| text.starts_with(line)).map_or(1, |at| at + 1);
        let mut add = |line: usize, what: String, why: &'static str, cure: String| {
            found.push(Problem { file: manifest.path.clone(), line, what, why, cure });
        };
        let table: toml::Table =
            manifest.text.parse().with_context(|| format!("read the manifest {}", manifest.path))?;
        let package = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        if package != Some(name) {
            add(
                place("name"),
                format!("the crate in folder `{name}` is called `{}`", package.unwrap_or_default()),
                "folder, crate and name in code are one word, so that nobody has to look it up",
                format!("set name = \"{name}\""),
            );
        }
        if NAMES_FOR_ANYTHING.contains(&name) {
            add(
                1,
                format!("a crate named `{name}`"),
                "a name that fits everything ends up holding everything",
                "name it after the one thing it knows, or put the code where it is used".to_owned(),
            );
        }
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            add(
                1,
                format!("the crate `{name}` is not in the table of edges"),
                "an architecture is what may not depend on what",
                "add it to EDGES in xtask/src/tidy/edges.rs with the crates it may use".to_owned(),
            );
            continue;
        };
        for dependency in normal_dependencies(&table) {
            let line = place(&dependency);
            if dependency == "testkit" && name != "xtask" {
                add(
                    line,
                    "`testkit` under [dependencies]".to_owned(),
                    "fakes must never be linked into what ships",
                    "move it to [dev-dependencies]".to_owned(),
                );
            } else if is_ours(&dependency) && dependency != "testkit" && !allowed.contains(&dependency.as_str()) {
                add(
                    line,
                    format!("`{name}` depends on `{dependency}`"),
                    "the edges between crates are fixed: what an inner crate cannot see, it cannot break",
                    format!("let the caller hand in what is needed; `{name}` may use: {}", list(allowed)),
                );
            }
            if let Some((_, owners, why)) = OWNED.iter().find(|(part, _, _)| *part == dependency)
                && !owners.contains(&name)
            {
                add(line, format!("`{name}` uses `{dependency}`"), why, format!("go through {}", list(owners)));
            }
            if dependency == "tokio" && NO_RUNTIME.contains(&name) {
                add(
                    line,
                    format!("`{name}` uses tokio"),
                    "async stays at the edge: this crate is plain code that any thread can run and any test can call",
                    "make it synchronous; the caller uses spawn_blocking".to_owned(),
                );
            }
        }
    }
    Ok(found)
}

/// `crates/NAME/Cargo.toml` or `xtask/Cargo.toml`.
pub(super) fn crate_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("crates/").unwrap_or(path);
    let (name, rest) = rest.split_once('/')?;
    (rest == "Cargo.toml" && (path.starts_with("crates/") || name == "xtask")).then_some(name)
}

/// Whether a crate is one of ours.
pub(super) fn is_ours(name: &str) -> bool {
    EDGES.iter().any(|(known, _)| *known == name)
}

/// Names under `[dependencies]`, `[build-dependencies]` and their per-target forms.
fn normal_dependencies(manifest: &toml::Table) -> Vec<String> {
    let of = |table: &toml::Table| {
        ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| table.get(*section)?.as_table())
            .flat_map(|section| section.keys().cloned())
            .collect::<Vec<_>>()
    };
    let mut names = of(manifest);
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    for target in targets.into_iter().flatten().filter_map(|(_, target)| target.as_table()) {
        names.extend(of(target));
    }
    names
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none of our crates".to_owned() } else { names.join(", ") }
}
