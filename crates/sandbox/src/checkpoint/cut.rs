//! An open file as chunks and holes. Cuts follow the content, so that an insertion moves one of them; what was never written is not read. It decides nothing about where chunks go.

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

/// Reads files piece by piece; holds one buffer.
pub(super) struct Cutter<'a> {
    buffer: Vec<u8>,
    stop: &'a AtomicBool,
}

/// What is to be read, and how much.
pub(super) struct Reading<'f> {
    pub(super) file: &'f File,
    pub(super) size: u64,
    /// Bytes it takes on the disk: fewer than its size, and there may be holes.
    pub(super) allocated: u64,
    pub(super) data_bytes_max: u64,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(stop: &'a AtomicBool) -> Self {
        Self { buffer: Vec::new(), stop }
    }

    /// Gives each chunk to `take`, which names it.
    pub(super) fn cut<E>(
        &mut self,
        reading: &Reading<'_>,
        take: &mut dyn FnMut(&[u8]) -> Result<ChunkId, E>,
    ) -> Result<Vec<Part>, Stopped<E>> {
        let Reading { file, size, allocated, data_bytes_max } = *reading;
        let mut parts = Vec::new();
        if allocated >= size {
            if size > data_bytes_max {
                return Err(Stopped::TooLarge);
            }
            self.stretch(file, (0, size), &mut parts, take)?;
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
            self.stretch(file, (data, at), &mut parts, take)?;
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
        parts: &mut Vec<Part>,
        take: &mut dyn FnMut(&[u8]) -> Result<ChunkId, E>,
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
                let length = length(&self.buffer[cut..held], (CHUNK_BYTES_MIN, CHUNK_BYTES_MEAN, CHUNK_BYTES_MAX));
                let chunk = &self.buffer[cut..cut + length];
                let id = take(chunk).map_err(Stopped::Taker)?;
                parts.push(Part::Chunk(id, u32::try_from(length).unwrap_or(u32::MAX)));
                cut += length;
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
