//! `shell_write_to_process`: typing into a running program. What is typed reaches it once, however often the call is
//! repeated after a crash.

use std::time::{Duration, Instant};

use policy::ToolFacts;
use sandbox::Recorded;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts};
use crate::catalog::Tool;
use crate::limits::{INPUT_BYTES_MAX, REACTION_CHARS_MAX, REACTION_MS, REACTION_QUIET_MS};
use crate::outcome::Outcome;
use crate::process::{self, Process, Waited};
use crate::shown::Part;
use crate::terminal;

/// Type input into a running process or terminal, then Enter unless press_enter is false; shows the end of its output.
///
/// The program sees a terminal: control characters work as keys do, so "\u0003" is Ctrl-C and "\u0004" ends its input.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ShellWriteToProcess {
    id: String,
    input: String,
    press_enter: Option<bool>,
}

impl Tool for ShellWriteToProcess {
    const NAME: &'static str = "shell_write_to_process";

    fn facts() -> ToolFacts {
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let process = Process::named(call, &self.id)?;
        let mut typed = self.input;
        if typed.len() > INPUT_BYTES_MAX {
            return Err(Outcome::invalid(format!("`input` has {} bytes; {INPUT_BYTES_MAX} is the most", typed.len())));
        }
        if self.press_enter.unwrap_or(true) && !typed.ends_with('\n') {
            typed.push('\n');
        }
        if process.is_terminal {
            // What the key sends; a program that reads lines is given line ends by the terminal.
            typed = typed.replace('\n', "\r");
        }
        let computer = process::computer(call)?;
        if let Err(error) = computer.write_input(&call.name(), &process.id, typed.as_bytes()) {
            return match process.look(Duration::ZERO)? {
                Waited::Ended(result) => {
                    let ending = process::ending(&result);
                    Err(Outcome::invalid(format!("process {:?} has ended ({ending}): nothing was typed", process.name)))
                }
                Waited::Lost => Ok(Outcome::unknown("The typing")),
                Waited::Running { .. } | Waited::Cancelled { .. } => {
                    Err(Outcome::failed(format!("Nothing could be typed into process {:?}: {error}.", process.name)))
                }
            };
        }
        if process.is_terminal {
            return terminal::reaction(&process);
        }
        let waited = reaction(&process)?;
        process.tell(&waited, Part::Tail, REACTION_CHARS_MAX)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        let unreadable = |error| Outcome::failed(format!("The computer's records cannot be read: {error}."));
        let into = sandbox::typed_into(&call.world.place.spec.dir, &call.name()).map_err(unreadable)?;
        let Some(id) = into else { return Ok(None) };
        let process = Process { call: *call, name: self.id.trim().to_owned(), id, is_terminal: false };
        match process.recorded()? {
            Recorded::Lost | Recorded::NeverSeen => Ok(Some(Outcome::unknown("The typing"))),
            Recorded::Ended(_) => {
                let waited = process.look(Duration::ZERO)?;
                process.tell(&waited, Part::Tail, REACTION_CHARS_MAX).map(Some)
            }
            // Typed again under this number it is typed once, and its program is looked at.
            Recorded::Running => Ok(None),
        }
    }
}

/// Waits until the program ends or has been quiet for a moment.
fn reaction(process: &Process<'_>) -> Result<Waited, Outcome> {
    let until = Instant::now() + Duration::from_millis(REACTION_MS);
    let mut before = None;
    loop {
        match process.look(Duration::from_millis(REACTION_QUIET_MS))? {
            Waited::Running { output_bytes, .. } if before != Some(output_bytes) && Instant::now() < until => {
                before = Some(output_bytes);
            }
            waited => return Ok(waited),
        }
    }
}
