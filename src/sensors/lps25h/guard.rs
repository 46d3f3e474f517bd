//! The fake 760.0 hPa.

/// `PRESS_OUT` at power-on: 760.0 hPa, which nobody measured.
const POWER_ON_COUNT: i32 = 0x2f_8000;
/// So many times in a row it is a damaged element. A real pressure of exactly this count, at 2400 m above the sea,
/// does not stay: the noise of one conversion is a hundred counts.
const REPEATS_MAX: u32 = 3;

/// Tells a measured pressure from the power-on value.
///
/// | counts seen | judgement |
/// |---|---|
/// | any other count | real |
/// | the power-on count, another one came before | real, twice |
/// | the power-on count from the start | doubtful, twice |
/// | the power-on count for the third time in a row, and ever after | damaged |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerOnGuard {
    seen_other: bool,
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
            *self = Self { seen_other: true, repeats: 0 };
            return Judgement::Real;
        }
        self.repeats = self.repeats.saturating_add(1);
        match self {
            _ if self.repeats >= REPEATS_MAX => Judgement::Damaged,
            Self { seen_other: true, .. } => Judgement::Real,
            Self { seen_other: false, .. } => Judgement::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Judgement::{Damaged, Doubtful, Real};
    use super::*;

    fn check(counts: &[i32], judgements: &[Judgement]) {
        let mut guard = PowerOnGuard::default();
        let judged: Vec<_> = counts.iter().map(|&count| guard.judge(count)).collect();
        assert_eq!(judged, judgements);
    }

    #[test]
    fn power_on_value_from_the_start_is_never_real() {
        let fake = POWER_ON_COUNT;
        check(&[fake, fake, fake, fake], &[Doubtful, Doubtful, Damaged, Damaged]);
    }

    #[test]
    fn pressure_that_passes_through_760_hpa_stays_real() {
        let fake = POWER_ON_COUNT;
        check(&[fake + 40, fake, fake - 40, fake], &[Real, Real, Real, Real]);
        check(&[fake - 1, fake, fake, fake, fake + 1], &[Real, Real, Real, Damaged, Real]);
    }
}
