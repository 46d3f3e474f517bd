//! What the operator is told: each moment, and what both methods make of all of them.

use std::fmt::Write;

use super::measure::Measured;
use crate::sensors::{Fit, Moment};

/// What moves more than this has not come to rest.
const DRIFT_MAX_C: f64 = 0.2;

/// Beyond what the chip itself may be wrong by, in 15 to 40 °C (HTS221 datasheet, table 3), a fit is poor.
const WORST_C: f64 = 0.5;

/// One moment, in a line or two.
pub(super) fn measured(measured: &Measured) -> String {
    let Moment { raw, processor, .. } = measured.moment;
    let processor = match (processor, &measured.no_processor) {
        (Some(celsius), _) => format!("processor {celsius:.1} °C"),
        (None, why) => format!("processor unknown: {}", why.as_deref().unwrap_or("it was not read")),
    };
    let mut text = format!("  HAT {raw:.2} °C, {processor}");
    if measured.drift.abs() > DRIFT_MAX_C {
        let _ = write!(
            text,
            "\n  It still moves, by {:+.1} °C meanwhile: a moment counts more when nothing has changed for a while.",
            measured.drift
        );
    }
    text
}

/// The moments in rows, the two methods in columns.
pub(super) fn fits(moments: &[Moment], offset: Option<&Fit>, factor: Option<&Fit>) -> String {
    let mut text = String::from("\n thermometer      HAT   processor   with offset   with factor\n");
    for (index, moment) in moments.iter().enumerate() {
        let celsius = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2}"));
        let residual = |fit: Option<&Fit>| {
            let residual = fit.and_then(|fit| fit.residuals.get(index));
            residual.map_or_else(|| "-".into(), |residual| format!("{residual:+.2}"))
        };
        let _ = writeln!(
            text,
            "{:>12.2} {:>8.2} {:>11} {:>13} {:>13}",
            moment.reference,
            moment.raw,
            celsius(moment.processor),
            residual(offset),
            residual(factor)
        );
    }
    for fit in [offset, factor].into_iter().flatten() {
        let _ = writeln!(
            text,
            "{} = {:.3}: off by {:.2} °C on the whole, by {:.2} °C at worst",
            fit.method.name(),
            fit.method.number(),
            fit.rms(),
            fit.worst()
        );
    }
    if factor.is_none() {
        text.push_str(
            "factor: none, as the HAT was not the warmer the warmer the processor was, or that is not known\n",
        );
    }
    let worst = [offset, factor].into_iter().flatten().map(Fit::worst).fold(f64::INFINITY, f64::min);
    if worst > WORST_C {
        text.push_str("Neither agrees well: was the thermometer in the warm air, or the Pi not at rest?\n");
    }
    text.push('\n');
    text
}
