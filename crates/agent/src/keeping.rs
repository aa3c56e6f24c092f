//! A task's workspace and the store of its checkpoints, side by side: taking, tidying, putting back. Everything here blocks and
//! belongs on a thread where that harms nobody; what goes on the record is given back as events, and nothing is recorded here.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use event::{Changes, Checkpoint, Digest, Event};
use sandbox::checkpoint::{Bound, Bounds, Id, Place, Restore, Step, Store, Take, Taken};

use crate::home::TaskFolder;
use crate::limits::{KEPT_BYTES_MAX, KEPT_ENTRIES_MAX, KEPT_LENT_BYTES_MAX, KEPT_LENT_ENTRIES_MAX};
use crate::state::{Kept, State};

/// Where a task's workspace is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) tree: PathBuf,
    pub(crate) bounds: Bounds,
    /// It is a folder of the person's.
    pub(crate) lent: bool,
}

/// A moment of the task, as its record has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at_seq: u64,
    pub(crate) turn: u64,
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

    fn too_large(&self, bound: Bound) -> String {
        let what = if self.lent { "the folder" } else { "the workspace" };
        match bound {
            Bound::Entries => format!("{what} has more than {} files, folders and links", self.bounds.entries),
            Bound::Bytes => format!("{what} has more than {} MiB", self.bounds.bytes >> 20),
        }
    }

    /// Takes away what the record does not name: what was let go, and what crashes left. Costs next to nothing where there is nothing.
    pub(crate) fn tidy(&self, keep: &[Digest]) {
        let keep: Vec<Id> = keep.iter().map(|digest| Id(digest.0)).collect();
        let needed = self.store.ids().is_ok_and(|there| there.iter().any(|id| !keep.contains(id)));
        if needed && let Err(error) = self.store.sweep(&keep) {
            tracing::warn!(%error, "checkpoints that are not needed stay where they are");
        }
    }

    /// Sets the workspace back; the event says what came of it.
    pub(crate) fn restore(&self, kept: &Kept, number: u64) -> Event {
        let nothing = |problem: String| Event::WorkspaceRestored {
            number,
            changes: Changes::default(),
            differing: 0,
            problem: Some(problem),
        };
        let Some(checkpoint) = kept.numbered(number) else {
            return nothing(format!("checkpoint {number} is not kept any more"));
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
                let names: Vec<_> =
                    restored.first_differing.iter().map(|path| path.to_string_lossy().into_owned()).collect();
                let problem = (restored.differing > 0).then(|| format!("not as it was: {}", names.join(", ")));
                let changes = restored.changes;
                let changes = Changes { added: changes.added, changed: changes.changed, removed: changes.removed };
                Event::WorkspaceRestored { number, changes, differing: restored.differing, problem }
            }
            Err(error) => nothing(in_full(&error)),
        }
    }
}

/// The error, and what the system said.
fn in_full(error: &sandbox::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
