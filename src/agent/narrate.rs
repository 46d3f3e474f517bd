//! The log's lines about readings that go and come back: one each, not one a second.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use super::sample::Sample;
use crate::base::clock::Monotonic;
use crate::sensors::{Quantity, Reading, Reason};

/// Lines about one quantity in one [`WINDOW`]. What changes more often (a loose plug) is told when the window is over,
/// as it is by then.
const LINES_MAX: u32 = 4;
const WINDOW: Duration = Duration::from_secs(60);

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Quantities have no value, for one cause.
    Absent {
        /// Which.
        quantities: Vec<Quantity>,
        /// The cause in a sentence.
        text: String,
    },
    /// Quantities have a value again.
    Back {
        /// Which.
        quantities: Vec<Quantity>,
    },
}

impl Line {
    /// Writes it.
    pub(super) fn log(&self) {
        match self {
            Self::Absent { quantities, text } => warn!("no {}: {text}", names(quantities)),
            Self::Back { quantities } => info!("back: {}", names(quantities)),
        }
    }

    /// Takes in what `other` says, when it says the same of other quantities.
    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent { quantities, text }, Self::Absent { quantities: more, text: same }) if text == same => {
                quantities.extend(more);
                true
            }
            (Self::Back { quantities }, Self::Back { quantities: more }) => {
                quantities.extend(more);
                true
            }
            _ => false,
        }
    }
}

fn names(quantities: &[Quantity]) -> String {
    quantities.iter().map(|quantity| quantity.name()).collect::<Vec<_>>().join(", ")
}

/// What the log was told.
#[derive(Default)]
pub(super) struct Narrator {
    told: BTreeMap<Quantity, Told>,
}

#[derive(Default)]
struct Told {
    /// The absence that was told last; `None` when a value was, or nothing.
    reason: Option<Reason>,
    window_began: Monotonic,
    lines: u32,
}

impl Narrator {
    /// The lines that `sample` is worth.
    pub(super) fn handle_sample(&mut self, sample: &Sample) -> Vec<Line> {
        let now = sample.monotonic;
        let mut lines: Vec<Line> = Vec::new();
        for (quantity, reading) in sample.readings.iter() {
            let told = self.told.entry(quantity).or_default();
            let Some(line) = told.line_for(quantity, reading) else { continue };
            if !told.spend(now) {
                continue;
            }
            told.reason = reading.as_ref().err().map(|absence| absence.reason);
            if !lines.iter_mut().any(|earlier| earlier.join(&line)) {
                lines.push(line);
            }
        }
        lines
    }
}

impl Told {
    fn line_for(&self, quantity: Quantity, reading: &Reading) -> Option<Line> {
        match reading {
            Ok(_) => self.reason.is_some().then_some(Line::Back { quantities: vec![quantity] }),
            Err(absence) if absence.reason == Reason::Starting || self.reason == Some(absence.reason) => None,
            Err(absence) => Some(Line::Absent { quantities: vec![quantity], text: absence.text.clone() }),
        }
    }

    fn spend(&mut self, now: Monotonic) -> bool {
        if self.lines == 0 || now.since(self.window_began) >= WINDOW {
            (self.window_began, self.lines) = (now, 0);
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::tests::{absent, sample};
    use super::*;

    /// The seconds at which the temperature's readings are worth a line.
    fn lines_of(readings: impl IntoIterator<Item = Reading>) -> Vec<(u64, Line)> {
        let mut narrator = Narrator::default();
        let mut told = Vec::new();
        for (second, reading) in (1..).zip(readings) {
            let sample = sample(second, |quantity| match quantity {
                Quantity::Temperature => reading.clone(),
                _ => Ok(1.0),
            });
            told.extend(narrator.handle_sample(&sample).into_iter().map(|line| (second, line)));
        }
        told
    }

    fn gone(text: &str) -> Line {
        Line::Absent { quantities: vec![Quantity::Temperature], text: text.into() }
    }

    fn back() -> Line {
        Line::Back { quantities: vec![Quantity::Temperature] }
    }

    #[test]
    fn one_cause_of_several_absences_is_one_line_and_so_is_their_return() {
        let mut narrator = Narrator::default();
        let quantities = Quantity::MAIN.to_vec();
        let gone = narrator.handle_sample(&sample(1, |_| absent(Reason::NoBus, 1)));
        assert_eq!(gone, [Line::Absent { quantities: quantities.clone(), text: "it is no_bus".into() }]);
        assert_eq!(narrator.handle_sample(&sample(2, |_| Ok(1.0))), [Line::Back { quantities }]);
    }

    #[test]
    fn an_absence_is_told_once_and_its_end_once() {
        let dead = || absent(Reason::NoChip, 2);
        let told = lines_of([Ok(1.0), dead(), dead(), dead(), absent(Reason::Starting, 5), Ok(1.0), Ok(1.0)]);
        assert_eq!(told, [(2, gone("it is no_chip")), (6, back())]);
    }

    #[test]
    fn another_reason_is_told_too() {
        let told =
            lines_of([absent(Reason::NoChip, 1), absent(Reason::Calibration, 2), absent(Reason::Calibration, 3)]);
        assert_eq!(told, [(1, gone("it is no_chip")), (2, gone("it is calibration"))]);
    }

    #[test]
    fn the_first_conversion_is_waited_for_in_silence() {
        assert_eq!(lines_of([absent(Reason::Starting, 1), Ok(1.0)]), []);
    }

    #[test]
    fn a_loose_plug_does_not_fill_the_log() {
        let flapping = (1..=240).map(|second| if second % 2 == 0 { Ok(1.0) } else { absent(Reason::NoChip, second) });
        let told = lines_of(flapping);
        assert!((4..=4 * 5).contains(&told.len()), "{} lines in four minutes", told.len());
    }
}
