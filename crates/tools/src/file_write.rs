//! `file_write`: a text file, whole or continued. An append happens once, however often the call is repeated after a
//! crash.

use policy::ToolFacts;
use sandbox::{FileAnswer, FileOp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts, path};
use crate::catalog::Tool;
use crate::files;
use crate::limits::FILE_WRITE_BYTES_MAX;
use crate::outcome::Outcome;
use crate::shown;

/// Write a text file, making missing folders; append adds to its end.
///
/// A file that was there is replaced whole. Long files are best written in several calls.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileWrite {
    path: String,
    content: String,
    append: Option<bool>,
}

impl Tool for FileWrite {
    const NAME: &'static str = "file_write";

    fn facts() -> ToolFacts {
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let path = path(&self.path)?;
        let bytes = self.content.len();
        if bytes > FILE_WRITE_BYTES_MAX {
            let text = format!(
                "`content` has {bytes} bytes; {FILE_WRITE_BYTES_MAX} is the most for one call: append the rest"
            );
            return Err(Outcome::invalid(text));
        }
        let append = self.append.unwrap_or(false);
        let operation = FileOp::Write { path: path.clone(), content: self.content.into_bytes(), append };
        told(&path, bytes, append, &files::change(call, operation)?)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        let path = path(&self.path)?;
        let append = self.append.unwrap_or(false);
        files::changed(call)?.map(|answer| told(&path, self.content.len(), append, &answer)).transpose()
    }
}

fn told(path: &str, bytes: usize, append: bool, answer: &FileAnswer) -> Result<Outcome, Outcome> {
    let verb = if append { "Appended" } else { "Wrote" };
    match answer {
        FileAnswer::Written { .. } => Ok(Outcome::shown(format!("{verb} {bytes} bytes to {path}."))),
        FileAnswer::Failed { reason, .. } => Err(Outcome::failed(shown::safe(reason.as_bytes()))),
        FileAnswer::Content { .. } | FileAnswer::Lines { .. } | FileAnswer::Paths { .. } => Err(files::strange()),
    }
}
