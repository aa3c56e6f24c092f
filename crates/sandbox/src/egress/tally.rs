//! How much passed to and from each place of a task: counted before it passes, and written down some way ahead of the count. Whoever
//! counts can be killed between any two instructions: what stands in the file is never less than what passed, and at most
//! [`STEP`] more. Nothing here waits for the disk. A kill of any process takes nothing from a file; a loss of power can.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Refusal;

/// How far ahead of the count is written: what a kill costs a place each way, at the most.
pub const STEP: u64 = 256 * 1024;

/// The first bytes of the file; what is for one place stands in as many, and so never on two pages.
const HEAD: [u8; SLOT] = *b"thenar: what passed, form 1    \n";
const SLOT: usize = 32;

/// What is written of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tallied {
    /// The number by which whoever counts knows the place.
    pub key: u64,
    /// Bytes from the computer, at the most.
    pub up: u64,
    /// Bytes to the computer, at the most.
    pub down: u64,
}

/// The counts of one task.
#[derive(Debug)]
pub struct Tally {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// Where each place stands in the file, counted from 1: the first is its head.
    slots: BTreeMap<u64, u64>,
    next: u64,
    sent: Arc<Sent>,
}

/// What a task has sent to all places together.
#[derive(Debug)]
struct Sent {
    bytes: AtomicU64,
    most: u64,
}

/// How much passed to and from one place, over all its connections and grants.
#[derive(Debug, Default)]
pub struct Count {
    up: Lane,
    down: Lane,
    /// Absent where nobody has to know later.
    kept: Option<Kept>,
}

#[derive(Debug, Default)]
struct Lane {
    so_far: AtomicU64,
    /// What is written: the count may come up to this without another write.
    ahead: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    file: Arc<File>,
    key: u64,
    at: u64,
    sent: Arc<Sent>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

impl Tally {
    /// What the file at `path` says; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is of another form.
    pub fn read(path: &Path) -> io::Result<Vec<Tallied>> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes?,
        };
        // Nothing but noughts is what a loss of power leaves of a new file.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Vec::new());
        }
        let mut slots = bytes.chunks_exact(SLOT);
        if slots.next() != Some(&HEAD) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it was written by another version of thenar"));
        }
        let number =
            |slot: &[u8], at: usize| slot[at..].iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Ok(slots.map(|slot| Tallied { key: number(slot, 0), up: number(slot, 8), down: number(slot, 16) }).collect())
    }

    /// Goes on with what was read of the file at `path`, for a task that has sent so many bytes, and may send so many at the most.
    pub fn new(path: PathBuf, read: &[Tallied], sent: u64, most: u64) -> Self {
        let slots = read.iter().zip(1..).map(|(one, slot)| (one.key, slot)).collect();
        let next = u64::try_from(read.len()).unwrap_or(u64::MAX).saturating_add(1);
        Self { path, file: None, slots, next, sent: Arc::new(Sent { bytes: AtomicU64::new(sent), most }) }
    }

    /// The count of the place with this number, of which so much has passed. It is to be asked for once.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn count(&mut self, key: u64, up: u64, down: u64) -> io::Result<Arc<Count>> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
                file.write_all_at(&HEAD, 0)?;
                Arc::clone(self.file.insert(Arc::new(file)))
            }
        };
        let slot = self.slots.get(&key).copied().unwrap_or(self.next);
        let at = slot * SLOT as u64;
        let kept = Kept { file, key, at, sent: Arc::clone(&self.sent), writing: Mutex::new(()) };
        kept.write(up, down)?;
        self.slots.insert(key, slot);
        self.next = self.next.max(slot + 1);
        Ok(Arc::new(Count { up: Lane::at(up), down: Lane::at(down), kept: Some(kept) }))
    }
}

impl Count {
    /// Bytes from the computer, and to it.
    pub fn passed(&self) -> (u64, u64) {
        (self.up.so_far.load(Ordering::SeqCst), self.down.so_far.load(Ordering::SeqCst))
    }

