//! Bars of the last values of a quantity, the newest on the right.

use std::collections::BTreeMap;

use super::frame::SIDE;

/// Quantities whose values are kept. Values of further ones are left out: a graph of them stays dark.
const QUANTITIES_MAX: usize = 16;

/// The last values of one quantity, the newest last; `None` where there was none.
type Row = [Option<f64>; SIDE];

/// The last values of each quantity, so that a graph is full as soon as it is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<String, Row>);

impl Values {
    /// Adds the newest value of a quantity; one that is not finite is none.
    pub(super) fn add(&mut self, quantity: &str, value: Option<f64>) {
        if !self.0.contains_key(quantity) && self.0.len() >= QUANTITIES_MAX {
            return;
        }
        let row = self.0.entry(quantity.to_owned()).or_default();
        row.rotate_left(1);
        if let Some(newest) = row.last_mut() {
            *newest = value.filter(|value| value.is_finite());
        }
    }

    /// The bars of a quantity between these bounds, as columns of bits. What is not given is taken from the values.
    pub(super) fn bars(&self, quantity: &str, low: Option<f64>, high: Option<f64>) -> [u8; SIDE] {
        let row = self.0.get(quantity).copied().unwrap_or_default();
        let values = || row.iter().flatten().copied();
        let low = low.unwrap_or_else(|| values().fold(f64::INFINITY, f64::min));
        let high = high.unwrap_or_else(|| values().fold(f64::NEG_INFINITY, f64::max));
        row.map(|value| value.map_or(0, |value| bar(share(value, low, high))))
    }
}

/// Where a value lies between the bounds: 0 and below at the lower one, 1 and above at the upper one, the middle where
/// the bounds do not part.
fn share(value: f64, low: f64, high: f64) -> f64 {
    // halves, because the difference of two great numbers may be none
    let span = high / 2.0 - low / 2.0;
    if span > 0.0 { (value / 2.0 - low / 2.0) / span } else { 0.5 }
}

/// A bar from the bottom: one pixel for the lowest value, so that it differs from none, eight for the highest.
fn bar(share: f64) -> u8 {
    let steps = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5];
    let more = steps.into_iter().filter(|step| share * 7.0 >= *step).count();
    !(0x7f_u8 >> more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Frame, Rgb};

    fn check(values: &[Option<f64>], low: Option<f64>, high: Option<f64>, expected: &str) {
        let mut kept = Values::default();
        for value in values {
            kept.add("pressure", *value);
        }
        let shown = Frame::from_columns(kept.bars("pressure", low, high), Rgb::WHITE, Rgb::BLACK).to_string();
        assert_eq!(shown.trim_end(), expected);
    }

    #[test]
    fn values_stand_between_the_bounds_and_those_beyond_touch_them() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0].map(Some);
        let expected = "......##\n......##\n.....###\n....####\n...#####\n..######\n.#######\n########";
        check(&values, Some(0.0), Some(7.0), expected);
    }

    #[test]
    fn absent_values_leave_a_gap_and_the_newest_is_on_the_right() {
        let values = [Some(-1.0), Some(20.0), None, Some(f64::NAN), Some(22.0)];
        let expected = ".......#\n.......#\n.......#\n.......#\n.......#\n.......#\n.......#\n...##..#";
        check(&values, Some(20.0), None, expected);
    }

    #[test]
    fn without_bounds_the_values_give_them() {
        let values = [1000.0, 1010.0, 1000.0, 1010.0, 1000.0, 1010.0, 1000.0, 1010.0, 1000.0].map(Some);
        let row = "#.#.#.#.\n";
        check(&values, None, None, &format!("{}########", row.repeat(7)));
        check(
            &[Some(21.0)],
            None,
            None,
            "........\n........\n........\n.......#\n.......#\n.......#\n.......#\n.......#",
        );
        check(&[], None, None, ["........"; 8].join("\n").as_str());
    }

    #[test]
    fn great_numbers_and_bounds_that_do_not_part_are_no_trouble() {
        let (none, one, middle, all) = (0, 0x80, 0xf8, 0xff);
        let mut kept = Values::default();
        kept.add("x", Some(f64::MIN));
        kept.add("x", Some(f64::MAX));
        assert_eq!(kept.bars("x", None, None), [none, none, none, none, none, none, one, all]);
        assert_eq!(kept.bars("x", Some(2.0), Some(1.0)), [none, none, none, none, none, none, middle, middle]);
    }

    #[test]
    fn quantities_beyond_the_limit_are_left_out() {
        let mut kept = Values::default();
        (0..=QUANTITIES_MAX).for_each(|n| kept.add(&n.to_string(), Some(1.0)));
        assert_eq!(kept.0.len(), QUANTITIES_MAX);
        assert_eq!(kept.bars(&QUANTITIES_MAX.to_string(), None, None), [0; 8]);
    }
}
