//! What `thenar doctor` tries, one file for each kind of thing. Each comes to findings; nothing is mended, and nothing is
//! left behind but an empty folder.

pub(crate) mod browser;
pub(crate) mod clock;
pub(crate) mod computer;
pub(crate) mod configuration;
pub(crate) mod disk;
pub(crate) mod leftovers;
pub(crate) mod limits;
pub(crate) mod models;
mod namespaces;
pub(crate) mod toolset;

use std::path::{Path, PathBuf};

use serde::Serialize;
use server::Seen;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) works: bool,
    /// Without it nothing can be run.
    pub(crate) needed: bool,
    #[serde(rename = "finding")]
    pub(crate) what: String,
    /// The same by a code, for whoever says it in another language.
    pub(crate) seen: Seen,
    /// Ready to paste, or what to do where no command does it.
    pub(crate) fix: String,
}

impl Finding {
    /// It is as it should be.
    pub(crate) fn good(name: &str, seen: Seen, what: impl Into<String>) -> Self {
        Self { name: name.to_owned(), works: true, needed: false, what: what.into(), seen, fix: String::new() }
    }

    /// Tasks run, but not as well or as safely as they could.
    pub(crate) fn poor(name: &str, seen: Seen, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { works: false, fix: fix.into(), ..Self::good(name, seen, what) }
    }

    /// Nothing runs.
    pub(crate) fn fatal(name: &str, seen: Seen, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { needed: true, ..Self::poor(name, seen, what, fix) }
    }
}

/// A folder to try things in, in the data folder, since it is that one's disk that counts. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(home: &Path) -> std::io::Result<Self> {
        let folder = home.join("doctor").join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        // The folder above goes with the last of those who try at once.
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}
