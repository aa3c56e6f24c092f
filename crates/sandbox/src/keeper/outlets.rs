//! The listeners of the way out in the keeper's hands: lent to one caller at a time, and where nobody serves them, those who
//! wait there are sent away after a while. It reads nothing of what they say.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::connection::Connection;
use crate::egress::Listeners;
use crate::wire::{self, Answer};

/// How long a new connection waits for somebody who serves it.
const UNSERVED_WAIT: Duration = Duration::from_secs(30);

/// What there is of them.
pub(super) struct Outlets {
    listeners: Option<Lent>,
    /// Whoever serves them now.
    line: Option<UnixStream>,
    /// Since when somebody waits whom nobody serves.
    waits: Option<Instant>,
}

struct Lent {
    connecting: Vec<TcpListener>,
    names: OwnedFd,
}

impl Outlets {
    pub(super) fn none() -> Self {
        Self { listeners: None, line: None, waits: None }
    }

    pub(super) fn new(listeners: Listeners) -> Self {
        let mut all: Vec<OwnedFd> = listeners.all.into();
        let names = all.pop();
        let connecting = all.into_iter().map(TcpListener::from).collect();
        Self { listeners: names.map(|names| Lent { connecting, names }), line: None, waits: None }
    }

    /// Lends them to a caller; whoever had them before has them no more.
    pub(super) fn lend(&mut self, connection: &mut Connection) {
        let Some(lent) = &self.listeners else {
            return connection
                .answer(&Answer::Refused { reason: "the computer was made without a way out".to_owned() });
        };
        let Some(line) = connection.hand_over(&Answer::Egress) else { return };
        let mut all: Vec<BorrowedFd<'_>> = lent.connecting.iter().map(AsFd::as_fd).collect();
        all.push(lent.names.as_fd());
        // A caller who cannot take them is gone.
        if wire::send_descriptors(&line, &all).is_ok() && line.set_nonblocking(true).is_ok() {
            (self.line, self.waits) = (Some(line), None);
        }
    }

    /// What to wait for.
    pub(super) fn sources(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        match (&self.line, &self.listeners, self.waits) {
            (Some(line), ..) => vec![(line.as_fd(), PollFlags::IN)],
            (None, Some(lent), None) => lent.connecting.iter().map(|one| (one.as_fd(), PollFlags::IN)).collect(),
            (None, ..) => Vec::new(),
        }
    }

    /// The next moment at which [`Outlets::look`] has something to do by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waits.map(|since| since + UNSERVED_WAIT)
    }

    /// Sees whether whoever served is gone, and who waits in vain.
    pub(super) fn look(&mut self) {
        if self.line.as_ref().is_some_and(|line| is_ready(line.as_fd())) {
            // Nothing is ever said on it: it is the end.
            self.line = None;
        }
        let Some(lent) = self.listeners.as_ref().filter(|_| self.line.is_none()) else { return };
        match self.waits {
            None => self.waits = lent.connecting.iter().any(|one| is_ready(one.as_fd())).then(Instant::now),
            Some(since) if since.elapsed() >= UNSERVED_WAIT => {
                self.waits = None;
                for listener in &lent.connecting {
                    while is_ready(listener.as_fd()) && listener.accept().is_ok() {}
                }
            }
            Some(_) => {}
        }
    }
}

fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let mut source = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    rustix::event::poll(&mut source, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
