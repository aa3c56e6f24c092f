//! The right to connect to one place: how much may pass, and who can end it. It is made by whoever decides; here it is kept to.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Authority, Count, Refusal, Secret};

/// How long a connection waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(30);
/// How often one that waits looks whether that is still worth it.
const ROOM_LOOK: Duration = Duration::from_millis(250);

/// What a grant is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Bytes from the computer, over all connections together, and those of the grants that it had before.
    pub bytes_up: u64,
    /// Bytes to the computer.
    pub bytes_down: u64,
    /// Connections at one time.
    pub connections: usize,
    /// How long it holds.
    pub holds: Duration,
}

/// The right of one task to connect to one host and port. Shared by its connections; whoever made it can end it.
pub struct Grant {
    id: u64,
    at: Option<SocketAddr>,
    ceilings: Ceilings,
    until: Instant,
    count: Arc<Count>,
    ended: OnceLock<Refusal>,
    live: Mutex<BTreeMap<u64, Arc<TcpStream>>>,
    /// One of them has ended.
    room: Condvar,
    secrets: Vec<Secret>,
    authority: Option<Arc<Authority>>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("id", &self.id).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Grant {
    /// A grant that leads to `at` whatever the name resolves to, or where there is none, to an address of the open internet.
    pub fn new(id: u64, at: Option<SocketAddr>, ceilings: Ceilings) -> Self {
        let until = Instant::now() + ceilings.holds;
        Self {
            id,
            at,
            ceilings,
            until,
            count: Arc::default(),
            ended: OnceLock::new(),
            live: Mutex::default(),
            room: Condvar::new(),
            secrets: Vec::new(),
            authority: None,
        }
    }

    /// The same, with secrets that are put into requests on the way there; over TLS as this authority, or not where there is none.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Vec<Secret>, authority: impl Into<Option<Arc<Authority>>>) -> Self {
        (self.secrets, self.authority) = (secrets, authority.into());
        self
    }

    /// The same, going on with what was counted of its place before.
    #[must_use]
    pub fn counting(mut self, count: Arc<Count>) -> Self {
        self.count = count;
        self
    }

    /// Whether it puts in these secrets and no others.
    pub fn puts_in(&self, secrets: &[Secret]) -> bool {
        self.secrets == secrets
    }

    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// In whose name TLS is spoken here, where a secret has to be put in.
    pub(crate) fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref().filter(|_| !self.secrets.is_empty())
    }

    /// Its number, as whoever made it counts.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The address that was named with it.
    pub fn at(&self) -> Option<SocketAddr> {
        self.at
    }

    /// Why it is over, if it is.
    pub fn ended(&self) -> Option<&Refusal> {
        if Instant::now() >= self.until {
            self.end(Refusal::new("egress.expired", "the time for which it was permitted is over"));
        }
        self.ended.get()
    }

    /// Ends it, and its connections at once.
    pub fn end(&self, why: Refusal) {
        let _ = self.ended.set(why);
        for stream in self.streams().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Counts a connection in, as soon as there is room: programs that fetch much open more at once than there is. `gone` says whether
    /// the program has given up waiting.
    pub(crate) fn enter(&self, number: u64, stream: &Arc<TcpStream>, gone: &dyn Fn() -> bool) -> Result<(), Refusal> {
        let (most, until) = (self.ceilings.connections, Instant::now() + ROOM_WAIT);
        while !self.enters(number, stream) {
            if let Some(why) = self.ended() {
                return Err(why.clone());
            }
            if gone() {
                return Err(Refusal::new("egress.gone", "the program did not wait for room"));
            }
            if Instant::now() >= until {
                return Err(Refusal::new("egress.connections", format!("{most} connections to it are open already")));
            }
        }
        // Whoever ended it meanwhile may not have seen this one.
        self.ended().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Whether there is room for it now. Where there is none, it waits for a moment until one leaves.
    fn enters(&self, number: u64, stream: &Arc<TcpStream>) -> bool {
        let full = |live: &BTreeMap<u64, Arc<TcpStream>>| live.len() >= self.ceilings.connections;
        let mut live = self.streams();
        if full(&live) {
            live = self.room.wait_timeout(live, ROOM_LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        if full(&live) {
            return false;
        }
        live.insert(number, Arc::clone(stream));
        true
    }

    pub(crate) fn leave(&self, number: u64) {
        let mut live = self.streams();
        live.remove(&number);
        self.room.notify_one();
        if live.is_empty() {
            self.count.settle();
        }
    }

    /// Counts bytes from the computer before they pass.
    pub(crate) fn pass_up(&self, bytes: usize) -> Result<(), Refusal> {
        self.pass(|| self.count.pass_up(whole(bytes), self.ceilings.bytes_up))
    }

    /// Counts bytes to the computer.
    pub(crate) fn pass_down(&self, bytes: usize) -> Result<(), Refusal> {
        self.pass(|| self.count.pass_down(whole(bytes), self.ceilings.bytes_down))
    }

    fn pass(&self, counted: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
        self.ended().map_or(Ok(()), |why| Err(why.clone()))?;
        counted().inspect_err(|why| self.end(why.clone()))
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<TcpStream>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
