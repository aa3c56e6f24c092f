//! `file_str_replace`: one exact change in a file. It never guesses which of several places was meant.

use policy::ToolFacts;
use sandbox::{FileAnswer, FileOp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts, path};
use crate::catalog::Tool;
use crate::files;
use crate::limits::FILE_WRITE_BYTES_MAX;
use crate::outcome::Outcome;

/// Replace old, which must stand exactly once in the file, by new.
///
/// Space and line ends count. Where `old` is missing or stands more than once, nothing is changed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileStrReplace {
    path: String,
    old: String,
    new: String,
}

impl Tool for FileStrReplace {
    const NAME: &'static str = "file_str_replace";

    fn facts() -> ToolFacts {
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let path = path(&self.path)?;
        if self.old.is_empty() || self.old == self.new {
            return Err(Outcome::invalid("`old` must be a text of the file, and other than `new`"));
        }
        if self.old.len() + self.new.len() > FILE_WRITE_BYTES_MAX {
            return Err(Outcome::invalid(format!("`old` and `new` have {FILE_WRITE_BYTES_MAX} bytes at most")));
        }
        let operation = FileOp::Replace { path: path.clone(), old: self.old, new: self.new };
        told(&path, &files::change(call, operation)?)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        let path = path(&self.path)?;
        files::changed(call)?.map(|answer| told(&path, &answer)).transpose()
    }
}

fn told(path: &str, answer: &FileAnswer) -> Result<Outcome, Outcome> {
    match answer {
        FileAnswer::Written { .. } => Ok(Outcome::shown(format!("Replaced in {path}."))),
        FileAnswer::Failed { reason, .. } => Err(files::refused(reason)),
        FileAnswer::Content { .. } | FileAnswer::Lines { .. } | FileAnswer::Paths { .. } => Err(files::strange()),
    }
}
