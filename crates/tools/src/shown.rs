//! Bytes from the computer as text that a model and a terminal can be shown: no escape sequences, no control
//! characters, no invisible ones, capped. The whole of it stays in the computer; nothing here keeps or edits the source.

use sandbox::unseen;

use crate::limits::{NOTICE_CHARS, OBSERVATION_CHARS_MAX, WINDOW_BYTES};

/// Characters left for the output itself once status line and notices are told.
pub(crate) const OUTPUT_CHARS: usize = OBSERVATION_CHARS_MAX - NOTICE_CHARS - 200;

/// One of so many bytes that is neither text nor a terminal's makes an output binary.
const BINARY_SHARE: usize = 10;

/// An escape sequence that does not end within this many characters is not one.
const ESCAPE_CHARS_MAX: usize = 1_000;

/// Where bytes are read from: `read(offset, max)`.
pub(crate) struct Source<'a, E> {
    pub(crate) bytes: u64,
    pub(crate) read: &'a dyn Fn(u64, usize) -> Result<Vec<u8>, E>,
    /// How the reader gets at the rest, once the middle is cut.
    pub(crate) pointer: String,
}

/// Which part of a long output is worth showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its beginning and its end.
    Ends,
    /// Its end.
    Tail,
}

/// Shows an output in at most `chars_max` characters, notice of a cut aside.
pub(crate) fn show<E>(source: &Source<'_, E>, part: Part, chars_max: usize) -> Result<String, E> {
    let window = WINDOW_BYTES as u64;
    let head_chars = match part {
        Part::Ends => chars_max / 2,
        Part::Tail => 0,
    };
    let (head, tail, tail_at) = if source.bytes <= 2 * window {
        let bytes = (source.read)(0, 2 * WINDOW_BYTES)?;
        if is_binary(&bytes) {
            return Ok(describe_binary(&bytes, source));
        }
        let all = clean(&bytes);
        if all.len() <= chars_max {
            return Ok(all.into_iter().map(|(_, c)| c).collect());
        }
        (all.clone(), all, 0)
    } else {
        let head = (source.read)(0, WINDOW_BYTES)?;
        let tail_at = source.bytes - window;
        let tail = (source.read)(tail_at, WINDOW_BYTES)?;
        if is_binary(&head) || is_binary(&tail) {
            return Ok(describe_binary(&head, source));
        }
        let skip = tail_start(&tail);
        (clean(&head), clean(&tail[skip..]), tail_at + skip as u64)
    };
    let tail_first = tail.len().saturating_sub(chars_max - head_chars);
    let from = head.get(head_chars).map_or(source.bytes.min(window), |(at, _)| *at as u64);
    let from = if head_chars == 0 { 0 } else { from };
    let to = tail.get(tail_first).map_or(source.bytes, |(at, _)| tail_at + *at as u64);
    let head: String = head.into_iter().take(head_chars).map(|(_, c)| c).collect();
    let tail: String = tail.into_iter().skip(tail_first).map(|(_, c)| c).collect();
    let notice = format!("[{} bytes left out here; {}]", to.saturating_sub(from), source.pointer);
    Ok(if head_chars == 0 { format!("{notice}\n{tail}") } else { format!("{head}\n{notice}\n{tail}") })
}

/// A piece from the front of these bytes: at most `chars_max` characters, and how many bytes they stand for.
pub(crate) fn piece(bytes: &[u8], chars_max: usize) -> (String, usize) {
    let all = clean(bytes);
    let used = all.get(chars_max).map_or(bytes.len(), |(at, _)| *at);
    (all.into_iter().take(chars_max).map(|(_, c)| c).collect(), used)
}

/// The text safe to show, whole.
pub(crate) fn safe(bytes: &[u8]) -> String {
    clean(bytes).into_iter().map(|(_, c)| c).collect()
}

/// Text that somebody else has put into lines, each marked for whose it is: nothing in it moves or hides anything, and no
/// line becomes two, or two one.
pub(crate) fn plain(text: &str) -> String {
    let letter = |c: char| match c {
        '\n' => Some('\n'),
        '\t' => Some(' '),
        c if unseen::in_text(c) => None,
        c => Some(c),
    };
    text.chars().filter_map(letter).collect()
}

