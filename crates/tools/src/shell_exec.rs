//! `shell_exec`: a command in the computer. It never waits for longer than its control time.

use policy::ToolFacts;
use sandbox::{Recorded, Request, TERMINAL_NAME_BYTES_MAX, TYPED_COMMAND_BYTES_MAX};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts, path};
use crate::catalog::Tool;
use crate::limits::{COMMAND_BYTES_MAX, PROCESS_NAME_CHARS_MAX, SHELL_CONTROL_MS};
use crate::outcome::Outcome;
use crate::process::{Process, Waited};
use crate::shown::{OUTPUT_CHARS, Part};
use crate::terminal;

/// Run a bash command, in exec_dir or else /workspace. After 10 s control comes back and it runs on as process id.
/// With terminal, it is typed into the lasting shell of that name (its id), which has a screen.
///
/// Each command is a shell of its own: variables and the folder do not carry over, files do. Long output is cut in the
/// middle and kept whole in `/run/thenar/output/`. A process without an `id` bears the one its result names; giving an
/// id again means the newest process from then on.
///
/// A terminal is opened when its name is first used, in exec_dir, and stays until it is left or ended: the folder,
/// variables and programs in it last between calls, and the person can watch it and take it over. `shell_view` shows its
/// screen, which is how to work with programs that need one.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellExec {
    command: String,
    exec_dir: Option<String>,
    id: Option<String>,
    terminal: Option<String>,
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
        if let Some(name) = self.terminal_name()? {
            return terminal::exec(call, name, cwd.as_deref(), &self.command, SHELL_CONTROL_MS);
        }
        let argv = vec!["bash".to_owned(), "-c".to_owned(), self.command.clone()];
        let process = Process::own(call, self.id.as_deref());
        // The computer may be older than what the task was given last.
        let env = call.world.place.spec.env.clone();
        let waited = process.run(&Request::Exec { argv, cwd, env }, SHELL_CONTROL_MS)?;
        finish(&process, &waited)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        if let Some(name) = self.terminal_name()? {
            return terminal::attach(call, name, SHELL_CONTROL_MS);
        }
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

impl ShellExec {
    /// The terminal to type it into, if it is to be.
    fn terminal_name(&self) -> Result<Option<&str>, Outcome> {
        let Some(name) = self.terminal.as_deref().map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if !sandbox::is_terminal_name(name) {
            let text =
                format!("`terminal` is made of at most {TERMINAL_NAME_BYTES_MAX} letters, digits, hyphens and dots");
            return Err(Outcome::invalid(text));
        }
        if self.id.as_ref().is_some_and(|id| !id.is_empty() && id != name) {
            return Err(Outcome::invalid("a terminal's name is its id: leave `id` away"));
        }
        if self.command.len() > TYPED_COMMAND_BYTES_MAX || self.command.chars().any(is_key) {
            return Err(Outcome::invalid(format!(
                "a command for a terminal has at most {TYPED_COMMAND_BYTES_MAX} bytes and no control characters; put what \
                 is longer in a file, and send keys with shell_write_to_process"
            )));
        }
        Ok(Some(name))
    }
}

/// Whether a character would be a key and not text.
fn is_key(char: char) -> bool {
    char.is_control() && !matches!(char, '\n' | '\t')
}

fn finish(process: &Process<'_>, waited: &Waited) -> Result<Outcome, Outcome> {
    if let Waited::Cancelled { .. } = waited {
        process.kill_if_living();
    }
    process.tell(waited, Part::Ends, OUTPUT_CHARS)
}
