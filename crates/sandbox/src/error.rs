//! What can go wrong with a computer, one variant per thing the caller can do about it. A command that fails is no error: its exit is in its result.

use std::io;
use std::path::PathBuf;

/// Why a computer could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The box itself could not be made; `hint` says what the person can do.
    #[error("make the computer: {reason}")]
    Launch {
        /// The step that failed and what the system said.
        reason: String,
        /// What helps, in plain words; empty when nothing is known to help.
        hint: String,
    },
    /// The folder may not be given to a computer.
    #[error("use {} as workspace: {reason}", path.display())]
    Workspace {
        /// The folder asked for.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The program that keeps the computer is not there.
    #[error("find thenar-keeper: looked for {}", path.display())]
    KeeperMissing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// Nobody keeps this computer any more: what ran in it is over.
    #[error("reach the keeper of {}: it is gone", dir.display())]
    Gone {
        /// The computer's folder.
        dir: PathBuf,
    },
    /// The keeper answered, and refused.
    #[error("{0}")]
    Refused(String),
    /// The caller gave something that can never work.
    #[error("{0}")]
    Invalid(String),
    /// A part of a store of checkpoints is not what it was: those that need it are lost, others may be whole.
    #[error("read {}: {how}", what.display())]
    Damaged {
        /// The file, or the store.
        what: PathBuf,
        /// What is wrong with it.
        how: String,
    },
    /// There is no checkpoint of this name.
    #[error("find checkpoint {id} in {}", folder.display())]
    NoCheckpoint {
        /// Its name.
        id: String,
        /// The store.
        folder: PathBuf,
    },
    /// The system refused a file or socket of ours.
    #[error("{attempt}")]
    Io {
        /// What was tried, on what.
        attempt: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// What the person can do about it, if anything is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Launch { hint, .. } => (!hint.is_empty()).then_some(hint),
            Self::Workspace { .. } => Some("choose a project folder of your own, or leave --workspace away"),
            Self::KeeperMissing { .. } => {
                Some("build or install it beside thenar (`make install`), or name it in THENAR_KEEPER")
            }
            Self::Gone { .. } => Some("open the computer again: the workspace is still there, what ran is not"),
            Self::Damaged { .. } => Some("choose another checkpoint: each is checked by itself"),
            Self::Refused(_) | Self::Invalid(_) | Self::NoCheckpoint { .. } | Self::Io { .. } => None,
        }
    }

    /// The kind of error, for telemetry: it names nothing of the person's.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Launch { .. } => "launch",
            Self::Workspace { .. } => "workspace",
            Self::KeeperMissing { .. } => "keeper_missing",
            Self::Gone { .. } => "gone",
            Self::Refused(_) => "refused",
            Self::Invalid(_) => "invalid",
            Self::Damaged { .. } => "damaged",
            Self::NoCheckpoint { .. } => "no_checkpoint",
            Self::Io { .. } => "io",
        }
    }

    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }
}
