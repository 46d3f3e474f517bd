//! A client of version 5 that speaks in bytes.

use std::collections::VecDeque;

use crate::packets::{
    Connect, NEVER, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, ack, disconnect, subscribe, unsubscribe,
};
use crate::parse::{Answer, Connack, Message};
use crate::support::Gateway;
use crate::wire::{DISCONNECT, PINGREQ, PINGRESP, Packet, Raw};

/// What mosquitto 2.0.11 takes although the standard calls it malformed or a protocol error: flags of packets that
/// have none (§2.1.3), packets that only a server sends (§2.1.2; it is a client of other brokers as well), payload
/// formats beyond 1 (§3.3.2.3.2), wildcards in a response topic [MQTT-3.3.2-14], subscription identifiers from a client
/// [MQTT-3.3.4-6], authentication data without a method (§3.1.2.11.10), no local on a shared subscription
/// [MQTT-3.8.3-4].
const PASSED_OVER: &[&str] = &[
    "PUBACK with flags",
    "PUBREC with flags",
    "PUBCOMP with flags",
    "PINGREQ with flags",
    "PINGREQ with a body",
    "SUBACK",
    "UNSUBACK",
    "PINGRESP",
    "payload format",
    "response topic",
    "identifier of a client",
    "data without a method",
    "no local and shared",
];

/// Whether it is mosquitto that is tested, and `what` is something that it takes wrongly.
fn is_passed_over(gateway: &Gateway, what: &str) -> bool {
    gateway.is_stand_in() && PASSED_OVER.contains(&what)
}

/// A connection that was accepted.
pub(crate) struct Client {
    raw: Raw,
    kept: VecDeque<Packet>,
    pub(crate) connack: Connack,
    is_stand_in: bool,
}

impl Client {
    /// Connects with a clean start and a session that ends with the connection.
    pub(crate) fn connect(gateway: &Gateway, id: &str) -> Self {
        Self::with(gateway, &Connect::new(id))
    }

    /// Connects without a clean start and with a session that does not expire.
    pub(crate) fn resume(gateway: &Gateway, id: &str) -> Self {
        Self::with(gateway, &Connect::new(id).resume().expiry(NEVER))
    }

    /// Connects and expects to be accepted.
    pub(crate) fn with(gateway: &Gateway, connect: &Connect) -> Self {
        let mut raw = Raw::open(gateway);
        raw.send(&connect.bytes());
        let connack = raw.expect_packet().connack();
        assert_eq!(connack.code, 0, "[MQTT-3.1.4-5]: {connack:02X?}");
        Self { raw, kept: VecDeque::new(), connack, is_stand_in: gateway.is_stand_in() }
    }

    /// Whether the session was there.
    pub(crate) fn is_present(&self) -> bool {
        self.connack.is_present
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.raw.send(bytes);
    }

    pub(crate) fn expect_packet(&mut self) -> Packet {
        self.kept.pop_front().unwrap_or_else(|| self.raw.expect_packet())
    }

    /// The next packet, which must be a PUBLISH.
    pub(crate) fn expect_message(&mut self) -> Message {
        self.expect_packet().message()
    }

