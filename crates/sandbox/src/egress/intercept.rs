//! One request over TLS to a host that a secret is for: read in the host's name, written anew with the secret in it, and sent over
//! TLS of our own to the server that proved to be the host.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::DerefMut;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use super::authority::Authority;
use super::head::{self, After, Bad};
use super::relay::{self, Passed, Side, Upward};
use super::secret::Going;
use super::tunnel::Switch;
use super::{Grant, Host, Refusal};

/// What is handed to TLS at one time.
const PIECE: usize = 64 * 1024;

/// The two streams of a connection, and where it leads.
pub(crate) struct Between<'a> {
    pub(crate) client: &'a Arc<TcpStream>,
    pub(crate) server: &'a Arc<TcpStream>,
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    pub(crate) grant: &'a Grant,
    pub(crate) authority: &'a Authority,
    /// When the program must have said what it wants.
    pub(crate) until: Instant,
    /// How long the server may take to prove who it is.
    pub(crate) patience: Duration,
}

/// Passes one request. `heard` is what the program has said already.
pub(crate) fn pass(between: &Between<'_>, heard: Vec<u8>) -> Passed {
    let mut passed = Passed::default();
    match prepare(between, heard, &mut passed.tls_name) {
        Ok((mut client, mut server, first, upward)) => {
            let name = passed.tls_name;
            passed = relay::pump(&mut client, &mut server, between.grant, first, upward);
            passed.tls_name = name;
        }
        Err(refused) => passed.refused = Some(refused),
    }
    passed
}

type Ready = (Tls<ServerConnection>, Tls<ClientConnection>, Vec<u8>, Upward);

fn prepare(between: &Between<'_>, heard: Vec<u8>, tls_name: &mut Option<String>) -> Result<Ready, Refusal> {
    let failed =
        |rule: &'static str, what: &'static str| move |error: io::Error| Refusal::new(rule, format!("{what}: {error}"));
    let with_program = failed("egress.tls", "speak TLS with the program");
    let name = between.host.to_string();
    let config = between.authority.speaking_for(&name).map_err(&with_program)?;
    let session = ServerConnection::new(config).map_err(io::Error::other).map_err(&with_program)?;
    let mut client = Tls { session, stream: Arc::clone(between.client), before: io::Cursor::new(heard), torn: false };
    client.shake_hands(between.until).map_err(&with_program)?;
    *tls_name = client.session.server_name().map(str::to_owned);
    if tls_name.as_deref().is_some_and(|name| Host::parse(name).as_ref() != Ok(between.host)) {
        let why = format!("its TLS asks for another name, and {} was permitted", between.host);
        return Err(Refusal::new("egress.tls_name", why));
    }
    let (mut head, rest) = head::read(Waiting(&mut client, between.until), between.until).map_err(|bad| match bad {
        Bad::Silent => Refusal::new("egress.request", "the program asked for nothing"),
        Bad::Form(why) => Refusal::new("egress.request", why),
    })?;
    let wrong = |why: &str| Refusal::new("egress.request", why);
    let authority = head.asks_for(between.host, between.port)?;
    let mut body = head.body().map_err(wrong)?;
    let own = body.feed(&rest).map_err(wrong)?;
    head.fill_in(between.grant.secrets(), Going::Sealed);
    // Behind a change of protocol it is TLS like all other, and no secret is put in any more.
    let switches = body.is_over() && rest.is_empty() && head.switches();
    let mut first = head.written(&authority, &head.target, if switches { After::Switch } else { After::Close });
    first.extend_from_slice(&rest[..own]);

    let with_server = failed("egress.certificate", "make sure of the server");
    let name = ServerName::try_from(name).map_err(io::Error::other).map_err(&with_server)?;
    let session = ClientConnection::new(between.authority.towards_servers(), name);
    let session = session.map_err(io::Error::other).map_err(&with_server)?;
    let mut server = Tls { session, stream: Arc::clone(between.server), before: io::Cursor::default(), torn: false };
    relay::waiting(between.server, between.patience).map_err(&with_server)?;
    server.shake_hands(Instant::now() + between.patience).map_err(&with_server)?;
    let ready = relay::unwaiting(between.client).and_then(|()| relay::unwaiting(between.server));
    ready.map_err(failed("egress.tls", "use the connection"))?;
    let upward = if switches { Upward::Switching(Switch::default(), None) } else { Upward::Rest(body) };
    Ok((client, server, first, upward))
}

