//! Which addresses a program may be led to: those of the open internet. Everything else belongs to this machine, to the network
//! around it or to nobody, and is reached only if a person named that very address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What one cloud gives every machine for metadata, in the middle of the open internet.
const METADATA: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// A route that leads through another machine.
const GATEWAY: u32 = 2;
/// No network of neighbours is larger.
const NETWORK_BITS_MIN: u32 = 8;
/// What a link of the new kind has in common.
const LINK_BITS: u32 = 64;

/// Why nobody is led to this address, if so.
pub(crate) fn objection(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => old(address),
        IpAddr::V6(address) => new(address),
    }
}

/// Whether the address is one of this machine's own: what listens on it may be meant for nobody else.
pub(crate) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting such a socket sends nothing: the kernel only says from which address it would.
    let from = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

/// Whether the address is one of a network that this machine is part of: what listens there may be meant for neighbours only, though its
/// address is one of the open internet.
pub(crate) fn is_near(address: IpAddr) -> bool {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    match address.to_canonical() {
        IpAddr::V4(address) => is_near_old(address, &read("/proc/net/route")),
        IpAddr::V6(address) => is_near_new(address, &read("/proc/net/if_inet6")),
    }
}

/// By the kernel's routes: those without a gateway lead to neighbours. One to a large part of the world is the way out of some tunnel.
fn is_near_old(address: Ipv4Addr, routes: &str) -> bool {
    let has = |route: &str| {
        let words: Vec<&str> = route.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| u32::from_str_radix(word, 16).ok());
        let (Some(network), Some(flags), Some(mask)) = (number(1), number(3), number(7)) else { return false };
        // They are written as they stand in memory.
        let address = u32::from_ne_bytes(address.octets());
        flags & GATEWAY == 0 && mask.count_ones() >= NETWORK_BITS_MIN && address & mask == network
    };
    routes.lines().skip(1).any(has)
}

/// By this machine's own addresses. Its link has 64 bits at least, whatever it says of itself.
fn is_near_new(address: Ipv6Addr, own: &str) -> bool {
    let has = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = words.first().and_then(|word| u128::from_str_radix(word, 16).ok());
        let bits = words.get(2).and_then(|word| u32::from_str_radix(word, 16).ok());
        let (Some(own), Some(bits @ NETWORK_BITS_MIN..)) = (own, bits) else { return false };
        (own ^ address.to_bits()) >> (128 - bits.min(LINK_BITS)) == 0
    };
    own.lines().any(has)
}

fn old(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        _ if address == METADATA => "where clouds keep a machine's keys",
        (0, ..) => "no address of a host",
        (127, ..) => "this machine itself",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "in a private network",
        (100, 64..=127, _) => "in a provider's own network",
        (169, 254, _) => "in the link's own network, where clouds keep a machine's keys",
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => "reserved",
        (224.., ..) => "for groups of machines or reserved",
        _ => return None,
    })
}

fn new(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        old(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine itself"),
        [0, 0, 0, 0, 0, 0, ..] => Some("no address of a host"),
        // Other ways to write an address of the old kind: judged as that.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        [0x64, 0xff9b, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
            Some("reserved")
        }
        [0xfc00..=0xfdff, ..] => Some("in a private network"),
        [0xfe80..=0xfebf, ..] => Some("in the link's own network"),
        // All that is given out lies here.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("for groups of machines or reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_internet_is_reached() {
        for closed in [
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(objection(closed.parse().unwrap()).is_some(), "{closed}");
        }
        for open in [
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2002:808:808::",
        ] {
            assert_eq!(objection(open.parse().unwrap()), None, "{open}");
        }
    }

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_own(Ipv4Addr::new(127, 0, 0, 1).into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[test]
    fn neighbours_are_known_by_the_networks_that_the_machine_is_part_of() {
        let of = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let route = |network, gateway, flags: &str, mask| {
            format!("eth0\t{}\t{}\t{flags}\t0\t0\t0\t{}\t0\t0\t0\n", of(network), of(gateway), of(mask))
        };
        let routes = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n".to_owned(),
            route([0; 4], [0; 4], "0001", [0; 4]),
            route([128, 0, 0, 0], [0; 4], "0001", [128, 0, 0, 0]),
            route([159, 89, 16, 0], [0; 4], "0001", [255, 255, 240, 0]),
            route([8, 8, 8, 0], [159, 89, 16, 1], "0003", [255, 255, 255, 0]),
        ]
        .concat();
        for (address, near) in [("159.89.31.7", true), ("159.89.32.7", false), ("8.8.8.8", false), ("200.1.1.1", false)]
        {
            assert_eq!(is_near_old(address.parse().unwrap(), &routes), near, "{address}");
        }
        let own = "00000000000000000000000000000001 01 80 10 80       lo\n\
                   26070f8b40070801000000000000200e 02 80 00 00     eth0\n\
                   2a0104f8000000000000000000000001 03 30 00 00     eth1\n";
        for (address, near) in [
            ("2607:f8b:4007:801::1", true),
            ("2607:f8b:4007:802::1", false),
            ("2a01:4f8:0:ffff::1", true),
            ("2a01:4f8:1::1", false),
        ] {
            assert_eq!(is_near_new(address.parse().unwrap(), own), near, "{address}");
        }
        assert!(!is_near_old(Ipv4Addr::new(1, 1, 1, 1), "") && !is_near_new(Ipv6Addr::LOCALHOST, ""));
    }
}
