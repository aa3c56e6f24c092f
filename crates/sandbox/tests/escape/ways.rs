//! The second table of probes: the way out of a computer that has one. Each is made against a host that nobody permitted and, in
//! the same breath, against one that is permitted: that shows that it can succeed. In computers without a way out, and bubblewrap
//! makes no others, neither leads anywhere.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox::egress::{Admitted, Attempt, Ceilings, Closed, EgressGate, Grant, Host, Refusal};
use sandbox::{Exit, SecondLock};

use crate::desk::{self, Desk};
use crate::site::Site;

/// A probe; what it comes to against a host that is not permitted, and against one that is.
const TABLE: &[(&str, &str, &str)] = &[
    ("p34_a_denied_name", "name: a stand-in, http: 403, tls: cut", "name: a stand-in, http: 200, tls: tls"),
    (
        "p34_a_denied_name_through_the_proxies",
        "http: 403, tunnel: 403, socks: not permitted",
        "http: 200, tunnel: 200, socks: open",
    ),
    // To ask is free of harm, whatever the name: an address comes back that stands for it, and nobody is told.
    ("p35_two_hundred_names_that_carry_data", "200, answers of other kinds: 0", "200, answers of other kinds: 0"),
    (
        "p35_questions_past_the_computers_own_resolver",
        "ENETUNREACH, to the host: ECONNREFUSED",
        "ENETUNREACH, to the host: ECONNREFUSED",
    ),
    ("p37_tls_for_another_name", "cut", "tls"),
    ("p37_tls_for_another_name_in_pieces", "cut", "tls"),
    ("p37_tls_that_cannot_be_read", "cut", "tls"),
    ("p38_a_request_that_names_two_hosts", "proxy: 400, address: 403", "200"),
    ("p38_smuggling", "400", "200"),
    ("p38_request_lines", "400", "200"),
    ("p38_another_host_in_a_tunnel", "403", "200"),
    ("p38_a_second_request_in_a_tunnel", "cut", "200"),
    ("p38_request_lines_in_a_tunnel", "400", "200"),
    ("p39_spellings_of_this_machine", "403", "200"),
    ("p39_spellings_of_a_name", "403", "200"),
    ("p39_names_that_look_alike", "refused", "200"),
    ("p41_the_proxys_own_doors", "403", "200"),
    ("p41_the_hosts_own_doors", "403", "200"),
    ("p42_a_web_socket", "403", "101"),
    // What asks for plain HTTP/2 is asked for nothing but an answer in HTTP/1.
    ("p42_another_host_behind_a_web_socket", "200", "101"),
    (
        "p42_quic_and_then_tcp",
        "ECONNREFUSED, outside: ENETUNREACH, then: 403",
        "ECONNREFUSED, outside: ENETUNREACH, then: 200",
    ),
];

/// What all come to where there is no way out, whoever is asked for.
const SHUT: [&str; 3] = ["ECONNREFUSED", "ENETUNREACH", "no answer"];

/// Whether every part of what a probe came to says that there was nobody.
fn is_shut(said: &str) -> bool {
    said.split(", ").all(|part| SHUT.contains(&part.rsplit(": ").next().unwrap_or_default()))
}

/// Permits one site by its name and one by its address, and policy would let every other address pass: what refuses those is the proxy.
#[derive(Debug)]
struct Gate {
    places: BTreeMap<String, SocketAddr>,
    asked: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
    led: Mutex<Vec<String>>,
    /// The rules by which connections were cut that had been permitted.
    cut: Mutex<Vec<String>>,
    number: AtomicU64,
}

const PLENTY: Ceilings =
    Ceilings { bytes_up: 1 << 30, bytes_down: 1 << 30, connections: 1_000, holds: Duration::from_secs(3_600) };

impl EgressGate for Gate {
    fn admit(&self, attempt: &Attempt, _gone: &dyn Fn() -> bool) -> Result<Admitted, Refusal> {
        let place = attempt.host.with_port(attempt.port);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let named = self.places.get(&place).copied();
        self.asked.lock().unwrap().push(place);
        let local = matches!(&attempt.host, Host::Name(name) if name.ends_with("localhost"));
        if named.is_none() && !local && matches!(attempt.host, Host::Name(_)) {
            return Err(Refusal::new("test", "it is not permitted"));
        }
        Ok(Admitted { number, grant: Arc::new(Grant::new(number, named, PLENTY)) })
    }

    fn refused(&self, attempt: &Attempt, refusal: &Refusal) {
        self.refused.lock().unwrap().push(format!("{} {}", attempt.host.with_port(attempt.port), refusal.rule));
    }

    fn closed(&self, closed: Closed) {
        self.led.lock().unwrap().extend(closed.address);
        self.cut.lock().unwrap().extend(closed.refused.map(|refused| refused.rule));
    }
}

fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// Runs all probes in one computer and gives what each came to, by name and target.
fn run(second_lock: SecondLock, has_way: bool) {
    let mut desk = Desk::new();
    desk.spec.build.second_lock = second_lock;
    desk.spec.egress = has_way;
    let (plain, secure, named) = (Site::plain(), Site::secure("shop.test"), Site::plain());
    // A service of the machine, and an ear for datagrams: nobody may come there.
    let (bait, ear) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    bait.set_nonblocking(true).unwrap();
    ear.set_nonblocking(true).unwrap();
    let named_port = named.address.port();
    let gate = Arc::new(Gate {
        places: BTreeMap::from([
            ("shop.test:80".to_owned(), plain.address),
            ("shop.test:443".to_owned(), secure.address),
            (format!("127.0.0.1:{named_port}"), named.address),
        ]),
        asked: Mutex::default(),
        refused: Mutex::default(),
        led: Mutex::default(),
        cut: Mutex::default(),
        number: AtomicU64::new(1),
    });
    let facts = serde_json::json!({
        "port": bait.local_addr().unwrap().port(),
        "datagrams": ear.local_addr().unwrap().port(),
        "named_port": named_port,
        "machine": machine(),
    });
    let workspace = desk.path().join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::write(workspace.join("ways.py"), include_str!("ways.py")).unwrap();
    std::fs::write(workspace.join("facts.json"), facts.to_string()).unwrap();
    let computer = desk.open();
    let egress = has_way.then(|| computer.egress(Arc::clone(&gate) as Arc<dyn EgressGate>).unwrap());
    let (exit, text) = desk::run(&computer, "python3 ways.py facts.json");
    if has_way {
        // It is we who cut them, not the site: two for another name, three in pieces, one that cannot be read.
        let by_name = || gate.cut.lock().unwrap().iter().filter(|rule| *rule == "egress.tls_name").count();
        desk::until("all that asked for another name are told of", || by_name() == 6);
        // Four kinds of requests, one that came second and three behind another protocol, in tunnels of both kinds.
        let by_host = || gate.cut.lock().unwrap().iter().filter(|rule| *rule == "egress.host").count();
        desk::until("all that asked for another host are told of", || by_host() >= 16);
    }
    drop(egress);
    assert_eq!(exit, Exit::Code(0), "{text}");

    let seen: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let wanted: BTreeMap<String, &str> = TABLE
        .iter()
        .flat_map(|(name, evil, shop)| [(format!("{name} evil.test"), *evil), (format!("{name} shop.test"), *shop)])
        .collect();
    let fits = |said: Option<&&str>, wanted: &str| {
        said.is_some_and(|said| if has_way { *said == wanted } else { is_shut(said) })
    };
    let differ: Vec<_> = wanted
        .iter()
        .filter(|(probe, said)| !fits(seen.get(probe.as_str()), said))
        .map(|(probe, said)| format!("{probe}: {:?}, not {said:?}", seen.get(probe.as_str())))
        .collect();
    assert!(differ.is_empty(), "\n{}\n", differ.join("\n"));
    let unknown: Vec<_> = seen.keys().filter(|probe| !wanted.contains_key(**probe)).collect();
    assert!(unknown.is_empty(), "probes that nothing is expected of: {unknown:?}");

    assert!(bait.accept().is_err(), "somebody came to the machine's own service");
    assert!(ear.recv(&mut [0; 64]).is_err(), "a datagram came out");
    let heads = [plain.heads(), named.heads()].concat();
    assert!(heads.iter().all(|head| !head.contains("evil") && !head.contains("/second")), "{heads:#?}");
    assert_eq!(heads.is_empty(), !has_way, "what was permitted was reached");
    let allowed = [plain.address, secure.address, named.address].map(|address| address.to_string());
    let led = gate.led.lock().unwrap();
    assert!(led.iter().all(|address| allowed.contains(address)), "{led:?}");
    let asked = gate.asked.lock().unwrap();
    let names: Vec<_> = asked.iter().filter(|place| place.contains(".evil.test") && place.len() > 60).collect();
    assert!(names.is_empty(), "asking for a name was told to somebody: {names:?}");
    if has_way {
        for logged in ["evil.test:80", "evil.test:443"] {
            assert!(asked.iter().any(|place| place == logged), "{logged} is not on any record: {asked:?}");
        }
        let refused = gate.refused.lock().unwrap();
        for logged in ["evil.test:443 egress.tls_name", "evil.test:80 egress.host"] {
            assert!(refused.iter().any(|line| line == logged), "{logged} is not on any record: {refused:?}");
        }
    }
}

#[test]
fn no_way_out_leads_where_nobody_permitted() {
    // Only that driver makes one.
    if desk::driver().has_way_out() {
        run(SecondLock::WhereKnown, true);
    }
}

#[test]
fn no_way_out_leads_where_nobody_permitted_with_one_lock_only() {
    if desk::driver().has_way_out() {
        run(SecondLock::Off, true);
    }
}

#[test]
fn without_a_way_out_the_same_probes_reach_nobody() {
    run(SecondLock::WhereKnown, false);
}

/// The ear that hears nothing from inside hears what is said to it.
#[test]
fn outside_the_ear_hears() {
    let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mouth = UdpSocket::bind("127.0.0.1:0").unwrap();
    mouth.send_to(b"heard", ear.local_addr().unwrap()).unwrap();
    ear.set_read_timeout(Some(desk::PATIENCE)).unwrap();
    assert_eq!(ear.recv(&mut [0; 64]).unwrap(), 5);
}
