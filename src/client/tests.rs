//! A link against a server that is written out, packet by packet, over a pipe in memory.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::mqtt::{
    Acknowledgement, ConnAck, Decoded, Packet, PacketId, Properties, PropertyFields, Publish, QoS, ReasonCode, SubAck,
    Subscription, TopicFilter, decode, encode,
};

fn options(version: ProtocolVersion) -> Options {
    Options {
        version,
        client_id: "a-client".into(),
        clean_session: false,
        session_expiry_s: 3600,
        keep_alive: Duration::from_secs(40),
        credentials: Some(("token".into(), None)),
        will: None,
        packet_bytes_max: 1 << 20,
        receive_max: 100,
        patience: Duration::from_secs(5),
    }
}

/// The other side.
struct Server {
    stream: DuplexStream,
    version: ProtocolVersion,
    input: Vec<u8>,
}

impl Server {
    /// The next packet, shown as text.
    async fn expect(&mut self) -> String {
        loop {
            if let Ok(Decoded::Packet { packet, length }) = decode(&self.input, self.version, usize::MAX) {
                let shown = format!("{packet:?}");
                self.input.drain(..length);
                return shown;
            }
            let mut chunk = [0; 512];
            let read = self.stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the client has closed");
            self.input.extend_from_slice(&chunk[..read]);
        }
    }

    async fn say(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }
}

/// Connects with `options` and has the server answer `accepted`.
async fn connected(options: &Options, accepted: ConnAck) -> (Server, Result<Connected, ConnectError>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let mut server = Server { stream: theirs, version: options.version, input: Vec::new() };
    let (connected, ()) = tokio::join!(connect_over(Box::new(ours), options), async {
        let connect = server.expect().await;
        assert!(connect.starts_with("Connect("), "{connect}");
        server.say(&Packet::ConnAck(accepted)).await;
    });
    (server, connected)
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

#[tokio::test]
async fn what_connack_says_is_heeded() {
    let fields = PropertyFields {
        receive_maximum: std::num::NonZeroU16::new(10),
        maximum_packet_size: std::num::NonZeroU32::new(5000),
        maximum_qos_is_1: Some(false),
        retain_available: Some(false),
        server_keep_alive_s: Some(20),
        assigned_client_identifier: Some("assigned".into()),
        session_expiry_interval_s: Some(60),
        ..PropertyFields::default()
    };
    let accepted = ConnAck { properties: Properties::new(fields), ..ConnAck::new(true, ReasonCode::Success) };
    let (_server, connected) = connected(&options(ProtocolVersion::V5), accepted).await;
    let (_, terms) = connected.unwrap();
    assert_eq!((terms.receive_max, terms.packet_bytes_max, terms.qos_max), (10, 5000, QoS::AtMostOnce));
    assert_eq!((terms.retain_available, terms.session_present), (false, true));
    assert_eq!((terms.keep_alive, terms.session_expiry_s), (Duration::from_secs(20), Some(60)));
    assert_eq!(terms.client_id, "assigned");
}

#[tokio::test]
async fn a_server_keep_alive_of_0_leaves_the_testing_to_the_client() {
    let fields = PropertyFields { server_keep_alive_s: Some(0), ..PropertyFields::default() };
    let accepted = ConnAck { properties: Properties::new(fields), ..ConnAck::new(false, ReasonCode::Success) };
    let (_server, connected) = connected(&options(ProtocolVersion::V5), accepted).await;
    assert_eq!(connected.unwrap().1.keep_alive, Duration::from_secs(40));
}

#[tokio::test]
async fn a_server_of_3_1_1_refuses_version_5_in_its_own_form() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let options = options(ProtocolVersion::V5);
    let (connected, ()) = tokio::join!(connect_over(Box::new(ours), &options), async {
        theirs.write_all(&[0x20, 2, 0, 1]).await.unwrap();
    });
    let error = connected.err().unwrap();
    assert_eq!(error.refusal(), Refusal::Version, "{error}");
}

#[tokio::test]
async fn refusals_have_classes() {
    for (code, refusal) in [
        (ReasonCode::ServerUnavailable, Refusal::Transient),
        (ReasonCode::BadUserNameOrPassword, Refusal::Permanent),
        (ReasonCode::NotAuthorized, Refusal::Permanent),
        (ReasonCode::UnsupportedProtocolVersion, Refusal::Version),
    ] {
        for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
            let (_server, connected) = connected(&options(version), ConnAck::new(false, code)).await;
            assert_eq!(connected.err().unwrap().refusal(), refusal, "{code} {version:?}");
        }
    }
}

