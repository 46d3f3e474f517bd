//! A client that speaks in bytes.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::support::{Gateway, PATIENCE};

/// Packet types, MQTT 3.1.1 §2.2.1, in the upper half of the first byte.
pub(crate) const PUBLISH: u8 = 0x30;

/// PINGREQ and its answer, whole packets.
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0x00];
pub(crate) const PINGRESP: [u8; 2] = [0xD0, 0x00];

/// DISCONNECT, a whole packet.
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0x00];

/// CONNECT flags, §3.1.2.3.
pub(crate) const CLEAN_SESSION: u8 = 0x02;
pub(crate) const PERSISTENT: u8 = 0x00;
pub(crate) const WILL: u8 = 0x04;
pub(crate) const WILL_RETAIN: u8 = 0x20;

/// Flags of PUBLISH, §3.3.1.
pub(crate) const DUP: u8 = 0x08;
pub(crate) const QOS1: u8 = 0x02;
pub(crate) const QOS2: u8 = 0x04;
pub(crate) const RETAIN: u8 = 0x01;

/// The gateway publishes below this; these tests look away.
const OWN_TOPICS: &str = "myRasp/";

/// A packet: its first byte, and what follows its remaining length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

/// A PUBLISH taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) id: Option<u16>,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// The packet as a PUBLISH; panics when it is another.
    pub(crate) fn publish(&self) -> Publish {
        assert_eq!(self.first & 0xF0, PUBLISH, "a PUBLISH, not {self:02X?}");
        let (topic, rest) = take_string(&self.body);
        let qos = (self.first >> 1) & 3;
        let (id, payload) = if qos == 0 { (None, rest) } else { (Some(id_of(rest)), &rest[2..]) };
        let (dup, retain) = (self.first & DUP != 0, self.first & RETAIN != 0);
        Publish { dup, qos, retain, topic, id, payload: payload.to_vec() }
    }

    fn is_own(&self) -> bool {
        self.first & 0xF0 == PUBLISH && self.publish().topic.starts_with(OWN_TOPICS)
    }
}

fn take_string(bytes: &[u8]) -> (String, &[u8]) {
    let end = 2 + usize::from(id_of(bytes));
    (String::from_utf8(bytes[2..end].to_vec()).unwrap(), &bytes[end..])
}

fn id_of(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// A string with its length before it, §1.5.3.
pub(crate) fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

/// A packet from its first byte and its body; the remaining length is worked out, §2.2.3.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return [bytes, body.to_vec()].concat();
        }
    }
}

/// CONNECT; `rest` follows the client identifier (will topic, will message, user name, password).
pub(crate) fn connect(id: &str, flags: u8, keep_alive_s: u16, rest: &[u8]) -> Vec<u8> {
    let head = [&string("MQTT")[..], &[4, flags], &keep_alive_s.to_be_bytes()].concat();
    packet(0x10, &[&head[..], &string(id), rest].concat())
}

/// PUBLISH with QoS 0; `flags` may hold [`RETAIN`].
pub(crate) fn publish(flags: u8, topic: &str, payload: &str) -> Vec<u8> {
    packet(PUBLISH | flags, &[&string(topic)[..], payload.as_bytes()].concat())
}

/// PUBLISH with a packet id; `flags` holds [`QOS1`] or [`QOS2`].
pub(crate) fn publish_id(flags: u8, topic: &str, id: u16, payload: &str) -> Vec<u8> {
    packet(PUBLISH | flags, &[&string(topic)[..], &id.to_be_bytes(), payload.as_bytes()].concat())
}

