//! DISCONNECT (section 3.14).

use crate::broker::machine::{Broker, WillFate};
use crate::broker::output::{CloseReason, ConnectionId};

/// Ends the connection in good order: the will is void [MQTT-3.14.4-3].
pub(super) fn disconnect(broker: &mut Broker, connection: ConnectionId) {
    broker.end(connection, CloseReason::Disconnected, WillFate::Discard);
}
