//! A connection that comes back: addresses in turn, versions as they are spoken, waits with backoff.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;

use crate::base::backoff::Backoff;
use crate::base::clock::Monotonic;
use crate::client::{
    self, Address, ConnectError, Connected, Event, Link, Loss, Options, Outage, Refusal, Terms, TlsConfig, TlsOptions,
};
use crate::mqtt::{ProtocolVersion, ReasonCode, Will};

/// A connection that held for so long was a good one: waits begin small again.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// Connections in a row that break the protocol before the session there is thrown away: it holds what is no MQTT, and
/// would bring it again for ever.
const BROKEN_MAX: u32 = 3;

/// Which version of the protocol is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 5 where it is taken, else 3.1.1.
    #[default]
    Auto,
    /// 3.1.1.
    V311,
    /// 5.
    V5,
}

impl Version {
    /// The one that is tried first.
    pub const fn first(self) -> ProtocolVersion {
        match self {
            Self::V311 => ProtocolVersion::V311,
            Self::Auto | Self::V5 => ProtocolVersion::V5,
        }
    }
}

/// How long to wait between attempts: decorrelated jitter from the first to the second, and again from the third on
/// for what only somebody can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The shortest wait.
    pub base: Duration,
    /// The longest.
    pub cap: Duration,
    /// The shortest behind a refusal that stands.
    pub refused: Duration,
}

impl Waits {
    /// Of a broker elsewhere. Ubidots and EMQX ban whom they see too often.
    pub const FAR: Self =
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(60), refused: Duration::from_secs(300) };
    /// Of the embedded broker, which is in the same process or about to be.
    pub const HOUSE: Self =
        Self { base: Duration::from_millis(50), cap: Duration::from_secs(1), refused: Duration::from_secs(1) };
}

/// What happens on the connection.
#[derive(Debug)]
pub(super) enum Happening {
    /// The server has accepted.
    Up(Terms),
    /// It could not be made; the next attempt follows by itself.
    Failed(String),
    /// Something came.
    Event(Event),
    /// It is lost; the next attempt follows by itself.
    Lost(Loss),
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connected, ConnectError>> + Send>>;

enum Stage {
    Waiting(Pin<Box<Sleep>>),
    Connecting(Connecting),
    Up(Box<Link>, Monotonic),
}

/// The connection.
pub(super) struct Connection {
    addresses: Vec<Address>,
    tls_options: TlsOptions,
    tls: Option<TlsConfig>,
    version: Version,
    options: Options,
    /// Of the version that is tried next.
    next_version: ProtocolVersion,
    /// Which version was taken at last: then who closes without an answer does so for another reason.
    taken_version: Option<ProtocolVersion>,
    next_address: usize,
    waits: Waits,
    backoff: Backoff,
    refused: Backoff,
    outage: Outage,
    stage: Stage,
    /// Connections in a row that broke the protocol.
    broken: u32,
}

impl Connection {
    /// Will connect as soon as it is asked what happens. `name` is for the log.
    pub(super) fn new(
        name: String,
        addresses: Vec<Address>,
        tls_options: TlsOptions,
        version: Version,
        options: Options,
        waits: Waits,
    ) -> Self {
        let seed = fastrand::u64(..);
        Self {
            addresses,
            tls_options,
            tls: None,
            version,
            options,
            next_version: version.first(),
            taken_version: None,
            next_address: 0,
            waits,
            backoff: Backoff::new(waits.base, waits.cap, seed),
            refused: Backoff::new(waits.refused, waits.refused * 2, seed),
            outage: Outage::new(name),
            stage: Stage::Waiting(Box::pin(tokio::time::sleep(Duration::ZERO))),
            broken: 0,
        }
    }

    /// The will of the next connection.
    pub(super) fn set_will(&mut self, will: Option<Will>) {
        self.options.will = will;
    }

