//! One caller's question, from its first byte to its answer. Each connection carries one; whoever is slow hinders nobody.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::table::Table;
use crate::terminal::{Depict, Until};
use crate::wire::{self, Answer, Ask, Question, VERSION};

/// How long a caller may take to say what he wants.
const QUESTION_WAIT: Duration = Duration::from_secs(20);
/// How long an answer may take to be taken; answers fit into the socket, so this is for the hopeless case.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// Bytes read at one time.
const CHUNK: usize = 64 * 1024;

pub(super) struct Connection {
    stream: UnixStream,
    state: State,
}

enum State {
    Asking {
        heard: Vec<u8>,
        until: Instant,
    },
    Waiting {
        call: String,
        until: Instant,
    },
    Looking {
        call: String,
        wanted: Until,
        depict: Depict,
        until: Instant,
    },
    /// Answered when the keeper leaves.
    UntilTheEnd,
    Over,
}

impl Connection {
    /// Takes a caller in, if it is one of ours.
    pub(super) fn new(stream: UnixStream) -> Option<Self> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
            return None;
        }
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, state: State::Asking { heard: Vec::new(), until: Instant::now() + QUESTION_WAIT } })
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Somebody watches a terminal, which keeps no computer.
    pub(super) fn is_looking(&self) -> bool {
        matches!(self.state, State::Looking { .. })
    }

    /// When this connection wants to be looked at without being ready.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Asking { until, .. } | State::Waiting { until, .. } | State::Looking { until, .. } => Some(until),
            State::UntilTheEnd | State::Over => None,
        }
    }

    /// Reads what has come; the question once it is whole.
    pub(super) fn read(&mut self) -> Option<Ask> {
        loop {
            let State::Asking { heard, .. } = &mut self.state else {
                // Only the end is expected of one who has asked.
                let read = self.stream.read(&mut [0]);
                if !matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    self.state = State::Over;
                }
                return None;
            };
            heard.reserve(CHUNK);
            match rustix::io::read(&self.stream, rustix::buffer::spare_capacity(heard)) {
                Ok(0) => {
                    self.state = State::Over;
                    return None;
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::WOULDBLOCK) => return None,
                Err(_) => {
                    self.state = State::Over;
                    return None;
                }
            }
            match whole(heard) {
                Ok(None) => {}
                Ok(Some(Heard::Ask(ask))) => return Some(ask),
                Ok(Some(Heard::OtherVersion)) => {
                    self.answer(&Answer::Version { mine: VERSION });
                    return None;
                }
                Err(error) => {
                    self.answer(&Answer::Refused { reason: format!("the question makes no sense: {error}") });
                    return None;
                }
            }
        }
    }

    /// Does what was asked and answers, or remembers what to wait for.
    pub(super) fn take(&mut self, ask: Ask, table: &mut Table) {
        let done = match ask {
            Ask::Hello => Ok(()),
            Ask::Start { call, request, wait_ms } => {
                let started = table.start(&call, request);
                if started.is_ok() && wait_ms > 0 {
                    self.wait(call, wait_ms);
                    return;
                }
                started
            }
            Ask::Input { write_id, call, bytes, as_command: false } => table.input(&call, write_id, &bytes),
            Ask::Input { write_id, call, bytes, as_command: true } => table.type_command(&call, write_id, &bytes),
            Ask::Resize { call, size } => table.resize(&call, size),
            Ask::Terminals => {
                self.answer(&Answer::Terminals(table.terminals()));
                return;
            }
            Ask::Look { call, until: wanted, depict, timeout_ms } => {
                self.state = State::Looking { call, wanted, depict, until: at_latest(timeout_ms) };
                return;
            }
            Ask::Kill { call } => table.kill(&call),
            Ask::Wait { call, timeout_ms } => {
                self.wait(call, timeout_ms);
                return;
            }
            Ask::Mark { id } => match table.mark(&id) {
                Ok(new) => {
                    self.answer(&Answer::Marked { new });
                    return;
                }
                Err(reason) => Err(reason),
            },
            Ask::Browser { .. } | Ask::BrowserLimits | Ask::EndBrowser | Ask::Egress | Ask::Deadline { .. } => {
                Err("this is for the keeper itself".to_owned())
            }
            Ask::Shutdown => {
                self.state = State::UntilTheEnd;
                return;
            }
        };
        match done {
            Ok(()) => self.answer(&Answer::Done),
            Err(reason) => self.answer(&Answer::Refused { reason }),
        }
    }

    fn wait(&mut self, call: String, timeout_ms: u64) {
        self.state = State::Waiting { call, until: at_latest(timeout_ms) };
    }

    /// Answers a wait that is over, and gives up on a caller who says nothing.
    pub(super) fn answer_wait(&mut self, table: &mut Table) {
        match &self.state {
            State::Waiting { call, until } => match table.status(call) {
                Err(reason) => self.answer(&Answer::Refused { reason }),
                Ok(mut status) => {
                    let ended = matches!(status, crate::Status::Ended(_));
                    if ended {
                        table.taken(call);
                    }
                    if ended || Instant::now() >= *until {
                        if let crate::Status::Running { limits, .. } = &mut status {
                            *limits = table.met_so_far(call);
                        }
                        self.answer(&Answer::Status(status));
                    }
                }
            },
            State::Looking { call, wanted, depict, until } => {
                if let Some(answer) = table.look_at(call, wanted, *depict, Instant::now() >= *until) {
                    self.answer(&answer);
                }
            }
            State::Asking { until, .. } if Instant::now() >= *until => self.state = State::Over,
            State::Asking { .. } | State::UntilTheEnd | State::Over => {}
        }
    }

    /// Answers and gives the stream away: what follows on it are no questions.
    pub(super) fn hand_over(&mut self, answer: &Answer) -> Option<UnixStream> {
        let stream = if self.is_over() { None } else { self.stream.try_clone().ok() };
        self.answer(answer);
        stream
    }

    /// Answers and is over. A caller who is gone by now asks again if he cares.
    pub(super) fn answer(&mut self, answer: &Answer) {
        if self.is_over() {
            return;
        }
        let ready = self.stream.set_nonblocking(false).and_then(|()| self.stream.set_write_timeout(Some(ANSWER_WAIT)));
        let _ = ready.and_then(|()| wire::send(&self.stream, answer));
        self.state = State::Over;
    }
}

