//! Whether a journal was written to since one looked, told from its files. It opens neither.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::{Error, Result};

/// The state of a journal's files; equal only while nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([(u64, i64, i64); 2]);

/// The state of the journal's files in this folder. Opens nothing.
pub fn stamp(folder: &Path) -> Result<Stamp> {
    let look = |name: &str| match std::fs::metadata(folder.join(name)) {
        Ok(data) => Ok((data.len(), data.mtime(), data.mtime_nsec())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((0, 0, 0)),
        Err(error) => Err(Error::io(format!("look at the journal in {}", folder.display()), error)),
    };
    Ok(Stamp([look("journal.db")?, look("journal.db-wal")?]))
}
