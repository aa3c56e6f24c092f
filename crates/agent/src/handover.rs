//! What the person is told of the folder that they lent, before they use it again: files that programs of theirs run, and
//! that are not what they were when the task began. It is told whichever way the task ended, and changes nothing.

use std::path::{Path, PathBuf};

use event::{Event, TaskCreated};

use crate::home::TaskFolder;
use crate::run::Run;
use crate::state::State;

impl Run<'_> {
    /// The event that ends a task, after what has to be said before it.
    pub(crate) async fn with_autorun(&self, event: Event) -> Vec<Event> {
        let mut events = vec![event];
        if matches!(events[0], Event::TaskEnded { .. })
            && let Some(look) = Look::of(&self.record.state, &self.place.task_dir)
            // A large folder takes its time, and other tasks share this thread.
            && let Ok(Some(changed)) = tokio::task::spawn_blocking(move || look.changed()).await
        {
            events.insert(0, changed);
        }
        events
    }
}

/// The same for a task that nobody has in hand.
pub(crate) fn autorun(state: &State, folder: &TaskFolder) -> Option<Event> {
    Look::of(state, folder.root())?.changed()
}

/// What has to be known for a look at the folder.
struct Look {
    workspace: PathBuf,
    before: tools::autorun::Seen,
    /// What was told last.
    told: (Vec<event::AutorunFile>, bool),
}

impl Look {
    /// None where no folder was lent, or the task is older than this.
    fn of(state: &State, root: &Path) -> Option<Self> {
        let created: &TaskCreated = state.created.as_deref()?;
        let (workspace, kept) = (created.options.workspace.as_ref()?, created.autorun.as_ref()?);
        let before = journal::Blobs::open(root).get(&kept.digest.0).ok()?;
        let before = tools::autorun::Seen::from_bytes(&before)?;
        Some(Self { workspace: PathBuf::from(workspace), before, told: state.autorun.clone() })
    }

    fn changed(self) -> Option<Event> {
        let now = tools::autorun::look(&self.workspace).ok()?;
        let (files, cut) = self.before.changed(&now);
        (self.told != (files.clone(), cut)).then_some(Event::AutorunChanged { files, cut })
    }
}
