//! One connection of a program, from its first byte to its end: which place it wants, whether it may, and the way there. Of what
//! passes it keeps nothing.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dns::{self, Names};
use super::head::{self, After, Bad, Head};
use super::hello::{self, HELLO_BYTES_MAX, Hello};
use super::intercept::{self, Between};
use super::relay::{self, Parting, Passed, Upward};
use super::secret::Going;
use super::socks::{self, Reply, Wanted};
use super::tunnel::{Switch, Tunnel};
use super::{Admitted, Attempt, Closed, EgressGate, Host, Refusal, Way, dial};

/// How long a program may take to say what it wants.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// How long it may take to read a refusal.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Of what is said after an answer so much is taken, so that the answer is not lost with the connection.
const LEFTOVER_BYTES_MAX: usize = 1024 * 1024;
/// A refusal in TLS, before there is any: access denied.
const TLS_REFUSAL: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

/// Where a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Proxy,
    Http,
    Tls,
    Socks,
}

/// What all connections of a computer have in common.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) gate: Arc<dyn EgressGate>,
    pub(crate) names: Mutex<Names>,
    /// Nobody is led out any more.
    pub(crate) over: AtomicBool,
}

/// Serves a connection to its end.
pub(crate) fn serve(world: &World, door: Door, client: &Arc<TcpStream>) {
    let front = Front { world, client, since: Instant::now() };
    // Whoever breaks off has heard all there was to say.
    let _ = relay::waiting(client, FIRST_WAIT).and_then(|()| match door {
        Door::Proxy | Door::Http => front.http(door),
        Door::Tls => front.tls(),
        Door::Socks => front.socks(),
    });
    let _ = client.shutdown(std::net::Shutdown::Both);
}

struct Front<'a> {
    world: &'a World,
    client: &'a Arc<TcpStream>,
    since: Instant,
}

/// A connection that was permitted, open on both sides.
struct Open {
    admitted: Admitted,
    server: Arc<TcpStream>,
    address: SocketAddr,
}

