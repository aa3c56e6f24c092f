//! A terminal as the model uses it: a shell that lasts between calls, in which a command is typed, waited for and told
//! of, and whose screen can be looked at. Opening, typing and screens are the computer's.

use std::time::{Duration, Instant};

use event::{ToolFact, ToolStatus};
use sandbox::{Computer, Depict, Look, Met, Recorded, Size, Terminal, TypedCommand, Until};

use crate::call::Call;
use crate::limits::{CANCEL_POLL_MS, REACTION_MS, REACTION_QUIET_MS, TERMINAL_READY_MS};
use crate::met;
use crate::outcome::Outcome;
use crate::process::{self, Process};
use crate::shown::{self, OUTPUT_CHARS, Part, Source};

/// What a program prints that takes the whole screen.
const WHOLE_SCREEN: &[u8] = b"\x1b[?1049";

/// Of a command whose end was seen by the shell's reading another line.
const UNKNOWN_EXIT: &str =
    "over; exit code unknown: something in this terminal took the shell its prompt, which tells it. `echo $?` shows it";
/// Of a terminal that nothing but its shell has, which waits for no command.
const NOT_TOLD: &str = " No program has the terminal, only its shell: it computes, waits for input, or was replaced by a \
    program of which nobody can tell when a command ends. In that case type with shell_write_to_process and look with shell_view.";

/// Of a shell that waits for the rest of a command.
const UNFINISHED: &str = "what was typed is not a whole command yet (a quote, a bracket, a here-document or a word like `if` is \
    open), so it has not run, and what is typed next joins it. Type the rest with shell_write_to_process, or give it up with \
    its input \"\\u0003\" (Ctrl-C)";

/// How waiting at a terminal came out.
enum Waited {
    Look(Box<Look>),
    /// The person or a limit wants everything to stop.
    Cancelled(Box<Look>),
    /// Its shell was left or ended.
    Over,
    /// The computer died under it.
    Lost,
}

/// The terminal of this name, if one is open.
pub(crate) fn open_one<'a>(call: &Call<'a>, name: &str) -> Result<Option<Process<'a>>, Outcome> {
    let Some(computer) = call.world.place.living() else { return Ok(None) };
    let open = computer.terminals().unwrap_or_default();
    let found = open.into_iter().find(|terminal| terminal.name == name);
    Ok(found.map(|terminal| Process { call: *call, name: name.to_owned(), id: terminal.call, is_terminal: true }))
}

/// Whether there was a terminal of this name once.
pub(crate) fn was_open(call: &Call<'_>, name: &str) -> bool {
    let recorded = sandbox::recorded_terminals(&call.world.place.spec.dir).unwrap_or_default();
    recorded.iter().any(|(known, _)| known == name)
}

/// Types the command of this call into the terminal, which is opened if it is not, and tells how it came out.
pub(crate) fn exec(call: &Call<'_>, name: &str, cwd: Option<&str>, command: &str, ms: u64) -> Result<Outcome, Outcome> {
    let own = call.name();
    let (computer, terminals) = living(call)?;
    let open = terminals.into_iter().find(|terminal| terminal.name == name);
    let open = open.map(|open| Process { call: *call, name: name.to_owned(), id: open.call, is_terminal: true });
    let terminal = match open {
        Some(open) if cwd.is_some() && open.id != own => {
            let text = format!("terminal {name:?} is open and has its own folder: leave `exec_dir` away and use cd");
            return Err(Outcome::invalid(text));
        }
        Some(open) => open,
        None => {
            let failed = |error| Outcome::failed(format!("Terminal {name:?} could not be opened: {error}."));
            // The computer may be older than what the task was given last.
            let env = call.world.place.spec.env.clone();
            computer.open_terminal(&own, name, cwd, env, Size::USUAL).map_err(failed)?;
            Process { call: *call, name: name.to_owned(), id: own.clone(), is_terminal: true }
        }
    };
    // Opened by this call, now or before its engine died.
    if terminal.id == own
        && let Waited::Lost = wait(&terminal, &Until::AtPrompt, TERMINAL_READY_MS)?
    {
        return Ok(Outcome::unknown("The command"));
    }
    if let Err(error) = computer.type_command(&own, &terminal.id, command) {
        return match look(&terminal)? {
            Waited::Look(look) | Waited::Cancelled(look) if look.terminal.unfinished => Err(Outcome::invalid(format!(
                "the shell of terminal {name:?} waits for the rest of a command: {UNFINISHED}; or use another terminal"
            ))),
            Waited::Look(look) | Waited::Cancelled(look) if !look.terminal.at_prompt => Err(Outcome::invalid(format!(
                "a program runs in terminal {name:?}: shell_view shows it, shell_wait waits for it, \
                 shell_write_to_process types into it; or use another terminal"
            ))),
            Waited::Lost => Ok(Outcome::unknown("The typing")),
            Waited::Look(_) | Waited::Cancelled(_) | Waited::Over => {
                Err(Outcome::failed(format!("Nothing could be typed into terminal {name:?}: {error}.")))
            }
        };
    }
    finish(&terminal, &own, ms)
}

