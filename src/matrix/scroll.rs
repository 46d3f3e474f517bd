//! Running text: which eight columns of it are seen when.

use std::time::Duration;

use super::frame::SIDE;
use super::{command, font};

const NANOSECONDS: u128 = 1_000_000_000;

/// A text that comes in from the right and leaves to the left, some times.
#[derive(Clone, Debug)]
pub(super) struct Scroll {
    /// The text's columns.
    columns: Vec<u8>,
    /// Columns a second, at least 1.
    speed: u32,
    /// How many times, at least 1.
    repeat: u32,
}

impl Scroll {
    /// The text from its beginning.
    pub(super) fn new(text: &command::Text) -> Self {
        Self { columns: font::columns(&text.text), speed: text.speed.max(1), repeat: text.repeat.max(1) }
    }

    /// How long it takes from the first column until the last one has left.
    pub(super) fn length(&self) -> Duration {
        self.moment(self.pass() * u128::from(self.repeat))
    }

    /// The eight columns that are seen after this time.
    pub(super) fn window(&self, elapsed: Duration) -> [u8; SIDE] {
        let pushed = usize::try_from(self.step(elapsed) % self.pass()).unwrap_or(0) + 1;
        std::array::from_fn(|x| {
            let place = (x + pushed).checked_sub(SIDE);
            place.and_then(|place| self.columns.get(place)).copied().unwrap_or(0)
        })
    }

    /// When the window moves next, from the beginning.
    pub(super) fn next(&self, elapsed: Duration) -> Duration {
        self.moment(self.step(elapsed) + 1)
    }

    /// Steps of one pass: the first shows the first column at the right edge, the last shows nothing.
    fn pass(&self) -> u128 {
        (self.columns.len() + SIDE) as u128
    }

    /// The step that is seen after this time.
    fn step(&self, elapsed: Duration) -> u128 {
        elapsed.as_nanos() * u128::from(self.speed) / NANOSECONDS
    }

    /// When a step begins: the first nanosecond in which [`Self::step`] gives it.
    fn moment(&self, step: u128) -> Duration {
        let nanoseconds = (step * NANOSECONDS).div_ceil(u128::from(self.speed));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Frame, Rgb};

    fn scroll(text: &str, speed: u32, repeat: u32) -> Scroll {
        let (colour, background) = (Rgb::WHITE, Rgb::BLACK);
        Scroll::new(&command::Text { text: text.into(), colour, background, speed, repeat })
    }

    fn picture(scroll: &Scroll, milliseconds: u64) -> String {
        let window = scroll.window(Duration::from_millis(milliseconds));
        Frame::from_columns(window, Rgb::WHITE, Rgb::BLACK).to_string()
    }

    #[test]
    fn text_comes_in_from_the_right_and_leaves_to_the_left() {
        let scroll = scroll("Hi", 10, 1);
        let first = ".......#\n".repeat(7) + "........\n";
        assert_eq!(picture(&scroll, 0), first);
        assert_eq!(picture(&scroll, 99), first);
        let whole = "\
..#..#.#
..#..#..
..#..#.#
..####.#
..#..#.#
..#..#.#
..#..#.#
........
";
        assert_eq!(picture(&scroll, 500), whole);
        let leaving = "#.......\n........\n".to_owned() + &"#.......\n".repeat(5) + "........\n";
        assert_eq!(picture(&scroll, 1_200), leaving);
        assert_eq!(picture(&scroll, 1_300), Frame::DARK.to_string());
        assert_eq!(scroll.length(), Duration::from_millis(1_400));
    }

    #[test]
    fn text_begins_again_as_often_as_it_is_asked_to() {
        let scroll = scroll("Hi", 10, 3);
        assert_eq!(scroll.length(), Duration::from_millis(4_200));
        assert_eq!(picture(&scroll, 500), picture(&scroll, 1_900));
    }

    #[test]
    fn every_step_begins_at_the_moment_that_was_told() {
        let scroll = scroll("Hi", 7, 1);
        let mut elapsed = Duration::ZERO;
        for step in 0..14 {
            assert_eq!(scroll.step(elapsed), step);
            elapsed = scroll.next(elapsed);
            assert_eq!(scroll.step(elapsed.saturating_sub(Duration::from_nanos(1))), step);
        }
        assert_eq!(elapsed, scroll.length());
    }
}
