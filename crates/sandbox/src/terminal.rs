//! Terminals of a computer: shells with a screen of their own that last between calls, each under a name. A terminal is a
//! call like any other, so its output, its end and what is typed into it follow the rules of calls; beside them the keeper
//! draws its screen, for whoever watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::{self, Entry};
use crate::met::Met;
use crate::request::{Exit, Request, Status};
use crate::wire::{Answer, Ask};
use crate::{Computer, Error, Result, record};

/// Terminals of one computer that are open at one time.
pub const TERMINALS_MAX: usize = 8;
/// Lines above the screen that are kept of each, for those who come later.
pub const SCROLLBACK_LINES: usize = 500;
/// The longest name of a terminal; names are made of what ids are made of.
pub const TERMINAL_NAME_BYTES_MAX: usize = 64;
/// The longest command that [`Computer::type_command`] types.
pub const TYPED_COMMAND_BYTES_MAX: usize = 8 * 1024;

/// Columns and lines of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// From left to right.
    pub columns: u16,
    /// From top to bottom.
    pub lines: u16,
}

impl Size {
    /// What a terminal has that nobody gave another size.
    pub const USUAL: Self = Self { columns: 100, lines: 30 };
    /// The smallest screen.
    pub const MIN: Self = Self { columns: 20, lines: 5 };
    /// The largest: what a hostile program can make the keeper remember grows with it.
    pub const MAX: Self = Self { columns: 300, lines: 120 };

    /// Whether a terminal can have it.
    pub fn fits(self) -> bool {
        (Self::MIN.columns..=Self::MAX.columns).contains(&self.columns)
            && (Self::MIN.lines..=Self::MAX.lines).contains(&self.lines)
    }
}

/// How a terminal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The name it was opened under.
    pub name: String,
    /// The call that it is.
    pub call: String,
    /// Its screen.
    pub size: Size,
    /// Its shell says that it waits for a command.
    pub at_prompt: bool,
    /// Bytes put out so far. More than `kept_bytes` if it met the limit of output: the screen goes on, the record does not.
    pub seen_bytes: u64,
    /// Those of them that can be read with [`Computer::output`].
    pub kept_bytes: u64,
    /// Those of them that the screen shows: what is read on from here fits the screen's drawing.
    pub drawn_bytes: u64,
    /// Grows whenever there is something else to see.
    pub changes: u64,
    /// The command that was typed last with [`Computer::type_command`].
    pub command: Option<TypedCommand>,
    /// The exit code of the last command in it, whoever typed that; nothing while one runs, or where the shell does not tell it.
    #[serde(default)]
    pub last_exit: Option<i32>,
    /// Nothing but the shell has the terminal, and it does not wait for a command as it usually does: it computes, waits
    /// for input of another kind, or is another shell by now, or one that was told to say nothing, of which nobody knows when a command is over.
    #[serde(default)]
    pub unmarked: bool,
    /// What was typed is the beginning of a command (a quote, a bracket, an `if` is open), and the shell waits for the rest.
    #[serde(default)]
    pub unfinished: bool,
}

/// A command that was typed at a terminal's prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedCommand {
    /// The id of its typing.
    pub write: String,
    /// Where its output begins.
    pub from: u64,
    /// Where that ended, and the exit code if the shell tells it; nothing while it runs.
    pub ended: Option<(u64, Option<i32>)>,
    /// The limits of the computer that were met while it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Met>,
}

/// A terminal's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// Column and line of the cursor, from zero.
    pub cursor: (u16, u16),
    /// A program has the whole screen to itself, as editors and pagers do.
    pub full_screen: bool,
    /// What is on it: text, or control characters that draw it on another terminal.
    pub content: String,
}

/// What is wanted of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depict {
    /// Nothing.
    Nothing,
    /// Its text.
    Text,
    /// What draws it anew on a terminal of the same size, with the lines above it.
    Drawing,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Nothing.
    Now,
    /// Something else to see than there was.
    Changed {
        /// [`Terminal::changes`] of the last look.
        changes: u64,
    },
    /// The shell waits for a command.
    AtPrompt,
    /// The command that was typed under this id is over, and the shell waits for another.
    Over {
        /// The id of its typing.
        write: String,
    },
}

/// What a look at a terminal shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// How it stands.
    pub terminal: Terminal,
    /// Its screen, as it was wanted.
    pub screen: Option<Screen>,
}

