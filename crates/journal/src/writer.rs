//! The one writer of a journal. It reads no clock: times come with the drafts.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::{
    Blobs, Chain, Draft, Error, Head, MemoryStore, Reader, Record, Result, SALT_BYTES, Source as _, SqliteStore, Store,
    SyncHandle,
    chain::{TASK_BYTES_MAX, check_name},
    lock::Lock,
    reader::read_checked,
};

/// The writer of one journal, and its lock.
#[derive(Debug)]
pub struct Writer {
    // In the order they are dropped: the lock goes last.
    store: Box<dyn Store>,
    chain: Chain,
    blobs: Blobs,
    sync: SyncHandle,
    torn: Option<PathBuf>,
    lock: Option<Lock>,
}

impl Writer {
    /// Makes the journal of a new task in this folder, and the folder if need be.
    pub fn create(folder: &Path, task: &str) -> Result<Self> {
        check_name("task id", task, TASK_BYTES_MAX)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Error::io(format!("create journal {}", folder.display()), error))?;
        let lock = Lock::take(folder)?;
        let store = SqliteStore::create(folder, task)?;
        Self::assemble(Box::new(store), Chain::new(task), Blobs::open(folder), Some(lock))
    }

    /// Takes the journal in this folder, after checking all of it.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_replaying(folder, |_| {})
    }

    /// Takes the journal in this folder, handing every record to `each` as it is checked, so that one reading serves
    /// both. If a record is corrupt `each` has seen those before it, and nothing on the disk was changed.
    pub fn open_replaying(folder: &Path, mut each: impl FnMut(Record)) -> Result<Self> {
        let lock = Lock::take(folder)?;
        let mut store = SqliteStore::open_to_check(folder)?;
        let mut chain = Chain::new(store.task());
        read_checked(&mut store, &mut chain, usize::MAX, &mut each)?;
        let torn = if store.log_is_damaged()? { Some(store.keep_log(chain.head().seq)?) } else { None };
        store.permit_writing()?;
        let writer = Self::assemble(Box::new(store), chain, Blobs::open(folder), Some(lock))?;
        Ok(Self { torn, ..writer })
    }

    /// A journal that lives as long as its handles.
    pub fn in_memory(task: &str) -> Result<Self> {
        check_name("task id", task, TASK_BYTES_MAX)?;
        Self::over(Box::new(MemoryStore::new(task)), Blobs::in_memory())
    }

    /// The writer of whatever store, after checking all of it. That no other writer uses the store is the caller's care.
    pub fn over(mut store: Box<dyn Store>, blobs: Blobs) -> Result<Self> {
        let mut chain = Chain::new(store.task());
        read_checked(&mut *store, &mut chain, usize::MAX, &mut |_| {})?;
        Self::assemble(store, chain, blobs, None)
    }

    fn assemble(store: Box<dyn Store>, chain: Chain, blobs: Blobs, lock: Option<Lock>) -> Result<Self> {
        let sync = SyncHandle::new(store.durable_file().as_deref(), blobs.clone())?;
        Ok(Self { store, chain, blobs, sync, torn: None, lock })
    }

    /// The task whose journal this is.
    pub fn task(&self) -> &str {
        self.store.task()
    }

    /// The end of the journal.
    pub fn head(&self) -> Head {
        self.chain.head()
    }

    /// Appends these drafts as one transaction. When it returns they survive the death of any process; if it fails, none
    /// of them is there and it can be tried again.
    pub fn append(&mut self, drafts: &[Draft]) -> Result<Vec<Record>> {
        let mut chain = self.chain.clone();
        let mut records = Vec::with_capacity(drafts.len());
        for draft in drafts {
            records.push(chain.seal(draft, salt()?)?);
        }
        self.store.append(&records)?;
        self.chain = chain;
        Ok(records)
    }

    /// A reader of the same journal, for any thread.
    pub fn reader(&self) -> Result<Reader> {
        Ok(Reader::over(self.store.source()?))
    }

    /// The blobs of this journal; what is put through this handle is synced with the records.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Waits for the disk, from any thread.
    pub fn sync_handle(&self) -> SyncHandle {
        self.sync.clone()
    }

    /// Where the write-ahead log was kept as it was found, if it held committed records that could no longer be read: the
    /// tail was torn by a loss of power, or altered. What happened after the head as it was when this journal was opened
    /// is unknown.
    pub fn torn(&self) -> Option<&Path> {
        self.torn.as_deref()
    }

    /// Leaves a sign of life on the lock, for whoever wonders whether this writer hangs.
    pub fn touch(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), Lock::touch)
    }
}

fn salt() -> Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| Error::io("draw a salt", std::io::Error::other(error)))?;
    Ok(salt)
}