    /// The texts of the next messages, which are acknowledged to their end.
    pub(crate) fn expect_texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.expect_finished().text()).collect()
    }

    /// The next packet must be a PUBLISH, which is acknowledged to its end.
    pub(crate) fn expect_finished(&mut self) -> Message {
        let message = self.expect_message();
        self.finish(&message);
        message
    }

    /// Acknowledges a message of any QoS to its end.
    pub(crate) fn finish(&mut self, message: &Message) {
        match (message.qos, message.id) {
            (1, Some(id)) => self.send(&ack(PUBACK, id)),
            (2, Some(id)) => {
                self.send(&ack(PUBREC, id));
                assert_eq!(self.answer(PUBREL).ack(PUBREL).id, id, "[MQTT-4.3.3-4]");
                self.send(&ack(PUBCOMP, id));
            }
            _ => {}
        }
    }

    /// The next packet must be the acknowledgement that begins with `first`, of `id`.
    pub(crate) fn expect_ack(&mut self, first: u8, id: u16) -> Answer {
        let answer = self.expect_packet().ack(first);
        assert_eq!(answer.id, id, "[MQTT-2.2.1-5]");
        answer
    }

    /// Nothing was sent to this client that it has not yet seen: the answer to a ping comes next.
    pub(crate) fn expect_nothing_more(&mut self) {
        self.send(&PINGREQ);
        let next = self.expect_packet();
        assert_eq!((next.first, next.body.len()), (PINGRESP[0], 0), "nothing more, not {next:02X?}");
    }

    /// Subscribes with the given options and expects the QoS to be granted.
    pub(crate) fn subscribe(&mut self, filter: &str, options: u8) {
        assert_eq!(self.subscribe_all(&[], &[(filter, options)]), [options & 3], "SUBACK for {filter}");
    }

    /// Subscribes with a subscription identifier.
    pub(crate) fn subscribe_as(&mut self, number: u32, filter: &str, options: u8) {
        let list = [crate::packets::identifier(number)];
        assert_eq!(self.subscribe_all(&list, &[(filter, options)]), [options & 3], "SUBACK for {filter}");
    }

    /// Subscribes and gives the codes. Messages that come before the answer are kept.
    pub(crate) fn subscribe_all(&mut self, list: &[Vec<u8>], filters: &[(&str, u8)]) -> Vec<u8> {
        self.send(&subscribe(0x5B, list, filters));
        let answer = self.answer(0x90).codes(0x90);
        assert_eq!((answer.id, answer.codes.len()), (0x5B, filters.len()), "[MQTT-3.8.4-2], [MQTT-3.8.4-6]");
        answer.codes
    }

    /// Unsubscribes and gives the codes. Messages that come before the answer are kept.
    pub(crate) fn unsubscribe_all(&mut self, filters: &[&str]) -> Vec<u8> {
        self.send(&unsubscribe(0x5C, &[], filters));
        let answer = self.answer(0xB0).codes(0xB0);
        assert_eq!((answer.id, answer.codes.len()), (0x5C, filters.len()), "[MQTT-3.10.4-5]");
        answer.codes
    }

    /// The next packet that begins with `first`; what comes before it is kept for later.
    fn answer(&mut self, first: u8) -> Packet {
        let mut before = VecDeque::new();
        loop {
            let next = self.expect_packet();
            if next.first == first {
                before.append(&mut self.kept);
                self.kept = before;
                return next;
            }
            before.push_back(next);
        }
    }

    /// Publishes to the end, and gives the code of PUBACK or PUBREC. Messages that come in between are kept.
    pub(crate) fn publish(&mut self, publish: &Publish) -> u8 {
        self.send(&publish.bytes());
        let Some(id) = publish.id() else { return 0 };
        let first = if publish.flags & 0x06 == 0x02 { PUBACK } else { PUBREC };
        let answer = self.answer(first).ack(first);
        assert_eq!(answer.id, id, "[MQTT-2.2.1-5]");
        if first == PUBREC && answer.code < 0x80 {
            self.send(&ack(PUBREL, id));
            assert_eq!(self.answer(PUBCOMP).ack(PUBCOMP).id, id, "[MQTT-4.3.3-11]");
        }
        answer.code
    }

    /// Publishes with QoS 1 and waits for the acknowledgement.
    pub(crate) fn say(&mut self, topic: &str, payload: &str) {
        let code = self.publish(&Publish::new(topic, payload).qos(1, 0x7A));
        assert!(matches!(code, 0x00 | 0x10), "PUBACK {code:#04X}");
    }

    /// A DISCONNECT with one of `codes` comes next, and then the end of the connection. mosquitto may close without a
    /// word, or tell its own reason, as the standard lets it.
    pub(crate) fn expect_ended(&mut self, what: &str, codes: &[u8]) {
        let mut packets: VecDeque<_> = self.kept.drain(..).chain(self.raw.expect_closed()).collect();
        let first = packets.pop_front();
        if let Some(code) = first.as_ref().map(|packet| packet.disconnect().code) {
            assert!(code >= 0x80, "{what}: {code:#04X}");
            assert!(self.is_stand_in || codes.contains(&code), "{what}: {code:#04X}, not {codes:02X?}");
        }
        assert!(self.is_stand_in || first.is_some(), "{what}: closed without a reason");
        assert_eq!(packets, [], "[MQTT-3.14.4-1]: nothing after DISCONNECT, {what}");
    }

    /// Another took over: a DISCONNECT says so, and then the connection ends. mosquitto 2.0.11 closes before its
    /// DISCONNECT is out.
    pub(crate) fn expect_taken_over(&mut self) {
        if !self.is_stand_in {
            return self.expect_disconnect(0x8E);
        }
        assert!(self.raw.expect_closed().len() <= 1);
    }

    /// A DISCONNECT with this very code comes next, and then the end of the connection.
    pub(crate) fn expect_disconnect(&mut self, code: u8) {
        assert_eq!(self.expect_packet().disconnect().code, code);
        assert_eq!(self.raw.expect_closed(), [], "[MQTT-3.14.4-1], [MQTT-3.14.4-2]");
    }

    /// What still comes before the end of the connection.
    pub(crate) fn into_closed(mut self) -> Vec<Packet> {
        self.kept.into_iter().chain(self.raw.expect_closed()).collect()
    }

    /// Takes leave with code 0 and waits for the end.
    pub(crate) fn leave(self) {
        self.leave_with(0, &[]);
    }

    /// Takes leave and waits until the other side has closed: what it then does about the session is done.
    pub(crate) fn leave_with(mut self, code: u8, list: &[Vec<u8>]) {
        self.send(&disconnect(code, list));
        assert_eq!(self.raw.expect_closed(), [], "a DISCONNECT is not answered");
    }

    /// Ends the connection as a program does that is killed.
    pub(crate) fn cut(self) {
        self.raw.cut();
    }
}

