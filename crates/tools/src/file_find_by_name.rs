//! `file_find_by_name`: files by a pattern of their path. It opens none of them.

use policy::ToolFacts;
use sandbox::{FileAnswer, FileOp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, path, plain_facts};
use crate::catalog::Tool;
use crate::files;
use crate::limits::MATCHES_MAX;
use crate::outcome::Outcome;

/// List the files below a folder whose path matches a glob such as **/*.csv.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileFindByName {
    path: String,
    glob: String,
}

impl Tool for FileFindByName {
    const NAME: &'static str = "file_find_by_name";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let path = path(&self.path)?;
        let operation = FileOp::FindByName { path: path.clone(), glob: self.glob, max: MATCHES_MAX };
        match files::look(call, operation)? {
            FileAnswer::Paths { found, more } => {
                Ok(files::listing(found.into_iter(), more, &format!("No file below {path} matches.")))
            }
            FileAnswer::Failed { reason, .. } => Err(files::refused(&reason)),
            FileAnswer::Content { .. } | FileAnswer::Written { .. } | FileAnswer::Lines { .. } => Err(files::strange()),
        }
    }
}