/// A side that speaks TLS.
struct Tls<S> {
    session: S,
    stream: Arc<TcpStream>,
    /// What was read before TLS was spoken.
    before: io::Cursor<Vec<u8>>,
    /// The line ended, and nobody had said that it would.
    torn: bool,
}

impl<S, D> Tls<S>
where
    S: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Each byte may come in time, and the whole never: it has an end of its own.
    fn shake_hands(&mut self, until: Instant) -> io::Result<()> {
        while self.session.is_handshaking() {
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.push()?;
            if self.session.wants_read() {
                self.take_in()?;
            }
        }
        self.push().map(drop)
    }

    /// What was said, as soon as there is any: many a byte may come before a piece of it can be read.
    fn hear(&mut self, into: &mut [u8], until: Option<Instant>) -> io::Result<usize> {
        loop {
            match self.session.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if !self.take_in()? {
                self.torn = true;
                return Ok(0);
            }
        }
    }

    /// Takes in what has come; false at the end.
    fn take_in(&mut self) -> io::Result<bool> {
        let mut from = (&mut self.before).chain(&*self.stream);
        if self.session.read_tls(&mut from)? == 0 {
            if self.session.is_handshaking() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return Ok(false);
        }
        let taken = self.session.process_new_packets().map_err(io::Error::other);
        // An alert may be what there is to say about it.
        let _ = self.push();
        taken.map(|_| true)
    }
}

