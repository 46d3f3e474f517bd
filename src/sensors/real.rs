//! A real HAT: the bus is opened when it is there, and opened again when it was gone.

use std::time::Duration;

use super::bus::{Bus, BusError};
use super::hat::Hat;
use super::{Absence, Counts, Options, Readings, Reason};
use crate::base::backoff::Backoff;
use crate::base::clock::Monotonic;

/// Between attempts to open the bus.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Chips on `/dev/i2c-{bus}`, whether it exists at the moment or not.
#[derive(Debug)]
pub(super) struct RealHat {
    bus: u8,
    options: Options,
    state: State,
    open_at: Monotonic,
    retry: Backoff,
    /// What happened while the bus was not open.
    counts: Counts,
}

#[derive(Debug)]
enum State {
    Closed(Absence),
    Open(Box<Hat<Bus>>),
}

impl RealHat {
    pub(super) fn new(bus: u8, options: Options) -> Self {
        let retry = Backoff::new(RETRY_MIN, RETRY_MAX, bus.into());
        let text = "the bus has not been opened yet".to_owned();
        let state = State::Closed(Absence { reason: Reason::Starting, text, since: Monotonic::ZERO });
        Self { bus, options, state, open_at: Monotonic::ZERO, retry, counts: Counts::default() }
    }

    pub(super) fn sample(&mut self, now: Monotonic) -> Readings {
        if self.is_working() {
            self.retry.reset();
        } else if now >= self.open_at {
            self.open(now);
        }
        match &mut self.state {
            State::Open(hat) => hat.sample(now),
            State::Closed(absence) => Readings::of(|_| Some(Err(absence.clone()))),
        }
    }

    /// What happened since the start.
    pub(super) fn counts(&self) -> Counts {
        match &self.state {
            State::Open(hat) => self.counts.plus(&hat.counts()),
            State::Closed(_) => self.counts,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match &self.state {
            State::Open(hat) => hat.next_deadline(),
            State::Closed(_) => None,
        }
    }

    pub(super) fn set_options(&mut self, options: &Options) {
        self.options = options.clone();
        if let State::Open(hat) = &mut self.state {
            hat.set_options(options);
        }
    }

    /// Whether the bus is open and at least one chip can be talked to.
    fn is_working(&self) -> bool {
        matches!(&self.state, State::Open(hat) if !hat.is_lost())
    }

    /// Opens the bus, also in the place of one on which nobody answers any more: a device file that vanished and
    /// came back, with its adapter or its kernel module, needs a new handle.
    fn open(&mut self, now: Monotonic) {
        self.open_at = now + self.retry.next_wait();
        match (Bus::open(self.bus), &mut self.state) {
            (Ok(bus), State::Open(hat)) => hat.replace_bus(bus),
            (Ok(bus), state) => *state = State::Open(Box::new(Hat::new(bus, &self.options))),
            (Err(error), state) => {
                self.counts.count_error(error.reason());
                if let State::Open(hat) = state {
                    self.counts = self.counts.plus(&hat.counts());
                }
                *state = State::Closed(absence(&error, state, now));
            }
        }
    }
}

/// The absence that `error` means, since the moment it began.
fn absence(error: &BusError, state: &State, now: Monotonic) -> Absence {
    let reason = error.reason();
    let since = match state {
        State::Closed(absence) if absence.reason == reason => absence.since,
        _ => now,
    };
    Absence { reason, text: error.to_string(), since }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::{Quantity, SourceOptions};

    #[test]
    fn missing_bus_is_an_absence_with_its_first_moment_and_is_tried_again() {
        let options = Options::of(SourceOptions::I2c { bus: 251 });
        let mut hat = RealHat::new(251, options);
        let first = Monotonic::from_boot(Duration::from_secs(5));
        for second in 0..100 {
            let readings = hat.sample(first + Duration::from_secs(second));
            for quantity in Quantity::ALL {
                let absence = readings.get(quantity).unwrap().as_ref().unwrap_err();
                assert_eq!((absence.reason, absence.since), (Reason::NoBus, first));
                assert!(absence.text.contains("/dev/i2c-251"), "{}", absence.text);
            }
        }
        let counts = hat.counts().get(super::super::Chip::Lps25h);
        assert!((3..50).contains(&counts.errors(Reason::NoBus)), "{counts:?}");
        assert!(hat.open_at > first + Duration::from_secs(90), "{:?}", hat.open_at);
    }
}
