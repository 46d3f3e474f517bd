//! Version 5 byte by byte: what is written is what is read.

mod publish;

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::*;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn connect() -> Connect {
    Connect {
        version: ProtocolVersion::V5,
        clean_session: false,
        keep_alive_s: 60,
        properties: Properties::NONE,
        client_id: ClientId::new(""),
        will: None,
        user_name: None,
        password: None,
    }
}

fn check_decodes(bytes: &[u8], packet: &Packet<'_>) {
    let decoded = decode(bytes, ProtocolVersion::V5, usize::MAX);
    assert_eq!(decoded, Ok(Decoded::Packet { packet: packet.clone(), length: bytes.len() }), "{bytes:02x?}");
}

/// `bytes` are `packet`, and it is written so.
fn check(bytes: &[u8], packet: &Packet<'_>) {
    check_decodes(bytes, packet);
    let mut out = Vec::new();
    encode(packet, ProtocolVersion::V5, &mut out);
    assert_eq!(out, bytes, "{packet:?}");
    let mut framed = Vec::new();
    Frame::of(packet, ProtocolVersion::V5).append_to(&mut framed);
    assert_eq!(framed, bytes, "{packet:?}");
}

#[test]
fn connect_without_a_name_or_properties() {
    let bytes = [
        0x10, 0x0d, // CONNECT, remaining length
        0x00, 0x04, b'M', b'Q', b'T', b'T', 0x05, // protocol name and version
        0x00, // no flags: a session is taken up
        0x00, 0x3c, // keep alive 60 s
        0x00, // no properties
        0x00, 0x00, // client identifier, empty
    ];
    check(&bytes, &Packet::Connect(connect()));
    // also on a connection whose version is not known yet
    let decoded = decode(&bytes, ProtocolVersion::V311, usize::MAX);
    assert_eq!(decoded, Ok(Decoded::Packet { packet: Packet::Connect(connect()), length: 15 }));
}

#[test]
fn connect_with_every_property() {
    let bytes = [
        0x10, 0x3c, // CONNECT, remaining length
        0x00, 0x04, b'M', b'Q', b'T', b'T', 0x05, // protocol name and version
        0x42, // a password without a user name, clean start
        0x00, 0x3c, // keep alive 60 s
        0x28, // properties of 40 bytes
        0x11, 0x00, 0x00, 0x0e, 0x10, // session expiry interval 3600 s
        0x21, 0x00, 0x14, // receive maximum 20
        0x27, 0x00, 0x01, 0x00, 0x00, // maximum packet size 65 536
        0x22, 0x00, 0x0a, // topic alias maximum 10
        0x19, 0x01, // request response information
        0x17, 0x00, // no problem information
        0x15, 0x00, 0x01, b'm', // authentication method
        0x16, 0x00, 0x02, 0x00, 0xff, // authentication data
        0x26, 0x00, 0x01, b'k', 0x00, 0x05, b'v', b'a', b'l', b'u', b'e', // user property
        0x00, 0x02, b'i', b'd', // client identifier
        0x00, 0x03, 0x00, 0x01, 0x02, // password
    ];
    let fields = PropertyFields {
        session_expiry_interval_s: Some(3600),
        receive_maximum: NonZeroU16::new(20),
        maximum_packet_size: NonZeroU32::new(65_536),
        topic_alias_maximum: Some(10),
        request_response_information: Some(true),
        request_problem_information: Some(false),
        authentication_method: Some("m".to_owned()),
        authentication_data: Some(Bytes::from_static(&[0x00, 0xff])),
        user_properties: vec![("k".to_owned(), "value".to_owned())],
        ..PropertyFields::default()
    };
    let connect = Connect {
        clean_session: true,
        properties: Properties::new(fields),
        client_id: ClientId::new("id"),
        password: Some(Bytes::from_static(&[0, 1, 2]).into()),
        ..connect()
    };
    check(&bytes, &Packet::Connect(connect));
}

