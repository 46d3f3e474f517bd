//! The side of an uplink that is here: the embedded broker, or the external one that the gateway is a client of.

use std::path::PathBuf;

use crate::agent::BrokerAddress;
use crate::broker::{Options as MachineOptions, RESERVED_CLIENT_ID_PREFIX};
use crate::client::{Address, TlsOptions};
use crate::config::broker::{Broker, Connection};
use crate::config::section::Read;
use crate::config::settings::StorageOptions;
use crate::config::storage::house_socket;
use crate::uplink::LocalOptions;

/// Messages that may come without being acknowledged; more where the mean of an interval needs them.
const RECEIVE_MAX: u16 = 100;

/// How uplinks reach the local broker. Where that has a problem it does not matter how.
pub(in crate::config) fn local_options(broker: &Read<Broker>, storage: &Read<StorageOptions>) -> LocalOptions {
    let packet_bytes_max = match broker {
        Ok(Broker::Embedded { limits, .. }) => limits.machine.packet_bytes_max,
        Ok(Broker::External(_)) | Err(_) => MachineOptions::default().packet_bytes_max,
    };
    let socket = storage.as_ref().map_or_else(|_| PathBuf::new(), |storage| house_socket(&storage.directory));
    let embedded = LocalOptions {
        address: Address::Unix(socket),
        tls: TlsOptions::default(),
        client_id_prefix: format!("{RESERVED_CLIENT_ID_PREFIX}uplink/"),
        credentials: None,
        packet_bytes_max,
        receive_max: RECEIVE_MAX,
    };
    match broker {
        Ok(Broker::External(connection)) => external(connection, embedded),
        Ok(Broker::Embedded { .. }) | Err(_) => embedded,
    }
}

/// The gateway's own broker elsewhere, with the user that the agent has there.
fn external(connection: &Connection, embedded: LocalOptions) -> LocalOptions {
    let BrokerAddress::External { host, port, credentials, tls } = &connection.address else { return embedded };
    let ca_file = tls.as_ref().and_then(|tls| tls.ca_file.clone());
    LocalOptions {
        address: Address::Tcp { host: host.clone(), port: *port, is_tls: tls.is_some() },
        tls: TlsOptions { ca_file, identity: None },
        client_id_prefix: format!("{}-uplink-", connection.client_id),
        credentials: credentials.clone().map(|(user, password)| (user, Some(password))),
        ..embedded
    }
}
