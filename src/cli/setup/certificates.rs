//! TLS without anybody's help: an authority of one's own, and the certificate of the listener that it signs.
//!
//! The authority's key stays, readable by root alone: with it the listener's certificate is renewed, or made for new
//! names, without a new `ca.pem` on every laptop. Who has that key can pretend to be any server to those who trust
//! `ca.pem`, so it is meant for `--cafile`, not for a system's list of authorities.

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::base::clock::Wall;
use crate::server::Tls;

/// How long the listener's certificate is valid, all in all: Apple's devices take no more.
const LEAF: Duration = Duration::from_secs(825 * 24 * 60 * 60);
/// How long before now it begins: clocks of other machines may be behind.
const LEAF_BEGUN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What must be left of it; with less it is renewed.
const LEAF_LEFT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long the authority is valid.
const AUTHORITY: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);
/// The first moment at which this program can run, 2026-01-01: an earlier clock was never set.
const FIRST_MS: i64 = 1_767_225_600_000;

/// Where the four files lie.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) authority: PathBuf,
    pub(super) authority_key: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Paths {
    /// In `directory`.
    pub(super) fn in_directory(directory: &Path) -> Self {
        let path = |name| directory.join(name);
        Self {
            authority: path("ca.pem"),
            authority_key: path("ca.key"),
            certificate: path("server.pem"),
            key: path("server.key"),
        }
    }
}

impl Paths {
    /// What they hold.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<Texts> {
        let read = |path: &Path| match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            text => text.with_context(|| format!("{}: cannot be read", path.display())),
        };
        Ok(Texts {
            authority: read(&self.authority)?,
            authority_key: read(&self.authority_key)?,
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        })
    }
}

/// What the four files hold, in PEM; empty where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    pub(super) authority: String,
    pub(super) authority_key: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Under which names the listener is reached.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The host, without a domain.
    pub(super) host: String,
    /// Its addresses in the network.
    pub(super) addresses: Vec<IpAddr>,
}

impl Names {
    fn dns(&self) -> Vec<String> {
        let mut names = vec!["localhost".to_owned()];
        if self.host != "localhost" {
            names.extend([format!("{}.local", self.host), self.host.clone()]);
        }
        names
    }

    fn ips(&self) -> Vec<IpAddr> {
        let local = ["127.0.0.1", "::1"].into_iter().filter_map(|ip| ip.parse().ok());
        local.chain(self.addresses.iter().copied()).collect()
    }
}

/// The files for a listener with `names`, at `now`. What can stay of `there` does, byte by byte: the authority while it
/// is valid and its key is there, and the certificate while it is the authority's, has all names and 90 days left.
///
/// # Errors
/// When the clock was never set, or the system has no random numbers.
pub(super) fn make(there: &Texts, names: &Names, now: Wall) -> anyhow::Result<Texts> {
    if now.unix_ms() < FIRST_MS {
        bail!("the clock says {now}, and a certificate needs to know the time: wait until it is set, and try again");
    }
    if is_good(there, names, now) {
        return Ok(there.clone());
    }
    let now = Duration::from_millis(now.unix_ms().unsigned_abs());
    if let Some(issuer) = keep_authority(there, now) {
        let (certificate, key) = sign(&issuer, names, now)?;
        return Ok(Texts { certificate, key, ..there.clone() });
    }
    let authority = CertifiedIssuer::self_signed(authority(&names.host, now), KeyPair::generate()?)?;
    let (certificate, key) = sign(&authority, names, now)?;
    Ok(Texts { authority: authority.pem(), authority_key: authority.key().serialize_pem(), certificate, key })
}

fn authority(host: &str, now: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("sensegate authority of {host}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let begun = now.saturating_sub(LEAF_BEGUN);
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + begun, epoch + begun + AUTHORITY);
    params
}

/// The listener's certificate, and its key.
fn sign(issuer: &Issuer<'_, KeyPair>, names: &Names, now: Duration) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(names.dns())?;
    params.subject_alt_names.extend(names.ips().into_iter().map(SanType::IpAddress));
    params.distinguished_name = named(&names.host);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let begun = now.saturating_sub(LEAF_BEGUN);
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + begun, epoch + begun + LEAF);
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The authority that is there, if it can sign.
fn keep_authority(there: &Texts, now: Duration) -> Option<Issuer<'static, KeyPair>> {
    let certificate = read(&there.authority)?;
    let key = KeyPair::from_pem(&there.authority_key).ok()?;
    let certificate = certificate.tbs_certificate();
    let is_its_key = certificate.subject_public_key_info().to_der().ok()? == key.subject_public_key_info();
    let is_valid = certificate.validity().not_after.to_unix_duration() > now + LEAF;
    if !is_its_key || !is_valid {
        return None;
    }
    let mut params = authority("", now);
    params.distinguished_name = named(&certificate.subject().common_name().ok()??.value());
    Some(Issuer::new(params, key))
}

