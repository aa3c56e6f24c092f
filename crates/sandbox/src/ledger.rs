//! The ledger of a computer's calls: one file that only grows, a line per fact. The keeper alone writes it; anybody may read
//! it while the keeper is alive, and when it is not. What a call was asked to do does not stand in it.
//!
//! One file and not one per fact, because making files costs more than running the command where the file system is slow.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::spool_path;
use crate::request::{CallResult, Exit};

/// Its file in the computer's folder.
pub(crate) const LEDGER: &str = "calls.jsonl";

/// Where versions before the ledger kept a file per fact: a task of theirs may still be under way.
const EARLIER: &str = "calls";

/// The format that this version writes, in the first line. A reader refuses a later one: to misread what has run is to run
/// it twice.
const FORMAT: u32 = 2;

/// The one line that does not tell of a call.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    thenar_calls: u32,
}

/// One fact.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub(crate) enum Entry {
    /// Accepted: from here on it is never "never seen". What it puts out may be an answer of the file tools' and no command's output.
    Ordered {
        call: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answers: bool,
    },
    /// About to be typed into a call.
    Typed { call: String, write: String },
    /// This call is a terminal, under this name. Earlier versions pass over it.
    Named { call: String, name: String },
    /// Ended, with its result.
    Ended { call: String, result: CallResult },
}

/// The ledger in the hands of the keeper.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    file: File,
    /// Bytes written so far: where the next line begins.
    length: u64,
    /// A write failed half-way: the next line begins on a line of its own.
    torn: bool,
    ordered: HashSet<String>,
    /// Those of earlier keepers' whose output is an answer.
    answers: HashSet<String>,
    typed: HashSet<(String, String)>,
    /// Where each result stands.
    ended: HashMap<String, (u64, usize)>,
}

impl Ledger {
    /// Opens the ledger, and writes off what an earlier keeper had accepted and not finished: a new one is alive, but not
    /// for those calls.
    pub(crate) fn open(dir: &Path, now_ms: u64) -> io::Result<Self> {
        let (mut ordered, mut typed, mut ended) = (HashSet::new(), HashSet::new(), HashMap::new());
        let mut answers = HashSet::new();
        each_entry(dir, |place, entry| match entry {
            Entry::Ordered { call, answers: is_answer } => {
                answers.extend(is_answer.then(|| call.clone()));
                ordered.insert(call);
            }
            Entry::Typed { call, write } => drop(typed.insert((call, write))),
            Entry::Ended { call, .. } => drop(ended.insert(call, place)),
            Entry::Named { .. } => {}
        })?;
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(dir.join(LEDGER))?;
        let length = file.metadata()?.len();
        // Whatever a loss of power left without an end is ended now.
        let mut ledger = Self { dir: dir.to_owned(), file, length, torn: length > 0, ordered, answers, typed, ended };
        if length == 0 {
            ledger.append(&Header { thenar_calls: FORMAT })?;
            // Found in the files of an earlier version, not in this one.
            (ledger.ordered, ledger.typed, ledger.ended) = Default::default();
        }
        each_earlier(dir, |entry| ledger.take_over(entry))?;
        let unfinished: Vec<_> =
            ledger.ordered.iter().filter(|call| !ledger.ended.contains_key(*call)).cloned().collect();
        for call in unfinished {
            let output_bytes = std::fs::metadata(spool_path(dir, &call)).map_or(0, |about| about.len());
            let (output_truncated, limit, limits) = (false, None, Vec::new());
            let (started_ms, ended_ms) = (now_ms, now_ms);
            let exit = Exit::Died;
            let result = CallResult { exit, output_bytes, output_truncated, limit, limits, started_ms, ended_ms };
            ledger.write_result(&call, &result)?;
        }
        Ok(ledger)
    }

    /// Whether this call was ever accepted.
    pub(crate) fn was_ordered(&self, call: &str) -> bool {
        self.ordered.contains(call)
    }

    /// Whether what it put out, to an earlier keeper, is an answer of the file tools'.
    pub(crate) fn is_answer(&self, call: &str) -> bool {
        self.answers.contains(call)
    }

    /// Records that a call is accepted and opens its spool.
    pub(crate) fn write_order(&mut self, call: &str, answers: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let spool =
            options.read(true).write(true).create(true).truncate(true).mode(0o644).open(spool_path(&self.dir, call))?;
        spool.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        self.append(&Entry::Ordered { call: call.to_owned(), answers })?;
        self.ordered.insert(call.to_owned());
        Ok(spool)
    }

    /// Records that something is about to be typed into a call: asked again, even after the call's end, it is not typed again.
    pub(crate) fn note_write(&mut self, call: &str, write: &str) -> io::Result<()> {
        let (call, write) = (call.to_owned(), write.to_owned());
        self.append(&Entry::Typed { call: call.clone(), write: write.clone() })?;
        self.typed.insert((call, write));
        Ok(())
    }

