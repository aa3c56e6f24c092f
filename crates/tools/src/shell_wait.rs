//! `shell_wait`: waiting for a process. It never ends one.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, plain_facts};
use crate::catalog::Tool;
use crate::limits::{WAIT_SECONDS_DEFAULT, WAIT_SECONDS_MAX};
use crate::outcome::Outcome;
use crate::process::Process;
use crate::shown::{OUTPUT_CHARS, Part};
use crate::terminal;

/// Wait until a process ends, at most seconds (default 30, up to 300), then show it as shell_view does.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellWait {
    id: String,
    seconds: Option<u64>,
}

impl Tool for ShellWait {
    const NAME: &'static str = "shell_wait";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let process = Process::named(call, &self.id)?;
        let seconds = self.seconds.unwrap_or(WAIT_SECONDS_DEFAULT).min(WAIT_SECONDS_MAX);
        if process.is_terminal {
            return terminal::wait_for_prompt(&process, seconds * 1_000);
        }
        let waited = process.wait(seconds * 1_000)?;
        process.tell(&waited, Part::Tail, OUTPUT_CHARS)
    }
}
