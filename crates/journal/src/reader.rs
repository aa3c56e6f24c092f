//! Reading a journal, checked record by record. A reader needs no lock, writes nothing, and may look on while another
//! process appends.

use std::path::Path;

use crate::{Chain, Error, Head, Place, Record, Result, Source, SqliteStore, chain::genesis};

/// Records handled at a time: a read holds its snapshot, and its memory, no longer than this many take.
const CHUNK: usize = 64;

/// A reader of one journal.
#[derive(Debug)]
pub struct Reader {
    source: Box<dyn Source>,
    /// The end of what [`follow`](Self::follow) has handed out.
    followed: Chain,
    /// The source's version when there was nothing more to follow.
    quiet_at: Option<u64>,
}

impl Reader {
    /// Opens the journal in this folder, whoever holds it and however its last writer ended.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self::over(Box::new(SqliteStore::open_to_read(folder)?)))
    }

    /// A reader of these rows.
    pub fn over(source: Box<dyn Source>) -> Self {
        let followed = Chain::new(source.task());
        Self { source, followed, quiet_at: None }
    }

    /// The task whose journal this is.
    pub fn task(&self) -> &str {
        self.source.task()
    }

    /// The end of the journal now. Checks the last record by itself, not what stands before it.
    pub fn head(&mut self) -> Result<Head> {
        let Some(record) = self.source.last()? else {
            return Ok(Head { seq: 0, hash: genesis(self.source.task()), time_ms: 0 });
        };
        alone(&record, record.seq)
    }

    /// At most `limit` records from `from_seq` (at least 1) on, each checked, with the link to the one before.
    pub fn records(&mut self, from_seq: u64, limit: usize) -> Result<Vec<Record>> {
        let from_seq = from_seq.max(1);
        let mut records = Vec::with_capacity(limit.min(CHUNK));
        if from_seq == 1 {
            let mut chain = Chain::new(self.source.task());
            read_checked(&mut *self.source, &mut chain, limit, &mut |record| records.push(record))?;
            return Ok(records);
        }
        let mut before = None;
        self.source.read(from_seq - 1, 1, &mut |record| {
            before = Some(alone(&record, from_seq - 1)?);
            Ok(())
        })?;
        if let Some(head) = before {
            read_checked(&mut *self.source, &mut Chain::after(head), limit, &mut |record| records.push(record))?;
        }
        Ok(records)
    }

    /// Hands every record from the first on to `each`, checked, until there are no more or it fails. No snapshot is held
    /// meanwhile, so `each` may take its time.
    pub fn replay<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(Record) -> std::result::Result<(), E>,
    ) -> std::result::Result<Head, E> {
        let mut chain = Chain::new(self.source.task());
        loop {
            let mut records = Vec::with_capacity(CHUNK);
            read_checked(&mut *self.source, &mut chain, CHUNK, &mut |record| records.push(record))?;
            let ended = records.len() < CHUNK;
            records.into_iter().try_for_each(&mut each)?;
            if ended {
                return Ok(chain.head());
            }
        }
    }

    /// At most `limit` records that no call of `follow` has handed out yet, checked. Costs next to nothing while nothing
    /// is appended, so it may be asked many times a second.
    pub fn follow(&mut self, limit: usize) -> Result<Vec<Record>> {
        let version = self.source.version()?;
        if self.quiet_at == Some(version) {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        read_checked(&mut *self.source, &mut self.followed, limit, &mut |record| records.push(record))?;
        self.quiet_at = (records.len() < limit).then_some(version);
        Ok(records)
    }

    /// Sets [`follow`](Self::follow) to go on after this record (0: from the start).
    pub fn follow_after(&mut self, seq: u64) -> Result<()> {
        self.quiet_at = None;
        self.followed = Chain::new(self.source.task());
        let Some(record) = (if seq == 0 { None } else { self.records(seq, 1)?.pop() }) else { return Ok(()) };
        self.followed = Chain::after(alone(&record, seq)?);
        Ok(())
    }
}

/// Reads what follows the end of `chain`, and moves that end.
pub(crate) fn read_checked(
    source: &mut dyn Source,
    chain: &mut Chain,
    limit: usize,
    each: &mut dyn FnMut(Record),
) -> Result<()> {
    source.read(chain.head().seq + 1, limit, &mut |record| {
        chain.check(&record)?;
        each(record);
        Ok(())
    })
}

/// The head that this record makes, if it is what it should be by itself.
fn alone(record: &Record, seq: u64) -> Result<Head> {
    let checked =
        if record.seq == seq { record.check_alone(&mut Vec::new()) } else { Err("another record stands in its place") };
    checked.map_err(|what| Error::corrupt(Place::Record(seq), what))?;
    Ok(Head { seq: record.seq, hash: record.hash, time_ms: record.time_ms })
}
