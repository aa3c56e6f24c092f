//! Reads a terminal's output for two things only: where an escape sequence or a character is whole, and what a shell says
//! of itself: the marks around each command (OSC 133), and when it begins and ends to read a line (bracketed paste). What
//! the output looks like is the screen's business.

/// Bytes of an operating system command that are looked at: our marks are short.
const TEXT_BYTES_MAX: usize = 32;

/// What a program asks for that reads a line and wants pasted text marked.
const PASTE: &[u8] = b"?2004";

/// What a shell said of itself. Any program can say the same: nothing that matters for safety hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A command begins; its output follows from this byte on.
    Begins { from: u64 },
    /// The last command is over, and its output ended before this byte. As part of the prompt, which a shell may draw
    /// again at any time, it says nothing unless a line was read since.
    Over { to: u64, exit: Option<i32>, in_prompt: bool },
    /// The shell has shown its prompt, and waits for a command.
    Waits,
    /// The shell has shown the prompt that asks for the rest of a command.
    Continues,
    /// From the first of these bytes to before the second, somebody says that a line is read from now on.
    Reads { at: u64, after: u64 },
    /// A line was read; what it leads to follows from this byte on.
    HasRead { from: u64 },
}

/// How far into a sequence the output is.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    /// Where the sequence under way began.
    began: u64,
    text: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// Within a character of several bytes, of which so many are to come.
    Character(u8),
    Escape,
    Control,
    /// An operating system command; whether the last byte was an escape.
    Command(bool),
    /// Another string; whether the last byte was an escape.
    Text(bool),
}

