//! Where things stand on disk: the data folder and the folder of each task. Paths only; nothing is opened here.

use std::path::{Path, PathBuf};

use event::TaskId;

/// The data folder, `THENAR_HOME`.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// A data folder at this absolute path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The data folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds one folder per task.
    pub fn tasks(&self) -> PathBuf {
        self.path.join("tasks")
    }

    /// The folder of one task.
    pub fn task(&self, id: &TaskId) -> TaskFolder {
        TaskFolder { root: self.tasks().join(id.as_str()) }
    }
}

/// The folder of one task: its journal, blobs, lock, computer, and workspace.
#[derive(Clone, Debug)]
pub struct TaskFolder {
    root: PathBuf,
}

impl TaskFolder {
    /// The folder itself, which is also the journal's.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace of a task that has one of its own.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    /// The keeper's folder: socket, calls, outputs.
    pub fn computer(&self) -> PathBuf {
        self.root.join("computer")
    }

    /// The store of the workspace's checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// How much passed to and from each place of its network, for the case that its engine is killed.
    pub(crate) fn passed(&self) -> PathBuf {
        self.root.join("passed")
    }

    /// The folder in which the holder's control socket lies.
    pub fn control(&self) -> PathBuf {
        self.root.join("control")
    }
}
