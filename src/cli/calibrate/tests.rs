use super::*;
use crate::config;
use crate::sensors::{Correction, Method};

fn moment(reference: f64, raw: f64, processor: f64) -> Moment {
    Moment { reference, raw, processor: Some(processor) }
}

/// Types `input`; each moment measures what `measure` gives for its number.
fn asked(
    input: &str,
    mut measure: impl FnMut(usize) -> Result<Moment, String>,
) -> (anyhow::Result<Vec<Moment>>, String) {
    let (mut input, mut output, mut number) = (input.as_bytes(), Vec::new(), 0);
    let moments = ask(&mut Asker::new(&mut input, &mut output, true), |reference| {
        number += 1;
        let moment = Moment { reference, ..measure(number)? };
        Ok(measure::Measured { moment, drift: 0.0, no_processor: None })
    });
    (moments, String::from_utf8(output).unwrap())
}

#[test]
fn moments_are_asked_for_until_an_empty_line_and_a_bad_one_does_not_count() {
    let (moments, told) = asked("20\nwarm\n20,5\n21.5\n\n", |number| match number {
        2 => Err("nobody answers".into()),
        _ => Ok(moment(0.0, 28.0, 50.0)),
    });
    assert_eq!(moments.unwrap(), [moment(20.0, 28.0, 50.0), moment(21.5, 28.0, 50.0)]);
    assert!(
        told.contains("a number from -40 to 60, in °C") && told.contains("does not count: nobody answers"),
        "{told}"
    );
}

#[test]
fn one_moment_is_too_few() {
    let (moments, _) = asked("20\n", |_| Ok(moment(0.0, 28.0, 50.0)));
    assert_eq!(moments.unwrap_err().to_string(), "1 of 2 moments: nothing was changed");
}

#[test]
fn the_method_that_agrees_best_is_taken_and_both_are_shown() {
    let mut told = Vec::new();
    let moments = [moment(20.0, 28.0, 44.0), moment(20.0, 35.0, 65.0)];
    let best = best(&moments, &mut told).unwrap().unwrap();
    assert!(matches!(best.method, Method::Factor(factor) if (factor - 2.0).abs() < 1e-9), "{best:?}");
    let told = String::from_utf8(told).unwrap();
    for line in [
        " thermometer      HAT   processor   with offset   with factor",
        "       20.00    28.00       44.00         -3.50         +0.00",
        "       20.00    35.00       65.00         +3.50         +0.00",
        "offset = -11.500: off by 3.50 °C on the whole, by 3.50 °C at worst",
        "factor = 2.000: off by 0.00 °C on the whole, by 0.00 °C at worst",
    ] {
        assert!(told.contains(line), "{line:?} in\n{told}");
    }
}

/// What the written configuration means.
fn correction_in(text: &str, fit: &Fit) -> (String, Correction) {
    let new = configuration::with(configuration::parse(text).unwrap(), fit, None).unwrap();
    let state = [("STATE_DIRECTORY".to_owned(), "/nonexistent".to_owned())];
    let settings = config::parse(Path::new("a.toml"), &new, state.into_iter()).unwrap();
    (new, settings.sensors.refinement.correction)
}

#[test]
fn the_section_is_written_with_everything_else_left_as_it_is() {
    let fit = Fit { method: Method::Factor(2.123_456), residuals: vec![] };
    let text = "# mine\nprefix = \"x\"\n\n[sensors.correction]\n# why\nmethod = \"none\" # for now\n";
    let (new, correction) = correction_in(text, &fit);
    assert_eq!(
        new,
        "# mine\nprefix = \"x\"\n\n[sensors.correction]\n# why\nmethod = \"factor\" # for now\nfactor = 2.123\n"
    );
    assert!(matches!(correction, Correction::Factor { factor, .. } if (factor - 2.123).abs() < 1e-12));
    let fit = Fit { method: Method::Offset(-7.5), residuals: vec![] };
    for text in ["", "[sensors]\ninterval = \"5s\"\n", "sensors.correction.method = \"none\"\n", &new] {
        assert_eq!(correction_in(text, &fit).1, Correction::Offset(-7.5), "{text}");
    }
    assert_eq!(correction_in(config::DEFAULTS, &fit).1, Correction::Offset(-7.5));
}