    /// The address that is tried, or connected to.
    pub(super) fn address(&self) -> String {
        self.addresses.get(self.next_address).map(ToString::to_string).unwrap_or_default()
    }

    /// The link, while it stands.
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.stage {
            Stage::Up(link, _) => Some(link),
            Stage::Waiting(_) | Stage::Connecting(_) => None,
        }
    }

    /// The link of a connection that stands; the connection is over with it.
    pub(super) fn take_link(&mut self) -> Option<Link> {
        match std::mem::replace(&mut self.stage, waiting(self.waits.base)) {
            Stage::Up(link, _) => Some(*link),
            Stage::Waiting(_) | Stage::Connecting(_) => None,
        }
    }

    /// Ends a connection that stands, for this reason; the next attempt follows after a wait.
    pub(super) fn reconnect(&mut self, why: &str, now: Monotonic) {
        self.handle_down(why, now);
    }

    /// Waits for what happens next, and connects when it is time to. Cancel safe.
    pub(super) async fn next(&mut self, now: impl Fn() -> Monotonic) -> Happening {
        loop {
            match &mut self.stage {
                Stage::Waiting(sleep) => {
                    sleep.as_mut().await;
                    if let Err(why) = self.connect() {
                        self.handle_down(&why, now());
                        return Happening::Failed(why);
                    }
                }
                Stage::Connecting(connecting) => {
                    return match connecting.as_mut().await {
                        Ok((link, terms)) => {
                            self.taken_version = Some(terms.version);
                            self.stage = Stage::Up(Box::new(link), now());
                            self.outage.handle_up(now());
                            Happening::Up(terms)
                        }
                        Err(error) => self.handle_failure(&error, now()),
                    };
                }
                Stage::Up(link, _) => {
                    return match link.next_event().await {
                        Event::Lost(loss) => {
                            self.handle_loss(&loss, now());
                            Happening::Lost(loss)
                        }
                        event => Happening::Event(event),
                    };
                }
            }
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        let Some(address) = self.addresses.get(self.next_address).cloned() else {
            return Err("there is no address".into());
        };
        if matches!(address, Address::Tcp { is_tls: true, .. }) && self.tls.is_none() {
            self.tls = Some(client::client_config(&self.tls_options).map_err(|error| format!("TLS: {error}"))?);
        }
        let is_thrown_away = self.broken >= BROKEN_MAX;
        if is_thrown_away && !self.options.clean_session {
            let address = self.address();
            tracing::error!("{address}: the session there holds what breaks the protocol, and is thrown away");
        }
        let clean_session = self.options.clean_session || is_thrown_away;
        let options = Options { version: self.next_version, clean_session, ..self.options.clone() };
        let tls = self.tls.clone();
        let connecting = async move { client::connect(&address, tls.as_ref(), &options).await };
        self.stage = Stage::Connecting(Box::pin(connecting));
        Ok(())
    }

    fn handle_failure(&mut self, error: &ConnectError, now: Monotonic) -> Happening {
        let is_5 = self.next_version == ProtocolVersion::V5;
        let refusal = error.refusal();
        let is_unknown_version =
            refusal == Refusal::Version || self.taken_version.is_none() && error.may_be_of_version();
        if self.version == Version::Auto && is_unknown_version {
            self.next_version = if is_5 { ProtocolVersion::V311 } else { ProtocolVersion::V5 };
            if is_5 {
                // at once where it has said that it wants another one, and the same address in any case
                let is_told = refusal == Refusal::Version;
                self.stage = waiting(if is_told { Duration::ZERO } else { self.backoff.next_wait() });
                return Happening::Failed(error.to_string());
            }
        }
        if matches!(error, ConnectError::Tls(_)) {
            // files may have been renewed
            self.tls = None;
        }
        let why = match self.addresses.len() {
            1 => error.to_string(),
            _ => format!("{}: {error}", self.address()),
        };
        self.outage.handle_down(&why, now);
        let is_round = self.turn_to_next_address();
        self.stage = waiting(match refusal {
            Refusal::Permanent | Refusal::Version if is_round => self.refused.next_wait(),
            _ if is_round => self.backoff.next_wait(),
            // the next address at once
            _ => Duration::ZERO,
        });
        Happening::Failed(why)
    }

    /// Whether all addresses have had their turn.
    fn turn_to_next_address(&mut self) -> bool {
        self.next_address += 1;
        let is_round = self.next_address >= self.addresses.len();
        if is_round {
            self.next_address = 0;
        }
        is_round
    }

    fn handle_loss(&mut self, loss: &Loss, now: Monotonic) {
        if *loss == Loss::Disconnected(ReasonCode::SessionTakenOver) {
            tracing::error!(
                "{}: another client uses the client identifier {:?}; each needs its own",
                self.address(),
                self.options.client_id
            );
            self.outage.handle_down(&loss.to_string(), now);
            self.stage = waiting(self.refused.next_wait());
            return;
        }
        let is_broken = matches!(loss, Loss::Protocol(_));
        self.broken = if is_broken && self.broken < BROKEN_MAX { self.broken + 1 } else { 0 };
        self.handle_down(&loss.to_string(), now);
    }

    fn handle_down(&mut self, why: &str, now: Monotonic) {
        if matches!(self.stage, Stage::Up(_, since) if now.since(since) >= GOOD_CONNECTION) {
            self.backoff.reset();
        }
        self.outage.handle_down(why, now);
        self.stage = waiting(self.backoff.next_wait());
    }
}

fn waiting(wait: Duration) -> Stage {
    Stage::Waiting(Box::pin(tokio::time::sleep(wait)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::clock;

    /// Gives the byte of each CONNECT that says its version, when a server answers them like this; `None` closes.
    async fn versions_asked_for(answers: &[Option<&[u8]>]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Address::Tcp { host: "127.0.0.1".into(), port, is_tls: false };
        let options = Options {
            version: ProtocolVersion::V5,
            client_id: "a-client".into(),
            clean_session: true,
            session_expiry_s: 0,
            keep_alive: Duration::from_secs(60),
            credentials: None,
            will: None,
            packet_bytes_max: 1 << 20,
            receive_max: 10,
            patience: Duration::from_secs(10),
        };
        let wait = Duration::from_millis(1);
        let waits = Waits { base: wait, cap: wait, refused: wait };
        let mut connection =
            Connection::new("there".into(), vec![address], TlsOptions::default(), Version::Auto, options, waits);
        let serve = async {
            let mut versions = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut connect = [0; 9];
                stream.read_exact(&mut connect).await.unwrap();
                versions.push(connect[8]);
                // what is left unread would make the end a reset
                let _ = stream.read(&mut [0; 512]).await.unwrap();
                if let Some(answer) = answer {
                    stream.write_all(answer).await.unwrap();
                }
            }
            versions
        };
        let connect = async {
            loop {
                connection.next(clock::monotonic).await;
            }
        };
        tokio::select! {
            versions = serve => versions,
            () = connect => unreachable!("it goes on for ever"),
        }
    }

    #[tokio::test]
    async fn version_that_was_taken_is_asked_for_again_when_a_proxy_closes_without_an_answer() {
        let (accepted_5, accepted_311): (&[u8], &[u8]) = (&[0x20, 3, 0, 0, 0], &[0x20, 2, 0, 0]);
        assert_eq!(versions_asked_for(&[Some(accepted_5), None, None, Some(accepted_5)]).await, [5; 4]);
        // RabbitMQ 3.10 and ActiveMQ 5 close over version 5
        assert_eq!(versions_asked_for(&[None, Some(accepted_311), None, None]).await, [5, 4, 4, 4]);
        assert_eq!(versions_asked_for(&[None, None, None, Some(accepted_311)]).await, [5, 4, 5, 4]);
    }
}
