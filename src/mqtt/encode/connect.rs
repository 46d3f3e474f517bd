//! CONNECT (section 3.1).

use super::super::packet::{Connect, Password, ProtocolVersion};
use super::super::packet_type::PacketType;
use super::properties::{push_properties, push_will_properties};
use super::{encode_with_body, push_field};

pub(super) fn encode_connect(connect: &Connect, out: &mut Vec<u8>) {
    encode_with_body(PacketType::Connect, out, |out| {
        push_field(name(connect.version), out);
        out.push(level(connect.version));
        out.push(flags(connect));
        out.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
        if connect.version.has_properties() {
            push_properties(PacketType::Connect, &connect.properties, out);
        }
        push_payload(connect, out);
    });
}

/// In this order [MQTT-3.1.3-1].
fn push_payload(connect: &Connect, out: &mut Vec<u8>) {
    push_field(connect.client_id.as_str().as_bytes(), out);
    if let Some(will) = &connect.will {
        if connect.version.has_properties() {
            push_will_properties(will, out);
        }
        push_field(will.topic.as_str().as_bytes(), out);
        push_field(&will.payload, out);
    }
    if let Some(user_name) = &connect.user_name {
        push_field(user_name.as_bytes(), out);
    }
    if let Some(password) = password(connect) {
        push_field(password, out);
    }
}

/// Before version 5 a password goes only with a user name [MQTT-3.1.2-22].
fn password(connect: &Connect) -> Option<&Password> {
    let is_alone = connect.user_name.is_none() && !connect.version.has_properties();
    connect.password.as_ref().filter(|_| !is_alone)
}

const fn name(version: ProtocolVersion) -> &'static [u8] {
    match version {
        ProtocolVersion::V31 => b"MQIsdp",
        ProtocolVersion::V311 | ProtocolVersion::V5 => b"MQTT",
    }
}

const fn level(version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V31 => 3,
        ProtocolVersion::V311 => 4,
        ProtocolVersion::V5 => 5,
    }
}

fn flags(connect: &Connect) -> u8 {
    let user_name = u8::from(connect.user_name.is_some()) << 7;
    let password = u8::from(password(connect).is_some()) << 6;
    let will = connect.will.as_ref().map_or(0, |will| u8::from(will.retain) << 5 | (will.qos as u8) << 3 | 1 << 2);
    user_name | password | will | u8::from(connect.clean_session) << 1
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::packet::{ClientId, QoS, Will};
    use super::super::super::properties::Properties;
    use super::super::super::topic::TopicName;
    use super::*;

    fn check(connect: &Connect, expected: &[u8]) {
        let mut out = Vec::new();
        encode_connect(connect, &mut out);
        assert_eq!(out, expected, "{connect:?}");
    }

    fn connect() -> Connect {
        Connect {
            version: ProtocolVersion::V311,
            clean_session: true,
            keep_alive_s: 60,
            properties: Properties::NONE,
            client_id: ClientId::new("id"),
            will: None,
            user_name: None,
            password: None,
        }
    }

    #[test]
    fn connect_with_the_least() {
        let expected = [
            0x10, // CONNECT
            0x0e, // remaining length
            0x00, 0x04, b'M', b'Q', b'T', b'T', // protocol name
            0x04, // protocol level
            0x02, // clean session
            0x00, 0x3c, // keep alive 60 s
            0x00, 0x02, b'i', b'd', // client identifier
        ];
        check(&connect(), &expected);
    }

    #[test]
    fn connect_with_everything() {
        let topic = TopicName::new("w").unwrap();
        let payload = Bytes::from_static(b"offline");
        let will = Will { qos: QoS::AtLeastOnce, retain: true, ..Will::new(topic, payload) };
        let connect = Connect {
            clean_session: false,
            will: Some(will),
            user_name: Some("u".to_owned()),
            password: Some(Bytes::from_static(&[0x00, 0xff]).into()),
            ..connect()
        };
        let expected = [
            0x10, // CONNECT
            0x21, // remaining length
            0x00, 0x04, b'M', b'Q', b'T', b'T', // protocol name
            0x04, // protocol level
            0xec, // user name, password, will retain, will QoS 1, will
            0x00, 0x3c, // keep alive 60 s
            0x00, 0x02, b'i', b'd', // client identifier
            0x00, 0x01, b'w', // will topic
            0x00, 0x07, b'o', b'f', b'f', b'l', b'i', b'n', b'e', // will message
            0x00, 0x01, b'u', // user name
            0x00, 0x02, 0x00, 0xff, // password
        ];
        check(&connect, &expected);
    }

    #[test]
    fn a_password_without_a_user_name_stays_at_home() {
        let mut without = Vec::new();
        encode_connect(&connect(), &mut without);
        check(&Connect { password: Some(Bytes::from_static(b"p").into()), ..connect() }, &without);
    }

    #[test]
    fn the_level_is_the_versions() {
        let mut out = Vec::new();
        encode_connect(&Connect { version: ProtocolVersion::V5, ..connect() }, &mut out);
        assert_eq!(out.get(8), Some(&5));
    }
}
