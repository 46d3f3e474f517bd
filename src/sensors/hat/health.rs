//! One quantity: its last value, or why there is none.

use std::time::Duration;

use super::part::Fresh;
use crate::base::clock::Monotonic;
use crate::sensors::bus::BusError;
use crate::sensors::chip::Chip;
use crate::sensors::error::DriverError;
use crate::sensors::{Absence, Reading, Reason};

/// One quantity's health. An absence stays, with its first moment, until a value or another reason takes its place:
/// an attempt to set the chip up again does not end it.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    latest: Option<(f64, Monotonic)>,
    absence: Option<Absence>,
    heard_at: Option<Monotonic>,
}

impl Health {
    /// Takes in what a burst said at `now`; true for a value.
    pub(super) fn take(&mut self, fresh: Fresh, now: Monotonic) -> bool {
        if fresh != Fresh::Nothing {
            self.heard_at = Some(now);
        }
        match fresh {
            Fresh::Nothing | Fresh::Withheld => false,
            Fresh::Converted(Ok(value)) => {
                self.latest = Some((value, now));
                self.absence = None;
                true
            }
            Fresh::Converted(Err(error)) => {
                self.set_absent(error.reason(), &error.to_string(), now);
                false
            }
        }
    }

    /// There is no value any more.
    pub(super) fn set_absent(&mut self, reason: Reason, text: &str, now: Monotonic) {
        self.latest = None;
        let since = self.absence.as_ref().filter(|absence| absence.reason == reason).map_or(now, |same| same.since);
        self.absence = Some(Absence { reason, text: text.to_owned(), since });
    }

    /// When the chip converted last, if it did at or after `since`.
    pub(super) fn heard_since(&self, since: Monotonic) -> Option<Monotonic> {
        self.heard_at.filter(|&heard_at| heard_at >= since)
    }

    /// Whether the chip, running since `since`, converted nothing for longer than `valid_for`.
    pub(super) fn is_silent(&self, since: Monotonic, now: Monotonic, valid_for: Duration) -> bool {
        now.since(self.heard_since(since).unwrap_or(since)) > valid_for
    }

    /// Whether there is a value.
    pub(super) fn has_value(&self) -> bool {
        self.latest.is_some()
    }

    /// Whether neither a value nor a fault is known yet.
    pub(super) fn is_starting(&self) -> bool {
        self.latest.is_none() && self.absence.as_ref().is_none_or(|absence| absence.reason == Reason::Starting)
    }

    /// The last value while it is at most `valid_for` old, else the absence.
    pub(super) fn reading(&mut self, chip: Chip, valid_for: Duration, now: Monotonic) -> Reading {
        match self.latest {
            Some((value, taken_at)) if now.since(taken_at) <= valid_for => Ok(value),
            _ => Err(self.absence_or_starting(chip, now)),
        }
    }

    fn absence_or_starting(&mut self, chip: Chip, now: Monotonic) -> Absence {
        if self.absence.is_none() {
            self.set_absent(Reason::Starting, &format!("{chip} has just been set up"), now);
        }
        self.absence.clone().unwrap_or(Absence { reason: Reason::Starting, text: String::new(), since: now })
    }
}

/// The class of a driver's failure.
pub(super) fn reason_of_driver(error: &DriverError<BusError>) -> Reason {
    match error {
        DriverError::Read { cause, .. } | DriverError::Write { cause, .. } | DriverError::Select { cause, .. } => {
            cause.reason()
        }
        DriverError::Identity { .. } => Reason::WrongIdentity,
        DriverError::StuckLine { .. } => Reason::Bus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID_FOR: Duration = Duration::from_millis(240);

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(ms))
    }

    fn read(health: &mut Health, ms: u64) -> Reading {
        health.reading(Chip::Hts221, VALID_FOR, at(ms))
    }

    #[test]
    fn value_ages_and_is_then_absent() {
        let mut health = Health::default();
        assert!(health.take(Fresh::Converted(Ok(21.5)), at(1000)));
        assert_eq!(read(&mut health, 1240), Ok(21.5));
        assert!(read(&mut health, 1241).is_err());
    }

    #[test]
    fn absence_keeps_its_first_moment_while_the_reason_stays() {
        let mut health = Health::default();
        health.set_absent(Reason::NoChip, "first", at(1));
        health.set_absent(Reason::NoChip, "second", at(2));
        let absence = read(&mut health, 3).unwrap_err();
        assert_eq!((absence.since, absence.text.as_str()), (at(1), "second"));
        health.set_absent(Reason::Stale, "third", at(4));
        assert_eq!(read(&mut health, 5).unwrap_err().since, at(4));
    }

    #[test]
    fn withheld_value_counts_as_heard_and_is_not_shown() {
        let mut health = Health::default();
        assert!(!health.take(Fresh::Withheld, at(5)));
        assert_eq!(health.heard_since(at(5)), Some(at(5)));
        assert_eq!(read(&mut health, 5).unwrap_err().reason, Reason::Starting);
    }
}