/// The computer with its open terminals; another one where the one that was open before is gone.
fn living(call: &Call<'_>) -> Result<(Computer, Vec<Terminal>), Outcome> {
    let computer = process::computer(call)?;
    if let Ok(terminals) = computer.terminals() {
        return Ok((computer, terminals));
    }
    call.world.place.forget();
    let computer = process::computer(call)?;
    let failed = |error| Outcome::failed(format!("The computer does not answer: {error}."));
    let terminals = computer.terminals().map_err(failed)?;
    Ok((computer, terminals))
}

/// Finds out how the command of this call came out that was typed into a terminal. None: it was not typed.
pub(crate) fn attach(call: &Call<'_>, name: &str, ms: u64) -> Result<Option<Outcome>, Outcome> {
    let dir = &call.world.place.spec.dir;
    let unreadable = |error| Outcome::failed(format!("The computer's records cannot be read: {error}."));
    let Some(id) = sandbox::typed_into(dir, &call.name()).map_err(unreadable)? else { return Ok(None) };
    let terminal = Process { call: *call, name: name.to_owned(), id, is_terminal: true };
    match terminal.recorded()? {
        Recorded::Lost | Recorded::NeverSeen => Ok(Some(Outcome::unknown("The command"))),
        Recorded::Running | Recorded::Ended(_) => finish(&terminal, &call.name(), ms).map(Some),
    }
}

/// Waits for the command that was typed under this id, and tells how it stands.
fn finish(terminal: &Process<'_>, write: &str, ms: u64) -> Result<Outcome, Outcome> {
    match wait(terminal, &Until::Over { write: write.to_owned() }, ms)? {
        Waited::Look(look) => match look.terminal.command.as_ref().filter(|command| command.write == write) {
            Some(TypedCommand { from, ended: Some((to, exit)), limits, .. }) => {
                let (from, to, kept) = (*from, *to, look.terminal.kept_bytes);
                let text = if to > kept {
                    format!("(the terminal's output is not kept any more; its screen)\n{}", screen(&look))
                } else {
                    output(terminal, from, to, &look)?
                };
                let told = exit.map_or_else(|| UNKNOWN_EXIT.to_owned(), |exit| format!("exit code {exit}"));
                let limit = Met::in_words(limits);
                let head = told + &met::behind(limit.as_deref());
                Ok(Outcome::shown(format!("{head}\n{text}")).with(ToolFact::Command {
                    exit_code: *exit,
                    output_bytes: to - from,
                    running: false,
                    limit,
                    limits: met::on_record(limits),
                }))
            }
            Some(_) => Ok(tell_running(terminal, &look)),
            // Somebody typed another command since.
            None => Ok(tell(terminal, &look)),
        },
        Waited::Cancelled(look) => Ok(interrupted(terminal, &look)),
        Waited::Over => over(terminal),
        Waited::Lost => Ok(Outcome::unknown("The command")),
    }
}

