//! One moment: what the chip and the processor say, over a while.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::base::clock;
use crate::sensors::{self, Moment, Options, Quantity, Refinement, Sensor};

/// Between two samples: what a chip converts anew at each of its rates.
const PAUSE: Duration = Duration::from_secs(1);

/// How the HAT is read for it: as it is configured, and nothing corrected or filtered.
pub(super) fn options(configured: &Options) -> Options {
    let refinement = Refinement { thermometer: configured.refinement.thermometer, ..Refinement::default() };
    Options { interval: PAUSE, refinement, ..configured.clone() }
}

/// Where it is measured.
pub(super) struct Place<'a> {
    pub(super) sensor: &'a mut Sensor,
    pub(super) processor_file: &'a Path,
    pub(super) duration: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) moment: Moment,
    /// By how much the chip's temperature rose from the first third to the last, in °C.
    pub(super) drift: f64,
    /// Why the processor's temperature is not known.
    pub(super) no_processor: Option<String>,
}

impl Place<'_> {
    /// Samples for the duration, at least until there is a value, and averages.
    ///
    /// # Errors
    /// Why there was no value at all.
    pub(super) fn measure(&mut self, reference: f64) -> Result<Measured, String> {
        let ends = clock::monotonic() + self.duration;
        let (mut raw, mut processor) = (vec![self.first()?], vec![self.processor()]);
        while clock::monotonic() < ends {
            thread::sleep(PAUSE.min(ends.since(clock::monotonic())));
            raw.extend(self.temperature().ok());
            processor.push(self.processor());
        }
        Ok(summary(reference, &raw, processor))
    }

    /// The first value after a start.
    fn first(&mut self) -> Result<f64, String> {
        let sensor = &mut *self.sensor;
        let readings = super::super::read::wait_for_values(|now| sensor.sample(now));
        value_of(&readings)
    }

    fn temperature(&mut self) -> Result<f64, String> {
        value_of(&self.sensor.sample(clock::monotonic()))
    }

    fn processor(&self) -> Result<f64, String> {
        sensors::read_processor(self.processor_file)
    }
}

fn value_of(readings: &sensors::Readings) -> Result<f64, String> {
    match readings.get(Quantity::Temperature) {
        Some(Ok(value)) => Ok(*value),
        Some(Err(absence)) => Err(absence.text.clone()),
        None => Err("no temperature is measured".into()),
    }
}

/// Averages; a processor that could not be read once is not known.
fn summary(reference: f64, raw: &[f64], processor: Vec<Result<f64, String>>) -> Measured {
    let (processor, no_processor) = match processor.into_iter().collect::<Result<Vec<f64>, String>>() {
        Ok(temperatures) => (Some(mean(temperatures.iter())), None),
        Err(why) => (None, Some(why)),
    };
    let third = raw.len().div_ceil(3);
    let drift = mean(raw.iter().rev().take(third)) - mean(raw.iter().take(third));
    Measured { moment: Moment { reference, raw: mean(raw.iter()), processor }, drift, no_processor }
}

#[expect(clippy::cast_precision_loss, reason = "nobody measures 2^52 times")]
fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_mean_and_tells_what_still_moves() {
        let measured = summary(20.0, &[28.0, 28.5, 29.0], vec![Ok(50.0), Ok(52.0)]);
        assert_eq!(measured.moment, Moment { reference: 20.0, raw: 28.5, processor: Some(51.0) });
        assert!((measured.drift - 1.0).abs() < 1e-12);
        assert!(summary(20.0, &[28.0], vec![Ok(50.0)]).drift.abs() < 1e-12);
    }

    #[test]
    fn a_processor_that_could_not_be_read_once_is_not_known() {
        let measured = summary(20.0, &[28.0], vec![Ok(50.0), Err("gone".into())]);
        assert_eq!((measured.moment.processor, measured.no_processor.as_deref()), (None, Some("gone")));
    }
}
