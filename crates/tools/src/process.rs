//! A command in the computer: waiting for it, and telling the model how it stands. It never starts one and never looks
//! at a clock beyond its own waiting: what it tells is a function of what the command did.

use std::time::{Duration, Instant};

use event::{ToolFact, ToolStatus};
use sandbox::{CallResult, Computer, Exit, Met, Recorded, Request, Status};

use tracing::field::Empty;

use crate::call::Call;
use crate::limits::{CANCEL_POLL_MS, WAIT_SECONDS_MAX};
use crate::met;
use crate::outcome::Outcome;
use crate::shown::{self, Part, Source};
use crate::terminal;

/// A process by the name the model uses and by the name the computer uses.
#[derive(Clone, Debug)]
pub(crate) struct Process<'a> {
    pub(crate) call: Call<'a>,
    /// The name the model gave it, else its effect's.
    pub(crate) name: String,
    /// The computer's name for the call that started it.
    pub(crate) id: String,
    /// It is a terminal: it has a screen, and goes on when a command in it is over.
    pub(crate) is_terminal: bool,
}

/// How a wait came out.
#[derive(Debug)]
pub(crate) enum Waited {
    Ended(CallResult),
    Running {
        output_bytes: u64,
        limits: Vec<Met>,
    },
    /// The person or a limit wants everything to stop.
    Cancelled {
        output_bytes: u64,
    },
    /// The computer died under it.
    Lost,
}

/// The task's computer, or what the model is told without one.
pub(crate) fn computer(call: &Call<'_>) -> Result<Computer, Outcome> {
    // Its computer may have been ended under it: it makes no other.
    if call.world.cancelled() {
        return Err(Outcome::interrupted("Interrupted: the task is being stopped."));
    }
    call.world.place.computer().map_err(|error| Outcome::failed(format!("The computer cannot be opened: {error}.")))
}

impl<'a> Process<'a> {
    /// The process that this very call started or will start.
    pub(crate) fn own(call: &Call<'a>, given: Option<&str>) -> Self {
        let id = call.name();
        let name = given.filter(|name| !name.is_empty()).map_or_else(|| id.clone(), str::to_owned);
        Self { call: *call, name, id, is_terminal: false }
    }

    /// The process that an earlier call started, or the terminal that one opened.
    pub(crate) fn named(call: &Call<'a>, name: &str) -> Result<Self, Outcome> {
        let name = name.trim();
        if let Some(terminal) = terminal::open_one(call, name)? {
            return Ok(terminal);
        }
        match call.world.process(name) {
            Some(effect) => Ok(Self { call: *call, name: name.to_owned(), id: effect.to_string(), is_terminal: false }),
            None if terminal::was_open(call, name) => {
                Err(Outcome::invalid(format!("terminal {name:?} is over; shell_exec opens one of this name again")))
            }
            None => {
                let known: Vec<&str> = call.world.processes.keys().rev().take(10).map(String::as_str).collect();
                let known = if known.is_empty() { "none was started".to_owned() } else { known.join(", ") };
                Err(Outcome::invalid(format!("there is no process {name:?}; known: {known}")))
            }
        }
    }

    /// Starts it and waits for the end, but no longer than `ms`; a call that the computer has seen is only attached to.
    pub(crate) fn run(&self, request: &Request, ms: u64) -> Result<Waited, Outcome> {
        let slice = Duration::from_millis(CANCEL_POLL_MS.min(ms));
        let computer = computer(&self.call)?;
        self.traced(|| self.start_and_wait(&computer, request, slice, ms))
    }