impl Front<'_> {
    fn http(&self, door: Door) -> io::Result<()> {
        let (head, rest) = match head::read(&**self.client, self.since + FIRST_WAIT) {
            Ok(heard) => heard,
            Err(Bad::Silent) => return Ok(()),
            Err(Bad::Form(why)) => return self.wrong(&Attempt::nowhere(Way::Http), why),
        };
        if door == Door::Proxy && head.method == "CONNECT" {
            return match Host::parse_with_port(&head.target, None) {
                Ok((host, port)) => self.tunnel(self.meant(host), port, rest),
                Err(why) => self.wrong(&Attempt::nowhere(Way::Connect), why),
            };
        }
        match self.place(door, &head) {
            Ok((attempt, path)) => self.request(&attempt, head, &path, rest),
            Err((Some(attempt), refusal)) => {
                self.world.gate.refused(&attempt, &refusal);
                self.say(403, &refusal)
            }
            Err((None, refusal)) => {
                self.world.gate.refused(&Attempt::nowhere(Way::Http), &refusal);
                self.say(400, &refusal)
            }
        }
    }

    /// Refuses a request that is none.
    fn wrong(&self, attempt: &Attempt, why: &str) -> io::Result<()> {
        let refusal = Refusal::new("egress.request", why);
        self.world.gate.refused(attempt, &refusal);
        self.say(400, &refusal)
    }

    /// Which place a request is for, and its path there.
    fn place(&self, door: Door, head: &Head) -> Result<(Attempt, String), (Option<Attempt>, Refusal)> {
        let bad = |why: &str| (None, Refusal::new("egress.request", why));
        let said = head.host().map_err(bad)?;
        if door == Door::Http {
            let said = said.ok_or_else(|| bad("the request names no host"))?;
            let (host, port) = Host::parse_with_port(said, Some(80)).map_err(bad)?;
            if !head.target.starts_with('/') && head.target != "*" {
                return Err(bad("the request is one for a proxy, and this is none"));
            }
            let attempt = Attempt { way: Way::Http, host, port };
            self.looked_up(&attempt, 80, "the request asks for")?;
            return Ok((attempt, head.target.clone()));
        }
        let rest = head.target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest = rest.map(|_| &head.target[7..]).ok_or_else(|| bad("a proxy is asked for http:// addresses"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = Host::parse_with_port(authority, Some(80)).map_err(bad)?;
        if said.is_some_and(|said| Host::parse_with_port(said, Some(80)) != Ok((host.clone(), port))) {
            return Err(bad("the request names two hosts"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok((Attempt { way: Way::Http, host: self.meant(host), port }, path))
    }

    /// Compares what a program asks for with the name that it looked up, where that is known.
    fn looked_up(&self, attempt: &Attempt, port: u16, how: &str) -> Result<(), (Option<Attempt>, Refusal)> {
        let looked_up = self.local().and_then(|address| self.name(address));
        let differs = looked_up.as_ref().is_some_and(|name| attempt.host != Host::Name(name.clone()));
        if !differs && attempt.port == port {
            return Ok(());
        }
        let rule = if attempt.way == Way::Tls { "egress.tls_name" } else { "egress.host" };
        let name = looked_up.unwrap_or_else(|| format!("port {port}"));
        let why = format!("{how} {}, and the connection was made to {name}", attempt.host.with_port(attempt.port));
        Err((Some(attempt.clone()), Refusal::new(rule, why)))
    }

    /// One request in plain HTTP. The next one needs a connection of its own: no second host slips in behind the first.
    fn request(&self, attempt: &Attempt, mut head: Head, path: &str, rest: Vec<u8>) -> io::Result<()> {
        let mut body = match head.body() {
            Ok(body) => body,
            Err(why) => return self.wrong(attempt, why),
        };
        let own = match body.feed(&rest) {
            Ok(own) => own,
            Err(why) => return self.wrong(attempt, why),
        };
        let open = match self.open(attempt) {
            Ok(open) => open,
            Err(refusal) => return self.say(403, &refusal),
        };
        let authority = if attempt.port == 80 { attempt.host.alone() } else { attempt.host.with_port(attempt.port) };
        head.fill_in(open.admitted.grant.secrets(), Going::InClear);
        // Behind a change of protocol what is spoken is judged as in a tunnel. Who speaks it before the answer means something else.
        let switches = body.is_over() && rest.is_empty() && head.switches();
        let mut first = head.written(&authority, path, if switches { After::Switch } else { After::Close });
        first.extend_from_slice(&rest[..own]);
        let then = || Some(Box::new(Tunnel::behind_a_switch(attempt.host.clone(), attempt.port)));
        let upward = if switches { Upward::Switching(Switch::default(), then()) } else { Upward::Rest(body) };
        self.pass(open, first, upward)?;
        self.part()
    }

    fn tunnel(&self, host: Host, port: u16, rest: Vec<u8>) -> io::Result<()> {
        let attempt = Attempt { way: Way::Connect, host, port };
        match self.open(&attempt) {
            Err(refusal) => self.say(403, &refusal),
            Ok(open) => {
                let told = (&**self.client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
                self.pass_told(told, open, rest, attempt)
            }
        }
    }

    fn socks(&self) -> io::Result<()> {
        let (host, port) = match socks::wanted(self.client, self.since + FIRST_WAIT)? {
            Wanted::Place(host, port) => (host, port),
            Wanted::Other(place, why) => {
                let placed = |(host, port)| Attempt { way: Way::Socks, host: self.meant(host), port };
                let attempt = place.map_or_else(|| Attempt::nowhere(Way::Socks), placed);
                self.world.gate.refused(&attempt, &Refusal::new("egress.request", why));
                return Ok(());
            }
        };
        let attempt = Attempt { way: Way::Socks, host: self.meant(host), port };
        match self.open(&attempt) {
            Err(refusal) => {
                let lost = matches!(&*refusal.rule, "egress.unreachable" | "egress.unresolved");
                socks::answer(&**self.client, if lost { Reply::Failed } else { Reply::NotPermitted })
            }
            Ok(open) => {
                let told = socks::answer(&**self.client, Reply::Open);
                self.pass_told(told, open, Vec::new(), attempt)
            }
        }
    }

    /// TLS that came to an address which stands for a name.
    fn tls(&self) -> io::Result<()> {
        let mut heard = Vec::new();
        let mut chunk = [0; 4096];
        let looked_up = self.local().and_then(|address| self.name(address));
        let asked = loop {
            match hello::read(&heard) {
                Hello::Tls(name) => break name,
                Hello::Other => return self.no_tls(looked_up, "it is no TLS that can be read"),
                Hello::More if heard.len() > HELLO_BYTES_MAX || self.since.elapsed() > FIRST_WAIT => return Ok(()),
                Hello::More => {}
            }
            match io::Read::read(&mut &**self.client, &mut chunk)? {
                0 => return Ok(()),
                bytes => heard.extend_from_slice(&chunk[..bytes]),
            }
        };
        // A program that asks for no name means the one that it looked up.
        let Some(host) = asked.or_else(|| looked_up.clone()).and_then(|name| Host::parse(&name).ok()) else {
            return self.no_tls(looked_up, "its TLS asks for no host");
        };
        let attempt = Attempt { way: Way::Tls, host, port: 443 };
        let opened = match self.looked_up(&attempt, 443, "its TLS asks for") {
            Ok(()) => self.open(&attempt),
            Err((_, refusal)) => {
                self.world.gate.refused(&attempt, &refusal);
                Err(refusal)
            }
        };
        match opened {
            Err(_) => (&**self.client).write_all(&TLS_REFUSAL),
            Ok(open) => self.tunnelled(open, attempt, heard),
        }
    }

    /// Refuses TLS, or what should be, of which only the name that was looked up for it can be told.
    fn no_tls(&self, looked_up: Option<String>, why: &str) -> io::Result<()> {
        let placed = |name| Attempt { way: Way::Tls, host: Host::Name(name), port: 443 };
        let attempt = looked_up.map_or_else(|| Attempt::nowhere(Way::Tls), placed);
        self.world.gate.refused(&attempt, &Refusal::new("egress.tls_name", why));
        (&**self.client).write_all(&TLS_REFUSAL)
    }

    /// Asks whether the connection may be, and makes it.
    fn open(&self, attempt: &Attempt) -> Result<Open, Refusal> {
        let gone = || is_gone(self.client);
        let admitted = self.world.gate.admit(attempt, &gone)?;
        let (number, grant) = (admitted.number, Arc::clone(&admitted.grant));
        let dialled =
            grant.enter(number, self.client, &gone).and_then(|()| dial::dial(&attempt.host, attempt.port, &grant));
        // Either may have ended while the gate or the other side took its time.
        let over = || Refusal::new("egress.over", "nobody works on the task any more");
        let ended = || self.world.over.load(Ordering::SeqCst).then(over).or_else(|| grant.ended().cloned());
        let dialled = dialled.and_then(|dialled| ended().map_or(Ok(dialled), Err));
        match dialled {
            Ok((server, address)) => Ok(Open { admitted, server: Arc::new(server), address }),
            Err(refusal) => {
                self.close(&admitted, None, Passed { refused: Some(refusal.clone()), ..Passed::default() });
                Err(refusal)
            }
        }
    }

    fn pass_told(&self, told: io::Result<()>, open: Open, rest: Vec<u8>, attempt: Attempt) -> io::Result<()> {
        if let Err(error) = told {
            self.close(&open.admitted, Some(open.address), Passed::default());
            return Err(error);
        }
        self.tunnelled(open, attempt, rest)
    }

    /// What follows is the program's own as far as it is for this host; TLS only where no secret has to be put in.
    fn tunnelled(&self, open: Open, attempt: Attempt, mut heard: Vec<u8>) -> io::Result<()> {
        let grant = Arc::clone(&open.admitted.grant);
        let authority = grant.authority();
        if authority.is_some() && heard.is_empty() {
            heard = self.first_words();
        }
        let Some(authority) = authority.filter(|_| matches!(heard.first(), None | Some(0x16))) else {
            return self.pass(open, Vec::new(), Upward::In(Box::new(Tunnel::new(attempt.host, attempt.port, heard))));
        };
        let between = Between {
            client: self.client,
            server: &open.server,
            host: &attempt.host,
            port: attempt.port,
            grant: &grant,
            authority,
            until: Instant::now() + FIRST_WAIT,
            patience: FIRST_WAIT,
        };
        let passed = intercept::pass(&between, heard);
        self.close(&open.admitted, Some(open.address), passed);
        self.part()
    }

    /// What a program says first; nothing if it says nothing in time.
    fn first_words(&self) -> Vec<u8> {
        let mut chunk = [0; 4096];
        let bytes = io::Read::read(&mut &**self.client, &mut chunk).unwrap_or(0);
        chunk[..bytes].to_vec()
    }

    /// Passes bytes both ways to the end.
    fn pass(&self, open: Open, first: Vec<u8>, upward: Upward) -> io::Result<()> {
        let ready = relay::unwaiting(self.client).and_then(|()| relay::unwaiting(&open.server));
        let passed = match &ready {
            Ok(()) => {
                let (mut client, mut server) = (Arc::clone(self.client), Arc::clone(&open.server));
                relay::pump(&mut client, &mut server, &open.admitted.grant, first, upward)
            }
            Err(_) => Passed::default(),
        };
        let (parting, refused) = (passed.parting, passed.refused.clone());
        self.close(&open.admitted, Some(open.address), passed);
        ready?;
        match (parting, refused) {
            (Parting::Tell, Some(refusal)) => self.say(if refusal.rule == "egress.host" { 403 } else { 400 }, &refusal),
            (Parting::Wait, _) => self.part(),
            (Parting::Tell | Parting::Cut, _) => Ok(()),
        }
    }

    fn close(&self, admitted: &Admitted, address: Option<SocketAddr>, passed: Passed) {
        admitted.grant.leave(admitted.number);
        self.world.gate.closed(Closed {
            number: admitted.number,
            address: address.map(|address| address.to_string()),
            tls_name: passed.tls_name,
            bytes_up: passed.up,
            bytes_down: passed.down,
            ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            refused: passed.refused,
        });
    }

    /// Tells a program in HTTP what is wrong, also in the one line that most of them show.
    fn say(&self, code: u16, refusal: &Refusal) -> io::Result<()> {
        let reason: String = refusal.reason.chars().filter(|sign| !sign.is_control()).take(500).collect();
        let line: String = reason.chars().map(|sign| if sign.is_ascii() { sign } else { '?' }).take(200).collect();
        let body = format!("Thenar: not connected: {reason} (rule: {}).\n", refusal.rule);
        let head = format!(
            "HTTP/1.1 {code} {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             X-Thenar-Refused: {}\r\nConnection: close\r\n\r\n",
            body.len(),
            refusal.rule
        );
        relay::waiting(self.client, ANSWER_WAIT)?;
        let mut client = &**self.client;
        client.write_all(head.as_bytes())?;
        client.write_all(body.as_bytes())?;
        self.part()
    }

    /// Closes towards a program that may have more to say: to close while something is unread would take the answer back.
    fn part(&self) -> io::Result<()> {
        relay::waiting(self.client, ANSWER_WAIT)?;
        self.client.shutdown(std::net::Shutdown::Write)?;
        let mut leftover = io::Read::take(&**self.client, LEFTOVER_BYTES_MAX as u64);
        io::copy(&mut leftover, &mut io::sink()).map(drop)
    }

    /// The host that a program means: an address that stands for a name is that name.
    fn meant(&self, host: Host) -> Host {
        match host {
            Host::Address(IpAddr::V4(address)) if dns::is_stand_in(address) => {
                self.name(address).map_or(host, Host::Name)
            }
            Host::Name(_) | Host::Address(_) => host,
        }
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        self.world.names.lock().unwrap_or_else(PoisonError::into_inner).name(address).map(str::to_owned)
    }

    /// The address that the program connected to.
    fn local(&self) -> Option<Ipv4Addr> {
        match self.client.local_addr().ok()?.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

/// Whether a program has closed its end for good, or the line was cut. One that closed only its own half looks the same; it is taken for
/// gone too, since to send the request of a program that was killed would be worse.
fn is_gone(client: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut fds = [PollFd::new(client, PollFlags::RDHUP)];
    let now = rustix::event::poll(&mut fds, Some(&Timespec::default()));
    now.is_ok_and(|ready| ready > 0 && !fds[0].revents().is_empty())
}