#[tokio::test]
async fn messages_go_both_ways_and_are_acknowledged_by_hand() {
    let options = options(ProtocolVersion::V5);
    let (mut server, connected) = connected(&options, ConnAck::new(false, ReasonCode::Success)).await;
    let (mut link, _) = connected.unwrap();
    let filter = Subscription::new(TopicFilter::new("in/#").unwrap(), QoS::AtLeastOnce);
    assert_eq!(link.subscribe(vec![filter]), Some(id(1)));
    assert_eq!(link.publish(&Publication::new("out".into(), Bytes::from_static(b"x"))), Some(id(2)));
    let (event, ()) = tokio::join!(link.next_event(), async {
        assert!(server.expect().await.starts_with("Subscribe("));
        assert!(server.expect().await.starts_with("Publish("));
        server.say(&Packet::SubAck(SubAck::new(id(1), vec![ReasonCode::GrantedQoS1]))).await;
        server.say(&Packet::PubAck(Acknowledgement::new(id(2), ReasonCode::QuotaExceeded))).await;
        let publish = Publish { qos: QoS::AtLeastOnce, packet_id: Some(id(7)), ..Publish::new("in/a", b"y") };
        server.say(&Packet::Publish(publish)).await;
    });
    assert_eq!(event, Event::Subscribed(id(1), vec![ReasonCode::GrantedQoS1]));
    assert_eq!(link.next_event().await, Event::Acknowledged(id(2), ReasonCode::QuotaExceeded));
    let Event::Message(message) = link.next_event().await else { panic!("a message was expected") };
    assert_eq!((message.topic.as_str(), &message.payload[..], message.packet_id), ("in/a", &b"y"[..], Some(id(7))));
    link.acknowledge(id(7));
    let ((), ()) = tokio::join!(link.disconnect(), async {
        assert!(server.expect().await.starts_with("PubAck("));
        assert!(server.expect().await.starts_with("Disconnect("));
        drop(server);
    });
}

/// RabbitMQ delivers such, and again on each connection until it is acknowledged.
#[tokio::test]
async fn name_with_a_wildcard_does_not_end_the_connection() {
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        let options = options(version);
        let (mut server, connected) = connected(&options, ConnAck::new(false, ReasonCode::Success)).await;
        let (mut link, _) = connected.unwrap();
        for (topic, packet_id) in [("in/+", Some(id(300))), ("in/#", None), ("in/a", Some(id(8)))] {
            let qos = if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            server.say(&Packet::Publish(Publish { qos, packet_id, ..Publish::new(topic, &[b'x'; 200]) })).await;
            let Event::Message(message) = link.next_event().await else { panic!("{topic} was expected") };
            assert_eq!((message.topic.as_str(), message.packet_id), (topic, packet_id));
            assert_eq!(message.payload.is_empty(), topic != "in/a");
        }
    }
}

#[tokio::test]
async fn what_came_before_the_end_is_told_before_the_end() {
    let options = options(ProtocolVersion::V311);
    let (mut server, connected) = connected(&options, ConnAck::new(false, ReasonCode::Success)).await;
    let (mut link, _) = connected.unwrap();
    let taken = link.publish(&Publication::new("out".into(), Bytes::new()));
    let (event, ()) = tokio::join!(link.next_event(), async {
        server.expect().await;
        server.say(&Packet::PubAck(Acknowledgement::success(id(1)))).await;
        drop(server);
    });
    assert_eq!((taken, event), (Some(id(1)), Event::Acknowledged(id(1), ReasonCode::Success)));
    assert_eq!(link.next_event().await, Event::Lost(Loss::Closed));
    assert_eq!(link.next_event().await, Event::Lost(Loss::Closed));
}

#[tokio::test(start_paused = true)]
async fn silence_is_tested_and_ends_the_connection_after_one_and_a_half_keep_alive_times() {
    let options = options(ProtocolVersion::V311);
    let (mut server, connected) = connected(&options, ConnAck::new(false, ReasonCode::Success)).await;
    let (mut link, _) = connected.unwrap();
    // virtual time: it passes only where both sides wait for it
    let over = tokio::time::timeout(Duration::from_secs(61), link.next_event());
    let (over, asked) = tokio::join!(over, server.expect());
    assert_eq!((over.unwrap(), asked.as_str()), (Event::Lost(Loss::Silent), "PingReq"));
}

#[tokio::test(start_paused = true)]
async fn an_answered_ping_keeps_the_connection() {
    let options = options(ProtocolVersion::V311);
    let (mut server, connected) = connected(&options, ConnAck::new(false, ReasonCode::Success)).await;
    let (mut link, _) = connected.unwrap();
    let serve = async {
        loop {
            assert_eq!(server.expect().await, "PingReq");
            server.say(&Packet::PingResp).await;
        }
    };
    let hour = tokio::time::timeout(Duration::from_secs(3600), async {
        tokio::select! {
            event = link.next_event() => panic!("{event:?}"),
            () = serve => {}
        }
    });
    assert!(hour.await.is_err());
}
