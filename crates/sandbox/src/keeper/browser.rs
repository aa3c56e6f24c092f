//! The computer's browser in the keeper's hands: its pipes, and the line of whoever talks to it now. It moves whole messages
//! (each ends with a zero byte), so that a caller can go in mid-word and another come. It understands few of them: the
//! names of downloads, and what the next caller has to know.

mod clearing;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions};

use clearing::{Clearing, profile_may_stay};

use super::connection::Connection;
use super::overheard::Overheard;
use super::room::Room;
use super::warden::{Standing, Warden};
use crate::browser::Folders;
use crate::group::Group;
use crate::launch::browser::Started;
use crate::launch::{self, Failure, Shared};
use crate::met::Met;
use crate::wire::Answer;
use crate::{Browser, ComputerSpec, Limits};

/// Bytes moved at one time.
const CHUNK: usize = 64 * 1024;
/// Chunks moved before the others get their turn.
const TURN_CHUNKS: usize = 64;
/// The longest message that a caller may send: a file's content never travels this way.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What waits for the caller before the browser is made to wait.
const BACKLOG_BYTES: usize = 1024 * 1024;
/// How long a caller may take nothing of what waits before the line is cut: the browser stands still meanwhile.
const CALLER_STALL: Duration = Duration::from_secs(30);
/// What is kept of the browser's complaints.
const COMPLAINT_BYTES_MAX: usize = 4096;
/// What a computer made by bubblewrap says to whoever wants a browser.
const NO_BROWSER: &str = "a browser needs a box of its own beside the computer's, which the driver bwrap does not make: the driver native does \
    (`driver` under [computer] in config.toml, or THENAR_COMPUTER)";
/// How long the last processes of its box are waited for.
const END_WAIT: Duration = Duration::from_millis(700);
/// How long after a caller's last word its box is still looked at for limits.
const IN_USE: Duration = Duration::from_secs(10);
/// Limits that are kept for whoever asks next.
const MET_MAX: usize = 32;

/// The computer's browser, one after another.
pub(super) struct Browsers {
    dir: PathBuf,
    limits: Limits,
    /// Of a driver that can make a browser's box beside the shell's.
    shared: Option<Shared>,
    line: Option<Line>,
    /// Counts callers.
    generation: u32,
    /// What the one that ended last complained about.
    last_words: String,
    /// What the box of each may take.
    box_limits: Limits,
    /// What those that have ended met and nobody was told.
    met: Vec<Met>,
    clearing: Clearing,
}

impl Browsers {
    pub(super) fn new(spec: &ComputerSpec, shared: Option<Shared>) -> Self {
        Self {
            dir: spec.dir.clone(),
            limits: spec.limits.clone(),
            box_limits: launch::browser::limits(spec.limits.browser_memory_bytes),
            met: Vec::new(),
            clearing: Clearing::of(&spec.dir),
            shared,
            line: None,
            generation: 0,
            last_words: String::new(),
        }
    }

    /// The limits that the browser's box met since this was asked last.
    pub(super) fn met(&mut self) -> Vec<Met> {
        self.pump();
        let met = self.line.as_mut().map(Line::met).unwrap_or_default();
        std::mem::take(&mut self.met).into_iter().chain(met).collect()
    }

    /// Whether there is one now.
    pub(super) fn lives(&mut self) -> bool {
        self.pump();
        self.line.is_some()
    }

    /// Makes a caller's connection the line to the browser, started now if there is none.
    pub(super) fn connect(&mut self, which: Browser, connection: &mut Connection) {
        self.pump();
        let fresh = self.line.is_none();
        if fresh {
            match self.start(which) {
                Ok(line) => self.line = Some(line),
                Err(reason) => return connection.answer(&Answer::Refused { reason }),
            }
        }
        self.generation += 1;
        let last_words = if fresh { std::mem::take(&mut self.last_words) } else { String::new() };
        let standing = self.line.as_ref().map(|line| line.overheard.standing()).unwrap_or_default();
        let answer = Answer::Browser { generation: self.generation, fresh, last_words, standing };
        if let Some(stream) = connection.hand_over(&answer)
            && let Some(line) = &mut self.line
        {
            // A stream that cannot be used is one whose caller is gone.
            let _ = line.connect(stream);
        }
    }

