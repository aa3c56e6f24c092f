//! The one small interface between the journal and what keeps its rows: SQLite or memory. It knows no chain: a store
//! keeps the rows it is given, and whoever reads them checks them.

use std::path::PathBuf;

use crate::{Record, Result};

/// Where rows are read from.
///
/// * Rows come in the order of their sequence numbers, each as it was appended.
/// * A read sees every append that returned before it began, wherever that was done, and no half of one.
/// * A row that cannot be decoded is [`Error::Corrupt`](crate::Error::Corrupt) with the number that was to come.
pub trait Source: Send + std::fmt::Debug {
    /// The task whose journal this is.
    fn task(&self) -> &str;

    /// Hands out at most `limit` rows from `from_seq` on; an error of `each` ends it.
    fn read(&mut self, from_seq: u64, limit: usize, each: &mut dyn FnMut(Record) -> Result<()>) -> Result<()>;

    /// The last row.
    fn last(&mut self) -> Result<Option<Record>>;

    /// A number that changes when another handle has appended; cheap enough to ask for many times a second.
    fn version(&mut self) -> Result<u64>;
}

/// Where rows are appended.
///
/// * [`append`](Store::append) adds all of its rows or none, and when it returns they survive the death of the process
///   (as far as the store outlives processes at all).
/// * A row elsewhere than at the end is [`Error::OutOfOrder`](crate::Error::OutOfOrder), and nothing is changed.
/// * A store that fails keeps what it had, and can be tried again.
pub trait Store: Source {
    /// Adds these rows at the end.
    fn append(&mut self, records: &[Record]) -> Result<()>;

    /// Another handle that only reads, for any thread.
    fn source(&self) -> Result<Box<dyn Source>>;

    /// The file whose data must reach the disk for the rows to survive a loss of power, if there is one.
    fn durable_file(&self) -> Option<PathBuf>;
}
