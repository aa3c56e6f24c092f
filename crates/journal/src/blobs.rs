//! Blobs: bytes too big for a record, each in a file named by its SHA-256. Nothing here says which record names which
//! blob; that is in the payloads.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest as _, Sha256};

use crate::{Error, Hash, Place, Result, hex, parse_hash};

const BLOBS: &str = "blobs";
/// The biggest blob.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;

/// A blob that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The SHA-256 of its bytes, which is its name.
    pub digest: Hash,
    /// Its length.
    pub bytes: u64,
}

/// The blobs of a journal; a clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct Blobs {
    place: Keeping,
    /// What was put since the last sync.
    unsynced: Arc<Mutex<Vec<Hash>>>,
    /// Held through a sync, so that nobody is told of an end before the one who took the list has reached it.
    syncing: Arc<Mutex<()>>,
}

#[derive(Clone, Debug)]
enum Keeping {
    Folder(PathBuf),
    Memory(Arc<Mutex<BTreeMap<Hash, Vec<u8>>>>),
}

impl Blobs {
    /// The blobs of the journal in this folder. The first [`put`](Self::put) makes their folder.
    pub fn open(folder: &Path) -> Self {
        Self { place: Keeping::Folder(folder.join(BLOBS)), unsynced: Arc::default(), syncing: Arc::default() }
    }

    /// Blobs that live as long as their last handle.
    pub fn in_memory() -> Self {
        Self { place: Keeping::Memory(Arc::default()), unsynced: Arc::default(), syncing: Arc::default() }
    }

    /// Keeps these bytes. When it returns they survive the death of any process, and after [`sync`](Self::sync) the loss
    /// of power. The same bytes twice are one blob.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let length = bytes.len() as u64;
        if length > BLOB_BYTES_MAX {
            return Err(Error::TooLarge { what: "blob", bytes: length, bytes_max: BLOB_BYTES_MAX });
        }
        let digest: Hash = Sha256::digest(bytes).into();
        match &self.place {
            Keeping::Memory(blobs) => {
                locked(blobs).entry(digest).or_insert_with(|| bytes.to_vec());
            }
            Keeping::Folder(folder) => {
                // One that is there but damaged is written anew: the bytes at hand are the right ones.
                if self.get(&digest).is_err() {
                    write_whole(folder, &hex(&digest), bytes)?;
                    locked(&self.unsynced).push(digest);
                }
            }
        }
        Ok(Blob { digest, bytes: length })
    }

    /// The bytes of this digest, checked against it.
    pub fn get(&self, digest: &Hash) -> Result<Vec<u8>> {
        let name = hex(digest);
        let bytes = match &self.place {
            Keeping::Memory(blobs) => {
                let found = locked(blobs).get(digest).cloned();
                found.ok_or(Error::BlobMissing { digest: name.clone() })?
            }
            Keeping::Folder(folder) => match read_capped(&folder.join(&name)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::BlobMissing { digest: name }),
                Err(error) => return Err(Error::io(format!("read blob {name}"), error)),
            },
        };
        if Hash::from(Sha256::digest(&bytes)) != *digest {
            return Err(Error::corrupt(Place::Blob(name), "the content does not match its name"));
        }
        Ok(bytes)
    }

    /// The digests of all blobs, in order.
    pub fn list(&self) -> Result<Vec<Hash>> {
        let folder = match &self.place {
            Keeping::Memory(blobs) => return Ok(locked(blobs).keys().copied().collect()),
            Keeping::Folder(folder) => folder,
        };
        let failed = |error| Error::io(format!("list blobs {}", folder.display()), error);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut digests = Vec::new();
        for entry in entries {
            // Whatever has another name than a digest is no blob: a file that a kill left half written, for one.
            digests.extend(entry.map_err(failed)?.file_name().to_str().and_then(parse_hash));
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Waits until everything put through this handle and its clones is on the disk.
    pub fn sync(&self) -> Result<()> {
        let Keeping::Folder(folder) = &self.place else { return Ok(()) };
        let _one_at_a_time = locked(&self.syncing);
        let pending = std::mem::take(&mut *locked(&self.unsynced));
        if pending.is_empty() {
            return Ok(());
        }
        let sync_all = || -> std::io::Result<()> {
            for digest in &pending {
                File::open(folder.join(hex(digest)))?.sync_data()?;
            }
            File::open(folder)?.sync_all()?;
            // The folder itself may be as new as its first blob.
            folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
        };
        sync_all().map_err(|error| {
            locked(&self.unsynced).extend(&pending);
            Error::io(format!("sync blobs {}", folder.display()), error)
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder does one whole operation on the collection, so a panic elsewhere leaves it as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BLOB_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    static TEMPORARY: AtomicU64 = AtomicU64::new(0);
    let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}.{number}", std::process::id()));
    let write = || -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, folder.join(name))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io(format!("write blob {name}"), error)
    })
}
