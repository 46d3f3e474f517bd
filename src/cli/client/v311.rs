//! The link over MQTT 3.1.1.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ConnectionError, Event as Raw, EventLoop, LastWill, MqttOptions, Outgoing, Packet, SubscribeReasonCode,
};
use tokio::task::JoinHandle;

use super::link::{Event, Forward, Loss, Message, REQUESTS_MAX, Requests};
use super::{ConnectionArgs, PACKET_BYTES_MAX};
use crate::agent::{connection_error_text, socket_host};
use crate::mqtt::QoS;

pub(super) fn spawn(
    args: &ConnectionArgs,
    client_id: &str,
    events: Forward,
) -> anyhow::Result<(Requests, JoinHandle<()>)> {
    let (client, mut event_loop) = AsyncClient::new(options(args, client_id)?, REQUESTS_MAX);
    let mut network = event_loop.network_options();
    network.set_tcp_nodelay(true);
    event_loop.set_network_options(network);
    Ok((Requests::V311(client), tokio::spawn(forward(event_loop, events))))
}

fn options(args: &ConnectionArgs, client_id: &str) -> anyhow::Result<MqttOptions> {
    let host = socket_host(&args.host, args.cafile.is_some());
    let mut options = MqttOptions::new(client_id, host, args.port_or_default());
    options.set_transport(args.transport()?);
    options.set_keep_alive(Duration::from_secs(args.keepalive.into()));
    options.set_clean_session(!args.disable_clean_session || client_id.is_empty());
    options.set_max_packet_size(PACKET_BYTES_MAX as usize, PACKET_BYTES_MAX as usize);
    if let Some(user) = &args.username {
        options.set_credentials(user, args.password.as_deref().unwrap_or_default());
    }
    if let Some(will) = args.will() {
        options.set_last_will(LastWill::new(will.topic, will.payload, qos(will.qos), will.retain));
    }
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
    let is_refusal = matches!(error, ConnectionError::ConnectionRefused(_));
    Loss { why: connection_error_text(error), is_refusal }
}

fn translate(raw: &Raw) -> Option<Event> {
    match raw {
        Raw::Incoming(Packet::ConnAck(_)) => Some(Event::Connected),
        Raw::Incoming(Packet::Publish(publish)) => {
            let topic = Bytes::copy_from_slice(publish.topic.as_bytes());
            Some(Event::Message(Message { topic, payload: publish.payload.clone(), retain: publish.retain }))
        }
        Raw::Incoming(Packet::SubAck(ack)) => {
            Some(Event::Subscribed(ack.return_codes.iter().map(|code| denial(*code)).collect()))
        }
        Raw::Outgoing(Outgoing::Publish(0)) | Raw::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => {
            Some(Event::Completed)
        }
        _ => None,
    }
}

fn denial(code: SubscribeReasonCode) -> Option<String> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure => Some("denied by the broker (SUBACK 0x80)".into()),
    }
}

pub(super) fn qos(qos: QoS) -> rumqttc::QoS {
    match qos {
        QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
        QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}
