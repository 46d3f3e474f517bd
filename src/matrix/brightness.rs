//! How bright the matrix is, from dark to full.

use serde::Serialize;

/// A share of the full brightness, 0 (dark) to 1 (full).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Brightness(f64);

impl Brightness {
    /// Colours as they are given.
    pub const FULL: Self = Self(1.0);

    /// The brightness of this share; `None` outside 0..=1, and for what is no number.
    pub fn new(share: f64) -> Option<Self> {
        // adding zero makes -0 a 0, which is shown without a sign
        (0.0..=1.0).contains(&share).then_some(Self(share + 0.0))
    }

    /// The share, 0..=1.
    pub const fn share(self) -> f64 {
        self.0
    }

    /// The darker of the two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// One channel of a colour at this brightness, rounded down: never above the share.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255 times 0 to 1 lies in a u8")]
    pub fn scale(self, channel: u8) -> u8 {
        (f64::from(channel) * self.0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brightness_lies_between_dark_and_full() {
        for share in [-0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(Brightness::new(share), None, "{share}");
        }
        assert_eq!(Brightness::new(1.0), Some(Brightness::FULL));
        assert!(Brightness::new(-0.0).unwrap().share().is_sign_positive());
    }

    #[test]
    fn channels_are_scaled_and_rounded_down() {
        let half = Brightness::new(0.5).unwrap();
        assert_eq!([0, 1, 100, 255].map(|channel| half.scale(channel)), [0, 0, 50, 127]);
        assert_eq!(Brightness::FULL.scale(255), 255);
        assert_eq!(half.min(Brightness::FULL), half);
    }
}
