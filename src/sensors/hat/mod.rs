//! Both chips over one bus to one set of readings.
//!
//! - Holds for each chip how far it is (down, settling, running), and for each quantity its last value or why there
//!   is none.
//! - Never enters: waiting. A start-up is a state machine with deadlines; a call does what is due and returns.
//! - Uses the two drivers and `base`.
//! - Follows law "valid or absent": a value is published for three conversions of its chip, then it is absent.
//!
//! Start reading at [`Hat::sample`], then `lifecycle`, which is the same for both chips; `part` is where they differ.

mod health;
mod lifecycle;
mod part;
#[cfg(test)]
mod tests;

use embedded_hal::i2c::I2c;

use self::lifecycle::Lifecycle;
use self::part::Pressure;
use super::bus::BusError;
use super::chip::Chip;
use super::hts221::{self, Hts221};
use super::lps25h::{self, Lps25h};
use super::{Counts, Options, Quantity, Readings};
use crate::base::clock::Monotonic;

/// Both chips behind one bus. One chip missing leaves the other going.
#[derive(Debug)]
pub struct Hat<I2C> {
    i2c: I2C,
    settings: (hts221::Settings, lps25h::Settings),
    hts221: Lifecycle<Hts221, 2>,
    lps25h: Lifecycle<Pressure, 2>,
}

impl<I2C: I2c<Error = BusError>> Hat<I2C> {
    /// A HAT that nobody has talked to yet; the chips will convert at the rate next above one in `options.interval`.
    pub fn new(i2c: I2C, options: &Options) -> Self {
        let (hts221, lps25h) = settings(options);
        Self {
            i2c,
            settings: (hts221, lps25h),
            hts221: Lifecycle::new(Chip::Hts221, Hts221::new(hts221)),
            lps25h: Lifecycle::new(Chip::Lps25h, Pressure::new(Lps25h::new(lps25h))),
        }
    }

    /// Does what is due with each chip and tells what is known now.
    ///
    /// It never waits: it takes as long as its transactions, which are two for two running chips (about 1.7 ms at
    /// 100 kHz), eleven more every ten seconds, and up to a second each on a bus that hangs. It never fails: each
    /// quantity is valid, or absent with the reason and since when. The first call sets the chips up, so values come
    /// with a later one; see [`Self::next_deadline`].
    pub fn sample(&mut self, now: Monotonic) -> Readings {
        self.hts221.step(&mut self.i2c, now);
        self.lps25h.step(&mut self.i2c, now);
        let [temperature, humidity] = self.hts221.readings(now);
        let [pressure, temperature_beside_pressure] = self.lps25h.readings(now);
        Readings::of(|quantity| match quantity {
            Quantity::Temperature | Quantity::TemperatureFromHumidity => Some(temperature.clone()),
            Quantity::Pressure => Some(pressure.clone()),
            Quantity::Humidity => Some(humidity.clone()),
            Quantity::TemperatureFromPressure => Some(temperature_beside_pressure.clone()),
            _ => None,
        })
    }

    /// What happened with both chips since the start.
    pub fn counts(&self) -> Counts {
        Counts::of(|chip| match chip {
            Chip::Hts221 => self.hts221.counts(),
            Chip::Lps25h => self.lps25h.counts(),
        })
    }

    /// While a chip starts up: when the next call of [`Self::sample`] finds it further. `None` once every quantity
    /// has had a value or a fault; from then on the sampling interval is all that counts.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.hts221.next_deadline().into_iter().chain(self.lps25h.next_deadline()).min()
    }

    /// Goes over to other options: a chip that they set otherwise is set up again at the next sample.
    pub fn set_options(&mut self, options: &Options) {
        let (hts221, lps25h) = settings(options);
        if hts221 != self.settings.0 {
            self.hts221.restart(Hts221::new(hts221));
        }
        if lps25h != self.settings.1 {
            self.lps25h.restart(Pressure::new(Lps25h::new(lps25h)));
        }
        self.settings = (hts221, lps25h);
    }

    /// Whether the bus failed for both chips.
    pub(super) fn is_lost(&self) -> bool {
        self.hts221.is_lost() && self.lps25h.is_lost()
    }

    /// Goes on with another bus in the place of one that is gone.
    pub(super) fn replace_bus(&mut self, i2c: I2C) {
        self.i2c = i2c;
    }

    /// The bus itself: for a dump, and for faults of a simulated HAT.
    pub fn bus_mut(&mut self) -> &mut I2C {
        &mut self.i2c
    }
}

fn settings(options: &Options) -> (hts221::Settings, lps25h::Settings) {
    (options.oversampling.hts221(options.interval), options.oversampling.lps25h(options.interval))
}
