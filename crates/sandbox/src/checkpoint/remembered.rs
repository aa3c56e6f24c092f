//! What is remembered of the tree as the last checkpoint found it: enough to know a file again that nobody has touched, without opening it.
//!
//! A cache: lost or damaged, everything is read again. The time of the last change to a file's inode cannot be set by anybody, so
//! nobody can hide a change from it; a file that was changed so shortly before it was read that another change might bear the same time,
//! or that somebody may be writing to through a mapping (see [`super::times`]), is not remembered. After a loss of power contents may be older than their times say, so nothing is remembered beyond the machine's boot.

use std::fs;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::Stat;

use super::Id;
use super::codec::{Garbled, Input};
use super::listing::Moment;
use super::times::{Times, Writers};
use crate::Result;

const FILE: &str = "remembered";
const MAGIC: &[u8; 8] = b"thnstat1";

/// What the last checkpoint saw of its tree, in the order of its listing.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) checkpoint: Id,
    pub(super) tree: Tree,
    pub(super) rows: Vec<Row>,
}

/// Which tree it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) device: u64,
    pub(super) number: u64,
}

/// One entry: its inode and when that was last changed. All zero where it has to be looked at again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    number: u64,
    changed: Moment,
}

impl Row {
    /// An entry that was looked at no earlier than `looked`, and which these could change then.
    pub(super) fn of(stat: &Stat, times: Times, looked: Moment, writers: Writers) -> Self {
        let changed = changed(stat);
        if times.tell(changed, looked, writers) { Self { number: stat.st_ino, changed } } else { Self::default() }
    }

    /// Whether the entry is provably as it was.
    pub(super) fn knows(&self, stat: &Stat) -> bool {
        self.number != 0 && self.number == stat.st_ino && self.changed == changed(stat)
    }
}

/// When anything about a file was last changed.
pub(super) fn changed(stat: &Stat) -> Moment {
    Moment { seconds: stat.st_ctime, nanos: u32::try_from(stat.st_ctime_nsec).unwrap_or(0) }
}

impl Remembered {
    /// What there is, if it is whole.
    pub(super) fn load(folder: &Path) -> Option<Self> {
        let bytes = fs::read(folder.join(FILE)).ok()?;
        let (body, hash) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(body) != *hash {
            return None;
        }
        Self::parse(body).ok()
    }

    fn parse(body: &[u8]) -> Result<Self, Garbled> {
        let mut input = Input(body);
        if input.array()? != *MAGIC {
            return Err(Garbled);
        }
        if input.array()? != boot().ok_or(Garbled)? {
            return Err(Garbled);
        }
        let checkpoint = Id(input.array()?);
        let tree = Tree { device: u64::from_le_bytes(input.array()?), number: u64::from_le_bytes(input.array()?) };
        let mut rows = Vec::with_capacity(input.0.len() / 20);
        while !input.is_empty() {
            let number = u64::from_le_bytes(input.array()?);
            let seconds = i64::from_le_bytes(input.array()?);
            rows.push(Row { number, changed: Moment { seconds, nanos: u32::from_le_bytes(input.array()?) } });
        }
        Ok(Self { checkpoint, tree, rows })
    }

    /// Kept for the next time, over what was kept: whoever reads it meanwhile, or after a kill, finds no use in it. Nothing waits for the
    /// disk, because a loss costs only time.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let Some(boot) = boot() else { return Ok(()) };
        let mut bytes = Vec::with_capacity(128 + self.rows.len() * 20);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&boot);
        bytes.extend_from_slice(&self.checkpoint.0);
        bytes.extend_from_slice(&self.tree.device.to_le_bytes());
        bytes.extend_from_slice(&self.tree.number.to_le_bytes());
        for row in &self.rows {
            bytes.extend_from_slice(&row.number.to_le_bytes());
            bytes.extend_from_slice(&row.changed.seconds.to_le_bytes());
            bytes.extend_from_slice(&row.changed.nanos.to_le_bytes());
        }
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        let path = folder.join(FILE);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let written = opened.and_then(|file| {
            file.write_all_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)
        });
        written.map_err(crate::Error::io(format!("write {}", path.display())))
    }
}

/// The machine's boot, by the name that the kernel gives it.
fn boot() -> Option<[u8; 36]> {
    let text = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    text.first_chunk().copied()
}
