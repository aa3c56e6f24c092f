//! A task's workspace and the store of its checkpoints, side by side: taking, tidying, putting back. Everything here blocks and
//! belongs on a thread where that harms nobody; what goes on the record is given back as events, and nothing is recorded here.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use event::{Changes, Checkpoint, Digest, Event};
use sandbox::checkpoint::{Bound, Bounds, Id, Place, Restore, Step, Store, Swept, Take, Taken};
use sandbox::unseen;

use crate::home::TaskFolder;
use crate::limits::{KEPT_BYTES_MAX, KEPT_ENTRIES_MAX, KEPT_LENT_BYTES_MAX, KEPT_LENT_ENTRIES_MAX};
use crate::state::{Kept, Moment, State};

/// Characters of a path in an error.
const PATH_CHARS_MAX: usize = 120;

/// Where a task's workspace is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) tree: PathBuf,
    pub(crate) bounds: Bounds,
    /// It is a folder of the person's.
    pub(crate) lent: bool,
}

/// What a look at the workspace came to.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// It is kept. The number is still to be given.
    Taken { checkpoint: Checkpoint, store_bytes: u64 },
    /// It is as the last one has it.
    Same,
    /// It is too large, for these reasons.
    TooLarge(String),
    /// It could not be kept.
    Failed(String),
    /// The caller had no time for it.
    Stopped,
}

impl Keeper {
    /// That of a task.
    pub(crate) fn of(folder: &TaskFolder, state: &State) -> Self {
        let (tree, bounds) = match &state.options.workspace {
            None => (folder.workspace(), Bounds { entries: KEPT_ENTRIES_MAX, bytes: KEPT_BYTES_MAX }),
            Some(path) => (PathBuf::from(path), Bounds { entries: KEPT_LENT_ENTRIES_MAX, bytes: KEPT_LENT_BYTES_MAX }),
        };
        Self { store: Store::at(folder.checkpoints()), tree, bounds, lent: state.options.workspace.is_some() }
    }

    /// Looks at the workspace and keeps it where it is another than `last` has it. `read` is called when it may be changed again.
    pub(crate) fn take(&self, last: Option<Digest>, moment: Moment, stop: &AtomicBool, read: &mut dyn FnMut()) -> Look {
        let last = last.map(|digest| Id(digest.0));
        let take = Take { tree: &self.tree, last, bounds: self.bounds, stop };
        let taken = self.store.take(&take, &mut |step| {
            if step == Step::Read {
                read()
            }
        });
        let checkpoint = match taken {
            Ok(Taken::New(checkpoint)) => checkpoint,
            Ok(Taken::Same) => return Look::Same,
            Ok(Taken::Stopped) => return Look::Stopped,
            Ok(Taken::Over(bound)) => return Look::TooLarge(self.too_large(bound)),
            Err(error) => return Look::Failed(in_full(&error)),
        };
        let (counts, changes) = (checkpoint.counts, checkpoint.changes);
        let kept = Checkpoint {
            number: 0,
            at_seq: moment.at_seq,
            turn: moment.turn,
            digest: Digest(checkpoint.id.0),
            files: counts.files,
            bytes: counts.bytes,
            changes: Changes { added: changes.added, changed: changes.changed, removed: changes.removed },
            stored_bytes: checkpoint.stored_bytes,
            left_out: counts.left_out,
            disturbed: counts.disturbed,
        };
        Look::Taken { checkpoint: kept, store_bytes: self.store.bytes().unwrap_or(0) }
    }

    /// Keeps what is there now, where nobody is at work: the event that says so, if it is another than the last one; or why it cannot be kept.
    pub(crate) fn keep_now(&self, kept: &Kept, moment: Moment) -> Result<Option<Event>, String> {
        match self.take(kept.last, moment, &AtomicBool::new(false), &mut || {}) {
            Look::Taken { mut checkpoint, .. } => {
                checkpoint.number = kept.numbered + 1;
                Ok(Some(Event::CheckpointTaken { checkpoint }))
            }
            Look::Same | Look::Stopped => Ok(None),
            Look::TooLarge(reason) | Look::Failed(reason) => Err(reason),
        }
    }

