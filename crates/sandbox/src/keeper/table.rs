//! The keeper's table of calls by id, and what can be done to them. Twice the same order is one; a result, once written, stays.

mod terminals;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, OFlags, SealFlags};

use super::call::{Call, INPUT_BYTES_MAX, WRITES_MAX};
use super::screen::Drawn;
use super::warden::{Standing, Verdict, Warden};
use crate::init::control::{self, Ends, Order, Report};
use crate::ledger::Ledger;
use crate::met::Met;
use crate::request::{Exit, Request, Status};
use crate::{ComputerSpec, record, sys};

/// Between asking a command to end and ending it.
const GRACE: Duration = Duration::from_secs(2);
/// Calls at one time, with those that left something running.
const CALLS_MAX: usize = 128;
/// After which a result is made to outlast a loss of power, and after which one that a caller has been told.
const SYNC_PAUSE: Duration = Duration::from_millis(50);
const SYNC_PAUSE_TOLD: Duration = Duration::from_secs(3);
/// Between two tries to write results that the record did not take.
const WRITE_PAUSE: Duration = Duration::from_secs(1);
/// Memory for the thread that waits for the disk.
const SYNC_STACK_BYTES: usize = 64 * 1024;
/// The code of a call that the computer could not start.
const NOT_STARTED: i32 = 125;

pub(super) struct Table {
    ledger: Ledger,
    control: OwnedFd,
    warden: Warden,
    /// Where its counters stood when a call was last told what it met.
    told: Standing,
    /// What is kept of one call's output, and of all together.
    output_bytes_max: (u64, u64),
    /// What all calls together may still put out.
    output_left: u64,
    /// Variables of every command.
    env: BTreeMap<String, String>,
    calls: HashMap<String, Call>,
    /// When results that the record did not take are tried again.
    write_at: Option<Instant>,
    /// Calls whose result is written but may not outlast a loss of power yet.
    unsynced: Vec<String>,
    /// When they are made to.
    sync_at: Option<Instant>,
    /// Since when told ones wait for the disk.
    told_since: Option<Instant>,
    /// Those of them that nobody has been told of: nobody else can have them on record.
    untold: HashSet<String>,
    /// Makes the ones before them outlast it, beside everything else.
    syncing: Option<JoinHandle<()>>,
}

impl Table {
    pub(super) fn new(spec: &ComputerSpec, ledger: Ledger, control: OwnedFd, warden: Warden) -> Self {
        // An order that PID 1 does not take is refused: the keeper itself never waits for anybody inside.
        let _ = rustix::fs::fcntl_setfl(&control, OFlags::RDWR | OFlags::NONBLOCK);
        let used = record::outputs_bytes(&spec.dir, |call| ledger.is_answer(call));
        Self {
            ledger,
            control,
            told: warden.standing(),
            warden,
            output_bytes_max: (spec.limits.output_bytes, spec.limits.outputs_bytes),
            output_left: spec.limits.outputs_bytes.saturating_sub(used),
            env: spec.env.clone(),
            calls: HashMap::new(),
            write_at: None,
            unsynced: Vec::new(),
            sync_at: None,
            told_since: None,
            untold: HashSet::new(),
            syncing: None,
        }
    }

    pub(super) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Whether a call is at work. A shell that waits for a command is not.
    pub(super) fn is_busy(&self) -> bool {
        let at_rest = |call: &Call| call.screen.as_ref().is_some_and(|screen| screen.is_at_rest());
        self.calls.values().any(|call| call.result.is_none() && !at_rest(call))
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>, PollFlags)> {
        self.calls.iter().flat_map(|(id, call)| {
            let paused = call.screen.as_ref().is_some_and(|screen| screen.is_paused());
            let hearing = if paused { PollFlags::empty() } else { PollFlags::IN };
            let typing = if call.typed.is_empty() { hearing } else { hearing | PollFlags::OUT };
            let output = call.output.iter().map(|file| (file.as_fd(), PollFlags::IN));
            let terminal = call.terminal.iter().map(move |file| (file.as_fd(), typing));
            output.chain(terminal).map(move |(fd, flags)| (id.as_str(), fd, flags))
        })
    }

