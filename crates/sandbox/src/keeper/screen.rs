//! The screen of one terminal: what its programs put out, drawn as a terminal would, and what its shell says of itself.
//! The programs are hostile until shown otherwise: whatever they print takes bounded memory and cannot end the keeper.

use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::termios::{InputModes, LocalModes, Termios, Winsize};

use super::marks::{Mark, Scanner};
use crate::terminal::{Depict, Look, SCROLLBACK_LINES, Screen, Size, Terminal, TypedCommand, Until};

/// Bytes taken from a terminal before others have their turn, and the pause after as many: 8 MiB a second are more than
/// anybody reads, and leave the keeper time for everybody else.
pub(super) const TURN_BYTES: usize = 256 * 1024;
pub(super) const TURN_PAUSE: Duration = Duration::from_millis(30);
/// The longest sequence that is waited for to become whole.
const HELD_BYTES_MAX: usize = 4 * 1024;
/// How often the drawing may break down before it is given up.
const BREAKDOWNS_MAX: u32 = 5;
/// How long a terminal is quiet before it is looked at whether its shell reads a line, and the longest pause to the next look.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_MAX: Duration = Duration::from_secs(10);

pub(super) struct Drawn {
    name: String,
    size: Size,
    parser: vt100::Parser,
    scanner: Scanner,
    /// The beginning of a sequence whose end has not come.
    held: Vec<u8>,
    seen_bytes: u64,
    changes: u64,
    prompt: Prompt,
    command: Option<TypedCommand>,
    /// The exit code of the last command, whoever typed it.
    last_exit: Option<i32>,
    /// No line was read in it yet: what its shell says before the first prompt is of no command.
    fresh: bool,
    /// It is typed, and its output has not begun.
    awaited: bool,
    /// The shell has read a line since it last showed a prompt.
    has_read: bool,
    /// What it has read is the beginning of a command, and it waits for the rest.
    continues: bool,
    /// Where somebody last said that a line is read.
    reads: Option<(u64, u64)>,
    /// The group of the shell's processes, as it was at its first prompt.
    shell: Option<Pid>,
    /// It was looked at, and the shell itself has the terminal and does not read a command as shells do.
    unmarked: bool,
    /// When to look whether the shell reads a line, if nothing says so before, and the pause after that.
    look_at: Option<(Instant, Duration)>,
    breakdowns: u32,
    /// Nothing is taken before this time.
    pub(super) paused_until: Option<Instant>,
}

/// What the shell does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// It waits, and nothing is typed yet.
    Empty,
    /// It waits, and something is typed.
    Begun,
    Busy,
}

