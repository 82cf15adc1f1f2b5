//! Certificates: a CA that clients trust, and a leaf that the server shows.
//!
//! rustls-based clients refuse one certificate for both, and a leaf without the address they dial
//! among its names. The CA is kept until somebody removes its files, and is good for ten years; the
//! leaf is made again whenever a client would soon refuse it, also while the server runs.
//!
//! Clients may show certificates of an authority that the operator named. It is read again with the
//! leaf, so that it can be exchanged.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::files;

/// As kubeadm has it.
const CA_DAYS: i64 = 3_650;
/// As long as browsers and phones put up with.
const LEAF_DAYS: i64 = 397;
/// A leaf that is refused so soon is made again.
const SOON: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The name in the CA; the leaf names its issuer by it.
const CA_NAME: &str = "Gamekeeper CA";

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{path} could not be {verb}; check that this user may write its directory")]
    File {
        /// Which file.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What is there is no CA.
    #[error(
        "{path} does not hold a usable CA; remove that directory to have a new CA made (clients then need the new kubeconfig)"
    )]
    Ca {
        /// Which directory.
        path: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is to be the clients' authority is none.
    #[error("--client-ca {path} does not hold certificates in PEM that can be an authority")]
    ClientCa {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificates could not be made.
    #[error("certificates could not be made")]
    Make(#[source] rcgen::Error),
    /// rustls will not have them.
    #[error("certificates could not be used")]
    Use(#[source] rustls::Error),
}

/// What is said about certificates.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// Names and addresses under which clients find the server, beside those of this machine.
    pub names: Vec<String>,
    /// The authority whose certificates clients may show; none: they show none.
    pub client_ca: Option<PathBuf>,
}

/// The server's certificates.
#[derive(Clone)]
pub struct Tls {
    directory: PathBuf,
    names: Vec<String>,
    client_ca: Option<PathBuf>,
    ca_pem: String,
    config: RustlsConfig,
}

impl Tls {
    /// Reads the certificates of the data directory, making what is missing or would soon be refused
    /// at `localhost`, the loopback addresses, or the address that the server listens on.
    ///
    /// # Errors
    /// They cannot be read, made or written.
    pub fn load_or_create(data_dir: &Path, listen: IpAddr) -> Result<Self, TlsError> {
        Self::with(data_dir, listen, TlsSettings::default())
    }

    /// The same with more names, and an authority for clients.
    ///
    /// # Errors
    /// As there; or the clients' authority cannot be read.
    pub fn with(data_dir: &Path, listen: IpAddr, settings: TlsSettings) -> Result<Self, TlsError> {
        let TlsSettings { names: more, client_ca } = settings;
        let directory = data_dir.join("tls");
        files::make_directory(&directory).map_err(|source| failed(&directory, "made", source))?;
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        for name in std::iter::once(listen.to_string()).chain(more) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let ca = Ca::load_or_create(&directory)?;
        let clients = client_ca.as_deref().map(client_verifier).transpose()?;
        let config = server_config(&directory, &ca, &names, clients)?;
        Ok(Self { directory, names, client_ca, ca_pem: ca.pem, config: RustlsConfig::from_config(config) })
    }

    /// The CA, which clients have to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Makes the leaf again if it would soon be refused; new connections get it.
    pub(super) fn renew(&self) -> Result<(), TlsError> {
        let ca = Ca::load_or_create(&self.directory)?;
        let clients = self.client_ca.as_deref().map(client_verifier).transpose()?;
        self.config.reload_from_config(server_config(&self.directory, &ca, &self.names, clients)?);
        Ok(())
    }
}

struct Ca {
    pem: String,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Ca {
    fn load_or_create(directory: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
        match (read(&certificate)?, read(&key)?) {
            (Some(pem), Some(key)) => Self::parse(pem, &key)
                .map_err(|source| TlsError::Ca { path: directory.display().to_string(), source }),
            // A pair that was never finished; nobody can have been shown it.
            (None, _) => Self::create(&certificate, &key),
            (Some(_), None) => Err(TlsError::Ca {
                path: directory.display().to_string(),
                source: "ca.key is missing".into(),
            }),
        }
    }

    fn parse(pem: String, key: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())?;
        Ok(Self { certificate, key: KeyPair::from_pem(key)?, pem })
    }

    fn create(certificate_path: &Path, key_path: &Path) -> Result<Self, TlsError> {
        let key = KeyPair::generate().map_err(TlsError::Make)?;
        let certificate = ca_params().and_then(|params| params.self_signed(&key)).map_err(TlsError::Make)?;
        let pem = certificate.pem();
        write(key_path, &key.serialize_pem(), files::PRIVATE)?;
        write(certificate_path, &pem, files::PUBLIC)?;
        Ok(Self { certificate: certificate.der().clone(), key, pem })
    }
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    valid_for(&mut params, CA_DAYS);
    Ok(params)
}

fn leaf_params(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "gamekeeper");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, LEAF_DAYS);
    Ok(params)
}

