//! Readings from raw to refined.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use Quantity::{
    AbsoluteHumidity, DewPoint, Humidity, Pressure, PressureTendency, SeaLevelPressure, Temperature,
    TemperatureFromHumidity, TemperatureFromPressure,
};

fn at(s: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_secs(s))
}

fn absent(reason: Reason, s: u64) -> Reading {
    Err(Absence { reason, text: format!("it is {}", reason.name()), since: at(s) })
}

/// What the chips say: temperature beside humidity, temperature beside pressure, humidity, pressure.
fn raw(measured: &[Reading; 4]) -> Readings {
    Readings::of(|quantity| {
        let index = MEASURED.iter().position(|&measured| measured == quantity)?;
        measured.get(index).cloned()
    })
}

fn room() -> Readings {
    raw(&[Ok(35.0), Ok(36.0), Ok(25.0), Ok(950.0)])
}

/// Every quantity, for a gateway at 540 m.
fn everything(correction: Correction) -> Refinery {
    let extra = Quantity::ALL.into_iter().collect();
    Refinery::new(Refinement { correction, altitude_m: Some(540.0), extra, ..Refinement::default() })
}

fn value(readings: &Readings, quantity: Quantity) -> f64 {
    *readings.get(quantity).unwrap().as_ref().unwrap()
}

fn check_near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value}, {expected} was expected");
}

#[test]
fn without_correction_everything_is_what_the_chips_say_and_the_state_can_tell() {
    let readings = Refinery::new(Refinement::default()).refine(&room(), at(1));
    let told: Vec<_> = readings.iter().map(|(quantity, reading)| (quantity, reading.clone().unwrap())).collect();
    assert_eq!(told, [(Temperature, 35.0), (Pressure, 950.0), (Humidity, 25.0)]);
    let heat = readings.heat();
    assert_eq!((heat.method, heat.raw_temperature, heat.raw_humidity), ("none", Some(35.0), Some(25.0)));
}

#[test]
fn humidity_is_told_at_the_corrected_temperature_and_the_vapour_stays() {
    let readings = everything(Correction::Offset(-13.0)).refine(&room(), at(1));
    check_near(value(&readings, Temperature), 22.0, 1e-9);
    check_near(value(&readings, Humidity), 53.2, 0.2);
    let uncorrected = everything(Correction::None).refine(&room(), at(1));
    check_near(value(&readings, DewPoint), value(&uncorrected, DewPoint), 1e-9);
    check_near(value(&readings, DewPoint), 12.0, 0.2);
    check_near(value(&readings, AbsoluteHumidity), 10.3, 0.1);
    assert_eq!(readings.heat().raw_humidity, Some(25.0));
}

#[test]
fn sea_level_and_both_chips_are_told_to_who_wants_them() {
    let readings = everything(Correction::Offset(-13.0)).refine(&room(), at(1));
    check_near(value(&readings, SeaLevelPressure), 1013.2, 0.2);
    check_near(value(&readings, TemperatureFromHumidity), 35.0, 0.0);
    check_near(value(&readings, TemperatureFromPressure), 36.0, 0.0);
    let tendency = readings.get(PressureTendency).unwrap().as_ref().unwrap_err();
    assert_eq!(tendency.reason, Reason::Starting);
}

#[test]
fn the_other_thermometer_can_be_the_one() {
    let options = Refinement { thermometer: Thermometer::Lps25h, ..Refinement::default() };
    let readings = Refinery::new(options).refine(&room(), at(1));
    check_near(value(&readings, Temperature), 36.0, 0.0);
    // the vapour is the same, and the air said to be warmer
    check_near(value(&readings, Humidity), 23.65, 0.05);
}

