//! Wills of clients that are gone (section 3.1.2.5).

use std::time::Duration;

use super::change::Change;
use super::machine::{Broker, WillFate};
use super::persist::Barrier;
use super::route::Publication;
use super::session::{SessionKey, WaitingWill};
use crate::mqtt::Will;

impl Broker {
    /// A client has left this will: it is published, waits for its delay as long as its session lives [MQTT-3.1.3-9],
    /// or is void.
    pub(super) fn leave_will(&mut self, key: SessionKey, will: Will, fate: WillFate) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let client_id = session.client_id.clone();
        if fate == WillFate::Discard {
            self.persist.record(Change::WillCleared { client_id });
        } else if will.delay_interval_s == 0 || session.expiry_interval_s == 0 {
            self.persist.record(Change::WillCleared { client_id });
            self.publish_will(key, &will);
        } else {
            let due = self.now + Duration::from_secs(will.delay_interval_s.into());
            session.will = Some(Box::new(WaitingWill { will, due }));
            self.persist.record(Change::WillDelayed { client_id, due });
        }
    }

    /// Publishes the will that waits with this session, if there is one.
    pub(super) fn publish_waiting_will(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(waiting) = session.will.take() else { return };
        self.persist.record(Change::WillCleared { client_id: session.client_id.clone() });
        self.publish_will(key, &waiting.will);
    }

    /// The client is back in time: its will is void [MQTT-3.1.3-9].
    pub(super) fn discard_waiting_will(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.will.take().is_some() {
            self.persist.record(Change::WillCleared { client_id: session.client_id.clone() });
        }
    }

    fn publish_will(&mut self, key: SessionKey, will: &Will) {
        if self.may_write(key, will.topic.as_str()) {
            self.route(&Publication { from: Some(key), ..Publication::from_will(will) }, Barrier::None);
        }
    }
}
