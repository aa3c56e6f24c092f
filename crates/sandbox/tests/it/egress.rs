//! The way out of a computer: ordinary programs inside, sites on loopback outside, and a gate between.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sandbox::Computer;
use sandbox::egress::{Admitted, Attempt, Authority, Ceilings, Closed, Egress, EgressGate, Grant, Refusal, Secret};

use crate::desk::{Desk, ended, output, run, shell, until};
use crate::site::Site;

pub(crate) const PLENTY: Ceilings =
    Ceilings { bytes_up: 1 << 20, bytes_down: 1 << 30, connections: 8, holds: Duration::from_secs(3_600) };

/// Lets through what is in its table, and remembers all.
#[derive(Debug, Default)]
pub(crate) struct TestGate {
    allowed: Mutex<BTreeMap<String, Arc<Grant>>>,
    asked: Mutex<Vec<String>>,
    refused: Mutex<Vec<(String, String)>>,
    closed: Mutex<Vec<Closed>>,
    number: AtomicU64,
}

impl TestGate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn allow(&self, place: &str, at: Option<SocketAddr>, ceilings: Ceilings) -> Arc<Grant> {
        let grant = Arc::new(Grant::new(1, at, ceilings));
        self.allowed.lock().unwrap().insert(place.to_owned(), Arc::clone(&grant));
        grant
    }

    pub(crate) fn put(&self, place: &str, grant: Grant) {
        self.allowed.lock().unwrap().insert(place.to_owned(), Arc::new(grant));
    }

    pub(crate) fn closed(&self) -> Vec<Closed> {
        self.closed.lock().unwrap().clone()
    }

    pub(crate) fn rules(&self) -> Vec<String> {
        self.closed().into_iter().filter_map(|closed| closed.refused).map(|refused| refused.rule).collect()
    }
}

impl EgressGate for TestGate {
    fn admit(&self, attempt: &Attempt, _gone: &dyn Fn() -> bool) -> Result<Admitted, Refusal> {
        let place = attempt.host.with_port(attempt.port);
        self.asked.lock().unwrap().push(format!("{:?} {place}", attempt.way));
        let allowed = self.allowed.lock().unwrap();
        let grant = allowed.get(&place).or_else(|| allowed.get("*")).cloned();
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        grant.map(|grant| Admitted { number, grant }).ok_or_else(|| Refusal::new("test", "it is not in the table"))
    }

    fn refused(&self, attempt: &Attempt, refusal: &Refusal) {
        let place = attempt.host.with_port(attempt.port);
        self.refused.lock().unwrap().push((place, refusal.rule.clone()));
    }

    fn closed(&self, closed: Closed) {
        self.closed.lock().unwrap().push(closed);
    }
}

/// A computer with a way out through this gate.
pub(crate) fn computer(gate: &Arc<TestGate>) -> (Desk, Computer, Egress) {
    let mut desk = Desk::new();
    desk.spec.egress = true;
    let computer = desk.open();
    let egress = computer.egress(Arc::clone(gate) as Arc<dyn EgressGate>).unwrap();
    (desk, computer, egress)
}

/// What curl says: the code, and the body where it is short.
#[track_caller]
pub(crate) fn curl(computer: &Computer, arguments: &str) -> String {
    let (_, said) = run(computer, &format!("curl -sk --max-time 60 -w '%{{http_code}}' {arguments}"));
    said
}

pub(crate) const PROXY: &str = "-x http://127.0.0.1:3128";

