//! A checkpoint's own file: which chunks make up its listing, and what that comes to. Small, readable by anybody, named by the SHA-256 of its bytes: whoever holds that name can check everything below it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::draft::Draft;
use super::pack::{ChunkId, Packs};
use super::{Counts, Id, listing::Listing};
use crate::{Error, Result};

pub(super) const SUFFIX: &str = ".checkpoint";
const FORMAT: &str = "thenar-checkpoint";
const VERSION: u64 = 1;
/// Larger than any that is written.
const BYTES_MAX: u64 = 4 << 20;

/// As it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: String,
    v: u64,
    pub(super) counts: Counts,
    /// Chunks of the listing, in order: name and bytes.
    listing: Vec<(String, u32)>,
}

impl Manifest {
    pub(super) fn new(counts: Counts, listing: &[(ChunkId, u32)]) -> Self {
        let listing = listing.iter().map(|(id, bytes)| (blake3::Hash::from_bytes(*id).to_hex().to_string(), *bytes));
        Self { format: FORMAT.to_owned(), v: VERSION, counts, listing: listing.collect() }
    }

    /// Its bytes, and the name they give it.
    pub(super) fn seal(&self) -> Result<(Id, Vec<u8>)> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::io("write a checkpoint")(error.into()))?;
        Ok((Id(sha2::Sha256::digest(&bytes).into()), bytes))
    }

    pub(super) fn draft(folder: &Path, bytes: &[u8]) -> Result<Draft> {
        let mut draft = Draft::new(folder)?;
        draft.file.write_all(bytes).map_err(Error::io(format!("write {}", draft.path().display())))?;
        Ok(draft)
    }

    /// Reads the checkpoint of this name, checked against it.
    pub(super) fn load(folder: &Path, id: &Id) -> Result<Self> {
        let path = folder.join(file_name(id));
        let damaged = |how: &str| Error::Damaged { what: path.clone(), how: how.to_owned() };
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoCheckpoint { id: id.to_string(), folder: folder.to_owned() });
            }
            Err(error) => return Err(Error::io(format!("open {}", path.display()))(error)),
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, BYTES_MAX), &mut bytes)
            .map_err(Error::io(format!("read {}", path.display())))?;
        if <[u8; 32]>::from(sha2::Sha256::digest(&bytes)) != id.0 {
            return Err(damaged("its content does not match its name"));
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        match (manifest.format == FORMAT, manifest.v) {
            (true, VERSION) => Ok(manifest),
            (true, later) if later > VERSION => Err(damaged("it is of a later format: update thenar")),
            _ => Err(damaged("it is not a checkpoint")),
        }
    }

    /// The chunks of the listing.
    pub(super) fn chunks(&self) -> Result<Vec<ChunkId>> {
        let garbled = |_| Error::Invalid("a checkpoint names a chunk by what is no hash".to_owned());
        self.listing.iter().map(|(hex, _)| Ok(*blake3::Hash::from_hex(hex).map_err(garbled)?.as_bytes())).collect()
    }

    pub(super) fn listing(&self, packs: &mut Packs) -> Result<Listing> {
        let mut bytes = Vec::new();
        let mut chunk = Vec::new();
        for id in self.chunks()? {
            packs.read(&id, &mut chunk)?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Listing::read(bytes))
    }
}

pub(super) fn file_name(id: &Id) -> String {
    format!("{id}{SUFFIX}")
}

/// The checkpoints of a store, in no order.
pub(super) fn all(folder: &Path) -> Result<Vec<Id>> {
    let failed = || Error::io(format!("list {}", folder.display()));
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        ids.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).and_then(Id::parse));
    }
    Ok(ids)
}
