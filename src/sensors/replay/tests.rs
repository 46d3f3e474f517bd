//! Recordings that are made here, in virtual time.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;
use crate::sensors::recording::{Header, Record};
use crate::sensors::{Quantity, Reading, Reason};

/// When the recordings begin, and where the machine's clock stands when they are played.
const START_S: f64 = 1_795_377_331.25;
const NOW: Monotonic = Monotonic::from_boot(Duration::from_secs(77));

/// A record `offset_s` after the start; its pressure is 1000 hPa and `offset_s`.
fn at(offset_s: f64) -> Record {
    Record {
        time_s: START_S + offset_s,
        pressure: Some(1000.0 + offset_s),
        temperature_from_pressure: Some(22.5),
        humidity: Some(45.5),
        temperature_from_humidity: Some(21.5),
    }
}

struct Recording {
    _file: NamedTempFile,
    replay: Replay,
}

impl Recording {
    fn of(records: &[Record], speed: f64, after: After) -> Self {
        let file = NamedTempFile::new().unwrap();
        let records = records.iter().flat_map(Record::encode);
        let header = Header { start_s: START_S - 5.0 }.encode();
        std::fs::write(file.path(), header.into_iter().chain(records).collect::<Vec<_>>()).unwrap();
        let replay = Replay::open(Options { file: file.path().to_owned(), speed, after }).unwrap();
        Self { _file: file, replay }
    }

    fn reading(&mut self, second: f64, quantity: Quantity) -> Reading {
        self.replay.sample(NOW + Duration::from_secs_f64(second)).get(quantity).unwrap().clone()
    }

    /// The pressures `seconds` after the first sample, or the reasons why there is none.
    fn pressures(&mut self, seconds: &[f64]) -> Vec<Result<f64, Reason>> {
        let pressure = |&second: &f64| self.reading(second, Quantity::Pressure).map_err(|absence| absence.reason);
        seconds.iter().map(pressure).collect()
    }
}

#[test]
fn last_record_at_or_before_the_moment_is_told() {
    let mut recording = Recording::of(&[at(0.0), at(1.0), at(2.0), at(3.0)], 1.0, After::Nothing);
    let told = recording.pressures(&[0.0, 0.9, 1.0, 1.5, 3.0, 4.0]);
    assert_eq!(told, [1000.0, 1000.0, 1001.0, 1001.0, 1003.0, 1003.0].map(Ok));
    let readings = recording.replay.sample(NOW + Duration::from_secs(4));
    let values: Vec<_> = readings.iter().map(|(quantity, reading)| (quantity, reading.clone().unwrap())).collect();
    let expected = [
        (Quantity::Temperature, 21.5),
        (Quantity::Pressure, 1003.0),
        (Quantity::Humidity, 45.5),
        (Quantity::TemperatureFromHumidity, 21.5),
        (Quantity::TemperatureFromPressure, 22.5),
    ];
    assert_eq!(values, expected);
}

#[test]
fn after_the_end_everything_is_absent_and_says_so() {
    let mut recording = Recording::of(&[at(0.0), at(1.0)], 1.0, After::Nothing);
    assert_eq!(
        recording.pressures(&[0.0, 2.0, 2.1, 1e6]),
        [Ok(1000.0), Ok(1001.0), Err(Reason::Ended), Err(Reason::Ended)]
    );
    for quantity in [Quantity::Temperature, Quantity::Humidity, Quantity::TemperatureFromPressure] {
        let absence = recording.reading(1e6, quantity).unwrap_err();
        assert!(absence.text.starts_with("the recording has ended: 2 records over 1s"), "{}", absence.text);
    }
}

#[test]
fn recording_that_is_repeated_begins_one_interval_after_its_end() {
    let mut recording = Recording::of(&[at(0.0), at(1.0), at(2.0)], 1.0, After::Again);
    let told = recording.pressures(&[0.0, 2.5, 3.0, 4.2, 6.0, 3_000_001.5]);
    assert_eq!(told, [1000.0, 1002.0, 1000.0, 1001.0, 1000.0, 1001.0].map(Ok));
}

#[test]
fn speed_is_a_factor() {
    let records: Vec<_> = (0..100).map(|second| at(second.into())).collect();
    let mut fast = Recording::of(&records, 10.0, After::Nothing);
    assert_eq!(fast.pressures(&[0.0, 1.0, 9.9, 10.5]), [Ok(1000.0), Ok(1010.0), Ok(1099.0), Err(Reason::Ended)]);
    let mut slow = Recording::of(&records, 0.5, After::Nothing);
    assert_eq!(slow.pressures(&[0.0, 1.0, 2.0, 10.0]), [1000.0, 1000.0, 1001.0, 1005.0].map(Ok));
}

