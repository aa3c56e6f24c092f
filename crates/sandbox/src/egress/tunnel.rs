//! What a program says in a tunnel, looked at where it could name another host than the permitted one: TLS in its first words, plain
//! HTTP in every request. All else passes unread. It moves no bytes itself, and keeps none that may pass.

use super::body::Body;
use super::head::{self, After, HEAD_BYTES_MAX, Head};
use super::hello::{self, Hello};
use super::opening::{self, Opening};
use super::secret::Going;
use super::{Host, Refusal, Secret};

/// A program's side of a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    host: Host,
    port: u16,
    phase: Phase,
    /// What was said and is not judged.
    held: Vec<u8>,
    /// So much of it has passed all the same: the beginning of a first line.
    passed: usize,
    /// So much of it holds no end of a head.
    looked: usize,
    /// No request has passed yet.
    first: bool,
    tls_name: Option<String>,
}

#[derive(Debug)]
enum Phase {
    /// Nobody knows yet what is spoken.
    Beginning,
    /// In the head of a request.
    Head,
    /// In its body.
    Body(Body),
    /// The server is to answer a request for another protocol.
    Switching(Switch),
    /// Anything may pass.
    Free,
    /// Nothing more may; what passed before is still answered.
    Over(Refusal),
}

impl Tunnel {
    /// One to this place, in which so much was said already.
    pub(crate) fn new(host: Host, port: u16, held: Vec<u8>) -> Self {
        Self { host, port, phase: Phase::Beginning, held, passed: 0, looked: 0, first: true, tls_name: None }
    }

    /// One to this place in which the protocol has been changed already.
    pub(crate) fn behind_a_switch(host: Host, port: u16) -> Self {
        Self { first: false, ..Self::new(host, port, Vec::new()) }
    }

    /// Takes what the program says, and gives what passes of all so far.
    ///
    /// # Errors
    /// The refusal, where no request has passed.
    pub(crate) fn said(&mut self, said: Vec<u8>, secrets: &[Secret]) -> Result<Vec<u8>, Refusal> {
        if self.held.is_empty() {
            self.held = said;
        } else {
            self.held.extend_from_slice(&said);
        }
        let mut passes = Vec::new();
        match self.judge(secrets, &mut passes) {
            Err(refusal) if self.first => Err(refusal),
            Err(refusal) => {
                self.phase = Phase::Over(refusal);
                Ok(passes)
            }
            Ok(()) => Ok(passes),
        }
    }

    /// Takes what the server says. Whether what was said before by the program is to be judged again now.
    pub(crate) fn answered(&mut self, answer: &[u8]) -> bool {
        let Phase::Switching(switch) = &mut self.phase else { return false };
        let Some(switched) = switch.hears(answer) else { return false };
        self.phase = if switched { Phase::Beginning } else { Phase::Head };
        true
    }

    /// The program says nothing more.
    ///
    /// # Errors
    /// If that leaves something half said that must not be read otherwise.
    pub(crate) fn ends(&mut self) -> Result<(), Refusal> {
        let half = match &self.phase {
            Phase::Beginning if hello::begins(&self.held) => return Err(self.unread_tls()),
            Phase::Beginning => opening::read(&[&self.held[..], b"\n"].concat()) == Opening::Http,
            Phase::Head => !self.held.is_empty(),
            Phase::Body(_) | Phase::Switching(_) | Phase::Free | Phase::Over(_) => false,
        };
        if half { Err(Refusal::new("egress.request", "the head has no end")) } else { Ok(()) }
    }

