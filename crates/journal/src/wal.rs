//! Whether SQLite's write-ahead log was hurt after it was written. SQLite itself takes the first frame that does not hold
//! for the end of the log, and says nothing: right after a kill, and a silent loss after damage. This tells the two
//! apart. It changes nothing, and opens only the log, never the database.
//!
//! The format is that of the SQLite documentation, "WAL-mode File Format": a header of 32 bytes, then frames, each with a
//! header of 24 bytes and a page, and a checksum that runs on from frame to frame.

use std::{fs, io::ErrorKind, path::Path};

use crate::{Error, Result};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC_LITTLE: u32 = 0x377f_0682;
const MAGIC_BIG: u32 = 0x377f_0683;
const PAGE_BYTES_MIN: usize = 512;

/// Whether something stands in this log that had been committed and can no longer be read. To be asked only while no
/// writer is at work.
///
/// A kill leaves a log that ends early, or a frame whose transaction was never committed; neither is damage. A loss of
/// power may leave what looks like damage, and is none the less: records may be missing. Not seen is damage to the very
/// last frame where frames of an earlier round of the log still stand behind it.
pub(crate) fn is_damaged(log: &Path) -> Result<bool> {
    match fs::read(log) {
        Ok(bytes) => Ok(damaged(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("read {}", log.display()), error)),
    }
}

fn damaged(log: &[u8]) -> bool {
    let Some((header, frames)) = log.split_at_checked(HEADER_BYTES) else { return false };
    let big_endian = word(header, 0) == MAGIC_BIG;
    let start = checksum((0, 0), &header[..24], big_endian);
    if !(big_endian || word(header, 0) == MAGIC_LITTLE) || start != (word(header, 24), word(header, 28)) {
        // The header is written before any frame, so one that does not hold, with frames behind it, was hurt later.
        return frames.len() >= FRAME_HEADER_BYTES + PAGE_BYTES_MIN;
    }
    let page_bytes = word(header, 8) as usize;
    let salts = &header[16..24];
    let mut before = start;
    let mut frames =
        frames.chunks(FRAME_HEADER_BYTES + page_bytes).map(|bytes| Frame { bytes, page_bytes, big_endian });
    let torn = loop {
        let Some(frame) = frames.next().filter(Frame::is_complete) else { return false };
        match (frame.salts() == salts, frame.follows(before)) {
            (true, true) => before = frame.stored(),
            // The checksum does not cover the salts: these alone were changed.
            (false, true) => return true,
            (true, false) | (false, false) => break frame,
        }
    };
    // Every frame after the first bad one is judged by the checksum that its predecessor carries, or, in case it is that
    // very checksum that was hurt, should carry.
    let mut should_carry = Some(torn.checksum_after(before));
    let mut before = torn.stored();
    let mut is_last = true;
    for frame in frames {
        is_last = false;
        if frame.is_complete() {
            let follows = frame.follows(before) || should_carry.take().is_some_and(|checksum| frame.follows(checksum));
            if follows && frame.salts() == salts && frame.is_commit() {
                return true;
            }
            before = frame.stored();
        }
    }
    // A kill leaves the last frame short, not whole and wrong.
    is_last && torn.salts() == salts
}

struct Frame<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    big_endian: bool,
}

impl Frame<'_> {
    fn is_complete(&self) -> bool {
        self.bytes.len() == FRAME_HEADER_BYTES + self.page_bytes
    }

    fn salts(&self) -> &[u8] {
        &self.bytes[8..16]
    }

    fn is_commit(&self) -> bool {
        word(self.bytes, 4) != 0
    }

    fn stored(&self) -> (u32, u32) {
        (word(self.bytes, 16), word(self.bytes, 20))
    }

    fn follows(&self, before: (u32, u32)) -> bool {
        self.checksum_after(before) == self.stored()
    }

    fn checksum_after(&self, before: (u32, u32)) -> (u32, u32) {
        let head = checksum(before, &self.bytes[..8], self.big_endian);
        checksum(head, &self.bytes[FRAME_HEADER_BYTES..], self.big_endian)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn checksum(seed: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let read = |bytes: &[u8]| if big_endian { word(bytes, 0) } else { word(bytes, 0).swap_bytes() };
    bytes.chunks_exact(8).fold(seed, |(first, second), pair| {
        let first = first.wrapping_add(read(pair)).wrapping_add(second);
        (first, second.wrapping_add(read(&pair[4..])).wrapping_add(first))
    })
}