impl Drawn {
    pub(super) fn new(name: String, size: Size) -> Self {
        Self {
            name,
            size,
            parser: parser(size),
            scanner: Scanner::default(),
            held: Vec::new(),
            seen_bytes: 0,
            changes: 0,
            prompt: Prompt::Busy,
            command: None,
            last_exit: None,
            fresh: true,
            awaited: false,
            has_read: false,
            continues: false,
            reads: None,
            shell: None,
            unmarked: false,
            look_at: None,
            breakdowns: 0,
            paused_until: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_at_prompt(&self) -> bool {
        self.prompt != Prompt::Busy
    }

    /// Nothing is at work in it: the shell waits for a command, or for the rest of one.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_at_prompt() || self.is_unfinished()
    }

    fn is_unfinished(&self) -> bool {
        self.unmarked && self.continues && !self.is_at_prompt()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// Takes what the programs put out.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let mut scanner = std::mem::take(&mut self.scanner);
        let whole = scanner.read(self.seen_bytes, bytes, |mark| self.mark(mark));
        self.scanner = scanner;
        self.seen_bytes += bytes.len() as u64;
        self.changes += 1;
        self.unmarked = false;
        self.look_later();
        let (now, later) = bytes.split_at(whole);
        if whole > 0 {
            let held = std::mem::take(&mut self.held);
            self.draw(&held);
            self.draw(now);
        }
        self.held.extend_from_slice(later);
        if self.held.len() > HELD_BYTES_MAX {
            let held = std::mem::take(&mut self.held);
            self.draw(&held);
        }
    }

    fn mark(&mut self, mark: Mark) {
        if !matches!(mark, Mark::Reads { .. }) {
            self.continues = mark == Mark::Continues;
        }
        match mark {
            Mark::Begins { from } => {
                (self.prompt, self.has_read, self.fresh) = (Prompt::Busy, true, false);
                // Of several lines that are one command, the first.
                if let Some(command) = self.command.as_mut().filter(|_| std::mem::take(&mut self.awaited)) {
                    command.from = from;
                }
            }
            Mark::Waits => self.prompt = Prompt::Empty,
            // What was read until now is no command, so nothing of it can be over.
            Mark::Continues => (self.prompt, self.has_read) = (Prompt::Busy, false),
            Mark::HasRead { from } => {
                if let Some(command) = self.command.as_mut().filter(|_| self.awaited && !self.has_read) {
                    command.from = from;
                }
                (self.has_read, self.fresh) = (true, false);
            }
            Mark::Reads { at, after } => self.reads = Some((at, after)),
            Mark::Over { in_prompt: true, .. } if !self.has_read => {}
            Mark::Over { to, exit, .. } => {
                // What a prompt begins with is no output.
                let to = self.reads.filter(|(_, after)| *after == to).map_or(to, |(at, _)| at);
                self.over(to, exit);
            }
        }
    }

    fn over(&mut self, to: u64, exit: Option<i32>) {
        (self.awaited, self.last_exit) = (false, exit.filter(|_| !self.fresh));
        if let Some(command) = self.command.as_mut().filter(|command| command.ended.is_none()) {
            command.ended = Some((to.max(command.from), exit));
        }
    }

    /// The next look at who has the terminal is due a while after the last output.
    fn look_later(&mut self) {
        self.look_at = (self.prompt == Prompt::Busy).then(|| (Instant::now() + QUIET, QUIET));
    }

    /// When [`Drawn::look_at_shell`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.look_at.map(|(at, _)| at)
    }

    /// Learns which processes are the shell's, from whoever has the terminal when the first prompt is shown.
    pub(super) fn learn_shell(&mut self, terminal: impl AsFd) {
        if self.shell.is_none() && self.prompt == Prompt::Empty {
            self.shell = rustix::termios::tcgetpgrp(terminal).ok();
        }
    }

    /// Commands can take a shell its marks. What they cannot take is what the kernel knows: who has the terminal, and
    /// whether a line is edited in it. A shell that has read the command and edits a line again waits for another.
    pub(super) fn look_at_shell(&mut self, terminal: impl AsFd, now: Instant) {
        let Some((_, pause)) = self.look_at.filter(|(at, _)| *at <= now) else { return };
        let pause = (2 * pause).min(QUIET_MAX);
        self.look_at = Some((now + pause, pause));
        if self.continues {
            // Said once it is quiet: of lines that come one by one, each but the last is followed by this prompt.
            (self.unmarked, self.look_at) = (true, None);
            self.changes += 1;
            return;
        }
        let Some(shell) = self.shell.filter(|shell| rustix::termios::tcgetpgrp(&terminal) == Ok(*shell)) else {
            return;
        };
        let edits = rustix::termios::tcgetattr(&terminal).is_ok_and(|modes| edits_a_line(&modes));
        if edits && self.has_read {
            let from = self.command.as_ref().map_or(0, |command| command.from);
            let to = self.reads.map(|(at, _)| at).filter(|at| *at >= from).unwrap_or(self.seen_bytes);
            self.over(to, None);
            (self.prompt, self.look_at, self.shell) = (Prompt::Empty, None, Some(shell));
            self.changes += 1;
        } else if !self.unmarked {
            // It edits a line, too, where it was told to say nothing at all: then not even that it has read one is known.
            self.unmarked = true;
            self.changes += 1;
        }
    }

    /// Draws. A program that finds the place where the drawing breaks down gets an empty screen, and in the end none.
    fn draw(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.breakdowns >= BREAKDOWNS_MAX {
            return;
        }
        let parser = &mut self.parser;
        if catch_unwind(AssertUnwindSafe(|| parser.process(bytes))).is_err() {
            self.broke_down();
        }
    }

    fn broke_down(&mut self) {
        self.breakdowns += 1;
        self.parser = parser(self.size);
    }

