//! A file of the store in the making: it has no name that counts until it is whole. One that is dropped leaves nothing; one that a kill leaves behind is swept away by the next who writes.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// What such files are called until they are whole.
const PREFIX: &str = ".new-";

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: File,
    path: PathBuf,
    named: bool,
}

impl Draft {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = opened.map_err(Error::io(format!("write {}", path.display())))?;
        Ok(Self { file, path, named: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::io(format!("sync {}", self.path.display())))
    }

    /// Gives it its name, over whatever bears it.
    pub(super) fn name(mut self, name: &str) -> Result<()> {
        let to = self.path.with_file_name(name);
        fs::rename(&self.path, &to).map_err(Error::io(format!("make {}", to.display())))?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.named {
            // Left over, it harms nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what writers that died have left; how many. Only for whoever holds the writer's lock.
pub(super) fn sweep(folder: &Path) -> u64 {
    let removed = drafts(folder).filter(|path| fs::remove_file(path).is_ok());
    u64::try_from(removed.count()).unwrap_or(u64::MAX)
}

/// Files in the making, or never made.
pub(super) fn drafts(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    named.map(|entry| entry.path())
}
