//! Certificates: the one that clients are to accept, and those that they are to refuse.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// The name that Ubidots is reached by.
const HOST: &str = "industrial.api.ubidots.com";

/// What a handshake shows to clients that trust the authority in [`super::Ubidots::ca_file`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and industrial.api.ubidots.com, by the authority that clients trust.
    #[default]
    Valid,
    /// The same, over since 2021.
    Expired,
    /// For another host.
    WrongHost,
    /// By an authority that nobody knows.
    UnknownAuthority,
}

/// The authority that clients trust, and another.
pub(super) struct Authorities {
    trusted: CertifiedIssuer<'static, KeyPair>,
    stranger: CertifiedIssuer<'static, KeyPair>,
}

impl Authorities {
    pub(super) fn make() -> Self {
        Self { trusted: authority("the authority of a test"), stranger: authority("a stranger") }
    }

    /// The certificate of the one that clients trust.
    pub(super) fn pem(&self) -> String {
        self.trusted.pem()
    }

    /// Signs what is asked for.
    pub(super) fn acceptor(&self, certificate: Certificate) -> TlsAcceptor {
        let hosts = match certificate {
            Certificate::WrongHost => vec!["elsewhere.example".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned(), HOST.to_owned()],
        };
        let mut params = CertificateParams::new(hosts).unwrap();
        if certificate == Certificate::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let issuer = if certificate == Certificate::UnknownAuthority { &self.stranger } else { &self.trusted };
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