    /// What is to be written for a command at the prompt; nothing if the shell does not wait for one.
    pub(super) fn keys_of(&mut self, write: &str, command: &[u8]) -> Option<Vec<u8>> {
        let mut keys = match self.prompt {
            Prompt::Busy => return None,
            Prompt::Empty => Vec::new(),
            // Ends what somebody began to type: to the end of the line, then rub out.
            Prompt::Begun => vec![0x05, 0x15],
        };
        // Several lines at once are one command only as a paste.
        let paste = self.parser.screen().bracketed_paste();
        if paste {
            keys.extend(b"\x1b[200~");
        }
        keys.extend(command);
        if paste {
            keys.extend(b"\x1b[201~");
        }
        keys.push(b'\r');
        (self.prompt, self.awaited, self.has_read, self.reads) = (Prompt::Busy, true, false, None);
        (self.continues, self.last_exit) = (false, None);
        self.look_later();
        self.command =
            Some(TypedCommand { write: write.to_owned(), from: self.seen_bytes, ended: None, limits: Vec::new() });
        Some(keys)
    }

    /// The command that was typed last.
    pub(super) fn command(&mut self) -> Option<&mut TypedCommand> {
        self.command.as_mut()
    }

    /// Somebody types.
    pub(super) fn typed(&mut self, bytes: &[u8]) {
        if self.prompt == Prompt::Busy || bytes.is_empty() {
            return;
        }
        let enters = bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        self.prompt = if enters { Prompt::Busy } else { Prompt::Begun };
        if enters {
            (self.has_read, self.last_exit) = (false, None);
            self.look_later();
        }
    }

    /// Gives it another size; `terminal` is its master side.
    pub(super) fn resize(&mut self, terminal: impl AsFd, size: Size) -> rustix::io::Result<()> {
        if size == self.size {
            return Ok(());
        }
        let window = Winsize { ws_row: size.lines, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, window)?;
        self.size = size;
        self.changes += 1;
        let (lines, columns) = cells(size);
        let parser = &mut self.parser;
        if catch_unwind(AssertUnwindSafe(|| parser.set_size(lines, columns))).is_err() {
            self.broke_down();
        }
        Ok(())
    }

    /// Whether it is as somebody wants it.
    pub(super) fn is(&self, until: &Until) -> bool {
        match until {
            Until::Now => true,
            Until::Changed { changes } => self.changes != *changes,
            Until::AtPrompt => self.is_at_prompt(),
            // One that was typed before the newest is over, whatever became of it.
            Until::Over { write } => match self.command.as_ref().filter(|last| last.write == *write) {
                Some(last) => last.ended.is_some() && self.is_at_prompt(),
                None => true,
            },
        }
    }

    pub(super) fn terminal(&self, call: &str, kept_bytes: u64) -> Terminal {
        Terminal {
            name: self.name.clone(),
            call: call.to_owned(),
            size: self.size,
            at_prompt: self.is_at_prompt(),
            seen_bytes: self.seen_bytes,
            kept_bytes,
            drawn_bytes: self.seen_bytes - self.held.len() as u64,
            changes: self.changes,
            command: self.command.clone(),
            last_exit: self.last_exit,
            unmarked: self.unmarked && !self.continues && !self.is_at_prompt(),
            unfinished: self.is_unfinished(),
        }
    }

    pub(super) fn look(&mut self, call: &str, kept_bytes: u64, depict: Depict) -> Look {
        let terminal = self.terminal(call, kept_bytes);
        let wanted = depict != Depict::Nothing;
        let mut screen = None;
        if wanted {
            let parser = &mut self.parser;
            screen = catch_unwind(AssertUnwindSafe(|| depicted(parser.screen_mut(), depict))).ok();
            if screen.is_none() {
                self.broke_down();
            }
        }
        if wanted && self.breakdowns >= BREAKDOWNS_MAX {
            let content = "[this screen cannot be shown any more]".to_owned();
            screen = Some(Screen { cursor: (0, 0), full_screen: false, content });
        }
        Look { terminal, screen }
    }
}

/// As the library does with which shells read their lines: it takes each key, shows it itself, and knows the Enter key.
fn edits_a_line(modes: &Termios) -> bool {
    !modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
        && !modes.input_modes.contains(InputModes::ICRNL)
}

