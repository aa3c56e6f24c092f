//! An open file as chunks and holes. Cuts follow the content, so that an insertion moves one of them; what was never written is not read. Where a chunk that is known begins at
//! the same place, it is named before a cut is looked for. It decides nothing about where chunks go.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use fastcdc::v2020::FastCDC;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::listing::Part;
use super::pack::{CHUNK_BYTES_MAX, ChunkId};

const CHUNK_BYTES_MIN: usize = 64 * 1024;
const CHUNK_BYTES_MEAN: usize = 256 * 1024;
/// Room for some chunks of the largest kind, so that little is moved about.
const BUFFER_BYTES: usize = 4 * CHUNK_BYTES_MAX;
/// Stretches of data between holes; a file that is torn into more is not kept.
const STRETCHES_MAX: usize = 4096;

/// Sizes of chunks of a listing: smaller, because it is changed in small places.
pub(super) const LISTING_CUTS: (usize, usize, usize) = (4 * 1024, 16 * 1024, 64 * 1024);

/// Why a file was not read to its end.
/// What the system says of a file that is there is not told: it is left out, whatever the reason.
#[derive(Debug)]
pub(super) enum Stopped<E> {
    /// The caller's word.
    Asked,
    /// There is more data than may be read.
    TooLarge,
    /// It consists of too many stretches.
    TooTorn,
    Unreadable,
    /// What took the chunks failed.
    Taker(E),
}

/// What is to be read, and how much.
pub(super) struct Reading<'f> {
    pub(super) file: &'f File,
    pub(super) size: u64,
    /// Bytes it takes on the disk: fewer than its size, and there may be holes.
    pub(super) allocated: u64,
    pub(super) data_bytes_max: u64,
    /// What the file may still consist of, in order: a chunk of these at its place needs no search for its end.
    pub(super) known: &'f [Part],
}

/// Whoever takes the chunks, each with its name.
type Taker<'t, E> = dyn FnMut(ChunkId, &[u8]) -> Result<(), E> + 't;

/// Chunks that are known, by where they begin. They are asked for in order.
struct Known<'k> {
    parts: &'k [Part],
    /// Where the first of them begins.
    at: u64,
}

impl Known<'_> {
    /// The chunk that begins here, if these bytes begin with it.
    fn again<'b>(&mut self, begins: u64, rest: &'b [u8], ended: bool) -> Option<(ChunkId, &'b [u8])> {
        while let Some((part, after)) = self.parts.split_first().filter(|_| self.at <= begins) {
            let bytes = match part {
                Part::Chunk(_, bytes) => u64::from(*bytes),
                Part::Hole(bytes) => *bytes,
            };
            if let Part::Chunk(id, _) = part
                && self.at == begins
            {
                let chunk = rest.get(..usize::try_from(bytes).ok()?)?;
                // Where no chunk follows, not its content ended it: it only counts where the same ends it again.
                let by_content = matches!(after.first(), Some(Part::Chunk(..)));
                let counts = by_content || ended && chunk.len() == rest.len();
                return (counts && blake3::hash(chunk) == *id).then_some((*id, chunk));
            }
            self.at = self.at.saturating_add(bytes);
            self.parts = after;
        }
        None
    }
}

