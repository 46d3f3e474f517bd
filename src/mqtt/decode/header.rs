//! The fixed header (section 2.2): which packet, which flags, how long. Judged as soon as its bytes are there.

use super::super::packet::ProtocolVersion;
use super::super::packet_type::PacketType;
use super::error::DecodeError;

#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) packet: PacketType,
    /// The lower half of the first byte; only PUBLISH's mean something.
    pub(super) flags: u8,
    /// The header's own length in bytes: 2 to 5.
    pub(super) length: usize,
    /// The whole packet's length in bytes.
    pub(super) packet_length: usize,
    /// Whether the remaining length is written in the fewest bytes.
    pub(super) is_minimal: bool,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when it is not there whole.
    ///
    /// # Errors
    /// When its type, its flags or its length can be of no packet, or of none that is taken.
    #[inline]
    pub(super) fn read(
        bytes: &[u8],
        version: ProtocolVersion,
        packet_bytes_max: usize,
    ) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let packet = check_first_byte(first, version)?;
        let Some((remaining, length_bytes)) = remaining_length(rest)? else { return Ok(None) };
        let length = 1 + length_bytes;
        let is_minimal = length_bytes == 1 || bytes.get(length_bytes) != Some(&0);
        let header = Self { packet, flags: first & 0x0f, length, packet_length: length + remaining, is_minimal };
        header.check_length(remaining, version, packet_bytes_max)?;
        Ok(Some(header))
    }

    #[inline]
    fn check_length(&self, remaining: usize, version: ProtocolVersion, max: usize) -> Result<(), DecodeError> {
        let packet = self.packet.name();
        if self.packet_length > max {
            return Err(DecodeError::TooLarge { packet, length: self.packet_length, max });
        }
        match self.packet.fixed_length(version) {
            Some(expected) if expected != remaining => {
                Err(DecodeError::BodyLength { packet, found: remaining, expected })
            }
            _ => Ok(()),
        }
    }
}

#[inline]
fn check_first_byte(first: u8, version: ProtocolVersion) -> Result<PacketType, DecodeError> {
    let packet = PacketType::of(first)
        .filter(|packet| *packet != PacketType::Auth || version == ProtocolVersion::V5)
        .ok_or(DecodeError::PacketType(first >> 4))?;
    match (packet, first & 0x0f) {
        (PacketType::Publish, flags) => check_publish_flags(flags)?,
        // MQTT 3.1 sends these again with DUP
        (PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe, 0b1010)
            if version == ProtocolVersion::V31 => {}
        (_, found) if found != packet.reserved_flags() => {
            let expected = packet.reserved_flags();
            return Err(DecodeError::FixedHeaderFlags { packet: packet.name(), found, expected });
        }
        _ => {}
    }
    Ok(packet)
}

#[inline]
const fn check_publish_flags(flags: u8) -> Result<(), DecodeError> {
    match (flags & 0b1000, flags & 0b0110) {
        (_, 0b0110) => Err(DecodeError::PublishQoS3),
        (0b1000, 0b0000) => Err(DecodeError::DupWithQoS0),
        _ => Ok(()),
    }
}

