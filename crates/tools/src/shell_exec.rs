//! `shell_exec`: a command in the computer. It never waits for longer than its control time.

use std::collections::BTreeMap;

use policy::ToolFacts;
use sandbox::{Recorded, Request};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts, path};
use crate::catalog::Tool;
use crate::limits::{COMMAND_BYTES_MAX, PROCESS_NAME_CHARS_MAX, SHELL_CONTROL_MS};
use crate::outcome::Outcome;
use crate::process::{Process, Waited};
use crate::shown::{OUTPUT_CHARS, Part};

/// Run a bash command, in exec_dir or else /workspace. After 10 s control comes back and it runs on as process id.
///
/// Each command is a shell of its own: variables and the folder do not carry over, files do. Long output is cut in the
/// middle and kept whole in `/run/thenar/output/`. A process without an `id` bears the one its result names; giving an
/// id again means the newest process from then on.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellExec {
    command: String,
    exec_dir: Option<String>,
    id: Option<String>,
}

impl Tool for ShellExec {
    const NAME: &'static str = "shell_exec";

    fn facts() -> ToolFacts {
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        if self.command.trim().is_empty() || self.command.len() > COMMAND_BYTES_MAX || self.command.contains('\0') {
            return Err(Outcome::invalid(format!(
                "`command` must be 1 to {COMMAND_BYTES_MAX} bytes without NUL; \
                put what is longer in a file"
            )));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.id.as_ref().is_some_and(|id| id.len() > PROCESS_NAME_CHARS_MAX || !id.chars().all(plain)) {
            let text = format!("`id` is made of at most {PROCESS_NAME_CHARS_MAX} letters, digits, hyphens and dots");
            return Err(Outcome::invalid(text));
        }
        let cwd = self.exec_dir.as_deref().filter(|dir| !dir.trim().is_empty()).map(path).transpose()?;
        let argv = vec!["bash".to_owned(), "-c".to_owned(), self.command.clone()];
        let process = Process::own(call, self.id.as_deref());
        let waited = process.run(&Request::Exec { argv, cwd, env: BTreeMap::new() }, SHELL_CONTROL_MS)?;
        finish(&process, &waited)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        let process = Process::own(call, self.id.as_deref());
        match process.recorded()? {
            Recorded::NeverSeen => Ok(None),
            Recorded::Lost => Ok(Some(Outcome::unknown("The command"))),
            Recorded::Running | Recorded::Ended(_) => {
                let waited = process.wait(SHELL_CONTROL_MS)?;
                finish(&process, &waited).map(Some)
            }
        }
    }
}

fn finish(process: &Process<'_>, waited: &Waited) -> Result<Outcome, Outcome> {
    if let Waited::Cancelled { .. } = waited {
        process.kill_if_living();
    }
    process.tell(waited, Part::Ends, OUTPUT_CHARS)
}
