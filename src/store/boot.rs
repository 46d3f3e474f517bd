//! Moments that outlive the boot whose clock they were read from.
//!
//! A row holds a moment as one number: the key of a boot, times 2^43, plus the milliseconds since that boot. A row of
//! `boot` says where on the wall clock that boot lies, so that a later boot can tell the moment again. Within one boot
//! moments are told exactly, whatever happens to the wall clock.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::error::StoreError;
use super::table::BOOT;
use crate::base::clock::{Monotonic, Wall};
use crate::base::ids::BootId;

/// Bits of the milliseconds: 278 years.
const MS_BITS: u32 = 43;

/// Keys of boots; so many that one which is lost is hardly given again.
const KEYS: i64 = 1 << 20;

/// What [`BootId::read`] gives where there is none: no two of them are known to be the same.
const UNKNOWN: &str = "unknown";

/// How far the wall clock moves against the other one before that is written down: less is the work of a clock that is
/// kept right.
const OFFSET_MS_MAX: u64 = 1_000;

/// Rows of `boot` at which those are sought that nothing refers to. Each search reads every table.
const BOOTS_MAX: i64 = 32;

/// Removes boots that nothing refers to, but for the last sixteen: the offset is when a boot began.
const FORGET: &str = "
DELETE FROM boot
WHERE id NOT IN (SELECT id FROM boot ORDER BY offset_ms DESC LIMIT 16) AND id NOT IN (
  SELECT ends >> 43 FROM session WHERE ends IS NOT NULL
  UNION SELECT expires >> 43 FROM delivery WHERE expires IS NOT NULL
  UNION SELECT expires >> 43 FROM message WHERE expires IS NOT NULL
  UNION SELECT expires >> 43 FROM retained WHERE expires IS NOT NULL
  UNION SELECT due >> 43 FROM will WHERE due IS NOT NULL
)";

/// Both clocks at one moment, and the boot that the monotonic one counts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The present boot.
    pub boot_id: BootId,
    /// The clock that never jumps.
    pub monotonic: Monotonic,
    /// The wall clock at the same moment. It may be wrong until it is set; see [`Store::note_time`].
    ///
    /// [`Store::note_time`]: super::Store::note_time
    pub wall: Wall,
}

impl Clocks {
    /// Where on the wall clock the boot lies.
    pub(super) fn offset_ms(&self) -> i64 {
        self.wall.unix_ms().saturating_sub(milliseconds(self.monotonic))
    }
}

/// The boots that moments are kept by.
#[derive(Debug)]
pub(super) struct Boots {
    boot_id: BootId,
    /// Key of the present one.
    key: i64,
    /// Of the present one, as the clocks say now.
    offset_ms: i64,
    /// Of the present one, on disk.
    written_ms: Option<i64>,
    /// Of those before it.
    earlier: HashMap<i64, i64>,
}

impl Boots {
    /// Only the present boot is known.
    pub(super) fn new(clocks: &Clocks) -> Self {
        let key = i64::from(crc32fast::hash(clocks.boot_id.as_str().as_bytes())) % KEYS;
        let (boot_id, offset_ms) = (clocks.boot_id.clone(), clocks.offset_ms());
        Self { boot_id, key, offset_ms, written_ms: None, earlier: HashMap::new() }
    }

    /// Takes in a row of `BOOT.select`; `None` when it makes no sense.
    pub(super) fn note(&mut self, id: i64, row: &Row<'_>) -> Option<()> {
        let boot_id = row.get_ref(1).ok()?.as_str().ok()?;
        let offset_ms = row.get_ref(2).ok()?.as_i64().ok()?;
        if boot_id == self.boot_id.as_str() && boot_id != UNKNOWN {
            (self.key, self.written_ms) = (id, Some(offset_ms));
        } else {
            self.earlier.insert(id, offset_ms);
        }
        Some(())
    }

    /// Sees to it, behind the last row, that the present boot has a key of its own.
    pub(super) fn settle(&mut self) {
        while self.earlier.contains_key(&self.key) {
            self.key = (self.key + 1) % KEYS;
        }
    }

    /// What the clocks say now.
    pub(super) fn set_offset(&mut self, offset_ms: i64) {
        self.offset_ms = offset_ms;
    }

