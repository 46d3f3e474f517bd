//! DISCONNECT (section 3.14).

use crate::broker::machine::{Broker, WillFate};
use crate::broker::output::{CloseReason, ConnectionId};
use crate::broker::session::SessionKey;
use crate::mqtt::{Disconnect, ReasonCode};

/// Ends the connection. In good order the will is void [MQTT-3.14.4-3]; with any other reason it is published.
pub(super) fn disconnect(broker: &mut Broker, connection: ConnectionId, key: SessionKey, disconnect: &Disconnect) {
    if let Some(seconds) = disconnect.properties.session_expiry_interval_s {
        let was_zero = broker.connections.get(connection).and_then(|record| record.five.as_ref());
        if seconds > 0 && was_zero.is_some_and(|five| five.is_sessionless) {
            let what = "a session that ends with its connection is to be kept after all";
            return broker.violate(connection, what, "section 3.14.2.2.2");
        }
        change_expiry(broker, key, seconds.min(broker.options.session_expiry_s_max));
    }
    let is_normal = disconnect.reason == ReasonCode::NORMAL_DISCONNECTION;
    let fate = if is_normal { WillFate::Discard } else { WillFate::Publish };
    broker.end(connection, CloseReason::Disconnected, fate);
}

/// The session is to outlive its connection for another time than CONNECT said [section 3.14.2.2.2].
fn change_expiry(broker: &mut Broker, key: SessionKey, seconds: u32) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let earlier = std::mem::replace(&mut session.expiry_interval_s, seconds);
    if session.is_persistent() && seconds != earlier {
        broker.record_terms(key);
    }
}
