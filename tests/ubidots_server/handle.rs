//! The handle: start and end, who may come in, and what goes wrong.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use sensegate::mqtt::ConnectReturnCode;
use tempfile::TempDir;

use super::accounts::{Account, Revocation};
use super::faults::{Fault, Faults, QoS2};
use super::limits::Limits;
use super::listener::{Door, Port, Service};
use super::session::Session;
use super::state::{Shared, State};
use super::tls::{Authorities, Certificate};

/// A token that every server knows; it may touch all of [`OWNER`]'s devices.
pub const TOKEN: &str = "BBUS-kRZ0000000000000000000000000000";

/// The owner behind [`TOKEN`].
pub const OWNER: &str = "owner";

/// How a server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Address of both listeners: one of loopback.
    pub ip: Ipv4Addr,
    /// Port of the plain listener; any free one for 0.
    pub port: u16,
    /// Port of the listener with TLS; any free one for 0.
    pub tls_port: u16,
    /// What the listener with TLS shows.
    pub certificate: Certificate,
}

impl Default for Options {
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST, port: 0, tls_port: 0, certificate: Certificate::Valid }
    }
}

/// A running Ubidots, on 127.0.0.1 unless told otherwise. Dropping it ends it.
pub struct Ubidots {
    pub(super) shared: Shared,
    service: Service,
    port: Port,
    tls_port: Port,
    authorities: Authorities,
    directory: TempDir,
}

/// Threads of a test may share it.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Ubidots>();
};

impl Ubidots {
    /// Starts one on free ports, with a valid certificate and without limits.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts one that shows this certificate.
    pub fn start_showing(certificate: Certificate) -> Self {
        Self::start_with(Options { certificate, ..Options::default() })
    }

    /// Starts one.
    pub fn start_with(options: Options) -> Self {
        let hold = |number| Port::hold(options.ip, number).unwrap();
        let (port, tls_port) = (hold(options.port), hold(options.tls_port));
        let authorities = Authorities::make();
        let directory = TempDir::with_prefix("ubidots-").unwrap();
        fs::write(directory.path().join("ca.pem"), authorities.pem()).unwrap();
        let mut state = State::new(authorities.acceptor(options.certificate));
        state.accounts.insert(TOKEN, Account::of(OWNER));
        let shared = Shared::new(state);
        let service = Service::start(shared.clone());
        let ubidots = Self { shared, service, port, tls_port, authorities, directory };
        ubidots.listen_again();
        ubidots
    }

    /// Port of the plain listener.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Port of the listener with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.number()
    }

    /// The authority that clients are to trust, as a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// What handshakes show from now on.
    pub fn show(&self, certificate: Certificate) {
        self.shared.lock().acceptor = self.authorities.acceptor(certificate);
    }

    /// Adds a token, or replaces what it stands for.
    pub fn add_token(&self, token: &str, account: Account) {
        self.shared.lock().accounts.insert(token, account);
    }

    /// The token is unknown from now on.
    pub fn revoke(&self, token: &str, revocation: Revocation) {
        let mut state = self.shared.lock();
        state.accounts.remove(token);
        if revocation == Revocation::Closing {
            state.close(|session| session.token == token);
        }
    }

    /// What an unknown token is answered: 4 unless this was called. Both are seen in the wild.
    pub fn refuse_unknown_tokens_with(&self, code: ConnectReturnCode) {
        self.shared.lock().bad_token_code = code;
    }

    /// What happens to who publishes with QoS 2.
    pub fn treat_qos_2(&self, treatment: QoS2) {
        self.shared.lock().qos_2 = treatment;
    }

    /// Limits from now on; what was taken under the old ones counts on.
    pub fn limit(&self, limits: Limits) {
        self.shared.lock().meter.limits = limits;
    }

    /// Something goes wrong from now on, beside what goes wrong already.
    pub fn inject(&self, fault: Fault) {
        let mut state = self.shared.lock();
        state.faults.inject(fault);
        if fault == Fault::HalfOpen {
            state.half_open.send_replace(true);
        }
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.faults = Faults::default();
        state.half_open.send_replace(false);
    }

    /// Refuses connections, as a host without the service does; those that are there go on.
    pub fn stop_listening(&self) {
        self.service.stop_listening();
    }

    /// Accepts connections again, on the same ports.
    pub fn listen_again(&self) {
        self.service.listen(Door::Plain, &self.port);
        self.service.listen(Door::Tls, &self.tls_port);
    }

    /// Closes the connections of all clients, half-open ones when they are healed.
    pub fn cut(&self) {
        self.shared.lock().close(|_| true);
    }

    /// Closes the connection of one client.
    pub fn cut_client(&self, client_id: &str) {
        self.shared.lock().close(|session: &Session| session.client_id == client_id);
    }
}
