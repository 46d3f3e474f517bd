//! How far one chip is.
//!
//! | phase | what a step does | next |
//! |---|---|---|
//! | down until `at` | identity and configuration | settling; on failure down, with backoff |
//! | settling until 100 ms later | calibration | running |
//! | running | one burst; calibration again, with backoff, while it is useless | down when the chip falls silent |
//!
//! Every ten seconds of running the control registers are read back; a chip that is not set as it was is down too.
//!
//! A chip that converted and then fell silent, because it was switched off behind our back, is set up again in the
//! same step, and so is one that was reset or set otherwise; one that never converted after its set-up waits.

use std::time::Duration;

use embedded_hal::i2c::I2c;

use super::health::{Health, reason_of_driver};
use super::part::{Fresh, Part};
use crate::base::backoff::Backoff;
use crate::base::clock::Monotonic;
use crate::sensors::bus::BusError;
use crate::sensors::chip::Chip;
use crate::sensors::error::DriverError;
use crate::sensors::{ChipCounts, Reading, Reason};

/// From power-up until the calibration can be read; before, it may read as zeros.
const SETTLING: Duration = Duration::from_millis(100);
/// Conversions for which a value stays valid.
const VALID_CONVERSIONS: u32 = 3;
/// Between two looks at the control registers, and for a kernel driver on the chip.
const READ_BACK_INTERVAL: Duration = Duration::from_secs(10);
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
    read_back_at: Monotonic,
    counts: ChipCounts,
    /// Something failed since every quantity had a value.
    is_recovering: bool,
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
            read_back_at: Monotonic::ZERO,
            counts: ChipCounts::default(),
            is_recovering: false,
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

    /// What happened since the start.
    pub(super) fn counts(&self) -> ChipCounts {
        self.counts
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
        self.read_back_if_due(i2c, now)?;
        self.measure_if_running(i2c, now)?;
        self.initialise_if_due(i2c, now)
    }

    fn settle_if_due<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        let since = match self.phase {
            Phase::Settling { until } if now >= until => {
                self.read_back_at = now + READ_BACK_INTERVAL;
                now
            }
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
        self.counts.reads += 1;
        for (health, fresh) in self.health.iter_mut().zip(fresh) {
            if let Fresh::Converted(Err(error)) = &fresh {
                self.counts.count_error(error.reason());
                self.is_recovering = true;
            }
            if health.take(fresh, now) {
                self.retry.reset();
            }
        }
        self.count_recovery();
        if self.has_fallen_silent(since, now) {
            self.handle_silence(i2c, since, now)?;
        }
        Ok(())
    }

    fn count_recovery(&mut self) {
        if self.is_recovering && self.health.iter().all(Health::has_value) {
            self.is_recovering = false;
            self.counts.recoveries += 1;
        }
    }

    /// Takes the chip down when it is not set as it was, and its values with it: nobody knows what they mean.
    fn read_back_if_due<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        if !matches!(self.phase, Phase::Running { .. }) || now < self.read_back_at {
            return Ok(());
        }
        self.read_back_at = now + READ_BACK_INTERVAL;
        if let Some(changed) = self.part.read_back(i2c)? {
            self.withdraw(Reason::Reset, &changed.to_string(), now);
            self.phase = Phase::Down { at: now };
        }
        Ok(())
    }

    /// There is no value any more, for one failure.
    fn withdraw(&mut self, reason: Reason, text: &str, now: Monotonic) {
        self.count_failure(reason);
        for health in &mut self.health {
            health.set_absent(reason, text, now);
        }
    }

    fn count_failure(&mut self, reason: Reason) {
        self.counts.count_error(reason);
        self.is_recovering = true;
    }

    /// Whether a quantity was not converted for three conversions.
    fn has_fallen_silent(&self, since: Monotonic, now: Monotonic) -> bool {
        self.health.iter().any(|health| health.is_silent(since, now, self.valid_for()))
    }

    /// Takes the chip down, with what its control registers say of the cause.
    fn handle_silence<I: I2c<Error = BusError>>(
        &mut self,
        i2c: &mut I,
        since: Monotonic,
        now: Monotonic,
    ) -> Result<(), DriverError<BusError>> {
        let valid_for = self.valid_for();
        let (reason, text) = match self.part.read_back(i2c)? {
            Some(changed) => (Reason::Reset, changed.to_string()),
            None => (
                Reason::Stale,
                format!("{} stopped converting: nothing new in {} ms", self.chip, valid_for.as_millis()),
            ),
        };
        self.count_failure(reason);
        let mut had_converted = true;
        for health in self.health.iter_mut().filter(|health| health.is_silent(since, now, valid_for)) {
            had_converted &= health.heard_since(since).is_some();
            health.set_absent(reason, &text, now);
        }
        let wait = if had_converted { Duration::ZERO } else { self.retry.next_wait() };
        self.phase = Phase::Down { at: now + wait };
        Ok(())
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
        self.withdraw(reason_of_driver(error), &error.to_string(), now);
    }

    fn valid_for(&self) -> Duration {
        self.part.period() * VALID_CONVERSIONS
    }
}
