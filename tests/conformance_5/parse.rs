//! Packets of version 5 that a server sends, taken apart. What breaks their form ends the test.

use crate::packets::{SUBSCRIPTION_IDENTIFIER, USER_PROPERTY, text};
use crate::wire::{Packet, packet};

/// Properties, each with its identifier before its bytes, as `packets` writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties(pub(crate) Vec<Vec<u8>>);

impl Properties {
    /// The bytes of the property without its identifier; panics when it comes twice.
    pub(crate) fn value(&self, id: u8) -> Option<&[u8]> {
        let mut found = self.0.iter().filter(|property| property[0] == id);
        let first = found.next();
        assert_eq!(found.next(), None, "property {id:#04X} twice: {self:02X?}");
        first.map(|property| &property[1..])
    }

    /// A property of one, two or four bytes.
    pub(crate) fn number(&self, id: u8) -> Option<u32> {
        self.value(id).map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A property that is a string.
    pub(crate) fn text(&self, id: u8) -> Option<String> {
        self.value(id).map(|bytes| String::from_utf8(bytes[2..].to_vec()).unwrap())
    }

    /// The user properties in their order.
    pub(crate) fn users(&self) -> Vec<Vec<u8>> {
        self.0.iter().filter(|property| property[0] == USER_PROPERTY).cloned().collect()
    }

    /// The subscription identifiers, smallest first.
    pub(crate) fn identifiers(&self) -> Vec<u32> {
        let found = self.0.iter().filter(|property| property[0] == SUBSCRIPTION_IDENTIFIER);
        let mut numbers: Vec<_> = found.map(|property| take_variable(&property[1..]).0).collect();
        numbers.sort_unstable();
        numbers
    }

    /// All of them by their identifiers; the order of those with one identifier is kept.
    pub(crate) fn sorted(&self) -> Vec<Vec<u8>> {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|property| property[0]);
        sorted
    }

    /// Whether it tells more than the reason code does.
    pub(crate) fn has_problem_information(&self) -> bool {
        self.0.iter().any(|property| [crate::packets::REASON_STRING, USER_PROPERTY].contains(&property[0]))
    }

    fn take(bytes: &[u8]) -> (Self, &[u8]) {
        let (length, bytes) = take_variable(bytes);
        let (mut inside, rest) = bytes.split_at(usize::try_from(length).unwrap());
        let mut list = Vec::new();
        while !inside.is_empty() {
            let (property, after) = inside.split_at(1 + value_length(inside[0], &inside[1..]));
            list.push(property.to_vec());
            inside = after;
        }
        (Self(list), rest)
    }
}

/// The length of a property's value, Table 2-4.
fn value_length(id: u8, value: &[u8]) -> usize {
    let string = |at: usize| at + 2 + usize::from(u16::from_be_bytes([value[at], value[at + 1]]));
    match id {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => 1,
        0x13 | 0x21 | 0x22 | 0x23 => 2,
        0x02 | 0x11 | 0x18 | 0x27 => 4,
        0x0B => value.len() - take_variable(value).1.len(),
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => string(0),
        0x26 => string(string(0)),
        _ => panic!("no such property: {id:#04X}"),
    }
}

fn take_variable(bytes: &[u8]) -> (u32, &[u8]) {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            assert!(index == 0 || *byte != 0, "[MQTT-1.5.5-1]: not the shortest form: {bytes:02X?}");
            return (value, &bytes[index + 1..]);
        }
    }
    panic!("a variable byte integer without an end: {bytes:02X?}");
}

fn two(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// A CONNACK.
#[derive(Clone, Debug)]
pub(crate) struct Connack {
    pub(crate) is_present: bool,
    pub(crate) code: u8,
    pub(crate) properties: Properties,
}

/// A PUBLISH.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) id: Option<u16>,
    pub(crate) properties: Properties,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    /// The payload as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP; SUBACK and UNSUBACK with their `codes`; DISCONNECT without an id.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) code: u8,
    pub(crate) codes: Vec<u8>,
    pub(crate) properties: Properties,
}

