//! The only reader of real time. Everything else is handed a [`Monotonic`] or a [`Wall`].

use std::fmt;
use std::ops::{Add, Sub};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::sys;

/// A moment on the clock that never jumps: time since the machine booted, sleep included.
///
/// Two processes of one boot agree on it; it says nothing about the date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The moment of boot, and where virtual time starts in tests.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment that lies `since_boot` after the boot.
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since the boot.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Time since the boot in milliseconds, as it is counted and written.
    pub fn since_boot_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl Sub for Monotonic {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00:00Z. It may jump, and may be wrong after boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall {
    unix_ms: i64,
}

impl Wall {
    /// The moment `unix_ms` milliseconds after the epoch.
    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        Self { unix_ms }
    }

    /// Milliseconds since the epoch.
    pub const fn unix_ms(self) -> i64 {
        self.unix_ms
    }

    /// The wall clock's time at `moment`, which lies before or after `now`, when it says this.
    #[must_use]
    pub fn of(self, moment: Monotonic, now: Monotonic) -> Self {
        let milliseconds = |moment: Monotonic| i64::try_from(moment.since_boot_ms()).unwrap_or(i64::MAX);
        let distance_ms = milliseconds(moment).saturating_sub(milliseconds(now));
        Self { unix_ms: self.unix_ms.saturating_add(distance_ms) }
    }
}

/// RFC 3339 with milliseconds, in UTC: `2026-11-22T19:55:31.250Z`. A moment before 1970 is shown as 1970.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = Duration::from_millis(u64::try_from(self.unix_ms).unwrap_or(0));
        humantime::format_rfc3339_millis(UNIX_EPOCH + since_epoch).fmt(f)
    }
}

/// Reads the clock that never jumps (`CLOCK_BOOTTIME`).
pub fn monotonic() -> Monotonic {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Monotonic(Duration::new(seconds, nanoseconds))
}

/// Reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads it")]
pub fn wall() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall { unix_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX) }
}

/// Whether the wall clock is known to be right. A Pi has no battery clock: until somebody has set it from the network
/// its date is a guess.
///
/// Known by the flag file of systemd-timesyncd (systemd-timesyncd.service(8), "Files"), or by the kernel (adjtimex(2)),
/// which is told by chrony and ntpd as well and takes it back when nobody renews it for some hours. A sandbox with
/// `ProtectClock=` forbids to ask the kernel: then the flag alone counts.
pub fn is_synchronised() -> bool {
    is_known_right(Path::new("/run/systemd/timesync/synchronized").exists(), sys::clock_status())
}

/// The decision of [`is_synchronised`]; `status` is what the kernel says, where it may be asked.
fn is_known_right(has_flag: bool, status: Option<i32>) -> bool {
    has_flag || status.is_some_and(|bits| bits & sys::CLOCK_UNSYNCHRONISED == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_goes_forward_and_differences_never_go_below_zero() {
        let first = monotonic();
        let second = monotonic();
        assert!(second >= first);
        assert_eq!(first - (second + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn wall_time_is_shown_as_rfc_3339() {
        assert_eq!(Wall::from_unix_ms(1_795_377_331_250).to_string(), "2026-11-22T19:55:31.250Z");
        assert_eq!(Wall::from_unix_ms(-5).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_wall_clock_is_believed_by_the_flag_or_by_the_kernel() {
        // bits that say nothing of it: STA_PLL, STA_FREQHOLD, STA_NANO
        let other_bits = 0x0001 | 0x0080 | 0x2000;
        assert!(is_known_right(false, Some(0)));
        assert!(is_known_right(false, Some(other_bits)));
        assert!(!is_known_right(false, Some(sys::CLOCK_UNSYNCHRONISED)));
        assert!(!is_known_right(false, Some(sys::CLOCK_UNSYNCHRONISED | other_bits)));
        assert!(!is_known_right(false, None), "the kernel may not be asked");
        assert!(is_known_right(true, None));
        assert!(is_known_right(true, Some(sys::CLOCK_UNSYNCHRONISED)));
    }
}
