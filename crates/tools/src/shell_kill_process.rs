//! `shell_kill_process`: ending a process with all its children. Doing it twice does nothing more.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts};
use crate::catalog::Tool;
use crate::limits::KILL_MS;
use crate::outcome::Outcome;
use crate::process::{self, Process, Waited};
use crate::shown::Part;

/// End a process and its children.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellKillProcess {
    id: String,
}

/// Characters shown of the last output.
const LAST_CHARS_MAX: usize = 1_000;

impl Tool for ShellKillProcess {
    const NAME: &'static str = "shell_kill_process";

    fn facts() -> ToolFacts {
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let process = Process::named(call, &self.id)?;
        let failed = |error| Outcome::failed(format!("Process {:?} could not be ended: {error}.", process.name));
        match process.look(std::time::Duration::ZERO)? {
            Waited::Running { .. } => process::computer(call)?.kill(&process.id).map_err(failed)?,
            // Its command is over, but what that left running is not.
            Waited::Ended(_) => {
                if let Some(computer) = call.world.place.living() {
                    computer.kill(&process.id).map_err(failed)?;
                }
            }
            Waited::Cancelled { .. } | Waited::Lost => {}
        }
        let waited = process.wait(KILL_MS)?;
        match waited {
            Waited::Running { .. } => Err(Outcome::failed(format!("Process {:?} does not end.", process.name))),
            Waited::Ended(_) | Waited::Cancelled { .. } => process.tell(&waited, Part::Tail, LAST_CHARS_MAX),
            Waited::Lost => Ok(Outcome::done(format!("Process {:?} ended with its computer.", process.name))),
        }
    }
}
