//! Records and the hash chain over their envelopes: how a record is sealed, and how it is checked. It reads and writes
//! no file and rolls no dice: the salt is handed in.

use sha2::{Digest as _, Sha256};

use crate::{Error, Hash, Place, Result, hex, push_hex};

/// Bytes of salt before each payload.
pub const SALT_BYTES: usize = 16;
/// The longest kind.
pub const KIND_BYTES_MAX: usize = 64;
/// The longest task id.
pub const TASK_BYTES_MAX: usize = 128;
/// The biggest payload; what is bigger is a blob.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// The version of the envelope.
pub(crate) const VERSION: u64 = 1;
/// The greatest integer that every reader of JSON takes for itself (RFC 8785 writes numbers as doubles).
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

const GENESIS_DOMAIN: &[u8] = b"thenar journal v1 genesis\n";
const PAYLOAD_DOMAIN: &[u8] = b"thenar journal v1 payload\n";
const RECORD_DOMAIN: &[u8] = b"thenar journal v1 record\n";

/// What is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Unix time in milliseconds, from the caller's clock.
    pub time_ms: u64,
    /// What the payload is: 1 to [`KIND_BYTES_MAX`] letters, digits, `_`, `-`, `.`, `:`, `/`.
    pub kind: String,
    /// Any bytes, up to [`PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

impl Draft {
    /// A draft of these parts.
    pub fn new(time_ms: u64, kind: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { time_ms, kind: kind.into(), payload: payload.into() }
    }
}

/// One record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the journal, from 1.
    pub seq: u64,
    /// Unix time in milliseconds, never less than that of the record before.
    pub time_ms: u64,
    /// What the payload is.
    pub kind: String,
    /// The bytes that were appended.
    pub payload: Vec<u8>,
    /// The random bytes hashed before the payload.
    pub salt: [u8; SALT_BYTES],
    /// The salted digest of the payload, as the envelope holds it.
    pub payload_digest: Hash,
    /// The hash of the record before, or the genesis hash of the task.
    pub prev: Hash,
    /// The hash over `prev` and the envelope.
    pub hash: Hash,
}

impl Record {
    /// The canonical JSON (RFC 8785) that the hash covers: integers and strings only.
    pub fn envelope(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(288);
        write_envelope(&mut out, self);
        out
    }

    /// Whether payload, envelope and hash of this record fit each other, whatever stands before it.
    pub(crate) fn check_alone(&self, scratch: &mut Vec<u8>) -> std::result::Result<(), &'static str> {
        if payload_digest(&self.salt, &self.payload) != self.payload_digest {
            return Err("the payload does not match its digest");
        }
        if record_hash(self, scratch) != self.hash {
            return Err("the envelope does not match its hash");
        }
        Ok(())
    }
}

/// The end of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many records there are; 0 for an empty journal.
    pub seq: u64,
    /// The hash of the last record, or the genesis hash of an empty journal.
    pub hash: Hash,
    /// The time of the last record; 0 for an empty journal.
    pub time_ms: u64,
}

/// The running end of a chain: seals the next record, or checks it.
#[derive(Clone, Debug)]
pub struct Chain {
    head: Head,
    scratch: Vec<u8>,
}

impl Chain {
    /// The empty chain of a task.
    pub fn new(task: &str) -> Self {
        Self::after(Head { seq: 0, hash: genesis(task), time_ms: 0 })
    }

    /// The chain that ends here.
    pub(crate) fn after(head: Head) -> Self {
        Self { head, scratch: Vec::with_capacity(512) }
    }

    /// Its end.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Makes the next record of a draft, and ends with it.
    pub fn seal(&mut self, draft: &Draft, salt: [u8; SALT_BYTES]) -> Result<Record> {
        check_name("kind", &draft.kind, KIND_BYTES_MAX)?;
        if draft.payload.len() > PAYLOAD_BYTES_MAX {
            let bytes = draft.payload.len() as u64;
            return Err(Error::TooLarge { what: "payload", bytes, bytes_max: PAYLOAD_BYTES_MAX as u64 });
        }
        let mut record = Record {
            seq: self.head.seq + 1,
            time_ms: draft.time_ms.max(self.head.time_ms).min(INTEGER_MAX),
            kind: draft.kind.clone(),
            payload: draft.payload.clone(),
            salt,
            payload_digest: payload_digest(&salt, &draft.payload),
            prev: self.head.hash,
            hash: [0; 32],
        };
        record.hash = record_hash(&record, &mut self.scratch);
        self.head = Head { seq: record.seq, hash: record.hash, time_ms: record.time_ms };
        Ok(record)
    }

    /// Checks that this record is the next one, and ends with it.
    pub fn check(&mut self, record: &Record) -> Result<()> {
        let expected = self.head.seq + 1;
        self.accept(record).map_err(|what| Error::corrupt(Place::Record(expected), what))
    }

