//! The only place that prints: data to standard output, everything else to standard error. A closed pipe ends quietly.

use std::io::{IsTerminal, Write};

use crate::exit::{Code, Problem};

/// How text looks on this terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    colour: bool,
    terminal: bool,
}

/// What a piece of text is, for its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Screen {
    /// Looks at where standard error goes.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let plain = crate::env::var(crate::env::NO_COLOR).is_some();
        Self { colour: terminal && !plain, terminal }
    }

    /// Whether a person watches.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Whether a person watches and can answer.
    pub(crate) fn can_ask(self) -> bool {
        self.terminal && std::io::stdin().is_terminal()
    }

    /// Whether the person sees what is put out as data, too.
    pub(crate) fn shows_data(self) -> bool {
        self.terminal && std::io::stdout().is_terminal()
    }

    /// Text with its looks.
    pub(crate) fn paint(self, look: Look, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match look {
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Good => "32",
            Look::Bad => "31",
            Look::Warn => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A line for the person.
    pub(crate) fn say(self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// A piece of a line for the person.
    pub(crate) fn say_part(self, part: &str) {
        let mut out = std::io::stderr();
        let _ = write!(out, "{part}");
        let _ = out.flush();
    }

    /// An error with its hints.
    pub(crate) fn problem(self, problem: &Problem) {
        self.say(&format!("{} {}", self.paint(Look::Bad, "error:"), crate::clean::text(&problem.message)));
        for hint in &problem.hints {
            self.say(&format!("{} {}", self.paint(Look::Dim, "hint:"), crate::clean::text(hint)));
        }
    }
}

/// A line of data. Where nobody reads any more, there is nothing left to do.
pub(crate) fn data(line: &str) {
    let mut out = std::io::stdout();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(Code::Done as i32);
    }
}

/// One JSON text on a line of its own.
pub(crate) fn json(value: &serde_json::Value) {
    data(&crate::clean::json(value));
}

/// Bytes of data, as they are.
pub(crate) fn data_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