    fn start(&mut self, which: Browser) -> Result<Line, String> {
        // Copies of files for pages of the one before: no page has them open any more.
        let uploads = Folders::of(&self.dir).uploads;
        if std::fs::read_dir(&uploads).is_ok_and(|mut copies| copies.next().is_some()) {
            self.clearing.away(&[&uploads]);
        }
        let shared = self.shared.as_ref().ok_or(NO_BROWSER)?;
        let program = launch::own_program().map_err(|error| format!("open the keeper's own program: {error}"))?;
        let mut group = Group::make_for_browser(&self.box_limits);
        let started = launch::browser::launch(which, &self.dir, shared, &program, (&mut group, &self.box_limits));
        let started = started.map_err(|failure| match failure {
            Failure::Launch { reason, hint } if hint.is_empty() => reason,
            Failure::Launch { reason, hint } => format!("{reason} ({hint})"),
            Failure::Workspace { reason, .. } => reason,
        })?;
        let folders = Folders::of(&self.dir);
        let overheard = Overheard::new(folders.names.clone());
        let init = started.init.as_raw_nonzero().get();
        let scratch = launch::browser::scratch(started.init).unwrap_or_default();
        let warden = Warden::of_browser(&self.box_limits, group, (init, scratch));
        let room = Room::of_browser(folders.all(), &self.limits, init);
        Line::new(started, warden, overheard, room).map_err(|error| format!("use the browser's pipes: {error}"))
    }

    pub(super) fn sources(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        self.line.as_ref().map(Line::sources).unwrap_or_default()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.line.as_ref().and_then(Line::due)
    }

    /// Moves what can be moved, and lets go of a browser that is over. True if the caller said something.
    pub(super) fn pump(&mut self) -> bool {
        self.clearing.take_leave();
        let Some(line) = &mut self.line else { return false };
        let spoke = line.pump();
        if line.over {
            self.end();
        }
        spoke
    }

    /// Ends the browser if there is one. One that kept too much is parted from what it kept, from its profile last: the next
    /// would have no room either.
    pub(super) fn end(&mut self) {
        let Some(mut line) = self.line.take() else { return };
        let full = line.full.take();
        self.last_words = full.as_ref().map_or_else(|| line.complaints(), Met::to_string);
        self.met.extend(line.met());
        line.end();
        if let Some(met) = full {
            let folders = Folders::of(&self.dir);
            let stays = profile_may_stay(&folders, &met);
            self.clearing.away(&[&folders.downloads, &folders.uploads]);
            if !stays {
                self.clearing.away(&[&folders.profile]);
            }
            self.met.push(met);
        }
        self.met.truncate(MET_MAX);
    }
}

/// A browser and its caller.
struct Line {
    /// What it may use, apart from the commands of its computer.
    warden: Warden,
    /// Where the counters stood when somebody was last told what it met.
    told: Standing,
    /// When the caller last said something.
    spoke: Option<Instant>,
    init: Pid,
    init_fd: OwnedFd,
    commands: File,
    answers: File,
    errors: Option<File>,
    /// Whole messages on their way to the browser.
    pending: VecDeque<u8>,
    caller: Option<Caller>,
    overheard: Overheard,
    /// What the browser has written so far ends with a whole message.
    at_boundary: bool,
    complaints: Vec<u8>,
    /// Of what it keeps on the disk.
    room: Option<Room>,
    /// It kept more than that.
    full: Option<Met>,
    /// It ended by itself, or its pipes are closed, or it is to end.
    over: bool,
}

struct Caller {
    stream: UnixStream,
    /// The beginning of a message.
    heard: Vec<u8>,
    /// What the caller has not taken yet.
    backlog: VecDeque<u8>,
    /// Whole messages only: what was under way when the caller came is not for them.
    skip: bool,
    took: Instant,
}

