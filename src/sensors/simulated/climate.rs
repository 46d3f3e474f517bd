//! The air of a heated room over days: a function of seed and time alone.
//!
//! Three slow things move and the rest follows. The *weather*, fair to foul over a day, moves the pressure by some
//! 12 hPa and brings moist air when it is foul. The *heating* warms the room in cycles of 25 minutes. The *day* is
//! warmest in the afternoon. The vapour in the air is what stays when a room warms: relative humidity falls as the
//! temperature climbs, as it does in a real room.

use std::time::Duration;

use crate::base::clock::Monotonic;
use crate::base::units::{Celsius, Hectopascal, RelativeHumidity};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HALF_DAY: Duration = Duration::from_secs(12 * 3600);
const HEATING_CYCLE: Duration = Duration::from_secs(25 * 60);
/// The part of a cycle in which the heating is on.
const HEATING_ON: f64 = 0.35;

/// The climate of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climate {
    seed: u64,
}

/// The air at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Air {
    /// 18..25 °C.
    pub temperature: Celsius,
    /// 25..65 %RH.
    pub humidity: RelativeHumidity,
    /// 990..1036 hPa.
    pub pressure: Hectopascal,
}

/// The things that drift, each with how long it takes to turn.
#[derive(Clone, Copy)]
enum Drift {
    Weather,
    Wind,
    Sun,
    People,
}

impl Drift {
    const fn period(self) -> Duration {
        match self {
            Self::Weather => Duration::from_secs(18 * 3600),
            Self::Wind => Duration::from_secs(3 * 3600),
            Self::Sun => Duration::from_secs(2 * 3600),
            Self::People => Duration::from_secs(40 * 60),
        }
    }
}

impl Climate {
    /// The climate that `seed` makes.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The air at `now`.
    pub fn at(self, now: Monotonic) -> Air {
        let weather = self.drift(Drift::Weather, now);
        let temperature = self.temperature(now);
        let vapour_hpa = 10.5 - 1.8 * weather + 0.7 * self.drift(Drift::People, now);
        Air {
            temperature: Celsius(temperature),
            humidity: RelativeHumidity(100.0 * vapour_hpa / saturation_hpa(temperature)),
            pressure: Hectopascal(
                1013.0 + 12.0 * weather + 2.0 * self.drift(Drift::Wind, now) + 0.6 * self.wave(HALF_DAY, now),
            ),
        }
    }

    fn temperature(self, now: Monotonic) -> f64 {
        20.6 + 0.9 * self.wave(DAY, now) + 0.5 * self.drift(Drift::Sun, now) + 0.7 * self.heating(now)
    }

    /// How warm the heating is, 0..1: it climbs while it is on and cools afterwards, fast at first.
    fn heating(self, now: Monotonic) -> f64 {
        let phase = (fraction(now, HEATING_CYCLE) + self.random(0, 0).abs()).fract();
        let settle = |part: f64| (1.0 - (-3.0 * part).exp()) / (1.0 - (-3.0_f64).exp());
        if phase < HEATING_ON {
            settle(phase / HEATING_ON)
        } else {
            1.0 - settle((phase - HEATING_ON) / (1.0 - HEATING_ON))
        }
    }

    /// A sine of one `period`, −1..1, that starts where the seed says.
    fn wave(self, period: Duration, now: Monotonic) -> f64 {
        (std::f64::consts::TAU * (fraction(now, period) + self.random(0, 1))).sin()
    }

    /// A smooth random walk between −1 and 1: random heights at whole periods, and a soft curve from one to the next.
    fn drift(self, drift: Drift, now: Monotonic) -> f64 {
        let period = drift.period();
        let turn = u64::try_from(now.since_boot().as_nanos() / period.as_nanos()).unwrap_or(u64::MAX - 1);
        let part = fraction(now, period);
        let (from, to) = (self.random(1 + drift as u64, turn), self.random(1 + drift as u64, turn + 1));
        from + (to - from) * part * part * (3.0 - 2.0 * part)
    }

    /// A number between −1 and 1 that belongs to the seed, `channel` and `index`.
    fn random(self, channel: u64, index: u64) -> f64 {
        let mixed = self.seed ^ channel.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index.wrapping_mul(0xd1b5_4a32_d192_ed03);
        let mut random = fastrand::Rng::with_seed(mixed);
        // The first draw of neighbouring seeds is alike; the second is not.
        random.u64(..);
        random.f64() * 2.0 - 1.0
    }
}

/// How much of the `period` that runs at `now` is over, 0..1.
fn fraction(now: Monotonic, period: Duration) -> f64 {
    let rest = now.since_boot().as_nanos() % period.as_nanos();
    Duration::from_nanos(u64::try_from(rest).unwrap_or(0)).as_secs_f64() / period.as_secs_f64()
}

/// The vapour pressure of saturated air over water, in hPa (Magnus, with the constants of WMO-No. 8).
fn saturation_hpa(celsius: f64) -> f64 {
    6.112 * (17.62 * celsius / (243.12 + celsius)).exp()
}

/// A normally distributed number of mean 0 and deviation 1 (Box and Muller).
pub(super) fn gaussian(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(s))
    }

    #[test]
    fn air_stays_in_a_believable_room_and_moves_slowly() {
        for seed in 0..20 {
            let climate = Climate::new(seed);
            let mut before = climate.at(at(0));
            for minute in 1..=4 * 24 * 60 {
                let air = climate.at(at(60 * minute));
                assert!((18.0..25.0).contains(&air.temperature.0), "{air:?}");
                assert!((25.0..65.0).contains(&air.humidity.0), "{air:?}");
                assert!((990.0..1036.0).contains(&air.pressure.0), "{air:?}");
                assert!((air.temperature.0 - before.temperature.0).abs() < 0.3, "{before:?} {air:?}");
                assert!((air.humidity.0 - before.humidity.0).abs() < 1.5, "{before:?} {air:?}");
                assert!((air.pressure.0 - before.pressure.0).abs() < 0.2, "{before:?} {air:?}");
                before = air;
            }
        }
    }

    #[test]
    fn everything_moves_within_hours_and_a_seed_repeats_itself() {
        let climate = Climate::new(7);
        let air: Vec<Air> = (0..24).map(|hour| climate.at(at(3600 * hour))).collect();
        let span = |of: fn(&Air) -> f64| {
            let values = air.iter().map(of);
            values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
        };
        assert!(span(|air| air.temperature.0) > 0.5);
        assert!(span(|air| air.humidity.0) > 2.0);
        assert!(span(|air| air.pressure.0) > 1.0);
        assert_eq!(Climate::new(7).at(at(3600)), air[1]);
        assert_ne!(Climate::new(8).at(at(3600)), air[1]);
    }

    #[test]
    fn noise_has_mean_0_and_deviation_1() {
        let mut random = fastrand::Rng::with_seed(1);
        let draws: Vec<f64> = (0..10_000).map(|_| gaussian(&mut random)).collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
