//! The certificate authority of one task: its computer trusts it, nobody else does, and the proxy speaks TLS in a host's name with
//! it where a secret is to be put in. It judges no server by itself: that is for the machine's own authorities.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// How it names itself.
const NAME: &str = "Thenar, for this task only";
/// And whoever it vouches for: another name, since who names himself as issuer vouches for himself. The host stands elsewhere.
const HOST_NAME: &str = "Thenar, in the name of a host";

/// A task's own authority, and whom it trusts itself.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    towards_servers: Arc<ClientConfig>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new key, to be kept outside the computer.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn new_key() -> io::Result<Vec<u8>> {
        Ok(KeyPair::generate().map_err(io::Error::other)?.serialize_der())
    }

    /// The authority of a key. Servers are believed if one of `roots` vouches for them.
    ///
    /// # Errors
    /// If the key is none.
    pub fn of_key(key: &[u8], roots: Vec<CertificateDer<'static>>) -> io::Result<Self> {
        let pair = || KeyPair::try_from(key).map_err(io::Error::other);
        let certificate = parameters().self_signed(&pair()?).map_err(io::Error::other)?.pem();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.map_err(io::Error::other)?.with_root_certificates(store).with_no_client_auth();
        Ok(Self { issuer: Issuer::new(parameters(), pair()?), certificate, towards_servers: Arc::new(client) })
    }

    /// The machine's own authorities.
    pub fn machine_roots() -> Vec<CertificateDer<'static>> {
        rustls_native_certs::load_native_certs().certs
    }

    /// What the computer has to trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(crate) fn towards_servers(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.towards_servers)
    }

    /// How the proxy speaks in the name of a host.
    pub(crate) fn speaking_for(&self, host: &str) -> io::Result<Arc<ServerConfig>> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let leaf = leaf(host)?.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_no_client_auth();
        Ok(Arc::new(config.with_single_cert(vec![leaf.der().clone()], key).map_err(io::Error::other)?))
    }
}

/// The same each time, so that the authority of a key is always the same one.
fn parameters() -> CertificateParams {
    let mut all = CertificateParams::default();
    all.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    all.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    all.distinguished_name.push(DnType::CommonName, NAME);
    all
}

/// What is said of a host. Python (from 3.13 on) and others believe no server whose certificate lacks any of it.
fn leaf(host: &str) -> io::Result<CertificateParams> {
    let mut all = CertificateParams::new([host.to_owned()]).map_err(io::Error::other)?;
    all.use_authority_key_identifier_extension = true;
    all.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    all.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    all.distinguished_name = DistinguishedName::new();
    all.distinguished_name.push(DnType::CommonName, HOST_NAME);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// The strictest reader at hand: what it believes, Python's `VERIFY_X509_STRICT` does.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a program of the machine that only reads two certificates")]
    fn a_host_that_is_spoken_for_is_believed_by_the_strict_too() {
        let authority = Authority::of_key(&Authority::new_key().unwrap(), Vec::new()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trusted = folder.path().join("trusted.pem");
        std::fs::write(&trusted, authority.certificate()).unwrap();
        for host in ["api.test", "10.0.0.7"] {
            let key = KeyPair::generate().unwrap();
            let made = leaf(host).unwrap().signed_by(&key, &authority.issuer).unwrap().pem();
            let name = if host == "api.test" { "-verify_hostname" } else { "-verify_ip" };
            let mut checks = Command::new("openssl");
            checks.args(["verify", "-x509_strict", "-purpose", "sslserver", name, host, "-CAfile"]).arg(&trusted);
            let mut checks =
                checks.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            checks.stdin.take().unwrap().write_all(made.as_bytes()).unwrap();
            let said = checks.wait_with_output().unwrap();
            assert!(said.status.success(), "{host}: {}", String::from_utf8_lossy(&said.stderr));
            let der = CertificateDer::from_pem_slice(made.as_bytes()).unwrap();
            // The authority's key, and what the certificate is for: by their numbers, since older readers do not miss them.
            for (what, extension) in [("the authority's key", [0x55, 0x1d, 0x23]), ("its use", [0x55, 0x1d, 0x25])] {
                assert!(der.windows(3).any(|part| part == extension), "{host}: {what} is not named");
            }
        }
    }
}