impl Line {
    fn new(started: Started, warden: Warden, overheard: Overheard, room: Option<Room>) -> io::Result<Self> {
        let (commands, answers, errors) = (File::from(started.commands), started.answers.into(), started.errors.into());
        for pipe in [&commands, &answers, &errors] {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self {
            told: warden.standing(),
            warden,
            spoke: None,
            init: started.init,
            init_fd: started.init_fd,
            commands,
            answers,
            errors: Some(errors),
            pending: VecDeque::new(),
            caller: None,
            overheard,
            at_boundary: true,
            complaints: Vec::new(),
            room,
            full: None,
            over: false,
        })
    }

    /// The end of what the browser complained about, for a person.
    fn complaints(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaints);
        text.trim().lines().rev().take(3).collect::<Vec<_>>().join(" | ")
    }

    /// Gives the line to a caller; whoever had it is cut off.
    fn connect(&mut self, stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let skip = !self.at_boundary;
        let (heard, backlog) = (Vec::new(), VecDeque::new());
        self.caller = Some(Caller { stream, heard, backlog, skip, took: Instant::now() });
        Ok(())
    }

    /// What to wait for.
    fn sources(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut all = vec![(self.init_fd.as_fd(), PollFlags::IN)];
        all.extend(self.room.as_ref().and_then(Room::source).map(|counted| (counted, PollFlags::IN)));
        all.extend(self.errors.as_ref().map(|errors| (errors.as_fd(), PollFlags::IN)));
        let waits = self.caller.as_ref().map_or(0, |caller| caller.backlog.len());
        if waits < BACKLOG_BYTES {
            all.push((self.answers.as_fd(), PollFlags::IN));
        }
        if !self.pending.is_empty() {
            all.push((self.commands.as_fd(), PollFlags::OUT));
        }
        if let Some(caller) = &self.caller {
            let mut flags = PollFlags::empty();
            if self.pending.len() < BACKLOG_BYTES {
                flags |= PollFlags::IN;
            }
            if !caller.backlog.is_empty() {
                flags |= PollFlags::OUT;
            }
            all.push((caller.stream.as_fd(), flags));
        }
        all
    }

    /// The next moment at which [`Line::pump`] has something to do by itself.
    fn due(&self) -> Option<Instant> {
        let caller = self.caller.as_ref().filter(|caller| !caller.backlog.is_empty());
        let stalled = caller.map(|caller| caller.took + CALLER_STALL);
        let room = self.room.as_ref().and_then(|room| room.due(true));
        stalled.into_iter().chain(room).chain(self.warden.due(self.is_in_use())).min()
    }

    fn is_in_use(&self) -> bool {
        self.spoke.is_some_and(|spoke| spoke.elapsed() < IN_USE)
    }

    /// The limits that it met since it was asked last.
    fn met(&mut self) -> Vec<Met> {
        let met = self.warden.met_now(self.told);
        self.told = self.warden.standing();
        met.into_iter().map(Met::in_browser).collect()
    }

    /// Looks at its limits while somebody uses it: nobody wakes the keeper for pages that are left alone.
    fn look(&mut self, spoke: bool) {
        if spoke {
            if !self.is_in_use() {
                self.warden.begins();
            }
            self.spoke = Some(Instant::now());
        }
        // A browser's box has no workspace, for which alone everything would have to end.
        let _ = self.warden.look(self.is_in_use());
    }

    /// Moves what can be moved. True if the caller said something.
    fn pump(&mut self) -> bool {
        self.listen_to_errors();
        let spoke = self.listen_to_caller();
        self.look(spoke);
        self.speak_to_browser();
        self.listen_to_browser();
        self.speak_to_caller();
        let mut died = [PollFd::new(&self.init_fd, PollFlags::IN)];
        if rustix::event::poll(&mut died, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            self.over = true;
        }
        if let Some(met) = self.room.as_mut().and_then(|room| room.look(true)) {
            (self.full, self.over) = (Some(met.in_browser()), true);
        }
        spoke
    }

    fn listen_to_errors(&mut self) {
        if self.errors.as_mut().is_some_and(|errors| !hear_complaints(errors, &mut self.complaints)) {
            self.errors = None;
        }
    }

    /// Takes whole messages from the caller; one who leaves in mid-word has said nothing.
    fn listen_to_caller(&mut self) -> bool {
        let mut spoke = false;
        let mut chunk = [0; CHUNK];
        while let Some(caller) = &mut self.caller
            && self.pending.len() < BACKLOG_BYTES
        {
            match caller.stream.read(&mut chunk) {
                Ok(0) => self.caller = None,
                Ok(bytes) => {
                    spoke = true;
                    caller.heard.extend_from_slice(&chunk[..bytes]);
                    if let Some(end) = caller.heard.iter().rposition(|byte| *byte == 0) {
                        self.pending.extend(caller.heard.drain(..=end));
                    }
                    if caller.heard.len() > MESSAGE_BYTES_MAX {
                        self.caller = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.caller = None,
            }
        }
        spoke
    }

    fn speak_to_browser(&mut self) {
        while !self.pending.is_empty() {
            match self.commands.write(self.pending.as_slices().0) {
                Ok(bytes) if bytes > 0 => drop(self.pending.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn listen_to_browser(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..TURN_CHUNKS {
            if self.caller.as_ref().is_some_and(|caller| caller.backlog.len() >= BACKLOG_BYTES) {
                return;
            }
            match self.answers.read(&mut chunk) {
                Ok(0) => {
                    self.over = true;
                    return;
                }
                Ok(bytes) => {
                    let said = &chunk[..bytes];
                    self.at_boundary = said.ends_with(&[0]);
                    self.overheard.hear(said);
                    if let Some(caller) = &mut self.caller {
                        caller.take(said);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn speak_to_caller(&mut self) {
        while let Some(caller) = &mut self.caller
            && !caller.backlog.is_empty()
        {
            match caller.stream.write(caller.backlog.as_slices().0) {
                Ok(bytes) if bytes > 0 => {
                    caller.backlog.drain(..bytes);
                    caller.took = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if caller.took.elapsed() < CALLER_STALL {
                        return;
                    }
                    self.caller = None;
                }
                _ => self.caller = None,
            }
        }
    }

    /// Ends the browser with everything in its box.
    fn end(mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.init_fd, Signal::KILL);
        let mut gone = [PollFd::new(&self.init_fd, PollFlags::IN)];
        let _ = rustix::event::poll(&mut gone, Some(&super::timespec(END_WAIT)));
        // What is not gone by now is collected by whoever adopts the keeper's children.
        let _ = rustix::process::waitpid(Some(self.init), WaitOptions::NOHANG);
        self.warden.leave();
    }
}

/// Takes what there is of them, but no more than the others can wait for: whoever is in there may complain without end. False at their end.
fn hear_complaints(mut from: impl Read, kept: &mut Vec<u8>) -> bool {
    let mut chunk = [0; CHUNK];
    for _ in 0..TURN_CHUNKS {
        match from.read(&mut chunk) {
            Ok(0) => return false,
            Ok(bytes) => {
                kept.extend_from_slice(&chunk[..bytes]);
                let extra = kept.len().saturating_sub(COMPLAINT_BYTES_MAX);
                kept.drain(..extra);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

impl Caller {
    fn take(&mut self, said: &[u8]) {
        let mut said = said;
        if self.skip {
            let Some(end) = said.iter().position(|byte| *byte == 0) else { return };
            said = &said[end + 1..];
            self.skip = false;
        }
        if self.backlog.is_empty() {
            self.took = Instant::now();
        }
        self.backlog.extend(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_without_end_leave_the_others_their_turn() {
        let mut kept = b"first".to_vec();
        assert!(hear_complaints(io::repeat(b'x'), &mut kept));
        assert_eq!(kept, [b'x'; COMPLAINT_BYTES_MAX]);
        assert!(!hear_complaints(&b"the last"[..], &mut kept));
        assert!(kept.ends_with(b"xthe last") && kept.len() == COMPLAINT_BYTES_MAX);
    }
}
