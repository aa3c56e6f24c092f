//! The places that a person names for a task: `HOST[:PORT][=ADDRESS[:PORT]]`. Reading and matching only; who may connect is for
//! policy to say.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use sandbox::egress::Host;

use crate::{Because, Error};

/// Places that may be named for one task.
pub const PLACES_NAMED_MAX: usize = 200;
/// The ports that a host without one means.
const WEB: [u16; 2] = [80, HTTPS];
/// Where nobody speaks in clear.
const HTTPS: u16 = 443;

/// One place, or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    host: Pattern,
    /// None: those of the web.
    port: Option<u16>,
    /// Where it is, whatever its name resolves to.
    at: Option<(IpAddr, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Host(Host),
    /// Every name below this one.
    Below(String),
    Every,
}

impl Pattern {
    fn has(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Every, _) => true,
            (Self::Host(named), _) => named == host,
            (Self::Below(domain), Host::Name(name)) => is_below(name, domain),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl Allowed {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            let how = if text.contains('/') {
                "write the host alone, without http:// and without a path"
            } else {
                "write HOST, HOST:PORT, *.DOMAIN, or HOST:PORT=ADDRESS where it has a private one"
            };
            let because = Because::HostWrong { host: text.to_owned() };
            Error::refused(because, format!("the host {text:?}: {why}; {how}"))
        };
        let (place, at) = match text.split_once('=') {
            None => (text, None),
            Some((place, at)) => (place, Some(at)),
        };
        let (name, port) = match place.rsplit_once(':') {
            Some((name, number)) if name.starts_with('*') => {
                let port = number.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("that is no port"))?;
                (name, Some(port))
            }
            _ => (place, None),
        };
        let (host, port) = if name == "*" {
            (Pattern::Every, port)
        } else if let Some(domain) = name.strip_prefix("*.") {
            match Host::parse(domain).map_err(wrong)? {
                Host::Name(domain) => (Pattern::Below(domain), port),
                Host::Address(_) => return Err(wrong("an address has nothing below it")),
            }
        } else {
            // Port 0 stands for none named: it cannot be written.
            let (host, port) = match Host::parse_with_port(place, None) {
                Ok((host, port)) => (host, Some(port)),
                Err(_) => (Host::parse(place).map_err(wrong)?, None),
            };
            (Pattern::Host(host), port)
        };
        let at = match at {
            None => None,
            Some(_) if !matches!(host, Pattern::Host(_)) => return Err(wrong("only one host can have an address")),
            Some(at) => Some(match Host::parse_with_port(at, None) {
                Ok((Host::Address(at), port)) => (at, Some(port)),
                Ok((Host::Name(_), _)) => return Err(wrong("what follows = is no address")),
                Err(_) => match Host::parse(at).map_err(wrong)? {
                    Host::Address(at) => (at, None),
                    Host::Name(_) => return Err(wrong("what follows = is no address")),
                },
            }),
        };
        Ok(Self { host, port, at })
    }

    /// Whether this one names all hosts that the other names.
    fn is_wider(&self, other: &Self) -> bool {
        match (&self.host, &other.host) {
            (_, Pattern::Host(host)) => self.host.has(host),
            (Pattern::Every, _) => true,
            (Pattern::Below(domain), Pattern::Below(other)) => domain == other || is_below(other, domain),
            (Pattern::Below(_) | Pattern::Host(_), _) => false,
        }
    }

    /// Whether whoever takes this one away means the other too: its hosts are among these, on this port or on any.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        self.is_wider(other) && self.port.is_none_or(|port| other.port == Some(port))
    }

    /// Whether both name the same and say differently where it is.
    fn moves(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port && self.at != other.at
    }

    /// The same of one place.
    pub(crate) fn takes_place(&self, host: &Host, port: u16) -> bool {
        self.takes(&Self { host: Pattern::Host(host.clone()), port: Some(port), at: None })
    }

    /// Whether all hosts of the other may be reached through this one, on a port that the other means.
    pub(crate) fn lets_through(&self, other: &Self) -> bool {
        let ports = |one: &Self| one.port.map_or_else(|| WEB.to_vec(), |port| vec![port]);
        self.is_wider(other) && (other.port.is_none() || ports(self).iter().any(|port| ports(other).contains(port)))
    }

    fn covers(&self, host: &Host, port: u16) -> bool {
        self.host.has(host) && self.port.map_or(WEB.contains(&port), |named| named == port)
    }

    /// Where this leads, if the person said so: an address that is named as the host is one.
    fn leads_to(&self, port: u16) -> Option<SocketAddr> {
        match (&self.at, &self.host) {
            (Some((at, at_port)), _) => Some(SocketAddr::new(*at, at_port.unwrap_or(port))),
            (None, Pattern::Host(Host::Address(address))) => Some(SocketAddr::new(*address, port)),
            (None, _) => None,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Pattern::Host(host), Some(port)) => out.write_str(&host.with_port(port))?,
            (Pattern::Host(host), None) => write!(out, "{host}")?,
            (Pattern::Below(domain), None) => write!(out, "*.{domain}")?,
            (Pattern::Below(domain), Some(port)) => write!(out, "*.{domain}:{port}")?,
            (Pattern::Every, None) => out.write_str("*")?,
            (Pattern::Every, Some(port)) => write!(out, "*:{port}")?,
        }
        match &self.at {
            None => Ok(()),
            Some((at, None)) => write!(out, "={at}"),
            Some((at, Some(port))) => write!(out, "={}", SocketAddr::new(*at, *port)),
        }
    }
}

