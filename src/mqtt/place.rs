//! Where a property or a reason code may stand (version 5, tables 2-4 and 2-6): sets of packets as bits.

use super::packet_type::PacketType;

pub(super) const WILL: u16 = Place::Will.bit();
pub(super) const CONNECT: u16 = Place::Of(PacketType::Connect).bit();
pub(super) const CONNACK: u16 = Place::Of(PacketType::ConnAck).bit();
pub(super) const PUBLISH: u16 = Place::Of(PacketType::Publish).bit();
pub(super) const PUBACK: u16 = Place::Of(PacketType::PubAck).bit();
pub(super) const PUBREC: u16 = Place::Of(PacketType::PubRec).bit();
pub(super) const PUBREL: u16 = Place::Of(PacketType::PubRel).bit();
pub(super) const PUBCOMP: u16 = Place::Of(PacketType::PubComp).bit();
pub(super) const SUBSCRIBE: u16 = Place::Of(PacketType::Subscribe).bit();
pub(super) const SUBACK: u16 = Place::Of(PacketType::SubAck).bit();
pub(super) const UNSUBSCRIBE: u16 = Place::Of(PacketType::Unsubscribe).bit();
pub(super) const UNSUBACK: u16 = Place::Of(PacketType::UnsubAck).bit();
pub(super) const DISCONNECT: u16 = Place::Of(PacketType::Disconnect).bit();
pub(super) const AUTH: u16 = Place::Of(PacketType::Auth).bit();

/// One place for properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Those of the will, in CONNECT's payload.
    Will,
    /// A packet's own.
    Of(PacketType),
}

impl Place {
    pub(super) const fn bit(self) -> u16 {
        match self {
            Self::Will => 1,
            Self::Of(packet) => 1 << packet as u8,
        }
    }

    /// The packet around it.
    pub(super) const fn packet(self) -> PacketType {
        match self {
            Self::Will => PacketType::Connect,
            Self::Of(packet) => packet,
        }
    }
}