    pub(super) fn start(&mut self, id: &str, mut request: Request) -> Result<(), String> {
        record::check_id(id).map_err(|error| error.to_string())?;
        if self.calls.contains_key(id) {
            return Ok(());
        }
        if self.ledger.was_ordered(id) {
            return match self.ledger.result(id) {
                Ok(Some(result)) if result.exit != Exit::Died => Ok(()),
                _ => Err(format!("the call {id} was started in a computer that died: what it did is unknown")),
            };
        }
        if self.calls.len() >= CALLS_MAX {
            return Err(format!("{CALLS_MAX} calls are at work already: end some of them"));
        }
        if let Request::Terminal { name, .. } = &request
            && let Some(reason) = self.no_terminal(name)
        {
            return Err(reason);
        }
        if let Request::Exec { env, .. } | Request::Terminal { env, .. } = &mut request {
            let own = std::mem::replace(env, self.env.clone());
            env.extend(own);
        }
        let is_file = matches!(request, Request::File(_));
        let spool = self.ledger.write_order(id, is_file).map_err(|error| format!("record the call {id}: {error}"))?;
        let mut call = Call::new(spool, self.output_bytes_max, is_file);
        if let Request::Terminal { name, size, .. } = &request {
            self.ledger.note_name(id, name).map_err(|error| format!("record the terminal {name}: {error}"))?;
            call.screen = Some(Box::new(Drawn::new(name.clone(), *size)));
        }
        self.warden.begins();
        call.standing = self.standing();
        if let Err(error) = self.order(id, &request) {
            call.gone = true;
            self.calls.insert(id.to_owned(), call);
            self.end(
                id,
                Exit::Code(NOT_STARTED),
                Some(Met::Other { words: format!("the computer did not take the order: {error}") }),
            );
            self.pump(id);
            return Ok(());
        }
        self.calls.insert(id.to_owned(), call);
        Ok(())
    }

    /// From where on a call that begins now is told what was met. With nobody at work, what was met since the last one was told is
    /// news to everybody.
    fn standing(&self) -> Standing {
        if self.is_busy() { self.warden.standing() } else { self.told }
    }

    /// The limits that a running call has met.
    pub(super) fn met_so_far(&mut self, id: &str) -> Vec<Met> {
        match self.calls.get(id) {
            Some(Call { result: None, screen: None, standing, .. }) => self.warden.met(*standing, Exit::Code(0)),
            _ => Vec::new(),
        }
    }

