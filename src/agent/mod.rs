//! The gateway's own publisher: an ordinary MQTT client that samples on a schedule and says what it found.
//!
//! - Holds the schedule, the last sample, the samples that wait for the uplinks' topic, which topics it has announced,
//!   the thread that shows on the LED matrix what it is told, and the task that hears the stick.
//! - Never enters: sockets and the wire (rumqttc has them), the broker, I²C registers.
//! - Uses `base`, `mqtt` (names of topics), `client` (its set-up of TLS), `sensors`, `matrix` and `stick`.
//!
//! Start reading at [`run()`], then `publish`, which decides without side effects what one sample puts where. A sample
//! comes from the thread of [`spawn_sampling`]; `connection` keeps the link, `topics` remembers what is retained,
//! `samples` keeps what the broker has not acknowledged, `leds` has the matrix,
//! `stick` the stick.

mod connection;
mod delivery;
mod leds;
mod link;
mod narrate;
mod once;
mod publish;
mod reach;
mod run;
mod runs;
mod said;
mod sample;
mod samples;
mod sampling;
mod schedule;
mod stamp;
mod state;
mod stick;
mod topics;

pub use leds::{Leds, LedsDoor, LedsTopics, spawn_leds};
pub use once::{OnceError, publish_once};
pub use publish::{Publication, publications};
pub use reach::{connack_text, connection_error_text, socket_host, tls_transport};
pub use run::{Command, Inputs, Progress, run};
pub use runs::ValidSince;
pub use said::Said;
pub use sample::{Sample, Sampler, first_sequence};
pub use samples::SAMPLES_WAITING_MAX;
pub use sampling::{SAMPLES_MAX, Sampling, SamplingCounters, spawn_sampling};
pub use schedule::Schedule;
pub use state::state_json;
pub use stick::{Stick, StickDoor, StickTopic, spawn_stick};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::secret::Secret;
use crate::mqtt::{QoS, TopicName};
use crate::sensors::Quantity;

/// What the agent publishes and where it connects.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// One entry a quantity that is published.
    pub quantities: Vec<QuantityTopic>,
    /// The JSON of everything; `None` when it is switched off.
    pub state: Option<StateTopic>,
    /// The status with its will; `None` when it is switched off.
    pub status: Option<StatusTopic>,
    /// Where each sample goes as a whole, for uplinks; `None` when nobody carries samples further.
    pub samples: Option<SamplesTopic>,
    /// The topics of the LED matrix; `None` when it is left alone.
    pub leds: Option<LedsTopics>,
    /// Where the stick's events go; `None` when it is left alone.
    pub stick: Option<StickTopic>,
    /// The broker it is a client of.
    pub broker: BrokerAddress,
    /// The client identifier.
    pub client_id: String,
    /// Keep-alive of the connection.
    pub keep_alive: Duration,
    /// Time between two samples: tells when one is overdue.
    pub interval: Duration,
}

impl Options {
    /// Every topic that it publishes to.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        let quantities = self.quantities.iter().map(|quantity| &quantity.topic);
        let state = self.state.iter().map(|state| &state.topic);
        let status = self.status.iter().map(|status| &status.topic);
        let leds = self.leds.iter().flat_map(|leds| [&leds.state, &leds.error]);
        let stick = self.stick.iter().map(|stick| &stick.topic);
        let samples = self.samples.iter().map(|samples| &samples.topic);
        quantities.chain(state).chain(status).chain(samples).chain(leds).chain(stick)
    }
}

/// Where and how one quantity is published.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantityTopic {
    /// Which one.
    pub quantity: Quantity,
    /// Where.
    pub topic: TopicName,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// In which form.
    pub payload: PayloadFormat,
    /// Digits behind the decimal point, 0..=9.
    pub decimals: usize,
    /// Which of its values are published.
    pub report: Report,
}

/// Which values of a quantity are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report {
    /// Each sample's.
    Always,
    /// One that differs from the last that was published, by `deadband` at least and in the digits that are shown; and
    /// whatever it is when `heartbeat` has passed since then.
    OnChange {
        /// In the unit of the quantity.
        deadband: f64,
        /// The longest silence.
        heartbeat: Duration,
    },
}

/// The form of a quantity's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// The number alone: `21.37`.
    Plain,
    /// An object with value, unit, time and source.
    Json,
}

/// Where the state's JSON goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTopic {
    /// Where.
    pub topic: TopicName,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
}

/// Where each sample goes as a whole ([`crate::sensors::SampleMessage`]): QoS 1, not retained, at least once, in the
/// order in which they were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplesTopic {
    /// Where.
    pub topic: TopicName,
}

/// Where the gateway says whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusTopic {
    /// Where.
    pub topic: TopicName,
    /// Said on each connection.
    pub online: String,
    /// The will, and said before a clean stop.
    pub offline: String,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
}

/// How the broker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAddress {
    /// The embedded broker's private Unix socket.
    House {
        /// The socket's path.
        socket: PathBuf,
    },
    /// Another broker.
    External {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// User name and password.
        credentials: Option<(String, Secret)>,
        /// TLS, with the file of a CA of one's own or the system's roots.
        tls: Option<TlsOptions>,
    },
}

/// The address as logs and the memory of topics name it.
impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::House { .. } => f.write_str("the embedded broker"),
            Self::External { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// How the peer of a TLS connection is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM certificates to trust; `None` for the system's.
    pub ca_file: Option<PathBuf>,
}
