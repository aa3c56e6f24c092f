//! From a permitted host to an open connection: the name is resolved here, outside the computer, each address is judged, and the
//! judged address is the one that is dialled.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Grant, Host, Refusal, address};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long each may take to answer while there are others, and the last.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Connects to where the grant leads.
pub(crate) fn dial(host: &Host, port: u16, grant: &Grant) -> Result<(TcpStream, SocketAddr), Refusal> {
    let addresses = match grant.at() {
        Some(at) => vec![at],
        None => resolve(host, port)?,
    };
    let mut failed = None;
    let last = addresses.len().saturating_sub(1);
    for (number, address) in addresses.into_iter().enumerate() {
        let wait = if number == last { LAST_WAIT } else { CONNECT_WAIT };
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failed = Some(format!("connect to {}, {address}: {error}", host.with_port(port))),
        }
    }
    Err(Refusal::new("egress.unreachable", failed.unwrap_or_else(|| format!("{host} has no address"))))
}

/// The addresses of a host that anybody may be led to.
fn resolve(host: &Host, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
    let found: Vec<SocketAddr> = match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => {
            // With the final dot nothing of the machine's own search list is put behind it.
            let whole = format!("{name}.");
            let found = (&*whole, port).to_socket_addrs();
            let unknown = |error| Refusal::new("egress.unresolved", format!("look {name} up: {error}"));
            found.map_err(unknown)?.collect()
        }
    };
    let mut why = None;
    let mut open = Vec::new();
    for address in found {
        match objection(address.ip()) {
            None => open.push(address),
            Some(objection) => why = Some(format!("{host} leads to {}: {objection}", address.ip())),
        }
    }
    match why {
        Some(why) if open.is_empty() => Err(Refusal::new("egress.address", why)),
        _ => Ok(in_turn(open)),
    }
}

/// The addresses that are tried: one of each kind in turn, as whoever looked them up orders them, so that one kind which leads nowhere
/// does not keep the other from being tried.
fn in_turn(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let mut of_kind = [0, 0];
    addresses.sort_by_cached_key(|address| {
        let other = usize::from(address.is_ipv6() != first);
        of_kind[other] += 2;
        of_kind[other] + other
    });
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

fn objection(ip: IpAddr) -> Option<&'static str> {
    let own = || address::is_own(ip).then_some("this machine itself");
    let near = || address::is_near(ip).then_some("in a network of this machine's own");
    address::objection(ip).or_else(own).or_else(near)
}

/// Why a host is never reached unless its address was named, if so: nobody need be asked about it.
pub fn never_open(host: &Host) -> Option<Refusal> {
    match host {
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            Some(Refusal::new("egress.address", format!("{name} is this machine itself")))
        }
        Host::Name(_) => None,
        Host::Address(ip) => {
            objection(*ip).map(|why| Refusal::new("egress.address", format!("{ip} is not reached from here: {why}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_address_is_tried_in_turn() {
        let check = |found: &str, tried: &str| {
            let read = |text: &str| text.split(' ').map(|one| SocketAddr::new(one.parse().unwrap(), 443)).collect();
            let tried: Vec<SocketAddr> = read(tried);
            assert_eq!(in_turn(read(found)), tried, "{found}");
        };
        check("2600::1 2600::2 2600::3 2600::4 2600::5 2600::6 1.0.0.1 1.0.0.2", "2600::1 1.0.0.1 2600::2 1.0.0.2");
        check("1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 2600::1", "1.0.0.1 2600::1 1.0.0.2 1.0.0.3");
        check("1.0.0.2 1.0.0.1", "1.0.0.2 1.0.0.1");
        assert!(in_turn(Vec::new()).is_empty());
    }
}
