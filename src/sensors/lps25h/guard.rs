//! The fake 760.0 hPa.

/// `PRESS_OUT` at power-on: 760.0 hPa, which nobody measured.
const POWER_ON_COUNT: i32 = 0x2f_8000;
/// So many times in a row it is a damaged element. A real pressure of exactly this count, at 2400 m above the sea,
/// does not stay: the noise of one conversion is a hundred counts.
const REPEATS_MAX: u32 = 3;
/// How far the conversion before may lie for this count to be real: 5 hPa, or 50 m of height.
const NEAR_COUNTS: u32 = 5 * 4096;

/// Tells a measured pressure from the power-on value.
///
/// | count | judgement |
/// |---|---|
/// | any other | real |
/// | the power-on count, after one less than 5 hPa away | real, twice |
/// | the power-on count from the start | doubtful, twice |
/// | the power-on count after one farther away, or for the third time in a row, and ever after | damaged |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerOnGuard {
    other: Option<i32>,
    repeats: u32,
}

/// What a count is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Measured.
    Real,
    /// Not to be published yet.
    Doubtful,
    /// The sensing element is damaged.
    Damaged,
}

impl PowerOnGuard {
    /// Judges the next converted count.
    pub fn judge(&mut self, count: i32) -> Judgement {
        if count != POWER_ON_COUNT {
            *self = Self { other: Some(count), repeats: 0 };
            return Judgement::Real;
        }
        self.repeats = self.repeats.saturating_add(1);
        match self.other {
            _ if self.repeats >= REPEATS_MAX => Judgement::Damaged,
            None => Judgement::Doubtful,
            Some(other) if other.abs_diff(POWER_ON_COUNT) < NEAR_COUNTS => Judgement::Real,
            Some(_) => Judgement::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Judgement::{Damaged, Doubtful, Real};
    use super::*;

    const FAKE: i32 = POWER_ON_COUNT;

    fn check(counts: &[i32], judgements: &[Judgement]) {
        let mut guard = PowerOnGuard::default();
        let judged: Vec<_> = counts.iter().map(|&count| guard.judge(count)).collect();
        assert_eq!(judged, judgements);
    }

    #[test]
    fn power_on_value_from_the_start_is_never_real() {
        check(&[FAKE, FAKE, FAKE, FAKE], &[Doubtful, Doubtful, Damaged, Damaged]);
    }

    #[test]
    fn pressure_that_passes_through_760_hpa_stays_real() {
        check(&[FAKE + 40, FAKE, FAKE - 40, FAKE], &[Real, Real, Real, Real]);
        check(&[FAKE - 1, FAKE, FAKE, FAKE, FAKE + 1], &[Real, Real, Real, Damaged, Real]);
    }

    #[test]
    fn leap_from_another_pressure_to_760_hpa_is_never_real() {
        check(&[1013 * 4096, FAKE, FAKE], &[Real, Damaged, Damaged]);
    }
}
