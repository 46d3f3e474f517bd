//! The packets of two or four bytes.

use super::super::packet::{Acknowledgement, ConnAck, Packet, PacketId, ProtocolVersion};
use super::super::packet_type::PacketType;
use super::super::properties::Properties;
use super::super::reason::{ConnectReturnCode, ReasonCode};

/// A packet of two or four bytes.
#[derive(Clone, Copy)]
pub(in super::super) enum Short {
    /// Nothing behind the fixed header.
    Two([u8; 2]),
    /// Two bytes behind it.
    Four([u8; 4]),
}

impl Short {
    /// The bytes of `packet`; `None` for the types that are longer or of any length, and for answers of version 5
    /// that say more than success.
    #[inline]
    pub(in super::super) fn of(packet: &Packet<'_>, version: ProtocolVersion) -> Option<Self> {
        let is_plain = |reason: ReasonCode, properties: &Properties| {
            !version.has_properties() || (reason == ReasonCode::Success && properties.is_empty())
        };
        let acknowledged = |packet, ack: &Acknowledgement| {
            is_plain(ack.reason, &ack.properties).then(|| Self::numbered(packet, ack.packet_id))
        };
        match packet {
            Packet::PubAck(ack) => acknowledged(PacketType::PubAck, ack),
            Packet::PubRec(ack) => acknowledged(PacketType::PubRec, ack),
            Packet::PubRel(ack) => acknowledged(PacketType::PubRel, ack),
            Packet::PubComp(ack) => acknowledged(PacketType::PubComp, ack),
            Packet::PingReq => Some(Self::bare(PacketType::PingReq)),
            Packet::PingResp => Some(Self::bare(PacketType::PingResp)),
            Packet::Disconnect(disconnect) => {
                is_plain(disconnect.reason, &disconnect.properties).then(|| Self::bare(PacketType::Disconnect))
            }
            Packet::ConnAck(connack) if !version.has_properties() => Some(Self::connack(connack, version)),
            Packet::UnsubAck(unsuback) if !version.has_properties() => {
                Some(Self::numbered(PacketType::UnsubAck, unsuback.packet_id))
            }
            _ => None,
        }
    }

    pub(in super::super) const fn as_slice(&self) -> &[u8] {
        match self {
            Self::Two(bytes) => bytes,
            Self::Four(bytes) => bytes,
        }
    }

    const fn bare(packet: PacketType) -> Self {
        Self::Two([packet.first_byte(), 0])
    }

    const fn numbered(packet: PacketType, packet_id: PacketId) -> Self {
        let [high, low] = packet_id.get().to_be_bytes();
        Self::Four([packet.first_byte(), 2, high, low])
    }

    fn connack(connack: &ConnAck, version: ProtocolVersion) -> Self {
        let code = ConnectReturnCode::from(connack.reason);
        // a refusal never speaks of a session [MQTT-3.2.2-4], nor does MQTT 3.1
        let may_tell = code == ConnectReturnCode::Accepted && version != ProtocolVersion::V31;
        let session_present = connack.session_present && may_tell;
        Self::Four([PacketType::ConnAck.first_byte(), 2, u8::from(session_present), code as u8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packet: &Packet<'_>, expected: &[u8]) {
        assert_eq!(Short::of(packet, ProtocolVersion::V311).unwrap().as_slice(), expected, "{packet:?}");
    }

    #[test]
    fn connack_is_four_bytes() {
        let connack = |session_present, reason| Packet::ConnAck(ConnAck::new(session_present, reason));
        // CONNACK, remaining length, acknowledge flags, return code
        check(&connack(true, ReasonCode::Success), &[0x20, 0x02, 0x01, 0x00]);
        check(&connack(false, ReasonCode::NotAuthorized), &[0x20, 0x02, 0x00, 0x05]);
    }

    #[test]
    fn a_refusal_never_says_that_a_session_is_present() {
        let connack = ConnAck::new(true, ReasonCode::ServerUnavailable);
        check(&Packet::ConnAck(connack), &[0x20, 0x02, 0x00, 0x03]);
    }
}
