//! A day of a HAT above its processor, whose truth is known: what is left of the heat after a calibration.
//!
//! Air, processor and HAT are three bodies (Newton's law of cooling): the load heats the processor, which warms the HAT
//! through air and board. `cargo nextest run --lib heat_curve --no-capture` prints the figures.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::{Correction, Fit, Method, Moment, Refinement, Refinery};
use crate::base::clock::Monotonic;
use crate::sensors::{Quantity, Readings};

const STEP_S: f64 = 5.0;
/// How fast the processor follows its load, and the HAT the processor, in seconds.
const PROCESSOR_S: f64 = 90.0;
const HAT_S: f64 = 480.0;
/// What the HAT keeps of the distance between processor and air.
const SHARE: f64 = 0.3;

struct Rig {
    second: f64,
    processor: f64,
    hat: f64,
}

impl Rig {
    fn at_rest(air: f64) -> Self {
        Self { second: 0.0, processor: air + 22.0, hat: air + 22.0 * SHARE }
    }

    /// Goes on by one step with the processor's load from 0 to 1.
    fn step(&mut self, air: f64, load: f64) {
        let towards = |value: f64, target: f64, constant: f64| target + (value - target) * (-STEP_S / constant).exp();
        self.processor = towards(self.processor, air + 22.0 + 28.0 * load, PROCESSOR_S);
        self.hat = towards(self.hat, air + (self.processor - air) * SHARE, HAT_S);
        self.second += STEP_S;
    }

    /// What there is after half an hour of one load.
    fn moment(air: f64, load: f64) -> Moment {
        let mut rig = Self::at_rest(air);
        (0..360).for_each(|_| rig.step(air, load));
        Moment { reference: air, raw: rig.hat, processor: Some(rig.processor) }
    }
}

/// Room temperature over a day, with the night's setback.
fn air(second: f64) -> f64 {
    20.5 + 1.5 * (second / 86_400.0 * std::f64::consts::TAU).sin()
}

/// Idle, with ten busy minutes in each hour, and two busy hours.
fn load(second: f64) -> f64 {
    let hour = second / 3600.0;
    if (10.0..12.0).contains(&hour) || hour.fract() > 5.0 / 6.0 { 1.0 } else { 0.05 }
}

/// The errors over a day: their root mean square and the largest, in °C.
fn errors_over_a_day(correction: Correction, file: &Path) -> (f64, f64) {
    let kernel = File::create(file).unwrap();
    let mut refinery = Refinery::new(Refinement { correction, ..Refinement::default() });
    let (mut rig, mut squares, mut worst, mut count) = (Rig::at_rest(air(0.0)), 0.0, 0.0_f64, 0.0);
    while rig.second < 86_400.0 {
        rig.step(air(rig.second), load(rig.second));
        // of one length, so that nothing is cut off and written out at once
        kernel.write_all_at(format!("{:>8.0}\n", rig.processor * 1000.0).as_bytes(), 0).unwrap();
        let now = Monotonic::from_boot(Duration::from_secs_f64(rig.second));
        let raw = Readings::of(|quantity| (quantity == Quantity::TemperatureFromHumidity).then_some(Ok(rig.hat)));
        let told = refinery.refine(&raw, now);
        let error = told.get(Quantity::Temperature).unwrap().as_ref().unwrap() - air(rig.second);
        (squares, worst, count) = (squares + error * error, worst.max(error.abs()), count + 1.0);
    }
    ((squares / count).sqrt(), worst)
}

#[test]
fn two_moments_of_calibration_take_most_of_the_heat_out_of_a_day_that_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("temp");
    let moments = [Rig::moment(20.0, 0.05), Rig::moment(20.0, 1.0)];
    let (offset, factor) = (Fit::offset(&moments).unwrap(), Fit::factor(&moments).unwrap());
    // (t − air) = (t_cpu − t) / F at rest, which half an hour is not quite
    assert!((factor.method.number() - (1.0 - SHARE) / SHARE).abs() < 0.05, "{factor:?}");
    let mut figures = Vec::new();
    for correction in [
        Correction::None,
        Correction::Offset(offset.method.number()),
        factor_over(&factor, 10, &file),
        factor_over(&factor, 300, &file),
        factor_over(&factor, 480, &file),
    ] {
        let shown = format!("{correction:?}");
        let (rms, worst) = errors_over_a_day(correction, &file);
        println!("{rms:5.2} °C rms, {worst:5.2} °C at worst: {shown}");
        figures.push(rms);
    }
    let [none, offset, hasty, default, fitting] = figures[..] else { panic!("{figures:?}") };
    assert!(none > 7.0 && offset < none / 2.0, "{figures:?}");
    // a window as long as the HAT takes to follow is the best one
    assert!(fitting < default && default < hasty && default < offset / 2.0, "{figures:?}");
    assert!(fitting < 0.3, "{figures:?}");
}

fn factor_over(fit: &Fit, seconds: u64, file: &Path) -> Correction {
    let Method::Factor(factor) = fit.method else { panic!("{fit:?}") };
    Correction::Factor { factor, window: Duration::from_secs(seconds), file: file.into() }
}
