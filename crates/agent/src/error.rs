//! What can go wrong around a task, one variant per thing the caller can do about it.

use std::path::PathBuf;

use crate::Because;

/// An error of the agent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such task: look at the list.
    #[error("there is no task {0}")]
    NoSuchTask(String),
    /// The task has no such checkpoint, or it was let go: look which there are.
    #[error("task {id} has no checkpoint {number}, or it was let go")]
    NoCheckpoint { id: String, number: u64 },
    /// What was asked for cannot be: correct it.
    #[error("{0}")]
    Invalid(String),
    /// The same, where the reason has a code: correct it.
    #[error("{text}")]
    Refused { because: Because, text: String },
    /// Another process has the task: speak to that one, or wait.
    #[error("task {id} is in the hands of another process{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held { id: String, pid: Option<u32> },
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// An event of the journal is not one that this version knows.
    #[error("read event {seq} of task {id}: {source}")]
    Event { id: String, seq: u64, source: serde_json::Error },
    /// The rules cannot be loaded: nothing is permitted without them.
    #[error("load the policy: {0}")]
    Policy(String),
    /// The file system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Kept(sandbox::Error),
    /// What is there now would be lost: say so, or make it smaller.
    #[error("keep the workspace as it is now: {0}")]
    NotKept(String),
    /// The task's computer refused, or could not.
    #[error(transparent)]
    Computer(#[from] sandbox::Error),
    /// The model's name or tool list cannot be used.
    #[error("prepare the model {name}: {reason}")]
    Model { name: String, reason: String },
    /// A planned crash of a test.
    #[error("crashed on purpose at {0:?}")]
    Crashed(crate::faults::Place),
}

impl Error {
    pub(crate) fn refused(because: Because, text: impl Into<String>) -> Self {
        Self::Refused { because, text: text.into() }
    }

    /// What the reader can do, where the message does not say it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchTask(_) => Some("thenar task list shows the tasks there are".to_owned()),
            Self::Held { id, .. } => {
                Some(format!("thenar task stop {id} stops it there; thenar task show {id} looks at it"))
            }
            Self::Io { source, .. } if source.raw_os_error() == Some(28) => {
                Some("the disk is full: free some space and run the command again; nothing is lost".to_owned())
            }
            // The record itself holds, so it is the reader that is too old.
            Self::Event { .. } => {
                Some("a newer thenar wrote this event: update thenar; nothing was changed".to_owned())
            }
            Self::Journal(error @ journal::Error::Newer { .. }) => error.hint(),
            Self::NoCheckpoint { id, .. } => Some(format!("thenar task checkpoints {id} lists those there are")),
            Self::Kept(error) => error.hint().map(str::to_owned),
            Self::NotKept(_) => Some("to go back all the same, and lose what is there now: --throw-away".to_owned()),
            Self::Computer(error) => error.hint().map(str::to_owned),
            Self::Invalid(_)
            | Self::Refused { .. }
            | Self::Journal(_)
            | Self::Policy(_)
            | Self::Io { .. }
            | Self::Model { .. }
            | Self::Crashed(_) => None,
        }
    }
}
