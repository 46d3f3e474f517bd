//! The packets of two or four bytes.

use super::super::packet::{ConnAck, Packet, PacketId};
use super::super::packet_type::PacketType;
use super::super::reason::ConnectReturnCode;

/// A packet of two or four bytes.
#[derive(Clone, Copy)]
pub(in super::super) enum Short {
    /// Nothing behind the fixed header.
    Two([u8; 2]),
    /// Two bytes behind it.
    Four([u8; 4]),
}

impl Short {
    /// The bytes of `packet`; `None` for the types that are longer or of any length.
    #[inline]
    pub(in super::super) const fn of(packet: &Packet<'_>) -> Option<Self> {
        Some(match packet {
            Packet::ConnAck(connack) => Self::connack(*connack),
            Packet::PubAck(acknowledgement) => Self::numbered(PacketType::PubAck, acknowledgement.packet_id),
            Packet::PubRec(acknowledgement) => Self::numbered(PacketType::PubRec, acknowledgement.packet_id),
            Packet::PubRel(acknowledgement) => Self::numbered(PacketType::PubRel, acknowledgement.packet_id),
            Packet::PubComp(acknowledgement) => Self::numbered(PacketType::PubComp, acknowledgement.packet_id),
            Packet::UnsubAck(unsuback) => Self::numbered(PacketType::UnsubAck, unsuback.packet_id),
            Packet::PingReq => Self::bare(PacketType::PingReq),
            Packet::PingResp => Self::bare(PacketType::PingResp),
            Packet::Disconnect => Self::bare(PacketType::Disconnect),
            Packet::Connect(_)
            | Packet::Publish(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_) => return None,
        })
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

    const fn connack(connack: ConnAck) -> Self {
        // a refusal never speaks of a session [MQTT-3.2.2-4]
        let session_present = connack.session_present && matches!(connack.code, ConnectReturnCode::Accepted);
        Self::Four([PacketType::ConnAck.first_byte(), 2, session_present as u8, connack.code as u8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packet: &Packet<'_>, expected: &[u8]) {
        assert_eq!(Short::of(packet).unwrap().as_slice(), expected, "{packet:?}");
    }

    #[test]
    fn connack_is_four_bytes() {
        let connack = |session_present, code| Packet::ConnAck(ConnAck { session_present, code });
        // CONNACK, remaining length, acknowledge flags, return code
        check(&connack(true, ConnectReturnCode::Accepted), &[0x20, 0x02, 0x01, 0x00]);
        check(&connack(false, ConnectReturnCode::NotAuthorized), &[0x20, 0x02, 0x00, 0x05]);
    }

    #[test]
    fn a_refusal_never_says_that_a_session_is_present() {
        let connack = ConnAck { session_present: true, code: ConnectReturnCode::ServerUnavailable };
        check(&Packet::ConnAck(connack), &[0x20, 0x02, 0x00, 0x03]);
    }
}