impl Computer {
    /// Opens a terminal: a shell under a name that no open terminal has, with these variables beside the computer's own. Twice under the same id is once.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is an open one of this name, or too many; [`Error::Invalid`] for what cannot be a name.
    pub fn open_terminal(
        &self,
        call: &str,
        name: &str,
        cwd: Option<&str>,
        env: BTreeMap<String, String>,
        size: Size,
    ) -> Result<()> {
        check_name(name)?;
        if !size.fits() {
            return Err(no_size(size));
        }
        let (name, cwd) = (name.to_owned(), cwd.map(str::to_owned));
        self.start(call, &Request::Terminal { name, cwd, env, size })
    }

    /// The open terminals, in order of name.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to.
    pub fn terminals(&self) -> Result<Vec<Terminal>> {
        match self.ask_now(Ask::Terminals)? {
            Answer::Terminals(terminals) => Ok(terminals),
            other => Err(unexpected(&other)),
        }
    }

    /// Looks at a terminal once it is as wanted, at the latest after `timeout`. Nothing if the terminal is over.
    ///
    /// # Errors
    /// [`Error::Refused`] if this computer has no such terminal, [`Error::Gone`] if it died.
    pub fn look(&self, call: &str, until: Until, depict: Depict, timeout: Duration) -> Result<Option<Look>> {
        record::check_id(call)?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let ask = Ask::Look { call: call.to_owned(), until, depict, timeout_ms };
        match self.ask_patiently(ask, timeout)? {
            Answer::Look(look) => Ok(Some(*look)),
            Answer::Status(Status::Ended(result)) if result.exit == Exit::Died => {
                Err(Error::Gone { dir: self.dir().to_owned() })
            }
            Answer::Status(Status::Ended(_)) => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives a terminal another size; its programs are told.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size that none can have, [`Error::Refused`] if the terminal is over.
    pub fn resize_terminal(&self, call: &str, size: Size) -> Result<()> {
        if !size.fits() {
            return Err(no_size(size));
        }
        self.tell(Ask::Resize { call: call.to_owned(), size })
    }

    /// Types a command at a terminal's prompt and presses Enter, exactly once per `write_id`; [`Until::Over`] waits for it.
    ///
    /// # Errors
    /// [`Error::Refused`] if the shell does not wait for a command.
    pub fn type_command(&self, write_id: &str, call: &str, command: &str) -> Result<()> {
        if command.len() > TYPED_COMMAND_BYTES_MAX {
            let text = format!("a command typed into a terminal has at most {TYPED_COMMAND_BYTES_MAX} bytes");
            return Err(Error::Invalid(text));
        }
        if command.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')) {
            return Err(Error::Invalid("a command typed into a terminal holds no control characters".to_owned()));
        }
        self.tell(Ask::Input {
            write_id: write_id.to_owned(),
            call: call.to_owned(),
            bytes: command.as_bytes().to_vec(),
            as_command: true,
        })
    }
}

/// The call into which something was typed under this id, whether or not its computer lives.
///
/// # Errors
/// If the folder cannot be read.
pub fn typed_into(dir: &Path, write_id: &str) -> Result<Option<String>> {
    let mut into = None;
    let read = ledger::each_entry(dir, |_, entry| {
        if let Entry::Typed { call, write } = entry
            && write == write_id
        {
            into = Some(call);
        }
    });
    read.map_err(Error::io(format!("look for what was typed as {write_id}")))?;
    Ok(into)
}

/// All terminals that a computer ever had, open or not: name and call, in order.
///
/// # Errors
/// If the folder cannot be read.
pub fn recorded_terminals(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    let read = ledger::each_entry(dir, |_, entry| {
        if let Entry::Named { call, name } = entry {
            all.push((name, call));
        }
    });
    read.map_err(Error::io(format!("look for the terminals of {}", dir.display())))?;
    Ok(all)
}

/// Whether a terminal can have this name.
pub fn is_terminal_name(name: &str) -> bool {
    check_name(name).is_ok()
}

fn check_name(name: &str) -> Result<()> {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if letters && !name.is_empty() && name.len() <= TERMINAL_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{name:?} cannot be a terminal's name: at most {TERMINAL_NAME_BYTES_MAX} letters, digits, dashes, underscores and dots"
    )))
}

fn no_size(size: Size) -> Error {
    let (min, max) = (Size::MIN, Size::MAX);
    Error::Invalid(format!(
        "a terminal cannot have {} columns and {} lines: {} to {} and {} to {}",
        size.columns, size.lines, min.columns, max.columns, min.lines, max.lines
    ))
}

fn unexpected(answer: &Answer) -> Error {
    Error::Refused(format!("the keeper answered {answer:?} when asked about a terminal"))
}
