//! Whether a journal or a bundle of it is whole, said offline and in plain words. It repairs nothing, and it cannot say
//! whether the holder rewrote all of it: compare the head with one that was kept elsewhere.
//!
//! `docs/verify_journal.py` gives the same verdicts on a bundle with nothing but a hash function.

use std::{fs, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{
    Blobs, Chain, Error, Hash, Place, Result, Source as _, SqliteStore, bundle, chain::check_header, hex, holder,
    reader::read_checked,
};

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The task whose journal it is.
    pub task: String,
    /// How many records it has.
    pub records: u64,
    /// The hash of the last one, or the genesis hash: what to compare with a head kept elsewhere.
    pub head: Hash,
    /// How many blobs lie with it.
    pub blobs: u64,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Everything there fits together.
    Whole(Report),
    /// The first place that does not hold, and why.
    Broken { place: Place, what: String },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(Report { task, records, head, blobs }) => {
                write!(f, "whole: task {task}, {records} records, {blobs} blobs, head {}", hex(head))
            }
            Self::Broken { place, what } => write!(f, "{place}: {what}"),
        }
    }
}

/// Verifies the journal and the blobs in the folder of a task.
pub fn verify_folder(folder: &Path) -> Result<Verdict> {
    verdict(check_folder(folder))
}

/// Verifies the bundle in this file.
pub fn verify_bundle_file(path: &Path) -> Result<Verdict> {
    let bytes = fs::read(path).map_err(|error| Error::io(format!("read bundle {}", path.display()), error))?;
    Ok(verify_bundle(&bytes))
}

/// Verifies a bundle. Every byte of it must be where the canonical form has it.
pub fn verify_bundle(bytes: &[u8]) -> Verdict {
    match check_bundle(bytes) {
        Ok(report) => Verdict::Whole(report),
        Err(Problem { place, what }) => Verdict::Broken { place, what: what.to_owned() },
    }
}

fn verdict(checked: Result<Report>) -> Result<Verdict> {
    match checked {
        Ok(report) => Ok(Verdict::Whole(report)),
        Err(Error::Corrupt { place, what }) => Ok(Verdict::Broken { place, what }),
        Err(error) => Err(error),
    }
}

fn check_folder(folder: &Path) -> Result<Report> {
    let mut source = SqliteStore::open_to_read(folder)?;
    let mut chain = Chain::new(source.task());
    read_checked(&mut source, &mut chain, usize::MAX, &mut |_| {})?;
    source.check_structure()?;
    // While a writer is at work its log moves under whoever reads it, and SQLite itself minds it.
    if holder(folder)?.is_none() && source.log_is_damaged()? {
        return Err(Error::corrupt(Place::Record(chain.head().seq + 1), LOG_DAMAGED));
    }
    let blobs = Blobs::open(folder);
    let digests = blobs.list()?;
    digests.iter().try_for_each(|digest| blobs.get(digest).map(drop))?;
    let head = chain.head();
    Ok(Report { task: source.task().to_owned(), records: head.seq, head: head.hash, blobs: digests.len() as u64 })
}

struct Problem {
    place: Place,
    what: &'static str,
}

const LOG_DAMAGED: &str =
    "what was appended here can no longer be read: the write-ahead log was altered, or torn by a loss of power";
const LATER_FORMAT: &str = "it is of a later format than this program reads: update it";
const NOT_CANONICAL: &str = "the line is not canonical";
const NOT_ENDED: &str = "the line is not ended";
const RECORD_START: &[u8] = b"{\"envelope\":";
const BLOB_START: &[u8] = b"{\"blob\":\"";
const HEAD_START: &[u8] = b"{\"head\":";

/// The state of a verification between two lines. The order of the checks, and their words, are those of
/// `docs/verify_journal.py`.
struct Lines<'a> {
    all: Vec<&'a [u8]>,
    chain: Chain,
    blobs: u64,
    last_blob: Option<Hash>,
}

