//! Chunks at rest: many to a file, each compressed by itself, named by what they hold, with an index at the end. A pack never changes once it has its name.
//!
//! ```text
//! chunk chunk … chunk | index: (id 32, stored u32, raw u32) per chunk | index bytes u32 | BLAKE3 of the index | "thnpack1"
//! ```
//!
//! It does not know what the chunks belong to.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::codec::{Garbled, Input};
use super::draft::Draft;
use crate::{Error, Result};

/// The BLAKE3 hash of a chunk's bytes.
pub(super) type ChunkId = [u8; 32];

pub(super) const SUFFIX: &str = ".pack";
const MAGIC: &[u8; 8] = b"thnpack1";
/// The magic of every version but for its last letter.
const MAGIC_KIND: &[u8] = b"thnpack";
const TAIL_BYTES: usize = 4 + 32 + MAGIC.len();
const ROW_BYTES: usize = 32 + 4 + 4;
/// A pack that is larger than this is ended and another begun.
const PACK_BYTES: u64 = 64 << 20;
/// The largest chunk.
pub(super) const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Quick, and enough: the time is spent beside the work.
const COMPRESSION_LEVEL: i32 = 1;
/// Packs kept open while chunks are read.
const OPEN_MAX: usize = 16;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) pack: usize,
    pub(super) offset: u64,
    pub(super) stored: u32,
    raw: u32,
}

/// All packs of a store, for reading.
pub(super) struct Packs {
    folder: std::path::PathBuf,
    pub(super) names: Vec<String>,
    pub(super) index: HashMap<ChunkId, Place>,
    /// Packs that cannot be used, and why.
    pub(super) damaged: Vec<(String, String)>,
    open: HashMap<usize, File>,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
}

impl Packs {
    /// Reads the indexes. A damaged pack is as good as none: what was in it is not there.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let mut packs = Self {
            folder: folder.to_owned(),
            names: names(folder)?,
            index: HashMap::new(),
            damaged: Vec::new(),
            open: HashMap::new(),
            decompressor: None,
        };
        for (number, name) in packs.names.iter().enumerate() {
            match read_index(&folder.join(name)) {
                Ok(rows) => {
                    let mut offset = 0;
                    for (id, stored, raw) in rows {
                        packs.index.insert(id, Place { pack: number, offset, stored, raw });
                        offset += u64::from(stored);
                    }
                }
                Err(why) => packs.damaged.push((name.clone(), why.to_string())),
            }
        }
        Ok(packs)
    }

    pub(super) fn has(&self, id: &ChunkId) -> bool {
        self.index.contains_key(id)
    }

    /// A chunk's bytes, checked against its name, in place of what `out` held.
    pub(super) fn read(&mut self, id: &ChunkId, out: &mut Vec<u8>) -> Result<()> {
        let stored = self.stored(id)?;
        let place = self.index[id];
        let raw = place.raw as usize;
        out.clear();
        if stored.len() == raw {
            out.extend_from_slice(&stored);
        } else {
            out.reserve(raw);
            let decompressor = match &mut self.decompressor {
                Some(ready) => ready,
                none => none.insert(zstd::bulk::Decompressor::new().map_err(Error::io("make a decompressor"))?),
            };
            if decompressor.decompress_to_buffer(&stored, out).is_err() {
                out.clear();
            }
        }
        if blake3::hash(out) == *id { Ok(()) } else { Err(self.damage(place, "a chunk does not match its name")) }
    }

    /// A chunk as it lies there.
    pub(super) fn stored(&mut self, id: &ChunkId) -> Result<Vec<u8>> {
        let place = self.index.get(id).copied().ok_or_else(|| self.missing())?;
        let mut bytes = vec![0; place.stored as usize];
        let name = &self.names[place.pack];
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&place.pack) {
            self.open.clear();
        }
        let file = match self.open.entry(place.pack) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let path = self.folder.join(name);
                vacant.insert(File::open(&path).map_err(Error::io(format!("open {}", path.display())))?)
            }
        };
        match file.read_exact_at(&mut bytes, place.offset) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(self.damage(place, "it is shorter than its index says")),
        }
    }

    /// Lets go of a pack's descriptor.
    pub(super) fn close(&mut self, number: usize) {
        self.open.remove(&number);
    }

    /// Bytes of a chunk before compression, if it is there.
    pub(super) fn raw_bytes(&self, id: &ChunkId) -> Option<u32> {
        self.index.get(id).map(|place| place.raw)
    }

    /// What is to be said where a chunk is in no pack.
    pub(super) fn missing(&self) -> Error {
        let lost = self.damaged.first().map_or_else(String::new, |(name, why)| format!("; {name} is damaged: {why}"));
        Error::Damaged { what: self.folder.clone(), how: format!("a chunk is not there{lost}") }
    }

    fn damage(&self, place: Place, how: &str) -> Error {
        Error::Damaged { what: self.folder.join(&self.names[place.pack]), how: how.to_owned() }
    }
}