#[test]
fn a_program_reaches_what_is_permitted_and_nothing_else() {
    let (gate, site) = (TestGate::new(), Site::plain());
    let place = format!("shop.test:{}", site.address.port());
    gate.allow(&place, Some(site.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    let said = curl(&computer, &format!("{PROXY} http://{place}/cat -d 12345"));
    assert_eq!(said, "this is /cat, and 5 bytes came\n200");
    let said = curl(&computer, &format!("{PROXY} http://other.test/"));
    assert!(said.contains("it is not in the table") && said.ends_with("403"), "{said}");
    let said = curl(&computer, &format!("{PROXY} -p https://other.test/ -v 2>&1"));
    assert!(said.contains("403 it is not in the table"), "{said}");
    let said = curl(&computer, &format!("--socks5-hostname 127.0.0.1:1080 http://{place}/dog"));
    assert_eq!(said, "this is /dog, and 0 bytes came\n200");
    let said = curl(&computer, "--socks5-hostname 127.0.0.1:1080 http://other.test/");
    assert_eq!(said, "000");
    // Past the proxy there is nothing.
    let (_, said) = run(&computer, &format!("curl -s --max-time 5 http://{}/; echo $?", site.address));
    assert_eq!(said, "7\n", "what listens on the machine is not in the computer's network");
    until("both connections are told of", || gate.closed().len() == 2);
    let closed = gate.closed();
    assert!(closed.iter().all(|closed| closed.address == Some(site.address.to_string()) && closed.refused.is_none()));
    assert!(closed[0].bytes_up > 100 && closed[0].bytes_down > 50, "{closed:?}");
    assert_eq!(site.heads().len(), 2);
}

#[test]
fn without_any_setting_a_name_leads_to_the_proxy() {
    let (gate, plain, secure) = (TestGate::new(), Site::plain(), Site::secure("shop.test"));
    gate.allow("shop.test:80", Some(plain.address), PLENTY);
    gate.allow("shop.test:443", Some(secure.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    assert_eq!(curl(&computer, "http://shop.test/a"), "this is /a, and 0 bytes came\n200");
    assert_eq!(curl(&computer, "https://Shop.Test/b"), "this is /b, and 0 bytes came\n200");
    let said = curl(&computer, "http://other.test/");
    assert!(said.contains("it is not in the table") && said.ends_with("403"), "{said}");
    assert_eq!(curl(&computer, "https://other.test/"), "000");
    let script = "import urllib.request as r; print(r.urlopen('http://shop.test/c').read().decode(), end='')";
    assert_eq!(run(&computer, &format!("python3 -c \"{script}\"")).1, "this is /c, and 0 bytes came\n");
    until("the connections are told of", || gate.closed().len() == 3);
    let asked = gate.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["Http shop.test:80", "Tls shop.test:443", "Http other.test:80", "Tls other.test:443", "Http shop.test:80"]
    );
    let tls = gate.closed().into_iter().find(|closed| closed.tls_name.is_some()).unwrap();
    assert_eq!(tls.tls_name.as_deref(), Some("shop.test"));
}

#[test]
fn tls_for_another_name_is_cut_off() {
    let (gate, site) = (TestGate::new(), Site::secure("shop.test"));
    gate.allow("shop.test:443", Some(site.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    let inside = "--connect-to evil.test:443:shop.test:443 https://evil.test/";
    assert_eq!(curl(&computer, &format!("{PROXY} {inside}")), "000", "through a tunnel to a permitted host");
    until("it is told", || gate.rules() == ["egress.tls_name"]);
    assert_eq!(gate.closed()[0].tls_name.as_deref(), Some("evil.test"));
    assert_eq!(curl(&computer, inside), "000", "to the address that stands for a permitted host");
    assert_eq!(*gate.refused.lock().unwrap(), [("evil.test:443".to_owned(), "egress.tls_name".to_owned())]);
    assert_eq!(curl(&computer, "--connect-to evil.test:80:shop.test:80 http://evil.test/ -o /dev/null"), "403");
    assert!(site.heads().is_empty());
}

#[test]
fn nobody_is_led_to_this_machine_or_its_neighbours() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("*", None, PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    let port = site.address.port();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",
    ];
    for host in hosts {
        // By hand, since curl has ideas of its own about some of these.
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://{host}:{port}/ HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n' >&3; head -n 1 <&3"
        );
        let (_, said) = run(&computer, &format!("bash -c \"{script}\""));
        assert!(said.starts_with("HTTP/1.1 403"), "{host}: {said}");
    }
    until("all are told of", || gate.closed().len() == hosts.len());
    let rules = gate.rules();
    assert!(rules.len() == hosts.len() && rules.iter().all(|rule| rule.starts_with("egress.")), "{rules:?}");
    assert!(site.heads().is_empty());
}

#[test]
fn asking_for_a_name_tells_nobody() {
    let gate = TestGate::new();
    let (_desk, computer, _egress) = computer(&gate);
    let script = "import socket, os\n\
        got = [socket.gethostbyname(os.urandom(25).hex() + '.leak.example') for _ in range(200)]\n\
        print(len(set(got)), all(one.startswith('127.200.') for one in got))";
    assert_eq!(run(&computer, &format!("python3 -c \"{script}\"")).1, "200 True\n");
    assert!(gate.asked.lock().unwrap().is_empty());
}

#[test]
fn a_second_request_does_not_slip_in_behind_the_first() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("shop.test:80", Some(site.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    let speak = |words: &str| {
        let script = format!("exec 3<>/dev/tcp/shop.test/80; printf '{words}' >&3; cat <&3");
        run(&computer, &format!("bash -c \"{script}\"")).1
    };
    let both = "POST /one HTTP/1.1\\r\\nHost: shop.test\\r\\nContent-Length: 2\\r\\n\\r\\nabGET /two HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n";
    assert!(speak(both).contains("this is /one, and 2 bytes"));
    let twice = "POST / HTTP/1.1\\r\\nHost: shop.test\\r\\nContent-Length: 2\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n";
    assert!(speak(twice).contains("400 the length of the body is said in two ways"));
    assert!(speak("GET / HTTP/1.1\\nHost: shop.test\\n\\r\\n\\r\\n").contains("400 "));
    assert!(
        speak("GET / HTTP/1.1\\r\\nHost: shop.test\\r\\nHost: evil.test\\r\\n\\r\\n")
            .contains("400 there are two hosts")
    );
    let heads = site.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert!(heads[0].starts_with("POST /one HTTP/1.1\r\nHost: shop.test\r\n"), "{heads:?}");
}

#[test]
fn what_is_refused_without_a_question_is_told_of_too() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("*", Some(site.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    let script = r#"
import socket
def say(host, port, *pieces):
    line = socket.create_connection((host, port))
    for piece in pieces:
        line.sendall(piece)
        said = line.recv(4096)
    line.close()
    return said
def ask(port, head):
    said = say("127.0.0.1" if port == 3128 else "shop.test", port, head.replace("|", "\r\n").encode())
    assert said.startswith(b"HTTP/1.1 400"), said
ask(80, "GET  / HTTP/1.1||")
ask(80, "GET / HTTP/1.1||")
ask(3128, "CONNECT shop.test HTTP/1.1||")
ask(3128, "GET / HTTP/1.1|Host: shop.test||")
ask(80, "POST / HTTP/1.1|Host: shop.test|Content-Length: 1|Content-Length: 1||")
ask(80, "POST / HTTP/1.1|Host: shop.test|Transfer-Encoding: chunked||x|")
say("shop.test", 443, b"no TLS")
say("127.200.255.254", 443, b"no TLS")
place = b"\x03\x09shop.test\x00\x50"
for command in [b"\x02", b"\x03"]:
    said = say("127.0.0.1", 1080, b"\x05\x01\x00", b"\x05" + command + b"\x00" + place)
    assert said[:2] == b"\x05\x07", said
say("127.0.0.1", 1080, b"\x04\x01\x00")
print("said")
"#;
    let (_, said) = run(&computer, &format!("python3 - <<'END' 2>&1\n{script}\nEND"));
    assert_eq!(said, "said\n");
    let nowhere = |rule: &str| (":0".to_owned(), rule.to_owned());
    let shop = |port: u16, rule: &str| (format!("shop.test:{port}"), rule.to_owned());
    until("all are told of", || gate.refused.lock().unwrap().len() == 11);
    let mut refused = gate.refused.lock().unwrap().clone();
    // A program that asked for a port of its own has its answer a moment before.
    refused[8..].sort();
    assert_eq!(refused[..4], [0; 4].map(|_| nowhere("egress.request")));
    assert_eq!(refused[4..6], [0; 2].map(|_| shop(80, "egress.request")));
    assert_eq!(refused[6..8], [shop(443, "egress.tls_name"), nowhere("egress.tls_name")]);
    assert_eq!(refused[8..], [nowhere("egress.request"), shop(80, "egress.request"), shop(80, "egress.request")]);
    assert!(gate.asked.lock().unwrap().is_empty() && site.heads().is_empty());
}

#[test]
fn whoever_finds_nobody_serving_waits_for_the_next() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("shop.test:80", Some(site.address), PLENTY);
    let (_desk, computer, egress) = computer(&gate);
    drop(egress);
    computer.start("waits", &shell("echo begun; curl -s --max-time 120 http://shop.test/late")).unwrap();
    until("it has begun", || output(&computer, "waits").contains("begun"));
    let _egress = computer.egress(Arc::clone(&gate) as Arc<dyn EgressGate>).unwrap();
    ended(&computer, "waits");
    assert_eq!(output(&computer, "waits"), "begun\nthis is /late, and 0 bytes came\n");
}

/// Says that it was asked, and answers when it is told to.
#[derive(Debug)]
struct LateGate {
    gate: Arc<TestGate>,
    asked: Sender<()>,
    told: Mutex<Receiver<()>>,
}

impl EgressGate for LateGate {
    fn admit(&self, attempt: &Attempt, gone: &dyn Fn() -> bool) -> Result<Admitted, Refusal> {
        self.asked.send(()).unwrap();
        self.told.lock().unwrap().recv().unwrap();
        self.gate.admit(attempt, gone)
    }

    fn refused(&self, attempt: &Attempt, refusal: &Refusal) {
        self.gate.refused(attempt, refusal);
    }

    fn closed(&self, closed: Closed) {
        EgressGate::closed(&*self.gate, closed);
    }
}

#[test]
fn what_is_let_through_after_the_end_asks_nobody_any_more() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("shop.test:80", Some(site.address), PLENTY);
    let ((asked, is_asked), (tell, told)) = (channel(), channel());
    let late = LateGate { gate: Arc::clone(&gate), asked, told: Mutex::new(told) };
    let mut desk = Desk::new();
    desk.spec.egress = true;
    let computer = desk.open();
    let mut egress = computer.egress(Arc::new(late)).unwrap();
    computer.start("asks", &shell("curl -s --max-time 120 http://shop.test/")).unwrap();
    is_asked.recv().unwrap();
    egress.end();
    tell.send(()).unwrap();
    until("it is told", || gate.rules() == ["egress.over"]);
    assert!(site.heads().is_empty());
}

#[test]
fn a_grant_that_ends_cuts_its_connections() {
    let (gate, site) = (TestGate::new(), Site::plain());
    let grant = gate.allow("shop.test:443", Some(site.address), PLENTY);
    let (_desk, computer, egress) = computer(&gate);
    let script =
        "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT shop.test:443 HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3; echo cut";
    computer.start("holds", &shell(&format!("bash -c \"{script}\""))).unwrap();
    until("it is open", || output(&computer, "holds").contains("200 Connection established"));
    assert_eq!(egress.open(), 1);
    grant.end(Refusal::new("test", "enough"));
    ended(&computer, "holds");
    assert!(output(&computer, "holds").ends_with("cut\n"));
    until("it is told", || gate.rules() == ["test"]);
    assert_eq!(
        curl(&computer, &format!("{PROXY} -p http://shop.test:443/ -o /dev/null")),
        "000",
        "nor is there a new one"
    );
}

#[test]
fn more_downloads_than_may_be_open_at_once_wait_for_each_other() {
    const OPEN: usize = 32;
    let gate = TestGate::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = listener.local_addr().unwrap();
    gate.allow("shop.test:80", Some(site), Ceilings { connections: OPEN, ..PLENTY });
    // How many are open, how many were at the most, and how many have come.
    let count = Arc::new((Mutex::new((0, 0, 0)), Condvar::new()));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = Arc::clone(&counted);
            std::thread::spawn(move || {
                let (count, changed) = &*count;
                let mut now = count.lock().unwrap();
                *now = (now.0 + 1, now.1.max(now.0 + 1), now.2 + 1);
                changed.notify_all();
                // None is over before as many are open as may be.
                drop(changed.wait_while(now, |now| now.2 < OPEN).unwrap());
                let mut heard = BufReader::new(&stream).lines().map_while(Result::ok);
                while heard.next().is_some_and(|line| !line.is_empty()) {}
                count.lock().unwrap().0 -= 1;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthere\n");
            });
        }
    });
    let (_desk, computer, _egress) = computer(&gate);
    let (_, said) = run(&computer, "for one in $(seq 40); do curl -s http://shop.test/ & done; wait");
    assert_eq!(said, "there\n".repeat(40));
    until("all are told of", || gate.closed().len() == 40);
    assert!(gate.rules().is_empty(), "{:?}", gate.rules());
    let now = *count.0.lock().unwrap();
    assert_eq!(now, (0, OPEN, 40));
}

