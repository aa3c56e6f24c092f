//! A host as programs name it, brought into the one form that everything else compares. It looks nothing up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name there is.
const NAME_BYTES_MAX: usize = 253;
/// The longest part of one.
const LABEL_BYTES_MAX: usize = 63;

/// A name in ASCII and small letters without a final dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name.
    Name(String),
    /// An address, however it was written.
    Address(IpAddr),
}

impl Host {
    /// Reads a host. What old libraries take for an address (`127.1`, `0x7f000001`, `017700000001`) is that address.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if bare.len() != text.len() {
            return Err("what stands in brackets is no address");
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > NAME_BYTES_MAX {
            return Err("the name is too long");
        }
        let name = idna::domain_to_ascii(name).map_err(|_| "the name is not one that there can be")?;
        let is_sound = |label: &str| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(known)
        };
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_sound) {
            return Err("the name is not one that there can be");
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if number(last).is_some() || last.bytes().all(|byte| byte.is_ascii_digit()) {
            let address = old_address(&name).ok_or("a name that ends in a number is an address, and this is none")?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        Ok(Self::Name(name))
    }

    /// Reads `HOST:PORT`, `[V6]:PORT`, or a host alone with `port` for it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse_with_port(text: &str, port: Option<u16>) -> Result<(Self, u16), &'static str> {
        let (host, number) = match text.rsplit_once(':') {
            // A bare address of the long kind has colons of its own.
            Some((host, _)) if host.contains(':') && !host.starts_with('[') => (text, None),
            Some((host, number)) if !number.ends_with(']') => (host, Some(number)),
            _ => (text, None),
        };
        let port = match number {
            None => port.ok_or("there is no port")?,
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse().ok().filter(|port| *port != 0).ok_or("a port is a number from 1 to 65535")?
            }
            Some(_) => return Err("a port is a number from 1 to 65535"),
        };
        Ok((Self::parse(host)?, port))
    }

    /// With a port behind it.
    pub fn with_port(&self, port: u16) -> String {
        format!("{}:{port}", self.alone())
    }

    /// As it stands in a request without a port.
    pub(crate) fn alone(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Self::Name(_) | Self::Address(IpAddr::V4(_)) => self.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(address) => address.fmt(out),
        }
    }
}

/// An address as the oldest libraries read it: one to four numbers, each decimal, octal or hexadecimal, the last filling up
/// what the others leave.
fn old_address(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) || *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    let high = first.iter().enumerate().map(|(place, part)| part << (8 * (3 - place))).sum::<u64>();
    u32::try_from(high + last).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(""), _) => Some(0),
        (Some(hex), _) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        (None, _) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = Host::parse(text).map_or_else(|why| format!("refused: {why}"), |host| host.to_string());
        assert!(found.starts_with(expected), "{text}: {found}, not {expected}");
    }

    #[test]
    fn a_name_has_one_form() {
        check("Example.ORG.", "example.org");
        check("bücher.example", "xn--bcher-kva.example");
        check("ｅｘａｍｐｌｅ.org", "example.org");
        check("_dmarc.example.org", "_dmarc.example.org");
        for bad in ["", ".", "a..b", "a b", "exa\0mple.org", "a/b", "x@y", "[example.org]", &"a.".repeat(200)] {
            check(bad, "refused");
        }
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for loopback in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
        ] {
            check(loopback, "127.0.0.1");
        }
        check("::FFFF:7f00:1", "127.0.0.1");
        check("[2001:DB8::1]", "2001:db8::1");
        for bad in ["1.2.3.4.5", "256.1.1.1", "1.2.3.999", "4294967296", "08.1.1.1", "fe80::1%eth0", "a.0x", "a.9"] {
            let found = Host::parse(bad);
            assert!(found.is_err(), "{bad}: {found:?}");
        }
    }

    #[test]
    fn a_port_stands_after_the_last_colon() {
        let of = |text: &str| Host::parse_with_port(text, Some(80)).map(|(host, port)| host.with_port(port));
        assert_eq!(of("example.org:8443").as_deref(), Ok("example.org:8443"));
        assert_eq!(of("example.org").as_deref(), Ok("example.org:80"));
        assert_eq!(of("[::1]:443").as_deref(), Ok("[::1]:443"));
        assert_eq!(of("::1").as_deref(), Ok("[::1]:80"));
        assert_eq!(Host::parse("2001:db8::80").map(|host| host.alone()).as_deref(), Ok("[2001:db8::80]"));
        for bad in ["example.org:", "example.org:0", "example.org:65536", "example.org:+1", ":80"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(Host::parse_with_port("example.org", None).is_err());
    }
}