    /// A moment of the present boot as it is written, rounded up to milliseconds: nothing ends too early.
    pub(super) fn pack(&self, moment: Monotonic) -> i64 {
        let ms = milliseconds(moment + Duration::from_nanos(999_999)).min((1 << MS_BITS) - 1);
        self.key << MS_BITS | ms
    }

    /// The way back, on the clock of the present boot; not before it. `None` when nobody knows any more when that boot
    /// was.
    pub(super) fn unpack(&self, packed: i64) -> Option<Monotonic> {
        let (key, ms) = (packed >> MS_BITS, packed & ((1 << MS_BITS) - 1));
        let moved_ms = if key == self.key { 0 } else { self.earlier.get(&key)?.saturating_sub(self.offset_ms) };
        let ms = u64::try_from(ms.saturating_add(moved_ms)).unwrap_or(0);
        Some(Monotonic::from_boot(Duration::from_millis(ms)))
    }

    /// Writes when the present boot was, if that is not on disk or has changed there. Gives what is written.
    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        if self.written_ms.is_some_and(|written_ms| written_ms.abs_diff(self.offset_ms) <= OFFSET_MS_MAX) {
            return Ok(None);
        }
        let boot_id = ValueRef::Text(self.boot_id.as_str().as_bytes());
        let values = [ValueRef::Integer(self.key), boot_id, ValueRef::Integer(self.offset_ms)];
        BOOT.put(connection, &values, None)?;
        Ok(Some(self.offset_ms))
    }

    /// The present boot is on disk so.
    pub(super) fn set_written(&mut self, offset_ms: i64) {
        self.written_ms = Some(offset_ms);
    }
}

fn milliseconds(moment: Monotonic) -> i64 {
    i64::try_from(moment.since_boot().as_millis()).unwrap_or(i64::MAX)
}

/// Removes boots that nothing refers to any more, when they have become many.
pub(super) fn forget(connection: &Connection) -> Result<(), StoreError> {
    let count: i64 = connection.query_row("SELECT count(*) FROM boot", [], |row| row.get(0))?;
    if count <= BOOTS_MAX {
        return Ok(());
    }
    match connection.execute_batch(FORGET).map_err(StoreError::from) {
        // they stay until there is room
        Err(StoreError::Full) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(boot_id: &str, monotonic_s: u64, unix_s: i64) -> Clocks {
        let monotonic = Monotonic::from_boot(Duration::from_secs(monotonic_s));
        Clocks { boot_id: BootId::new(boot_id), monotonic, wall: Wall::from_unix_ms(unix_s * 1000) }
    }

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(ms))
    }

    #[test]
    fn a_moment_of_this_boot_comes_back_as_it_was_and_never_earlier() {
        let boots = Boots::new(&clocks("a", 100, 1_000_000));
        for ms in [0, 1, 123_456, (1 << MS_BITS) - 1] {
            assert_eq!(boots.unpack(boots.pack(at(ms))), Some(at(ms)));
        }
        assert_eq!(boots.unpack(boots.pack(at(7) + Duration::from_nanos(1))), Some(at(8)));
        assert_eq!(boots.unpack(boots.pack(Monotonic::from_boot(Duration::MAX))), Some(at((1 << MS_BITS) - 1)));
    }

    #[test]
    fn a_moment_of_an_earlier_boot_is_told_by_the_wall_clock_and_not_before_this_one() {
        let first = Boots::new(&clocks("a", 100, 1_000_100));
        let mut second = Boots::new(&clocks("b", 10, 1_000_510));
        // the first boot was at 1 000 000, the second at 1 000 500
        second.earlier.insert(first.key, first.offset_ms);
        assert_eq!(second.unpack(first.pack(at(600_000))), Some(at(100_000)));
        assert_eq!(second.unpack(first.pack(at(400_000))), Some(at(0)));
        second.set_offset(999_999_000);
        assert_eq!(second.unpack(first.pack(at(600_000))), Some(at(601_000)));
    }

    #[test]
    fn a_moment_of_a_boot_that_nobody_knows_is_none() {
        let first = Boots::new(&clocks("a", 0, 0));
        assert_eq!(Boots::new(&clocks("b", 0, 0)).unpack(first.pack(at(5))), None);
    }

    #[test]
    fn a_key_that_another_boot_has_is_passed_over() {
        let mut boots = Boots::new(&clocks("a", 0, 0));
        let taken = boots.key;
        boots.earlier.insert(taken, 0);
        boots.settle();
        assert_eq!(boots.key, (taken + 1) % KEYS);
    }
}
