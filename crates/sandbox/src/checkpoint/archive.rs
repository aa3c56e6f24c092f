//! A checkpoint as a tar archive (POSIX pax), which every system unpacks: names of any bytes, times to the nanosecond, holes, hard links and user attributes
//! included. Owners are not: whoever unpacks it owns it.

use std::io::{self, Write};
use std::path::Path;

use super::listing::{Entry, Kind, Moment, Part};
use super::manifest::Manifest;
use super::pack::Packs;
use super::{Id, Store, garbled};
use crate::{Error, Result};

const BLOCK: usize = 512;
/// Room for a name in the old fields.
const NAME_BYTES: usize = 100;
/// Whom the files belong to where an archive has to name somebody: the user that programs in the computer are.
const OWNER: u64 = 1000;
/// The largest number that the old fields hold.
const OLD_SIZE_MAX: u64 = 0o77_777_777_777;

/// Whether the archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// It is not.
    None,
    /// By zstd, as in `.tar.zst`.
    Zstd,
}

impl Store {
    /// Writes a checkpoint as an archive.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`], [`Error::Damaged`], [`Error::Io`] if it cannot be written.
    pub fn export(&self, id: &Id, compression: Compression, out: &mut dyn Write) -> Result<()> {
        let _in_use = self.use_lock()?;
        let mut packs = Packs::open(&self.folder)?;
        let listing = Manifest::load(&self.folder, id)?.listing(&mut packs)?;
        let mut write = |out: &mut dyn Write| -> Result<()> {
            for entry in listing.entries() {
                put(out, &entry.map_err(garbled)?, &mut packs)?;
            }
            out.write_all(&[0; 2 * BLOCK]).map_err(unwritten)
        };
        match compression {
            Compression::None => write(out),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(unwritten)?;
                write(&mut encoder)?;
                encoder.finish().map(drop).map_err(unwritten)
            }
        }
    }

    /// Which compression the name of an archive asks for, if it is one's.
    pub fn compression_of(archive: &Path) -> Option<Compression> {
        let name = archive.file_name()?.to_str()?;
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&[".tar.zst", ".tzst"]) {
            Some(Compression::Zstd)
        } else if ends(&[".tar"]) {
            Some(Compression::None)
        } else {
            None
        }
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::io("write the archive")(error)
}