    /// Records that a call is a terminal.
    pub(crate) fn note_name(&mut self, call: &str, name: &str) -> io::Result<()> {
        self.append(&Entry::Named { call: call.to_owned(), name: name.to_owned() }).map(drop)
    }

    /// Records an id of something that is no call: it is never "never seen" again, and there is nothing else to know of it.
    pub(crate) fn mark(&mut self, id: &str) -> io::Result<()> {
        self.append(&Entry::Ordered { call: id.to_owned(), answers: false })?;
        self.ordered.insert(id.to_owned());
        Ok(())
    }

    /// Whether this was ever typed into the call.
    pub(crate) fn was_written(&self, call: &str, write: &str) -> bool {
        self.typed.contains(&(call.to_owned(), write.to_owned()))
    }

    /// Records the result. [`Ledger::sync`] makes it outlast a loss of power.
    pub(crate) fn write_result(&mut self, call: &str, result: &CallResult) -> io::Result<()> {
        let place = self.append(&Entry::Ended { call: call.to_owned(), result: result.clone() })?;
        self.ended.insert(call.to_owned(), place);
        Ok(())
    }

    /// The result of a call, if it has one.
    pub(crate) fn result(&self, call: &str) -> io::Result<Option<CallResult>> {
        let Some(&(offset, length)) = self.ended.get(call) else { return Ok(None) };
        let mut line = vec![0; length];
        self.file.read_exact_at(&mut line, offset)?;
        match serde_json::from_slice(&line)? {
            Entry::Ended { result, .. } => Ok(Some(result)),
            Entry::Ordered { .. } | Entry::Typed { .. } | Entry::Named { .. } => Ok(None),
        }
    }

    /// What waits for the disk: the spools of these calls and the ledger. Takes its time, so it is done beside everything else.
    pub(crate) fn sync(&self, calls: Vec<String>) -> io::Result<impl FnOnce() + Send + 'static> {
        let (file, dir) = (self.file.try_clone()?, self.dir.clone());
        Ok(move || {
            for call in &calls {
                let _ = File::open(spool_path(&dir, call)).and_then(|spool| spool.sync_data());
            }
            // The folder too: the ledger may have been made just now.
            let _ = file.sync_data().and_then(|()| File::open(&dir)?.sync_all());
        })
    }

    /// Carries a fact of an earlier version into the ledger, unless a keeper did before it died.
    fn take_over(&mut self, entry: Entry) -> io::Result<()> {
        match entry {
            Entry::Ordered { call, .. } if !self.ordered.contains(&call) => {
                self.append(&Entry::Ordered { call: call.clone(), answers: false })?;
                self.ordered.insert(call);
            }
            Entry::Typed { call, write } if !self.was_written(&call, &write) => self.note_write(&call, &write)?,
            Entry::Ended { call, result } if !self.ended.contains_key(&call) => self.write_result(&call, &result)?,
            Entry::Ordered { .. } | Entry::Typed { .. } | Entry::Named { .. } | Entry::Ended { .. } => {}
        }
        Ok(())
    }

    /// One line in one write. Returns where it stands.
    fn append(&mut self, line: &impl Serialize) -> io::Result<(u64, usize)> {
        let mut bytes = if self.torn { b"\n".to_vec() } else { Vec::new() };
        let skipped = bytes.len();
        serde_json::to_writer(&mut bytes, line)?;
        let length = bytes.len() - skipped;
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes);
        self.torn = written.is_err();
        if let Err(error) = written {
            self.length = self.file.metadata()?.len();
            return Err(error);
        }
        let place = (self.length + skipped as u64, length);
        self.length += bytes.len() as u64;
        Ok(place)
    }
}

/// Reads every whole fact with its place, in order. No ledger is an empty one; a torn line is none.
pub(crate) fn each_entry(dir: &Path, mut each: impl FnMut((u64, usize), Entry)) -> io::Result<()> {
    let file = match File::open(dir.join(LEDGER)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return each_earlier(dir, |entry| {
                each((0, 0), entry);
                Ok(())
            });
        }
        Err(error) => return Err(error),
    };
    let (mut reader, mut line, mut offset) = (BufReader::new(file), Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let fact = line.strip_suffix(b"\n").unwrap_or(&line);
        if offset == 0
            && let Ok(Header { thenar_calls }) = serde_json::from_slice(fact)
            && thenar_calls > FORMAT
        {
            let text = format!("it is of format {thenar_calls} and this version reads up to {FORMAT}: update thenar");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        // A line that a loss of power tore tells nothing: what the call did is then unknown, which is what its absence says.
        if let Ok(entry) = serde_json::from_slice(fact) {
            each((offset, fact.len()), entry);
        }
        offset += read as u64;
    }
}

