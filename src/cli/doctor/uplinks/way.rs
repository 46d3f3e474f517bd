//! The way to the far side: its name, its socket, its certificate.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Probe, tls, within};
use crate::cli::doctor::finding::Finding;
use crate::client::{self, Address, ConnectError, Stream};

/// The longest times: for the name, for all addresses of it, and for the handshake of TLS.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);
const REACH_WAIT: Duration = Duration::from_secs(5);
const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);

impl Probe<'_> {
    /// A stream over which MQTT may be spoken.
    pub(super) async fn open(&mut self) -> Result<Box<dyn Stream>, Finding> {
        let Address::Tcp { host, port, is_tls } = self.address else {
            let opened = within(REACH_WAIT, client::open(self.address, None)).await;
            return opened.map_err(|error| self.unreached(&error));
        };
        let addresses = self.resolve(host, *port).await?;
        let stream = self.reach(&addresses).await?;
        if *is_tls { self.secure(stream, host).await } else { Ok(Box::new(stream)) }
    }

    async fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Finding> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let resolved = within(RESOLVE_WAIT, client::resolve(host, port)).await;
        let addresses = resolved.map_err(|error| self.unresolved(host, &error))?;
        self.ok(&format!("{host} is {}", list(&addresses)));
        Ok(addresses)
    }

    fn unresolved(&self, host: &str, error: &ConnectError) -> Finding {
        let text = match error {
            ConnectError::Timeout => format!("{host} has no address within {} s", RESOLVE_WAIT.as_secs()),
            error => error.to_string(),
        };
        self.problem(&text, "is the name in url right, and has this machine a way to a name server (/etc/resolv.conf)?")
    }

    async fn reach(&mut self, addresses: &[SocketAddr]) -> Result<TcpStream, Finding> {
        let reached = within(REACH_WAIT, client::reach(addresses)).await;
        let stream = reached.map_err(|error| self.unreached(&error))?;
        let place = stream.peer_addr().map_or_else(|_| self.address.to_string(), |peer| peer.to_string());
        self.ok(&format!("{place} accepts connections"));
        Ok(stream)
    }

    fn unreached(&self, error: &ConnectError) -> Finding {
        let text = match error {
            ConnectError::Timeout => {
                format!("{} does not answer within {} s", self.address, REACH_WAIT.as_secs())
            }
            error => format!("{} is not reached: {error}", self.address),
        };
        self.problem(
            &text,
            "does the broker run, is the port in url right, and does every firewall between let it through?",
        )
    }

    async fn secure(&mut self, stream: TcpStream, host: &str) -> Result<Box<dyn Stream>, Finding> {
        let options = &self.uplink.far.tls;
        let config = client::client_config(options)
            .map_err(|error| self.problem(&format!("TLS cannot be set up: {error}"), tls::advise_files(&error)))?;
        let handshake = tokio::time::timeout(HANDSHAKE_WAIT, client::secure(stream, host, &config)).await;
        self.tls = Some(config);
        let Ok(secured) = handshake else {
            let text = format!("no answer to the handshake of TLS within {} s", HANDSHAKE_WAIT.as_secs());
            return Err(self.problem(&text, "does that port speak TLS? mqtt:// is without"));
        };
        let stream = secured.map_err(|error| {
            let (text, cure) = tls::judge(&error, options, host);
            self.problem(&text, cure)
        })?;
        self.ok(&format!("TLS: the certificate is trusted, of this time, and for {host}"));
        Ok(stream)
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    shown.join(", ")
}
