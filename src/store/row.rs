//! Values of the broker as values of a row, and back. What does not decode counts as damaged.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::boot::Boots;
use super::pending::Subscribed;
use crate::base::clock::Monotonic;
use crate::broker::state::{Phase, Sent};
use crate::broker::{Granted, Marks, Message, Owner, Terms};
use crate::mqtt::{ClientId, MessageProperties, PacketId, QoS, SubscriptionId, TopicFilter, TopicName};

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

/// Bit of a subscription's options: retained messages are still to be sent.
const REPLAY: u8 = 1 << 4;

/// The options of a subscription as in SUBSCRIBE (section 3.8.3.1), but for the retain handling, in whose place
/// [`REPLAY`] stands.
pub(super) const fn options(subscribed: &Subscribed) -> i64 {
    let Subscribed { granted, replay } = subscribed;
    let replay = if *replay { REPLAY as i64 } else { 0 };
    granted.qos as i64 | (granted.no_local as i64) << 2 | (granted.retain_as_published as i64) << 3 | replay
}

/// The subscription in two columns: options and identifier.
pub(super) fn subscribed(row: &Row<'_>, options: usize) -> Option<Subscribed> {
    let bits = u8::try_from(integer(row, options)?).ok().filter(|bits| *bits < 32)?;
    let number = optional(integer, row, options + 1)?;
    let id = number.map(|number| u32::try_from(number).ok().and_then(SubscriptionId::new));
    let (no_local, retain_as_published) = (bits & 4 != 0, bits & 8 != 0);
    let granted = Granted { qos: QoS::from_bits(bits & 3)?, no_local, retain_as_published, id: flatten(id)? };
    Some(Subscribed { granted, replay: bits & REPLAY != 0 })
}

/// The owner of a retained message that is an internal client.
const INTERNAL: &str = "internal";

/// Stands before the name of the user who owns a retained message.
const USER: &str = "user:";

/// The owner of a retained message as it is written; `None` for anonymous clients.
pub(super) fn pack_owner(owner: &Owner) -> Option<Cow<'static, str>> {
    match owner {
        Owner::Internal => Some(INTERNAL.into()),
        Owner::Anonymous => None,
        Owner::User(name) => Some(format!("{USER}{name}").into()),
    }
}

/// The owner in a column.
pub(super) fn owner(row: &Row<'_>, column: usize) -> Option<Owner> {
    match optional(text, row, column)? {
        None => Some(Owner::Anonymous),
        Some(INTERNAL) => Some(Owner::Internal),
        Some(text) => text.strip_prefix(USER).map(|name| Owner::User(name.into())),
    }
}

/// Marks as they are written.
pub(super) fn pack_marks(marks: &Marks, boots: &Boots) -> Vec<u8> {
    let stale = marks.stale.map(|stale| boots.pack(stale).to_be_bytes());
    let stale = stale.into_iter().flat_map(|stale| std::iter::once(STALE).chain(stale));
    let ids = marks.subscription_ids.iter().flat_map(|id| id.get().to_be_bytes());
    stale.chain(ids).chain(marks.share.iter().flat_map(|share| share.as_str().bytes())).collect()
}

/// Stands before the moment in marks that have one.
const STALE: u8 = 16;

/// The way back. The first byte of an identifier is below 16, that of a filter above.
pub(super) fn unpack_marks(mut bytes: &[u8], boots: &Boots) -> Option<Marks> {
    let mut marks = Marks::default();
    if let Some(rest) = bytes.strip_prefix(&[STALE]) {
        let (moment, rest) = rest.split_first_chunk()?;
        marks.stale = boots.unpack(i64::from_be_bytes(*moment));
        bytes = rest;
    }
    while let Some((id, rest)) = bytes.split_first_chunk().filter(|(id, _)| u32::from_be_bytes(**id) >> 28 == 0) {
        marks.subscription_ids.push(SubscriptionId::new(u32::from_be_bytes(*id))?);
        bytes = rest;
    }
    if !bytes.is_empty() {
        marks.share = Some(TopicFilter::new(std::str::from_utf8(bytes).ok()?).ok()?);
    }
    Some(marks)
}

