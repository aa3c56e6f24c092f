//! Nothing that has the shape of a live credential is in the repository. A made-up one in a test must look made up.

use anyhow::{Context, Result};
use regex::Regex;

use super::{Problem, Repository};

/// The shapes; each is written so that it does not match itself.
const SHAPES: &[(&str, &str)] = &[
    ("an API key", r"\bsk-(?:[a-z]+-)?[A-Za-z0-9]{24,}"),
    ("a cloud access key", r"\bAKIA[0-9A-Z]{16}\b"),
    ("a code host's token", r"\b(?:ghp|gho|ghs)_[A-Za-z0-9]{36}"),
    ("a code host's token", r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    ("a chat token", r"\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}"),
    ("a search key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("a private key", r"-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}"),
];

pub(super) fn check(repository: &Repository) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    for (what, shape) in SHAPES {
        let shape = Regex::new(shape).with_context(|| format!("read the shape of {what}"))?;
        for file in &repository.files {
            for hit in shape.find_iter(&file.text) {
                found.push(Problem {
                    file: file.path.clone(),
                    line: file.text[..hit.start()].matches('\n').count() + 1,
                    what: format!("text in the shape of {what}"),
                    why: "a secret in a repository is public, and stays so in its history",
                    cure: "revoke it if it is real; a made-up one in a test should say so in its letters".to_owned(),
                });
            }
        }
    }
    Ok(found)
}
