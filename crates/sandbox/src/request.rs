//! What can be asked of a computer and what comes back. A request says nothing about who asked or why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::met::Met;
use crate::terminal::Size;

/// Longest id of a call; ids are letters, digits, `-`, `_` and `.`, and do not start with a dot.
pub const CALL_ID_BYTES_MAX: usize = 100;

/// One thing to do inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Run a program with a terminal of its own as standard input.
    Exec {
        /// Program and arguments; the program is looked up in `PATH`.
        argv: Vec<String>,
        /// Folder to start in; `/workspace` if absent.
        cwd: Option<String>,
        /// Variables of this command only.
        #[serde(default)]
        env: BTreeMap<String, String>,
    },
    /// A shell on a screen of its own, until it is left or ended.
    Terminal {
        /// What it is called.
        name: String,
        /// Folder to start in; `/workspace` if absent.
        cwd: Option<String>,
        /// Variables of this shell only.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Its screen at first.
        size: Size,
    },
    /// Work on files as the computer's user; the output is one [`FileAnswer`] as JSON.
    File(FileOp),
}

impl Request {
    /// The kind of request, for telemetry.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Exec { .. } => "exec",
            Self::Terminal { .. } => "terminal",
            Self::File(_) => "file",
        }
    }
}

/// A file operation; paths are seen from inside, relative ones from `/workspace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOp {
    /// Bytes from `offset`, at most `max`.
    Read {
        /// The file.
        path: String,
        /// First byte.
        offset: u64,
        /// Most bytes to give back.
        max: u64,
    },
    /// Lines from `first` (from zero), at most `count`, at most `max_bytes` of them.
    ReadLines {
        /// The file.
        path: String,
        /// First line, from zero.
        first: u64,
        /// Most lines.
        count: u64,
        /// Most bytes.
        max_bytes: u64,
    },
    /// Makes or replaces the file in one step (or appends to it); missing folders are made.
    Write {
        /// The file.
        path: String,
        /// What it shall hold.
        #[serde(with = "bytes")]
        content: Vec<u8>,
        /// Add at the end instead of replacing.
        append: bool,
    },
    /// Replaces the one occurrence of `old`; none or several is an error with the count.
    Replace {
        /// The file.
        path: String,
        /// Text that occurs exactly once.
        old: String,
        /// What stands there afterwards.
        new: String,
    },
    /// Lines of a file, or of all text files below a folder, that match a regular expression.
    FindInContent {
        /// File or folder.
        path: String,
        /// The expression.
        pattern: String,
        /// Most lines to give back.
        max: u64,
    },
    /// Files below a folder whose path from there, or whose name, matches a glob.
    FindByName {
        /// Folder.
        path: String,
        /// The glob: `*.csv`, `data/**/*.json`.
        glob: String,
        /// Most paths to give back.
        max: u64,
    },
}

/// What a file operation answers, as JSON on the call's output. The exit code is 0, or 1 with [`FileAnswer::Failed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAnswer {
    /// Part of a file.
    Content {
        /// The bytes asked for.
        #[serde(with = "bytes")]
        content: Vec<u8>,
        /// Size of the whole file.
        size_bytes: u64,
        /// Offset of the first byte given back.
        offset: u64,
        /// Lines in the whole file, where they were counted.
        lines: Option<u64>,
        /// More of the file follows.
        more: bool,
        /// Holds bytes that are not text.
        binary: bool,
    },
    /// The file was written.
    Written {
        /// Its size now.
        size_bytes: u64,
        /// It did not exist before.
        created: bool,
    },
    /// Lines found.
    Lines {
        /// In order of path and line.
        found: Vec<FoundLine>,
        /// There were more than asked for, or the search met its own ceiling.
        more: bool,
    },
    /// Paths found, sorted, folders with a slash at the end.
    Paths {
        /// Seen from inside.
        found: Vec<String>,
        /// There were more than asked for, or the search met its own ceiling.
        more: bool,
    },
    /// It did not work.
    Failed {
        /// In words for the one who asked.
        reason: String,
        /// For a replacement: how often the text occurs.
        occurrences: Option<u64>,
    },
}

/// One line that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLine {
    /// The file, seen from inside.
    pub path: String,
    /// From one.
    pub line: u64,
    /// The line, cut where it is very long.
    pub text: String,
}

/// How a call stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Still at work.
    Running {
        /// Output so far.
        output_bytes: u64,
        /// The limits that it met so far; of a terminal, see [`crate::TypedCommand`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limits: Vec<Met>,
    },
    /// Over.
    Ended(CallResult),
}

/// What became of a call. Written once, durably; never changes afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResult {
    /// How it ended.
    pub exit: Exit,
    /// Bytes in the spool when it ended.
    pub output_bytes: u64,
    /// Some output was dropped at the ceiling.
    pub output_truncated: bool,
    /// The limits that it met, in words, if there were any.
    pub limit: Option<String>,
    /// The same one by one; earlier records have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Met>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Milliseconds since 1970.
    pub ended_ms: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// The computer died under it: what it did is unknown.
    Died,
}

impl Exit {
    /// The code a shell would show: the own one, or 128 and the signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::Died => 128 + libc::SIGKILL,
        }
    }
}

/// What the folder of a computer tells about a call, with or without a living keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was never accepted: it can be started.
    NeverSeen,
    /// It is over and its result is known.
    Ended(CallResult),
    /// A living keeper has it.
    Running,
    /// It was accepted, and then its computer died: what it did is unknown.
    Lost,
}

/// Bytes as JSON: text where they are text, hexadecimal where they are not.
pub(crate) mod bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Form<'a> {
        Text(std::borrow::Cow<'a, str>),
        Hex(String),
    }

    pub(crate) fn serialize<S: Serializer>(value: &[u8], out: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(value) {
            Ok(text) => Form::Text(text.into()),
            Err(_) => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
                Form::Hex(value.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
            }
        }
        .serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(input)? {
            Form::Text(text) => Ok(text.into_owned().into_bytes()),
            Form::Hex(hex) => {
                let digits: Option<Vec<u8>> =
                    hex.chars().map(|digit| digit.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok())).collect();
                let digits = digits.filter(|digits| digits.len() % 2 == 0);
                let digits = digits.ok_or_else(|| D::Error::custom("not hexadecimal"))?;
                Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
            }
        }
    }
}
