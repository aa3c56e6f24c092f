//! The certificates that programs in a computer trust, where a task has an authority of its own: a file in the computer, and the
//! variables by which programs find it. It judges no certificate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sandbox::{Computer, FileOp, Request};

/// The machine's own, as Debian and most others have them.
const MACHINE: &str = "/etc/ssl/certs/ca-certificates.crt";
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
    let mut content = std::fs::read(MACHINE).unwrap_or_default();
    content.extend_from_slice(certificate.as_bytes());
    // Each time anew: a later computer of the task has a home of its own.
    let call = format!("trust-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let write = Request::File(FileOp::Write { path: PLACE.to_owned(), content, append: false });
    let put = computer.start(&call, &write).and_then(|()| computer.wait(&call, WAIT));
    if let Err(error) = put {
        tracing::warn!(%error, "the computer could not be told whom to trust");
    }
}
