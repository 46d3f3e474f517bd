//! The time that a sample carries: the wall clock's, but never twice the same and never an earlier one.

use crate::base::clock::Wall;

/// Gives each sample a later time than the one before, whatever the wall clock does: a collector that files values by
/// their time would write one over the other.
///
/// A wall clock that was put back is waited for: until it is past the last stamp, each is a millisecond later than the
/// one before. That is the nearest to the truth that still goes forward, and it is over when the clock has made up for
/// the jump; time that went on by itself would stay wrong for as long as the process lives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamper {
    last: Option<Wall>,
}

impl Stamper {
    /// The time of a sample that is taken when the wall clock says `wall`.
    pub(super) fn stamp(&mut self, wall: Wall) -> Wall {
        let stamp = self.last.map_or(wall, |last| later_than(last, wall));
        self.last = Some(stamp);
        stamp
    }
}

/// `wall`, or the first millisecond after `last` when that is later.
pub(super) fn later_than(last: Wall, wall: Wall) -> Wall {
    wall.max(Wall::from_unix_ms(last.unix_ms().saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamps(walls_ms: &[i64]) -> Vec<i64> {
        let mut stamper = Stamper::default();
        walls_ms.iter().map(|&ms| stamper.stamp(Wall::from_unix_ms(ms)).unix_ms()).collect()
    }

    #[test]
    fn a_clock_that_goes_forward_is_taken_as_it_is() {
        assert_eq!(stamps(&[-5, 0, 1000, 1_795_377_331_250]), [-5, 0, 1000, 1_795_377_331_250]);
    }

    #[test]
    fn a_clock_that_was_put_back_is_waited_for() {
        assert_eq!(stamps(&[5000, 2000, 3000, 4000, 5000, 6000]), [5000, 5001, 5002, 5003, 5004, 6000]);
    }

    /// Walks of a wall clock with jumps in both directions, from milliseconds to decades.
    fn walks() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![0..2000_i64, -20..20_i64, -10_000_000..10_000_000_i64, -(1_i64 << 40)..(1_i64 << 40)];
        (-(1_i64 << 41)..(1_i64 << 41), prop::collection::vec(step, 1..200)).prop_map(|(start, steps)| {
            let walk = steps.into_iter().scan(start, |now, step| {
                *now += step;
                Some(*now)
            });
            walk.collect()
        })
    }

    proptest! {
        #[test]
        fn stamps_go_forward_and_are_the_wall_clock_whenever_that_is_later(walls in walks()) {
            let stamps = stamps(&walls);
            prop_assert_eq!(stamps[0], walls[0]);
            for (pair, &wall) in stamps.windows(2).zip(&walls[1..]) {
                prop_assert!(pair[1] > pair[0], "{:?} of {:?}", stamps, walls);
                prop_assert_eq!(pair[1] == wall, wall > pair[0], "{:?} of {:?}", stamps, walls);
            }
        }
    }
}