fn cells(size: Size) -> (NonZeroU16, NonZeroU16) {
    let number = |number: u16| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
    (number(size.lines), number(size.columns))
}

fn parser(size: Size) -> vt100::Parser {
    let (lines, columns) = cells(size);
    vt100::Parser::new(lines, columns, SCROLLBACK_LINES)
}

fn depicted(screen: &mut vt100::Screen, depict: Depict) -> Screen {
    let (line, column) = screen.cursor_position();
    let full_screen = screen.alternate_screen();
    let content = match depict {
        Depict::Nothing => String::new(),
        Depict::Text => screen.contents(),
        Depict::Drawing => drawing(screen),
    };
    Screen { cursor: (column, line), full_screen, content }
}

/// What draws the screen on another terminal: a fresh start, the lines above scrolled away, then the screen itself.
fn drawing(screen: &mut vt100::Screen) -> String {
    let mut drawing = String::from("\x1bc");
    let above = lines_above(screen);
    for line in &above {
        drawing.push_str(line);
        drawing.push_str("\r\n");
    }
    if !above.is_empty() {
        for _ in 1..screen.size().0.get() {
            drawing.push_str("\r\n");
        }
    }
    if screen.alternate_screen() {
        drawing.push_str("\x1b[?1049h");
    }
    drawing.push_str(&screen.state_formatted());
    drawing
}

