//! The other side of an uplink: addresses, TLS, user.

use crate::base::secret::Secret;
use crate::client::{Address, TlsOptions};
use crate::config::credential;
use crate::config::endpoint::{Url, ca_file, password, url, username};
use crate::config::layers::Variables;
use crate::config::section::{Read, Section};
use crate::config::tls;
use crate::config::value::path;
use crate::server::Tls;

/// Reads `url` or `urls`: one of them, with at least one address.
pub(super) fn read_addresses(section: &mut Section<'_>) -> Read<Vec<Address>> {
    let one = section.optional("url", url);
    let several = section.list("urls", url);
    let urls = match (one?, several?) {
        (Some(url), None) => vec![url],
        (None, Some(urls)) if !urls.is_empty() => urls,
        (None, Some(_)) => return Err(section.problem("urls", "is empty, at least one address is expected".into())),
        (Some(_), Some(_)) => {
            return Err(section.problem("urls", "stands beside `url`: one of the two is expected".into()));
        }
        (None, None) => {
            let text = "is missing: \"mqtt://HOST:PORT\" or \"mqtts://HOST:PORT\" is expected, or several in `urls`";
            return Err(section.problem("url", text.into()));
        }
    };
    Ok(urls.into_iter().map(address).collect())
}

/// The address that a URL is.
pub(super) fn address(Url { host, port, is_tls }: Url) -> Address {
    Address::Tcp { host, port, is_tls }
}

/// Reads `ca_file`, which only TLS has a use for.
pub(super) fn read_ca_file(section: &mut Section<'_>, addresses: &[Address]) -> Read<TlsOptions> {
    let ca_file = section.optional("ca_file", ca_file)?;
    if ca_file.is_some() {
        check_is_of_use(section, "ca_file", addresses)?;
    }
    Ok(TlsOptions { ca_file, identity: None })
}

/// Reads `ca_file`, `certificate` and `key`.
pub(super) fn read_tls(section: &mut Section<'_>, addresses: &[Address]) -> Read<TlsOptions> {
    let tls = read_ca_file(section, addresses);
    let files = (section.optional("certificate", path), section.optional("key", path));
    let identity = match (files.0?, files.1?) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            check_is_of_use(section, "certificate", addresses)?;
            let content = (section.required("certificate", tls::content), section.required("key", tls::content));
            Tls::new(&content.0?, &content.1?, None).map_err(|error| tls::note(section, &error))?;
            Some((certificate, key))
        }
        (Some(_), None) => {
            return Err(section.problem("certificate", "stands alone, `key` is expected beside it".into()));
        }
        (None, Some(_)) => {
            return Err(section.problem("key", "stands alone, `certificate` is expected beside it".into()));
        }
    };
    Ok(TlsOptions { identity, ..tls? })
}

fn check_is_of_use(section: &mut Section<'_>, key: &str, addresses: &[Address]) -> Read<()> {
    if addresses.is_empty() || addresses.iter().any(|address| matches!(address, Address::Tcp { is_tls: true, .. })) {
        return Ok(());
    }
    Err(section.problem(key, "has no use with mqtt://, an address with mqtts:// is expected".into()))
}

/// A user may have no password, but no password goes without its user [MQTT-3.1.2-22].
/// `credential` is what systemd's credential with the password is called.
pub(super) fn read_credentials(
    section: &mut Section<'_>,
    variables: &Variables,
    credential: &str,
) -> Read<Option<(String, Option<Secret>)>> {
    let username = section.optional("username", username);
    let password = section.optional("password_file", password);
    match (username?, password?) {
        (Some(username), Some(password)) => Ok(Some((username, Some(password)))),
        (Some(username), None) => {
            let password = credential::read_password(section, variables, credential)?;
            Ok(Some((username, password)))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(section.problem("password_file", "stands alone, `username` is expected beside it".into()))
        }
    }
}
