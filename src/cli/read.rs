//! `sensegate read`: one sample as JSON.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::agent::{self, Sample, ValidSince};
use crate::base::clock::{self, Monotonic};
use crate::base::ids::BootId;
use crate::sensors::{self, Readings, Reason, Sensor};

/// How long the chips may take to start; a healthy HAT needs a quarter of a second.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// What is printed.
#[derive(serde::Serialize)]
struct Shown<'a> {
    time: String,
    source: &'static str,
    synchronised: bool,
    readings: &'a Readings,
}

/// Takes one sample and prints it. Exit code 0 when every quantity has a value, else 1.
///
/// # Errors
/// A register dump that cannot be read, or a standard output that is closed.
pub(super) fn run(options: &sensors::Options) -> anyhow::Result<ExitCode> {
    let mut sensor = sensors::open(options, clock::monotonic)?;
    report(&take_sample(&mut sensor), &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// Samples until every quantity has a value, or for 3 s.
pub(super) fn take_sample(sensor: &mut Sensor) -> Sample {
    let readings = wait_for_values(|now| sensor.sample(now).of_one_cycle());
    let now = clock::monotonic();
    Sample {
        sequence: agent::first_sequence(now),
        boot_id: BootId::read(),
        monotonic: now,
        wall: clock::wall(),
        synchronised: clock::is_synchronised(),
        source: sensor.source(),
        readings,
        valid_since: ValidSince::default(),
        counts: sensor.counts(),
    }
}

/// Prints a sample as one JSON object; what is absent is told on `err` as well. Exit code 0 when every quantity has a
/// value, else 1.
pub(super) fn report(sample: &Sample, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    let shown = Shown {
        time: sample.wall.to_string(),
        source: sample.source.name(),
        synchronised: sample.synchronised,
        readings: &sample.readings,
    };
    writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    for cause in causes(&sample.readings) {
        writeln!(err, "sensegate: {cause}")?;
    }
    Ok(if sample.readings.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples until every quantity has a value, or none of those that lack one can come soon; 3 s at most.
pub(super) fn wait_for_values(mut sample: impl FnMut(Monotonic) -> Readings) -> Readings {
    let deadline = clock::monotonic() + WAIT_MAX;
    loop {
        let now = clock::monotonic();
        let readings = sample(now);
        if readings.is_complete() || is_closed(&readings) || now >= deadline {
            return readings;
        }
        thread::sleep(PAUSE);
    }
}

/// Whether there is nothing to wait for: no bus, or no more in the recording.
fn is_closed(readings: &Readings) -> bool {
    let is_final = |reason| matches!(reason, Reason::NoBus | Reason::Permission | Reason::NotRecorded | Reason::Ended);
    readings.iter().all(|(_, reading)| reading.as_ref().map_or_else(|absence| is_final(absence.reason), |_| true))
}

/// One line for each cause, with all the quantities it concerns.
pub(super) fn causes(readings: &Readings) -> Vec<String> {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    for (quantity, reading) in readings.iter() {
        let Err(absence) = reading else { continue };
        match causes.iter_mut().find(|(text, _)| *text == absence.text) {
            Some((_, quantities)) => quantities.push(quantity.name()),
            None => causes.push((&absence.text, vec![quantity.name()])),
        }
    }
    causes.into_iter().map(|(text, quantities)| format!("no {}: {text}", quantities.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::{Options, Quantity, Refinement, SourceOptions};

    fn check(source: SourceOptions) -> (ExitCode, serde_json::Value, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        // no single sample can tell a tendency, and none is waited for
        let refinement = Refinement { extra: [Quantity::PressureTendency].into(), ..Refinement::default() };
        let options = Options { refinement, ..Options::of(source) };
        let mut sensor = sensors::open(&options, clock::monotonic).unwrap();
        let code = report(&take_sample(&mut sensor), &mut out, &mut err).unwrap();
        (code, serde_json::from_slice(&out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn simulated_hat_gives_every_quantity_with_its_unit() {
        let (code, json, err) = check(SourceOptions::Simulated);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        assert_eq!(json["source"], "simulated");
        assert!(json["synchronised"].is_boolean() && json["time"].as_str().unwrap().ends_with('Z'));
        for (quantity, unit) in [("temperature", "°C"), ("pressure", "hPa"), ("humidity", "%RH")] {
            assert_eq!(json["readings"][quantity]["unit"], unit);
            assert!(json["readings"][quantity]["value"].is_f64(), "{json}");
        }
    }

    #[test]
    fn missing_bus_is_told_once_with_its_cure() {
        let (code, json, err) = check(SourceOptions::I2c { bus: 251 });
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(json["readings"]["pressure"]["reason"], "no_bus");
        assert!(json["readings"]["pressure"]["value"].is_null());
        assert!(err.starts_with("sensegate: no temperature, pressure, humidity: /dev/i2c-251 is not there"), "{err}");
        assert!(err.contains("--simulate") && err.lines().count() == 1, "{err}");
    }

    #[test]
    fn dump_is_read_as_the_values_it_holds_and_a_chip_that_it_lacks_is_absent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"00 54 3f\" }\n";
        std::fs::write(file.path(), dump).unwrap();
        let (code, json, err) = check(SourceOptions::Dump(file.path().into()));
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(json["readings"]["pressure"]["value"], 1013.25);
        assert_eq!(json["readings"]["humidity"]["reason"], "no_chip");
        assert!(err.starts_with("sensegate: no temperature, humidity: cannot read HTS221"), "{err}");
    }

    #[test]
    fn broken_dump_is_an_error_with_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[[chip]]\nname = \"bme280\"\nregisters = {}\n").unwrap();
        let options = Options::of(SourceOptions::Dump(file.path().into()));
        let error = run(&options).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:2:8: unknown chip", file.path().display())), "{error}");
    }
}