impl<S, D> Side for Tls<S>
where
    S: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.hear(into, None)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.push()?;
        if self.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = self.session.writer().write(&from[..from.len().min(PIECE)])?;
        self.push()?;
        Ok(bytes)
    }

    fn push(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while self.session.wants_write() {
            match self.session.write_tls(&mut &*self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => moved = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    fn holds_back(&self) -> bool {
        self.session.wants_write()
    }

    fn is_torn(&self) -> bool {
        self.torn
    }

    fn finish(&mut self, whole: bool) {
        if whole {
            self.session.send_close_notify();
        }
        let _ = self.push();
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A side read as a stream, while its socket waits; and when it has to have said something.
struct Waiting<'a, S>(&'a mut Tls<S>, Instant);

impl<S, D> Read for Waiting<'_, S>
where
    S: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.hear(into, Some(self.1))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::egress::Ceilings;

    /// Kinds of records.
    const HANDSHAKE: u8 = 0x16;
    const DATA: u8 = 0x17;

    /// Two ends of a connection.
    fn line() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(one), listener.accept().unwrap().0)
    }

    /// Says the beginning of a record of TLS of this kind, byte by byte, for as long as it is heard.
    fn drip(mut to: TcpStream, kind: u8) {
        let said = [kind, 3, 3, 0x3f, 0xff].into_iter().chain(std::iter::repeat(0));
        for byte in said {
            if to.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn whoever_shakes_hands_for_ever_is_left_on_either_side() {
        let authority = Arc::new(Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap());
        let hour = Duration::from_secs(3_600);
        let ceilings = Ceilings { bytes_up: 1 << 20, bytes_down: 1 << 20, connections: 1, holds: hour };
        let grant = Grant::new(1, None, ceilings);
        let host = Host::parse("api.test").unwrap();
        let a_little = Duration::from_millis(200);
        for slow_program in [true, false] {
            let ((client, program), (server, far)) = (line(), line());
            let (until, patience) = if slow_program { (a_little, hour) } else { (hour, a_little) };
            let until = Instant::now() + until;
            let (client, server, authority) = (&client, &server, &*authority);
            let between = Between { client, server, host: &host, port: 443, grant: &grant, authority, until, patience };
            let passed = std::thread::scope(|scope| {
                if slow_program {
                    scope.spawn(|| drip(program, HANDSHAKE));
                } else {
                    scope.spawn(|| ask(program, authority));
                    scope.spawn(|| drip(far, HANDSHAKE));
                }
                let passed = pass(&between, Vec::new());
                // Neither is heard any more.
                for end in [client, server] {
                    let _ = end.shutdown(std::net::Shutdown::Both);
                }
                passed
            });
            let rule = if slow_program { "egress.tls" } else { "egress.certificate" };
            assert_eq!(passed.refused.map(|refusal| refusal.rule).as_deref(), Some(rule));
        }
    }

    #[test]
    fn whoever_drips_a_record_after_the_handshake_is_left_too() {
        let authority = Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap();
        let (client, program) = line();
        let session = ServerConnection::new(authority.speaking_for("api.test").unwrap()).unwrap();
        let mut side = Tls { session, stream: Arc::clone(&client), before: io::Cursor::default(), torn: false };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut session, mut line) = (asking(&authority), program);
                while session.is_handshaking() {
                    session.complete_io(&mut line).unwrap();
                }
                drip(line, DATA);
            });
            side.shake_hands(Instant::now() + Duration::from_secs(3_600)).unwrap();
            let until = Instant::now() + Duration::from_millis(200);
            let heard = head::read(Waiting(&mut side, until), until);
            let _ = client.shutdown(std::net::Shutdown::Both);
            assert!(matches!(heard, Err(Bad::Silent)), "{heard:?}");
        });
    }

    /// A server of the name that this authority vouches for: it answers, and says that it was all or not.
    fn answer(line: TcpStream, authority: &Authority, whole: bool) {
        let mut session = ServerConnection::new(authority.speaking_for("api.test").unwrap()).unwrap();
        let mut line = line;
        let mut stream = rustls::Stream::new(&mut session, &mut line);
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        stream.write_all(ANSWER.as_bytes()).unwrap();
        if whole {
            session.send_close_notify();
            session.complete_io(&mut line).unwrap();
        }
    }

    const ANSWER: &str = "HTTP/1.1 200 OK\r\n\r\nhalf";

    #[test]
    fn an_answer_that_is_cut_off_on_the_way_does_not_look_whole() {
        let vouching = Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap();
        let root = CertificateDer::from_pem_slice(vouching.certificate().as_bytes()).unwrap();
        let authority = Authority::of_key(&Authority::new_key().unwrap(), vec![root]).unwrap();
        let hour = Duration::from_secs(3_600);
        let ceilings = Ceilings { bytes_up: 1 << 20, bytes_down: 1 << 20, connections: 1, holds: hour };
        let grant = Grant::new(1, None, ceilings);
        let host = Host::parse("api.test").unwrap();
        for whole in [true, false] {
            let ((client, program), (server, far)) = (line(), line());
            let (client, server, authority, until) = (&client, &server, &authority, Instant::now() + hour);
            let between =
                Between { client, server, host: &host, port: 443, grant: &grant, authority, until, patience: hour };
            let asked = std::thread::scope(|scope| {
                let asked = scope.spawn(|| ask(program, authority));
                scope.spawn(|| answer(far, &vouching, whole));
                assert_eq!(pass(&between, Vec::new()).refused, None);
                asked.join().unwrap()
            });
            let expected = if whole { Ok(ANSWER) } else { Err(io::ErrorKind::UnexpectedEof) };
            assert_eq!(asked.as_deref().map_err(io::Error::kind), expected);
        }
    }

    /// The beginning of a program that believes this authority.
    fn asking(authority: &Authority) -> ClientConnection {
        let certificate = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
        let config = Authority::of_key(&Authority::new_key().unwrap(), vec![certificate]).unwrap().towards_servers();
        ClientConnection::new(config, ServerName::try_from("api.test").unwrap()).unwrap()
    }

    /// A program that believes this authority and asks for a page.
    fn ask(line: TcpStream, authority: &Authority) -> io::Result<String> {
        let (mut session, mut line) = (asking(authority), line);
        let mut stream = rustls::Stream::new(&mut session, &mut line);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard).map(|_| heard)
    }
}