/// From yesterday, for clocks that are behind.
fn valid_for(params: &mut CertificateParams, days: i64) {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(today.saturating_add(days.days()));
}

/// The configuration with the leaf that is there, or with a new one.
fn server_config(
    directory: &Path,
    ca: &Ca,
    names: &[String],
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate_path, key_path) = (directory.join("tls.crt"), directory.join("tls.key"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    if let (Some(certificate), Some(key)) = (read(&certificate_path)?, read(&key_path)?)
        && let Some(config) = usable(&provider, ca, names, clients.clone(), &certificate, &key)
    {
        return Ok(config);
    }
    let key = KeyPair::generate().map_err(TlsError::Make)?;
    let ca_params = ca_params().map_err(TlsError::Make)?;
    let issuer = Issuer::from_params(&ca_params, &ca.key);
    let certificate =
        leaf_params(names).and_then(|params| params.signed_by(&key, &issuer)).map_err(TlsError::Make)?;
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let config = usable(&provider, ca, names, clients, &certificate, &key).ok_or_else(|| TlsError::Ca {
        path: directory.display().to_string(),
        source: "a certificate signed with ca.key is not accepted by ca.crt".into(),
    })?;
    write(&key_path, &key, files::PRIVATE)?;
    write(&certificate_path, &certificate, files::PUBLIC)?;
    tracing::info!(names = names.join(", "), "a server certificate was made");
    Ok(config)
}

/// The configuration with this leaf, if a client that trusts the CA would take it under each name,
/// now and for some time to come.
fn usable(
    provider: &Arc<CryptoProvider>,
    ca: &Ca,
    names: &[String],
    clients: Option<Arc<dyn ClientCertVerifier>>,
    certificate: &str,
    key: &str,
) -> Option<Arc<ServerConfig>> {
    let leaf = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate.clone()).ok()?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()?;
    let now = UnixTime::now();
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    for name in names {
        let name = ServerName::try_from(name.clone()).ok()?;
        for time in [now, soon] {
            verifier.verify_server_cert(&leaf, &[], &name, &[], time).ok()?;
        }
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    // Refuses a key that is not the leaf's.
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .ok()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![leaf], key).ok()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

/// Believes certificates of this authority; who shows none comes in all the same, and needs a token.
fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::ClientCa {
        path: path.display().to_string(),
        source,
    };
    let text = std::fs::read(path).map_err(|source| failed(path, "read", source))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| wrong(error.into()))?;
        roots.add(certificate).map_err(|error| wrong(error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier
        .allow_unauthenticated()
        .build()
        .map(|verifier| verifier as _)
        .map_err(|error| wrong(error.into()))
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    files::read(path).map_err(|source| failed(path, "read", source))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    files::write(path, text.as_bytes(), mode).map_err(|source| failed(path, "written", source))
}

fn failed(path: &Path, verb: &'static str, source: io::Error) -> TlsError {
    TlsError::File { path: path.display().to_string(), verb, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(directory: &Path, file: &str) -> String {
        std::fs::read_to_string(directory.join("tls").join(file)).unwrap()
    }

    #[test]
    fn certificates_are_made_once_and_again_for_a_new_address() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let all = || ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|file| text(path, file));
        let loopback = "127.0.0.1".parse().unwrap();
        Tls::load_or_create(path, loopback).unwrap();
        let first = all();
        for key in ["ca.key", "tls.key"] {
            assert!(!files::is_open_to_others(&path.join("tls").join(key)), "{key}");
        }
        Tls::load_or_create(path, loopback).unwrap();
        assert_eq!(all(), first);
        let tls = Tls::load_or_create(path, "192.0.2.7".parse().unwrap()).unwrap();
        let second = all();
        assert_eq!(second[..2], first[..2], "the CA stays");
        assert_ne!(second[2], first[2]);
        tls.renew().unwrap();
        assert_eq!(all(), second);
    }

    #[test]
    fn a_leaf_that_does_not_fit_is_made_again_and_a_ca_never() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let loopback = "127.0.0.1".parse().unwrap();
        Tls::load_or_create(path, loopback).unwrap();
        std::fs::write(path.join("tls/tls.key"), text(path, "ca.key")).unwrap();
        Tls::load_or_create(path, loopback).unwrap();
        assert_ne!(text(path, "tls.key"), text(path, "ca.key"));
        std::fs::write(path.join("tls/tls.crt"), "nonsense").unwrap();
        Tls::load_or_create(path, loopback).unwrap();

        let ca = text(path, "ca.crt");
        std::fs::write(path.join("tls/ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::remove_file(path.join("tls/tls.crt")).unwrap();
        let error = Tls::load_or_create(path, loopback).err().expect("the key is not the CA's").to_string();
        assert!(error.contains("usable CA"), "{error}");
        std::fs::remove_file(path.join("tls/ca.key")).unwrap();
        assert!(Tls::load_or_create(path, loopback).is_err());
        assert_eq!(text(path, "ca.crt"), ca);
    }
}