#[test]
fn connect_with_a_will_and_its_properties() {
    let bytes = [
        0x10, 0x2b, // CONNECT, remaining length
        0x00, 0x04, b'M', b'Q', b'T', b'T', 0x05, // protocol name and version
        0x0e, // will QoS 1, will, clean start
        0x00, 0x3c, // keep alive 60 s
        0x00, // no properties
        0x00, 0x01, b'i', // client identifier
        0x16, // will properties of 22 bytes
        0x18, 0x00, 0x00, 0x00, 0x05, // will delay interval 5 s
        0x02, 0x00, 0x00, 0x00, 0x3c, // message expiry interval 60 s
        0x01, 0x01, // the payload is UTF-8
        0x08, 0x00, 0x01, b'r', // response topic
        0x09, 0x00, 0x03, 0x01, 0x02, 0x03, // correlation data
        0x00, 0x01, b'w', // will topic
        0x00, 0x01, b'x', // will message
    ];
    let fields = MessageFields {
        payload_is_utf8: Some(true),
        response_topic: Some("r"),
        correlation_data: Some(&[1, 2, 3]),
        ..MessageFields::default()
    };
    let will = Will {
        qos: QoS::AtLeastOnce,
        delay_interval_s: 5,
        message_expiry_interval_s: Some(60),
        properties: MessageProperties::new(&fields),
        ..Will::new(TopicName::new("w").unwrap(), Bytes::from_static(b"x"))
    };
    let connect = Connect { clean_session: true, client_id: ClientId::new("i"), will: Some(will), ..connect() };
    check(&bytes, &Packet::Connect(connect));
}

#[test]
fn connack_with_every_property() {
    let bytes = [
        0x20, 0x41, // CONNACK, remaining length
        0x01, 0x00, // session present, success
        0x3e, // properties of 62 bytes
        0x11, 0xff, 0xff, 0xff, 0xff, // session expiry interval: never
        0x21, 0x01, 0x00, // receive maximum 256
        0x27, 0x00, 0x10, 0x00, 0x00, // maximum packet size 1 MiB
        0x22, 0x00, 0x10, // topic alias maximum 16
        0x15, 0x00, 0x01, b'm', // authentication method
        0x16, 0x00, 0x01, 0x07, // authentication data
        0x24, 0x01, // maximum QoS 1
        0x25, 0x00, // nothing is retained
        0x12, 0x00, 0x03, b'a', b'-', b'1', // assigned client identifier
        0x1a, 0x00, 0x01, b'i', // response information
        0x28, 0x01, // wildcard subscriptions
        0x29, 0x01, // subscription identifiers
        0x2a, 0x00, // no shared subscriptions
        0x13, 0x00, 0x1e, // server keep alive 30 s
        0x1c, 0x00, 0x01, b's', // server reference
        0x1f, 0x00, 0x01, b'r', // reason string
        0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'v', // user property
    ];
    let text = |text: &str| Some(text.to_owned());
    let fields = PropertyFields {
        session_expiry_interval_s: Some(u32::MAX),
        receive_maximum: NonZeroU16::new(256),
        maximum_packet_size: NonZeroU32::new(1 << 20),
        topic_alias_maximum: Some(16),
        authentication_method: text("m"),
        authentication_data: Some(Bytes::from_static(&[7])),
        maximum_qos_is_1: Some(true),
        retain_available: Some(false),
        assigned_client_identifier: text("a-1"),
        response_information: text("i"),
        wildcard_subscription_available: Some(true),
        subscription_identifier_available: Some(true),
        shared_subscription_available: Some(false),
        server_keep_alive_s: Some(30),
        server_reference: text("s"),
        reason_string: text("r"),
        user_properties: vec![("k".to_owned(), "v".to_owned())],
        ..PropertyFields::default()
    };
    let properties = Properties::new(fields);
    check(&bytes, &Packet::ConnAck(ConnAck { properties, ..ConnAck::new(true, ReasonCode::Success) }));
}

#[test]
fn connack_that_refuses() {
    // CONNACK, remaining length, no session, bad authentication method, no properties
    let connack = ConnAck::new(false, ReasonCode::BadAuthenticationMethod);
    check(&[0x20, 0x03, 0x00, 0x8c, 0x00], &Packet::ConnAck(connack));
    let mut out = Vec::new();
    encode(&Packet::ConnAck(ConnAck::new(true, ReasonCode::Banned)), ProtocolVersion::V5, &mut out);
    assert_eq!(out, [0x20, 0x03, 0x00, 0x8a, 0x00]);
}