#[test]
fn gap_is_absent_once_three_intervals_are_over() {
    let records = [at(0.0), at(1.0), at(2.0), at(60.0), at(61.0)];
    let mut recording = Recording::of(&records, 1.0, After::Nothing);
    let told = recording.pressures(&[0.0, 5.0, 5.1, 59.9, 60.0]);
    assert_eq!(told, [Ok(1000.0), Ok(1002.0), Err(Reason::NotRecorded), Err(Reason::NotRecorded), Ok(1060.0)]);
    // 3 ms, as sense_rec takes them: a second is no gap yet
    let quick = [at(0.0), at(0.003), at(0.006), at(3.0)];
    let told = Recording::of(&quick, 1.0, After::Nothing).pressures(&[0.0, 1.0, 1.1]);
    assert_eq!(told, [Ok(1000.0), Ok(1000.006), Err(Reason::NotRecorded)]);
}

#[test]
fn what_was_absent_or_cannot_be_measured_is_absent() {
    let strange =
        Record { pressure: Some(0.0), humidity: None, temperature_from_humidity: Some(f64::INFINITY), ..at(0.0) };
    let mut recording = Recording::of(&[strange], 1.0, After::Nothing);
    let mut check = |quantity, reason, text: &str| {
        let absence = recording.reading(0.0, quantity).unwrap_err();
        assert_eq!(absence.reason, reason);
        assert!(absence.text.contains(text), "{}", absence.text);
    };
    check(Quantity::Pressure, Reason::OutOfRange, "outside 260..1260 hPa");
    check(Quantity::Humidity, Reason::NotRecorded, "absent when the recording was made");
    check(Quantity::Temperature, Reason::OutOfRange, "outside -40..120 °C");
    assert_eq!(recording.reading(0.0, Quantity::TemperatureFromPressure), Ok(22.5));
}

#[test]
fn time_that_goes_back_ends_the_playing_and_names_the_record() {
    // behind what is looked at when the file is opened
    let records: Vec<_> = (0..120).chain([118, 120]).map(|second| at(second.into())).collect();
    let mut recording = Recording::of(&records, 1.0, After::Again);
    assert_eq!(recording.pressures(&[0.0, 118.0]), [1000.0, 1118.0].map(Ok));
    for second in [119.0, 1000.0] {
        let absence = recording.reading(second, Quantity::Humidity).unwrap_err();
        assert_eq!(absence.reason, Reason::Bus);
        assert!(absence.text.contains(": record 121 is of "), "{}", absence.text);
    }
}

#[test]
fn recording_that_is_played_too_fast_is_absent_until_it_is_caught_up_with() {
    let count = player::RECORDS_MAX + 10;
    let records: Vec<_> = (0..count).map(|number| at(f64::from(number) / 512.0)).collect();
    let mut recording = Recording::of(&records, 1.0, After::Nothing);
    // fractions that a double holds exactly
    let end = f64::from(count - 1) / 512.0;
    assert_eq!(recording.pressures(&[0.0, end, end]), [Ok(1000.0), Err(Reason::Stale), Ok(1000.0 + end)]);
}

proptest! {
    #[test]
    fn each_moment_has_what_a_search_finds(
        steps in proptest::collection::vec(0.0..5.0_f64, 1..20),
        moments in proptest::collection::vec(0.0..60.0_f64, 1..20),
    ) {
        let sums = steps.iter().scan(0.0, |sum, step| { *sum += step; Some(*sum) });
        let records: Vec<_> = sums.map(at).collect();
        let mut moments = moments;
        moments.sort_by(f64::total_cmp);
        let mut recording = Recording::of(&records, 1.0, After::Nothing);
        recording.replay.sample(NOW);
        for moment_s in moments {
            // as the clock has it: whole nanoseconds
            let moment_s = Duration::from_secs_f64(moment_s).as_secs_f64();
            let told = recording.reading(moment_s, Quantity::Pressure).map_err(|absence| absence.reason);
            prop_assert_eq!(told, searched(&records, moment_s, recording.replay.survey().interval), "{}", moment_s);
        }
    }
}

/// The last record at or before the moment, as long as it holds.
fn searched(records: &[Record], moment_s: f64, interval: Duration) -> Result<f64, Reason> {
    let offset_s = |record: &Record| record.time_s - records[0].time_s;
    let found = records.iter().rposition(|record| offset_s(record) <= moment_s).unwrap();
    let (is_last, age_s) = (found + 1 == records.len(), moment_s - offset_s(&records[found]));
    match age_s {
        age_s if is_last && age_s > interval.as_secs_f64() => Err(Reason::Ended),
        age_s if age_s > (3 * interval).as_secs_f64().max(1.0) => Err(Reason::NotRecorded),
        _ => Ok(records[found].pressure.unwrap()),
    }
}
