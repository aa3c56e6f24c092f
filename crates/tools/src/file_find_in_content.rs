//! `file_find_in_content`: lines that match a regular expression. It changes nothing.

use policy::ToolFacts;
use sandbox::{FileAnswer, FileOp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, path, plain_facts};
use crate::catalog::Tool;
use crate::files;
use crate::limits::{MATCH_LINE_CHARS_MAX, MATCHES_MAX};
use crate::outcome::Outcome;

/// List the lines that match a regex, in a file or in all files below a folder.
///
/// Each is shown as `path:line: text`. Binary files are passed over.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileFindInContent {
    path: String,
    regex: String,
}

impl Tool for FileFindInContent {
    const NAME: &'static str = "file_find_in_content";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let path = path(&self.path)?;
        let operation = FileOp::FindInContent { path: path.clone(), pattern: self.regex, max: MATCHES_MAX };
        match files::look(call, operation)? {
            FileAnswer::Lines { found, more } => {
                let lines = found.iter().map(|line| {
                    let text: String = line.text.chars().take(MATCH_LINE_CHARS_MAX).collect();
                    format!("{}:{}: {}", line.path, line.line, text.trim_end())
                });
                Ok(files::listing(lines, more, &format!("No line in {path} matches.")))
            }
            FileAnswer::Failed { reason, .. } => Err(files::refused(&reason)),
            FileAnswer::Content { .. } | FileAnswer::Written { .. } | FileAnswer::Paths { .. } => Err(files::strange()),
        }
    }
}
