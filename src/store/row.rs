//! Values of the broker as values of a row, and back. What does not decode counts as damaged.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Row;

use crate::broker::Message;
use crate::broker::state::{Phase, Sent};
use crate::mqtt::{ClientId, PacketId, QoS, TopicName};

/// A number that only ever counts up from 1, as SQLite's signed integer. 2^63 of them are never reached.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The way back; a negative number is none of ours.
pub(super) fn unsigned(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

pub(super) const fn flags(qos: QoS, retain: bool) -> i64 {
    qos as i64 | (retain as i64) << 2
}

pub(super) fn unflags(flags: i64) -> Option<(QoS, bool)> {
    let bits = u8::try_from(flags).ok().filter(|bits| *bits < 8)?;
    Some((QoS::from_bits(bits & 3)?, bits & 4 != 0))
}

/// Key of a received identifier.
pub(super) const fn received_key(session: i64, packet_id: u16) -> i64 {
    session << 16 | packet_id as i64
}

/// Session and identifier of such a key.
pub(super) fn received_parts(key: i64) -> Option<(i64, PacketId)> {
    Some((key >> 16, PacketId::new(u16::try_from(key & 0xffff).ok()?)?))
}

/// Always eight bytes on disk, so that a delivery is marked in place: bits 0..16 packet identifier (0: not sent),
/// bit 16 released, bits 24..56 CRC-32 of arrival number and the former, bit 62 set.
pub(super) fn pack_sent(arrival: i64, sent: Option<Sent>) -> i64 {
    let low = sent.map_or(0, |sent| i64::from(sent.packet_id.get()) | i64::from(sent.phase == Phase::Released) << 16);
    1 << 62 | sent_crc(arrival, low) << 24 | low
}

/// A mark that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed;

/// The way back.
pub(super) fn unpack_sent(arrival: i64, packed: i64) -> Result<Option<Sent>, Changed> {
    let low = packed & 0x1_ffff;
    if packed != (1 << 62 | sent_crc(arrival, low) << 24 | low) {
        return Err(Changed);
    }
    let phase = if low >> 16 == 1 { Phase::Released } else { Phase::Sent };
    let packet_id = u16::try_from(low & 0xffff).ok().and_then(PacketId::new);
    Ok(packet_id.map(|packet_id| Sent { packet_id, phase }))
}

fn sent_crc(arrival: i64, low: i64) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&arrival.to_le_bytes());
    hasher.update(&low.to_le_bytes());
    i64::from(hasher.finalize())
}

/// The text of a column.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a str> {
    row.get_ref(column).ok()?.as_str().ok()
}

/// The integer of a column.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Option<i64> {
    row.get_ref(column).ok()?.as_i64().ok()
}

/// A client identifier.
pub(super) fn client_id(row: &Row<'_>, column: usize) -> Option<ClientId> {
    text(row, column).map(ClientId::new)
}

/// The bytes of a column.
pub(super) fn blob(row: &Row<'_>, column: usize) -> Option<Bytes> {
    row.get_ref(column).ok()?.as_blob().ok().map(Bytes::copy_from_slice)
}

/// The message in two columns, topic first.
pub(super) fn message(row: &Row<'_>, topic: usize) -> Option<Arc<Message>> {
    Some(Arc::new(Message { topic: TopicName::new(text(row, topic)?).ok()?, payload: blob(row, topic + 1)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_back_and_a_flipped_bit_does_not() {
        for number in [1, 255, 65_535] {
            for phase in [Phase::Sent, Phase::Released] {
                let sent = Some(Sent { packet_id: PacketId::new(number).unwrap(), phase });
                let packed = pack_sent(77, sent);
                assert_eq!(unpack_sent(77, packed), Ok(sent));
                assert_eq!(unpack_sent(78, packed), Err(Changed));
                for bit in 0..64 {
                    assert_eq!(unpack_sent(77, packed ^ 1 << bit), Err(Changed), "bit {bit}");
                }
            }
        }
        assert_eq!(unpack_sent(5, pack_sent(5, None)), Ok(None));
        assert_eq!(unpack_sent(5, 0), Err(Changed));
    }

    #[test]
    fn flags_and_keys_come_back() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for retain in [false, true] {
                assert_eq!(unflags(flags(qos, retain)), Some((qos, retain)));
            }
        }
        assert_eq!(unflags(3), None);
        assert_eq!(unflags(8), None);
        let key = received_key(12, 65_535);
        assert_eq!(received_parts(key), Some((12, PacketId::new(65_535).unwrap())));
    }
}
