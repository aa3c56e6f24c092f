//! The head of an HTTP request: read strictly, since what two programs read differently is how one is deceived, and written anew for
//! the server. Nothing is sent on that was not understood.

use std::io::{self, Read};
use std::time::Instant;

use super::body::Body;
use super::secret::Going;
use super::{Host, Refusal, Secret};

/// The longest head.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines at the most.
const HEADERS_MAX: usize = 200;

/// Headers that are between a program and its proxy, and go no further.
const NEAR: &[&str] = &["connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade", "host"];

/// Headers that many a server sends back as they came. No secret belongs there: whoever puts its placeholder there wants to read it.
const SENT_BACK: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "origin",
    "range",
    "referer",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-client-request-id",
    "x-correlation-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];
/// Requests of which everything comes back.
const ALL_SENT_BACK: &[&str] = &["TRACE", "TRACK"];
/// How often secrets are put into one request. Each may be much longer than its placeholder.
const FILLED_MAX: usize = 16;

/// A request without its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Of HTTP 1.
    minor: u8,
    headers: Vec<(String, Vec<u8>)>,
}

/// Why a head cannot be used.
#[derive(Debug)]
pub(crate) enum Bad {
    /// The program has gone, or says nothing.
    Silent,
    /// It says what could be read in two ways, or not at all.
    Form(&'static str),
}

impl From<io::Error> for Bad {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

/// Reads a head, and what has come after it.
pub(crate) fn read(mut from: impl Read, until: Instant) -> Result<(Head, Vec<u8>), Bad> {
    let mut heard = Vec::new();
    let mut chunk = [0; 8 * 1024];
    loop {
        if Instant::now() >= until {
            return Err(Bad::Silent);
        }
        let bytes = match from.read(&mut chunk) {
            Ok(0) => return Err(Bad::Silent),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let looked = heard.len();
        heard.extend_from_slice(&chunk[..bytes]);
        if let Some(end) = end(&heard, looked) {
            let rest = heard.split_off(end);
            return Head::parse(&heard).map(|head| (head, rest)).map_err(Bad::Form);
        }
        if heard.len() > HEAD_BYTES_MAX {
            return Err(Bad::Form("the head of the request is too long"));
        }
    }
}

/// Where a head ends, if it does; the first `looked` bytes hold no end.
pub(crate) fn end(bytes: &[u8], looked: usize) -> Option<usize> {
    let from = looked.saturating_sub(3);
    bytes[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|end| from + end + 4)
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It is over.
    Close,
    /// What the program said of it.
    AsSaid,
    /// The server may speak another protocol on it.
    Switch,
}

impl Head {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let lines = bytes.strip_suffix(b"\r\n\r\n").ok_or("the head has no end")?;
        let mut lines = Lines(Some(lines));
        let first = lines.next().ok_or("there is no request")?;
        let first = std::str::from_utf8(first).map_err(|_| "the request line is no text")?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("the request line has not three words");
        };
        let minor = match version {
            "HTTP/1.1" => 1,
            "HTTP/1.0" => 0,
            _ => return Err("only HTTP 1.0 and 1.1 are spoken here"),
        };
        if !is_token(method.as_bytes()) || !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.is_empty() {
            return Err("the request line holds signs that it must not");
        }
        let mut headers = Vec::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':').ok_or("a header without a colon")?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if !is_token(name) || value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                return Err("a header holds signs that it must not");
            }
            if headers.len() >= HEADERS_MAX {
                return Err("there are too many headers");
            }
            headers.push((String::from_utf8_lossy(name).into_owned(), value.to_owned()));
        }
        Ok(Self { method: method.to_owned(), target: target.to_owned(), minor, headers })
    }

    /// The values of a header, in order.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    /// The one value of `Host`; nothing where there is none.
    pub(crate) fn host(&self) -> Result<Option<&str>, &'static str> {
        let mut all = self.all("host");
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(host), None) => std::str::from_utf8(host).map(Some).map_err(|_| "the host is no text"),
            (Some(_), Some(_)) => Err("there are two hosts"),
        }
    }

    /// Whether it is for this host and no other. Gives the host as the server is told it.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn asks_for(&self, host: &Host, port: u16) -> Result<String, Refusal> {
        let wrong = |why: &str| Refusal::new("egress.request", why);
        let same = |said: &str| {
            let (named, at) = Host::parse_with_port(said, Some(port)).map_err(wrong)?;
            if named == *host && at == port {
                return Ok(());
            }
            let why = format!(
                "the request asks for {}, and the connection was made to {}",
                named.with_port(at),
                host.with_port(port)
            );
            Err(Refusal::new("egress.host", why))
        };
        let said = self.host().map_err(wrong)?.ok_or_else(|| wrong("the request names no host"))?;
        same(said)?;
        match self.authority() {
            Some(authority) => same(authority)?,
            None if self.target.starts_with('/') || self.target == "*" => {}
            None => return Err(wrong("the request is one for a proxy, and this is none")),
        }
        let has_port = Host::parse_with_port(said, None).is_ok();
        Ok(if has_port { host.with_port(port) } else { host.alone() })
    }

    /// The host in a target that is a whole address.
    fn authority(&self) -> Option<&str> {
        let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
            let start = self.target.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &self.target[scheme.len()..])
        })?;
        rest.split(['/', '?', '#']).next()
    }

    /// Whether it asks for another protocol that may be spoken after it. HTTP/2 in plain text is none: what it asks for is not read.
    pub(crate) fn switches(&self) -> bool {
        let is_h2 = |name: &[u8]| name.trim_ascii().get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"h2"));
        let wanted = || self.all("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
        self.minor == 1 && self.says("upgrade") && wanted().next().is_some() && !wanted().any(is_h2)
    }

    /// Whether its `Connection` has this word.
    fn says(&self, word: &str) -> bool {
        let mut words = self.all("connection").flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// How the body ends.
    pub(crate) fn body(&self) -> Result<Body, &'static str> {
        let (mut lengths, mut codings) = (self.all("content-length"), self.all("transfer-encoding"));
        match (lengths.next(), codings.next()) {
            _ if lengths.next().is_some() || codings.next().is_some() => Err("the length of the body is said twice"),
            (Some(_), Some(_)) => Err("the length of the body is said in two ways"),
            (None, None) => Ok(Body::nothing()),
            (Some(length), None) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                length.map(Body::of_length).ok_or("the length of the body is no number")
            }
            (Some(_), None) => Err("the length of the body is no number"),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && self.minor == 1 => Ok(Body::chunked()),
            (None, Some(_)) => Err("the body comes in a form that is not known here"),
        }
    }

    /// Puts secrets in the place of their placeholders, those that may go like this; elsewhere placeholders stay what they are.
    pub(crate) fn fill_in(&mut self, secrets: &[Secret], going: Going) {
        let is_in = |all: &[&str], one: &str| all.iter().any(|known| known.eq_ignore_ascii_case(one));
        if is_in(ALL_SENT_BACK, &self.method) {
            return;
        }
        let mut left = FILLED_MAX;
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| !is_in(SENT_BACK, name)) {
            for secret in secrets.iter().filter(|secret| secret.may_go(going)) {
                if let Some(filled) = secret.put_into(value, &mut left) {
                    *value = filled;
                }
            }
        }
        // What comes back is to be read.
        if left < FILLED_MAX {
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
        }
    }

    /// The head as the server gets it: for this host and this path of it.
    pub(crate) fn written(&self, authority: &str, path: &str, after: After) -> Vec<u8> {
        let named: Vec<String> = self
            .all("connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
            .collect();
        let stays = |name: &str| {
            let name = name.to_ascii_lowercase();
            // What says how long the body is stays whatever the program asks for.
            let framing = matches!(&*name, "content-length" | "transfer-encoding");
            if after == After::Switch && name == "upgrade" {
                return false;
            }
            NEAR.contains(&&*name) || !framing && named.contains(&name)
        };
        let mut all = format!("{} {path} HTTP/1.{}\r\nHost: {authority}\r\n", self.method, self.minor).into_bytes();
        for (name, value) in self.headers.iter().filter(|(name, _)| !stays(name)) {
            all.extend_from_slice(name.as_bytes());
            all.extend_from_slice(b": ");
            all.extend_from_slice(value);
            all.extend_from_slice(b"\r\n");
        }
        let connection = match after {
            After::Close => Some("close"),
            After::Switch => Some("Upgrade"),
            After::AsSaid => ["close", "keep-alive"].into_iter().find(|word| self.says(word)),
        };
        if let Some(word) = connection {
            all.extend_from_slice(format!("Connection: {word}\r\n").as_bytes());
        }
        all.extend_from_slice(b"\r\n");
        all
    }
}

