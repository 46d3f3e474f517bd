//! The link over MQTT 5.

use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, LastWill, Packet, PubAckReason, PubCompReason, PubRecReason, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event as Raw, EventLoop, MqttOptions, StateError, mqttbytes};
use tokio::task::JoinHandle;

use super::link::{Event, Forward, Loss, Message, REQUESTS_MAX, Requests};
use super::{ConnectionArgs, PACKET_BYTES_MAX};
use crate::agent::socket_host;
use crate::client::io_error_text;
use crate::mqtt::QoS;

/// rumqttc 0.25 refuses a shorter one with MQTT 5.
pub(super) const KEEP_ALIVE_MIN_S: u16 = 5;
/// A session that does not expire (MQTT 5 section 3.1.2.11.2).
const NEVER: u32 = u32::MAX;
/// Messages in flight at most; without a bound rumqttc makes room for 65 535.
const INFLIGHT_MAX: u16 = 100;

pub(super) fn spawn(
    args: &ConnectionArgs,
    client_id: &str,
    events: Forward,
) -> anyhow::Result<(Requests, JoinHandle<()>)> {
    let (client, event_loop) = AsyncClient::new(options(args, client_id)?, REQUESTS_MAX);
    Ok((Requests::V5(client), tokio::spawn(forward(event_loop, events))))
}

fn options(args: &ConnectionArgs, client_id: &str) -> anyhow::Result<MqttOptions> {
    let host = socket_host(&args.host, args.cafile.is_some());
    let mut options = MqttOptions::new(client_id, host, args.port_or_default());
    options.set_transport(args.transport()?);
    options.set_keep_alive(Duration::from_secs(args.keepalive.max(KEEP_ALIVE_MIN_S).into()));
    options.set_clean_start(!args.disable_clean_session);
    options.set_session_expiry_interval(args.disable_clean_session.then_some(NEVER));
    options.set_max_packet_size(Some(PACKET_BYTES_MAX));
    options.set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
    if let Some(user) = &args.username {
        options.set_credentials(user, args.password.as_deref().unwrap_or_default());
    }
    if let Some(will) = args.will() {
        options.set_last_will(LastWill::new(will.topic, will.payload, qos(will.qos), will.retain, None));
    }
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    Ok(options)
}

async fn forward(mut event_loop: EventLoop, mut events: Forward) {
    loop {
        match event_loop.poll().await {
            Ok(raw) => {
                if !events.send(&raw, translate).await {
                    return;
                }
            }
            Err(error) => {
                // rumqttc 0.25 reports the end before what it read in front of it
                for raw in std::mem::take(&mut event_loop.state.events) {
                    events.send(&raw, translate).await;
                }
                events.send_loss(loss(&error)).await;
                return;
            }
        }
    }
}

fn loss(error: &ConnectionError) -> Loss {
    let is_refusal = matches!(
        error,
        ConnectionError::ConnectionRefused(_) | ConnectionError::MqttState(StateError::ConnFail { .. })
    );
    Loss { why: error_text(error), is_refusal }
}

fn error_text(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            format!("the broker refused: {}", connack_text(*code))
        }
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => io_error_text(error),
        ConnectionError::Timeout(_) => "no answer in time".into(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => "the broker closed the connection".into(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker did not answer a ping".into(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let text = reason_string.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
            format!("the broker disconnected: {reason_code:?}{text}")
        }
        other => other.to_string(),
    }
}

/// CONNACK's reason code in words (MQTT 5 section 3.2.2.2); the rarer ones by their names.
fn connack_text(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            "MQTT 5 is not spoken there, try -V 311 (CONNACK 0x84)".into()
        }
        ConnectReturnCode::ClientIdentifierNotValid => "the client identifier is not allowed (CONNACK 0x85)".into(),
        ConnectReturnCode::BadUserNamePassword => "the user name or the password is wrong (CONNACK 0x86)".into(),
        ConnectReturnCode::NotAuthorized => "not authorised (CONNACK 0x87)".into(),
        ConnectReturnCode::ServerUnavailable => "the service is not available (CONNACK 0x88)".into(),
        other => format!("{other:?} (CONNACK)"),
    }
}

fn translate(raw: &Raw) -> Option<Event> {
    match raw {
        Raw::Incoming(Packet::ConnAck(_)) => Some(Event::Connected),
        Raw::Incoming(Packet::Publish(publish)) => Some(Event::Message(Message {
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            retain: publish.retain,
        })),
        Raw::Incoming(Packet::SubAck(ack)) => {
            Some(Event::Subscribed(ack.return_codes.iter().map(|code| denial(*code)).collect()))
        }
        Raw::Outgoing(Outgoing::Publish(0)) => Some(Event::Completed),
        Raw::Incoming(packet) => completion(packet),
        Raw::Outgoing(_) => None,
    }
}

/// What an acknowledgement means for the message it speaks of.
fn completion(packet: &Packet) -> Option<Event> {
    match packet {
        Packet::PubAck(ack) => Some(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Event::Completed,
            refusal => Event::Refused(format!("{refusal:?} (PUBACK)")),
        }),
        Packet::PubRec(received) => match received.reason {
            // PUBREL and PUBCOMP are still to come
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => None,
            refusal => Some(Event::Refused(format!("{refusal:?} (PUBREC)"))),
        },
        Packet::PubComp(complete) => Some(match complete.reason {
            PubCompReason::Success => Event::Completed,
            refusal @ PubCompReason::PacketIdentifierNotFound => Event::Refused(format!("{refusal:?} (PUBCOMP)")),
        }),
        _ => None,
    }
}

fn denial(code: SubscribeReasonCode) -> Option<String> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        denial => Some(format!("denied by the broker: {denial:?}")),
    }
}

pub(super) fn qos(qos: QoS) -> mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
        QoS::ExactlyOnce => mqttbytes::QoS::ExactlyOnce,
    }
}
