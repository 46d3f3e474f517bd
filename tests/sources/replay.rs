//! Recordings in the place of a HAT.

use super::*;

/// Writes a recording with the official format: the whole numbers of the arguments behind the file are seconds, each a
/// record whose pressure is 1000 hPa and the second, and whose humidity is missing in every other.
const WRITER: &str = r"
import sys
from sense_emu.common import HEADER_REC, DATA_REC
start = 1795377331.25
with open(sys.argv[1], 'wb') as output:
    output.write(HEADER_REC.pack(b'SENSEHAT', 1, start))
    for number, word in enumerate(sys.argv[2:]):
        humidity = float('nan') if number % 2 else 45.5
        values = [start + float(word), 1000 + float(word), 22.5, humidity, 21.5]
        output.write(DATA_REC.pack(*values, *[0.5] * 12))
";

#[test]
fn recording_of_the_official_format_is_played_and_labelled() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let mut command = place.python(&python, WRITER);
    assert!(command.arg(place.path("a.hat")).args(["0", "600", "1200"]).status().unwrap().success());
    let sample = place.read(&place.replay("a.hat", ""));
    assert_eq!(sample["source"], "replay");
    assert_eq!((value(&sample, "pressure"), value(&sample, "humidity")), (1000.0, 45.5));
    assert_eq!((value(&sample, "temperature"), value(&sample, "temperature_from_pressure")), (21.5, 22.5));
    assert!(!sample["time"].as_str().unwrap().starts_with("2026-11-22T19:55:31"), "{sample:#}");
}

#[test]
fn file_that_cannot_be_played_ends_the_start_and_is_told_by_the_doctor() {
    let place = Place::new();
    place.write("a.hat", "SENSEHAT but no recording at all");
    let output = place.command("read", &place.replay("a.hat", "")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let expected = "a.hat: is of version 32 of the format, 1 is expected";
    assert!(text(&output.stderr).contains(expected), "{output:?}");
    let output = place.command("doctor", &place.replay("a.hat", "")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("a.hat is of version 32"), "{output:?}");
}

#[test]
fn gateway_publishes_a_recording_and_says_when_it_has_ended() {
    let place = Place::new();
    let file = place.path("a.hat");
    let mut record = place.command("record", "source = \"simulated\"");
    said(&record.args(["--interval", "40ms", "--duration", "200ms"]).arg(&file).output().unwrap());
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let process = Process::spawn(&mut place.command("run", &place.replay("a.hat", "interval = \"40ms\"")));
    let has_said = |words: &str| process.printed().contains(words).then_some(());
    eventually("where readings come from", || has_said("(its values are not of now)"));
    eventually("that it is cut short", || has_said("it was cut short, and 135 bytes of one more are left out"));
    eventually("the end", || has_said("the recording has ended"));
}
