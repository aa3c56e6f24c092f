//! The way out of a computer: a proxy that runs in the caller's process, behind listeners that stand inside the computer's
//! network and that its keeper lends out. Programs reach it as an HTTP or SOCKS proxy, or without any setting: names that they
//! look up lead to addresses behind which it listens.
//!
//! It decides nothing: each connection is put to an [`EgressGate`] first. What it does by itself is to refuse: addresses that
//! are nobody's business (this machine, private networks, metadata), requests that can be read in two ways, and TLS or a
//! plain request that asks for another name than the one permitted. It has no cache, and reads nothing of what passes but the
//! beginning of TLS and the heads of plain requests.

mod accept;
mod address;
mod authority;
mod body;
mod dial;
mod dns;
mod echo;
mod front;
mod grant;
mod head;
mod hello;
mod host;
mod intercept;
mod opening;
mod relay;
mod secret;
mod socks;
mod tally;
mod tunnel;

use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

pub use accept::Egress;
pub use authority::Authority;
pub use dial::never_open;
pub use grant::{Ceilings, Grant};
pub use host::Host;
pub use secret::Secret;
pub use tally::{Count, STEP, Tallied, Tally};

/// Where an HTTP proxy listens in every computer that has a way out.
pub const PROXY_PORT: u16 = 3128;
/// And a SOCKS5 proxy.
pub const SOCKS_PORT: u16 = 1080;

/// Variables by which programs find the proxy; what listens in the computer itself is reached without it.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("HTTP_PROXY", "http://127.0.0.1:3128"),
    ("HTTPS_PROXY", "http://127.0.0.1:3128"),
    ("NO_PROXY", "localhost,127.0.0.1,::1,computer"),
    ("http_proxy", "http://127.0.0.1:3128"),
    ("https_proxy", "http://127.0.0.1:3128"),
    ("no_proxy", "localhost,127.0.0.1,::1,computer"),
];

/// Who decides on connections. Its methods are called from many threads, and may block.
pub trait EgressGate: Send + Sync + fmt::Debug {
    /// Whether a program may open this connection: comes back when that is decided and on the record. `gone` says whether
    /// the program has given up waiting.
    ///
    /// # Errors
    /// The refusal, for the program to read.
    fn admit(&self, attempt: &Attempt, gone: &dyn Fn() -> bool) -> Result<Admitted, Refusal>;

    /// A connection was refused without asking; what it wanted to reach need not be known.
    fn refused(&self, attempt: &Attempt, refusal: &Refusal);

    /// An admitted connection is over.
    fn closed(&self, closed: Closed);
}

/// How a program asked for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A request in plain HTTP.
    Http,
    /// TLS to an address behind which the proxy listens.
    Tls,
    /// A tunnel through the HTTP proxy.
    Connect,
    /// Through the SOCKS proxy.
    Socks,
}

/// A connection that a program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it asked.
    pub way: Way,
    /// What it wants to reach.
    pub host: Host,
    /// Where there.
    pub port: u16,
}

impl Attempt {
    /// One of which nobody can say what it wants to reach.
    pub(crate) fn nowhere(way: Way) -> Self {
        Self { way, host: Host::Name(String::new()), port: 0 }
    }

    /// Whether it can be said what it wants to reach.
    pub fn is_placed(&self) -> bool {
        self.host != Host::Name(String::new())
    }
}

/// A connection that may be opened.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Its number, as the gate counts.
    pub number: u64,
    /// Under which it runs.
    pub grant: Arc<Grant>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that spoke, in a word.
    pub rule: String,
    /// In plain words.
    pub reason: String,
}

impl Refusal {
    /// A refusal by one of the proxy's own rules.
    pub fn new(rule: &str, reason: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), reason: reason.into() }
    }
}

/// How an admitted connection went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub number: u64,
    /// Where it led, if it came so far.
    pub address: Option<String>,
    /// The name that its TLS asked for, if it had any that could be read.
    pub tls_name: Option<String>,
    /// Bytes from the computer.
    pub bytes_up: u64,
    /// Bytes to the computer.
    pub bytes_down: u64,
    /// How long it was open.
    pub ms: u64,
    /// Why it was cut off, if it was.
    pub refused: Option<Refusal>,
}

/// The listeners inside, as their keeper lends them out.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// TCP: the HTTP proxy, plain HTTP, TLS, the SOCKS proxy; then UDP: names.
    pub(crate) all: [OwnedFd; LISTENERS],
}

/// How many there are.
pub(crate) const LISTENERS: usize = 5;
/// Where each of them listens inside, in their order.
pub(crate) const LISTENER_PORTS: [u16; LISTENERS] = [PROXY_PORT, 80, 443, SOCKS_PORT, 53];

/// The listeners, and the line whose end tells the keeper that nobody serves them any more.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) listeners: Listeners,
    pub(crate) line: UnixStream,
}
