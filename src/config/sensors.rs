//! `[sensors]`: where readings come from, how often, and what is done with them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::{Read, Section};
use super::source;
use super::value::{choice, duration, integer, number, number_of, path};
use crate::sensors::{
    Correction, Filter, FilterKind, MEASURED, Options, Oversampling, Quantity, Refinement, Thermometer, hts221, lps25h,
};

/// The shortest is that of the fastest conversion rate, 25 Hz of the LPS25H; the longest keeps "now" meaningful.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_secs(3600);

/// From the shore of the Dead Sea to the highest summit.
const ALTITUDE_M: RangeInclusive<f64> = -430.0..=8849.0;

const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// More samples than this are hours, and memory.
const FILTER_WINDOW: RangeInclusive<usize> = 1..=1000;
const GATE: RangeInclusive<f64> = 0.01..=1000.0;

const THERMOMETERS: [(&str, Thermometer); 2] = [("humidity", Thermometer::Hts221), ("pressure", Thermometer::Lps25h)];

const FILTERS: [(&str, FilterKind); 3] =
    [("none", FilterKind::None), ("mean", FilterKind::Mean), ("median", FilterKind::Median)];

#[derive(Clone, Copy)]
enum Method {
    None,
    Offset,
    Factor,
}

const METHODS: [(&str, Method); 3] = [("none", Method::None), ("offset", Method::Offset), ("factor", Method::Factor)];

/// Reads `[sensors]`. Which quantities are wanted beside the main ones is told by who publishes them.
pub(super) fn read(section: &mut Section<'_>) -> Read<Options> {
    let source = source::read(section);
    let interval = section.required("interval", duration(INTERVAL));
    let thermometer = section.required("temperature_from", choice(&THERMOMETERS));
    let altitude_m = section.optional("altitude", number(ALTITUDE_M));
    let correction = section.section("correction", read_correction);
    let filters = section.section("filter", read_filters);
    let oversampling = section.section("oversampling", read_oversampling);
    let refinement = Refinement {
        correction: correction?,
        thermometer: thermometer?,
        filters: filters?,
        altitude_m: altitude_m?,
        ..Refinement::default()
    };
    Ok(Options { source: source?, interval: interval?, oversampling: oversampling?, refinement })
}

/// Reads `[sensors.correction]`.
fn read_correction(section: &mut Section<'_>) -> Read<Correction> {
    let method = section.required("method", choice(&METHODS));
    let offset = section.optional("offset", number(Correction::OFFSET_C));
    let factor = section.optional("factor", number(Correction::FACTOR));
    let window = section.required("window", duration(WINDOW));
    let file = section.required("processor_file", path);
    let (offset, factor, window, file) = (offset?, factor?, window?, file?);
    match (method?, offset, factor) {
        (Method::None, ..) => Ok(Correction::None),
        (Method::Offset, Some(offset), _) => Ok(Correction::Offset(offset)),
        (Method::Factor, _, Some(factor)) => Ok(Correction::Factor { factor, window, file }),
        (Method::Offset, None, _) => Err(section.problem("offset", "is missing, and the method is \"offset\"".into())),
        (Method::Factor, _, None) => Err(section.problem(
            "factor",
            "is missing, and the method is \"factor\": 2 is where others begin, and a thermometer tells better".into(),
        )),
    }
}

/// Reads `[sensors.oversampling]`.
fn read_oversampling(section: &mut Section<'_>) -> Read<Oversampling> {
    let of_hts221 = hts221::TemperatureAveraging::ALL.map(|averaging| (averaging.samples(), averaging));
    let humidity = hts221::HumidityAveraging::ALL.map(|averaging| (averaging.samples(), averaging));
    let pressure = lps25h::PressureAveraging::ALL.map(|averaging| (averaging.samples(), averaging));
    let of_lps25h = lps25h::TemperatureAveraging::ALL.map(|averaging| (averaging.samples(), averaging));
    let temperature = section.required("temperature", number_of(&of_hts221));
    let humidity = section.required("humidity", number_of(&humidity));
    let pressure = section.required("pressure", number_of(&pressure));
    let temperature_from_pressure = section.required("temperature_from_pressure", number_of(&of_lps25h));
    Ok(Oversampling {
        temperature: temperature?,
        humidity: humidity?,
        pressure: pressure?,
        temperature_from_pressure: temperature_from_pressure?,
    })
}

/// Reads `[sensors.filter.…]`: one table for what is measured in one unit.
fn read_filters(section: &mut Section<'_>) -> Read<[Filter; MEASURED.len()]> {
    let temperature = section.section("temperature", read_filter);
    let pressure = section.section("pressure", read_filter);
    let humidity = section.section("humidity", read_filter);
    let (temperature, pressure, humidity) = (temperature?, pressure?, humidity?);
    Ok(MEASURED.map(|quantity| match quantity {
        Quantity::Humidity => humidity,
        Quantity::Pressure => pressure,
        _ => temperature,
    }))
}

fn read_filter(section: &mut Section<'_>) -> Read<Filter> {
    let kind = section.required("kind", choice(&FILTERS));
    let window = section.required("window", integer(FILTER_WINDOW));
    let gate = section.optional("gate", number(GATE));
    Ok(Filter { kind: kind?, window: window?, gate: gate? })
}
