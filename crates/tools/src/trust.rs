//! The certificates that programs in a computer trust, where a task has an authority of its own: a file in the computer, and the
//! variables by which programs find it. It judges no certificate.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sandbox::{Computer, FileOp, Request};

/// The machine's own: Debian and most others, Fedora and its kin of now and before, openSUSE, NixOS, and the last resort of the rest.
const MACHINE: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// How each begins.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Where they stand in the computer.
const PLACE: &str = "/home/agent/.thenar/certificates.pem";
/// How long the computer may take to write them.
const WAIT: Duration = Duration::from_secs(20);

/// Variables by which curl, Python, Node.js, git and others find them.
pub const TRUST: &[(&str, &str)] = &[
    ("CURL_CA_BUNDLE", PLACE),
    ("GIT_SSL_CAINFO", PLACE),
    ("NODE_EXTRA_CA_CERTS", PLACE),
    ("PIP_CERT", PLACE),
    ("REQUESTS_CA_BUNDLE", PLACE),
    ("SSL_CERT_FILE", PLACE),
];

/// Puts them there. Without them programs trust nobody, which they say themselves.
pub(crate) fn put(computer: &Computer, certificate: &str) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let content = with(first_of(MACHINE.iter().map(Path::new)), certificate);
    // Each time anew: a later computer of the task has a home of its own.
    let call = format!("trust-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let write = Request::File(FileOp::Write { path: PLACE.to_owned(), content, append: false });
    let put = computer.start(&call, &write).and_then(|()| computer.wait(&call, WAIT));
    if let Err(error) = put {
        tracing::warn!(%error, "the computer could not be told whom to trust");
    }
}

/// The first of these files that holds a certificate.
fn first_of<'a>(mut files: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    let holds = |bytes: &Vec<u8>| bytes.windows(BEGIN.len()).any(|part| part == BEGIN);
    files.find_map(|file| std::fs::read(file).ok().filter(holds)).unwrap_or_default()
}

/// One more certificate. The last of the others need not end its line.
fn with(mut all: Vec<u8>, certificate: &str) -> Vec<u8> {
    if all.last().is_some_and(|last| *last != b'\n') {
        all.push(b'\n');
    }
    all.extend_from_slice(certificate.as_bytes());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_trusts_is_found_where_it_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let [missing, empty, first, second] =
            ["missing", "empty", "first", "second"].map(|name| folder.path().join(name));
        let certificate = |name: &str| format!("# {name}\n-----BEGIN CERTIFICATE-----\n");
        std::fs::write(&empty, "").unwrap();
        std::fs::write(&first, certificate("first").trim_end()).unwrap();
        std::fs::write(&second, certificate("second")).unwrap();
        let found = first_of([&*missing, &*empty, &*first, &*second].into_iter());
        let whole = with(found, "own\n");
        assert_eq!(String::from_utf8(whole).unwrap(), format!("{}own\n", certificate("first")));
        assert_eq!(with(first_of([&*missing].into_iter()), "own\n"), b"own\n");
    }
}
