//! A site on loopback, in plain HTTP or over TLS: it says what it was asked, and remembers it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A site that serves until the test is over.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    certificate: Option<CertificateDer<'static>>,
}

impl Site {
    pub(crate) fn plain() -> Self {
        Self::start(None, None)
    }

    /// Over TLS, with a certificate of its own for this name.
    pub(crate) fn secure(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::start(Some(Arc::new(config)), Some(made.cert.der().clone()))
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>, certificate: Option<CertificateDer<'static>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                std::thread::spawn(move || match tls {
                    None => serve(stream, &seen),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(session, stream), &seen);
                    }
                });
            }
        });
        Self { address, heads, certificate }
    }

    /// What vouches for it.
    #[allow(dead_code, reason = "two test programs share it, and one asks for nobody's word")]
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone().unwrap()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Answers requests on one connection until it ends.
fn serve(stream: impl Read + Write, seen: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let closes = head.to_ascii_lowercase().contains("connection: close");
        if head.to_ascii_lowercase().contains("upgrade: websocket") {
            seen.lock().unwrap().push(head);
            let _ = stream.get_mut().write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
            echo(stream);
            return;
        }
        seen.lock().unwrap().push(head.clone());
        let said = match path.strip_prefix("/bytes/") {
            Some(many) => "x".repeat(many.parse().unwrap()),
            None if path == "/echo" => head,
            None => format!("this is {path}, and {length} bytes came\n"),
        };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
        // Whoever is cut off in the middle of an answer is what some tests are about.
        let told = stream.get_mut().write_all(answer.as_bytes()).and_then(|()| stream.get_mut().flush());
        if told.is_err() || closes {
            return;
        }
    }
}

/// Says back each piece until the other side ends.
fn echo(mut stream: BufReader<impl Read + Write>) {
    let _ = stream.get_mut().flush();
    let mut piece = [0; 1024];
    while let Ok(bytes @ 1..) = stream.read(&mut piece) {
        let told = stream.get_mut().write_all(&piece[..bytes]).and_then(|()| stream.get_mut().flush());
        if told.is_err() {
            return;
        }
    }
}