impl Packet {
    /// As CONNACK, §3.2.
    pub(crate) fn connack(&self) -> Connack {
        assert_eq!(self.first, 0x20, "a CONNACK, not {self:02X?}");
        assert_eq!(self.body[0] & !1, 0, "[MQTT-3.2.2-1]");
        let (properties, rest) = Properties::take(&self.body[2..]);
        assert!(rest.is_empty(), "{self:02X?}");
        Connack { is_present: self.body[0] == 1, code: self.body[1], properties }
    }

    /// As PUBLISH, §3.3.
    pub(crate) fn message(&self) -> Message {
        assert_eq!(self.first & 0xF0, 0x30, "a PUBLISH, not {self:02X?}");
        let (dup, qos, retain) = (self.first & 8 != 0, self.first >> 1 & 3, self.first & 1 != 0);
        let (topic, rest) = self.body[2..].split_at(usize::from(two(&self.body)));
        let (id, rest) = if qos == 0 { (None, rest) } else { (Some(two(rest)), &rest[2..]) };
        assert!(id != Some(0), "[MQTT-2.2.1-4]");
        assert!(qos > 0 || !dup, "[MQTT-3.3.1-2], [MQTT-4.3.1-1]");
        let (properties, payload) = Properties::take(rest);
        let topic = String::from_utf8(topic.to_vec()).unwrap();
        Message { dup, qos, retain, topic, id, properties, payload: payload.to_vec() }
    }

    /// As the acknowledgement that begins with `first`, §3.4 to §3.7.
    pub(crate) fn ack(&self, first: u8) -> Answer {
        assert_eq!(self.first, first, "{self:02X?}");
        let (code, rest) = self.body[2..].split_first().map_or((0, &[][..]), |(code, rest)| (*code, rest));
        Answer { id: two(&self.body), code, codes: Vec::new(), properties: optional(rest) }
    }

    /// As SUBACK (0x90) or UNSUBACK (0xB0), §3.9 and §3.11.
    pub(crate) fn codes(&self, first: u8) -> Answer {
        assert_eq!(self.first, first, "{self:02X?}");
        let (properties, codes) = Properties::take(&self.body[2..]);
        Answer { id: two(&self.body), code: 0, codes: codes.to_vec(), properties }
    }

    /// As DISCONNECT, §3.14; the gateway never gives more than the properties that a server may send.
    pub(crate) fn disconnect(&self) -> Answer {
        assert_eq!(self.first, 0xE0, "a DISCONNECT, not {self:02X?}");
        let (code, rest) = self.body.split_first().map_or((0, &[][..]), |(code, rest)| (*code, rest));
        let properties = optional(rest);
        assert_eq!(properties.value(crate::packets::SESSION_EXPIRY), None, "[MQTT-3.14.2-2]");
        Answer { id: 0, code, codes: Vec::new(), properties }
    }

    /// Its length on the wire.
    pub(crate) fn length(&self) -> usize {
        packet(self.first, &self.body).len()
    }
}

/// Properties that may be left out together with their length.
fn optional(bytes: &[u8]) -> Properties {
    if bytes.is_empty() {
        return Properties(Vec::new());
    }
    let (properties, rest) = Properties::take(bytes);
    assert!(rest.is_empty(), "bytes after the properties: {rest:02X?}");
    properties
}

#[test]
fn properties_are_taken_apart_as_they_were_written() {
    let list = [text(0x03, "été"), crate::packets::identifier(300), crate::packets::user("a", "b")];
    let bytes = crate::packets::properties(&list);
    let (taken, rest) = Properties::take(&bytes);
    assert_eq!((taken.0, rest), (list.to_vec(), &[][..]));
    assert_eq!(Properties(list.to_vec()).identifiers(), [300]);
}