fn put(out: &mut dyn Write, entry: &Entry, packs: &mut Packs) -> Result<()> {
    let mut records = Vec::new();
    let mut name = entry.path.clone();
    let mut link: &[u8] = b"";
    let mut map = Vec::new();
    let (letter, size) = match &entry.kind {
        // The top is whatever folder it is unpacked in.
        Kind::Left(_) => return Ok(()),
        Kind::Folder if entry.path.is_empty() => return Ok(()),
        Kind::Folder => {
            name.push(b'/');
            (b'5', 0)
        }
        Kind::Symlink { target } => {
            link = target;
            (b'2', 0)
        }
        Kind::Same { path } => {
            link = path;
            (b'1', 0)
        }
        Kind::File { size, parts } => {
            map = sparse_map(*size, parts);
            (b'0', map.len() as u64 + entry.kind.data_bytes())
        }
    };
    if let Kind::File { size, .. } = &entry.kind
        && !map.is_empty()
    {
        for (key, value) in [("major", b"1".as_slice()), ("minor", b"0"), ("name", &name)] {
            record(&mut records, &format!("GNU.sparse.{key}"), value);
        }
        record(&mut records, "GNU.sparse.realsize", size.to_string().as_bytes());
        name.splice(0..0, *b"GNUSparseFile.0/");
    } else if !fits(&name) {
        record(&mut records, "path", &name);
    }
    if !fits(link) {
        record(&mut records, "linkpath", link);
    }
    if entry.mtime.nanos > 0 || entry.mtime.seconds < 0 {
        record(&mut records, "mtime", decimal(entry.mtime).as_bytes());
    }
    if size > OLD_SIZE_MAX {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    for (name, value) in &entry.attributes {
        // What cannot be said in this format is not said: a name with a sign of equality, or one that is no text.
        if let Ok(name) = std::str::from_utf8(name)
            && name.starts_with("user.")
            && !name.contains('=')
        {
            record(&mut records, &format!("SCHILY.xattr.{name}"), value);
        }
    }
    if !records.is_empty() {
        if !records.is_ascii() {
            let mut all = Vec::new();
            record(&mut all, "hdrcharset", b"BINARY");
            records.splice(0..0, all);
        }
        let said = Header {
            name: b"PaxHeaders/0",
            link: b"",
            letter: b'x',
            mode: 0o644,
            mtime: 0,
            size: records.len() as u64,
        };
        said.put(out)?;
        padded(out, &records)?;
    }
    let mtime = u64::try_from(entry.mtime.seconds).unwrap_or(0);
    Header { name: &name, link, letter, mode: entry.mode, mtime, size }.put(out)?;
    let Kind::File { parts, .. } = &entry.kind else { return Ok(()) };
    out.write_all(&map).map_err(unwritten)?;
    let mut chunk = Vec::new();
    for part in parts {
        if let Part::Chunk(id, _) = part {
            packs.read(id, &mut chunk)?;
            out.write_all(&chunk).map_err(unwritten)?;
        }
    }
    pad(out, size)
}

/// Where the data of a file with holes lies, as GNU's sparse format 1.0 says it; nothing for a file without.
fn sparse_map(size: u64, parts: &[Part]) -> Vec<u8> {
    if parts.iter().all(|part| matches!(part, Part::Chunk(..))) {
        return Vec::new();
    }
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    for part in parts {
        match part {
            Part::Hole(bytes) => at += bytes,
            Part::Chunk(_, bytes) => {
                let bytes = u64::from(*bytes);
                match stretches.last_mut() {
                    Some((start, length)) if *start + *length == at => *length += bytes,
                    _ => stretches.push((at, bytes)),
                }
                at += bytes;
            }
        }
    }
    if stretches.last().is_none_or(|(start, length)| start + length < size) {
        stretches.push((size, 0));
    }
    let mut map = format!("{}\n", stretches.len());
    for (start, length) in stretches {
        map.push_str(&format!("{start}\n{length}\n"));
    }
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

/// Whether a name can stand in the old field.
fn fits(name: &[u8]) -> bool {
    name.len() <= NAME_BYTES && name.is_ascii()
}

/// One record: its own length in decimal, key, value.
fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Seconds with nine places; the nanoseconds of a time before 1970 count forwards.
fn decimal(time: Moment) -> String {
    match (time.seconds, time.nanos) {
        (seconds, 0) => seconds.to_string(),
        (seconds, nanos) if seconds < 0 => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
        (seconds, nanos) => format!("{seconds}.{nanos:09}"),
    }
}

struct Header<'a> {
    name: &'a [u8],
    link: &'a [u8],
    letter: u8,
    mode: u32,
    mtime: u64,
    size: u64,
}

impl Header<'_> {
    fn put(&self, out: &mut dyn Write) -> Result<()> {
        let mut block = [0; BLOCK];
        let mut text = |at: usize, room: usize, bytes: &[u8]| {
            // What does not fit stands whole in a record; here it only has to be something.
            let shown: Vec<u8> =
                bytes.iter().map(|byte| if byte.is_ascii() { *byte } else { b'_' }).take(room).collect();
            block[at..at + shown.len()].copy_from_slice(&shown);
        };
        let octal = |number: u64, digits: usize| format!("{number:0digits$o}").into_bytes();
        text(0, NAME_BYTES, self.name);
        text(100, 8, &octal(u64::from(self.mode), 7));
        text(108, 8, &octal(OWNER, 7));
        text(116, 8, &octal(OWNER, 7));
        text(124, 12, &octal(if self.size > OLD_SIZE_MAX { 0 } else { self.size }, 11));
        text(136, 12, &octal(self.mtime.min(OLD_SIZE_MAX), 11));
        text(148, 8, b"        ");
        text(156, 1, &[self.letter]);
        text(157, NAME_BYTES, self.link);
        text(257, 8, b"ustar\x0000");
        text(265, 32, b"agent");
        text(297, 32, b"agent");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.write_all(&block).map_err(unwritten)
    }
}

fn padded(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(unwritten)?;
    pad(out, bytes.len() as u64)
}

fn pad(out: &mut dyn Write, size: u64) -> Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    let missing = if over == 0 { 0 } else { BLOCK - over };
    out.write_all(&[0; BLOCK][..missing]).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_itself() {
        for length in 0..1200 {
            let mut out = Vec::new();
            record(&mut out, "key", &vec![b'x'; length]);
            let said: usize = out
                .split(|byte| *byte == b' ')
                .next()
                .and_then(|said| std::str::from_utf8(said).ok()?.parse().ok())
                .unwrap();
            assert_eq!(said, out.len());
        }
    }

    #[test]
    fn times_before_1970_are_said_in_full() {
        let at = |seconds, nanos| decimal(Moment { seconds, nanos });
        assert_eq!(
            [at(-5, 0), at(-5, 1), at(-1, 999_999_999), at(7, 50)],
            ["-5", "-4.999999999", "-0.000000001", "7.000000050"]
        );
    }
}
