//! What is overheard on the browser's line: the names that pages give to downloads, written down so that a file whose caller is
//! gone keeps its name; and what the next caller has to know. Everything else that a browser says passes by unread.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::Deserialize;

use super::standing::{BEGINNINGS, Standing};
use crate::browser::NamedDownload;

/// How the browser begins the message that names a download.
const NAMES: &[u8] = br#"{"method":"Browser.downloadWillBegin","#;
/// The longest such message: it holds an address, too.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Names that one keeper writes down.
const NAMES_MAX: usize = 1_000;
/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Overheard {
    file: PathBuf,
    /// The beginning of a message that may name one.
    message: Vec<u8>,
    /// The message under way does not.
    dull: bool,
    written: usize,
    standing: Standing,
}

#[derive(Deserialize)]
struct Said {
    params: Begun,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    guid: String,
    suggested_filename: String,
}

impl Overheard {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, message: Vec::new(), dull: false, written: 0, standing: Standing::default() }
    }

    /// Hears the next bytes of the browser's messages, each of which ends with a zero byte.
    pub(super) fn hear(&mut self, said: &[u8]) {
        for piece in said.split_inclusive(|byte| *byte == 0) {
            let (bytes, whole) = piece.strip_suffix(&[0]).map_or((piece, false), |bytes| (bytes, true));
            if !self.dull {
                self.message.extend_from_slice(bytes);
                self.dull = !self.may_matter();
                if !self.dull && self.message.len() > MESSAGE_BYTES_MAX {
                    self.dull = true;
                    if !self.message.starts_with(NAMES) {
                        self.standing.missed();
                    }
                }
            }
            if whole && !self.dull {
                if self.message.starts_with(NAMES) {
                    // Without it the file has another name, that is all.
                    let _ = self.write_down();
                } else {
                    self.standing.hear(&self.message);
                }
            }
            if whole || self.dull {
                self.message = Vec::new();
            }
            self.dull &= !whole;
        }
    }

    /// What still holds of what was said.
    pub(super) fn standing(&self) -> Vec<String> {
        self.standing.messages()
    }

    /// Whether the message begins, as far as it is here, like one that is read.
    fn may_matter(&self) -> bool {
        let begins = |wanted: &[u8]| {
            let seen = self.message.len().min(wanted.len());
            self.message[..seen] == wanted[..seen]
        };
        begins(NAMES) || BEGINNINGS.into_iter().any(begins)
    }

    fn write_down(&mut self) -> io::Result<()> {
        let Ok(Said { params }) = serde_json::from_slice(&self.message) else { return Ok(()) };
        let mut name = params.suggested_filename;
        if self.written >= NAMES_MAX || params.guid.len() > NAME_BYTES_MAX {
            return Ok(());
        }
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        self.written += 1;
        let mut line = serde_json::to_vec(&NamedDownload { file: params.guid, name })?;
        line.push(b'\n');
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.file)?.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_down_however_the_messages_are_cut() {
        let begin = |guid: &str, name: &str| {
            format!(
                r#"{{"method":"Browser.downloadWillBegin","params":{{"frameId":"F","guid":"{guid}","url":"u","suggestedFilename":"{name}"}}}}"#
            )
        };
        let long = "x".repeat(MESSAGE_BYTES_MAX);
        let all = [
            r#"{"id":1,"result":{}}"#.to_owned(),
            begin("a", "list of May.csv"),
            begin("b", &long),
            r#"{"method":"Browser.downloadProgress","params":{"guid":"a"}}"#.to_owned(),
            r#"{"method":"Browser.downloadWillBegin","params":7}"#.to_owned(),
            begin("c", "n\u{e4}chster"),
        ];
        let said: Vec<u8> = all.iter().flat_map(|message| message.bytes().chain([0])).collect();
        for piece in [1, 7, 64, said.len()] {
            let folder = tempfile::tempdir().unwrap();
            let mut overheard = Overheard::new(folder.path().join("names"));
            said.chunks(piece).for_each(|bytes| overheard.hear(bytes));
            let written = std::fs::read_to_string(folder.path().join("names")).unwrap();
            let names: Vec<NamedDownload> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let named = |file: &str, name: &str| NamedDownload { file: file.to_owned(), name: name.to_owned() };
            assert_eq!(names, [named("a", "list of May.csv"), named("c", "n\u{e4}chster")], "in pieces of {piece}");
            assert!(overheard.message.is_empty());
        }
    }
}
