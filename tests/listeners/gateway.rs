//! The program with one plain listener, which the harness needs, and one of the test's.

use std::net::SocketAddr;

use crate::certificates::{Authority, Identity};
use crate::support::{Gateway, eventually};

/// A running gateway and its second listener.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Starts it with `listener`, the further lines of a `[[broker.listener]]` on a free port of loopback, and `extra`,
    /// further tables.
    pub(crate) fn start(listener: &str, extra: &str) -> Self {
        Self::start_at("127.0.0.1", listener, extra)
    }

    /// The same at another address of this machine.
    pub(crate) fn start_at(host: &str, listener: &str, extra: &str) -> Self {
        let gateway = Gateway::start(&format!("{extra}\n[[broker.listener]]\naddress = \"{host}:0\"\n{listener}\n"));
        let address = eventually("the listeners are told", || listening(&gateway.printed(), host, gateway.port()));
        Self { gateway, address }
    }

    /// The port of the second listener.
    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }
}

/// The listener at `host` in the log that is not on `plain`.
fn listening(printed: &str, host: &str, plain: u16) -> Option<SocketAddr> {
    let (_, rest) = printed.split_once("listening on ")?;
    let places = rest.lines().next()?.split(", ").filter_map(|place| place.split(' ').next()?.parse().ok());
    let mut places = places.filter(|place: &SocketAddr| place.ip().to_string() == host);
    places.find(|place| place.port() != plain)
}

/// The lines that give a listener TLS.
pub(crate) fn tls(identity: &Identity, client_ca: Option<&Authority>) -> String {
    let Identity { certificate, key } = identity;
    let client_ca = client_ca.map_or_else(String::new, |ca| format!(", client_ca = {:?}", ca.file()));
    format!("tls = {{ certificate = {certificate:?}, key = {key:?}{client_ca} }}")
}
