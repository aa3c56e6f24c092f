//! The SOCKS5 side of a program's connection: which place it wants. No sign-in: the listener is inside the computer.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Instant;

use super::Host;

const VERSION: u8 = 5;
const NO_SIGN_IN: u8 = 0;
const CONNECT: u8 = 1;

/// What a program is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Open = 0,
    Failed = 1,
    NotPermitted = 2,
    NotKnown = 7,
}

/// What a program wants.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// A connection to this place.
    Place(Host, u16),
    /// What there is not here, as far as that can be said of a place; and why.
    Other(Option<(Host, u16)>, &'static str),
}

/// Reads no longer than until then, however little comes at a time.
struct Timely<'a>(&'a TcpStream, Instant);

impl Read for Timely<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.1 { Err(io::ErrorKind::TimedOut.into()) } else { self.0.read(into) }
    }
}

/// Hears a program out to the place that it wants.
pub(crate) fn wanted(line: &TcpStream, until: Instant) -> io::Result<Wanted> {
    let (mut stream, mut to) = (Timely(line, until), line);
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut methods = vec![0; usize::from(head[1])];
    stream.read_exact(&mut methods)?;
    if head[0] != VERSION {
        return Ok(Wanted::Other(None, "only SOCKS 5 is spoken here"));
    }
    if !methods.contains(&NO_SIGN_IN) {
        to.write_all(&[VERSION, 0xff])?;
        return Ok(Wanted::Other(None, "nobody signs in here"));
    }
    to.write_all(&[VERSION, NO_SIGN_IN])?;
    let mut request = [0; 4];
    stream.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address)?;
            Ok(Host::Address(IpAddr::V4(Ipv4Addr::from(address))))
        }
        4 => {
            let mut address = [0; 16];
            stream.read_exact(&mut address)?;
            Ok(Host::Address(IpAddr::V6(Ipv6Addr::from(address)).to_canonical()))
        }
        3 => {
            let mut length = [0];
            stream.read_exact(&mut length)?;
            let mut name = vec![0; usize::from(length[0])];
            stream.read_exact(&mut name)?;
            std::str::from_utf8(&name).map_err(|_| "no text").and_then(Host::parse)
        }
        _ => Err("an unknown kind of address"),
    };
    let mut port = [0; 2];
    stream.read_exact(&mut port)?;
    let port = u16::from_be_bytes(port);
    let other = match (request[0], request[1], host) {
        (VERSION, CONNECT, Ok(host)) => return Ok(Wanted::Place(host, port)),
        (VERSION, _, Ok(host)) => Wanted::Other(Some((host, port)), "only connections are made here"),
        (VERSION, _, Err(why)) => Wanted::Other(None, why),
        _ => Wanted::Other(None, "only SOCKS 5 is spoken here"),
    };
    answer(to, Reply::NotKnown)?;
    Ok(other)
}

/// Tells the program how it went. The address that belongs into an answer is nobody's business inside.
pub(crate) fn answer(mut stream: impl Write, reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0])
}