    /// The same before going back to a checkpoint: that must take nothing away which cannot be kept.
    pub(crate) fn keep_before(&self, kept: &Kept, moment: Moment, number: u64) -> Result<Option<Event>, String> {
        let event = self.keep_now(kept, moment)?;
        let now = match &event {
            Some(Event::CheckpointTaken { checkpoint }) => Some(checkpoint.digest),
            _ => kept.last,
        };
        let (Some(now), Some(target)) = (now, kept.numbered(number)) else { return Ok(event) };
        let reason = match self.store.lost_between(&Id(now.0), &Id(target.digest.0)) {
            Ok((0, _)) => return Ok(event),
            Ok((count, first)) => {
                let what = if self.lent { "the folder" } else { "the workspace" };
                format!("{count} of the files and folders in {what} cannot be kept: {}", in_line(&first, count))
            }
            Err(error) => in_full(&error),
        };
        // What was just taken comes on no record.
        let recorded: Vec<Digest> = kept.checkpoints.iter().map(|kept| kept.checkpoint.digest).collect();
        self.tidy(&recorded, false);
        Err(reason)
    }

    fn too_large(&self, bound: Bound) -> String {
        let what = if self.lent { "the folder" } else { "the workspace" };
        match bound {
            Bound::Entries => format!("{what} has more than {} files, folders and links", self.bounds.entries),
            Bound::Bytes => format!("{what} has more than {} MiB", self.bounds.bytes >> 20),
        }
    }

    /// Takes away what the record does not name: what was let go, and what crashes left. Costs next to nothing where there is nothing.
    /// Whether it came to that: not while somebody reads the store, and not where the disk or a damaged checkpoint is in the way. `again`
    /// is for what such a one has left half done: names that are gone, and the room that they took.
    pub(crate) fn tidy(&self, keep: &[Digest], again: bool) -> bool {
        let keep: Vec<Id> = keep.iter().map(|digest| Id(digest.0)).collect();
        let swept = self.store.ids().and_then(|there| {
            let needed = again || there.iter().any(|id| !keep.contains(id));
            if needed { self.store.sweep(&keep) } else { Ok(Some(Swept::default())) }
        });
        match swept {
            Ok(swept) => swept.is_some(),
            Err(error) => {
                tracing::warn!(error = in_full(&error), "checkpoints that are not needed stay where they are");
                false
            }
        }
    }

    /// Sets the workspace back; the event says what came of it.
    pub(crate) fn restore(&self, kept: &Kept, number: u64) -> Event {
        let Some(checkpoint) = kept.numbered(number) else {
            return not_restored(number, format!("checkpoint {number} is not kept any more"));
        };
        let restore = Restore {
            checkpoint: Id(checkpoint.digest.0),
            tree: &self.tree,
            last: kept.last.map(|digest| Id(digest.0)),
            place: Place::Same,
            stop: &AtomicBool::new(false),
        };
        match self.store.restore(&restore) {
            Ok(restored) => {
                let names = || in_line(&restored.first_differing, restored.differing);
                let problem = (restored.differing > 0).then(|| format!("not as it was: {}", names()));
                let changes = restored.changes;
                let changes = Changes { added: changes.added, changed: changes.changed, removed: changes.removed };
                Event::WorkspaceRestored { number, changes, differing: restored.differing, problem }
            }
            Err(error) => not_restored(number, in_full(&error)),
        }
    }
}

/// That nothing was done, and why.
pub(crate) fn not_restored(number: u64, problem: String) -> Event {
    Event::WorkspaceRestored { number, changes: Changes::default(), differing: 0, problem: Some(problem) }
}

/// The error, and what the system said.
fn in_full(error: &sandbox::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The first of so many paths, on one line. What a program may have named a file is no text of ours: nothing in it begins a line.
pub(crate) fn in_line(first: &[PathBuf], count: u64) -> String {
    let mut names: Vec<String> = first.iter().map(|path| path_in_line(path)).collect();
    let more = count.saturating_sub(names.len() as u64);
    if names.is_empty() {
        names.push(format!("{count} of its entries"));
    } else if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// A path on one line, cut where it is long.
pub(crate) fn path_in_line(path: &Path) -> String {
    let shown = |c: char| match c {
        _ if c.is_whitespace() => ' ',
        _ if unseen::in_name(c) => '·',
        _ => c,
    };
    let whole = path.to_string_lossy();
    let mut line: String = whole.chars().take(PATH_CHARS_MAX).map(shown).collect();
    if whole.chars().nth(PATH_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_file_is_one_short_line_in_an_error() {
        let named = ["a\nhint: rm -rf ~", "b\r\u{1b}[2J\u{202e}c\u{2028}d"].map(PathBuf::from);
        assert_eq!(in_line(&named, 2), "a hint: rm -rf ~, b ·[2J·c d");
        assert_eq!(in_line(&["n".repeat(4000).into()], 30), format!("{}…, and 29 more", "n".repeat(PATH_CHARS_MAX)));
    }
}
