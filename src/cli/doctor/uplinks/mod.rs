//! The uplinks: the way to each far side, step by step as the uplink itself goes it, until a step fails.
//!
//! - Holds nothing. Each step has a bounded wait.
//! - Comes as a client of its own, `…-doctor`, with a clean session and without a will, so an uplink that is at work is
//!   not disturbed. To Ubidots one value goes, to a variable of its own; to other brokers nothing.
//! - Never shown: tokens, user names, passwords.
//! - Uses `client`, and what `uplink` says of far sides.
//!
//! Start reading at [`examine`]; then `way` (name, socket, TLS), `greeting` (CONNECT), and what is tried beyond it:
//! `round_trip` for Ubidots, `subscribe` for a bridge.

mod greeting;
mod round_trip;
mod subscribe;
mod tls;
mod way;

use std::time::Duration;

use crate::agent::BrokerAddress;
use crate::client::{Address, ConnectError, TlsConfig};
use crate::config::Settings;
use crate::uplink::{Kind, Options};

use super::finding::Finding;

const SUBJECT: &str = "uplink";

/// All findings about all uplinks.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    if settings.uplinks.is_empty() {
        return Vec::new();
    }
    let mut findings: Vec<_> = outbox_elsewhere(&settings.agent.broker).into_iter().collect();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            findings.extend(runtime.block_on(examine_all(&settings.uplinks)));
            // a name that is still being looked up is not waited for
            runtime.shutdown_background();
        }
        Err(error) => findings.push(Finding::problem(SUBJECT, format!("cannot be tried: {error}"), "")),
    }
    findings
}

/// With a broker of somebody else, what waits for uplinks is not in our hands.
fn outbox_elsewhere(broker: &BrokerAddress) -> Option<Finding> {
    let BrokerAddress::External { host, port, .. } = broker else { return None };
    let text = format!(
        "what waits for uplinks waits at {host}:{port}: how much, and whether it outlives a restart, is up to that broker"
    );
    let cure = "look at its limits for queues and at its persistence (mosquitto: max_queued_messages, persistence)";
    Some(Finding::warning("outbox", text, cure))
}

async fn examine_all(uplinks: &[Options]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for uplink in uplinks {
        for address in &uplink.far.addresses {
            findings.extend(Probe::new(uplink, address).run().await);
        }
    }
    findings
}

/// One way to a far side.
struct Probe<'a> {
    uplink: &'a Options,
    address: &'a Address,
    /// How the uplink is checked and what it shows, once that is set up.
    tls: Option<TlsConfig>,
    findings: Vec<Finding>,
}

impl<'a> Probe<'a> {
    const fn new(uplink: &'a Options, address: &'a Address) -> Self {
        Self { uplink, address, tls: None, findings: Vec::new() }
    }

    /// Goes as far as it gets.
    async fn run(mut self) -> Vec<Finding> {
        if let Err(finding) = self.try_all().await {
            self.findings.push(finding);
        }
        self.findings
    }

    async fn try_all(&mut self) -> Result<(), Finding> {
        let stream = self.open().await?;
        let mut link = self.greet(stream).await?;
        let tried = match &self.uplink.kind {
            Kind::Ubidots(account) => self.send_round(account, &mut link).await,
            Kind::Bridge(bridge) => self.ask_for(&bridge.rules, &mut link).await,
        };
        link.disconnect().await;
        tried
    }

    /// The uplink's name, with the address where there are several.
    fn named(&self, text: &str) -> String {
        let name = &self.uplink.name;
        match self.uplink.far.addresses.len() {
            1 => format!("{name}: {text}"),
            _ => format!("{name} at {}: {text}", self.address),
        }
    }

    fn ok(&mut self, text: &str) {
        self.findings.push(Finding::ok(SUBJECT, self.named(text)));
    }

    fn warn(&mut self, text: &str, cure: impl Into<String>) {
        self.findings.push(Finding::warning(SUBJECT, self.named(text), cure));
    }

    fn problem(&self, text: &str, cure: impl Into<String>) -> Finding {
        Finding::problem(SUBJECT, self.named(text), cure)
    }

    const fn is_ubidots(&self) -> bool {
        matches!(self.uplink.kind, Kind::Ubidots(_))
    }
}

/// The step's result, within this time.
async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
    tokio::time::timeout(limit, step).await.unwrap_or(Err(ConnectError::Timeout))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn outbox_at_somebody_elses_broker_is_a_warning() {
        let external =
            BrokerAddress::External { host: "broker.example".into(), port: 1883, credentials: None, tls: None };
        let finding = outbox_elsewhere(&external).unwrap();
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.text.contains("broker.example:1883") && finding.cure.contains("persistence"), "{finding}");
    }
}