/// The remaining length and how many bytes it took; `None` when its last byte has not come yet.
/// Seven bits a byte, the low ones first; a length written with more bytes than it needs is allowed in 3.1.1
/// and refused in 5 when the packet has come.
#[inline]
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut length = 0;
    for (byte, count) in bytes.iter().zip(1..=4) {
        length |= usize::from(byte & 0x7f) << (7 * (count - 1));
        if byte & 0x80 == 0 {
            return Ok(Some((length, count)));
        }
        if count == 4 {
            return Err(DecodeError::RemainingLength(*byte));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::check::{check_incomplete, check_refused};
    use super::super::*;

    #[test]
    fn reserved_packet_types_are_refused_with_their_first_byte() {
        check_refused(&[0x00], &DecodeError::PacketType(0), "MQTT-4.8.0-1");
        check_refused(&[0xf0, 0x00], &DecodeError::PacketType(15), "MQTT-4.8.0-1");
    }

    #[test]
    fn reserved_flags_of_every_packet_type_are_refused() {
        for first in (0x10..=0xef_u8).filter(|first| first >> 4 != 3) {
            let expected = if matches!(first >> 4, 6 | 8 | 10) { 0b0010 } else { 0b0000 };
            match decode(&[first], ProtocolVersion::V311, 1024) {
                Ok(Decoded::Incomplete { length: None }) => assert_eq!(first & 0x0f, expected, "{first:#04x}"),
                Err(DecodeError::FixedHeaderFlags { found, expected: told, .. }) => {
                    assert_eq!((found, told), (first & 0x0f, expected), "{first:#04x}");
                    assert_ne!(found, expected, "{first:#04x}");
                }
                other => panic!("{first:#04x}: {other:?}"),
            }
        }
        let error = DecodeError::FixedHeaderFlags { packet: "PUBREL", found: 0, expected: 2 };
        check_refused(&[0x60, 0x02, 0x00, 0x01], &error, "MQTT-2.2.2-2");
    }

    #[test]
    fn publish_with_qos_3_or_with_dup_and_qos_0_is_refused_with_its_first_byte() {
        for first in [0x36, 0x37, 0x3e, 0x3f] {
            check_refused(&[first], &DecodeError::PublishQoS3, "MQTT-3.3.1-4");
        }
        for first in [0x38, 0x39] {
            check_refused(&[first], &DecodeError::DupWithQoS0, "MQTT-3.3.1-2");
        }
    }

    #[test]
    fn remaining_lengths_are_read_as_table_2_4_tells() {
        for (bytes, remaining) in [
            (&[0x30, 0x7f][..], 127),
            (&[0x30, 0x80, 0x01], 128),
            (&[0x30, 0xff, 0x7f], 16_383),
            (&[0x30, 0x80, 0x80, 0x01], 16_384),
            (&[0x30, 0xff, 0xff, 0x7f], 2_097_151),
            (&[0x30, 0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f], 268_435_455),
        ] {
            check_incomplete(bytes, Some(bytes.len() + remaining));
        }
    }

    #[test]
    fn a_header_that_has_not_come_whole_has_no_length_yet() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x80, 0x80], &[0x30, 0x80, 0x80, 0x80]] {
            check_incomplete(bytes, None);
        }
    }

    #[test]
    fn a_remaining_length_of_five_bytes_is_refused() {
        let error = DecodeError::RemainingLength(0x80);
        check_refused(&[0x30, 0x80, 0x80, 0x80, 0x80], &error, "MQTT-4.8.0-1");
        check_refused(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01], &error, "MQTT-4.8.0-1");
    }

    #[test]
    fn a_length_written_longer_than_it_needs_is_taken() {
        let decoded = decode(&[0xc0, 0x80, 0x80, 0x00], ProtocolVersion::V311, 1024);
        assert_eq!(decoded, Ok(Decoded::Packet { packet: Packet::PingReq, length: 4 }));
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_before_its_body_has_come() {
        let header = [0x30, 0x80, 0x08]; // PUBLISH of 1024 bytes and its header of 3
        let error = DecodeError::TooLarge { packet: "PUBLISH", length: 1027, max: 1026 };
        assert_eq!(error.clause(), "MQTT-4.8.0-2");
        assert_eq!(decode(&header, ProtocolVersion::V311, 1026), Err(error));
        let length = Some(1027);
        assert_eq!(decode(&header, ProtocolVersion::V311, 1027), Ok(Decoded::Incomplete { length }));
    }

    #[test]
    fn packets_of_one_length_are_refused_with_any_other() {
        for (first, expected) in
            [(0x20, 2), (0x40, 2), (0x50, 2), (0x62, 2), (0x70, 2), (0xb0, 2), (0xc0, 0), (0xd0, 0), (0xe0, 0)]
        {
            for found in (0..=5_u8).filter(|found| *found != expected) {
                match decode(&[first, found], ProtocolVersion::V311, 1024) {
                    Err(DecodeError::BodyLength { found: told, expected: wanted, .. }) => {
                        assert_eq!((told, wanted), (usize::from(found), usize::from(expected)), "{first:#04x}");
                    }
                    other => panic!("{first:#04x} {found}: {other:?}"),
                }
            }
        }
        let error = DecodeError::BodyLength { packet: "PINGREQ", found: 1, expected: 0 };
        check_refused(&[0xc0, 0x01, 0x00], &error, "MQTT-4.8.0-1");
    }
}