    /// Nothing is to be heard of the program before the server has answered.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Switching(_))
    }

    pub(crate) fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Free)
    }

    /// Why nothing more passes, if so.
    pub(crate) fn over(&self) -> Option<&Refusal> {
        match &self.phase {
            Phase::Over(refusal) => Some(refusal),
            Phase::Beginning | Phase::Head | Phase::Body(_) | Phase::Switching(_) | Phase::Free => None,
        }
    }

    /// It is plain HTTP, so the program understands a refusal in it.
    pub(crate) fn speaks_http(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Body(_))
    }

    /// The name that its TLS asked for.
    pub(crate) fn tls_name(&self) -> Option<&str> {
        self.tls_name.as_deref()
    }

    fn judge(&mut self, secrets: &[Secret], passes: &mut Vec<u8>) -> Result<(), Refusal> {
        loop {
            match &mut self.phase {
                Phase::Beginning => match self.begins()? {
                    Some(phase) => self.phase = phase,
                    None => {
                        // A program that ends no line would wait for ever for an answer to it.
                        if !hello::begins(&self.held) {
                            passes.extend_from_slice(&self.held[self.passed..]);
                            self.passed = self.held.len();
                        }
                        return Ok(());
                    }
                },
                Phase::Head => {
                    let Some(end) = head::end(&self.held, self.looked) else { return self.unended() };
                    self.request(end, secrets, passes)?;
                }
                Phase::Body(body) => {
                    let own = body.feed(&self.held).map_err(|why| Refusal::new("egress.request", why))?;
                    if own == self.held.len() && passes.is_empty() {
                        *passes = std::mem::take(&mut self.held);
                    } else {
                        passes.extend(self.held.drain(..own));
                    }
                    if !body.is_over() {
                        return Ok(());
                    }
                    self.phase = Phase::Head;
                }
                Phase::Free => {
                    passes.extend_from_slice(&self.held[std::mem::take(&mut self.passed)..]);
                    self.held = Vec::new();
                    return Ok(());
                }
                Phase::Switching(_) | Phase::Over(_) => return Ok(()),
            }
        }
    }

    /// What is spoken, once that is to be seen.
    fn begins(&mut self) -> Result<Option<Phase>, Refusal> {
        Ok(match hello::read(&self.held) {
            Hello::More => None,
            // What is meant for TLS, and for us not to be read, the server may read in its own way.
            Hello::Other if hello::begins(&self.held) => return Err(self.unread_tls()),
            Hello::Other => match opening::read(&self.held) {
                Opening::More => None,
                Opening::Http => Some(Phase::Head),
                Opening::Other => Some(Phase::Free),
            },
            Hello::Tls(name) => {
                self.tls_name.clone_from(&name);
                match name.filter(|name| Host::parse(name).as_ref() != Ok(&self.host)) {
                    None => Some(Phase::Free),
                    Some(name) => {
                        let why = format!("its TLS asks for {name:?}, and {} was permitted", self.host);
                        return Err(Refusal::new("egress.tls_name", why));
                    }
                }
            }
        })
    }

    fn unread_tls(&self) -> Refusal {
        Refusal::new("egress.tls_name", format!("its TLS cannot be read, and {} was permitted", self.host))
    }

    /// A head without an end so far: one that will never have a sound one is not waited for.
    fn unended(&mut self) -> Result<(), Refusal> {
        let from = self.looked.saturating_sub(1);
        let torn = |two: &[u8]| (two[0] == b'\r') != (two[1] == b'\n');
        let why = if self.held.starts_with(b"PRI * HTTP/2") {
            "HTTP/2 without TLS is not read here: speak HTTP/1.1, or HTTP/2 inside TLS"
        } else if self.held.starts_with(b"\n") || self.held[from..].windows(2).any(torn) {
            "a line of the head does not end as it must"
        } else if self.held.len() > HEAD_BYTES_MAX {
            "the head of the request is too long"
        } else {
            self.looked = self.held.len();
            return Ok(());
        };
        Err(Refusal::new("egress.request", why))
    }

    /// Judges a request whose head ends there, and passes the head on.
    fn request(&mut self, end: usize, secrets: &[Secret], passes: &mut Vec<u8>) -> Result<(), Refusal> {
        let wrong = |why: &str| Refusal::new("egress.request", why);
        if self.held.starts_with(b"PRI * HTTP/2") {
            return self.unended();
        }
        if end > HEAD_BYTES_MAX {
            return Err(wrong("the head of the request is too long"));
        }
        let mut head = Head::parse(&self.held[..end]).map_err(wrong)?;
        let authority = head.asks_for(&self.host, self.port)?;
        let body = head.body().map_err(wrong)?;
        // Only the answer to a first request is sure to be the first answer.
        let switches = self.first && body.is_over() && head.switches();
        head.fill_in(secrets, Going::InClear);
        let written = head.written(&authority, &head.target, if switches { After::Switch } else { After::AsSaid });
        if !written.starts_with(&self.held[..self.passed]) {
            return Err(wrong("the request line holds signs that it must not"));
        }
        passes.extend_from_slice(&written[self.passed..]);
        self.held.drain(..end);
        (self.passed, self.looked, self.first) = (0, 0, false);
        self.phase = if switches { Phase::Switching(Switch::default()) } else { Phase::Body(body) };
        Ok(())
    }
}

/// What a server has said of its answer to a request for another protocol.
#[derive(Debug, Default)]
pub(crate) struct Switch(Vec<u8>);

impl Switch {
    /// Takes what the server says. Whether it speaks the other protocol now, once that is to be seen.
    pub(crate) fn hears(&mut self, answer: &[u8]) -> Option<bool> {
        self.0.extend_from_slice(&answer[..answer.len().min(HEAD_BYTES_MAX)]);
        // Whoever announces an answer without end gives none: it is not kept, nor read anew with every piece.
        switched(&self.0).or((self.0.len() > HEAD_BYTES_MAX).then_some(false))
    }
}

/// Whether a server that has answered so much has changed to another protocol, once that is to be seen.
fn switched(answer: &[u8]) -> Option<bool> {
    let mut rest = answer;
    loop {
        let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
            return (rest.len() > HEAD_BYTES_MAX).then_some(false);
        };
        match rest[..line].strip_prefix(b"HTTP/1.1 ").and_then(|code| code.get(..3)) {
            Some(b"101") => return Some(true),
            Some([b'1', _, _]) => {}
            _ => return Some(false),
        }
        // One that announces another answer.
        let Some(end) = head::end(rest, 0) else {
            return (answer.len() > HEAD_BYTES_MAX).then_some(false);
        };
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests;
