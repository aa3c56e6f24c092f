//! From a permitted host to an open connection: the name is resolved here, outside the computer, each address is judged, and the
//! judged address is the one that is dialled.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Grant, Host, Refusal, address};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long each may take to answer.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Connects to where the grant leads.
pub(crate) fn dial(host: &Host, port: u16, grant: &Grant) -> Result<(TcpStream, SocketAddr), Refusal> {
    let addresses = match grant.at() {
        Some(at) => vec![at],
        None => resolve(host, port)?,
    };
    let mut failed = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
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
            None if open.len() < ADDRESSES_MAX => open.push(address),
            None => {}
            Some(objection) => why = Some(format!("{host} leads to {}: {objection}", address.ip())),
        }
    }
    match why {
        Some(why) if open.is_empty() => Err(Refusal::new("egress.address", why)),
        _ => Ok(open),
    }
}

fn objection(ip: IpAddr) -> Option<&'static str> {
    address::objection(ip).or_else(|| address::is_own(ip).then_some("this machine itself"))
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