    /// As [`check`](Self::check), with only the words of what does not hold.
    pub(crate) fn accept(&mut self, record: &Record) -> std::result::Result<(), &'static str> {
        self.problem(record)?;
        self.head = Head { seq: record.seq, hash: record.hash, time_ms: record.time_ms };
        Ok(())
    }

    /// The words stand in `docs/verify_journal.py` too, in the same order.
    fn problem(&mut self, record: &Record) -> std::result::Result<(), &'static str> {
        if record.seq != self.head.seq + 1 {
            return Err("another record stands in its place");
        }
        record.check_alone(&mut self.scratch)?;
        if record.prev != self.head.hash {
            return Err("it does not follow the record before it");
        }
        if record.time_ms < self.head.time_ms {
            return Err("its time lies before that of the record before it");
        }
        check_name("kind", &record.kind, KIND_BYTES_MAX).map_err(|_| "its kind is not a name")
    }
}

/// The hash that stands before the first record of a task.
pub(crate) fn genesis(task: &str) -> Hash {
    Sha256::new().chain_update(GENESIS_DOMAIN).chain_update(task).finalize().into()
}

fn payload_digest(salt: &[u8; SALT_BYTES], payload: &[u8]) -> Hash {
    Sha256::new().chain_update(PAYLOAD_DOMAIN).chain_update(salt).chain_update(payload).finalize().into()
}

fn record_hash(record: &Record, scratch: &mut Vec<u8>) -> Hash {
    scratch.clear();
    scratch.extend_from_slice(RECORD_DOMAIN);
    scratch.extend_from_slice(&record.prev);
    write_envelope(scratch, record);
    Sha256::digest(&scratch).into()
}

/// Keys in code-point order, no space. A kind needs no escape: see [`check_name`].
pub(crate) fn write_envelope(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(record.kind.as_bytes());
    out.extend_from_slice(b"\",\"payload\":\"");
    push_hex(out, &record.payload_digest);
    out.extend_from_slice(b"\",\"prev\":\"");
    push_hex(out, &record.prev);
    out.extend_from_slice(b"\",\"seq\":");
    push_integer(out, record.seq);
    out.extend_from_slice(b",\"time\":");
    push_integer(out, record.time_ms);
    out.extend_from_slice(b",\"v\":");
    push_integer(out, VERSION);
    out.push(b'}');
}

pub(crate) fn push_integer(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    let mut rest = value;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Names are plain enough to need no escape in JSON and no thought in a shell.
pub(crate) fn check_name(what: &'static str, name: &str, bytes_max: usize) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    if name.is_empty() || name.len() > bytes_max || !name.bytes().all(plain) {
        return Err(Error::BadName { what, name: name.chars().take(bytes_max).collect() });
    }
    Ok(())
}

/// What a row or a header says of itself: the task id, and the genesis hash that must follow from it.
pub(crate) fn check_header(task: &str, said: &Hash) -> Result<()> {
    let holds = check_name("task id", task, TASK_BYTES_MAX).is_ok() && genesis(task) == *said;
    if holds { Ok(()) } else { Err(Error::corrupt(Place::Header, "the task id does not match the genesis hash")) }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.seq, hex(&self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(time_ms: u64) -> Draft {
        Draft::new(time_ms, "tick", "payload")
    }

    /// Each check has a record that only it refuses.
    #[test]
    fn a_record_that_is_right_by_itself_can_be_in_the_wrong_place() {
        let mut chain = Chain::new("task");
        let first = chain.seal(&draft(5), [1; SALT_BYTES]).unwrap();
        let of_another_past = {
            let mut other = Chain::new("task");
            other.seal(&draft(5), [2; SALT_BYTES]).unwrap();
            other.seal(&draft(5), [1; SALT_BYTES]).unwrap()
        };
        let of_an_earlier_time =
            Chain::after(Head { time_ms: 0, ..chain.head() }).seal(&draft(4), [1; SALT_BYTES]).unwrap();
        assert_eq!(chain.clone().accept(&of_another_past), Err("it does not follow the record before it"));
        let refused = chain.clone().accept(&of_an_earlier_time);
        assert_eq!(refused, Err("its time lies before that of the record before it"));
        assert_eq!(chain.clone().accept(&first), Err("another record stands in its place"));
        let unnamed = {
            let mut record = Chain::after(chain.head()).seal(&draft(6), [1; SALT_BYTES]).unwrap();
            record.kind = "two words".to_owned();
            record.hash = record_hash(&record, &mut Vec::new());
            record
        };
        assert_eq!(chain.clone().accept(&unnamed), Err("its kind is not a name"));
        let right = Chain::after(chain.head()).seal(&draft(5), [1; SALT_BYTES]).unwrap();
        assert_eq!(chain.accept(&right), Ok(()));
    }

    /// Anyone can compute these by hand: `printf '...' | sha256sum`.
    #[test]
    fn the_form_of_an_envelope_is_fixed() {
        let record = Chain::new("t").seal(&draft(7), [0; SALT_BYTES]).unwrap();
        let envelope = String::from_utf8(record.envelope()).unwrap();
        let (payload, prev) = (hex(&record.payload_digest), hex(&genesis("t")));
        let expected =
            format!("{{\"kind\":\"tick\",\"payload\":\"{payload}\",\"prev\":\"{prev}\",\"seq\":1,\"time\":7,\"v\":1}}");
        assert_eq!(envelope, expected);
        assert_eq!(hex(&record.hash), "8f3666915ae563fc0135c748ae3cf76a50b0d3d8905049ac3f0eb78b6a9ebcbc");
    }
}