/// The marks of a column, `None` inside for none.
#[expect(clippy::option_option, reason = "the outer one says whether the column makes sense")]
pub(super) fn marks(row: &Row<'_>, column: usize, boots: &Boots) -> Option<Option<Box<Marks>>> {
    let marks = optional(blob, row, column)?.map(|bytes| unpack_marks(&bytes, boots).map(Box::new));
    flatten(marks)
}

/// Terms in three columns: user, seconds, moment.
pub(super) fn terms(row: &Row<'_>, user: usize, boots: &Boots) -> Option<Terms> {
    let expiry_interval_s = match optional(integer, row, user + 1)? {
        Some(seconds) => u32::try_from(seconds).ok()?,
        None => Terms::FOREVER_S,
    };
    Some(Terms { user: self::user(row, user)?, expiry_interval_s, ends: moment(row, user + 2, boots)? })
}

/// The user of a column, `None` inside for none.
#[expect(clippy::option_option, reason = "the outer one says whether the column makes sense")]
pub(super) fn user(row: &Row<'_>, column: usize) -> Option<Option<Box<str>>> {
    Some(optional(text, row, column)?.map(Box::from))
}

/// The moment of a column, `None` inside for none, and for one that nobody can tell any more.
#[expect(clippy::option_option, reason = "the outer one says whether the column makes sense")]
pub(super) fn moment(row: &Row<'_>, column: usize, boots: &Boots) -> Option<Option<Monotonic>> {
    Some(optional(integer, row, column)?.and_then(|packed| boots.unpack(packed)))
}

/// A column that may be empty.
#[expect(clippy::option_option, reason = "the outer one says whether the column makes sense")]
fn optional<'a, T>(
    read: impl Fn(&'a Row<'_>, usize) -> Option<T>,
    row: &'a Row<'_>,
    column: usize,
) -> Option<Option<T>> {
    match row.get_ref(column).ok()? {
        ValueRef::Null => Some(None),
        _ => read(row, column).map(Some),
    }
}

/// What is there has to make sense.
#[expect(clippy::option_option, reason = "the outer one says whether the column makes sense")]
fn flatten<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
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

/// The message in four columns: topic, payload, moment, properties.
pub(super) fn message(row: &Row<'_>, topic: usize, boots: &Boots) -> Option<Arc<Message>> {
    let properties = optional(blob, row, topic + 3)?.map(MessageProperties::from_bytes).transpose().ok()?;
    Some(Arc::new(Message {
        topic: TopicName::new(text(row, topic)?).ok()?,
        payload: blob(row, topic + 1)?,
        properties: properties.unwrap_or_default(),
        expires: moment(row, topic + 2, boots)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Clocks;
    use super::*;
    use crate::base::clock::Wall;
    use crate::base::ids::BootId;

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

    #[test]
    fn marks_come_back_and_others_do_not() {
        let clocks = Clocks { boot_id: BootId::new("b"), monotonic: Monotonic::ZERO, wall: Wall::default() };
        let boots = Boots::new(&clocks);
        let id = |number| SubscriptionId::new(number).unwrap();
        let share = TopicFilter::new("$share/s/a/#").ok();
        for subscription_ids in [vec![], vec![id(1)], vec![id(268_435_455), id(7), id(65_536)]] {
            for share in [None, share.clone()] {
                for stale in [None, Some(Monotonic::from_boot(std::time::Duration::from_secs(5)))] {
                    let marks = Marks { subscription_ids: subscription_ids.clone(), stale, share: share.clone() };
                    assert_eq!(unpack_marks(&pack_marks(&marks, &boots), &boots), Some(marks));
                }
            }
        }
        for bytes in [&[0, 0, 0, 0][..], &[0, 0, 1], b"a/#/b", &[b'$', 0xff]] {
            assert_eq!(unpack_marks(bytes, &boots), None, "{bytes:?}");
        }
    }
}
