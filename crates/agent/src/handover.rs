//! What the person is told of the folder that they lent, before they use it again: files that programs of theirs run, and
//! that are not what they were when the task began. It is told whichever way the task ended, and changes nothing.

use std::path::{Path, PathBuf};

use event::{Event, TaskCreated};

use crate::home::TaskFolder;
use crate::state::State;

/// What has to be told of a task that nobody has in hand.
pub(crate) fn autorun(state: &State, folder: &TaskFolder) -> Option<Event> {
    Look::of(state, folder.root())?.changed()
}

/// What has to be known for a look at the folder.
pub(crate) struct Look {
    workspace: PathBuf,
    before: tools::autorun::Seen,
    /// What was told last.
    told: (Vec<event::AutorunFile>, bool),
}

impl Look {
    /// None where no folder was lent, or the task is older than this.
    pub(crate) fn of(state: &State, root: &Path) -> Option<Self> {
        let created: &TaskCreated = state.created.as_deref()?;
        let (workspace, kept) = (created.options.workspace.as_ref()?, created.autorun.as_ref()?);
        let before = journal::Blobs::open(root).get(&kept.digest.0).ok()?;
        let before = tools::autorun::Seen::from_bytes(&before)?;
        Some(Self { workspace: PathBuf::from(workspace), before, told: state.autorun.clone() })
    }

    pub(crate) fn changed(self) -> Option<Event> {
        let now = tools::autorun::look(&self.workspace).ok()?;
        let (files, cut) = self.before.changed(&now);
        (self.told != (files.clone(), cut)).then_some(Event::AutorunChanged { files, cut })
    }
}
