//! What a workspace held at a moment, kept so that it can be had again: taken, compared, put back, copied, let go.
//!
//! A [`Store`] is a folder with immutable files in it. Files of the workspace are cut into chunks where their content says (FastCDC), each chunk
//! is kept once (BLAKE3, zstd) in a *pack*; a *checkpoint* is a small file that names the chunks of a listing, which names the chunks of every file.
//! Everything has its name only once it is whole and on the disk, so a kill or a loss of power at any moment leaves the checkpoints before it as they were.
//!
//! The tree belongs to somebody who may be hostile and may be at work in it: every step is by descriptor, no link is followed, sockets, pipes and devices are
//! not opened, and whatever has no natural end has a bound.
//!
//! A store serves one workspace. It knows nothing of tasks or journals: which checkpoints are to be kept is the caller's word. There is no encryption:
//! whoever can read the store's folder can read the workspace's.

mod apply;
mod archive;
mod attributes;
mod codec;
mod cut;
mod draft;
mod listing;
mod look;
mod manifest;
mod pack;
mod pairs;
mod remembered;
mod restore;
mod scan;
mod stage;
mod sweep;
mod take;
mod text;
mod times;
mod walk;

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};
pub use archive::Compression;
pub use look::{Diff, Difference, EntryKind, Piece, Seen, Side};
pub use restore::{Place, Restore, Restored};
pub use stage::remove_tree;
pub use sweep::Swept;
pub use take::{Step, Take};
pub use text::{TEXT_BYTES_MAX, is_text, text_diff};

/// A checkpoint's name: the SHA-256 of its manifest, and through it of everything it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How much of a workspace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of data in them.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: 200_000, bytes: 8 << 30 }
    }
}

/// Which bound was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Too many files, folders and links.
    Entries,
    /// Too much data.
    Bytes,
}

/// What a checkpoint holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Folders below the top.
    pub folders: u64,
    /// Symbolic links, and further names of files.
    pub links: u64,
    /// Sizes of the files.
    pub bytes: u64,
    /// The same without holes: what was or would be read.
    pub data_bytes: u64,
    /// Things that are there and not kept: sockets, pipes, devices, what we may not read.
    pub left_out: u64,
    /// Places that were changed while they were looked at, so that what is kept of them may be no moment's state.
    pub disturbed: u64,
}

/// What differs between two states of a workspace, in entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// In the later only.
    pub added: u64,
    /// In both, not the same.
    pub changed: u64,
    /// In the earlier only.
    pub removed: u64,
}

impl Changes {
    /// Nothing differs.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A checkpoint that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its name.
    pub id: Id,
    /// What it holds.
    pub counts: Counts,
    /// What differs from the one before it.
    pub changes: Changes,
    /// Bytes that the store has grown by.
    pub stored_bytes: u64,
}

/// What came of taking one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// There is a new one.
    New(Checkpoint),
    /// The workspace is as the one before has it, or empty where there is none before.
    Same,
    /// The workspace is more than may be kept.
    Over(Bound),
    /// The caller's word came.
    Stopped,
}

/// Where checkpoints of one workspace are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in this folder, which the first checkpoint makes.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The checkpoints there are, in no order.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn ids(&self) -> Result<Vec<Id>> {
        if self.folder.is_dir() { manifest::all(&self.folder) } else { Ok(Vec::new()) }
    }

    /// Copies the store to a new folder, whole: nobody writes to it or clears it meanwhile.
    ///
    /// # Errors
    /// If it cannot be read, or the copy cannot be written or is there already.
    pub fn copy(&self, to: &Path) -> Result<crate::Copied> {
        let _in_use = self.use_lock()?;
        let _writer = self.writer_lock()?;
        crate::copy_tree(&self.folder, to).map_err(Error::io(format!("copy {}", self.folder.display())))
    }

    /// Held while chunks are read or written: nothing is let go meanwhile.
    fn use_lock(&self) -> Result<File> {
        self.make()?;
        let lock = self.lock_file("in-use")?;
        lock.lock_shared().map_err(Error::io(format!("lock {}", self.folder.display())))?;
        Ok(lock)
    }

    /// Held by the one who writes.
    fn writer_lock(&self) -> Result<File> {
        let lock = self.lock_file("writer")?;
        lock.lock().map_err(Error::io(format!("lock {}", self.folder.display())))?;
        Ok(lock)
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.folder.join(name);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        opened.map_err(Error::io(format!("open {}", path.display())))
    }

    /// Makes the folder; only its owner sees into it.
    fn make(&self) -> Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let failed = || Error::io(format!("make the folder {}", self.folder.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed())
    }

    /// Makes the names in the folder durable.
    fn sync(&self) -> Result<()> {
        sync_folder(&self.folder)
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io(format!("sync {}", folder.display())))
}

fn garbled(codec::Garbled: codec::Garbled) -> Error {
    Error::Invalid("a listing of a checkpoint cannot be read".to_owned())
}