/// When a wait of so long is over.
fn at_latest(timeout_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(timeout_ms).min(Duration::from_secs(86_400 * 365))
}

enum Heard {
    Ask(Ask),
    OtherVersion,
}

/// The question once it is whole. The version is read before the rest: what a later one asks may make no sense here.
fn whole(heard: &[u8]) -> io::Result<Option<Heard>> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Some((head, body)) = heard.split_first_chunk::<4>() else { return Ok(None) };
    let length = wire::frame_length(*head)?;
    if body.len() < length {
        return Ok(None);
    }
    let body = &body[..length];
    if serde_json::from_slice::<Versioned>(body)?.version != VERSION {
        return Ok(Some(Heard::OtherVersion));
    }
    Ok(Some(Heard::Ask(serde_json::from_slice::<Question>(body)?.ask)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(question: &str) -> io::Result<Option<Heard>> {
        let length = u32::try_from(question.len()).unwrap();
        whole(&[&length.to_le_bytes()[..], question.as_bytes()].concat())
    }

    #[test]
    fn a_later_version_is_told_so_whatever_it_asks() {
        assert!(matches!(check(r#"{"version":2,"ask":{"dance":{"partner":7}}}"#), Ok(Some(Heard::OtherVersion))));
        assert!(matches!(check(r#"{"ask":9,"version":7}"#), Ok(Some(Heard::OtherVersion))));
        assert!(matches!(check(r#"{"version":1,"ask":"hello"}"#), Ok(Some(Heard::Ask(Ask::Hello)))));
        assert!(check(r#"{"version":1,"ask":{"dance":{}}}"#).is_err());
    }
}