fn check_bundle(bytes: &[u8]) -> std::result::Result<Report, Problem> {
    let all: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let header = |what| Problem { place: Place::Header, what };
    let first = all.first().ok_or(header("it is missing"))?;
    let line = first.strip_suffix(b"\n").ok_or(header(NOT_ENDED))?;
    if bundle::later_format(line).is_some() {
        return Err(header(LATER_FORMAT));
    }
    let (task, said) = bundle::parse_header(line).ok_or(header(NOT_CANONICAL))?;
    check_header(&task, &said).map_err(|_| header("the task id does not match the genesis hash"))?;

    let mut lines = Lines { chain: Chain::new(&task), all, blobs: 0, last_blob: None };
    for i in 1..lines.all.len() {
        let (place, whole) = (lines.place(i), lines.all[i]);
        let Some(line) = whole.strip_suffix(b"\n") else { return Err(Problem { place, what: NOT_ENDED }) };
        let checked = match place {
            Place::Record(_) => lines.check_record(line),
            Place::Blob(_) => lines.check_blob(line),
            Place::Head => {
                lines.check_head(line).map_err(|what| Problem { place, what })?;
                if i + 1 < lines.all.len() {
                    return Err(Problem { place: Place::Head, what: "something stands after it" });
                }
                let head = lines.chain.head();
                return Ok(Report { task, records: head.seq, head: head.hash, blobs: lines.blobs });
            }
            Place::Header | Place::File => Err(NOT_CANONICAL),
        };
        checked.map_err(|what| Problem { place, what })?;
    }
    Err(Problem { place: Place::Head, what: "it is missing" })
}

impl Lines<'_> {
    /// What line `i` is by its first bytes, or, where those are damaged, by what must stand there.
    fn place(&self, i: usize) -> Place {
        let line = self.all[i];
        let record = Place::Record(self.chain.head().seq + 1);
        if line.starts_with(RECORD_START) {
            return record;
        }
        if line.starts_with(BLOB_START) {
            return self.blob_place(line);
        }
        if line.starts_with(HEAD_START) || i + 1 == self.all.len() {
            return Place::Head;
        }
        let head = self.all.last().and_then(|last| last.strip_suffix(b"\n")).and_then(bundle::parse_head);
        match head {
            None => Place::Head,
            Some(head) if self.chain.head().seq < head.records => record,
            Some(head) if self.blobs < head.blobs => self.blob_place(line),
            Some(_) => Place::Head,
        }
    }

    /// The digest that stands at its place in the line, else the position among the blobs.
    fn blob_place(&self, line: &[u8]) -> Place {
        let name = line.get(BLOB_START.len()..BLOB_START.len() + 64).and_then(|name| std::str::from_utf8(name).ok());
        match name.filter(|name| crate::parse_hash(name).is_some()) {
            Some(name) => Place::Blob(name.to_owned()),
            None => Place::Blob(format!("#{}", self.blobs + 1)),
        }
    }

    fn check_record(&mut self, line: &[u8]) -> std::result::Result<(), &'static str> {
        if self.blobs > 0 {
            return Err("it stands after the blobs");
        }
        let record = bundle::parse_record(line).ok_or(NOT_CANONICAL)?;
        self.chain.accept(&record)
    }

    fn check_blob(&mut self, line: &[u8]) -> std::result::Result<(), &'static str> {
        let (digest, bytes) = bundle::parse_blob(line).ok_or(NOT_CANONICAL)?;
        if Hash::from(Sha256::digest(&bytes)) != digest {
            return Err("the content does not match its name");
        }
        if self.last_blob.is_some_and(|last| last >= digest) {
            return Err("it does not stand in order");
        }
        self.last_blob = Some(digest);
        self.blobs += 1;
        Ok(())
    }

    fn check_head(&self, line: &[u8]) -> std::result::Result<(), &'static str> {
        let said = bundle::parse_head(line).ok_or(NOT_CANONICAL)?;
        let head = self.chain.head();
        if said.records != head.seq {
            return Err("it does not count the records that stand before it");
        }
        if said.blobs != self.blobs {
            return Err("it does not count the blobs that stand before it");
        }
        if said.hash != head.hash {
            return Err("its hash is not that of the last record");
        }
        Ok(())
    }
}
