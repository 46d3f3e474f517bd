//! Since when each quantity has had a value.

use crate::base::clock::Monotonic;
use crate::sensors::{Quantity, Readings};

/// When each quantity's present run of values began; its absence tells its own beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidSince([Option<Monotonic>; Quantity::ALL.len()]);

impl ValidSince {
    /// Takes in the next cycle's readings.
    pub fn handle_readings(&mut self, readings: &Readings, now: Monotonic) {
        for (quantity, since) in Quantity::ALL.into_iter().zip(&mut self.0) {
            let is_valid = matches!(readings.get(quantity), Some(Ok(_)));
            *since = is_valid.then(|| since.unwrap_or(now));
        }
    }

    /// When the run of values began that goes on; `None` for a quantity that is absent or not wanted.
    pub fn get(&self, quantity: Quantity) -> Option<Monotonic> {
        Quantity::ALL.into_iter().zip(self.0).find_map(|(of, since)| if of == quantity { since } else { None })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::sample::tests::absent;
    use crate::sensors::Reason;

    #[test]
    fn a_run_begins_with_its_first_value_and_ends_with_an_absence() {
        let mut since = ValidSince::default();
        let at = |second| Monotonic::from_boot(Duration::from_secs(second));
        let mut take = |second, is_valid: bool| {
            since.handle_readings(
                &Readings::new(|_| if is_valid { Ok(1.0) } else { absent(Reason::NoChip, 0) }),
                at(second),
            );
            since.get(Quantity::Humidity)
        };
        assert_eq!([take(1, true), take(2, true)], [Some(at(1)); 2]);
        assert_eq!(take(3, false), None);
        assert_eq!(take(4, true), Some(at(4)));
        assert_eq!(since.get(Quantity::DewPoint), None);
    }
}