    /// Counts bytes from the computer before they pass.
    pub(crate) fn pass_up(&self, bytes: u64, most: u64) -> Result<(), Refusal> {
        let Some(kept) = &self.kept else { return self.pass(&self.up, bytes, most, "sent to it") };
        let sent = &kept.sent;
        add(&sent.bytes, bytes, sent.most).ok_or_else(|| too_much(sent.most, "sent by this task"))?;
        self.pass(&self.up, bytes, most, "sent to it").inspect_err(|_| take_back(&sent.bytes, bytes))
    }

    /// Counts bytes to the computer.
    pub(crate) fn pass_down(&self, bytes: u64, most: u64) -> Result<(), Refusal> {
        self.pass(&self.down, bytes, most, "received from it")
    }

    /// Nothing passes for now: what is written need not be ahead.
    pub(crate) fn settle(&self) {
        let Some(kept) = &self.kept else { return };
        let _writing = kept.hold();
        let lanes = [&self.up, &self.down];
        if lanes.iter().all(|lane| lane.ahead.load(Ordering::SeqCst) == lane.so_far.load(Ordering::SeqCst)) {
            return;
        }
        // Whoever counts from here on finds nothing written ahead, and waits; whoever has counted is counted here.
        lanes.iter().for_each(|lane| lane.ahead.store(0, Ordering::SeqCst));
        let (up, down) = self.passed();
        // What is not written stays ahead in the file, and the next to pass writes it again.
        if kept.write(up, down).is_ok() {
            self.up.ahead.store(up, Ordering::SeqCst);
            self.down.ahead.store(down, Ordering::SeqCst);
        }
    }

    fn pass(&self, lane: &Lane, bytes: u64, most: u64, how: &str) -> Result<(), Refusal> {
        let now = add(&lane.so_far, bytes, most).ok_or_else(|| too_much(most, how))?;
        let Some(kept) = self.kept.as_ref().filter(|_| now > lane.ahead.load(Ordering::SeqCst)) else { return Ok(()) };
        self.write_ahead(kept, lane, most).map_err(|error| {
            take_back(&lane.so_far, bytes);
            Refusal::new("egress.record", format!("how much passes could not be written down: {error}"))
        })
    }

    fn write_ahead(&self, kept: &Kept, lane: &Lane, most: u64) -> io::Result<()> {
        let _writing = kept.hold();
        let now = lane.so_far.load(Ordering::SeqCst);
        if now <= lane.ahead.load(Ordering::SeqCst) {
            return Ok(());
        }
        let ahead = step(now, most);
        let of = |one: &Lane| match std::ptr::eq(one, lane) {
            true => ahead,
            false => one.ahead.load(Ordering::SeqCst).max(one.so_far.load(Ordering::SeqCst)),
        };
        let (up, down) = (of(&self.up), of(&self.down));
        kept.write(up, down)?;
        self.up.ahead.store(up, Ordering::SeqCst);
        self.down.ahead.store(down, Ordering::SeqCst);
        Ok(())
    }
}

impl Lane {
    fn at(bytes: u64) -> Self {
        Self { so_far: AtomicU64::new(bytes), ahead: AtomicU64::new(bytes) }
    }
}

impl Kept {
    fn hold(&self) -> std::sync::MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, up: u64, down: u64) -> io::Result<()> {
        let mut slot = [0; SLOT];
        for (at, number) in [(0, self.key), (8, up), (16, down)] {
            slot[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        self.file.write_all_at(&slot, self.at)
    }
}

/// What is written when the count has come to `now`: some way ahead, though not beyond what may pass at all.
fn step(now: u64, most: u64) -> u64 {
    now.saturating_add(STEP).min(most).max(now)
}

/// The count with so many bytes more, if that is not too many; else it stays as it is.
fn add(so_far: &AtomicU64, bytes: u64, most: u64) -> Option<u64> {
    let more = |before: u64| before.checked_add(bytes).filter(|sum| *sum <= most);
    so_far.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|before| before + bytes)
}

fn take_back(so_far: &AtomicU64, bytes: u64) {
    so_far.fetch_sub(bytes, Ordering::SeqCst);
}

fn too_much(most: u64, how: &str) -> Refusal {
    Refusal::new("egress.bytes", format!("more than {most} bytes would be {how}"))
}

#[cfg(test)]
mod tests;