/// PUBACK (0x40), PUBREC (0x50), PUBREL (0x62), PUBCOMP (0x70) or UNSUBACK (0xB0).
pub(crate) fn acknowledge(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// SUBSCRIBE with one packet id and any number of filters.
pub(crate) fn subscribe(id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    for (filter, qos) in filters {
        body.extend(string(filter));
        body.push(*qos);
    }
    packet(0x82, &body)
}

/// UNSUBSCRIBE of one filter.
pub(crate) fn unsubscribe(id: u16, filter: &str) -> Vec<u8> {
    packet(0xA2, &[&id.to_be_bytes()[..], &string(filter)].concat())
}

/// A connection.
pub(crate) struct Raw {
    stream: TcpStream,
    bytes: Vec<u8>,
    packets: VecDeque<Packet>,
}

impl Raw {
    /// Opens a connection and says nothing.
    pub(crate) fn open(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(gateway.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, bytes: Vec::new(), packets: VecDeque::new() }
    }

    /// Connects with a clean session.
    pub(crate) fn connect(gateway: &Gateway, id: &str) -> Self {
        let (raw, present) = Self::connect_with(gateway, &connect(id, CLEAN_SESSION, 60, &[]));
        assert!(!present, "[MQTT-3.2.2-1]: a clean session is never present");
        raw
    }

    /// Connects with a persistent session, and says whether it was there.
    pub(crate) fn resume(gateway: &Gateway, id: &str) -> (Self, bool) {
        Self::connect_with(gateway, &connect(id, PERSISTENT, 60, &[]))
    }

    /// Connects with a clean session and a will of QoS 0 on topic `will/ID`; `flags` are added.
    pub(crate) fn connect_with_will(gateway: &Gateway, id: &str, flags: u8, keep_alive_s: u16) -> Self {
        let will = [string(format!("will/{id}")), string("gone")].concat();
        let connect = connect(id, CLEAN_SESSION | WILL | flags, keep_alive_s, &will);
        Self::connect_with(gateway, &connect).0
    }

    /// Sends `connect` and expects to be accepted; says whether the session was there.
    pub(crate) fn connect_with(gateway: &Gateway, connect: &[u8]) -> (Self, bool) {
        let mut raw = Self::open(gateway);
        raw.send(connect);
        let connack = raw.expect_packet();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "accepted, not {connack:02X?}");
        (raw, connack.body[0] == 1)
    }

    /// Sends bytes. That the other side has closed shows when reading, so it is no failure here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next packet; panics when the connection ends or nothing comes.
    pub(crate) fn expect_packet(&mut self) -> Packet {
        self.next_packet().expect("a packet, not the end of the connection")
    }

    /// The next packet, which must be a PUBLISH.
    pub(crate) fn expect_publish(&mut self) -> Publish {
        self.expect_packet().publish()
    }

    /// The next packet must consist of exactly these bytes.
    pub(crate) fn expect_bytes(&mut self, bytes: &[u8]) {
        let next = self.expect_packet();
        assert_eq!(packet(next.first, &next.body), bytes, "{next:02X?}");
    }

    /// Reads to the end of the connection and gives what came before it.
    pub(crate) fn expect_closed(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.next_packet()).collect()
    }

    /// Nothing has been sent to this client that it has not yet seen: the answer to a ping comes next.
    pub(crate) fn expect_nothing_more(&mut self) {
        self.send(&PINGREQ);
        self.expect_bytes(&PINGRESP);
    }

    /// Subscribes and expects the QoS to be granted. Messages that come before the answer are kept.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&subscribe(0x5B, &[(filter, qos)]));
        let mut before = VecDeque::new();
        loop {
            let next = self.expect_packet();
            if next.first == 0x90 {
                assert_eq!(next.body, [0x00, 0x5B, qos], "SUBACK for {filter}");
                break;
            }
            before.push_back(next);
        }
        before.append(&mut self.packets);
        self.packets = before;
    }

    /// Publishes with QoS 1 and waits for the acknowledgement.
    pub(crate) fn publish_acknowledged(&mut self, flags: u8, topic: &str, payload: &str) {
        self.send(&publish_id(QOS1 | flags, topic, 0x7A, payload));
        self.expect_bytes(&[0x40, 0x02, 0x00, 0x7A]);
    }

    /// Ends the connection as a program does that is killed: FIN, no DISCONNECT.
    pub(crate) fn cut(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Takes leave, and waits until the other side has closed: what it then does about the session is done.
    pub(crate) fn disconnect(mut self) {
        self.send(&DISCONNECT);
        self.expect_closed();
    }

    fn next_packet(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return Some(packet);
            }
            match self.take_packet() {
                Some(packet) if packet.is_own() => {}
                Some(packet) => return Some(packet),
                None => self.read_more()?,
            }
        }
    }

    /// A whole packet out of what has been read.
    fn take_packet(&mut self) -> Option<Packet> {
        let (mut length, mut shift) = (0_usize, 0);
        for (index, byte) in self.bytes.iter().enumerate().skip(1) {
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let end = index + 1 + length;
                let body = self.bytes.get(index + 1..end)?.to_vec();
                let first = self.bytes[0];
                self.bytes.drain(..end);
                return Some(Packet { first, body });
            }
        }
        None
    }

    /// Reads what there is; `None` at the end of the connection.
    fn read_more(&mut self) -> Option<()> {
        let mut chunk = vec![0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                self.bytes.extend(&chunk[..length]);
                Some(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("neither a packet nor the end within {PATIENCE:?}: {error}"),
        }
    }
}