/// The lines that have left the screen at its top, as plain text, the oldest first.
fn lines_above(screen: &mut vt100::Screen) -> Vec<String> {
    let (lines, columns) = screen.size();
    let mut left = screen.scrollback_len();
    let mut above = Vec::new();
    while left > 0 {
        screen.set_scrollback(left);
        let page = left.min(usize::from(lines.get()));
        above.extend(screen.rows(0, columns.get()).take(page));
        left -= page;
    }
    screen.set_scrollback(0);
    above
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: Size = Size { columns: 40, lines: 6 };

    fn drawn(output: &[u8]) -> Drawn {
        let mut drawn = Drawn::new("main".to_owned(), SIZE);
        drawn.take(output);
        drawn
    }

    fn text(drawn: &mut Drawn) -> String {
        drawn.look("c", 0, Depict::Text).screen.unwrap().content
    }

    #[test]
    fn a_drawing_makes_the_same_screen_again_with_the_lines_above_it() {
        for output in [
            "one\r\ntwo\r\n\x1b[31mthree\x1b[m four".to_owned(),
            (0..50).map(|number| format!("line {number}\r\n")).collect(),
            "before\r\n\x1b[?1049h\x1b[2J\x1b[3;5Hfull\x1b[7mscreen".to_owned(),
            "\u{4f60}\u{597d}, w\u{f6}rld\r\n\x1b[2 q".to_owned(),
        ] {
            let mut first = drawn(output.as_bytes());
            let look = first.look("c", 0, Depict::Drawing).screen.unwrap();
            let mut second = drawn(look.content.as_bytes());
            assert_eq!(text(&mut first), text(&mut second), "{output:?}");
            assert_eq!(second.look("c", 0, Depict::Drawing).screen.unwrap(), look, "{output:?}");
        }
        let mut long = drawn((0..50).map(|number| format!("line {number}\r\n")).collect::<String>().as_bytes());
        assert_eq!(lines_above(long.parser.screen_mut()).len(), 45);
    }

    #[test]
    fn what_is_cut_in_the_middle_is_drawn_when_it_is_whole() {
        let mut drawn = drawn(b"a\x1b[3");
        assert_eq!(drawn.terminal("c", 0).drawn_bytes, 1);
        drawn.take(b"1mb");
        assert_eq!((drawn.terminal("c", 0).drawn_bytes, text(&mut drawn)), (7, "ab".to_owned()));
    }

    #[test]
    fn a_command_has_the_output_between_its_marks() {
        let mut drawn = drawn(b"\x1b]133;D;0\x07$ \x1b]133;B\x07");
        assert!(drawn.is(&Until::AtPrompt));
        assert_eq!(drawn.keys_of("w", b"ls").unwrap(), b"ls\r");
        assert!(drawn.keys_of("v", b"ls").is_none(), "it is busy");
        assert!(!drawn.is(&Until::Over { write: "w".to_owned() }));
        drawn.take(b"ls\r\n\x1b]133;C\x07file\r\n\x1b]133;D;3\x07$ ");
        assert!(!drawn.is(&Until::Over { write: "w".to_owned() }), "the next would come too early");
        drawn.take(b"\x1b]133;B\x07");
        assert!(drawn.is(&Until::Over { write: "w".to_owned() }));
        let command = drawn.terminal("c", 0).command.unwrap();
        assert_eq!((command.from, command.ended), (32, Some((38, Some(3)))));
        drawn.typed(b"half a com");
        assert_eq!(drawn.keys_of("x", b"pwd").unwrap(), b"\x05\x15pwd\r");
    }

    #[test]
    fn an_end_that_the_prompt_tells_counts_once_a_line_was_read() {
        let mut drawn = drawn(b"\x1b]133;D;0;shown\x07$ \x1b]133;B\x07");
        drawn.keys_of("w", b"ls").unwrap();
        let ended = |drawn: &Drawn| drawn.terminal("c", 0).command.unwrap().ended;
        // The line is drawn again while it is typed.
        drawn.take(b"\r\x1b]133;D;0;shown\x07$ \x1b]133;B\x07ls");
        assert_eq!(ended(&drawn), None);
        let from = drawn.seen_bytes;
        drawn.take(b"\x1b[?2004l\r\x1b]133;C\x07file\r\n\x1b[?2004h\x1b]133;D;4;shown\x07$ \x1b]133;B\x07");
        assert_eq!(ended(&drawn), Some((from + 17 + 6, Some(4))));
    }

    #[test]
    fn the_last_exit_code_is_of_the_last_command_whoever_typed_it() {
        let mut drawn = drawn(b"\x1b]133;D;0\x07$ \x1b]133;B\x07");
        let last = |drawn: &Drawn| drawn.terminal("c", 0).last_exit;
        assert_eq!(last(&drawn), None, "there was none");
        drawn.keys_of("w", b"true").unwrap();
        drawn.take(b"\x1b[?2004l\r\x1b]133;C\x07\x1b]133;D;0\x07$ \x1b]133;B\x07");
        assert_eq!(last(&drawn), Some(0));
        drawn.typed(b"fal");
        assert_eq!(last(&drawn), Some(0));
        drawn.typed(b"se\r");
        assert_eq!(last(&drawn), None);
        drawn.take(b"\x1b[?2004l\r\x1b]133;C\x07\x1b]133;D;1\x07$ \x1b]133;B\x07");
        let terminal = drawn.terminal("c", 0);
        assert_eq!((terminal.last_exit, terminal.command.unwrap().ended.unwrap().1), (Some(1), Some(0)));
    }

    #[test]
    fn a_string_without_an_end_takes_no_memory() {
        let mut drawn = drawn(b"\x1b]0;");
        for _ in 0..1_000 {
            drawn.take(&[b'x'; 4096]);
        }
        assert!(drawn.held.len() <= HELD_BYTES_MAX && drawn.held.capacity() <= 4 * HELD_BYTES_MAX);
        drawn.take(b"\x07here");
        assert_eq!(text(&mut drawn), "here");
    }

    proptest! {
        #[test]
        fn no_output_ends_the_keeper(pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 20..80_u16, 5..30_u16), 1..20)) {
            let mut drawn = drawn(b"");
            for (mut bytes, columns, lines) in pieces {
                // Mostly sequences: plain noise is dull.
                for (at, byte) in bytes.iter_mut().enumerate() {
                    if at % 7 == 0 { *byte = 0x1b }
                    if at % 7 == 1 { *byte = b'[' }
                    if at % 7 == 4 { *byte = b"ABCDHJKLMPSTXZbdhlmr@"[usize::from(*byte) % 21] }
                }
                drawn.take(&bytes);
                let (lines, columns) = cells(Size { columns, lines });
                drawn.parser.set_size(lines, columns);
                let look = drawn.look("c", 0, Depict::Drawing);
                prop_assert!(look.screen.is_some());
                prop_assert_eq!(drawn.breakdowns, 0);
            }
        }
    }
}
