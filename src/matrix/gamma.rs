//! How the levels of a frame become light.
//!
//! The kernel's driver has a table from the 32 levels of a channel to the 32 steps of the LED, and another for low
//! light, which an ioctl (61698) selects. A safe call of that ioctl is not to be had, so [`Gamma::apply`] does the same
//! in the frame: each level becomes the one that the driver's first table turns into the step of the second. Once
//! `base` has the ioctl, the framebuffer can select the table, and write frames as they are.
//!
//! The driver's tables, as the ioctl 61696 gives them after a reset (61698) to 0 and to 1:
//!
//! ```text
//! default    0 0 0 0 0 0 1 1 2 2 3 3 4 5 6 7 8 9 10 11 12 14 15 17 18 20 21 23 25 27 29 31
//! low light  0 1 1 1 1 1 1 1 1 1 1 1 1 2 2 2 3 3  3  4  4  5  5  6  6  7  7  8  8  9 10 10
//! ```

use super::Frame;

/// Which table lights the LEDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gamma {
    /// The driver's first: up to full light. Levels below 6 of 31 are dark.
    Default,
    /// A third of the light at most, and no level but 0 is dark.
    LowLight,
}

/// The level, 0..=31, that looks through the first table as this one does through the second.
const LOW_LIGHT: [u8; 32] =
    [0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 8, 8, 8, 10, 10, 10, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 18, 18];

impl Gamma {
    /// The frame to write, so that the driver's first table shows `frame` as this table would.
    pub fn apply(self, frame: &Frame) -> Frame {
        match self {
            Self::Default => *frame,
            Self::LowLight => frame.map(|colour| colour.map(low_light)),
        }
    }
}

/// One channel for low light: its five upper bits are the level.
fn low_light(channel: u8) -> u8 {
    let level = LOW_LIGHT.get(usize::from(channel >> 3)).copied().unwrap_or(0);
    level << 3 | level >> 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Rgb;

    /// The colour as the LED shows it through the driver's first table: steps of 0..=31 a channel.
    fn light(colour: Rgb) -> Rgb {
        const DEFAULT: [u8; 32] = [
            0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 20, 21, 23, 25, 27, 29,
            31,
        ];
        colour.map(|channel| DEFAULT[usize::from(channel >> 3)])
    }

    #[test]
    fn every_level_shines_as_the_drivers_table_for_low_light_says() {
        let steps = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10, 10];
        for (level, step) in (0..32).zip(steps) {
            let grey = Rgb::WHITE.map(|_| level << 3);
            let written = Gamma::LowLight.apply(&Frame::filled(grey)).get(0, 0).unwrap();
            assert_eq!(light(Rgb::from_565(written.to_565())), Rgb::new(step, step, step), "level {level}");
        }
    }

    #[test]
    fn the_default_changes_nothing() {
        let frame = Frame::filled(Rgb::new(1, 2, 3));
        assert_eq!(Gamma::Default.apply(&frame), frame);
    }
}
