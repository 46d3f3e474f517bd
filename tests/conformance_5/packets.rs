//! Packets of version 5, byte by byte.

use crate::wire::{packet, string};

/// Identifiers of properties, §2.2.2.2.
pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
pub(crate) const REQUEST_PROBLEM: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const REQUEST_RESPONSE: u8 = 0x19;
pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
pub(crate) const REASON_STRING: u8 = 0x1F;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const MAXIMUM_QOS: u8 = 0x24;
pub(crate) const USER_PROPERTY: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;

/// First bytes of the acknowledgements, §2.1.2.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

/// Subscription options beside the QoS, §3.8.3.1.
pub(crate) const NO_LOCAL: u8 = 0x04;
pub(crate) const AS_PUBLISHED: u8 = 0x08;
pub(crate) const RETAINED_IF_NEW: u8 = 0x10;
pub(crate) const RETAINED_NEVER: u8 = 0x20;

/// A session expiry interval that never passes.
pub(crate) const NEVER: u32 = u32::MAX;

/// A property of one byte.
pub(crate) fn byte(id: u8, value: u8) -> Vec<u8> {
    vec![id, value]
}

/// A property of two bytes.
pub(crate) fn two(id: u8, value: u16) -> Vec<u8> {
    [&[id][..], &value.to_be_bytes()].concat()
}

/// A property of four bytes.
pub(crate) fn four(id: u8, value: u32) -> Vec<u8> {
    [&[id][..], &value.to_be_bytes()].concat()
}

/// A property that is a string or binary data.
pub(crate) fn text(id: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&[id][..], &string(value)].concat()
}

/// A user property.
pub(crate) fn user(name: &str, value: &str) -> Vec<u8> {
    [&[USER_PROPERTY][..], &string(name), &string(value)].concat()
}

/// A subscription identifier.
pub(crate) fn identifier(value: u32) -> Vec<u8> {
    [&[SUBSCRIPTION_IDENTIFIER][..], &variable(value)].concat()
}

/// A variable byte integer, §1.5.5.
pub(crate) fn variable(value: u32) -> Vec<u8> {
    // A packet's remaining length is one.
    let mut rest = value;
    let mut bytes = Vec::new();
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Properties with their length before them.
pub(crate) fn properties(list: &[Vec<u8>]) -> Vec<u8> {
    let all = list.concat();
    [variable(u32::try_from(all.len()).unwrap()), all].concat()
}

/// A CONNECT in the making: clean start, keep alive of 60 s and no property, unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) id: String,
    pub(crate) flags: u8,
    pub(crate) keep_alive_s: u16,
    pub(crate) properties: Vec<Vec<u8>>,
    rest: Vec<u8>,
}

impl Connect {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.into(), flags: 0x02, keep_alive_s: 60, properties: Vec::new(), rest: Vec::new() }
    }

    /// Without clean start.
    pub(crate) fn resume(mut self) -> Self {
        self.flags &= !0x02;
        self
    }

    pub(crate) fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive_s = seconds;
        self
    }

    pub(crate) fn property(mut self, property: Vec<u8>) -> Self {
        self.properties.push(property);
        self
    }

    pub(crate) fn expiry(self, seconds: u32) -> Self {
        self.property(four(SESSION_EXPIRY, seconds))
    }

    /// With a will; `flags` hold its QoS (0x08, 0x10) and retain (0x20).
    pub(crate) fn will(mut self, flags: u8, topic: &str, payload: &str, list: &[Vec<u8>]) -> Self {
        self.flags |= 0x04 | flags;
        self.rest.extend([properties(list), string(topic), string(payload)].concat());
        self
    }

    /// With a user name; after the will.
    pub(crate) fn user(mut self, name: &str) -> Self {
        self.flags |= 0x80;
        self.rest.extend(string(name));
        self
    }

    /// With a password; after the user name.
    pub(crate) fn password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.flags |= 0x40;
        self.rest.extend(string(password));
        self
    }

    /// With connect flags that do not fit what follows, or bytes that do not fit the flags.
    pub(crate) fn wrong(mut self, flags: u8, rest: &[u8]) -> Self {
        self.flags |= flags;
        self.rest.extend(rest);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        connect_raw(&self.header(), &[string(&self.id), self.rest.clone()].concat())
    }

    fn header(&self) -> Vec<u8> {
        let head = [&string("MQTT")[..], &[5, self.flags], &self.keep_alive_s.to_be_bytes()].concat();
        [head, properties(&self.properties)].concat()
    }
}

/// CONNECT from its variable header and its payload.
pub(crate) fn connect_raw(header: &[u8], payload: &[u8]) -> Vec<u8> {
    packet(0x10, &[header, payload].concat())
}

/// A PUBLISH in the making: QoS 0 and no property, unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) flags: u8,
    topic: Vec<u8>,
    id: Option<u16>,
    properties: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

impl Publish {
    pub(crate) fn new(topic: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Self {
        let (topic, payload) = (topic.as_ref().to_vec(), payload.as_ref().to_vec());
        Self { flags: 0, topic, id: None, properties: Vec::new(), payload }
    }

    /// With QoS 1 or 2 and a packet identifier; QoS 0 leaves it as it is.
    pub(crate) fn qos(mut self, qos: u8, id: u16) -> Self {
        self.flags |= qos << 1;
        self.id = (qos > 0).then_some(id);
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.flags |= 0x01;
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.flags |= 0x08;
        self
    }

    pub(crate) fn property(mut self, property: Vec<u8>) -> Self {
        self.properties.push(property);
        self
    }

    pub(crate) fn id(&self) -> Option<u16> {
        self.id
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let id = self.id.map_or(Vec::new(), |id| id.to_be_bytes().to_vec());
        let head = [string(&self.topic), id, properties(&self.properties)].concat();
        packet(0x30 | self.flags, &[head, self.payload.clone()].concat())
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in their shortest form, which means success.
pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with a reason code.
pub(crate) fn ack_code(first: u8, id: u16, code: u8) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()[..], &[code]].concat())
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with a reason code and properties.
pub(crate) fn ack_properties(first: u8, id: u16, code: u8, list: &[Vec<u8>]) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()[..], &[code], &properties(list)].concat())
}

/// SUBSCRIBE with filters and their options.
pub(crate) fn subscribe(id: u16, list: &[Vec<u8>], filters: &[(&str, u8)]) -> Vec<u8> {
    let filters = filters.iter().flat_map(|(filter, options)| [string(filter), vec![*options]].concat());
    packet(0x82, &[id.to_be_bytes().to_vec(), properties(list), filters.collect()].concat())
}

/// UNSUBSCRIBE.
pub(crate) fn unsubscribe(id: u16, list: &[Vec<u8>], filters: &[&str]) -> Vec<u8> {
    let filters = filters.iter().flat_map(string);
    packet(0xA2, &[id.to_be_bytes().to_vec(), properties(list), filters.collect()].concat())
}

/// DISCONNECT with a reason code and properties.
pub(crate) fn disconnect(code: u8, list: &[Vec<u8>]) -> Vec<u8> {
    packet(0xE0, &[vec![code], properties(list)].concat())
}

/// AUTH with a reason code and properties.
pub(crate) fn auth(code: u8, list: &[Vec<u8>]) -> Vec<u8> {
    packet(0xF0, &[vec![code], properties(list)].concat())
}
