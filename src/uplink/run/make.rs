//! What an uplink is made of: its machine's parts and its connections.

use std::time::Duration;

use bytes::Bytes;
use tracing::{error, warn};

use crate::base::ids::BootId;
use crate::base::keep;
use crate::client::{self, Address};
use crate::mqtt::{ProtocolVersion, QoS, TopicName, Will};
use crate::uplink::boots::Boots;
use crate::uplink::bridge::Bridge;
use crate::uplink::connection::{Connection, Version, Waits};
use crate::uplink::ubidots::{Received, Ubidots};
use crate::uplink::work::Work;
use crate::uplink::{Files, Kind, Options};

/// How long a server may take over a connection, from TCP to CONNACK.
const PATIENCE: Duration = Duration::from_secs(15);

/// Keep-alive of the local connections.
const LOCAL_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What is told of the uplink when the gateway is gone without a word.
pub(super) fn gone(state: &TopicName) -> Will {
    let said = Bytes::from_static(br#"{"connected":false,"last_error":"the gateway is gone"}"#);
    Will { qos: QoS::AtLeastOnce, retain: true, ..Will::new(state.clone(), said) }
}

pub(super) fn load_boots(files: &Files) -> Boots {
    let current = BootId::read();
    Boots::load(&files.boots, current.as_str()).unwrap_or_else(|error| {
        warn!("samples of earlier boots may stay undated: {error}");
        Boots::unkept(current.as_str())
    })
}

pub(super) fn work(options: &Options, files: &Files) -> Work {
    match &options.kind {
        Kind::Bridge(bridge) => Work::Bridge(Box::new(Bridge::new(bridge.clone()))),
        Kind::Ubidots(ubidots) => {
            let received = keep::load(&files.received(&options.name)).unwrap_or_else(|error| {
                error!("the last command may be run once more: {error}");
                None
            });
            Work::Ubidots(Box::new(Ubidots::new(ubidots.clone(), received.unwrap_or(Received::default()))))
        }
    }
}

pub(super) fn local_connection(options: &Options, name: &str, is_clean: bool) -> Connection {
    let local = &options.local;
    let connect = client::Options {
        version: ProtocolVersion::V5,
        client_id: local.client_id(name),
        clean_session: is_clean,
        session_expiry_s: u32::MAX,
        keep_alive: LOCAL_KEEP_ALIVE,
        credentials: local.credentials.clone(),
        will: None,
        packet_bytes_max: local.packet_bytes_max,
        receive_max: local.receive_max,
        patience: PATIENCE,
    };
    let waits = if matches!(local.address, Address::Unix(_)) { Waits::HOUSE } else { Waits::FAR };
    let version = if matches!(local.address, Address::Unix(_)) { Version::V5 } else { Version::Auto };
    let title = format!("the local broker for uplink {name}");
    Connection::new(title, vec![local.address.clone()], local.tls.clone(), version, connect, waits)
}

pub(super) fn far_connection(options: &Options) -> Connection {
    let far = &options.far;
    let addresses: Vec<String> = far.addresses.iter().map(ToString::to_string).collect();
    let title = format!("{} (uplink {})", addresses.join(", "), options.name);
    let connect = far.connect_options(PATIENCE);
    Connection::new(title, far.addresses.clone(), far.tls.clone(), far.version, connect, Waits::FAR)
}
