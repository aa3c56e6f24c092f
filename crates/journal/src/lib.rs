//! The log of a task: append-only, hash-chained records, and the blobs they name.
//!
//! This crate knows nothing of agents: a record is a kind, a payload of bytes and an [envelope](Record::envelope).
//!
//! # The laws
//!
//! * **Order.** Records are numbered from 1 without a gap, and their times never go back: a time given to
//!   [`Writer::append`] that lies before the last one is lifted to it. A record never changes once it was appended.
//! * **One writer.** A journal has one [`Writer`] at a time, held by a lock on the file `lock` of its folder; the kernel
//!   drops the lock with the process, however that ends. Everyone else holds a [`Reader`], in any process, at any time.
//! * **All or nothing.** One [`Writer::append`] is one transaction: its records are all there or none is.
//! * **Durability, in two steps.** When `append` returns, the records survive the death of any process. When
//!   [`SyncHandle::sync`] returns, everything appended (and every blob put) before it was called also survives the loss
//!   of power. Effects that stay on the machine need the first, effects that leave it the second.
//! * **A torn tail.** After a loss of power the records that were not synced may be missing, from some record on to the
//!   end: what is left is always a prefix of what was written, and nothing is invented. Whether something happened after
//!   that prefix is *unknown*, never assumed; [`Writer::torn`] and [`verify_folder`] say when it looks so.
//! * **Corruption is named, not repaired.** Every read checks the chain and stops at the first record that does not
//!   hold. A corrupt journal is not opened for writing, and its file is left as it is.
//!
//! # The chain
//!
//! ```text
//!  genesis = SHA-256(domain ‖ task)                        salt ‖ payload ──► digest
//!     │                                                                         │
//!     └─prev─► envelope 1 {kind,payload,prev,seq,time,v} ──SHA-256(domain ‖ prev ‖ envelope)──► hash 1 ─prev─► envelope 2 …
//! ```
//!
//! The chain covers envelopes, and an envelope holds only the salted digest of its payload: a payload can be erased
//! together with its salt and the chain still verifies, while the digest that stays says nothing of what was erased.
//!
//! # What a lone chain does not prove
//!
//! A chain proves that nothing was altered *unless whoever held it computed it anew from that place to the end*, and
//! that nothing is missing *before its head*. The holder of the only copy can rewrite history or drop its tail and
//! hash again. What binds the holder is the head ([`Head::hash`]) lying somewhere outside: printed, mailed, countersigned
//! or in a transparency log. Compare it with the head that [`verify_folder`] or [`verify_bundle`] reports.

mod blobs;
mod bundle;
mod chain;
pub mod conformance;
mod error;
mod lock;
mod memory;
mod reader;
mod sqlite;
mod stamp;
mod store;
mod sync;
mod verify;
mod wal;
mod writer;

pub use blobs::{BLOB_BYTES_MAX, Blob, Blobs};
pub use bundle::{export, export_to_file};
pub use chain::{Chain, Draft, Head, KIND_BYTES_MAX, PAYLOAD_BYTES_MAX, Record, SALT_BYTES, TASK_BYTES_MAX};
pub use error::{Error, Place, Result};
pub use lock::{AtRest, Holder, at_rest, holder, last_sign_of_life_ms};
pub use memory::MemoryStore;
pub use reader::Reader;
pub use sqlite::SqliteStore;
pub use stamp::{Stamp, stamp};
pub use store::{Source, Store};
pub use sync::SyncHandle;
pub use verify::{Report, Verdict, verify_bundle, verify_bundle_file, verify_folder};
pub use writer::Writer;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Writes a digest as 64 lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads 64 lower-case hex digits.
pub fn parse_hash(text: &str) -> Option<Hash> {
    parse_hex::<32>(text.as_bytes())
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (place, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}