/// A CONNECT that must be refused: with one of `codes`, without a session, and closed. mosquitto may close without a
/// word, as the standard lets it.
pub(crate) fn check_refused(gateway: &Gateway, what: &str, bytes: &[u8], codes: &[u8]) {
    if is_passed_over(gateway, what) {
        return;
    }
    let mut raw = Raw::open(gateway);
    raw.send(bytes);
    if gateway.is_stand_in() {
        raw.send(&DISCONNECT);
    }
    let packets = raw.expect_closed();
    let Some(first) = packets.first() else {
        return assert!(gateway.is_stand_in(), "{what}: closed without a reason");
    };
    let connack = first.connack();
    assert!(!connack.is_present, "[MQTT-3.2.2-6]");
    assert!(connack.code >= 0x80, "{what}: {:#04X}", connack.code);
    let is_expected = gateway.is_stand_in() || codes.contains(&connack.code);
    assert!(is_expected, "{what}: {:#04X}, not {codes:02X?}", connack.code);
    assert_eq!(packets.len(), 1, "[MQTT-3.14.0-1]: nothing after a refusal, {what}");
}

/// Whatever is sent after a CONNECT that is accepted must be answered with one of `codes` and the end.
pub(crate) fn check_ended(gateway: &Gateway, what: &str, bytes: &[u8], codes: &[u8]) {
    if is_passed_over(gateway, what) {
        return;
    }
    let mut client = Client::connect(gateway, "offender");
    client.send(bytes);
    if gateway.is_stand_in() {
        // So that a broker that goes on shows it at once.
        client.send(&[PINGREQ, DISCONNECT].concat());
    }
    client.expect_ended(what, codes);
}