#[test]
fn acknowledgements_are_as_short_as_what_they_say() {
    type Make = fn(Acknowledgement) -> Packet<'static>;
    let kinds: [(u8, Make); 4] =
        [(0x40, Packet::PubAck), (0x50, Packet::PubRec), (0x62, Packet::PubRel), (0x70, Packet::PubComp)];
    for (first, make) in kinds {
        let is_question = first < 0x60;
        let (code, reason) =
            if is_question { (0x97, ReasonCode::QuotaExceeded) } else { (0x92, ReasonCode::PacketIdentifierNotFound) };
        // type and reserved flags, remaining length, packet identifier
        check(&[first, 0x02, 0x12, 0x34], &make(Acknowledgement::success(id(0x1234))));
        // and a reason code
        check(&[first, 0x03, 0x12, 0x34, code], &make(Acknowledgement::new(id(0x1234), reason)));
        // and properties of 4 bytes: reason string
        let acknowledgement =
            Acknowledgement { properties: Properties::reason_string("r"), ..Acknowledgement::new(id(0x1234), reason) };
        check(&[first, 0x08, 0x12, 0x34, code, 0x04, 0x1f, 0x00, 0x01, b'r'], &make(acknowledgement));
        // success and an empty list may be said at length too
        check_decodes(&[first, 0x03, 0x12, 0x34, 0x00], &make(Acknowledgement::success(id(0x1234))));
        check_decodes(&[first, 0x04, 0x12, 0x34, 0x00, 0x00], &make(Acknowledgement::success(id(0x1234))));
    }
}

#[test]
fn subscribe_with_its_options_and_identifier() {
    let bytes = [
        0x82, 0x0a, // SUBSCRIBE, remaining length
        0x00, 0x0a, // packet identifier
        0x03, // properties of 3 bytes
        0x0b, 0x80, 0x01, // subscription identifier 128
        0x00, 0x01, b'a', 0x2e, // filter a: retain handling 2, retain as published, no local, QoS 2
    ];
    let subscription = Subscription {
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        ..Subscription::new(filter("a"), QoS::ExactlyOnce)
    };
    let fields = PropertyFields { subscription_identifier: SubscriptionId::new(128), ..PropertyFields::default() };
    let subscribe = Subscribe { properties: Properties::new(fields), ..Subscribe::new(id(10), vec![subscription]) };
    check(&bytes, &Packet::Subscribe(subscribe));
}

#[test]
fn suback_and_unsuback_list_reasons() {
    let codes = vec![
        ReasonCode::GRANTED_QOS_0,
        ReasonCode::GrantedQoS2,
        ReasonCode::NotAuthorized,
        ReasonCode::WildcardSubscriptionsNotSupported,
    ];
    // SUBACK, remaining length, packet identifier, no properties, reasons
    let bytes = [0x90, 0x07, 0x00, 0x0a, 0x00, 0x00, 0x02, 0x87, 0xa2];
    check(&bytes, &Packet::SubAck(SubAck::new(id(10), codes)));
    let codes = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    // UNSUBACK, remaining length, packet identifier, properties of 4 bytes: reason string; reasons
    let bytes = [0xb0, 0x09, 0x00, 0x0a, 0x04, 0x1f, 0x00, 0x01, b'r', 0x00, 0x11];
    let unsuback = UnsubAck { properties: Properties::reason_string("r"), ..UnsubAck::new(id(10), codes) };
    check(&bytes, &Packet::UnsubAck(unsuback));
}

#[test]
fn unsubscribe_has_properties_too() {
    let bytes = [
        0xa2, 0x0d, // UNSUBSCRIBE, remaining length
        0x00, 0x0b, // packet identifier
        0x07, 0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'v', // user property
        0x00, 0x01, b'#', // filter
    ];
    let fields =
        PropertyFields { user_properties: vec![("k".to_owned(), "v".to_owned())], ..PropertyFields::default() };
    let unsubscribe =
        Unsubscribe { properties: Properties::new(fields), ..Unsubscribe::new(id(11), vec![filter("#")]) };
    check(&bytes, &Packet::Unsubscribe(unsubscribe));
}