    fn start_and_wait(&self, at: &Computer, request: &Request, slice: Duration, ms: u64) -> Result<Waited, Outcome> {
        match at.start_and_wait(&self.id, request, slice) {
            Ok(Some(Status::Ended(result))) => return Ok(ended(result)),
            Ok(Some(Status::Running { .. }) | None) => {}
            // It may be there all the same, or need another computer.
            Err(_) => match self.recorded()? {
                // The computer that was opened earlier is gone and never heard of this call: another one may.
                Recorded::NeverSeen => {
                    self.call.world.place.forget();
                    let again = computer(&self.call)?.start(&self.id, request);
                    again.map_err(|error| Outcome::failed(format!("The computer did not take it: {error}.")))?;
                }
                Recorded::Running | Recorded::Ended(_) => {}
                Recorded::Lost => return Ok(Waited::Lost),
            },
        }
        self.wait_until(ms)
    }

    /// What the computer's own records say of it.
    pub(crate) fn recorded(&self) -> Result<Recorded, Outcome> {
        sandbox::recorded(&self.call.world.place.spec.dir, &self.id)
            .map_err(|error| Outcome::failed(format!("The computer's records cannot be read: {error}.")))
    }

    /// Ends it on the way out: the task is being stopped.
    pub(crate) fn kill_if_living(&self) {
        if let Some(computer) = self.call.world.place.opened() {
            // Whoever stops the task ends the whole computer next.
            let _ = computer.kill(&self.id);
        }
    }

    /// Waits for the end, but no longer than `ms`.
    pub(crate) fn wait(&self, ms: u64) -> Result<Waited, Outcome> {
        self.traced(|| self.wait_until(ms))
    }

    fn traced(&self, waiting: impl FnOnce() -> Result<Waited, Outcome>) -> Result<Waited, Outcome> {
        let span = tracing::info_span!(
            "process.wait",
            thenar.call = self.id,
            thenar.ended = Empty,
            thenar.output_bytes = Empty
        );
        let waited = span.in_scope(waiting);
        if let Ok(waited) = &waited {
            let (how, output_bytes) = match waited {
                Waited::Ended(result) => (ending(result), Some(result.output_bytes)),
                Waited::Running { output_bytes, .. } => ("still running".to_owned(), Some(*output_bytes)),
                Waited::Cancelled { output_bytes } => ("cancelled".to_owned(), Some(*output_bytes)),
                Waited::Lost => ("lost".to_owned(), None),
            };
            span.record("thenar.ended", how).record("thenar.output_bytes", output_bytes);
        }
        waited
    }

