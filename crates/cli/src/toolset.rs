//! Where the toolset is, and the script that builds it. What is in it is `toolset/` in the repository.

use std::path::PathBuf;

use crate::env;

/// The pinned packages with their hashes.
pub(crate) const LOCK: &str = include_str!("../../../toolset/requirements.lock");

/// Builds the toolset.
pub(crate) const SETUP: &str = include_str!("../../../toolset/setup.sh");

/// Digits of the lock's hash in the folder's name.
const HASH_DIGITS: usize = 16;

/// Where the toolset of this release belongs.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var(env::TOOLSET) {
        return Ok(std::path::absolute(path)?);
    }
    let hash = event::Digest::of(LOCK.as_bytes()).to_string();
    Ok(env::cache_folder()?.join("toolset").join(&hash[..HASH_DIGITS]))
}

/// The toolset's folder, if it has been built.
pub(crate) fn installed() -> Option<PathBuf> {
    folder().ok().filter(|folder| folder.join("COMPLETE").is_file())
}
