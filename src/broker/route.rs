//! From one publication to its receivers: encoded once a quality of service, shared by all who get the same bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::inflight::Delivery;
use super::machine::{Behind, Broker};
use super::output::{Change, Message, Output, SendClass};
use super::retained::Retained;
use super::session::{QUEUE_IN_MEMORY_MAX, SessionKey};
use crate::mqtt::{Frame, PacketId, ProtocolVersion, Publish, PublishTemplate, QoS, TopicName, Will};

/// A message on its way through, borrowed from wherever it came.
pub(super) struct Publication<'a> {
    topic: &'a str,
    payload: &'a [u8],
    qos: QoS,
    retain: bool,
}

impl<'a> Publication<'a> {
    pub(super) fn from_publish(publish: &Publish<'a>) -> Self {
        Self { topic: publish.topic, payload: publish.payload, qos: publish.qos, retain: publish.retain }
    }

    pub(super) fn from_will(will: &'a Will) -> Self {
        Self { topic: will.topic.as_str(), payload: &will.payload, qos: will.qos, retain: will.retain }
    }
}

/// Forms of one publication, each made when the first receiver needs it.
struct Forms<'a> {
    publication: &'a Publication<'a>,
    message: Option<Arc<Message>>,
    /// By quality of service.
    templates: [Option<PublishTemplate>; 3],
}

impl Forms<'_> {
    fn template(&mut self, qos: QoS) -> &PublishTemplate {
        let Publication { topic, payload, .. } = self.publication;
        let [q0, q1, q2] = &mut self.templates;
        let place = match qos {
            QoS::AtMostOnce => q0,
            QoS::AtLeastOnce => q1,
            QoS::ExactlyOnce => q2,
        };
        // what goes on to an existing subscription is not marked as retained [MQTT-3.3.1-9]
        place.get_or_insert_with(|| PublishTemplate::new(topic, payload, qos, false, ProtocolVersion::V311))
    }

    /// The message to keep; `None` only for a topic that is none, which the decoder does not let in.
    fn message(&mut self) -> Option<Arc<Message>> {
        if self.message.is_none() {
            let topic = TopicName::new(self.publication.topic).ok()?;
            let payload = Bytes::copy_from_slice(self.publication.payload);
            self.message = Some(Arc::new(Message { topic, payload }));
        }
        self.message.clone()
    }
}

impl Broker {
    /// Gives a publication to everyone it concerns, and keeps it when it is retained. With `held`, it goes onward only
    /// when everything recorded so far is durable. Returns whether an acknowledgement has to wait for durability.
    pub(super) fn route(&mut self, publication: &Publication<'_>, held: bool) -> bool {
        let mut forms = Forms { publication, message: None, templates: [const { None }; 3] };
        let mut must_wait = publication.retain && self.retain(&mut forms);
        let mut receivers = std::mem::take(&mut self.receivers);
        self.subscriptions.collect(publication.topic, &mut receivers);
        for (session, granted) in receivers.drain(..) {
            // [MQTT-3.8.4-6]
            must_wait |= match granted.min(publication.qos) {
                QoS::AtMostOnce => self.pass_on(session, &mut forms, held),
                qos => self.deliver_new(session, qos, &mut forms, held),
            };
        }
        self.receivers = receivers;
        must_wait
    }

    fn retain(&mut self, forms: &mut Forms<'_>) -> bool {
        let Publication { payload, qos, .. } = *forms.publication;
        let Some(message) = forms.message() else { return false };
        if payload.is_empty() {
            // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
            return self.clear_retained(&message.topic);
        }
        if !self.retained.set(Retained { message: message.clone(), qos }, &self.options) {
            self.outputs.push_back(Output::NotifyRetainedFull { topic: message.topic.clone() });
            // an older one would be taken for the newest [MQTT-3.3.1-7]
            return self.clear_retained(&message.topic);
        }
        self.persist.record(Change::Retained { message, qos });
        qos != QoS::AtMostOnce
    }

    /// Forgets what is retained under `topic`; tells whether there was anything.
    fn clear_retained(&mut self, topic: &TopicName) -> bool {
        let cleared = self.retained.clear(topic.as_str());
        if cleared {
            self.persist.record(Change::RetainedCleared { topic: topic.clone() });
        }
        cleared
    }

    /// QoS 0: now or never.
    fn pass_on(&mut self, session: SessionKey, forms: &mut Forms<'_>, held: bool) -> bool {
        let Some(session) = self.sessions.get(session) else { return false };
        let Some(connection) = session.connection else { return false };
        if !session.rights.may_read(forms.publication.topic) {
            return false;
        }
        let frame = forms.template(QoS::AtMostOnce).frame(None, false);
        let behind = if held { Behind::Origin } else { Behind::Greeting };
        self.send(connection, frame, SendClass::MayDrop, behind);
        false
    }

