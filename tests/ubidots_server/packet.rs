//! Packets as the log shows them, on their way out, and the one bit that the decoder does not take.

use std::time::Duration;

use sensegate::mqtt::{Packet, PacketId, ProtocolVersion, Publish, encode};

/// Which packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Connect,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl Kind {
    pub(super) const fn of(packet: &Packet<'_>) -> Self {
        match packet {
            Packet::Connect(_) => Self::Connect,
            Packet::ConnAck(_) => Self::ConnAck,
            Packet::Publish(_) => Self::Publish,
            Packet::PubAck(_) => Self::PubAck,
            Packet::PubRec(_) => Self::PubRec,
            Packet::PubRel(_) => Self::PubRel,
            Packet::PubComp(_) => Self::PubComp,
            Packet::Subscribe(_) => Self::Subscribe,
            Packet::SubAck(_) => Self::SubAck,
            Packet::Unsubscribe(_) => Self::Unsubscribe,
            Packet::UnsubAck(_) => Self::UnsubAck,
            Packet::PingReq => Self::PingReq,
            Packet::PingResp => Self::PingResp,
            Packet::Disconnect(_) => Self::Disconnect,
            Packet::Auth(_) => Self::Auth,
        }
    }
}

/// A PUBLISH as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Topic name.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS as a number.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// DUP.
    pub dup: bool,
    /// With QoS 1 and 2.
    pub packet_id: Option<u16>,
}

impl Published {
    fn new(publish: &Publish<'_>) -> Self {
        Self {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos as u8,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.packet_id.map(PacketId::get),
        }
    }

    /// `None` for every other packet.
    pub(super) fn of(packet: &Packet<'_>) -> Option<Self> {
        match packet {
            Packet::Publish(publish) => Some(Self::new(publish)),
            _ => None,
        }
    }
}

/// A packet that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) kind: Kind,
    pub(super) published: Option<Published>,
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(packet: &Packet<'_>, version: ProtocolVersion) -> Self {
        let mut bytes = Vec::new();
        encode(packet, version, &mut bytes);
        Self { kind: Kind::of(packet), published: Published::of(packet), bytes }
    }
}

/// What a connection is to do, in this order.
#[derive(Debug)]
pub(super) enum Order {
    Send(Outgoing),
    /// Others pass it meanwhile.
    SendLater(Duration, Outgoing),
    Close,
}

/// Bridges of mosquitto set the highest bit of the protocol level, which EMQX takes like the level without it.
pub(super) fn clear_bridge_bit(bytes: &mut [u8]) {
    const NAMES: [&[u8]; 2] = [b"\x00\x04MQTT", b"\x00\x06MQIsdp"];
    let Some(length_bytes) = bytes.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0) else { return };
    let Some(body) = bytes.get_mut(2 + length_bytes..) else { return };
    let Some(name) = NAMES.iter().find(|name| body.starts_with(name)) else { return };
    if let Some(level) = body.get_mut(name.len()) {
        *level &= 0x7F;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_of_a_bridge_is_cleared_wherever_the_level_stands() {
        for (bytes, level_at) in [
            (&b"\x10\x0C\x00\x04MQTT\x84\x02"[..], 8),
            (b"\x10\x8C\x01\x00\x04MQTT\x84\x02", 9),
            (b"\x10\x0E\x00\x06MQIsdp\x83\x02", 10),
        ] {
            let mut cleared = bytes.to_vec();
            clear_bridge_bit(&mut cleared);
            let mut expected = bytes.to_vec();
            expected[level_at] &= 0x7F;
            assert_eq!(cleared, expected);
        }
        for cut in [&b""[..], b"\x10", b"\x10\x8C", b"\x10\x0C\x00\x04MQTT", b"\x10\x0C\x00\x04ABCD\x84"] {
            let mut untouched = cut.to_vec();
            clear_bridge_bit(&mut untouched);
            assert_eq!(untouched, cut);
        }
    }
}