#[test]
fn what_needs_an_absent_quantity_is_absent_for_its_reason_and_nothing_else_is() {
    let mut refinery = everything(Correction::Offset(-5.0));
    let readings =
        refinery.refine(&raw(&[Ok(35.0), absent(Reason::NoChip, 3), Ok(25.0), absent(Reason::NoChip, 3)]), at(9));
    for (quantity, reading) in readings.iter() {
        let needs_pressure =
            [Pressure, PressureTendency, SeaLevelPressure, TemperatureFromPressure].contains(&quantity);
        assert_eq!(
            reading.as_ref().err(),
            absent(Reason::NoChip, 3).as_ref().err().filter(|_| needs_pressure),
            "{quantity}"
        );
    }
    let readings = refinery.refine(&raw(&[absent(Reason::Stale, 8), Ok(36.0), Ok(25.0), Ok(950.0)]), at(10));
    let absent: Vec<_> =
        readings.iter().filter(|(_, reading)| reading.is_err()).map(|(quantity, _)| quantity).collect();
    assert_eq!(absent, [Temperature, Humidity, TemperatureFromHumidity, DewPoint, AbsoluteHumidity, PressureTendency]);
}

#[test]
fn an_absence_of_its_own_keeps_its_first_moment() {
    let file = "/nonexistent/temp".into();
    let mut refinery = everything(Correction::Factor { factor: 2.0, window: Duration::from_secs(60), file });
    for s in 5..9 {
        let readings = refinery.refine(&room(), at(s));
        for quantity in [Temperature, Humidity, AbsoluteHumidity] {
            let absence = readings.get(quantity).unwrap().as_ref().unwrap_err();
            assert_eq!((absence.reason, absence.since), (Reason::NoProcessorTemperature, at(5)), "{quantity}");
        }
        assert!(readings.get(DewPoint).unwrap().is_ok(), "the vapour needs no correction");
    }
}

#[test]
fn other_options_hold_from_the_next_cycle_and_the_past_of_the_pressure_stays() {
    let mut refinery = everything(Correction::None);
    for minute in 0..=181 {
        refinery.refine(&room(), at(60 * minute));
    }
    let options = Refinement { correction: Correction::Offset(-1.0), ..refinery.options.clone() };
    refinery.set_options(&options);
    let readings = refinery.refine(&room(), at(60 * 182));
    check_near(value(&readings, Temperature), 34.0, 1e-9);
    check_near(value(&readings, PressureTendency), 0.0, 1e-9);
}

fn any_reading(range: std::ops::Range<f64>) -> impl Strategy<Value = Reading> {
    prop_oneof![4 => range.prop_map(Ok), 1 => Just(absent(Reason::Bus, 0))]
}

proptest! {
    #[test]
    fn whatever_the_chips_say_what_is_told_is_finite_and_in_range(
        cycles in prop::collection::vec(
            [any_reading(-40.0..120.0), any_reading(-30.0..105.0), any_reading(0.0..100.0), any_reading(260.0..1260.0)], 1..40),
        offset in -50.0..50.0_f64,
        window in 1..7_usize,
        gate in prop::option::of(0.1..50.0_f64),
    ) {
        let mut refinery = everything(Correction::Offset(offset));
        refinery.options.filters = [Filter { kind: FilterKind::Median, window, gate }; MEASURED.len()];
        let mut refinery = Refinery::new(refinery.options);
        for (s, measured) in (1..).zip(cycles) {
            let are_there = measured.each_ref().map(Result::is_ok);
            let readings = refinery.refine(&raw(&measured), at(s));
            prop_assert!(readings.iter().all(|(_, reading)| reading.as_ref().is_ok_and(|value| value.is_finite()) || reading.is_err()));
            let [from_humidity, from_pressure, humidity, pressure] = are_there;
            prop_assert_eq!(readings.get(Temperature).unwrap().is_ok(), from_humidity);
            prop_assert_eq!(readings.get(TemperatureFromPressure).unwrap().is_ok(), from_pressure);
            prop_assert_eq!(readings.get(Humidity).unwrap().is_ok(), from_humidity && humidity);
            prop_assert_eq!(readings.get(SeaLevelPressure).unwrap().is_ok(), pressure);
            if let Some(Ok(humidity)) = readings.get(Humidity) {
                prop_assert!((0.0..=100.0).contains(humidity));
            }
        }
    }
}
