//! TLS settings of a listener: made from the contents of files, replaced at a reload.

use std::fmt;
use std::sync::Arc;

use ring::digest;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use thiserror::Error;
use x509_cert::der::Decode as _;

use super::{ListenerAddress, ListenerOptions};

/// The certificate of a listener, and whether clients need one. Equal if made from equal files.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ServerConfig>,
    /// Whether clients must send a certificate, whose common name is their user name.
    asks_certificate: bool,
    /// SHA-256 of the files.
    digest: [u8; digest::SHA256_OUTPUT_LEN],
}

/// Why TLS cannot be set up from the files. Never contains a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsError {
    /// The file of the certificate.
    #[error("{0}")]
    Certificate(String),
    /// The file of the key.
    #[error("{0}")]
    Key(String),
    /// Certificate and key do not match.
    #[error("is not the key of the certificate")]
    Mismatch,
    /// The file with the authorities of clients.
    #[error("{0}")]
    ClientCa(String),
}

/// The TLS settings of all listeners that have some, by the address in the configuration.
pub type Certificates = Vec<(ListenerAddress, Tls)>;

impl Tls {
    /// Creates the settings from PEM texts: the certificate with its chain, its key, and the authorities of clients if
    /// these must send certificates.
    ///
    /// # Errors
    /// If a text does not contain what it should, or the key does not match the certificate.
    pub fn new(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Self, TlsError> {
        let chain = certificates(certificate).map_err(TlsError::Certificate)?;
        let private_key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(no_key(&error)))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = roots(authorities).map_err(TlsError::ClientCa)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::ClientCa(error.to_string()))?)
            }
        };
        let config = builder.with_single_cert(chain, private_key).map_err(|error| refused(&error))?;
        let digest = digest_of([certificate, key, client_ca.unwrap_or_default()]);
        Ok(Self { config: Arc::new(config), asks_certificate: client_ca.is_some(), digest })
    }

    /// Whether clients must send a certificate, whose common name is their user name.
    pub fn asks_certificate(&self) -> bool {
        self.asks_certificate
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (self.asks_certificate, self.digest) == (other.asks_certificate, other.digest)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("asks_certificate", &self.asks_certificate).finish_non_exhaustive()
    }
}

/// Returns the TLS settings of `options`.
pub fn certificates_of(options: &[ListenerOptions]) -> Certificates {
    options.iter().filter_map(|options| Some((options.address.clone(), options.tls.clone()?))).collect()
}

/// Returns the first common name of a certificate's subject; `None` if there is none or it is no valid user name.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<Box<str>> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    let name = name.value();
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    is_name.then(|| name.into_owned().into_boxed_str())
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err("holds no PEM certificate".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("holds a broken PEM certificate: {error}")),
    }
}

fn roots(text: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text)? {
        roots.add(certificate).map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    Ok(roots)
}

fn no_key(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "holds no PEM private key without a passphrase".into(),
        other => format!("holds a broken PEM private key: {other}"),
    }
}

/// Finds out from the error whether certificate or key is wrong: rustls checks both together.
fn refused(error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
        rustls::Error::InvalidCertificate(_) => {
            TlsError::Certificate(format!("holds a certificate that cannot be used: {error}"))
        }
        _ => TlsError::Key(format!("holds a key that cannot be used: {error}")),
    }
}

/// Hashes each part with its length before it, so that different lists have different digests.
fn digest_of(parts: [&[u8]; 3]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; digest::SHA256_OUTPUT_LEN];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    fn certificate(name: Option<DnValue>) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::OrganizationName, "a household");
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), key)
    }

    #[test]
    fn common_name_is_found_in_every_usual_encoding() {
        let check = |name: Option<DnValue>, expected: Option<&str>| {
            assert_eq!(common_name(certificate(name).0.der()).as_deref(), expected);
        };
        check(Some(DnValue::Utf8String("kéttle".into())), Some("kéttle"));
        check(Some(DnValue::PrintableString("kettle".try_into().unwrap())), Some("kettle"));
        check(Some(DnValue::Utf8String(String::new())), None);
        check(Some(DnValue::Utf8String("a\0b".into())), None);
        check(None, None);
        assert_eq!(common_name(&CertificateDer::from(vec![0x30, 0x03, 0x02])), None);
    }

    #[test]
    fn texts_that_do_not_belong_together_are_told_apart() {
        let ((certificate, key), (_, other)) = (self::certificate(None), self::certificate(None));
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        let check = |texts: [&str; 2], client_ca: Option<&str>| {
            Tls::new(texts[0].as_bytes(), texts[1].as_bytes(), client_ca.map(str::as_bytes))
        };
        assert!(check([&certificate, &key], Some(&certificate)).is_ok_and(|tls| tls.asks_certificate()));
        assert_eq!(check([&certificate, &other.serialize_pem()], None), Err(TlsError::Mismatch));
        assert!(matches!(check([&key, &key], None), Err(TlsError::Certificate(text)) if text.contains("no PEM")));
        assert!(
            matches!(check([&certificate, &certificate], None), Err(TlsError::Key(text)) if text.contains("no PEM"))
        );
        assert!(
            matches!(check([&certificate, &key], Some("x")), Err(TlsError::ClientCa(text)) if text.contains("no PEM"))
        );
    }

    #[test]
    fn equal_files_are_equal_and_others_are_not() {
        let (certificate, key) = certificate(None);
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        let tls = |text: &str| Tls::new(text.as_bytes(), key.as_bytes(), None).unwrap();
        assert_eq!(tls(&certificate), tls(&certificate));
        assert_ne!(tls(&certificate), tls(&format!("{certificate}{certificate}")));
        assert!(!format!("{:?}", tls(&certificate)).contains("PRIVATE"));
    }
}
