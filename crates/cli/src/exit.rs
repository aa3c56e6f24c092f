//! How the program ends: one table of exit codes, and the error that carries one. What a code means is a promise to scripts.

use std::process::ExitCode;

/// The table of exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done = 0,
    /// The task failed, or the command did.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Stopped by a limit or the person; it can be resumed.
    Stopped = 3,
    /// Waiting for the person.
    Waiting = 4,
    /// No model, or a configuration that cannot be used.
    Setup = 5,
    /// Another process holds the task.
    Held = 6,
    /// A journal does not verify.
    Corrupt = 7,
    /// Ended at once by a second Ctrl-C.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error on its way to the person: what was attempted, and what they can do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<agent::Error>() {
            Ok(error) => Self::from(error),
            Err(error) => Self::new(Code::Failed, format!("{error:#}")),
        }
    }
}

impl From<agent::Error> for Problem {
    fn from(error: agent::Error) -> Self {
        use agent::Error;
        let code = match &error {
            Error::NoSuchTask(_)
            | Error::NoCheckpoint { .. }
            | Error::Invalid(_)
            | Error::Refused { .. }
            | Error::NotKept(_) => Code::Usage,
            Error::Held { .. } => Code::Held,
            Error::Journal(journal::Error::Locked { .. }) => Code::Held,
            Error::Journal(journal::Error::Corrupt { .. } | journal::Error::BlobMissing { .. }) => Code::Corrupt,
            Error::Policy(_)
            | Error::Model { .. }
            | Error::Event { .. }
            | Error::Journal(journal::Error::Newer { .. }) => Code::Setup,
            Error::Journal(_) | Error::Io { .. } | Error::Kept(_) | Error::Computer(_) | Error::Crashed(_) => {
                Code::Failed
            }
        };
        let mut problem = Self::new(code, error.to_string());
        problem.hints.extend(error.hint());
        if code == Code::Corrupt {
            problem.hints.push("other tasks are not touched; the file is left as it is".to_owned());
        }
        if matches!(&error, Error::Journal(journal::Error::NoSpace { .. })) {
            problem.hints.push("free some space, then `thenar task resume --last`; nothing is lost".to_owned());
        }
        problem
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<Code, Problem>;

/// The code for a task that has come to rest.
pub(crate) fn of_state(state: &str) -> Code {
    match state {
        "done" => Code::Done,
        "waiting" => Code::Waiting,
        "failed" => Code::Failed,
        _ => Code::Stopped,
    }
}