    fn wait_until(&self, ms: u64) -> Result<Waited, Outcome> {
        let until = Instant::now() + Duration::from_millis(ms.min(WAIT_SECONDS_MAX * 1_000));
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let slice = left.min(Duration::from_millis(CANCEL_POLL_MS));
            match self.look(slice)? {
                Waited::Running { output_bytes, .. } if self.call.world.cancelled() => {
                    return Ok(Waited::Cancelled { output_bytes });
                }
                Waited::Running { .. } if !left.is_zero() => {}
                waited => return Ok(waited),
            }
        }
    }

    /// Waits for the end for one slice.
    pub(crate) fn look(&self, slice: Duration) -> Result<Waited, Outcome> {
        let place = &self.call.world.place;
        let failed = |error: sandbox::Error| Outcome::failed(format!("The computer does not answer: {error}."));
        let living = match place.opened() {
            Some(computer) => Some(computer),
            None => Computer::attach(&place.spec.dir).map_err(failed)?,
        };
        if let Some(computer) = living {
            match computer.wait(&self.id, slice) {
                Ok(Status::Running { output_bytes, limits }) => return Ok(Waited::Running { output_bytes, limits }),
                Ok(Status::Ended(result)) => return Ok(ended(result)),
                Err(_) => place.forget(),
            }
        }
        match self.recorded()? {
            Recorded::Ended(result) => Ok(ended(result)),
            Recorded::Running => {
                Err(Outcome::failed(format!("Process {:?} runs, but its computer does not answer.", self.name)))
            }
            Recorded::Lost => Ok(Waited::Lost),
            Recorded::NeverSeen => Err(Outcome::failed(format!("Process {:?} never began.", self.name))),
        }
    }

    /// The process as the model is told of it.
    pub(crate) fn tell(&self, waited: &Waited, part: Part, chars_max: usize) -> Result<Outcome, Outcome> {
        let (head, output_bytes) = match waited {
            Waited::Ended(result) => (ending(result), result.output_bytes),
            Waited::Running { output_bytes, limits } => (self.how_to_go_on(limits), *output_bytes),
            Waited::Cancelled { output_bytes } => ("Interrupted: the task is being stopped.".to_owned(), *output_bytes),
            Waited::Lost => return Ok(Outcome::unknown("The command")),
        };
        let output =
            if output_bytes == 0 { "(no output)".to_owned() } else { self.output(output_bytes, part, chars_max)? };
        let outcome = Outcome::shown(format!("{head}\n{output}")).with(fact(waited, output_bytes));
        Ok(match waited {
            Waited::Cancelled { .. } => Outcome { status: ToolStatus::Interrupted, ..outcome },
            Waited::Ended(_) | Waited::Running { .. } | Waited::Lost => outcome,
        })
    }

    /// The first line of what is told of a process that has not ended.
    fn how_to_go_on(&self, limits: &[Met]) -> String {
        format!(
            "Still running as process {0:?}{1}. Go on with shell_wait, shell_view, shell_write_to_process or \
             shell_kill_process, id {0:?}. Output so far:",
            self.name,
            met::behind(Met::in_words(limits).as_deref())
        )
    }

    fn output(&self, bytes: u64, part: Part, chars_max: usize) -> Result<String, Outcome> {
        let read = |offset, max| self.read(offset, max);
        shown::show(&Source { bytes, read: &read, pointer: self.pointer(bytes) }, part, chars_max)
    }

    /// Bytes of the output, from the file that outlives the computer.
    pub(crate) fn read(&self, offset: u64, max: usize) -> Result<Vec<u8>, Outcome> {
        sandbox::read_output(&self.call.world.place.spec.dir, &self.id, offset, max)
            .map_err(|error| Outcome::failed(format!("The output cannot be read: {error}.")))
    }

    pub(crate) fn pointer(&self, bytes: u64) -> String {
        format!(
            "whole output: /run/thenar/output/{}.log in the computer ({bytes} bytes); shell_view with offset reads any part",
            self.id
        )
    }
}

/// A result that says no more than that the computer died is none.
fn ended(result: CallResult) -> Waited {
    match result.exit {
        Exit::Died => Waited::Lost,
        Exit::Code(_) | Exit::Signal(_) => Waited::Ended(result),
    }
}

fn fact(waited: &Waited, output_bytes: u64) -> ToolFact {
    let (exit_code, running, limit, limits) = match waited {
        Waited::Ended(result) => (exit_code(result), false, result.limit.clone(), met::on_record(&result.limits)),
        Waited::Running { limits, .. } => (None, true, Met::in_words(limits), met::on_record(limits)),
        Waited::Cancelled { .. } | Waited::Lost => (None, false, None, Vec::new()),
    };
    ToolFact::Command { exit_code, output_bytes, running, limit, limits }
}

/// The exit code, where there is one.
pub(crate) fn exit_code(result: &CallResult) -> Option<i32> {
    match result.exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) | Exit::Died => None,
    }
}

/// The first line of what is told of a process that has ended.
pub(crate) fn ending(result: &CallResult) -> String {
    let mut text = match result.exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}{}", signal_name(signal)),
        Exit::Died => "its computer died under it".to_owned(),
    };
    text.push_str(&met::behind(result.limit.as_deref()));
    if result.output_truncated {
        text.push_str(" (it put out more than is kept; the rest is lost)");
    }
    text
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        6 => " (SIGABRT)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        31 => " (SIGSYS: a system call that the computer does not allow)",
        _ => "",
    }
}