    fn deliver_new(&mut self, session: SessionKey, qos: QoS, forms: &mut Forms<'_>, held: bool) -> bool {
        let Some(message) = forms.message() else { return false };
        self.arrivals += 1;
        let delivery = Delivery { arrival: self.arrivals, message, qos, retain: false };
        self.deliver(session, delivery, held, |packet_id| forms.template(qos).frame(Some(packet_id), false))
    }

    /// QoS 1 and 2: into the window when there is room and nobody waits before it, else into the queue.
    /// Returns whether an acknowledgement has to wait for durability.
    pub(super) fn deliver(
        &mut self,
        key: SessionKey,
        delivery: Delivery,
        held: bool,
        encode: impl FnOnce(PacketId) -> Frame,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if !session.rights.may_read(delivery.message.topic.as_str()) {
            return false;
        }
        let is_persistent = session.is_persistent();
        if is_persistent {
            self.persist.record(enqueued(&session.client_id, &delivery));
        }
        let has_room = session.queue.is_empty() && session.window.has_room(&self.options);
        if session.connection.is_some() && has_room {
            self.start(key, delivery, held, encode);
        } else {
            self.queue(key, delivery);
        }
        is_persistent
    }

    fn queue(&mut self, key: SessionKey, delivery: Delivery) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let spills = self.options.spills_queues && session.is_persistent();
        let dropped = session.queue.push(delivery, &self.options, spills);
        self.drop_from(key, dropped);
        self.load(key);
    }

    /// Says of deliveries that had to go from a full queue that they are gone.
    pub(super) fn drop_from(&mut self, key: SessionKey, dropped: Vec<Delivery>) {
        let Some(session) = self.sessions.get(key) else { return };
        for Delivery { arrival, .. } in dropped {
            let client_id = session.client_id.clone();
            if session.is_persistent() {
                self.persist.record(Change::Dequeued { client_id: client_id.clone(), arrival });
            }
            self.outputs.push_back(Output::NotifyDropped { client_id });
        }
    }

    /// Moves queued deliveries into the window as long as there is room. What may not be read any more goes.
    pub(super) fn pump(&mut self, key: SessionKey) {
        while let Some(session) = self.sessions.get_mut(key)
            && session.connection.is_some()
            && session.window.has_room(&self.options)
            && let Some(delivery) = session.queue.pop()
        {
            if !session.rights.may_read(delivery.message.topic.as_str()) {
                if session.is_persistent() {
                    let client_id = session.client_id.clone();
                    self.persist.record(Change::Dequeued { client_id, arrival: delivery.arrival });
                }
                continue;
            }
            let template = template_of(&delivery);
            self.start(key, delivery, false, |packet_id| template.frame(Some(packet_id), false));
        }
        self.load(key);
    }

    /// Asks for more of a queue that only the disk has: for a connected client, or because the oldest have to go.
    pub(super) fn load(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_wanted = session.connection.is_some() || session.queue.is_full(&self.options);
        if is_wanted && let Some(after) = session.queue.poll_load() {
            let client_id = session.client_id.clone();
            self.loads.push_back(Output::RequestLoad { client_id, after, count: QUEUE_IN_MEMORY_MAX });
        }
    }

    /// Gives a delivery its identifier and sends it. A QoS 2 identifier of a persistent session is durable first.
    fn start(&mut self, key: SessionKey, delivery: Delivery, held: bool, encode: impl FnOnce(PacketId) -> Frame) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(connection) = session.connection else { return };
        let (arrival, qos) = (delivery.arrival, delivery.qos);
        let packet_id = session.window.start(delivery);
        let mut behind = Behind::Greeting;
        if session.is_persistent() {
            let client_id = session.client_id.clone();
            self.persist.record(Change::Sent { client_id, arrival, packet_id });
            if qos == QoS::ExactlyOnce {
                behind = Behind::Durability;
            }
        }
        if held {
            behind = Behind::Origin;
        }
        self.answer(connection, encode(packet_id), behind);
    }
}

/// Encodes a delivery that waited.
pub(super) fn template_of(delivery: &Delivery) -> PublishTemplate {
    let Message { topic, payload } = &*delivery.message;
    PublishTemplate::new(topic.as_str(), payload, delivery.qos, delivery.retain, ProtocolVersion::V311)
}

fn enqueued(client_id: &crate::mqtt::ClientId, delivery: &Delivery) -> Change {
    Change::Enqueued {
        client_id: client_id.clone(),
        arrival: delivery.arrival,
        message: delivery.message.clone(),
        qos: delivery.qos,
        retain: delivery.retain,
    }
}
