//! A computer's records in a copy of them: the ledger first, and after everything else what it has come to since. So what
//! a call did stands in the copy with its result, or as begun and not ended, which a resume tells as unknown; never as
//! something that had not begun. It asks no keeper anything.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ledger::{self, LEDGER};
use crate::tree::{Copied, copy_file, copy_tree};

/// A copy that is not finished: call [`RecordsCopy::finish`] when all that calls may have changed is copied.
#[derive(Debug)]
#[must_use = "without its end the copy knows less than what was done"]
pub struct RecordsCopy {
    from: PathBuf,
    to: PathBuf,
    /// Bytes of the ledger that were copied.
    known: usize,
    copied: Copied,
}

/// Begins a copy of the folder of a computer, dead or alive. `to` is made.
///
/// # Errors
/// If something cannot be read or written.
pub fn copy_records(from: &Path, to: &Path) -> io::Result<RecordsCopy> {
    fs::create_dir(to)?;
    let ledger = whole_lines(from)?;
    fs::write(to.join(LEDGER), &ledger)?;
    let mut copied = Copied { files: 1, bytes: ledger.len() as u64, ..Copied::default() };
    if ledger.is_empty() {
        fs::remove_file(to.join(LEDGER))?;
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if name == LEDGER {
            continue;
        }
        if kind.is_dir() {
            copied.add(copy_tree(&entry.path(), &to.join(&name))?);
        } else if kind.is_file() {
            copied.add(copy_file(&entry.path(), &to.join(&name))?);
        }
    }
    Ok(RecordsCopy { from: from.to_owned(), to: to.to_owned(), known: ledger.len(), copied })
}

impl RecordsCopy {
    /// Adds what began since, without its end: whether the rest of the copy has all of it is not known.
    ///
    /// # Errors
    /// If something cannot be read or written.
    pub fn finish(self) -> io::Result<Copied> {
        let ledger = whole_lines(&self.from)?;
        let since = ledger.get(self.known..).unwrap_or_default();
        let begun: Vec<&[u8]> =
            since.split_inclusive(|byte| *byte == b'\n').filter(|line| !ledger::is_end(line)).collect();
        if !begun.is_empty() {
            let mut copy = fs::OpenOptions::new().append(true).create(true).open(self.to.join(LEDGER))?;
            copy.write_all(&begun.concat())?;
        }
        Ok(self.copied)
    }
}

/// The ledger as far as its last whole line; the keeper may be writing the next.
fn whole_lines(dir: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = match fs::read(dir.join(LEDGER)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::record::prepare;
    use crate::recorded;
    use crate::request::{CallResult, Exit, Recorded};

    #[test]
    fn what_began_or_ended_under_the_copy_is_unknown_in_it_and_never_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        prepare(&from).unwrap();
        let (output_bytes, started_ms, ended_ms) = (0, 1, 2);
        let result = CallResult {
            exit: Exit::Code(7),
            output_bytes,
            output_truncated: false,
            limit: None,
            limits: Vec::new(),
            started_ms,
            ended_ms,
        };
        let mut ledger = Ledger::open(&from, 0).unwrap();
        for call in ["e1", "e2"] {
            ledger.write_order(call, false).unwrap();
        }
        ledger.write_result("e1", &result).unwrap();
        fs::write(from.join("output/e1.log"), "said").unwrap();
        let copy = copy_records(&from, &to).unwrap();
        // While the workspace is copied.
        ledger.write_result("e2", &result).unwrap();
        ledger.write_order("e3", false).unwrap();
        ledger.note_write("e3", "w").unwrap();
        ledger.write_result("e3", &result).unwrap();
        let copied = copy.finish().unwrap();
        assert_eq!(copied.left_out, 0);
        let told = ["e1", "e2", "e3", "e4"].map(|call| recorded(&to, call).unwrap());
        assert_eq!(told, [Recorded::Ended(result), Recorded::Lost, Recorded::Lost, Recorded::NeverSeen]);
        assert_eq!(fs::read_to_string(to.join("output/e1.log")).unwrap(), "said");
        assert!(Ledger::open(&to, 9).unwrap().was_written("e3", "w"));
    }

    #[test]
    fn a_computer_that_began_under_the_copy_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        prepare(&from).unwrap();
        let copy = copy_records(&from, &to).unwrap();
        Ledger::open(&from, 0).unwrap().write_order("e1", false).unwrap();
        copy.finish().unwrap();
        assert_eq!(recorded(&to, "e1").unwrap(), Recorded::Lost);
    }
}