/// Lines that end as they must. A lone half of an ending stays in the line, and is refused there.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let end = rest.windows(2).position(|two| two == b"\r\n");
        self.0 = end.map(|end| &rest[end + 2..]);
        Some(end.map_or(rest, |end| &rest[..end]))
    }
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte))
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, &'static str> {
        Head::parse(text.as_bytes())
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let found = head(text).and_then(|head| {
            head.host()?;
            head.body().map(|_| head)
        });
        assert!(found.as_ref().is_err_and(|found| found.contains(why)), "{text:?}: {found:?}");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let with = |header: &str| format!("POST / HTTP/1.1\r\nHost: a.example\r\n{header}\r\n\r\n");
        refused(&with("Content-Length: 5\r\nTransfer-Encoding: chunked"), "in two ways");
        refused(&with("Content-Length: 5\r\nContent-Length: 5"), "twice");
        refused(&with("Content-Length: +5"), "no number");
        refused(&with("Transfer-Encoding: gzip, chunked"), "not known");
        refused(&with("Transfer-Encoding : chunked"), "signs");
        refused(&with(" folded: 1"), "signs");
        refused(&with("X: a\nContent-Length: 5"), "signs");
        refused(&with("X: a\rContent-Length: 5"), "signs");
        refused(&with("Host: b.example"), "two hosts");
        refused("GET  / HTTP/1.1\r\n\r\n", "three words");
        refused("GET / HTTP/2.0\r\n\r\n", "only HTTP");
        refused("GET /\n HTTP/1.1\r\n\r\n", "signs");
    }

    #[test]
    fn the_server_gets_the_request_and_nothing_between_program_and_proxy() {
        let text = "GET http://a.example/x HTTP/1.1\r\nhost: a.example\r\nProxy-Authorization: x\r\nAccept: */*\r\n\
                    Connection: X-Near, Content-Length\r\nX-Near: 1\r\nContent-Length: 0\r\n\r\n";
        let written = head(text).unwrap().written("a.example", "/x", After::Close);
        let expected =
            "GET /x HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn no_secret_is_put_where_servers_send_back_what_came() {
        let secrets = [Secret::new("holder-1", "value").unwrap()];
        let filled = |first: &str, header: &str| {
            let mut head = head(&format!("{first} / HTTP/1.1\r\nHost: a.example\r\n{header}\r\n\r\n")).unwrap();
            head.fill_in(&secrets, Going::Sealed);
            let written = head.written("a.example", "/", After::AsSaid);
            written.windows(5).filter(|part| part == b"value").count()
        };
        assert_eq!(filled("GET", "Authorization: Bearer holder-1"), 1);
        assert_eq!(filled("TRACE", "Authorization: Bearer holder-1"), 0);
        assert_eq!(filled("track", "Authorization: Bearer holder-1"), 0);
        for name in ["Origin", "origin", "X-Request-ID", "Access-Control-Request-Headers", "User-Agent"] {
            assert_eq!(filled("GET", &format!("{name}: holder-1")), 0, "{name}");
        }
        // However many placeholders there are, the request grows by a few values.
        assert_eq!(filled("GET", &format!("A: {}", "holder-1".repeat(4_000))), FILLED_MAX);
    }

    #[test]
    fn a_head_is_read_to_its_end_and_no_further() {
        let all = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nbody";
        let far = Instant::now() + std::time::Duration::from_secs(60);
        for cut in 1..all.len() {
            let (one, other) = all.split_at(cut);
            let (head, rest) = read(one.chain(other), far).unwrap();
            assert_eq!(head.host(), Ok(Some("a.example")));
            assert!(b"body".starts_with(&rest[..]));
        }
    }
}
