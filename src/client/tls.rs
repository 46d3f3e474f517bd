//! How the server of a TLS connection is checked, and what it is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

use super::TlsConfig;

/// Which certificates are trusted, and which is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM certificates to trust; `None` for the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate and key to show to servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why TLS could not be set up. Never shows a key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("{}: {cause}; PEM was expected", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What reading it gave.
        cause: pem::Error,
    },
    /// There is nothing to check a broker's certificate against.
    #[error("no certificate to trust in {from}")]
    NoCertificate {
        /// Where they were looked for.
        from: String,
    },
    /// rustls refuses the settings.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Checks the server's certificate against `options.ca_file`, or against the system's roots without one.
///
/// # Errors
/// When a file cannot be read or holds nothing of use, or the system has no certificate.
pub fn client_config(options: &TlsOptions) -> Result<TlsConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(options.ca_file.as_deref())?);
    let config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let read_key = PrivateKeyDer::from_pem_file(key);
            let read_key = read_key.map_err(|cause| TlsError::File { path: key.clone(), cause })?;
            builder.with_client_auth_cert(read_certificates(certificate)?, read_key)?
        }
    };
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let (certificates, from) = match ca_file {
        Some(path) => (read_certificates(path)?, path.display().to_string()),
        None => (rustls_native_certs::load_native_certs().certs, "the system's certificate store".to_owned()),
    };
    let mut roots = RootCertStore::empty();
    // a certificate that rustls cannot parse is passed over: system stores hold curiosities
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() { Err(TlsError::NoCertificate { from }) } else { Ok(roots) }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|cause| TlsError::File { path: path.into(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |path: &Path| TlsOptions { ca_file: Some(path.to_owned()), identity: None };
        let error = client_config(&with(file.path())).err().unwrap();
        assert!(matches!(&error, TlsError::NoCertificate { .. }), "{error}");
        let missing = client_config(&with(Path::new("/nowhere/ca.pem"))).err().unwrap();
        assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
    }
}
