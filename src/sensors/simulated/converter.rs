//! When conversions are done.

use std::time::Duration;

use crate::base::clock::Monotonic;

/// The moments at which one chip finishes converting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Converter {
    next: Option<Monotonic>,
    period: Option<Duration>,
}

/// Conversions that were finished since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// When the last of them was.
    pub(super) at: Monotonic,
    /// Whether there were others before it, which nobody saw.
    pub(super) several: bool,
}

impl Converter {
    /// One conversion is done `first` from now, then one every `period`; without a period there is only the one.
    pub(super) fn start(&mut self, now: Monotonic, first: Duration, period: Option<Duration>) {
        *self = Self { next: Some(now + first), period };
    }

    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// What was finished by `now`. The cost does not depend on how long that was.
    pub(super) fn take(&mut self, now: Monotonic) -> Option<Finished> {
        let first = self.next.filter(|&next| next <= now)?;
        let Some(period) = self.period else {
            self.next = None;
            return Some(Finished { at: first, several: false });
        };
        let into_period = now.since(first).as_nanos() % period.as_nanos().max(1);
        let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(0));
        let at = first + (now.since(first).saturating_sub(into_period));
        self.next = Some(at + period);
        Some(Finished { at, several: at > first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(ms))
    }

    #[test]
    fn periodic_conversions_keep_their_beat_however_seldom_one_looks() {
        let mut converter = Converter::default();
        converter.start(at(0), Duration::from_millis(30), Some(Duration::from_millis(100)));
        assert_eq!(converter.take(at(29)), None);
        assert_eq!(converter.take(at(30)), Some(Finished { at: at(30), several: false }));
        assert_eq!(converter.take(at(129)), None);
        assert_eq!(converter.take(at(5_075)), Some(Finished { at: at(5_030), several: true }));
        assert_eq!(converter.take(at(5_130)), Some(Finished { at: at(5_130), several: false }));
    }

    #[test]
    fn single_conversion_is_done_once() {
        let mut converter = Converter::default();
        converter.start(at(0), Duration::from_millis(30), None);
        assert_eq!(converter.take(at(500)), Some(Finished { at: at(30), several: false }));
        assert_eq!(converter.take(at(1000)), None);
    }
}