#[test]
fn no_more_passes_than_the_grant_is_worth() {
    let (gate, site) = (TestGate::new(), Site::plain());
    let small = Ceilings { bytes_up: 10_000, bytes_down: 100_000, ..PLENTY };
    gate.allow("down.test:80", Some(site.address), small);
    gate.allow("up.test:80", Some(site.address), small);
    let (_desk, computer, _egress) = computer(&gate);
    assert_eq!(curl(&computer, "http://down.test/bytes/50000 -o /dev/null"), "200");
    let (_, said) = run(&computer, "curl -s http://down.test/bytes/5000000 | wc -c");
    assert!(said.trim().parse::<u64>().unwrap() < 100_000, "{said}");
    let (_, said) = run(&computer, "head -c 20000 /dev/zero | curl -s --data-binary @- http://up.test/; echo $?");
    assert_ne!(said, "0\n");
    until("it is told", || gate.rules() == ["egress.bytes", "egress.bytes"]);
    assert!(gate.closed().iter().map(|closed| closed.bytes_up).sum::<u64>() < 11_000);
}

#[test]
fn a_secret_is_put_in_on_the_way_and_is_nowhere_inside() {
    let (gate, plain, secure, other) = (TestGate::new(), Site::plain(), Site::secure("api.test"), Site::plain());
    let key = Authority::new_key().unwrap();
    let authority = Arc::new(Authority::of_key(&key, vec![secure.certificate()]).unwrap());
    let secrets = || vec![Secret::new("thenar-secret-x", "the-value").unwrap().in_clear_too()];
    for (place, at) in [("api.test:80", plain.address), ("api.test:443", secure.address)] {
        let grant = Grant::new(1, Some(at), PLENTY).with_secrets(secrets(), Arc::clone(&authority));
        gate.put(place, grant);
    }
    gate.allow("other.test:80", Some(other.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    std::fs::write(_desk.path().join("workspace/ca.pem"), authority.certificate()).unwrap();
    let token = "-H 'Authorization: Bearer thenar-secret-x'";
    // Strictly checked inside: the computer trusts the task's own authority.
    let strict = |arguments: &str| run(&computer, &format!("curl -s --cacert ca.pem {arguments} {token} -d 12345")).1;
    assert_eq!(strict("http://api.test/a"), "this is /a, and 5 bytes came\n");
    assert_eq!(strict("https://api.test/b"), "this is /b, and 5 bytes came\n");
    assert_eq!(strict(&format!("{PROXY} https://api.test/c")), "this is /c, and 5 bytes came\n");
    assert_eq!(strict("https://api.test/bytes/300000").len(), 300_000);
    assert_eq!(strict("http://other.test/d"), "this is /d, and 5 bytes came\n");
    for head in plain.heads().iter().chain(&secure.heads()) {
        assert!(head.contains("Bearer the-value\r\n") && !head.contains("thenar-secret"), "{head}");
    }
    assert_eq!((plain.heads().len(), secure.heads().len()), (1, 3));
    assert!(other.heads()[0].contains("Bearer thenar-secret-x\r\n"), "another host gets the placeholder");
}

#[test]
fn a_secret_that_is_for_tls_goes_out_in_no_other_way() {
    let (gate, site) = (TestGate::new(), Site::plain());
    let authority = Arc::new(Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap());
    for place in ["api.test:80", "api.test:443"] {
        let secrets = vec![Secret::new("thenar-secret-x", "the-value").unwrap()];
        gate.put(place, Grant::new(1, Some(site.address), PLENTY).with_secrets(secrets, Arc::clone(&authority)));
    }
    let (_desk, computer, _egress) = computer(&gate);
    // As a hostile program would: in plain HTTP, also in tunnels, also to where TLS is spoken.
    for way in [
        "http://api.test/a",
        &format!("{PROXY} http://api.test/a"),
        &format!("{PROXY} -p http://api.test:443/a"),
        "--socks5-hostname 127.0.0.1:1080 http://api.test:443/a",
    ] {
        let said = curl(&computer, &format!("-H 'X: thenar-secret-x' {way}"));
        assert_eq!(said, "this is /a, and 0 bytes came\n200", "{way}");
    }
    let heads = site.heads();
    assert!(heads.len() == 4 && heads.iter().all(|head| head.contains("X: thenar-secret-x\r\n")), "{heads:#?}");
}

#[test]
fn a_server_that_says_back_what_it_was_sent_tells_no_value() {
    let (gate, plain, secure) = (TestGate::new(), Site::plain(), Site::secure("api.test"));
    let key = Authority::new_key().unwrap();
    let authority = Arc::new(Authority::of_key(&key, vec![secure.certificate()]).unwrap());
    let value = "the-value-of-the-secret";
    for (place, at) in [("api.test:80", plain.address), ("api.test:443", secure.address)] {
        let secrets = vec![Secret::new("thenar-secret-x", value).unwrap().in_clear_too()];
        gate.put(place, Grant::new(1, Some(at), PLENTY).with_secrets(secrets, Arc::clone(&authority)));
    }
    let (_desk, computer, _egress) = computer(&gate);
    let headers = "-H 'Authorization: Bearer thenar-secret-x' -H 'Origin: thenar-secret-x' -H 'Accept-Encoding: gzip'";
    for way in ["http://api.test/echo", "https://api.test/echo", &format!("{PROXY} -p http://api.test/echo")] {
        let said = curl(&computer, &format!("{headers} {way}"));
        assert!(said.contains("Bearer ***********************\r\n") && !said.contains(value), "{way}: {said}");
        assert!(said.contains("Origin: thenar-secret-x\r\n") && !said.contains("gzip"), "{way}: {said}");
    }
    let heads = [plain.heads(), secure.heads()].concat();
    assert!(heads.len() == 3 && heads.iter().all(|head| head.contains(&format!("Bearer {value}\r\n"))), "{heads:#?}");
}

#[test]
fn a_server_that_is_not_the_host_gets_no_secret() {
    let (gate, site) = (TestGate::new(), Site::secure("api.test"));
    let authority = Arc::new(Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap());
    let secrets = vec![Secret::new("thenar-secret-x", "the-value").unwrap()];
    let grant = Grant::new(1, Some(site.address), PLENTY).with_secrets(secrets, authority);
    gate.put("api.test:443", grant);
    let (_desk, computer, _egress) = computer(&gate);
    assert_eq!(curl(&computer, "https://api.test/ -H 'X: thenar-secret-x'"), "000");
    until("it is told", || gate.rules() == ["egress.certificate"]);
    assert!(site.heads().is_empty());
}
