//! `[broker.external]`: a broker elsewhere, and how the gateway is known to it.

use super::broker::Connection;
use super::credential;
use super::endpoint::{Url, ca_file, client_id, keep_alive, password, url, username};
use super::layers::Variables;
use super::section::{Read, Section};
use crate::agent::{BrokerAddress, TlsOptions};
use crate::base::ids;
use crate::base::secret::Secret;

/// What systemd's credential with the password is called.
const CREDENTIAL: &str = "broker.password";

/// Reads `[broker.external]`; `None` without a URL.
pub(super) fn read(section: &mut Section<'_>, variables: &Variables) -> Read<Option<Connection>> {
    let url = section.optional("url", url);
    let credentials = read_credentials(section, variables);
    let client_id = section.optional("client_id", client_id);
    let ca_file = section.optional("ca_file", ca_file);
    let keep_alive = section.required("keep_alive", keep_alive);
    let (url, credentials, ca_file) = (url?, credentials?, ca_file?);
    if ca_file.is_some() && url.as_ref().is_some_and(|url| !url.is_tls) {
        section.problem("ca_file", "has no use with mqtt://, a url with mqtts:// is expected".into());
    }
    let (client_id, keep_alive) = (client_id?.unwrap_or_else(ids::default_client_id), keep_alive?);
    let address = url.map(|Url { host, port, is_tls }| {
        let tls = is_tls.then_some(TlsOptions { ca_file });
        BrokerAddress::External { host, port, credentials, tls }
    });
    Ok(address.map(|address| Connection { address, client_id, keep_alive }))
}

/// Both or neither: MQTT 3.1.1 knows no password without a user name [MQTT-3.1.2-22].
fn read_credentials(section: &mut Section<'_>, variables: &Variables) -> Read<Option<(String, Secret)>> {
    let username = section.optional("username", username);
    let typed = section.optional("password_file", password);
    let username = username?;
    let password = match typed? {
        None if username.is_some() => credential::read_password(section, variables, CREDENTIAL)?,
        typed => typed,
    };
    match (username, password) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (None, None) => Ok(None),
        (Some(_), None) => {
            let text =
                format!("stands alone, `password_file` or systemd's credential `{CREDENTIAL}` is expected beside it");
            Err(section.problem("username", text))
        }
        (None, Some(_)) => {
            Err(section.problem("password_file", "stands alone, `username` is expected beside it".into()))
        }
    }
}