/// Whether the person named this place, and where it leads if they said that too.
pub(crate) fn named(allowed: &[String], host: &Host, port: u16) -> Option<Option<SocketAddr>> {
    let all = || allowed.iter().filter_map(|text| Allowed::parse(text).ok());
    // One that says where the place is counts for more than a wider one that does not.
    let mut covering: Vec<Allowed> = all().filter(|allowed| allowed.covers(host, port)).collect();
    covering.sort_by_key(|allowed| allowed.leads_to(port).is_none());
    covering.first().map(|allowed| allowed.leads_to(port))
}

/// Whether the person named this very host, and not only a domain that it is below: there are no more of these than were named.
pub(crate) fn is_named_alone(allowed: &[String], host: &Host, port: u16) -> bool {
    let mut all = allowed.iter().filter_map(|text| Allowed::parse(text).ok());
    all.any(|one| matches!(one.host, Pattern::Host(_)) && one.covers(host, port))
}

/// Whether the person named this very port of the host, and it is not the one of HTTPS: a secret may go there unsealed, because who
/// decides what is spoken on a port that is open anyway is a program in the computer.
pub(crate) fn named_in_clear(allowed: &[String], host: &Host, port: u16) -> bool {
    let mut all = allowed.iter().filter_map(|text| Allowed::parse(text).ok());
    port != HTTPS && all.any(|one| one.port == Some(port) && one.covers(host, port))
}

/// The list in its one form, each place once.
pub fn allow_list(texts: &[String]) -> Result<Vec<String>, Error> {
    if texts.len() > PLACES_NAMED_MAX {
        let because = Because::HostsTooMany { max: PLACES_NAMED_MAX as u64 };
        return Err(Error::refused(because, format!("more than {PLACES_NAMED_MAX} places in allow-net: use *.DOMAIN")));
    }
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        let one = Allowed::parse(text)?.to_string();
        if !all.contains(&one) {
            all.push(one);
        }
    }
    Ok(all)
}