impl Scanner {
    /// Reads on from byte number `at`, and tells how many of these bytes end in no middle of anything.
    pub(super) fn read(&mut self, at: u64, bytes: &[u8], mut tell: impl FnMut(Mark)) -> usize {
        let mut whole = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let here = at + index as u64;
            if let Some(mark) = self.step(here, *byte) {
                tell(mark);
            }
            if self.state == State::Plain {
                whole = index + 1;
            }
        }
        whole
    }

    fn step(&mut self, here: u64, byte: u8) -> Option<Mark> {
        const BELL: u8 = 0x07;
        const CANCEL: [u8; 2] = [0x18, 0x1a];
        const ESCAPE: u8 = 0x1b;
        match self.state {
            State::Plain => self.state = self.plain(here, byte),
            State::Character(left) if byte & 0xc0 == 0x80 => {
                self.state = if left > 1 { State::Character(left - 1) } else { State::Plain };
            }
            State::Character(_) => self.state = self.plain(here, byte),
            State::Escape => {
                self.state = match byte {
                    b'[' => {
                        self.text.clear();
                        State::Control
                    }
                    b']' => {
                        self.text.clear();
                        State::Command(false)
                    }
                    b'P' | b'X' | b'^' | b'_' => State::Text(false),
                    0x20..=0x2f | ESCAPE => State::Escape,
                    _ => State::Plain,
                };
            }
            State::Control => {
                self.state = match byte {
                    b'h' | b'l' if self.text == PASTE => {
                        self.state = State::Plain;
                        let reads = Mark::Reads { at: self.began, after: here + 1 };
                        return Some(if byte == b'h' { reads } else { Mark::HasRead { from: here + 1 } });
                    }
                    0x40..=0x7e => State::Plain,
                    ESCAPE => State::Escape,
                    _ if CANCEL.contains(&byte) => State::Plain,
                    _ => {
                        self.keep(byte);
                        State::Control
                    }
                };
            }
            State::Command(_) if byte == BELL => {
                self.state = State::Plain;
                return self.mark(here);
            }
            State::Command(true) => {
                let mark = self.mark(here);
                self.state = State::Escape;
                if byte == b'\\' {
                    self.state = State::Plain;
                    return mark;
                }
                return self.step(here, byte);
            }
            State::Command(false) => {
                self.state = match byte {
                    ESCAPE => State::Command(true),
                    _ if CANCEL.contains(&byte) => State::Plain,
                    _ => {
                        self.keep(byte);
                        State::Command(false)
                    }
                };
            }
            State::Text(true) if byte == b'\\' => self.state = State::Plain,
            State::Text(true) => {
                self.state = State::Escape;
                return self.step(here, byte);
            }
            State::Text(false) => {
                self.state = match byte {
                    ESCAPE => State::Text(true),
                    _ if CANCEL.contains(&byte) => State::Plain,
                    _ => State::Text(false),
                };
            }
        }
        None
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < TEXT_BYTES_MAX {
            self.text.push(byte);
        }
    }

    fn plain(&mut self, here: u64, byte: u8) -> State {
        self.began = here;
        match byte {
            0x1b => State::Escape,
            0xc2..=0xdf => State::Character(1),
            0xe0..=0xef => State::Character(2),
            0xf0..=0xf4 => State::Character(3),
            _ => State::Plain,
        }
    }

    /// The mark that the command just ended is, if it is one.
    fn mark(&self, last: u64) -> Option<Mark> {
        let text = std::str::from_utf8(&self.text).ok()?.strip_prefix("133;")?;
        match text {
            "B" => Some(Mark::Waits),
            "A;k=s" => Some(Mark::Continues),
            "C" => Some(Mark::Begins { from: last + 1 }),
            _ => {
                let told = text.strip_prefix('D')?;
                let told = if told.is_empty() { told } else { told.strip_prefix(';')? };
                let in_prompt = told.ends_with(";shown");
                let exit = told.split(';').next().and_then(|exit| exit.parse().ok());
                Some(Mark::Over { to: self.began, exit, in_prompt })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Scanner};

    /// The marks of an output and how much of it is whole, the same however it is cut into pieces.
    #[track_caller]
    fn check(output: &[u8], whole: usize, expected: &[Mark]) {
        for piece in 1..=output.len() {
            let (mut scanner, mut marks, mut at, mut ends) = (Scanner::default(), Vec::new(), 0, 0);
            for bytes in output.chunks(piece) {
                let read = scanner.read(at, bytes, |mark| marks.push(mark));
                if read > 0 {
                    ends = at + read as u64;
                }
                at += bytes.len() as u64;
            }
            assert_eq!((marks.as_slice(), ends), (expected, whole as u64), "in pieces of {piece}");
        }
    }

    #[test]
    fn marks_are_found_with_the_bytes_between_them() {
        let output = b"$ ls\r\n\x1b]133;C\x07a b\r\n\x1b]133;D;2\x1b\\$ \x1b]133;B\x07";
        let over = Mark::Over { to: 19, exit: Some(2), in_prompt: false };
        check(output, output.len(), &[Mark::Begins { from: 14 }, over, Mark::Waits]);
        check(b"\x1b]133;A;k=s\x07> \x1b]133;A\x07", 22, &[Mark::Continues]);
        check(b"\x1b]133;X\x07\x1b]0;133;C\x07\x1b]133;Dx\x07", 27, &[]);
        check(b"\x1b]133;C\x18\x1b]133;C\x1b[m", 18, &[]);
    }

    #[test]
    fn an_end_in_the_prompt_and_one_without_a_number_are_told_apart() {
        let over = |to, exit, in_prompt| Mark::Over { to, exit, in_prompt };
        let whole = |output: &[u8], expected: &[Mark]| check(output, output.len(), expected);
        whole(b"\x1b]133;D;7;shown\x07", &[over(0, Some(7), true)]);
        whole(b"\x1b]133;D;$?;shown\x07", &[over(0, None, true)]);
        whole(b"\x1b]133;D\x07a\x1b]133;D;\x07", &[over(0, None, false), over(9, None, false)]);
        let marks = [Mark::Reads { at: 1, after: 9 }, Mark::HasRead { from: 19 }];
        whole(b"a\x1b[?2004h$ \x1b[?2004l\x1b[?2005l\x1b[2004l", &marks);
    }

    #[test]
    fn what_is_cut_in_the_middle_is_not_whole() {
        check(b"a\x1b[3", 1, &[]);
        check(b"a\x1b[31mb\x1b", 7, &[]);
        check("\u{e9}\u{20ac}".as_bytes(), 5, &[]);
        check(b"a\xe2\x82", 1, &[]);
        check(b"a\xe2\x82b\xff", 5, &[]);
        check(b"\x1bPq#\x07#", 0, &[]);
        check(b"\x1bPq\x1b\\a", 6, &[]);
        check(b"\x1b(B\x1b]0;title", 3, &[]);
    }
}