/// What a command put out, as text; of a program that took the whole screen, the screen that it left.
fn output(terminal: &Process<'_>, from: u64, to: u64, look: &Look) -> Result<String, Outcome> {
    if from >= to {
        return Ok("(no output)".to_owned());
    }
    let first =
        terminal.read(from, usize::try_from(to - from).unwrap_or(usize::MAX).min(crate::limits::WINDOW_BYTES))?;
    if first.windows(WHOLE_SCREEN.len()).any(|window| window == WHOLE_SCREEN) {
        return Ok(format!("(it had the whole screen to itself; the screen now)\n{}", screen(look)));
    }
    let read = |offset: u64, max: usize| {
        let left = usize::try_from((to - from).saturating_sub(offset)).unwrap_or(usize::MAX);
        terminal.read(from + offset, max.min(left))
    };
    shown::show(&Source { bytes: to - from, read: &read, pointer: terminal.pointer(to) }, Part::Ends, OUTPUT_CHARS)
}

/// The terminal as it is now.
pub(crate) fn view(terminal: &Process<'_>) -> Result<Outcome, Outcome> {
    told(terminal, look(terminal)?)
}

/// Waits until the shell waits for a command again.
pub(crate) fn wait_for_prompt(terminal: &Process<'_>, ms: u64) -> Result<Outcome, Outcome> {
    told(terminal, wait(terminal, &Until::AtPrompt, ms)?)
}

/// Waits until the program has been quiet for a moment after something was typed.
pub(crate) fn reaction(terminal: &Process<'_>) -> Result<Outcome, Outcome> {
    let end = Instant::now() + Duration::from_millis(REACTION_MS);
    let mut waited = look(terminal)?;
    while let Waited::Look(seen) = &waited
        && Instant::now() < end
    {
        let changes = seen.terminal.changes;
        let next = wait(terminal, &Until::Changed { changes }, REACTION_QUIET_MS)?;
        let quiet = matches!(&next, Waited::Look(next) if next.terminal.changes == changes);
        waited = next;
        if quiet {
            break;
        }
    }
    told(terminal, waited)
}

fn told(terminal: &Process<'_>, waited: Waited) -> Result<Outcome, Outcome> {
    match waited {
        Waited::Look(look) => Ok(tell(terminal, &look)),
        Waited::Cancelled(look) => Ok(interrupted(terminal, &look)),
        Waited::Over => over(terminal),
        Waited::Lost => Ok(Outcome::unknown("The typing")),
    }
}

fn tell(terminal: &Process<'_>, look: &Look) -> Outcome {
    if !look.terminal.at_prompt {
        return tell_running(terminal, look);
    }
    let exit_code = look.terminal.last_exit;
    let last = exit_code.map_or(String::new(), |exit| format!("; the last command ended with exit code {exit}"));
    let head = format!("Terminal {:?} waits for a command{last}. Its screen:", terminal.name);
    Outcome::shown(format!("{head}\n{}", screen(look))).with(fact(look, exit_code, false))
}

fn tell_running(terminal: &Process<'_>, look: &Look) -> Outcome {
    if look.terminal.unfinished {
        let head = format!("The shell of terminal {:?} waits for the rest of a command: {UNFINISHED}.", terminal.name);
        return Outcome::shown(format!("{head} Its screen:\n{}", screen(look))).with(fact(look, None, true));
    }
    let (column, line) = look.screen.as_ref().map_or((0, 0), |screen| screen.cursor);
    let who = if look.terminal.unmarked { NOT_TOLD } else { "" };
    let limit = met::behind(Met::in_words(limits(look)).as_deref());
    let head = format!(
        "Still running in terminal {0:?}{limit}. Go on with shell_wait, shell_view, shell_write_to_process or shell_kill_process, \
         id {0:?}.{who} Its screen, with the cursor in line {1}, column {2}:",
        terminal.name,
        line + 1,
        column + 1
    );
    Outcome::shown(format!("{head}\n{}", screen(look))).with(fact(look, None, true))
}

