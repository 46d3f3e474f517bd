//! Every golden vector, by its id: calibration and raw bytes from public tests, datasheets, application notes and
//! posted register dumps, with the values they stand for (`data/sensehat_vectors.json` names each source).
//!
//! Each vector is checked three times: the pure conversion, the driver over a simulated HAT that holds the vector's
//! bytes, and the number its source printed. Where the source disagrees, [`DISAGREEING`] says why.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic; clippy knows unit tests alone")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sensegate::base::clock::Monotonic;
use sensegate::sensors::dump::Dump;
use sensegate::sensors::hts221::{self, interpolate};
use sensegate::sensors::simulated::SimulatedHat;
use sensegate::sensors::{Chip, Hat, Options, Quantity, Reading, Readings, Reason, SourceOptions, ValueError, lps25h};
use serde_json::Value;

/// What the printed digits of the vectors allow.
const TOLERANCE: f64 = 1e-6;

/// Vectors whose source prints another number than its own bytes give.
const DISAGREEING: [(&str, &str); 2] = [
    ("hts-11", "the answer on the forum says 20 %RH without its sum; the line through its bytes gives 66.81 %RH"),
    ("lps-05", "the poster's room had 30 °C and the bytes say 22.4 °C: the question was never resolved"),
];

macro_rules! vectors {
    ($($name:ident = $id:literal),* $(,)?) => {
        const IDS: &[&str] = &[$($id),*];
        $(#[test] fn $name() { check($id); })*
    };
}

vectors! {
    hts_01_unit_test_of_base_archi = "hts-01",
    hts_03_second_calibration_point = "hts-03",
    hts_04_humidity_alone = "hts-04",
    hts_05_below_the_first_point = "hts-05",
    hts_07_t0_out_of_zero_is_legal = "hts-07",
    hts_08_middle_of_the_range = "hts-08",
    hts_10_temperature_out_of_range = "hts-10",
    hts_11_degenerate_temperature_calibration = "hts-11",
    hts_12_both_calibrations_degenerate = "hts-12",
    hts_14_humidity_above_100_is_clamped = "hts-14",
    hts_15_humidity_of_a_second_part = "hts-15",
    hts_17_end_of_the_calibrated_range = "hts-17",
    hts_18_emulator_room = "hts-18",
    hts_19_emulator_frost = "hts-19",
    hts_21_emulator_lower_limits = "hts-21",
    hts_22_all_upper_bits_and_no_slope = "hts-22",
    lps_01_example_of_the_application_note = "lps-01",
    lps_02_temperature_of_the_application_note = "lps-02",
    lps_04_damaged_element = "lps-04",
    lps_05_temperature_of_a_forum_post = "lps-05",
    lps_07_emulator_1013 = "lps-07",
    lps_08_emulator_1013_25 = "lps-08",
    lps_10_emulator_upper_limit = "lps-10",
    lps_11_emulator_fraction = "lps-11",
    lps_13_most_negative_counts = "lps-13",
    lps_15_lower_limit = "lps-15",
    lps_16_examples_of_the_datasheet = "lps-16",
}

#[test]
fn every_vector_of_the_file_has_its_test() {
    let in_file: Vec<String> = vectors().iter().map(|vector| text(&vector["id"])).collect();
    for id in &in_file {
        assert!(IDS.contains(&id.as_str()), "{id} has no test");
    }
    assert_eq!(in_file.len(), IDS.len());
}

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("data/sensehat_vectors.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn hex(value: &Value) -> Option<Vec<u8>> {
    let digits: String = value.as_str()?.split_whitespace().collect();
    Some((0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect())
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= TOLERANCE, "{found}, expected {expected}");
}

fn check(id: &str) {
    let vector = vectors().into_iter().find(|vector| vector["id"] == id).unwrap();
    if id.starts_with("hts") {
        check_hts221(&vector);
    } else {
        check_lps25h(&vector);
    }
}

fn check_hts221(vector: &Value) {
    let bytes: [u8; 16] = hex(&vector["cal_30_3f_hex"]).unwrap().try_into().unwrap();
    let calibration = hts221::Calibration::from_registers(bytes);
    check_points(&calibration, &vector["cal"]);
    let count = |key: &str| vector[key].as_i64().map(|count| i16::try_from(count).unwrap());
    let mut dump = Dump::default();
    dump.set(Chip::Hts221, 0x30, &bytes);
    for (first, key) in [(0x28, "h_out"), (0x2a, "t_out")] {
        dump.set(Chip::Hts221, first, &count(key).unwrap_or(0).to_le_bytes());
    }
    if let Some(outputs) = hex(&vector["regs_28_2b_hex"]) {
        let held: Vec<u8> = (0x28..0x2c).map(|register| dump.registers(Chip::Hts221).unwrap()[&register]).collect();
        assert_eq!(held, outputs, "the bytes of the vector agree with its counts");
    }
    let readings = sampled(&dump);
    if let Some(raw) = count("h_out") {
        check_humidity(vector, &calibration, raw, readings.get(Quantity::Humidity).unwrap());
    }
    if let Some(raw) = count("t_out") {
        check_temperature(vector, &calibration, raw, readings.get(Quantity::Temperature).unwrap());
    }
}

fn check_points(calibration: &hts221::Calibration, points: &Value) {
    let number = |key: &str| points[key].as_f64().unwrap();
    assert_near(calibration.h0_rh, number("h0_rh"));
    assert_near(calibration.h1_rh, number("h1_rh"));
    assert_near(calibration.t0_c, number("t0_degc"));
    assert_near(calibration.t1_c, number("t1_degc"));
    assert_near(calibration.h0_t0_out.into(), number("h0_t0_out"));
    assert_near(calibration.h1_t0_out.into(), number("h1_t0_out"));
    assert_near(calibration.t0_out.into(), number("t0_out"));
    assert_near(calibration.t1_out.into(), number("t1_out"));
}

fn check_humidity(vector: &Value, calibration: &hts221::Calibration, raw: i16, reading: &Reading) {
    let expected = &vector["expected"];
    let Some(value) = expected["rh"].as_f64() else {
        assert_eq!(expected["rh"], "ERR_CALIBRATION");
        assert!(matches!(calibration.humidity(raw), Err(ValueError::Calibration { .. })));
        return check_absent(reading, Reason::Calibration);
    };
    let points = ((calibration.h0_t0_out, calibration.h0_rh), (calibration.h1_t0_out, calibration.h1_rh));
    assert_near(interpolate(raw, points.0, points.1).unwrap(), expected["rh_unclamped"].as_f64().unwrap());
    assert_near(calibration.humidity(raw).unwrap().0, value);
    assert_near(*reading.as_ref().unwrap(), value);
    check_source(vector, &["rh", "rh_by_ST_reply"], value);
}

fn check_temperature(vector: &Value, calibration: &hts221::Calibration, raw: i16, reading: &Reading) {
    let expected = &vector["expected"];
    let Some(value) = expected["temp_c"].as_f64() else {
        assert_eq!(expected["temp_c"], "ERR_CALIBRATION");
        assert!(matches!(calibration.temperature(raw), Err(ValueError::Calibration { .. })));
        return check_absent(reading, Reason::Calibration);
    };
    let points = ((calibration.t0_out, calibration.t0_c), (calibration.t1_out, calibration.t1_c));
    assert_near(interpolate(raw, points.0, points.1).unwrap(), value);
    check_source(vector, &["temp_c", "temp_c_truncated"], value);
    if expected["temp_out_of_range"] == true {
        assert!(!(-40.0..=120.0).contains(&value));
        return check_absent(reading, Reason::OutOfRange);
    }
    assert_near(calibration.temperature(raw).unwrap().0, value);
    assert_near(*reading.as_ref().unwrap(), value);
}

fn check_lps25h(vector: &Value) {
    let expected = &vector["expected"];
    let mut dump = Dump::default();
    if let Some(pressure) = hex(&vector["press_out_hex"]) {
        let [high, middle, low]: [u8; 3] = pressure.try_into().unwrap();
        let count = lps25h::pressure_count([low, middle, high]);
        assert_eq!(i64::from(count), expected["raw_p"].as_i64().unwrap());
        assert_near(lps25h::pressure(count).0, expected["pressure_hpa"].as_f64().unwrap());
        dump.set(Chip::Lps25h, 0x28, &[low, middle, high]);
        check_pressure(vector, count, sampled(&dump).get(Quantity::Pressure).unwrap());
    }
    if let Some(temperature) = hex(&vector["temp_out_hex"]) {
        let count = i16::from_be_bytes(temperature.try_into().unwrap());
        assert_eq!(i64::from(count), expected["raw_t"].as_i64().unwrap());
        let value = expected["temp_c"].as_f64().unwrap();
        assert_near(lps25h::temperature(count).0, value);
        check_source(vector, &["temp_c", "ambient_c"], value);
        dump.set(Chip::Lps25h, 0x2b, &count.to_le_bytes());
    }
    if let Some(outputs) = hex(&vector["regs_28_2c_hex"]) {
        let held: Vec<u8> = dump.registers(Chip::Lps25h).unwrap().values().copied().collect();
        assert_eq!(held, outputs, "the bytes of the vector agree with its counts");
    }
}

/// What is published: the value, or absence when nobody can have measured it.
fn check_pressure(vector: &Value, count: i32, reading: &Reading) {
    let value = vector["expected"]["pressure_hpa"].as_f64().unwrap();
    if vector["source_stated"]["diagnosis"].is_string() {
        return check_absent(reading, Reason::Damaged);
    }
    if !(260.0..=1260.0).contains(&value) {
        assert!(matches!(lps25h::check_pressure(count), Err(ValueError::OutOfRange { .. })));
        return check_absent(reading, Reason::OutOfRange);
    }
    assert_near(lps25h::check_pressure(count).unwrap().0, value);
    assert_near(*reading.as_ref().unwrap(), value);
    check_source(vector, &["pressure_hpa"], value);
}

fn check_absent(reading: &Reading, reason: Reason) {
    assert_eq!(reading.as_ref().unwrap_err().reason, reason);
}

/// What the source printed, to the digits it printed; it must differ where it is known to disagree.
fn check_source(vector: &Value, keys: &[&str], value: f64) {
    let disagrees = DISAGREEING.iter().any(|(id, _)| vector["id"] == *id);
    for stated in keys.iter().filter_map(|key| vector["source_stated"][key].as_f64()) {
        let digits = stated.to_string().split('.').nth(1).map_or(0, str::len);
        let printed = 10_f64.powi(-i32::try_from(digits).unwrap());
        assert_eq!((value - stated).abs() >= printed.max(TOLERANCE), disagrees, "{value}, the source says {stated}");
    }
}

/// What a HAT with these registers reads after five samples, one a second: as many as it takes to tell that a
/// pressure of 760 hPa does not move.
fn sampled(dump: &Dump) -> Readings {
    let seconds = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&seconds);
    let clock = move || Monotonic::from_boot(Duration::from_secs(read.load(Ordering::Relaxed)));
    let options = Options::of(SourceOptions::Simulated);
    let mut hat = Hat::new(SimulatedHat::from_dump(dump, clock.clone()), &options);
    for _ in 0..4 {
        hat.sample(clock());
        seconds.fetch_add(1, Ordering::Relaxed);
    }
    hat.sample(clock())
}