#[test]
fn disconnect_and_auth_are_as_short_as_what_they_say() {
    check(&[0xe0, 0x00], &Packet::Disconnect(Disconnect::NORMAL));
    let with_will = Disconnect::new(ReasonCode::DisconnectWithWillMessage);
    check(&[0xe0, 0x01, 0x04], &Packet::Disconnect(with_will));
    // DISCONNECT, remaining length, reason 0, properties of 5 bytes: session expiry interval 1 s
    let fields = PropertyFields { session_expiry_interval_s: Some(1), ..PropertyFields::default() };
    let disconnect = Disconnect { properties: Properties::new(fields), ..Disconnect::NORMAL };
    check(&[0xe0, 0x07, 0x00, 0x05, 0x11, 0x00, 0x00, 0x00, 0x01], &Packet::Disconnect(disconnect));
    check_decodes(&[0xe0, 0x02, 0x00, 0x00], &Packet::Disconnect(Disconnect::NORMAL));

    let auth = |reason, properties| Packet::Auth(Auth { reason, properties });
    check(&[0xf0, 0x00], &auth(ReasonCode::Success, Properties::NONE));
    check(&[0xf0, 0x02, 0x19, 0x00], &auth(ReasonCode::ReAuthenticate, Properties::NONE));
    // AUTH, remaining length, continue, properties of 4 bytes: authentication method
    let fields = PropertyFields { authentication_method: Some("m".to_owned()), ..PropertyFields::default() };
    let continued = auth(ReasonCode::ContinueAuthentication, Properties::new(fields));
    check(&[0xf0, 0x06, 0x18, 0x04, 0x15, 0x00, 0x01, b'm'], &continued);
}

#[test]
fn a_property_that_a_packet_may_not_carry_stays_at_home() {
    let fields =
        PropertyFields { server_keep_alive_s: Some(1), topic_alias_maximum: Some(1), ..PropertyFields::default() };
    let disconnect = Disconnect { properties: Properties::new(fields), ..Disconnect::NORMAL };
    let mut out = Vec::new();
    encode(&Packet::Disconnect(disconnect), ProtocolVersion::V5, &mut out);
    assert_eq!(out, [0xe0, 0x02, 0x00, 0x00]);
}

#[test]
fn mqtt_3_1_is_3_1_1_under_another_name() {
    let bytes = [
        0x10, 0x0f, // CONNECT, remaining length
        0x00, 0x06, b'M', b'Q', b'I', b's', b'd', b'p', 0x03, // protocol name and version
        0x02, // clean session
        0x00, 0x3c, // keep alive 60 s
        0x00, 0x01, b'i', // client identifier
    ];
    let connect =
        Connect { version: ProtocolVersion::V31, clean_session: true, client_id: ClientId::new("i"), ..connect() };
    check(&bytes, &Packet::Connect(connect));
    let encoded = |packet: &Packet<'_>| {
        let mut out = Vec::new();
        encode(packet, ProtocolVersion::V31, &mut out);
        out
    };
    // neither session present nor a failure
    let connack = Packet::ConnAck(ConnAck::new(true, ReasonCode::Success));
    assert_eq!(encoded(&connack), [0x20, 0x02, 0x00, 0x00]);
    let suback = Packet::SubAck(SubAck::new(id(1), vec![ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized]));
    assert_eq!(encoded(&suback), [0x90, 0x04, 0x00, 0x01, 0x01, 0x00]);
    let failure = decode(&[0x90, 0x03, 0x00, 0x01, 0x80], ProtocolVersion::V31, 100);
    assert_eq!(failure, Err(DecodeError::SubAckCode(0x80)));
    // SUBSCRIBE sent again, with DUP
    let again = [0x8a, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00];
    assert!(matches!(
        decode(&again, ProtocolVersion::V31, 100),
        Ok(Decoded::Packet { packet: Packet::Subscribe(_), .. })
    ));
    assert!(decode(&again, ProtocolVersion::V311, 100).is_err());
}
