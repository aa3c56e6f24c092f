//! One call in the keeper's table: its spool, its two sources of output, what is typed into it. It does not know who asks.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use super::screen::{self, Drawn};
use super::warden::Standing;
use crate::met::Met;
use crate::request::{CallResult, Exit};

/// Bytes moved at one time.
const CHUNK: usize = 64 * 1024;
/// Bytes moved before the others get their turn.
const TURN_BYTES: usize = 4 * 1024 * 1024;
/// Where a program says why it fails.
const LAST_WORDS_BYTES: usize = 4096;
const EMFILE_WORDS: &str = "too many open files";
/// Typed input that waits to be read by the command.
pub(super) const INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Times that input can be typed into one call.
pub(super) const WRITES_MAX: usize = 100_000;

pub(super) struct Call {
    pub(super) is_file: bool,
    pub(super) started_ms: u64,
    pub(super) result: Option<CallResult>,
    /// The record did not take the result.
    pub(super) unwritten: bool,
    /// When ending it is no longer asked for but done.
    pub(super) insist_at: Option<Instant>,
    /// The limit that it is being ended for.
    pub(super) ended_for: Option<Met>,
    /// Where the counters of the limits stood when it began.
    /// Of a terminal, when its last command was typed.
    pub(super) standing: Standing,
    /// Of a terminal: that command is over, and the limits that it met are told.
    pub(super) settled: bool,
    /// PID 1 has nothing left of it.
    pub(super) gone: bool,
    pub(super) output: Option<File>,
    pub(super) terminal: Option<File>,
    pub(super) typed: VecDeque<u8>,
    pub(super) write_ids: HashSet<String>,
    /// Of a terminal.
    pub(super) screen: Option<Box<Drawn>>,
    spool: Spool,
}

struct Spool {
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// And what is kept of all calls together.
    all_bytes_max: u64,
    dropped: bool,
    /// The disk took no more.
    full: bool,
}

/// How much a source had to give.
enum Source {
    /// More may come.
    Open,
    /// It is at its end.
    Closed,
}

impl Call {
    pub(super) fn new(spool: File, (bytes_max, all_bytes_max): (u64, u64), is_file: bool) -> Self {
        Self {
            is_file,
            started_ms: now_ms(),
            result: None,
            unwritten: false,
            insist_at: None,
            ended_for: None,
            standing: Standing::default(),
            settled: false,
            gone: false,
            output: None,
            terminal: None,
            typed: VecDeque::new(),
            write_ids: HashSet::new(),
            screen: None,
            spool: Spool { file: spool, bytes: 0, bytes_max, all_bytes_max, dropped: false, full: false },
        }
    }

    pub(super) fn connect(&mut self, mut descriptors: Vec<OwnedFd>) {
        let has_terminal = descriptors.len() > 1 || self.screen.is_some();
        self.terminal = has_terminal.then(|| descriptors.pop().map(File::from)).flatten();
        self.output = descriptors.pop().map(File::from);
        for source in self.output.iter().chain(&self.terminal) {
            let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::RDWR;
            let _ = rustix::fs::fcntl_setfl(source, flags);
        }
    }

    pub(super) fn output_bytes(&self) -> u64 {
        self.spool.bytes
    }

    /// Moves what there is from the command to the spool, as far as there is `left` for it, and what is typed to the command.
    /// What the file tools answer is not taken from it: without an answer nobody knows what they did.
    pub(super) fn pump(&mut self, left: &mut u64) {
        let mut of_its_own = u64::MAX;
        let left = if self.is_file { &mut of_its_own } else { left };
        if let Some(output) = &mut self.output
            && matches!(self.spool.take(output, left, TURN_BYTES, |_| {}), (Source::Closed, _))
        {
            self.output = None;
        }
        if let Some(terminal) = &mut self.terminal {
            let source = match &mut self.screen {
                Some(screen) if screen.is_paused() && !self.gone => Source::Open,
                Some(screen) => {
                    let turn = screen::TURN_BYTES;
                    let (source, moved) = self.spool.take(terminal, left, turn, |bytes| screen.take(bytes));
                    screen.paused_until = (moved >= turn).then(|| Instant::now() + screen::TURN_PAUSE);
                    screen.learn_shell(&*terminal);
                    source
                }
                None => self.spool.take(terminal, left, TURN_BYTES, |_| {}).0,
            };
            if matches!(source, Source::Closed) {
                self.terminal = None;
            }
        }
        while let Some(terminal) = &mut self.terminal
            && !self.typed.is_empty()
        {
            match terminal.write(self.typed.as_slices().0) {
                Ok(bytes) if bytes > 0 => drop(self.typed.drain(..bytes)),
                _ => break,
            }
        }
    }

