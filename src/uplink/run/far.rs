//! What happens on the connection to the far side.

use super::{Uplink, now};
use crate::base::clock;
use crate::client::{Event, Loss};
use crate::mqtt::ProtocolVersion;
use crate::uplink::connection::Happening;
use crate::uplink::registry::End;

impl Uplink {
    pub(super) fn handle_far(&mut self, happening: Happening) {
        match happening {
            Happening::Up(terms) => {
                let wanted = self.machine.far_subscriptions();
                let stale = self.registry(|registry, name| registry.stale(name, End::Far, &wanted)).unwrap_or_default();
                if let Some(link) = self.far.link() {
                    if !stale.is_empty() {
                        link.unsubscribe(stale);
                    }
                    if !wanted.is_empty() {
                        link.subscribe(wanted.clone());
                    }
                }
                self.remember_subscribed(End::Far, &wanted);
                let protocol = if terms.version == ProtocolVersion::V5 { "5" } else { "3.1.1" };
                self.tell_far(true, None, Some(protocol));
                self.machine.handle_far_up(terms, now());
                self.refresh();
            }
            Happening::Failed(why) => self.tell_far(false, Some(why), None),
            Happening::Lost(loss) => self.handle_far_lost(&loss),
            Happening::Event(event) => self.handle_far_event(event),
        }
    }

    fn handle_far_lost(&mut self, loss: &Loss) {
        self.far_tokens.clear();
        self.tell_far(false, Some(loss.to_string()), None);
        self.machine.handle_far_lost(loss, now());
    }

    fn handle_far_event(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.machine.handle_far_message(&message, now()),
            Event::Acknowledged(packet_id, reason) => {
                if let Some(token) = self.far_tokens.remove(&packet_id) {
                    self.machine.handle_far_answer(token, reason, now());
                }
            }
            Event::Subscribed(_, codes) => self.complain(&codes, "the far side does not let the uplink subscribe"),
            Event::Unsubscribed(_) | Event::Lost(_) => {}
        }
    }

    pub(super) fn tell_far(&mut self, is_connected: bool, error: Option<String>, protocol: Option<&'static str>) {
        if self.far_state.is_connected != is_connected {
            self.far_state.since = clock::wall();
        }
        self.far_state.is_connected = is_connected;
        self.far_state.broker = self.far.address();
        self.far_state.protocol = protocol;
        if error.is_some() {
            self.far_state.last_error = error;
        }
    }
}
