//! What went wrong with TLS, in words, and what to look at.

use std::io;

use rustls::{CertificateError, Error};

use crate::base::clock;
use crate::client::{TlsError, TlsOptions, io_error_text};

/// What to do when the uplink's own files are not there.
pub(super) fn advise_files(error: &TlsError) -> &'static str {
    match error {
        TlsError::NoCertificate { .. } => {
            "name the broker's authority in ca_file, or: sudo apt install ca-certificates"
        }
        TlsError::File { .. } | TlsError::Rustls(_) => "look at ca_file, certificate and key",
    }
}

/// What failed in a handshake with `host`, and what to do.
pub(super) fn judge(error: &io::Error, options: &TlsOptions, host: &str) -> (String, String) {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(wrong)) => judge_certificate(wrong, options, host),
        Some(Error::InvalidMessage(_)) => {
            let text = "TLS: the answer to the handshake is none".to_owned();
            (text, "does that port speak TLS? mqtt:// is without".to_owned())
        }
        Some(Error::AlertReceived(alert)) => {
            let text = format!("TLS: the broker ended the handshake ({alert:?})");
            (text, "does it ask for a certificate (certificate, key), or for another name in url?".to_owned())
        }
        Some(other) => (format!("TLS: {other}"), by_hand(host)),
        None => {
            let text = format!("TLS: the handshake was cut off: {}", io_error_text(error));
            (text, "does that port speak TLS? mqtt:// is without".to_owned())
        }
    }
}

fn judge_certificate(wrong: &CertificateError, options: &TlsOptions, host: &str) -> (String, String) {
    match wrong {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            let text = format!("TLS: the certificate is not of this time: {wrong}");
            let cure =
                format!("is the clock right? It says {}; else the broker needs a new certificate", clock::wall());
            (text, cure)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let text = format!("TLS: the certificate is not for {host}: {wrong}");
            (text, "take a name that stands in the certificate for url".to_owned())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ("TLS: nobody who is trusted here has signed the certificate".to_owned(), advise_authority(options))
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            let text = "TLS: the certificate is that of an authority, which no server may show".to_owned();
            (text, "the broker needs a certificate of its own, signed by that authority".to_owned())
        }
        other => (format!("TLS: the certificate cannot be used: {other}"), by_hand(host)),
    }
}

fn advise_authority(options: &TlsOptions) -> String {
    match &options.ca_file {
        Some(file) => format!("is the certificate of the broker's authority in ca_file ({})?", file.display()),
        None => "the system's certificates are trusted now: name the broker's authority in ca_file".to_owned(),
    }
}

fn by_hand(host: &str) -> String {
    format!("openssl s_client -connect {host}:PORT -showcerts shows it")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(wrong: CertificateError, ca_file: Option<&str>, expected: [&str; 2]) {
        let error = io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(wrong));
        let options = TlsOptions { ca_file: ca_file.map(PathBuf::from), identity: None };
        let (text, cure) = judge(&error, &options, "broker.example");
        assert!(text.contains(expected[0]) && cure.contains(expected[1]), "{text} -> {cure}");
    }

    #[test]
    fn a_wrong_certificate_is_told_with_what_to_look_at() {
        check(CertificateError::Expired, None, ["not of this time", "clock"]);
        check(CertificateError::NotValidYet, None, ["not of this time", "clock"]);
        check(CertificateError::NotValidForName, None, ["not for broker.example", "url"]);
        check(CertificateError::UnknownIssuer, None, ["nobody who is trusted", "in ca_file"]);
        check(CertificateError::UnknownIssuer, Some("/etc/ca.pem"), ["nobody who is trusted", "/etc/ca.pem"]);
        check(CertificateError::Revoked, None, ["cannot be used", "openssl s_client"]);
    }

    #[test]
    fn a_cut_handshake_is_no_wrong_certificate() {
        let (text, cure) = judge(&io::ErrorKind::UnexpectedEof.into(), &TlsOptions::default(), "broker.example");
        assert!(text.contains("cut off") && cure.contains("mqtt://"), "{text} -> {cure}");
    }
}
