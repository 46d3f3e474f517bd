//! The processor heats the HAT above it: what its temperature says about the air's.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::Monotonic;
use crate::sensors::{Absence, Reading, Reason};

/// Where the kernel of a Raspberry Pi tells the processor's temperature.
pub const PROCESSOR_FILE: &str = "/sys/class/thermal/thermal_zone0/temp";

/// Whose temperature is taken for that of the air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thermometer {
    /// The humidity chip's, which is the more accurate one.
    #[default]
    Hts221,
    /// The pressure chip's.
    Lps25h,
}

/// How the temperature is corrected.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Correction {
    /// Not at all: what the chip says.
    #[default]
    None,
    /// By so many °C, which are added.
    Offset(f64),
    /// By a part of how much warmer the processor is: `t − (t_cpu − t) / factor`.
    Factor {
        /// The larger, the smaller the correction. Greater than 0.
        factor: f64,
        /// Over which time the processor's temperature is smoothed: its load comes and goes faster than heat spreads.
        window: Duration,
        /// Where the kernel tells the processor's temperature, in thousandths of a degree.
        file: PathBuf,
    },
}

impl Correction {
    /// Beyond these a correction makes no air that anybody breathes, in °C.
    pub const OFFSET_C: RangeInclusive<f64> = -50.0..=50.0;
    /// As for the offset.
    pub const FACTOR: RangeInclusive<f64> = 0.1..=1000.0;

    /// The word in configuration and JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Offset(_) => "offset",
            Self::Factor { .. } => "factor",
        }
    }
}

/// Corrects one temperature after the other.
#[derive(Debug)]
pub(super) struct HeatCorrection {
    correction: Correction,
    /// The processor's temperature, smoothed, and when it was read last.
    processor: Option<(f64, Monotonic)>,
}

impl HeatCorrection {
    pub(super) const fn new(correction: Correction) -> Self {
        Self { correction, processor: None }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.correction.name()
    }

    pub(super) const fn is_off(&self) -> bool {
        matches!(self.correction, Correction::None)
    }

    /// The processor's temperature, smoothed, where it is needed and can be read.
    pub(super) fn processor(&self) -> Option<f64> {
        self.processor.map(|(celsius, _)| celsius)
    }

    /// The temperature of the air for what the chip says.
    pub(super) fn correct(&mut self, raw: &Reading, now: Monotonic) -> Reading {
        match self.correction.clone() {
            Correction::None => raw.clone(),
            Correction::Offset(offset) => raw.clone().map(|raw| raw + offset),
            Correction::Factor { factor, window, file } => {
                let processor = self.smooth(&file, window, now);
                let (raw, processor) = (raw.clone()?, processor?);
                Ok(without_heat(raw, processor, factor))
            }
        }
    }

    /// Smooths with a memory that fades: after one window, a third of what was is left.
    fn smooth(&mut self, file: &Path, window: Duration, now: Monotonic) -> Reading {
        let celsius = match read_processor(file) {
            Ok(celsius) => celsius,
            Err(text) => {
                self.processor = None;
                return Err(Absence { reason: Reason::NoProcessorTemperature, text, since: now });
            }
        };
        let smoothed = match self.processor {
            Some((before, at)) => {
                let part = 1.0 - (-now.since(at).as_secs_f64() / window.as_secs_f64().max(f64::MIN_POSITIVE)).exp();
                before + (celsius - before) * part
            }
            None => celsius,
        };
        self.processor = Some((smoothed, now));
        Ok(smoothed)
    }
}

/// The air's temperature for a chip's and the processor's. A processor that is cooler than the chip heats nothing.
pub(crate) fn without_heat(raw: f64, processor: f64, factor: f64) -> f64 {
    raw - (processor - raw).max(0.0) / factor
}

/// Reads the processor's temperature, in °C, from a thermal zone of the kernel: thousandths of a degree, and a line end.
///
/// # Errors
/// A file that cannot be read, or that holds no temperature.
pub fn read_processor(file: &Path) -> Result<f64, String> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| format!("cannot read the processor's temperature in {name}: {error}"))?;
    let thousandths = text.trim().parse::<i32>().ok().filter(|value| (-55_000..=150_000).contains(value));
    let thousandths =
        thousandths.ok_or_else(|| format!("{name} has no temperature in thousandths of a degree: {text:?}"))?;
    Ok(f64::from(thousandths) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(s))
    }

    /// A correction whose processor is as warm as the file says.
    fn with_processor(celsius: &str) -> (tempfile::TempDir, HeatCorrection) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("temp");
        fs::write(&file, celsius).unwrap();
        let correction = Correction::Factor { factor: 2.0, window: Duration::from_secs(60), file };
        (directory, HeatCorrection::new(correction))
    }

    #[test]
    fn methods_correct_as_they_say() {
        let (directory, mut heat) = with_processor("55000\n");
        assert_eq!(heat.correct(&Ok(35.0), at(1)), Ok(25.0));
        assert_eq!(heat.processor(), Some(55.0));
        assert_eq!(HeatCorrection::new(Correction::None).correct(&Ok(35.0), at(1)), Ok(35.0));
        assert_eq!(HeatCorrection::new(Correction::Offset(-7.5)).correct(&Ok(35.0), at(1)), Ok(27.5));
        fs::write(directory.path().join("temp"), "20000").unwrap();
        assert_eq!(heat.correct(&Ok(35.0), at(100_000)), Ok(35.0), "a cool processor heats nothing");
    }

    #[test]
    fn processor_is_smoothed_over_the_window() {
        let (directory, mut heat) = with_processor("40000");
        heat.correct(&Ok(30.0), at(0)).unwrap();
        fs::write(directory.path().join("temp"), "80000").unwrap();
        for s in 1..=60 {
            heat.correct(&Ok(30.0), at(s)).unwrap();
        }
        let after_a_window = 80.0 - 40.0 * (-1.0_f64).exp();
        assert!((heat.processor().unwrap() - after_a_window).abs() < 1e-9);
    }

    #[test]
    fn a_processor_without_a_temperature_makes_the_corrected_one_absent() {
        for text in ["", "warm", "4000000000", "151000", "-60000"] {
            let (_directory, mut heat) = with_processor(text);
            let absence = heat.correct(&Ok(35.0), at(1)).unwrap_err();
            assert_eq!(absence.reason, Reason::NoProcessorTemperature, "{text:?}");
        }
        let file = PathBuf::from("/nonexistent/temp");
        let correction = Correction::Factor { factor: 2.0, window: Duration::from_secs(60), file };
        let absence = HeatCorrection::new(correction).correct(&Ok(35.0), at(1)).unwrap_err();
        assert!(absence.text.contains("/nonexistent/temp"), "{}", absence.text);
    }

    #[test]
    fn a_chip_without_a_value_stays_the_reason() {
        let (_directory, mut heat) = with_processor("55000");
        let absent = Err(Absence { reason: Reason::NoChip, text: "nobody answers".into(), since: at(1) });
        assert_eq!(heat.correct(&absent, at(2)), absent);
    }
}
