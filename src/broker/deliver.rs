//! From a delivery to the window of its session, or to its queue.

use super::change::Change;
use super::forms::{Content, Forms, Own};
use super::inflight::{Awaits, Inflight};
use super::lane::Lane;
use super::machine::Broker;
use super::message::Delivery;
use super::output::{ConnectionId, Output, SendClass, Ticket};
use super::persist::Barrier;
use super::session::SessionKey;
use crate::mqtt::{Acknowledgement, Frame, Packet, PacketId, ProtocolVersion, QoS};

/// What a delivery waits for, and how it is encoded.
pub(super) struct DeliveryContext<'f, 'a> {
    /// What must be durable before the message is sent to its receiver.
    pub(super) barrier: Barrier,
    /// The encoded variants of the publication, shared with its other receivers; `None` for a single receiver.
    pub(super) forms: Option<&'f mut Forms<'a>>,
}

impl DeliveryContext<'_, '_> {
    /// A message for one receiver that waits for nothing.
    pub(super) const SINGLE: Self = Self { barrier: Barrier::None, forms: None };
}

impl Broker {
    /// QoS 1 and 2: into the window when there is room and nobody waits before it, else into the queue. QoS 0 goes out
    /// when the client is there. Returns whether an acknowledgement has to wait for durability.
    pub(super) fn deliver(
        &mut self,
        key: SessionKey,
        mut delivery: Delivery,
        context: DeliveryContext<'_, '_>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if let Some(age_max) = self.options.queue(session.limits).age_max {
            delivery.marks.get_or_insert_default().stale = Some(self.now + age_max);
        }
        if !session.rights.may_read(delivery.message.topic.as_str()) {
            return false;
        }
        if delivery.qos == QoS::AtMostOnce {
            self.send_unnumbered(key, &delivery, context.barrier);
            return false;
        }
        session.has_shared |= delivery.is_shared();
        let is_persistent = session.is_persistent();
        if is_persistent {
            let client_id = session.client_id.clone();
            self.persist.record(Change::Enqueued { client_id, delivery: delivery.clone() });
        }
        if context.barrier != Barrier::None {
            session.held_until = self.persist.open_ticket();
        }
        let has_room = session.queue.is_empty() && session.has_room(&self.options);
        if session.connection.is_some() && has_room {
            self.start(key, delivery, context);
        } else {
            self.queue(key, delivery);
        }
        is_persistent
    }

    /// Sends a retained or reassigned message of QoS 0.
    fn send_unnumbered(&mut self, key: SessionKey, delivery: &Delivery, barrier: Barrier) {
        let Some(connection) = self.sessions.get(key).and_then(|session| session.connection) else { return };
        let Some(record) = self.connections.get_mut(connection) else { return };
        let content = Content::of(&delivery.message, self.now);
        if let Some((frame, _)) = record.encode(&content, &Own::of(delivery, None)) {
            self.count_sent(delivery.message.payload.len());
            // not dropped: the server handles nothing more from a client that does not take its answers
            self.send(connection, frame, SendClass::Must, Lane::Deliveries, barrier);
        }
    }

