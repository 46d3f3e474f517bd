//! Answers that a connection has to get, and what each of them promises [law 2].

use super::*;

/// A durable key, whose value an answer promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The persistent session of a client.
    Kept(usize),
    Will(usize),
    Retained(String),
    Subscription(usize, String),
    Received(usize, u16),
    /// All copies and obligations of a message.
    Message(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    ConnAck,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    SubAck,
    UnsubAck,
}

#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) says: Says,
    pub(super) packet_id: u16,
    /// The permitted codes, one list for each code of the answer.
    pub(super) codes: Vec<Vec<ReasonCode>>,
    /// The permitted values of the session present flag.
    pub(super) present: Vec<bool>,
    pub(super) promises: Vec<(Key, Mark)>,
    /// The message that it acknowledges or refuses.
    pub(super) message: Option<usize>,
}

impl Expected {
    pub(super) fn new(says: Says, packet_id: u16, codes: Vec<Vec<ReasonCode>>) -> Self {
        Self { says, packet_id, codes, present: vec![false], promises: Vec::new(), message: None }
    }
}

impl Oracle {
    pub(super) fn expect(&mut self, serial: usize, expected: Expected) {
        self.connections.get_mut(&serial).unwrap().expected.push_back(expected);
    }

    /// The broker sends a packet of `bytes` bytes. One that `is_dropped` never reaches its client.
    pub(in super::super) fn emitted(&mut self, serial: usize, packet: &Packet<'_>, bytes: usize, is_dropped: bool) {
        let Some(connection) = self.connections.get_mut(&serial) else {
            panic!("{packet:?} on connection {serial}, which is closed")
        };
        // [MQTT-3.1.2-24]
        assert!(bytes <= connection.packet_max, "{packet:?} is too large");
        // [MQTT-3.2.0-1]
        let is_greeting = matches!(packet, Packet::ConnAck(_));
        assert!(is_greeting != connection.is_greeted, "{packet:?} on connection {serial} with respect to CONNACK");
        match packet {
            // its CONNECT waited for the end of an earlier session, and the disk is full now
            Packet::ConnAck(ack) if ack.reason.is_failure() => self.refuse_late(serial),
            Packet::ConnAck(ack) => {
                connection.is_greeted = true;
                self.answered(serial, Says::ConnAck, 0, &[ack.reason], ack.session_present);
            }
            Packet::Publish(publish) => self.delivered(serial, publish, is_dropped),
            Packet::PubAck(ack) => self.acknowledged(serial, Says::PubAck, ack),
            Packet::PubRec(ack) => self.acknowledged(serial, Says::PubRec, ack),
            Packet::PubComp(ack) => self.acknowledged(serial, Says::PubComp, ack),
            Packet::PubRel(ack) => self.released(serial, ack),
            Packet::SubAck(ack) => self.answered(serial, Says::SubAck, ack.packet_id.get(), &ack.codes, false),
            Packet::UnsubAck(ack) => self.answered(serial, Says::UnsubAck, ack.packet_id.get(), &ack.codes, false),
            Packet::PingResp => {
                assert!(connection.pings > 0, "PINGRESP for nothing");
                connection.pings -= 1;
            }
            // [MQTT-3.14.0-1]; only a connection that has ended gets one
            Packet::Disconnect(_) => assert!(connection.is_ending && connection.is_five, "{packet:?} to {serial}"),
            other => panic!("a server never sends {other:?}"),
        }
    }

    fn acknowledged(&mut self, serial: usize, says: Says, ack: &Acknowledgement) {
        self.answered(serial, says, ack.packet_id.get(), &[ack.reason], false);
    }

    /// Answers of one kind keep their order [MQTT-4.6.0-2] to [MQTT-4.6.0-4].
    fn answered(&mut self, serial: usize, says: Says, packet_id: u16, codes: &[ReasonCode], is_present: bool) {
        let expected = &mut self.connections.get_mut(&serial).unwrap().expected;
        let place = expected.iter().position(|expected| expected.says == says);
        let Some(expected) = place.and_then(|place| expected.remove(place)) else {
            panic!("{says:?} {packet_id} on connection {serial} for nothing")
        };
        assert_eq!(expected.packet_id, packet_id, "{says:?} on connection {serial}");
        let is_permitted = codes.len() == expected.codes.len()
            && codes.iter().zip(&expected.codes).all(|(code, permitted)| permitted.contains(code));
        assert!(is_permitted, "{codes:?} on connection {serial}, not {expected:?}");
        assert!(expected.present.contains(&is_present), "session present: {is_present}, not {expected:?}");
        if let Some(message) = expected.message {
            self.decide(message, codes[0]);
        }
        if !codes.iter().all(|code| code.is_failure()) || codes.is_empty() {
            self.promise(expected.promises);
        }
    }

    /// The acknowledgement says whether a message was accepted.
    fn decide(&mut self, message: usize, code: ReasonCode) {
        let Message { is_tentative, copies, groups, flow, .. } = self.messages[message].clone();
        if code.is_failure() {
            assert!(is_tentative, "{:?} was passed on and is refused", self.messages[message]);
            self.messages[message].is_refused = true;
            copies.iter().for_each(|copy| self.copies[*copy].is_void = true);
            groups.iter().for_each(|group| self.groups[*group].is_void = true);
            if let Some((session, packet_id)) = flow {
                let mark = self.next_mark();
                let received = self.sessions[session].received.get_mut(&packet_id);
                received.into_iter().for_each(|(history, _)| history.set(mark, false));
            }
        }
        self.messages[message].is_tentative = false;
    }

    fn promise(&mut self, promises: Vec<(Key, Mark)>) {
        for (key, mark) in promises {
            match key {
                Key::Kept(client) => self.kept[client].acknowledge(mark),
                Key::Will(client) => self.wills[client].acknowledge(mark),
                Key::Retained(topic) => {
                    self.retained.get_mut(&topic).unwrap().history.acknowledge(mark);
                }
                Key::Subscription(session, filter) => {
                    self.sessions[session].subscriptions.get_mut(&filter).unwrap().acknowledge(mark);
                }
                Key::Received(session, packet_id) => {
                    self.sessions[session].received.get_mut(&packet_id).unwrap().0.acknowledge(mark);
                }
                Key::Message(message) => self.messages[message].is_acknowledged = true,
            }
        }
    }

    fn released(&mut self, serial: usize, ack: &Acknowledgement) {
        let packet_id = ack.packet_id.get();
        let connection = &self.connections[&serial];
        let is_answer = |expected: &Expected| expected.says == Says::PubRel && expected.packet_id == packet_id;
        if !connection.expected.iter().any(is_answer) {
            return self.released_again(serial, packet_id);
        }
        let session = connection.session;
        self.acknowledged(serial, Says::PubRel, ack);
        if let Some(copy) = self.in_flight(session, packet_id).filter(|copy| self.copies[*copy].is_received) {
            self.copies[copy].is_released = true;
        }
    }
}
