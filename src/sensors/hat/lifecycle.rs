//! How far one chip is.
//!
//! | phase | what a step does | next |
//! |---|---|---|
//! | down until `at` | identity and configuration | settling; on failure down, with backoff |
//! | settling until 100 ms later | calibration | running |
//! | running | one burst; calibration again, with backoff, while it is useless | down when the chip falls silent |
//!
//! A chip that converted and then fell silent, because it was reset or switched off behind our back, is set up again
//! in the same step; one that never converted after its set-up waits.

use std::time::Duration;

use embedded_hal::i2c::I2c;

use super::health::{Health, reason_of_driver};
use super::part::Part;
use crate::base::backoff::Backoff;
use crate::base::clock::Monotonic;
use crate::sensors::bus::BusError;
use crate::sensors::chip::Chip;
use crate::sensors::error::DriverError;
use crate::sensors::{Reading, Reason};

/// From power-up until the calibration can be read; before, it may read as zeros.
const SETTLING: Duration = Duration::from_millis(100);
/// Conversions for which a value stays valid.
const VALID_CONVERSIONS: u32 = 3;
/// Between attempts to set a chip up.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down { at: Monotonic },
    Settling { until: Monotonic },
    Running { since: Monotonic, settle_at: Option<Monotonic> },
}

/// One chip with its `N` quantities.
#[derive(Debug)]
pub(super) struct Lifecycle<P, const N: usize> {
    chip: Chip,
    part: P,
    phase: Phase,
    health: [Health; N],
    measured_at: Monotonic,
    bus_failed: bool,
    retry: Backoff,
    settle_retry: Backoff,
}

impl<P: Part<N>, const N: usize> Lifecycle<P, N> {
    pub(super) fn new(chip: Chip, part: P) -> Self {
        let backoff = Backoff::new(RETRY_MIN, RETRY_MAX, chip.address().into());
        Self {
            chip,
            part,
            phase: Phase::Down { at: Monotonic::ZERO },
            health: std::array::from_fn(|_| Health::default()),
            measured_at: Monotonic::ZERO,
            bus_failed: false,
            retry: backoff.clone(),
            settle_retry: backoff,
        }
    }

    /// Does what is due.
    pub(super) fn step<I: I2c<Error = BusError>>(&mut self, i2c: &mut I, now: Monotonic) {
        if let Err(error) = self.try_step(i2c, now) {
            self.fail(&error, now);
        }
    }

    /// What is known now.
    pub(super) fn readings(&mut self, now: Monotonic) -> [Reading; N] {
        let (chip, valid_for) = (self.chip, self.valid_for());
        self.health.each_mut().map(|health| health.reading(chip, valid_for, now))
    }

    /// While the chip starts up: when a step brings something new.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match self.phase {
            _ if !self.health.iter().any(Health::is_starting) => None,
            Phase::Down { at } => Some(at),
            Phase::Settling { until } => Some(until),
            Phase::Running { .. } => Some(self.measured_at + self.part.period() / 4),
        }
    }

    /// Goes on with other settings, from the set-up on.
    pub(super) fn restart(&mut self, part: P) {
        self.part = part;
        if !matches!(self.phase, Phase::Down { .. }) {
            self.phase = Phase::Down { at: Monotonic::ZERO };
        }
    }

    /// Whether the last step ended with a failure of the bus.
    pub(super) fn is_lost(&self) -> bool {
        self.bus_failed
    }

    fn try_step<I: I2c<Error = BusError>>(&mut self, i2c: &mut I, now: Monotonic) -> Result<(), DriverError<BusError>> {
        self.settle_if_due(i2c, now)?;
        self.measure_if_running(i2c, now)?;
        self.initialise_if_due(i2c, now)
    }

    fn settle_if_due<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        let since = match self.phase {
            Phase::Settling { until } if now >= until => now,
            Phase::Running { since, settle_at: Some(at) } if now >= at => since,
            _ => return Ok(()),
        };
        let makes_sense = self.part.settle(i2c)?;
        if makes_sense {
            self.settle_retry.reset();
        }
        let settle_at = (!makes_sense).then(|| now + self.settle_retry.next_wait());
        self.phase = Phase::Running { since, settle_at };
        Ok(())
    }

    fn measure_if_running<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        let Phase::Running { since, .. } = self.phase else { return Ok(()) };
        self.measured_at = now;
        let fresh = self.part.measure(i2c)?;
        self.bus_failed = false;
        for (health, fresh) in self.health.iter_mut().zip(fresh) {
            if health.take(fresh, now) {
                self.retry.reset();
            }
        }
        self.check_silence(since, now);
        Ok(())
    }

    /// Takes a chip down of which a quantity was not converted for three conversions.
    fn check_silence(&mut self, since: Monotonic, now: Monotonic) {
        let valid_for = self.valid_for();
        let text = format!("{} stopped converting: nothing new in {} ms", self.chip, valid_for.as_millis());
        let (mut silent, mut had_converted) = (false, true);
        for health in &mut self.health {
            let heard_at = health.heard_since(since);
            if now.since(heard_at.unwrap_or(since)) > valid_for {
                health.set_absent(Reason::Stale, &text, now);
                silent = true;
                had_converted &= heard_at.is_some();
            }
        }
        if silent {
            let wait = if had_converted { Duration::ZERO } else { self.retry.next_wait() };
            self.phase = Phase::Down { at: now + wait };
        }
    }

    fn initialise_if_due<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        if matches!(self.phase, Phase::Down { at } if now >= at) {
            self.part.initialise(i2c)?;
            self.bus_failed = false;
            self.phase = Phase::Settling { until: now + SETTLING };
        }
        Ok(())
    }

    fn fail(&mut self, error: &DriverError<BusError>, now: Monotonic) {
        self.bus_failed = !matches!(error, DriverError::Identity { .. });
        self.phase = Phase::Down { at: now + self.retry.next_wait() };
        let (reason, text) = (reason_of_driver(error), error.to_string());
        for health in &mut self.health {
            health.set_absent(reason, &text, now);
        }
    }

    fn valid_for(&self) -> Duration {
        self.part.period() * VALID_CONVERSIONS
    }
}