    fn queue(&mut self, key: SessionKey, delivery: Delivery) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let spills = self.options.spills_queues && session.is_persistent();
        let in_memory_max = if spills { self.options.queue_in_memory_max } else { usize::MAX };
        let over = session.queue.drop_over(self.now);
        let dropped = session.queue.push(delivery, self.options.queue(session.limits), in_memory_max);
        for Delivery { arrival, .. } in over {
            self.dequeued(key, arrival);
        }
        self.drop_from(key, dropped);
        self.load(key);
    }

    /// Says of deliveries that had to go from a full queue that they are gone.
    pub(super) fn drop_from(&mut self, key: SessionKey, dropped: Vec<Delivery>) {
        for Delivery { arrival, .. } in dropped {
            self.dequeued(key, arrival);
            let Some(session) = self.sessions.get_mut(key) else { return };
            session.dropped += 1;
            self.system.counters.publish_messages_dropped += 1;
            self.outputs.push_back(Output::NotifyDropped { client_id: session.client_id.clone() });
        }
    }

    /// A delivery needs not be remembered any more.
    pub(super) fn dequeued(&mut self, key: SessionKey, arrival: u64) {
        let Some(session) = self.sessions.get(key).filter(|session| session.is_persistent()) else { return };
        self.persist.record(Change::Dequeued { client_id: session.client_id.clone(), arrival });
    }

    /// Moves deliveries on as long as there is room: first those that were in flight before this connection, then
    /// queued ones. What may not be read any more goes, and what has expired [MQTT-3.3.2-5].
    pub(super) fn pump(&mut self, key: SessionKey) {
        self.repeat_waiting(key);
        while let Some(session) = self.sessions.get_mut(key)
            && session.connection.is_some()
            && session.has_room(&self.options)
            && let Some(delivery) = session.queue.pop()
        {
            let is_readable = session.rights.may_read(delivery.message.topic.as_str());
            if is_readable && !delivery.is_over(self.now) {
                let barrier = self.persist.everything_up_to(session.held_until);
                self.start(key, delivery, DeliveryContext { barrier, forms: None });
            } else {
                self.dequeued(key, delivery.arrival);
            }
        }
        self.load(key);
        self.continue_replays(key);
    }

    /// Asks for more of a queue that only the disk has: for a connected client, or because the oldest have to go.
    pub(super) fn load(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.leaving.is_some_and(|leaving| leaving.is_loading) {
            return;
        }
        let is_wanted = session.connection.is_some() || session.queue.is_full(self.options.queue(session.limits));
        if is_wanted && let Some(after) = session.queue.poll_load(&self.options) {
            let client_id = session.client_id.clone();
            self.request_load(client_id, after);
        }
    }

    /// Gives a delivery its identifier and sends it. A QoS 2 identifier of a persistent session is durable first. What
    /// the client does not take because of its size counts as delivered [MQTT-3.1.2-25].
    fn start(&mut self, key: SessionKey, delivery: Delivery, context: DeliveryContext<'_, '_>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(connection) = session.connection else { return };
        let Some(record) = self.connections.get_mut(connection) else { return };
        let packet_id = session.window.claim();
        let own = Own::of(&delivery, Some(packet_id));
        let encoded = match context.forms {
            Some(forms) => forms.frame(record, &own),
            None => record.encode(&Content::of(&delivery.message, self.now), &own),
        };
        let (arrival, qos, bytes) = (delivery.arrival, delivery.qos, delivery.message.payload.len());
        let Some((frame, _)) = encoded else { return self.dequeued(key, arrival) };
        session.window.start(packet_id, delivery);
        let mut barrier = context.barrier;
        if session.is_persistent() {
            let client_id = session.client_id.clone();
            self.persist.record(Change::Sent { client_id, arrival, packet_id });
            if qos == QoS::ExactlyOnce {
                session.held_until = self.persist.open_ticket();
                barrier = match barrier {
                    Barrier::None | Barrier::ThisInput => Barrier::ThisInput,
                    Barrier::Change(_) | Barrier::Everything(_) => Barrier::Everything(session.held_until),
                };
            }
        }
        self.count_sent(bytes);
        self.answer(connection, frame, Lane::Deliveries, barrier);
    }

    /// A PUBLISH with so many bytes of payload goes out.
    pub(super) fn count_sent(&mut self, payload_bytes: usize) {
        self.system.counters.publish_messages_sent += 1;
        self.system.counters.publish_bytes_sent += payload_bytes as u64;
    }

    /// Sends again what was not acknowledged, in the order of the first time [MQTT-4.4.0-1], then what was queued. What
    /// may not be read any more is given up, unless its receiver has it already.
    pub(super) fn resume(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let rights = session.rights.clone();
        let is_revoked = |entry: &Inflight| {
            entry.awaits != Awaits::Complete && !rights.may_read(entry.delivery.message.topic.as_str())
        };
        let revoked = session.window.extract(is_revoked);
        session.window.begin(usize::from(session.inflight_max));
        let Some(connection) = session.connection else { return };
        let again: Vec<Again> = session.window.iter().filter(|entry| !entry.waits).map(Again::of).collect();
        for Delivery { arrival, .. } in revoked {
            self.dequeued(key, arrival);
        }
        for again in again {
            self.repeat(connection, key, &again);
        }
        self.pump(key);
    }

    /// Sends again what had to wait because the client takes fewer at a time than before. What it may not read any more
    /// is given up.
    fn repeat_waiting(&mut self, key: SessionKey) {
        while let Some(session) = self.sessions.get_mut(key)
            && let Some(connection) = session.connection
            && let Some(entry) = session.window.poll_waiting(usize::from(session.inflight_max))
        {
            let is_complete = entry.awaits == Awaits::Complete;
            if is_complete || session.rights.may_read(entry.delivery.message.topic.as_str()) {
                let again = Again::of(entry);
                self.repeat(connection, key, &again);
            } else {
                let packet_id = entry.packet_id;
                self.give_up(key, packet_id);
            }
        }
    }

    fn repeat(&mut self, connection: ConnectionId, key: SessionKey, again: &Again) {
        let Some(session) = self.sessions.get(key) else { return };
        let durable = self.persist.everything_up_to(session.held_until);
        let Some(record) = self.connections.get_mut(connection) else { return };
        let (frame, barrier) = match again {
            Again::Release(packet_id, ticket) => {
                (pub_rel(Acknowledgement::success(*packet_id), record.version), Barrier::Change(*ticket))
            }
            Again::Publish(packet_id, delivery) => {
                // [MQTT-3.3.1-1]
                let own = Own { dup: true, ..Own::of(delivery, Some(*packet_id)) };
                match record.encode(&Content::of(&delivery.message, self.now), &own) {
                    // its identifier must be durable
                    Some((frame, _)) => (frame, durable),
                    None => return self.give_up(key, *packet_id),
                }
            }
        };
        self.answer(connection, frame, Lane::Deliveries, barrier);
    }

    /// A delivery whose client takes only smaller packets now.
    fn give_up(&mut self, key: SessionKey, packet_id: PacketId) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for Delivery { arrival, .. } in session.window.extract(|entry| entry.packet_id == packet_id) {
            self.dequeued(key, arrival);
        }
    }
}

/// What is sent once more.
enum Again {
    Publish(PacketId, Delivery),
    Release(PacketId, Ticket),
}

impl Again {
    fn of(entry: &Inflight) -> Self {
        match entry.awaits {
            Awaits::Complete => Self::Release(entry.packet_id, entry.released),
            Awaits::Ack | Awaits::Received => Self::Publish(entry.packet_id, entry.delivery.clone()),
        }
    }
}

/// PUBREL.
pub(super) fn pub_rel(ack: Acknowledgement, version: ProtocolVersion) -> Frame {
    Frame::of(&Packet::PubRel(ack), version)
}