    /// Hands a request to PID 1: a long one as a file that nobody can change any more.
    fn order(&self, id: &str, request: &Request) -> io::Result<()> {
        let ends = match request {
            Request::Exec { .. } => Ends::PipeAndTerminal,
            Request::Terminal { size, .. } => Ends::Terminal(*size),
            Request::File(_) => Ends::Pipe,
        };
        let full = self.warden.is_full();
        let body = serde_json::to_vec(request)?;
        if body.len() <= control::INLINE_BYTES_MAX {
            let order = Order::Run { call: id.to_owned(), ends, full, request: Some(request.clone()) };
            return control::send(&self.control, &order, &[]);
        }
        let sheet = rustix::fs::memfd_create("request", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let sheet = std::fs::File::from(sheet);
        io::Write::write_all(&mut &sheet, &body)?;
        rustix::fs::fcntl_add_seals(&sheet, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let order = Order::Run { call: id.to_owned(), ends, full, request: None };
        control::send(&self.control, &order, &[sheet.as_fd()])
    }

    pub(super) fn status(&self, id: &str) -> Result<Status, String> {
        if let Some(call) = self.calls.get(id) {
            return Ok(match &call.result {
                Some(result) => Status::Ended(result.clone()),
                None => Status::Running { output_bytes: call.output_bytes(), limits: Vec::new() },
            });
        }
        match self.ledger.result(id) {
            Ok(Some(result)) if result.exit != Exit::Died => Ok(Status::Ended(result)),
            _ => Err(format!("no call {id} is known to this computer")),
        }
    }

    /// Puts an id on the record without a call. False if it was there.
    pub(super) fn mark(&mut self, id: &str) -> Result<bool, String> {
        record::check_id(id).map_err(|error| error.to_string())?;
        if self.calls.contains_key(id) || self.ledger.was_ordered(id) {
            return Ok(false);
        }
        self.ledger.mark(id).map_err(|error| format!("record {id}: {error}"))?;
        Ok(true)
    }

    /// Types, once per id of the writing.
    pub(super) fn input(&mut self, id: &str, write_id: String, bytes: &[u8]) -> Result<(), String> {
        self.write(id, write_id, bytes, false)
    }

    /// Types a command at a terminal's prompt, once per id of the writing.
    pub(super) fn type_command(&mut self, id: &str, write_id: String, command: &[u8]) -> Result<(), String> {
        self.write(id, write_id, command, true)
    }

    fn write(&mut self, id: &str, write_id: String, bytes: &[u8], as_command: bool) -> Result<(), String> {
        record::check_id(id).map_err(|error| error.to_string())?;
        let standing = as_command.then(|| self.standing());
        let Some(call) = self.calls.get_mut(id) else {
            return if self.ledger.was_written(id, &write_id) {
                Ok(())
            } else {
                Err(format!("the call {id} is not running"))
            };
        };
        if call.write_ids.contains(&write_id) {
            return Ok(());
        }
        if call.is_file || call.result.is_some() {
            return Err(format!("the call {id} takes no input any more"));
        }
        if call.typed.len() + bytes.len() > INPUT_BYTES_MAX || call.write_ids.len() >= WRITES_MAX {
            return Err(format!("the command does not read what was typed before ({} bytes wait)", call.typed.len()));
        }
        if as_command && !call.screen.as_ref().is_some_and(|screen| screen.is_at_prompt()) {
            return Err("the shell does not wait for a command".to_owned());
        }
        self.ledger.note_write(id, &write_id).map_err(|error| format!("record what is typed: {error}"))?;
        match &mut call.screen {
            Some(screen) if as_command => {
                call.typed.extend(screen.keys_of(&write_id, bytes).unwrap_or_default());
                (call.standing, call.settled) = (standing.unwrap_or_default(), false);
                self.warden.begins();
            }
            Some(screen) => {
                screen.typed(bytes);
                call.typed.extend(bytes);
            }
            None => call.typed.extend(bytes),
        }
        call.write_ids.insert(write_id);
        call.pump(&mut self.output_left);
        Ok(())
    }

    /// Asks all of a call to end; [`Table::insist`] sees to it.
    pub(super) fn kill(&mut self, id: &str) -> Result<(), String> {
        let Some(call) = self.calls.get_mut(id) else {
            // What has ended and left nothing needs no ending.
            return self.status(id).map(drop);
        };
        if call.insist_at.is_none() && !call.gone {
            let order = if call.is_file {
                Order::Insist { call: id.to_owned() }
            } else {
                call.insist_at = Some(Instant::now() + GRACE);
                Order::Ask { call: id.to_owned() }
            };
            control::send(&self.control, &order, &[]).map_err(|error| format!("end the call {id}: {error}"))?;
        }
        Ok(())
    }

    /// Ends what was asked to end and did not, and what a limit ends; lets a terminal go on whose pause is over, and looks at
    /// those whose shell may have gone back to its prompt without a word.
    pub(super) fn insist(&mut self) {
        let now = Instant::now();
        for (id, call) in &mut self.calls {
            if let Some(screen) = &mut call.screen
                && screen.paused_until.is_some_and(|until| until <= now)
            {
                screen.paused_until = None;
            }
            if let (Some(screen), Some(terminal)) = (&mut call.screen, &call.terminal) {
                screen.look_at_shell(terminal, now);
            }
            if call.insist_at.is_some_and(|at| at <= now) {
                // Until it is gone: what forks faster than we look is met again.
                call.insist_at = Some(now + GRACE);
                let _ = control::send(&self.control, &Order::Insist { call: id.clone() }, &[]);
            }
        }
    }

    /// Looks after the limits that the kernel does not hold.
    pub(super) fn look(&mut self) {
        if let Some(Verdict::EndAll(reason)) = self.warden.look(!self.calls.is_empty()) {
            for call in self.calls.values_mut().filter(|call| !call.gone && !call.is_file) {
                call.ended_for.get_or_insert_with(|| reason.clone());
                call.insist_at = Some(Instant::now());
            }
        }
    }

    /// The next moment at which [`Table::look`] or [`Table::insist`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let insist = self.calls.values().filter_map(|call| call.insist_at);
        let paused = self.calls.values().filter_map(|call| call.screen.as_ref()?.paused_until);
        let quiet =
            self.calls.values().filter_map(|call| call.screen.as_ref().filter(|_| call.terminal.is_some())?.due());
        insist
            .chain(paused)
            .chain(quiet)
            .chain(self.warden.due(!self.calls.is_empty()))
            .chain(self.sync_at)
            .chain(self.write_at)
            .min()
    }

    /// They become readable when [`Table::look`] has something to take.
    pub(super) fn warden_sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.warden.sources()
    }

    /// Lets the control groups go.
    pub(super) fn leave(&mut self) {
        self.warden.leave();
    }

