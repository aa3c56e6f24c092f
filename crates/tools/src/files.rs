//! File operations, done inside the computer by its own user. Nothing here opens a file of the workspace from outside.

use sandbox::{FileAnswer, FileOp, Recorded, Request};

use crate::call::Call;
use crate::limits::FILE_OPERATION_MS;
use crate::met;
use crate::outcome::Outcome;
use crate::process::{self, Process, Waited};
use crate::shown::{self, OUTPUT_CHARS};

/// Bytes of an operation's answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Changes something, or attaches to the change if the computer has seen it under this number.
pub(crate) fn change(call: &Call<'_>, operation: FileOp) -> Result<FileAnswer, Outcome> {
    let process = Process::own(call, None);
    let waited = process.run(&Request::File(operation), FILE_OPERATION_MS)?;
    answer(&process, waited).map_err(|trouble| trouble.of_change())
}

/// The answer of a change that may have been under way when the engine died. None: it never reached the computer.
pub(crate) fn changed(call: &Call<'_>) -> Result<Option<FileAnswer>, Outcome> {
    let process = Process::own(call, None);
    match process.recorded()? {
        Recorded::NeverSeen => Ok(None),
        Recorded::Lost => Err(Trouble::Lost.of_change()),
        Recorded::Running | Recorded::Ended(_) => {
            let waited = process.wait(FILE_OPERATION_MS)?;
            answer(&process, waited).map(Some).map_err(|trouble| trouble.of_change())
        }
    }
}

/// Looks at something; what was lost on the way did nothing.
pub(crate) fn look(call: &Call<'_>, operation: FileOp) -> Result<FileAnswer, Outcome> {
    let process = Process::own(call, None);
    let waited = process.run(&Request::File(operation), FILE_OPERATION_MS)?;
    answer(&process, waited).map_err(|trouble| trouble.of_look())
}

/// An answer of the wrong kind.
pub(crate) fn strange() -> Outcome {
    Outcome::failed("The file operation gave an answer that does not fit it.")
}

/// The operation said no: the reason is in words for the model.
pub(crate) fn refused(reason: &str) -> Outcome {
    let reason = shown::safe(reason.as_bytes());
    Outcome { words: crate::outcome::Words::Computer, ..Outcome::invalid(reason) }
}

/// Lines that were found, as many as can be shown.
pub(crate) fn listing(lines: impl Iterator<Item = String>, more: bool, nothing: &str) -> Outcome {
    let mut text = String::new();
    let mut chars = 0;
    let mut cut = more;
    for line in lines {
        let line = shown::safe(line.as_bytes()).replace('\n', " ");
        chars += line.chars().count() + 1;
        if chars > OUTPUT_CHARS {
            cut = true;
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str(nothing);
    }
    if cut {
        text.push_str("[there are more; narrow the search]");
    }
    Outcome::shown(text)
}

/// Why there is no answer.
enum Trouble {
    /// The computer died under it.
    Lost,
    Other(Outcome),
}

impl Trouble {
    fn of_change(self) -> Outcome {
        match self {
            Self::Lost => Outcome::unknown("The change"),
            Self::Other(outcome) => outcome,
        }
    }

    fn of_look(self) -> Outcome {
        match self {
            Self::Lost => Outcome::failed("The computer ended during this call; it changed nothing. Call again."),
            Self::Other(outcome) => outcome,
        }
    }
}

fn answer(process: &Process<'_>, waited: Waited) -> Result<FileAnswer, Trouble> {
    match waited {
        Waited::Ended(result) => {
            let bytes = process.read(0, ANSWER_BYTES_MAX).map_err(Trouble::Other)?;
            let answer = serde_json::from_slice(&bytes).map_err(|_| {
                let ending = process::ending(&result);
                Trouble::Other(Outcome::failed(format!("The file operation gave no answer ({ending}).")))
            })?;
            Ok(match answer {
                FileAnswer::Failed { reason, occurrences } => {
                    FileAnswer::Failed { reason: reason + &met::behind(result.limit.as_deref()), occurrences }
                }
                answer => answer,
            })
        }
        Waited::Running { .. } => {
            process.kill_if_living();
            let text = "The file operation did not end and was given up; check what it did.";
            Err(Trouble::Other(Outcome::failed(text)))
        }
        Waited::Cancelled { .. } => {
            process.kill_if_living();
            Err(Trouble::Other(Outcome::interrupted("Interrupted: the task is being stopped.")))
        }
        Waited::Lost => Err(Trouble::Lost),
    }
}