    /// Puts a sentence of ours where the command's output would be.
    pub(super) fn say(&mut self, text: &str, left: &mut u64) {
        self.spool.put(text.as_bytes(), left);
    }

    /// Takes note of the result of a call that is over now. What it had written before is in the spool. A program that dies at once of its
    /// open files is gone before anybody looks: then the words that it failed with tell.
    pub(super) fn end(&mut self, exit: Exit, mut limits: Vec<Met>, out_of_files: Met, left: &mut u64) {
        self.pump(left);
        let known = limits.iter().any(|met| matches!(met, Met::OpenFiles { .. }));
        if exit != Exit::Code(0) && !self.is_file && !known && self.spool.ends_out_of_files() {
            limits.push(out_of_files);
        }
        if self.spool.full {
            limits.push(Met::Disk);
        } else if self.spool.dropped && *left == 0 && !self.is_file {
            limits.push(Met::Outputs { max_bytes: self.spool.all_bytes_max });
        } else if self.spool.dropped {
            limits.push(Met::Output { max_bytes: self.spool.bytes_max });
        }
        self.result = Some(CallResult {
            exit,
            output_bytes: self.spool.bytes,
            output_truncated: self.spool.dropped,
            limit: Met::in_words(&limits),
            limits,
            started_ms: self.started_ms,
            ended_ms: now_ms(),
        });
    }
}

impl Spool {
    /// Whether what was written last holds the system's words for EMFILE. Those for the whole machine's files go on after them.
    fn ends_out_of_files(&self) -> bool {
        let mut tail = [0; LAST_WORDS_BYTES];
        let from = self.bytes.saturating_sub(LAST_WORDS_BYTES as u64);
        let Ok(read) = self.file.read_at(&mut tail, from) else { return false };
        let words = String::from_utf8_lossy(&tail[..read]).to_ascii_lowercase();
        words.split(EMFILE_WORDS).skip(1).any(|rest| !rest.starts_with(" in system"))
    }

    /// Takes what a source has, but no more than for one turn, and tells how much that was.
    fn take(
        &mut self,
        source: &mut File,
        left: &mut u64,
        turn_bytes: usize,
        mut also: impl FnMut(&[u8]),
    ) -> (Source, usize) {
        // Not on the stack: of this only what is read into is ever held.
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut moved = 0;
        while moved < turn_bytes {
            chunk.clear();
            match rustix::io::read(&*source, rustix::buffer::spare_capacity(&mut chunk)) {
                Ok(0) => return (Source::Closed, moved),
                Ok(bytes) => {
                    moved += bytes;
                    self.put(&chunk, left);
                    also(&chunk);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return (Source::Open, moved),
                // A terminal without its other side fails instead of ending.
                Err(_) => return (Source::Closed, moved),
            }
        }
        (Source::Open, moved)
    }

    fn put(&mut self, bytes: &[u8], left: &mut u64) {
        let room = self.bytes_max.saturating_sub(self.bytes).min(*left);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        self.dropped |= kept.len() < bytes.len() || self.full;
        if kept.is_empty() || self.full {
            return;
        }
        let mut rest = kept;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(written) if written > 0 => {
                    self.bytes += written as u64;
                    *left = left.saturating_sub(written as u64);
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    (self.full, self.dropped) = (true, true);
                    return;
                }
            }
        }
    }
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the keeper is an edge: it holds the deadline and stamps results")]
pub(super) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