fn interrupted(terminal: &Process<'_>, look: &Look) -> Outcome {
    let text = format!("Interrupted: the task is being stopped. The screen of terminal {:?}:\n", terminal.name);
    let outcome = Outcome::shown(text + &screen(look)).with(fact(look, None, false));
    Outcome { status: ToolStatus::Interrupted, ..outcome }
}

fn fact(look: &Look, exit_code: Option<i32>, running: bool) -> ToolFact {
    // Of a command that is over they were told with its end.
    let limits = if running { limits(look) } else { &[] };
    let (limit, limits) = (Met::in_words(limits), met::on_record(limits));
    ToolFact::Command { exit_code, output_bytes: look.terminal.seen_bytes, running, limit, limits }
}

/// The limits that the command which was typed last has met.
fn limits(look: &Look) -> &[Met] {
    look.terminal.command.as_ref().map_or(&[], |command| &command.limits)
}

/// Its shell was left: the last that it put out.
fn over(terminal: &Process<'_>) -> Result<Outcome, Outcome> {
    let waited = terminal.look(Duration::ZERO)?;
    terminal.tell(&waited, Part::Tail, OUTPUT_CHARS)
}

/// The text of a screen, safe to be shown.
fn screen(look: &Look) -> String {
    let text = look.screen.as_ref().map(|screen| shown::safe(screen.content.as_bytes())).unwrap_or_default();
    let text = text.trim_end();
    if text.is_empty() { "(an empty screen)".to_owned() } else { text.chars().take(OUTPUT_CHARS).collect() }
}

fn look(terminal: &Process<'_>) -> Result<Waited, Outcome> {
    wait(terminal, &Until::Now, 0)
}

/// Waits until the terminal is as wanted, but no longer than `ms`.
fn wait(terminal: &Process<'_>, until: &Until, ms: u64) -> Result<Waited, Outcome> {
    let end = Instant::now() + Duration::from_millis(ms);
    let place = &terminal.call.world.place;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let slice = left.min(Duration::from_millis(CANCEL_POLL_MS));
        let Some(computer) = place.living() else { return gone(terminal) };
        match computer.look(&terminal.id, until.clone(), Depict::Text, slice) {
            Ok(Some(look)) => {
                let look = Box::new(look);
                // No waiting makes a command whole.
                let hopeless = look.terminal.unfinished && matches!(until, Until::AtPrompt | Until::Over { .. });
                if is(&look, until) || hopeless || left.is_zero() {
                    return Ok(Waited::Look(look));
                }
                if terminal.call.world.cancelled() {
                    return Ok(Waited::Cancelled(look));
                }
            }
            Ok(None) => return Ok(Waited::Over),
            Err(_) => return gone(terminal),
        }
    }
}

/// Whether a look shows what was waited for.
fn is(look: &Look, until: &Until) -> bool {
    let terminal = &look.terminal;
    match until {
        Until::Now => true,
        Until::Changed { changes } => terminal.changes != *changes,
        Until::AtPrompt => terminal.at_prompt,
        Until::Over { write } => match terminal.command.as_ref().filter(|last| last.write == *write) {
            Some(last) => last.ended.is_some() && terminal.at_prompt,
            None => true,
        },
    }
}

/// The computer does not answer for it any more.
fn gone(terminal: &Process<'_>) -> Result<Waited, Outcome> {
    match terminal.recorded()? {
        Recorded::Ended(_) => Ok(Waited::Over),
        Recorded::Lost | Recorded::NeverSeen => Ok(Waited::Lost),
        Recorded::Running => {
            let text = format!("Terminal {:?} is there, but its computer does not answer.", terminal.name);
            Err(Outcome::failed(text))
        }
    }
}
