//! The kernel's records of input (`struct input_event`, `linux/input.h`), and what they say of the stick's keys. Pure.

use std::ffi::c_long;
use std::time::Duration;

use super::KeyState;
use crate::stick::Direction;

/// Bytes of the kernel's `long`, of which the time has two: the kernel keeps that for programs of 32 bits, whatever
/// width their C library's times have.
const LONG: usize = size_of::<c_long>();
/// Bytes of a record of this machine: 24 on 64 bits, 16 on 32.
pub(super) const RECORD_BYTES: usize = record_bytes(LONG);

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_REPORT: u16 = 0;
const SYN_DROPPED: u16 = 3;

const fn record_bytes(long: usize) -> usize {
    2 * long + 8
}

/// One record: the time on the clock that the device was told to use, then type, code and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) time: Duration,
    kind: u16,
    code: u16,
    value: i32,
}

impl Record {
    /// Takes the whole records of `bytes` apart, as this machine's kernel lays them out.
    pub(super) fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.chunks_exact(RECORD_BYTES).filter_map(|bytes| Self::decode(bytes, LONG))
    }

    /// The one record that `datagram` consists of, of a program of 64 or of 32 bits; `None` for anything else.
    pub(super) fn decode_datagram(datagram: &[u8]) -> Option<Self> {
        let long = [8, 4].into_iter().find(|long| record_bytes(*long) == datagram.len())?;
        Self::decode(datagram, long)
    }

    /// Seconds and microseconds of `long` bytes each, 16 bits of type, 16 of code, 32 of value.
    fn decode(bytes: &[u8], long: usize) -> Option<Self> {
        let (seconds, microseconds) = (long_at(bytes, 0, long)?, long_at(bytes, long, long)?);
        Some(Self {
            time: Duration::from_secs(seconds).saturating_add(Duration::from_micros(microseconds)),
            kind: u16::from_ne_bytes(array_at(bytes, 2 * long)?),
            code: u16::from_ne_bytes(array_at(bytes, 2 * long + 2)?),
            value: i32::from_ne_bytes(array_at(bytes, 2 * long + 4)?),
        })
    }
}

fn long_at(bytes: &[u8], offset: usize, long: usize) -> Option<u64> {
    match long {
        4 => Some(u32::from_ne_bytes(array_at(bytes, offset)?).into()),
        _ => Some(u64::from_ne_bytes(array_at(bytes, offset)?)),
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A key of the stick.
    Key(Direction, KeyState),
    /// The end of the gap that the kernel left: what is down now has to be asked.
    Resumed,
    /// Nothing that matters here.
    Nothing,
}

/// Whether records follow each other without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Whole,
    /// The kernel's buffer was full (`SYN_DROPPED`): what comes before the next report is a rest that misleads.
    Broken,
}

impl Flow {
    /// What the next record says.
    pub(super) fn handle(&mut self, record: &Record) -> Meaning {
        match (record.kind, record.code, *self) {
            (EV_SYN, SYN_DROPPED, _) => *self = Self::Broken,
            (EV_SYN, SYN_REPORT, Self::Broken) => {
                *self = Self::Whole;
                return Meaning::Resumed;
            }
            (EV_KEY, code, Self::Whole) => return meaning_of_key(code, record.value),
            _ => {}
        }
        Meaning::Nothing
    }
}

fn meaning_of_key(code: u16, value: i32) -> Meaning {
    let state = match value {
        0 => KeyState::Released,
        1 => KeyState::Pressed,
        2 => KeyState::Repeated,
        _ => return Meaning::Nothing,
    };
    Direction::from_code(code).map_or(Meaning::Nothing, |direction| Meaning::Key(direction, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
        parts.iter().flat_map(|part| part.as_ref().to_vec()).collect()
    }

    fn record(kind: u16, code: u16, value: i32) -> Record {
        Record { time: Duration::ZERO, kind, code, value }
    }

    #[test]
    fn records_of_both_widths_are_taken_apart() {
        let tail = bytes_of(&[&1_u16.to_ne_bytes()[..], &103_u16.to_ne_bytes(), &2_i32.to_ne_bytes()]);
        let wide = bytes_of(&[&81_u64.to_ne_bytes()[..], &250_000_u64.to_ne_bytes(), &tail]);
        let narrow = bytes_of(&[&81_u32.to_ne_bytes()[..], &250_000_u32.to_ne_bytes(), &tail]);
        let expected = Record { time: Duration::from_millis(81_250), kind: EV_KEY, code: 103, value: 2 };
        for (bytes, long) in [(wide, 8), (narrow, 4)] {
            assert_eq!((bytes.len(), Record::decode(&bytes, long)), (record_bytes(long), Some(expected)));
            assert_eq!(Record::decode_datagram(&bytes), Some(expected));
            assert_eq!(Record::decode(&bytes[1..], long), None);
            assert_eq!(Record::decode_datagram(&bytes[1..]), None);
        }
    }

    #[test]
    fn the_layout_is_that_of_the_c_library_where_its_times_are_as_wide_as_the_kernels() {
        if size_of::<libc::time_t>() == LONG {
            assert_eq!(RECORD_BYTES, size_of::<libc::input_event>());
        }
    }

    #[test]
    fn keys_of_the_stick_have_a_meaning_and_others_have_none() {
        let mut flow = Flow::default();
        for (value, state) in [(1, KeyState::Pressed), (2, KeyState::Repeated), (0, KeyState::Released)] {
            assert_eq!(flow.handle(&record(EV_KEY, 28, value)), Meaning::Key(Direction::Middle, state));
        }
        for other in [record(EV_KEY, 30, 1), record(EV_KEY, 28, 3), record(EV_SYN, SYN_REPORT, 0), record(4, 4, 28)] {
            assert_eq!(flow.handle(&other), Meaning::Nothing, "{other:?}");
        }
    }

    #[test]
    fn what_follows_a_drop_counts_only_after_the_next_report() {
        let mut flow = Flow::default();
        let records =
            [(EV_SYN, SYN_DROPPED, 0), (EV_KEY, 103, 1), (EV_SYN, SYN_REPORT, 0), (EV_KEY, 103, 0), (EV_SYN, 0, 0)];
        let meanings = records.map(|(kind, code, value)| flow.handle(&record(kind, code, value)));
        let released = Meaning::Key(Direction::Up, KeyState::Released);
        let expected = [Meaning::Nothing, Meaning::Nothing, Meaning::Resumed, released, Meaning::Nothing];
        assert_eq!(meanings, expected);
    }
}
