//! `file_read`: a text file, or some of its lines. It reads no more than it can show.

use policy::ToolFacts;
use sandbox::{FileAnswer, FileOp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, path, plain_facts};
use crate::catalog::Tool;
use crate::files;
use crate::limits::FILE_READ_BYTES_MAX;
use crate::outcome::Outcome;
use crate::shown::{self, OUTPUT_CHARS};

/// Read a text file, or its lines from start_line to end_line.
///
/// Lines are counted from 1, and `end_line` is the last one shown. Paths are relative to `/workspace`. A long file is
/// shown in pieces: the notice says at which line to go on.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileRead {
    path: String,
    start_line: Option<u64>,
    end_line: Option<u64>,
}

impl Tool for FileRead {
    const NAME: &'static str = "file_read";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let path = path(&self.path)?;
        let first = self.start_line.unwrap_or(1).max(1);
        let last = self.end_line.unwrap_or(u64::MAX);
        if last < first {
            return Err(Outcome::invalid(format!("`end_line` {last} comes before `start_line` {first}")));
        }
        let operation = FileOp::ReadLines {
            path: path.clone(),
            first: first - 1,
            count: (last - first).saturating_add(1),
            max_bytes: FILE_READ_BYTES_MAX,
        };
        match files::look(call, operation)? {
            FileAnswer::Content { content, size_bytes, .. } => {
                Ok(Outcome::shown(tell(&path, first, last, &content, size_bytes)))
            }
            FileAnswer::Failed { reason, .. } => Err(files::refused(&reason)),
            FileAnswer::Written { .. } | FileAnswer::Lines { .. } | FileAnswer::Paths { .. } => Err(files::strange()),
        }
    }
}

/// The lines from `first` on as far as they can be shown, and where to go on.
fn tell(path: &str, first: u64, last: u64, content: &[u8], size_bytes: u64) -> String {
    if size_bytes == 0 {
        return format!("{path} is empty.");
    }
    if content.is_empty() {
        return format!("{path} has no line {first} ({size_bytes} bytes in all).");
    }
    if shown::is_binary(content) {
        let start: Vec<String> = content.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        return format!(
            "{path} is a binary file of {size_bytes} bytes ({} …); open it with a program of its type.",
            start.join(" ")
        );
    }
    let whole_lines = whole_lines(content, size_bytes);
    let taken = if whole_lines == 0 { content } else { &content[..whole_lines] };
    let (mut text, _) = shown::piece(taken, OUTPUT_CHARS);
    if taken.windows(2).any(|pair| pair == b"\r\n") {
        text.push_str("\n[line ends are CRLF]");
    }
    let lines = taken.iter().filter(|byte| **byte == b'\n').count() as u64;
    let next = first + lines;
    if whole_lines == 0 {
        text.push_str(&format!(
            "\n[line {first} is longer than can be shown; {path} has {size_bytes} bytes: use cut -c in shell_exec]"
        ));
    } else if taken.len() < content.len() || (content.len() as u64 >= FILE_READ_BYTES_MAX && next <= last) {
        text.push_str(&format!("\n[{path} has {size_bytes} bytes; go on with start_line {next}]"));
    }
    text
}

/// How many bytes hold lines that can be shown whole; 0 where not even the first can.
fn whole_lines(content: &[u8], size_bytes: u64) -> usize {
    let (mut bytes, mut chars) = (0, 0);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        chars += line.iter().filter(|byte| *byte & 0xC0 != 0x80).count();
        // The last line may have been cut by the read and not by the file's end.
        let cut =
            !line.ends_with(b"\n") && content.len() as u64 >= FILE_READ_BYTES_MAX && size_bytes > FILE_READ_BYTES_MAX;
        if chars > OUTPUT_CHARS || cut {
            break;
        }
        bytes += line.len();
    }
    bytes
}