/// Whether a line tells of a call's end.
pub(crate) fn is_end(line: &[u8]) -> bool {
    matches!(serde_json::from_slice(line), Ok(Entry::Ended { .. }))
}

/// Reads what a version before the ledger left: whole files, in no order between calls.
fn each_earlier(dir: &Path, mut each: impl FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    let files = match std::fs::read_dir(dir.join(EARLIER)) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for file in files {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else { continue };
        if let Some(call) = name.strip_suffix(".order.json") {
            each(Entry::Ordered { call: call.to_owned(), answers: false })?;
        } else if let Some(call) = name.strip_suffix(".result.json") {
            if let Ok(result) = serde_json::from_slice(&std::fs::read(file.path())?) {
                each(Entry::Ended { call: call.to_owned(), result })?;
            }
        } else if let Some(call) = name.strip_suffix(".writes") {
            for line in std::fs::read_to_string(file.path())?.lines() {
                if let Ok(write) = serde_json::from_str(line) {
                    each(Entry::Typed { call: call.to_owned(), write })?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! What a reader makes of a ledger that was cut, and of one that it does not know.

    use super::{Entry, Ledger, each_entry};
    use crate::record::prepare;
    use crate::request::{CallResult, Exit};
    use crate::{Recorded, recorded};

    fn result() -> CallResult {
        let (output_bytes, started_ms, ended_ms) = (0, 1, 2);
        let (exit, output_truncated, limit, limits) = (Exit::Code(7), false, None, Vec::new());
        CallResult { exit, output_bytes, output_truncated, limit, limits, started_ms, ended_ms }
    }

    #[test]
    fn a_ledger_cut_at_every_byte_never_tells_more_than_was_written() {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).unwrap();
        let mut ledger = Ledger::open(folder.path(), 0).unwrap();
        for call in ["e1", "e2"] {
            ledger.write_order(call, false).unwrap();
            ledger.note_write(call, "w").unwrap();
            ledger.write_result(call, &result()).unwrap();
        }
        assert_eq!(ledger.result("e2").unwrap().unwrap().exit, Exit::Code(7));
        let path = folder.path().join(super::LEDGER);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let text = String::from_utf8_lossy(&whole[..cut]).into_owned();
            let told = recorded(folder.path(), "e1").unwrap();
            let expected = match (text.contains(r#"ended","call":"e1""#), text.contains(r#"ordered","call":"e1"}"#)) {
                (true, _) if matches!(told, Recorded::Ended(_)) => Recorded::Ended(result()),
                (_, true) => Recorded::Lost,
                (_, false) => Recorded::NeverSeen,
            };
            assert_eq!(told, expected, "cut at {cut}");
            // The next keeper goes on behind the cut, and knows what it must not start again.
            let mut next = Ledger::open(folder.path(), 5).unwrap();
            assert_eq!(next.was_ordered("e1"), expected != Recorded::NeverSeen, "cut at {cut}");
            next.write_order("e9", false).unwrap();
            next.write_result("e9", &result()).unwrap();
            assert_eq!(next.result("e9").unwrap().unwrap(), result(), "cut at {cut}");
            assert_eq!(recorded(folder.path(), "e9").unwrap(), Recorded::Ended(result()), "cut at {cut}");
        }
    }

    #[test]
    fn what_an_earlier_version_ran_is_known_and_never_run_again() {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).unwrap();
        let calls = folder.path().join("calls");
        std::fs::create_dir(&calls).unwrap();
        for call in ["e1", "e2"] {
            std::fs::write(calls.join(format!("{call}.order.json")), "{}").unwrap();
        }
        std::fs::write(calls.join("e1.result.json"), serde_json::to_vec(&result()).unwrap()).unwrap();
        std::fs::write(calls.join("e1.writes"), "\"w\"\n").unwrap();
        let known = || ["e1", "e2", "e3"].map(|call| recorded(folder.path(), call).unwrap());
        let expected = [Recorded::Ended(result()), Recorded::Lost, Recorded::NeverSeen];
        assert_eq!(known(), expected);
        let ledger = Ledger::open(folder.path(), 0).unwrap();
        assert!(ledger.was_ordered("e1") && ledger.was_ordered("e2") && ledger.was_written("e1", "w"));
        assert_eq!(ledger.result("e1").unwrap(), Some(result()));
        assert_eq!(known(), expected);
    }

    #[test]
    fn a_ledger_of_a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(super::LEDGER), "{\"thenar_calls\":3}\n").unwrap();
        let error = recorded(folder.path(), "e1").unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("update thenar"), "{why}");
        let mut entries = 0;
        assert!(each_entry(folder.path(), |_, _: Entry| entries += 1).is_err());
        assert!(Ledger::open(folder.path(), 0).is_err());
    }
}