/// The list with more places: one of the same name that says otherwise where it is takes the place of the one before.
pub(crate) fn with_more(list: &[String], more: &[String]) -> Result<Vec<String>, Error> {
    let more = allow_list(more)?;
    let new = more.iter().map(|text| Allowed::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let moved = |text: &String| Allowed::parse(text).is_ok_and(|one| new.iter().any(|new| new.moves(&one)));
    allow_list(&list.iter().filter(|text| !moved(text)).chain(&more).cloned().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &str, host: &str, port: u16, expected: Option<Option<&str>>) {
        let list = [Allowed::parse(allowed).unwrap().to_string()];
        let found = named(&list, &Host::parse(host).unwrap(), port);
        let expected = expected.map(|at| at.map(|at| at.parse().unwrap()));
        assert_eq!(found, expected, "{allowed} for {host}:{port}");
    }

    #[test]
    fn a_place_is_named_by_host_and_port() {
        check("Example.ORG.", "example.org", 443, Some(None));
        check("example.org", "example.org", 80, Some(None));
        check("example.org", "example.org", 22, None);
        check("example.org", "www.example.org", 443, None);
        check("example.org:22", "example.org", 22, Some(None));
        check("example.org:22", "example.org", 443, None);
        check("*.example.org", "www.example.org", 443, Some(None));
        check("*.example.org", "example.org", 443, None);
        check("*.example.org", "notexample.org", 443, None);
        check("*.example.org:8443", "a.b.example.org", 8443, Some(None));
        check("*", "example.org", 80, Some(None));
        check("*", "example.org", 25, None);
    }

    #[test]
    fn a_host_is_named_alone_or_with_all_below_a_domain() {
        let list = ["*", "*.example.org", "www.example.org", "db.example:22"].map(str::to_owned);
        for (host, port, alone) in [
            ("www.example.org", 443, true),
            ("www.example.org", 22, false),
            ("db.example", 22, true),
            ("a.example.org", 443, false),
            ("example.net", 80, false),
        ] {
            assert_eq!(is_named_alone(&list, &Host::parse(host).unwrap(), port), alone, "{host}:{port}");
        }
    }

    #[test]
    fn only_an_address_that_was_named_is_gone_to_unseen() {
        check("*", "127.0.0.1", 80, Some(None));
        check("127.0.0.1:8080", "127.0.0.1", 8080, Some(Some("127.0.0.1:8080")));
        check("0x7f.1:8080", "127.0.0.1", 8080, Some(Some("127.0.0.1:8080")));
        check("127.0.0.1:8080", "127.0.0.1", 8081, None);
        check("db.example:5432=10.0.0.7", "db.example", 5432, Some(Some("10.0.0.7:5432")));
        check("shop.example:443=127.0.0.1:8443", "shop.example", 443, Some(Some("127.0.0.1:8443")));
        check("shop.example=[::1]:8443", "shop.example", 443, Some(Some("[::1]:8443")));
        let both = ["*".to_owned(), "a.example=10.0.0.1".to_owned()];
        let at = named(&both, &Host::parse("a.example").unwrap(), 443);
        assert_eq!(at, Some(Some("10.0.0.1:443".parse().unwrap())));
    }

    #[test]
    fn a_place_that_is_named_again_is_where_it_was_said_to_be_last() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let old = of(&["a.test:80=10.0.0.1", "b.test", "a.test=10.0.0.1"]);
        let more = |texts: &[&str]| with_more(&old, &of(texts)).unwrap();
        assert_eq!(more(&["a.test:80=10.0.0.2"]), of(&["b.test", "a.test=10.0.0.1", "a.test:80=10.0.0.2"]));
        assert_eq!(more(&["A.test"]), of(&["a.test:80=10.0.0.1", "b.test", "a.test"]));
        assert_eq!(more(&["b.test", "c.test"]), [old.clone(), of(&["c.test"])].concat());
    }

    #[test]
    fn a_secret_goes_in_clear_only_to_a_port_that_was_named() {
        for (list, host, port, clear) in [
            ("api.example", "api.example", 80, false),
            ("api.example", "api.example", 443, false),
            ("api.example:443", "api.example", 443, false),
            ("api.example:80", "api.example", 80, true),
            ("api.example:8080=10.0.0.1", "api.example", 8080, true),
            ("api.example:8080", "api.example", 80, false),
            ("*.example:80", "api.example", 80, true),
            ("other.example:80", "api.example", 80, false),
        ] {
            let found = named_in_clear(&[list.to_owned()], &Host::parse(host).unwrap(), port);
            assert_eq!(found, clear, "{list} for {host}:{port}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in [
            "",
            "a b",
            "example.org:0",
            "*.1.2.3.4",
            "*x.example",
            "*=10.0.0.1",
            "a.example=b.example",
            "http://a.example",
            "*:0",
        ] {
            assert!(Allowed::parse(bad).is_err(), "{bad}");
        }
        let twice = ["a.example".to_owned(), "A.Example.".to_owned()];
        assert_eq!(allow_list(&twice).unwrap(), ["a.example"]);
    }
}