/// Whether this is a program's data rather than something to read.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    let mut strange = 0;
    for chunk in bytes.utf8_chunks() {
        strange += chunk.invalid().len();
        strange += chunk.valid().bytes().filter(|byte| *byte < 7 || (14..27).contains(byte)).count();
    }
    // A cut in the middle of a character is not strange.
    strange > 4 && strange * BINARY_SHARE > bytes.len()
}

fn describe_binary<E>(bytes: &[u8], source: &Source<'_, E>) -> String {
    let first: Vec<String> = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("[binary data, {} bytes, not shown; it begins with {}; {}]", source.bytes, first.join(" "), source.pointer)
}

/// Where to begin in a window that was cut out of the middle: after the first line end if one is near, else at a
/// character's start.
fn tail_start(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(4_096)];
    match near.iter().position(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None => near.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(0),
    }
}

/// The characters to show, each with the offset of the byte it comes from.
fn clean(bytes: &[u8]) -> Vec<(usize, char)> {
    let mut screen = Screen { out: Vec::with_capacity(bytes.len()), line: 0, rewind: false, state: Escape::None };
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for (i, c) in chunk.valid().char_indices() {
            screen.put(at + i, c);
        }
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            screen.put(at, char::REPLACEMENT_CHARACTER);
            at += chunk.invalid().len();
        }
    }
    screen.out
}

/// As much of a terminal as is needed to read what was meant: escape sequences go, a line begun anew replaces the old.
struct Screen {
    out: Vec<(usize, char)>,
    /// Where the current line begins in `out`.
    line: usize,
    /// A carriage return was seen: the next character begins the line anew.
    rewind: bool,
    state: Escape,
}

/// How far into an escape sequence we are.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Begun,
    /// Parameters up to a final character.
    Control(usize),
    /// A string up to its terminator; whether the last character was an escape.
    Text(usize, bool),
}

impl Screen {
    fn put(&mut self, at: usize, c: char) {
        match self.state {
            Escape::None => self.plain(at, c),
            Escape::Begun => {
                self.state = match c {
                    '[' => Escape::Control(0),
                    ']' | 'P' | 'X' | '^' | '_' => Escape::Text(0, false),
                    ' '..='/' => Escape::Begun,
                    '\n' => {
                        self.plain(at, c);
                        Escape::None
                    }
                    _ => Escape::None,
                }
            }
            Escape::Control(length) => match c {
                ' '..='?' if length < ESCAPE_CHARS_MAX => self.state = Escape::Control(length + 1),
                '\u{1b}' => self.state = Escape::Begun,
                '\n' => {
                    self.state = Escape::None;
                    self.plain(at, c);
                }
                _ => self.state = Escape::None,
            },
            Escape::Text(length, escaped) => match c {
                '\u{7}' | '\u{9c}' => self.state = Escape::None,
                '\\' if escaped => self.state = Escape::None,
                '\n' => {
                    self.state = Escape::None;
                    self.plain(at, c);
                }
                _ if length >= ESCAPE_CHARS_MAX => self.state = Escape::None,
                _ => self.state = Escape::Text(length + 1, c == '\u{1b}'),
            },
        }
    }

    fn plain(&mut self, at: usize, c: char) {
        match c {
            '\u{1b}' => self.state = Escape::Begun,
            '\n' => {
                self.rewind = false;
                self.out.push((at, c));
                self.line = self.out.len();
            }
            '\r' => self.rewind = true,
            '\u{8}' => {
                if self.out.len() > self.line {
                    self.out.pop();
                }
            }
            '\0' => self.visible(at, '\u{2400}'),
            '\t' => self.visible(at, c),
            c if unseen::in_text(c) => {}
            c => self.visible(at, c),
        }
    }

    fn visible(&mut self, at: usize, c: char) {
        if self.rewind {
            self.out.truncate(self.line);
            self.rewind = false;
        }
        self.out.push((at, c));
    }
}

#[cfg(test)]
mod tests;
