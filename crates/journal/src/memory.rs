//! A store in memory: for tests and for the conformance suite's second opinion. It outlives no process.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Error, Record, Result, Source, Store};

/// A store in memory; a clone is another handle on the same rows.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    task: Arc<str>,
    rows: Arc<Mutex<Vec<Record>>>,
}

impl MemoryStore {
    /// An empty store for this task.
    pub fn new(task: &str) -> Self {
        Self { task: task.into(), rows: Arc::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Record>> {
        // Rows are only ever pushed whole, so a panic elsewhere leaves them as they were.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MemoryStore {
    fn task(&self) -> &str {
        &self.task
    }

    fn read(&mut self, from_seq: u64, limit: usize, each: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        let start = usize::try_from(from_seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let rows: Vec<Record> = self.rows().iter().skip(start).take(limit).cloned().collect();
        rows.into_iter().try_for_each(each)
    }

    fn last(&mut self) -> Result<Option<Record>> {
        Ok(self.rows().last().cloned())
    }

    fn version(&mut self) -> Result<u64> {
        Ok(self.rows().len() as u64)
    }
}

impl Store for MemoryStore {
    fn append(&mut self, records: &[Record]) -> Result<()> {
        let mut rows = self.rows();
        for (next, record) in (rows.len() as u64 + 1..).zip(records) {
            if record.seq != next {
                return Err(Error::OutOfOrder { seq: record.seq, next });
            }
        }
        rows.extend_from_slice(records);
        Ok(())
    }

    fn source(&self) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.clone()))
    }

    fn durable_file(&self) -> Option<PathBuf> {
        None
    }
}
