//! What was recorded, as it is said at the end.

use std::fmt;
use std::time::Duration;

use crate::base::clock::Monotonic;
use crate::sensors::{MEASURED, Readings};

/// Counts records, and what is missing in them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: u64,
    first: Option<Monotonic>,
    last: Monotonic,
    missed: u64,
    /// Records without a value, in the order of [`MEASURED`].
    absent: [u64; MEASURED.len()],
}

impl Tally {
    /// One more record, taken at `now`.
    pub(super) fn count(&mut self, readings: &Readings, now: Monotonic) {
        self.records += 1;
        self.first.get_or_insert(now);
        self.last = now;
        for (quantity, absent) in MEASURED.into_iter().zip(&mut self.absent) {
            let has_value = readings.get(quantity).is_some_and(Result::is_ok);
            *absent += u64::from(!has_value);
        }
    }

    /// Whether there is one.
    pub(super) const fn has_records(&self) -> bool {
        self.first.is_some()
    }

    /// So many records could not be taken in their time.
    pub(super) const fn set_missed(&mut self, missed: u64) {
        self.missed = missed;
    }

    fn duration(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| self.last.since(first))
    }
}

/// `60 records over 59s, 2 left out because the source was late; no pressure in 3`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = if self.records == 1 { "record" } else { "records" };
        let milliseconds = u64::try_from(self.duration().as_millis()).unwrap_or(u64::MAX);
        let duration = humantime::format_duration(Duration::from_millis(milliseconds));
        write!(f, "{} {records} over {duration}, ", self.records)?;
        match self.missed {
            0 => write!(f, "no gaps")?,
            missed => write!(f, "{missed} left out because the source was late")?,
        }
        let mut absent = MEASURED.into_iter().zip(self.absent).filter(|(_, absent)| *absent > 0);
        absent.try_for_each(|(quantity, absent)| write!(f, "; no {quantity} in {absent}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::{Absence, Quantity, Reason};

    #[test]
    fn records_duration_and_what_is_missing_are_told() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0 records over 0s, no gaps");
        for second in 0..60 {
            let now = Monotonic::from_boot(Duration::from_secs(100 + second));
            let readings = Readings::of(|quantity| match quantity {
                Quantity::Pressure if second < 3 => {
                    Some(Err(Absence { reason: Reason::NoChip, text: String::new(), since: now }))
                }
                _ => Some(Ok(1.0)),
            });
            tally.count(&readings, now);
        }
        assert_eq!(tally.to_string(), "60 records over 59s, no gaps; no pressure in 3");
        tally.set_missed(2);
        let expected = "60 records over 59s, 2 left out because the source was late; no pressure in 3";
        assert_eq!(tally.to_string(), expected);
    }
}
