//! What the chips measure, where nobody else is at them.

use std::path::Path;

use super::super::others;
use super::super::read::wait_for_values;
use super::finding::Finding;
use crate::sensors::bus::Bus;
use crate::sensors::{Hat, Options, Quantity, Reading, Readings, Reason};

const SUBJECT: &str = "readings";

/// Takes one sample of both chips over an open bus, unless another program has it open too: two programs that read one
/// chip take each other's conversions away.
pub(super) fn check(bus: Bus, number: u8, root: &Path, options: &Options) -> Vec<Finding> {
    let others = others::at_bus(root, number);
    if !others.is_empty() {
        let text =
            format!("not taken here, because {} reads the chips; its state topic has them", others::names(&others));
        return vec![Finding::ok(SUBJECT, text)];
    }
    let mut hat = Hat::new(bus, options);
    judge(&wait_for_values(|now| hat.sample(now)))
}

/// One finding for all values, and one for each cause of an absence.
fn judge(readings: &Readings) -> Vec<Finding> {
    let main = || readings.iter().filter(|(quantity, _)| Quantity::MAIN.contains(quantity));
    let values = main().filter_map(|(quantity, reading)| Some(shown(quantity, *reading.as_ref().ok()?)));
    let values = values.collect::<Vec<_>>();
    let mut findings = Vec::new();
    if !values.is_empty() {
        findings.push(Finding::ok(SUBJECT, values.join(", ")));
    }
    findings.extend(main().filter_map(|(quantity, reading)| absent(quantity, reading)));
    findings
}

fn shown(quantity: Quantity, value: f64) -> String {
    format!("{quantity} {value:.2} {}", quantity.unit())
}

fn absent(quantity: Quantity, reading: &Reading) -> Option<Finding> {
    let absence = reading.as_ref().err()?;
    let cure = match absence.reason {
        Reason::Damaged => "the chip is broken and can only be replaced; everything else goes on without it",
        Reason::Calibration => "switch off and on again; where it stays, the chip has lost its calibration",
        Reason::Stale | Reason::Reset => {
            "look for another program that uses the HAT: python-sense-hat, a kernel driver"
        }
        _ => "",
    };
    Some(Finding::problem(SUBJECT, format!("no {quantity}: {}", absence.text), cure))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use crate::base::clock::Monotonic;
    use crate::sensors::Absence;

    fn absent_for(reason: Reason) -> Readings {
        let absence = Absence { reason, text: "the story".into(), since: Monotonic::ZERO };
        Readings::new(|quantity| if quantity == Quantity::Pressure { Err(absence.clone()) } else { Ok(21.0) })
    }

    #[test]
    fn values_are_told_and_a_broken_element_is_a_problem_with_what_to_do() {
        let findings = judge(&absent_for(Reason::Damaged));
        assert_eq!(findings[0].text, "temperature 21.00 °C, humidity 21.00 %RH");
        assert_eq!((findings[0].verdict, findings[1].verdict), (Verdict::Ok, Verdict::Problem));
        assert!(findings[1].text.contains("no pressure: the story") && findings[1].cure.contains("replaced"));
        assert_eq!(judge(&Readings::new(|_| Ok(1.0))).len(), 1);
    }
}
