//! Readings and messages to the cloud and to other brokers, through hours without a network, and commands back.
//!
//! - Holds, for each uplink, what the far side has not acknowledged; everything behind that lies in the local broker's
//!   persistent session, which is the outbox.
//! - Never enters: the agent, the embedded broker. An uplink is an ordinary client of two brokers.
//! - Uses `base`, `mqtt`, `client`, and the JSON form of a sample from `sensors`.
//!
//! A message is acknowledged at the local broker only when the far side has acknowledged it, in order of receipt
//! [MQTT-4.6.0-2]. What the far side has not acknowledged when its connection ends goes out again on the next. So a cut
//! link, a far broker that restarts, and a power cut here cost duplicates at most.
//!
//! Start reading at `machine`, which is told what happens and says what to do, without I/O; then `work`, behind which
//! stand the two kinds, [`bridge`] and [`ubidots`]; then [`run()`], which carries it out.

mod boots;
pub mod bridge;
mod carried;
mod connection;
mod inbox;
mod lane;
mod machine;
mod pace;
mod registry;
mod run;
#[cfg(test)]
mod simulation;
mod stamps;
mod state;
pub mod ubidots;
mod work;

pub use boots::Boots;
pub use connection::{Version, Waits};
pub use registry::{Known, Registry, end_session};
pub use run::{Inputs, Outset, run};
pub use stamps::Now;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::secret::Secret;
use crate::client::{self, Address, TlsOptions};
use crate::mqtt::TopicName;

/// One uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Its name in topics, files and the log.
    pub name: String,
    /// What it carries.
    pub kind: Kind,
    /// The other side.
    pub far: FarOptions,
    /// The broker that it takes from.
    pub local: LocalOptions,
    /// Which of two samples goes first, behind a backlog.
    pub order: Order,
    /// Messages under way to the far side, unless it takes fewer.
    pub inflight_max: usize,
    /// The longest time that the far side may take to acknowledge.
    pub ack_timeout: Duration,
    /// Connections in a row that one message may end before it is rejected.
    pub strikes_max: u32,
    /// How long a sample may wait for the time to become known.
    pub clock_wait: Duration,
    /// The topics that the gateway has for it.
    pub topics: Topics,
}

/// What an uplink carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Samples to Ubidots, variables from there.
    Ubidots(ubidots::Options),
    /// Messages by rules.
    Bridge(bridge::Options),
}

/// The gateway's topics for an uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Where the agent publishes samples.
    pub samples: TopicName,
    /// Where the uplink tells how it is.
    pub state: TopicName,
    /// Where it puts what can never be sent.
    pub rejected: TopicName,
}

/// Which of two samples goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The older: everything arrives in order.
    #[default]
    InOrder,
    /// The newest; the backlog follows as there is room.
    LiveFirst,
}

/// The other side, and how the uplink is known there.
#[derive(Clone, PartialEq, Eq)]
pub struct FarOptions {
    /// Addresses, tried in turn.
    pub addresses: Vec<Address>,
    /// How servers are checked, where an address speaks TLS.
    pub tls: TlsOptions,
    /// Which version of the protocol.
    pub version: Version,
    /// The client identifier.
    pub client_id: String,
    /// Whether the session there ends with the connection.
    pub clean_session: bool,
    /// Version 5: how long the session there outlives the connection.
    pub session_expiry_s: u32,
    /// Longest silence before the connection is tested.
    pub keep_alive: Duration,
    /// User name and password.
    pub credentials: Option<(String, Option<Secret>)>,
    /// The largest packet that is taken.
    pub packet_bytes_max: usize,
}

/// Messages of QoS 1 that may come from the far side without being acknowledged.
const FAR_RECEIVE_MAX: u16 = 100;

impl FarOptions {
    /// What CONNECT asks for there: in the version that is tried first, and without a will.
    pub fn connect_options(&self, patience: Duration) -> client::Options {
        client::Options {
            version: self.version.first(),
            client_id: self.client_id.clone(),
            clean_session: self.clean_session,
            session_expiry_s: self.session_expiry_s,
            keep_alive: self.keep_alive,
            credentials: self.credentials.clone(),
            will: None,
            packet_bytes_max: self.packet_bytes_max,
            receive_max: FAR_RECEIVE_MAX,
            patience,
        }
    }
}

/// Without the credentials: a user name may be a token.
impl fmt::Debug for FarOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FarOptions")
            .field("addresses", &self.addresses)
            .field("tls", &self.tls)
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("session_expiry_s", &self.session_expiry_s)
            .field("keep_alive", &self.keep_alive)
            .field("packet_bytes_max", &self.packet_bytes_max)
            .finish_non_exhaustive()
    }
}

/// The broker that an uplink takes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// Where it is: the house's socket, or an external broker.
    pub address: Address,
    /// TLS of an external one.
    pub tls: TlsOptions,
    /// What client identifiers begin with there.
    pub client_id_prefix: String,
    /// User name and password.
    pub credentials: Option<(String, Option<Secret>)>,
    /// The largest packet that is taken.
    pub packet_bytes_max: usize,
    /// Messages that may come without being acknowledged.
    pub receive_max: u16,
}

impl LocalOptions {
    /// The client identifier of an uplink's outbox.
    pub fn client_id(&self, name: &str) -> String {
        format!("{}{name}", self.client_id_prefix)
    }
}

/// The files in the state directory that uplinks keep.
#[derive(Clone, Debug)]
pub struct Files {
    /// Offsets of boots.
    pub boots: PathBuf,
    /// Uplinks there are, and what they subscribed to.
    pub registry: PathBuf,
    /// The directory for what one uplink keeps by itself.
    pub directory: PathBuf,
}

impl Files {
    /// Those in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self { boots: directory.join("boots.json"), registry: directory.join("uplinks.json"), directory }
    }

    /// What came last from the far side of the uplink `name`.
    pub(crate) fn received(&self, name: &str) -> PathBuf {
        self.directory.join(format!("uplink-{name}.json"))
    }
}
