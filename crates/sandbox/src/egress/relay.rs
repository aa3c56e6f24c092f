//! Moves bytes both ways between a program and a server until one is done, counting them against the grant. What goes up is
//! watched where it has to be: that a request ends, that a tunnel is used for the host that was permitted.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::body::Body;
use super::echo::Echo;
use super::tunnel::{Switch, Tunnel};
use super::{Grant, Refusal};

/// Bytes moved at one time.
const CHUNK: usize = 128 * 1024;
/// How long nothing at all may pass.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long the server is waited for by a program that has asked for one thing and said its last word: it has gone, mostly.
const LEFT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// One end of a connection. Neither reading nor writing ever waits.
pub(crate) trait Side {
    fn fd(&self) -> BorrowedFd<'_>;
    /// Nothing at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
    fn write(&mut self, from: &[u8]) -> io::Result<usize>;
    /// Sends what was written and is still here. True if anything moved.
    fn push(&mut self) -> io::Result<bool> {
        Ok(false)
    }
    /// Something written is still on its way out.
    fn holds_back(&self) -> bool {
        false
    }
    /// Whether its end came without a word, where there is one: somebody on the way may have made it.
    fn is_torn(&self) -> bool {
        false
    }
    /// Nothing more will be written; whether that was all there is.
    fn finish(&mut self, whole: bool);
}

impl Side for Arc<TcpStream> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&**self).read(into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        (&**self).write(from)
    }

    fn finish(&mut self, _whole: bool) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// What a program may say.
#[derive(Debug)]
pub(crate) enum Upward {
    /// Anything.
    Free,
    /// What the host of this tunnel is asked for.
    In(Box<Tunnel>),
    /// The rest of one request.
    Rest(Body),
    /// Nothing before the server has answered a request for another protocol; then, if it speaks that, what this tunnel lets pass, or
    /// anything where there is none.
    Switching(Switch, Option<Box<Tunnel>>),
    /// Nothing: the server speaks no other protocol. A program that takes the connection for one with more requests has to make another.
    Declined,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) tls_name: Option<String>,
    pub(crate) refused: Option<Refusal>,
    pub(crate) parting: Parting,
}

/// How to part from a program that was refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    /// At once.
    #[default]
    Cut,
    /// Nothing that it asked for has passed, and it can be told why in plain HTTP.
    Tell,
    /// What it asked for before is still on its way.
    Wait,
}

/// Moves everything, `first` before what is still to be read from the program.
pub(crate) fn pump(
    client: &mut dyn Side,
    server: &mut dyn Side,
    grant: &Grant,
    first: Vec<u8>,
    upward: Upward,
) -> Passed {
    let mut relay = Relay {
        grant,
        upward,
        passed: Passed::default(),
        up: Lane::default(),
        down: Lane::default(),
        echo: Echo::of(grant.secrets()),
        buffer: vec![0; CHUNK],
        again: false,
        hung_up: false,
        left: false,
        deaf: false,
    };
    cut_at_end(client.fd(), true);
    // What came before the way was open is judged like the rest.
    let begun = if first.is_empty() { relay.said(Vec::new()) } else { relay.count_up(first) };
    let outcome = begun.and_then(|()| relay.run(client, server));
    // Whoever ended the grant cut the line, which looks like an end of its own.
    let cut = match outcome {
        Err(Stop::Refused(refusal)) => Some(refusal),
        Ok(()) | Err(Stop::Broken) if relay.passed.refused.is_none() => grant.ended().cloned(),
        Ok(()) | Err(Stop::Broken) => None,
    };
    if cut.is_some() {
        relay.passed.refused = cut;
        if relay.passed.parting == Parting::Wait {
            relay.passed.parting = Parting::Cut;
        }
    }
    cut_at_end(client.fd(), relay.passed.refused.is_some() && relay.passed.parting == Parting::Cut);
    relay.passed
}

/// Whether the end of a program's connection, also by a kill, drops what is on its way. Whoever is sending hears of it at once then: where
/// there was no room for more just now, the kernel would have it wait for a minute. And what a kill cut off does not look whole.
fn cut_at_end(client: BorrowedFd<'_>, cut: bool) {
    let _ = rustix::net::sockopt::set_socket_linger(client, cut.then_some(Duration::ZERO));
}

enum Stop {
    /// A side broke off.
    Broken,
    Refused(Refusal),
}

#[derive(Default)]
struct Lane {
    waiting: Vec<u8>,
    sent: usize,
    /// Its source has come to its end.
    ended: bool,
    /// Its target has been told.
    told: bool,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.sent == self.waiting.len()
    }

    fn put(&mut self, bytes: Vec<u8>) {
        (self.waiting, self.sent) = (bytes, 0);
    }

    /// Sends what waits. True if anything moved.
    fn flush(&mut self, to: &mut dyn Side) -> Result<bool, Stop> {
        let mut moved = false;
        while !self.is_empty() {
            match to.write(&self.waiting[self.sent..]) {
                Ok(bytes) if bytes > 0 => {
                    self.sent += bytes;
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(moved),
                Ok(_) | Err(_) => return Err(Stop::Broken),
            }
        }
        Ok(moved)
    }
}

