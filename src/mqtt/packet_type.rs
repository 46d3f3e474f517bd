//! The four bits that say which packet it is (section 2.2.1), and what they fix about it.

use super::packet::ProtocolVersion;

/// The type of a control packet: the upper half of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    /// Of version 5 only.
    Auth = 15,
}

impl PacketType {
    /// The type that a packet's first byte names; `None` for 0, which is forbidden. 15 is forbidden in
    /// 3.1.1 and AUTH in 5.
    pub(super) const fn of(first_byte: u8) -> Option<Self> {
        Some(match first_byte >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The name as the standard writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// The lower half of the first byte where it is reserved: everywhere but in PUBLISH [MQTT-2.2.2-1].
    pub(super) const fn reserved_flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0b0000,
        }
    }

    /// The packet's first byte; for PUBLISH its flags are to be added.
    pub(super) const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.reserved_flags()
    }

    /// The remaining length in bytes where a version knows only one.
    pub(super) const fn fixed_length(self, version: ProtocolVersion) -> Option<usize> {
        match self {
            Self::PingReq | Self::PingResp => Some(0),
            _ if version.has_properties() => None,
            Self::Disconnect => Some(0),
            Self::ConnAck | Self::PubAck | Self::PubRec | Self::PubRel | Self::PubComp | Self::UnsubAck => Some(2),
            Self::Connect | Self::Publish | Self::Subscribe | Self::SubAck | Self::Unsubscribe | Self::Auth => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_and_types_are_each_others_inverse() {
        for first_byte in 0..=u8::MAX {
            match PacketType::of(first_byte) {
                Some(kind) => assert_eq!(kind.first_byte() >> 4, first_byte >> 4, "{}", kind.name()),
                None => assert_eq!(first_byte >> 4, 0, "{first_byte:#04x}"),
            }
        }
    }
}