/// Reads files piece by piece; holds one buffer.
pub(super) struct Cutter<'a> {
    buffer: Vec<u8>,
    stop: &'a AtomicBool,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(stop: &'a AtomicBool) -> Self {
        Self { buffer: Vec::new(), stop }
    }

    /// Gives each chunk to `take`.
    pub(super) fn cut<E>(&mut self, reading: &Reading<'_>, take: &mut Taker<'_, E>) -> Result<Vec<Part>, Stopped<E>> {
        let Reading { file, size, allocated, data_bytes_max, known } = *reading;
        let mut known = Known { parts: known, at: 0 };
        let mut parts = Vec::new();
        if allocated >= size {
            if size > data_bytes_max {
                return Err(Stopped::TooLarge);
            }
            self.stretch(file, (0, size), &mut known, &mut parts, take)?;
            return Ok(parts);
        }
        let (mut at, mut data_bytes) = (0, 0);
        for _ in 0..STRETCHES_MAX {
            let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(data) => data.min(size),
                Err(Errno::NXIO) => size,
                // A file system that does not know holes.
                Err(Errno::INVAL) => at,
                Err(_) => return Err(Stopped::Unreadable),
            };
            if data > at {
                parts.push(Part::Hole(data - at));
            }
            if data >= size {
                return Ok(parts);
            }
            at = rustix::fs::seek(file, SeekFrom::Hole(data)).map_or(size, |hole| hole.min(size)).max(data + 1);
            data_bytes += at - data;
            if data_bytes > data_bytes_max {
                return Err(Stopped::TooLarge);
            }
            self.stretch(file, (data, at), &mut known, &mut parts, take)?;
            if at >= size {
                return Ok(parts);
            }
        }
        Err(Stopped::TooTorn)
    }

    fn stretch<E>(
        &mut self,
        file: &File,
        (mut at, end): (u64, u64),
        known: &mut Known<'_>,
        parts: &mut Vec<Part>,
        take: &mut Taker<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let (mut held, mut ended) = (0, at >= end);
        loop {
            // Room for a file of this size, and never for more than some chunks.
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).saturating_add(held).min(BUFFER_BYTES);
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            while held < wanted && !ended {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(Stopped::Asked);
                }
                match file.read_at(&mut self.buffer[held..wanted], at) {
                    // It became shorter: whoever looks at its times again will see that.
                    Ok(0) => ended = true,
                    Ok(read) => (held, at) = (held + read, at + read as u64),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(Stopped::Unreadable),
                }
                ended |= at >= end;
            }
            let mut cut = 0;
            // A cut depends on what follows it, up to the largest chunk: only the end of the file may come sooner.
            while held - cut >= CHUNK_BYTES_MAX || ended && cut < held {
                let rest = &self.buffer[cut..held];
                let begins = at - rest.len() as u64;
                let (id, chunk) = known.again(begins, rest, ended).unwrap_or_else(|| {
                    let chunk = &rest[..length(rest, (CHUNK_BYTES_MIN, CHUNK_BYTES_MEAN, CHUNK_BYTES_MAX))];
                    (*blake3::hash(chunk).as_bytes(), chunk)
                });
                take(id, chunk).map_err(Stopped::Taker)?;
                parts.push(Part::Chunk(id, u32::try_from(chunk.len()).unwrap_or(u32::MAX)));
                cut += chunk.len();
            }
            if ended {
                return Ok(());
            }
            self.buffer.copy_within(cut..held, 0);
            held -= cut;
        }
    }
}

/// Bytes of the first chunk of these.
pub(super) fn length(bytes: &[u8], (min, mean, max): (usize, usize, usize)) -> usize {
    FastCDC::new(bytes, min, mean, max).next().map_or(bytes.len(), |chunk| chunk.length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8], known: &[Part]) -> Vec<Part> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let size = bytes.len() as u64;
        let reading = Reading { file: &file, size, allocated: size, data_bytes_max: size, known };
        let mut whole = Vec::new();
        let parts = Cutter::new(&AtomicBool::new(false)).cut::<()>(&reading, &mut |id, chunk| {
            assert_eq!(id, *blake3::hash(chunk).as_bytes());
            whole.extend_from_slice(chunk);
            Ok(())
        });
        assert!(whole == bytes, "all of it is given, in order");
        parts.unwrap()
    }

    /// Something to cut, the same each time.
    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_known_of_a_file_saves_the_search_and_changes_no_cut(
            seed: u64,
            bytes in 0_usize..2_500_000,
            at in 0_usize..2_500_000,
            gone in prop_oneof![Just(0), 1_usize..400_000, Just(usize::MAX)],
            new in prop_oneof![Just(0), 1_usize..400_000],
        ) {
            let before = noise(seed, bytes);
            let at = at.min(bytes);
            let end = at.saturating_add(gone).min(bytes);
            let after = [&before[..at], &noise(!seed, new), &before[end..]].concat();
            let known = cut(&before, &[]);
            prop_assert_eq!(cut(&before, &known), known.clone());
            prop_assert_eq!(cut(&after, &known), cut(&after, &[]));
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_at_a_cut_is_cut_as_if_it_were_new() {
        let whole = noise(7, 2 << 20);
        let parts = cut(&whole, &[]);
        let mut end = 0;
        for part in &parts {
            let Part::Chunk(_, bytes) = part else { panic!("noise has no holes") };
            end += *bytes as usize;
            let known = cut(&whole[..end], &[]);
            assert_eq!(cut(&whole, &known), parts, "grown from {end}");
            assert_eq!(cut(&whole[..end], &parts), known, "shrunk to {end}");
        }
    }
}