struct Relay<'a> {
    grant: &'a Grant,
    upward: Upward,
    passed: Passed,
    up: Lane,
    down: Lane,
    echo: Echo<'a>,
    buffer: Vec<u8>,
    /// What the program said before is to be judged again.
    again: bool,
    /// The program has closed both ways, and its last words are still on their way.
    hung_up: bool,
    /// The program has said its last word, which may be still unread.
    left: bool,
    /// The server takes nothing any more, and may still answer.
    deaf: bool,
}

impl Relay<'_> {
    fn run(&mut self, client: &mut dyn Side, server: &mut dyn Side) -> Result<(), Stop> {
        loop {
            let mut moved = self.hear_client(client)?;
            moved |= self.send_up(server);
            moved |= self.hear_server(server)?;
            moved |= self.down.flush(client)?;
            moved |= client.push().map_err(|_| Stop::Broken)?;
            if self.up.ended && self.up.is_empty() && !self.up.told && matches!(self.upward, Upward::Free) {
                self.up.told = true;
                server.finish(!client.is_torn());
            }
            if self.down.ended && self.down.is_empty() && !client.holds_back() {
                let done = matches!(self.upward, Upward::Rest(_) | Upward::Switching(..) | Upward::Declined);
                if self.up.ended || done {
                    client.finish(!server.is_torn());
                    return Ok(());
                }
                if !self.down.told {
                    self.down.told = true;
                    client.finish(!server.is_torn());
                }
            }
            if !moved && !self.wait(client, server)? {
                return Err(Stop::Broken);
            }
        }
    }

    /// Sends what the program has said. A server that takes no more of it may have said why, and is heard to its end. True if anything
    /// moved.
    fn send_up(&mut self, server: &mut dyn Side) -> bool {
        if self.deaf {
            return false;
        }
        let sent = self.up.flush(server).and_then(|moved| Ok(moved | server.push().map_err(|_| Stop::Broken)?));
        sent.unwrap_or_else(|_| {
            self.deaf = true;
            self.up = Lane { ended: true, told: true, ..Lane::default() };
            if matches!(self.upward, Upward::In(_)) {
                self.upward = Upward::Free;
            }
            // What the program still says is taken, so that the answer is not lost with it.
            self.passed.parting = Parting::Wait;
            true
        })
    }

    /// Whether the program has anything more to say that would be passed on.
    fn listens(&self) -> bool {
        let deaf = match &self.upward {
            Upward::Free => false,
            Upward::In(tunnel) => tunnel.waits(),
            Upward::Rest(body) => body.is_over(),
            Upward::Switching(..) => true,
            // What it says before it has the answer is no more heard than after it.
            Upward::Declined => !self.down.is_empty(),
        };
        !self.up.ended && self.up.is_empty() && !deaf
    }

    fn hear_client(&mut self, client: &mut dyn Side) -> Result<bool, Stop> {
        if !self.listens() {
            return Ok(false);
        }
        if std::mem::take(&mut self.again) {
            self.said(Vec::new())?;
            return Ok(true);
        }
        match client.read(&mut self.buffer) {
            Ok(0) => {
                self.up.ended = true;
                match &mut self.upward {
                    Upward::Free | Upward::Switching(..) | Upward::Declined => {}
                    Upward::In(tunnel) => {
                        tunnel.ends().map_err(Stop::Refused)?;
                        self.upward = Upward::Free;
                    }
                    // Half a request has no answer, and the program that left it waits for none.
                    Upward::Rest(_) => return Err(Stop::Broken),
                }
                Ok(true)
            }
            Ok(bytes) => {
                let said = self.buffer[..bytes].to_vec();
                self.said(said)?;
                Ok(true)
            }
            Err(error) if is_for_now(&error) => Ok(false),
            Err(_) => Err(Stop::Broken),
        }
    }

    fn said(&mut self, mut said: Vec<u8>) -> Result<(), Stop> {
        match &mut self.upward {
            Upward::Free | Upward::Switching(..) => {}
            Upward::Declined => return Err(Stop::Broken),
            Upward::Rest(body) => {
                let own = body.feed(&said).map_err(|why| Stop::Refused(Refusal::new("egress.request", why)))?;
                said.truncate(own);
            }
            Upward::In(tunnel) => {
                let passes = tunnel.said(said, self.grant.secrets());
                self.passed.tls_name = tunnel.tls_name().map(str::to_owned);
                said = passes.map_err(|refusal| {
                    if tunnel.speaks_http() && self.passed.down == 0 {
                        self.passed.parting = Parting::Tell;
                    }
                    Stop::Refused(refusal)
                })?;
                if let Some(refusal) = tunnel.over() {
                    (self.passed.refused, self.passed.parting) = (Some(refusal.clone()), Parting::Wait);
                    self.up.ended = true;
                }
                if tunnel.is_free() || self.up.ended {
                    self.upward = Upward::Free;
                }
            }
        }
        self.count_up(said)
    }

    fn count_up(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.grant.pass_up(bytes.len()).map_err(Stop::Refused)?;
        self.passed.up += u64::try_from(bytes.len()).unwrap_or(0);
        self.up.put(bytes);
        Ok(())
    }

    fn hear_server(&mut self, server: &mut dyn Side) -> Result<bool, Stop> {
        if self.down.ended || !self.down.is_empty() {
            return Ok(false);
        }
        match server.read(&mut self.buffer) {
            Ok(0) => {
                self.down.ended = true;
                self.down.put(self.echo.end());
                Ok(true)
            }
            Ok(bytes) => {
                self.grant.pass_down(bytes).map_err(Stop::Refused)?;
                self.passed.down += u64::try_from(bytes).unwrap_or(0);
                self.answered(bytes);
                self.down.waiting.clear();
                self.echo.hear(&self.buffer[..bytes], &mut self.down.waiting);
                self.down.sent = 0;
                Ok(true)
            }
            Err(error) if is_for_now(&error) => Ok(false),
            Err(_) => Err(Stop::Broken),
        }
    }

    /// Looks at so much of an answer where it says what the program may say next.
    fn answered(&mut self, bytes: usize) {
        match &mut self.upward {
            Upward::In(tunnel) => self.again |= tunnel.answered(&self.buffer[..bytes]),
            Upward::Switching(switch, tunnel) => {
                let Some(switched) = switch.hears(&self.buffer[..bytes]) else { return };
                self.upward = match tunnel.take() {
                    _ if !switched => Upward::Declined,
                    Some(tunnel) => Upward::In(tunnel),
                    None => Upward::Free,
                };
            }
            Upward::Free | Upward::Rest(_) | Upward::Declined => {}
        }
    }

    /// Whether the program has asked for all that it may ask for, and waits.
    fn asked(&self) -> bool {
        match &self.upward {
            Upward::Rest(body) => body.is_over(),
            Upward::Switching(..) | Upward::Declined => true,
            Upward::Free | Upward::In(_) => false,
        }
    }

    /// Waits for what can be moved; false if nothing came for too long, or a side is gone for good.
    fn wait(&mut self, client: &dyn Side, server: &dyn Side) -> Result<bool, Stop> {
        let flags = |reads: bool, writes: bool| {
            let reads = if reads { PollFlags::IN } else { PollFlags::empty() };
            reads | if writes { PollFlags::OUT } else { PollFlags::empty() }
        };
        let mut of_client = flags(self.listens(), !self.down.is_empty() || client.holds_back());
        let asked = self.asked();
        if asked && !self.up.ended && !self.left {
            // Nothing is read of it now, and so neither is its end.
            of_client |= PollFlags::RDHUP;
        }
        let hears_server = !self.down.ended && self.down.is_empty();
        let of_server = flags(hears_server, !self.deaf && (!self.up.is_empty() || server.holds_back()));
        // A side that has closed both ways says so without end. It is not asked while what it said is still being passed on: that, and
        // what the kernel holds of it, has to arrive.
        let watched = (!of_client.is_empty() || !self.hung_up, !of_server.is_empty() || self.down.is_empty());
        let mut fds = Vec::with_capacity(2);
        fds.extend(watched.0.then(|| PollFd::from_borrowed_fd(client.fd(), of_client)));
        fds.extend(watched.1.then(|| PollFd::from_borrowed_fd(server.fd(), of_server)));
        let patience = if asked && (self.up.ended || self.left) { LEFT } else { IDLE };
        let patience = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: 0 };
        let came = match rustix::event::poll(&mut fds, Some(&patience)) {
            Ok(0) => return Ok(false),
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(_) => return Err(Stop::Broken),
            Ok(_) => fds.iter().map(PollFd::revents).collect::<Vec<_>>(),
        };
        let (client, server) = match (watched, &came[..]) {
            ((true, true), [client, server]) => (*client, *server),
            ((true, false), [client]) => (*client, PollFlags::empty()),
            ((false, true), [server]) => (PollFlags::empty(), *server),
            _ => return Ok(true),
        };
        self.left |= of_client.contains(PollFlags::RDHUP) && client.contains(PollFlags::RDHUP);
        // What it said before is read after a change of protocol only.
        self.up.ended |= self.left && matches!(self.upward, Upward::Rest(_) | Upward::Declined);
        // A side that is gone says so even if nothing is wanted of it: there is nothing left to wait for.
        let broken = PollFlags::ERR | PollFlags::NVAL;
        if of_client.is_empty() && client.contains(PollFlags::HUP) && !self.up.is_empty() {
            self.hung_up = true;
            return Ok(!client.intersects(broken));
        }
        let lost = |came: PollFlags, wanted: PollFlags| wanted.is_empty() && came.intersects(broken | PollFlags::HUP);
        Ok(!lost(client, of_client) && !lost(server, of_server))
    }
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A socket whose reading and writing never wait, for [`pump`].
pub(crate) fn unwaiting(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)
}

/// A socket that waits at most so long, for what comes before.
pub(crate) fn waiting(stream: &TcpStream, most: Duration) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(most))?;
    stream.set_write_timeout(Some(most))
}

#[cfg(test)]
mod tests;