/// The packs of a store by name, in order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = || Error::io(format!("list {}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        names.extend(name.to_str().filter(|name| name.ends_with(SUFFIX)).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn read_index(path: &Path) -> io::Result<Vec<(ChunkId, u32, u32)>> {
    let wrong = |how: &str| io::Error::new(io::ErrorKind::InvalidData, how.to_owned());
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let tail_at = length.checked_sub(TAIL_BYTES as u64).ok_or_else(|| wrong("it is cut off"))?;
    let mut tail = [0; TAIL_BYTES];
    file.read_exact_at(&mut tail, tail_at)?;
    let mut input = Input(&tail);
    let garbled = |Garbled| wrong("its end is not one of a pack");
    let index_bytes = u64::from(u32::from_le_bytes(input.array().map_err(garbled)?));
    let hash: [u8; 32] = input.array().map_err(garbled)?;
    if input.0 != MAGIC {
        let later = input.0.starts_with(MAGIC_KIND);
        return Err(wrong(if later {
            "it is of a later format: update thenar"
        } else {
            "its end is not one of a pack"
        }));
    }
    let index_at = tail_at.checked_sub(index_bytes).ok_or_else(|| wrong("its index does not fit in it"))?;
    let mut index = vec![0; usize::try_from(index_bytes).unwrap_or(0)];
    file.read_exact_at(&mut index, index_at)?;
    if blake3::hash(&index) != hash || index.len() % ROW_BYTES != 0 {
        return Err(wrong("its index does not match its hash"));
    }
    let mut input = Input(&index);
    let mut rows = Vec::with_capacity(index.len() / ROW_BYTES);
    let mut bytes = 0;
    while !input.is_empty() {
        let id = input.array().map_err(garbled)?;
        let stored = u32::from_le_bytes(input.array().map_err(garbled)?);
        let raw = u32::from_le_bytes(input.array().map_err(garbled)?);
        if raw as usize > CHUNK_BYTES_MAX || stored > raw {
            return Err(wrong("its index names a chunk that is too large"));
        }
        bytes += u64::from(stored);
        rows.push((id, stored, raw));
    }
    if bytes != index_at {
        return Err(wrong("its index does not fit its chunks"));
    }
    Ok(rows)
}

/// Chunks on their way into new packs. Nothing has a name before [`Writer::seal`] and [`Sealed::name`].
pub(super) struct Writer<'a> {
    folder: &'a Path,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
    ids: HashSet<ChunkId>,
    open: Option<Open>,
    sealed: Vec<Sealed>,
    /// Bytes of everything written, indexes included.
    pub(super) bytes: u64,
}

struct Open {
    draft: Draft,
    hash: blake3::Hasher,
    index: Vec<u8>,
    bytes: u64,
}

/// A pack that is complete and has no name yet.
pub(super) struct Sealed {
    draft: Draft,
    name: String,
}

impl<'a> Writer<'a> {
    /// Nothing is made before there is something to write.
    pub(super) fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            compressor: None,
            packed: Vec::new(),
            ids: HashSet::new(),
            open: None,
            sealed: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn has(&self, id: &ChunkId) -> bool {
        self.ids.contains(id)
    }

    /// Puts a chunk that is in no pack; once.
    pub(super) fn keep(&mut self, id: ChunkId, raw: &[u8]) -> Result<()> {
        if self.has(&id) {
            return Ok(());
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        packed.reserve(raw.len());
        let compressor = match &mut self.compressor {
            Some(ready) => ready,
            none => {
                let made = zstd::bulk::Compressor::new(COMPRESSION_LEVEL);
                none.insert(made.map_err(Error::io("make a compressor"))?)
            }
        };
        // What does not become smaller stays as it is.
        let smaller = compressor.compress_to_buffer(raw, &mut packed).is_ok() && packed.len() < raw.len();
        let put = self.put_stored(id, if smaller { &packed } else { raw }, raw.len());
        self.packed = packed;
        put
    }

    /// Puts a chunk as it lies in another pack.
    pub(super) fn put_stored(&mut self, id: ChunkId, stored: &[u8], raw_bytes: usize) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open {
                draft: Draft::new(self.folder)?,
                hash: blake3::Hasher::new(),
                index: Vec::new(),
                bytes: 0,
            }),
        };
        open.write(stored)?;
        open.index.extend_from_slice(&id);
        for length in [stored.len(), raw_bytes] {
            let length = u32::try_from(length).map_err(|_| Error::Invalid("a chunk of 4 GiB".to_owned()))?;
            open.index.extend_from_slice(&length.to_le_bytes());
        }
        self.bytes += stored.len() as u64;
        self.ids.insert(id);
        if open.bytes >= PACK_BYTES { self.end_pack() } else { Ok(()) }
    }

    fn end_pack(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let index = std::mem::take(&mut open.index);
        let length = u32::try_from(index.len()).map_err(|_| Error::Invalid("an index of 4 GiB".to_owned()))?;
        self.bytes += (index.len() + TAIL_BYTES) as u64;
        open.write(&index)?;
        open.write(&length.to_le_bytes())?;
        open.write(blake3::hash(&index).as_bytes())?;
        open.write(MAGIC)?;
        let name = format!("{}{SUFFIX}", open.hash.finalize().to_hex());
        self.sealed.push(Sealed { draft: open.draft, name });
        Ok(())
    }

    /// Ends what was begun; the packs have still to be named.
    pub(super) fn seal(&mut self) -> Result<Vec<Sealed>> {
        self.end_pack()?;
        Ok(std::mem::take(&mut self.sealed))
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.draft.file.write_all(bytes).map_err(Error::io(format!("write {}", self.draft.path().display())))
    }
}

impl Sealed {
    pub(super) fn sync(&self) -> Result<()> {
        self.draft.sync()
    }

    pub(super) fn name(self) -> Result<()> {
        self.draft.name(&self.name)
    }

    pub(super) fn file_name(&self) -> &str {
        &self.name
    }
}
