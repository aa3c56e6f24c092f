//! `shell_view`: how a process stands and what it put out. It waits for nothing.

use std::time::Duration;

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, plain_facts};
use crate::catalog::Tool;
use crate::outcome::Outcome;
use crate::process::{Process, Waited, ending};
use crate::shown::{self, OUTPUT_CHARS, Part};
use crate::terminal;

/// Show the end of a process's output, or a terminal's screen, and whether it still runs; with offset, the output from
/// that byte on.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellView {
    id: String,
    offset: Option<u64>,
}

/// Bytes read for one piece: enough for its characters in most scripts, escape sequences included.
const PIECE_BYTES: usize = 64 * 1024;

impl Tool for ShellView {
    const NAME: &'static str = "shell_view";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let process = Process::named(call, &self.id)?;
        if process.is_terminal && self.offset.is_none() {
            return terminal::view(&process);
        }
        let waited = process.look(Duration::ZERO)?;
        let Some(offset) = self.offset else { return process.tell(&waited, Part::Tail, OUTPUT_CHARS) };
        let (state, total) = match &waited {
            Waited::Ended(result) => (ending(result), result.output_bytes),
            Waited::Running { output_bytes, .. } => ("still running".to_owned(), *output_bytes),
            Waited::Cancelled { output_bytes } => ("being stopped".to_owned(), *output_bytes),
            Waited::Lost => return Ok(Outcome::unknown("The command")),
        };
        if offset >= total {
            return Ok(Outcome::shown(format!("{state}; the output has {total} bytes, nothing from {offset} on")));
        }
        let bytes = process.read(offset, PIECE_BYTES)?;
        if shown::is_binary(&bytes) {
            return Ok(Outcome::shown(format!("{state}; binary data from byte {offset} of {total} on, not shown")));
        }
        let (text, used) = shown::piece(&bytes, OUTPUT_CHARS);
        let next = offset + used as u64;
        let more = if next < total { format!("; the next piece begins at offset {next}") } else { String::new() };
        Ok(Outcome::shown(format!("{state}; bytes {offset} to {next} of {total}{more}\n{text}")))
    }
}