/// Whether nothing needs to be made.
fn is_good(there: &Texts, names: &Names, now: Wall) -> bool {
    let (Some(authority), Some(leaf)) = (read(&there.authority), read(&there.certificate)) else { return false };
    let fits = Tls::new(there.certificate.as_bytes(), there.key.as_bytes(), None).is_ok();
    let is_signed = leaf.tbs_certificate().issuer() == authority.tbs_certificate().subject();
    let needed = Duration::from_millis(now.unix_ms().unsigned_abs()) + LEAF_LEFT;
    let ends = [&authority, &leaf].map(|certificate| certificate.tbs_certificate().validity().not_after);
    fits && is_signed && ends.iter().all(|end| end.to_unix_duration() > needed) && has_names(&leaf, names)
}

fn has_names(leaf: &Certificate, names: &Names) -> bool {
    let Ok(Some((_, SubjectAltName(held)))) = leaf.tbs_certificate().get_extension::<SubjectAltName>() else {
        return false;
    };
    let has_dns =
        |wanted: &String| held.iter().any(|name| matches!(name, GeneralName::DnsName(dns) if dns.as_str() == wanted));
    names.dns().iter().all(has_dns) && names.ips().into_iter().all(|ip| held.contains(&GeneralName::from(ip)))
}

fn read(pem: &str) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Certificate::from_der(&der).ok()
}

/// Until when the listener's certificate is valid.
pub(super) fn ends(certificate: &str) -> Option<Wall> {
    let end = read(certificate)?.tbs_certificate().validity().not_after.to_unix_duration();
    Some(Wall::from_unix_ms(i64::try_from(end.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const NOW_MS: i64 = FIRST_MS + 300 * 24 * 60 * 60 * 1000;

    fn names(addresses: &[&str]) -> Names {
        Names { host: "pi4".into(), addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect() }
    }

    fn after(days: i64) -> Wall {
        Wall::from_unix_ms(NOW_MS + days * 24 * 60 * 60 * 1000)
    }

    fn lasts(pem: &str) -> Duration {
        let certificate = read(pem).unwrap();
        let validity = certificate.tbs_certificate().validity();
        validity.not_after.to_unix_duration().saturating_sub(validity.not_before.to_unix_duration())
    }

    #[test]
    fn certificate_has_every_name_and_lasts_as_long_as_apple_allows() {
        let made = make(&Texts::default(), &names(&["192.168.1.2"]), after(0)).unwrap();
        assert!(Tls::new(made.certificate.as_bytes(), made.key.as_bytes(), None).is_ok());
        let leaf = read(&made.certificate).unwrap();
        let (_, SubjectAltName(held)) = leaf.tbs_certificate().get_extension::<SubjectAltName>().unwrap().unwrap();
        assert_eq!(held.len(), 6);
        assert!(has_names(&leaf, &names(&["192.168.1.2"])) && !has_names(&leaf, &names(&["192.168.1.3"])));
        assert_eq!(lasts(&made.certificate), 825 * DAY);
        assert_eq!(ends(&made.certificate).unwrap().unix_ms(), after(818).unix_ms());
        assert!(lasts(&made.authority) > 7000 * DAY);
    }

    #[test]
    fn what_is_good_stays_to_the_byte() {
        let made = make(&Texts::default(), &names(&[]), after(0)).unwrap();
        let again = make(&made, &names(&[]), after(700)).unwrap();
        assert_eq!((&again.certificate, &again.authority), (&made.certificate, &made.authority));
        let without_authoritys_key = Texts { authority_key: String::new(), ..made.clone() };
        assert_eq!(make(&without_authoritys_key, &names(&[]), after(1)).unwrap().certificate, made.certificate);
    }

    #[test]
    fn old_certificate_and_one_without_a_name_are_renewed_under_the_same_authority() {
        let made = make(&Texts::default(), &names(&[]), after(0)).unwrap();
        for (names, now) in [(names(&[]), after(750)), (names(&["10.0.0.7"]), after(1))] {
            let renewed = make(&made, &names, now).unwrap();
            assert_eq!(renewed.authority, made.authority);
            assert_ne!(renewed.certificate, made.certificate);
            assert!(is_good(&renewed, &names, now));
        }
    }

    #[test]
    fn authority_that_cannot_sign_is_replaced() {
        let made = make(&Texts::default(), &names(&[]), after(0)).unwrap();
        let other = make(&Texts::default(), &names(&[]), after(0)).unwrap();
        for key in [String::new(), other.authority_key] {
            let there = Texts { authority_key: key, ..made.clone() };
            let renewed = make(&there, &names(&["10.0.0.7"]), after(1)).unwrap();
            assert_ne!(renewed.authority, made.authority);
        }
        assert_ne!(make(&made, &names(&[]), after(7000)).unwrap().authority, made.authority);
    }

    #[test]
    fn clock_that_was_never_set_makes_none() {
        let error = make(&Texts::default(), &names(&[]), Wall::from_unix_ms(5)).unwrap_err().to_string();
        assert!(error.contains("1970-01-01"), "{error}");
    }
}