    /// Takes what PID 1 has reported. False if it has closed its side.
    pub(super) fn reports(&mut self) -> io::Result<bool> {
        loop {
            let mut source = [rustix::event::PollFd::new(&self.control, PollFlags::IN)];
            if rustix::event::poll(&mut source, Some(&rustix::event::Timespec::default()))? == 0 {
                return Ok(true);
            }
            let Some((report, descriptors)) = control::receive::<Report>(&self.control)? else { return Ok(false) };
            match report {
                Report::Ready { .. } => {}
                Report::Started { call } => {
                    if let Some(call) = self.calls.get_mut(&call) {
                        call.connect(descriptors);
                    }
                }
                Report::Failed { call: id, reason, crowded } => {
                    if let Some(call) = self.calls.get_mut(&id) {
                        call.gone = true;
                        call.say(&format!("thenar: start the command: {reason}\n"), &mut self.output_left);
                        let met = if crowded { self.warden.crowd() } else { Met::Other { words: reason } };
                        self.end(&id, Exit::Code(NOT_STARTED), Some(met));
                        // Of one that never began no output comes, with which it would go.
                        self.pump(&id);
                    }
                }
                Report::Exited { call, exit, alone } => {
                    self.end(&call, exit, None);
                    if alone {
                        self.gone(&call);
                    }
                }
                Report::Gone { call } => {
                    self.end(&call, Exit::Signal(libc::SIGKILL), None);
                    self.gone(&call);
                }
            }
        }
    }

    /// PID 1 has nothing left of a call.
    fn gone(&mut self, id: &str) {
        if let Some(call) = self.calls.get_mut(id) {
            call.gone = true;
            call.insist_at = None;
        }
        self.pump(id);
    }

    /// Moves a call's output and forgets the call once nothing more can come.
    pub(super) fn pump(&mut self, id: &str) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.pump(&mut self.output_left);
        if call.gone && call.output.is_none() && call.result.is_some() && !call.unwritten {
            self.calls.remove(id);
        }
    }

    /// Writes the result of a call that has none yet.
    fn end(&mut self, id: &str, exit: Exit, limit: Option<Met>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.result.is_none()) else { return };
        let mut limits: Vec<Met> = limit.or(call.ended_for.take()).into_iter().collect();
        limits.extend(self.warden.met(call.standing, exit));
        self.told = self.warden.standing();
        let out_of_files = self.warden.out_of_files();
        call.end(exit, limits, out_of_files, &mut self.output_left);
        self.warden.ends();
        self.write_result(id);
    }

    /// Puts the result of a call on record. A full disk may take it later: until then it is known here. False if it did not.
    fn write_result(&mut self, id: &str) -> bool {
        let Some(call) = self.calls.get_mut(id) else { return true };
        let Some(result) = &call.result else { return true };
        call.unwritten = self.ledger.write_result(id, result).is_err();
        if call.unwritten {
            self.write_at = Some(Instant::now() + WRITE_PAUSE);
            return false;
        }
        self.unsynced.push(id.to_owned());
        self.untold.insert(id.to_owned());
        self.sync_at = Some(Instant::now() + SYNC_PAUSE);
        true
    }

    /// Tries the results again that the record did not take.
    fn write_again(&mut self) {
        self.write_at = None;
        let unwritten = self.calls.iter().filter(|(_, call)| call.unwritten).map(|(id, _)| id.clone());
        for id in unwritten.collect::<Vec<_>>() {
            if !self.write_result(&id) {
                return;
            }
            self.pump(&id);
        }
    }

    pub(super) fn end_all(&mut self, exit: Exit, limit: Option<&Met>) {
        let ids: Vec<String> = self.calls.keys().cloned().collect();
        for id in ids {
            self.end(&id, exit, limit.cloned());
            self.pump(&id);
        }
    }

    /// A caller is told a result: it is on that caller's own record next, and may reach the disk here with others.
    pub(super) fn taken(&mut self, id: &str) {
        if self.untold.remove(id) && self.untold.is_empty() && !self.unsynced.is_empty() {
            self.sync_at = Some(self.told_since.get_or_insert_with(Instant::now).to_owned() + SYNC_PAUSE_TOLD);
        }
    }

    /// Makes results outlast a loss of power, beside everything else: a disk may take its time. Callers have their answers
    /// already; this is for the ones after them.
    pub(super) fn sync(&mut self) {
        if self.write_at.is_some_and(|at| Instant::now() >= at) {
            self.write_again();
        }
        if self.sync_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        if self.syncing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            self.sync_at = Some(Instant::now() + SYNC_PAUSE);
            return;
        }
        (self.sync_at, self.told_since) = (None, None);
        self.untold.clear();
        sys::trim_memory();
        let Ok(work) = self.ledger.sync(std::mem::take(&mut self.unsynced)) else { return };
        self.syncing = std::thread::Builder::new().stack_size(SYNC_STACK_BYTES).spawn(work).ok();
    }

    /// The same, waiting until it is done.
    pub(super) fn sync_and_wait(&mut self) {
        self.write_again();
        if let Some(thread) = self.syncing.take() {
            let _ = thread.join();
        }
        let unsynced = std::mem::take(&mut self.unsynced);
        if !unsynced.is_empty()
            && let Ok(work) = self.ledger.sync(unsynced)
        {
            work();
        }
    }
}
