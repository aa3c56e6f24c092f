//! Makes the listeners of a computer's way out, inside its network and from outside its box: nothing of ours is in there that a
//! program could attack. It serves none of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::process::WaitOptions;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Failure, Shared};
use crate::egress::{LISTENER_PORTS, LISTENERS, Listeners};
use crate::sys::{self, Forked};
use crate::wire;

/// Makes them. The caller must have one thread only.
pub(crate) fn make(shared: &Shared) -> Result<Listeners, Failure> {
    let at = || Failure::at("make the listeners in the computer's network");
    let (near, far) = UnixStream::pair().map_err(at())?;
    match sys::fork().map_err(at())? {
        Forked::Child => {
            drop(near);
            let sent = within(shared).and_then(|all| wire::send_descriptors(&far, &all.each_ref().map(AsFd::as_fd)));
            sys::exit_now(sent.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO)))
        }
        Forked::Parent(helper) => {
            drop(far);
            let lent = wire::receive_descriptors(&near);
            let ended = rustix::process::waitpid(Some(helper), WaitOptions::empty());
            let code = ended.ok().flatten().and_then(|(_, status)| status.exit_status()).unwrap_or(libc::EIO);
            match lent.map(TryInto::try_into) {
                Ok(Ok(all)) if code == 0 => Ok(Listeners { all }),
                Ok(_) => Err(at()(io::Error::from_raw_os_error(if code == 0 { libc::EIO } else { code }))),
                Err(error) => Err(at()(error)),
            }
        }
    }
}

/// Goes where the network is, and opens them there.
fn within(shared: &Shared) -> io::Result<[OwnedFd; LISTENERS]> {
    if !shared.owner.is_root {
        // The network belongs to the computer's users: only from within their namespace may it be joined.
        move_into_link_name_space(shared.users.as_fd(), Some(LinkNameSpaceType::User))?;
    }
    move_into_link_name_space(shared.network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let [proxy, http, tls, socks, names] = LISTENER_PORTS;
    let near = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    // Every name has an address of its own.
    let every = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    Ok([
        TcpListener::bind(near(proxy))?.into(),
        TcpListener::bind(every(http))?.into(),
        TcpListener::bind(every(tls))?.into(),
        TcpListener::bind(near(socks))?.into(),
        UdpSocket::bind(near(names))?.into(),
    ])
}
