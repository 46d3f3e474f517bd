//! What happens on the connections to the local broker.

use tracing::warn;

use super::{Outset, Uplink, now};
use crate::base::keep;
use crate::client::{Event, Message};
use crate::mqtt::RetainHandling;
use crate::uplink::connection::{Connection, Happening};
use crate::uplink::lane::Side;
use crate::uplink::registry::End;
use crate::uplink::work::Work;

impl Uplink {
    pub(super) fn handle_local(&mut self, happening: Happening) {
        match happening {
            Happening::Up(terms) => {
                self.local_max = terms.receive_max;
                self.machine.work_mut().handle_local_up(&terms);
                self.subscribe_locally();
            }
            Happening::Failed(_) => {}
            Happening::Lost(_) => {
                self.outset.send_replace(Outset::Pending);
                self.local_tokens.clear();
                self.told.forget();
                self.machine.handle_local_lost(Side::Backlog);
            }
            Happening::Event(event) => self.handle_local_event(event),
        }
    }

    /// The session's subscriptions are what is wanted today. Retained messages come when the far side is there to have
    /// them.
    fn subscribe_locally(&mut self) {
        let mut wanted = self.machine.local_subscriptions();
        if !self.far_state.is_connected {
            for wanted in &mut wanted {
                wanted.retain_handling = RetainHandling::DoNotSend;
            }
        }
        let stale = self.registry(|registry, name| registry.stale(name, End::Local, &wanted)).unwrap_or_default();
        if let Some(link) = self.local.link() {
            if !stale.is_empty() {
                link.unsubscribe(stale);
            }
            self.outbox = if wanted.is_empty() { None } else { link.subscribe(wanted.clone()) };
        }
        self.remember_subscribed(End::Local, &wanted);
        if wanted.is_empty() {
            self.handle_outbox();
        }
    }

    fn handle_outbox(&mut self) {
        self.outset.send_replace(Outset::Standing);
        self.machine.handle_local_up(self.local_max);
    }

    fn handle_local_event(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.handle_message(Side::Backlog, message),
            Event::Acknowledged(packet_id, reason) => {
                if let Some(token) = self.local_tokens.remove(&packet_id) {
                    self.machine.handle_local_answer(token, reason, now());
                    self.keep_received();
                }
            }
            Event::Subscribed(packet_id, codes) => {
                if self.outbox == Some(packet_id) {
                    self.complain(&codes, "the local broker does not let the uplink subscribe");
                    self.handle_outbox();
                }
            }
            Event::Unsubscribed(_) | Event::Lost(_) => {}
        }
    }

    pub(super) fn handle_live(&mut self, happening: Happening) {
        match happening {
            Happening::Up(_) => {
                let wanted = self.machine.local_subscriptions();
                if let Some(link) = self.live.as_mut().and_then(Connection::link) {
                    link.subscribe(wanted);
                }
            }
            Happening::Event(Event::Message(message)) => self.handle_message(Side::Live, message),
            Happening::Lost(_) => self.machine.handle_local_lost(Side::Live),
            Happening::Failed(_) | Happening::Event(_) => {}
        }
    }

    fn handle_message(&mut self, side: Side, message: Message) {
        self.machine.handle_local_message(side, message, now());
    }

    /// What is retained here may be lost there: it goes out once more, behind what waits.
    pub(super) fn refresh(&mut self) {
        let wanted = self.machine.local_subscriptions();
        if let Some(link) = self.local.link().filter(|_| !wanted.is_empty()) {
            link.subscribe(wanted);
        }
    }

    /// The last values that were passed on outlive the process.
    pub(super) fn keep_received(&mut self) {
        if let Work::Ubidots(ubidots) = self.machine.work_mut()
            && let Some(received) = ubidots.poll_received()
            && let Err(error) = keep::save(&self.files.received(&self.name), received)
        {
            warn!("uplink {}: a command may be run twice after a restart: {error}", self.name);
        }
    }
}
