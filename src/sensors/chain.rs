//! What holds from the registers to what is told, whatever the registers hold and whatever fails: a value is finite, in
//! range, fresh, and one that the chip has just converted; else it is absent, with a reason.
//!
//! The oracle is a bus that listens: it converts every burst that passes by the formulas of the datasheets, written
//! down a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use proptest::prelude::*;

use super::bus::BusError;
use super::dump::Dump;
use super::refine::Refinery;
use super::simulated::{Fault, SimulatedHat};
use super::testing::any_fault;
use super::{
    Chip, Correction, Filter, FilterKind, Hat, MEASURED, Options, Quantity, Readings, Refinement, SourceOptions,
};
use crate::base::clock::Monotonic;

const HTS221: u8 = 0x5f;
const LPS25H: u8 = 0x5c;

/// A conversion that went over the bus.
#[derive(Clone, Copy, Debug)]
struct Heard {
    quantity: Quantity,
    value: f64,
    at: Monotonic,
}

struct Listening {
    hat: SimulatedHat,
    now: Arc<AtomicU64>,
    calibration: [u8; 16],
    periods: [Duration; 2],
    heard: Vec<Heard>,
}

impl ErrorType for Listening {
    type Error = BusError;
}

impl I2c for Listening {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.hat.transaction(address, operations)?;
        match (address, operations) {
            (HTS221, [Operation::Write([0xb0]), Operation::Read(bytes)]) => self.calibration.copy_from_slice(bytes),
            (HTS221, [Operation::Write([0xa7]), Operation::Read(bytes)]) => self.hear_hts221(bytes),
            (LPS25H, [Operation::Write([0xa7]), Operation::Read(bytes)]) => self.hear_lps25h(bytes),
            (address, [Operation::Write([0x20, value])]) if *value != 0 => {
                let code = if address == HTS221 { value & 3 } else { value >> 4 & 7 };
                let micros = [0, 1_000_000, 142_857, 80_000, 40_000][usize::from(code)];
                self.periods[usize::from(address == LPS25H)] = Duration::from_micros(micros);
            }
            _ => {}
        }
        Ok(())
    }
}

fn s16(low: u8, high: u8) -> f64 {
    f64::from(i16::from_le_bytes([low, high]))
}

impl Listening {
    fn new(dump: Option<&Dump>, now: &Arc<AtomicU64>) -> Self {
        let read = Arc::clone(now);
        let clock = move || at(&read);
        let hat = dump
            .map_or_else(|| SimulatedHat::new(clock.clone(), 1), |dump| SimulatedHat::from_dump(dump, clock.clone()));
        Self { hat, now: Arc::clone(now), calibration: [0; 16], periods: [Duration::ZERO; 2], heard: Vec::new() }
    }

    fn hear(&mut self, quantity: Quantity, value: f64) {
        self.heard.push(Heard { quantity, value, at: at(&self.now) });
    }

    fn hear_hts221(&mut self, bytes: &[u8]) {
        let c = self.calibration;
        let line = |(x0, y0): (f64, f64), (x1, y1): (f64, f64), x: f64| y0 + (x - x0) * (y1 - y0) / (x1 - x0);
        let celsius = |low: u8, top: u8| f64::from(u16::from(top & 3) << 8 | u16::from(low)) / 8.0;
        if bytes[0] & 1 != 0 {
            let (t0, t1) = ((s16(c[12], c[13]), celsius(c[2], c[5])), (s16(c[14], c[15]), celsius(c[3], c[5] >> 2)));
            self.hear(Quantity::TemperatureFromHumidity, line(t0, t1, s16(bytes[3], bytes[4])));
        }
        if bytes[0] & 2 != 0 {
            let (h0, h1) = ((s16(c[6], c[7]), f64::from(c[0]) / 2.0), (s16(c[10], c[11]), f64::from(c[1]) / 2.0));
            self.hear(Quantity::Humidity, line(h0, h1, s16(bytes[1], bytes[2])).clamp(0.0, 100.0));
        }
    }

    fn hear_lps25h(&mut self, bytes: &[u8]) {
        if bytes[0] & 2 != 0 {
            let count = i32::from_le_bytes([0, bytes[1], bytes[2], bytes[3]]) >> 8;
            self.hear(Quantity::Pressure, f64::from(count) / 4096.0);
        }
        if bytes[0] & 1 != 0 {
            self.hear(Quantity::TemperatureFromPressure, 42.5 + s16(bytes[4], bytes[5]) / 480.0);
        }
    }

    /// What was heard of a quantity within three conversions of its chip, at most `back` before.
    fn fresh(&self, quantity: Quantity, back: Duration) -> impl Iterator<Item = f64> {
        let of_lps25h = matches!(quantity, Quantity::Pressure | Quantity::TemperatureFromPressure);
        let oldest = self.periods[usize::from(of_lps25h)] * 3 + back;
        let now = at(&self.now);
        let heard = self.heard.iter().filter(move |heard| heard.quantity == quantity && now.since(heard.at) <= oldest);
        heard.map(|heard| heard.value)
    }
}

fn at(ms: &AtomicU64) -> Monotonic {
    Monotonic::from_boot(Duration::from_millis(ms.load(Ordering::Relaxed)))
}

fn range(quantity: Quantity) -> std::ops::RangeInclusive<f64> {
    match quantity {
        Quantity::TemperatureFromPressure => -30.0..=105.0,
        Quantity::Humidity => 0.0..=100.0,
        Quantity::Pressure => 260.0..=1260.0,
        _ => -40.0..=120.0,
    }
}

/// One count is 0.0002 hPa.
fn is_760(value: f64) -> bool {
    (value - 760.0).abs() < 1e-5
}

/// Every measured value is one that was heard; `back` is how much later a filter may tell it, and `spread` whether it
/// may lie between what was heard.
fn check(listening: &Listening, told: &Readings, back: Duration, spread: bool) {
    for quantity in MEASURED {
        let Some(reading) = told.get(quantity) else { continue };
        let value = match reading {
            Ok(value) => *value,
            Err(absence) => {
                assert!(!absence.text.is_empty());
                continue;
            }
        };
        assert!(range(quantity).contains(&value), "{quantity}: {value}");
        // the power-on value is believed only on the way from a pressure near it
        let near_760 =
            |heard: &Heard| heard.quantity == quantity && !is_760(heard.value) && (heard.value - 760.0).abs() < 5.0;
        assert!(spread || !is_760(value) || quantity != Quantity::Pressure || listening.heard.iter().any(near_760));
        let heard = listening.fresh(quantity, back).collect::<Vec<_>>();
        let is_near = |heard: &f64| (heard - value).abs() < 1e-9;
        let (low, high) = heard.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let is_between = spread && (low - 1e-9..=high + 1e-9).contains(&value);
        assert!(is_between || heard.iter().any(is_near), "{quantity}: {value} was not heard, but {heard:?}");
    }
    for (quantity, reading) in told.iter() {
        assert!(reading.as_ref().map_or(true, |value| value.is_finite()), "{quantity}: {reading:?}");
    }
}

fn any_dump() -> impl Strategy<Value = Dump> {
    (prop::collection::vec(any::<u8>(), 0x31), prop::collection::vec(any::<u8>(), 0x31)).prop_map(|(hts221, lps25h)| {
        let mut dump = Dump::default();
        for (chip, bytes, identity) in [(Chip::Hts221, hts221, 0xbc), (Chip::Lps25h, lps25h, 0xbd)] {
            dump.set(chip, 0x0f, &bytes);
            dump.set(chip, 0x0f, &[identity]);
        }
        dump
    })
}

/// One cycle: a fault that comes, whether all of them go, a register that somebody else writes, and the pause before.
type Cycle = (Option<Fault>, bool, Option<(Chip, u8, u8)>, u64);

fn any_cycle() -> impl Strategy<Value = Cycle> {
    let chip = prop::sample::select(Chip::ALL.to_vec());
    let write = (chip, prop::sample::select(vec![0x10_u8, 0x20, 0x21, 0x2e]), any::<u8>());
    (
        prop::option::weighted(0.2, any_fault()),
        prop::bool::weighted(0.3),
        prop::option::weighted(0.1, write),
        prop_oneof![Just(40_u64), Just(1000), 1..3000_u64],
    )
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let kind = prop::sample::select(vec![FilterKind::None, FilterKind::Mean, FilterKind::Median]);
    (kind, 1..6_usize, prop::option::of(0.5..50.0)).prop_map(|(kind, window, gate)| Filter { kind, window, gate })
}

fn run(dump: Option<&Dump>, interval_ms: u64, filter: Filter, correction: Correction, cycles: Vec<Cycle>) {
    let now = Arc::new(AtomicU64::new(10_000));
    let options = Options { interval: Duration::from_millis(interval_ms), ..Options::of(SourceOptions::Simulated) };
    let mut hat = Hat::new(Listening::new(dump, &now), &options);
    let refinement = Refinement {
        correction,
        filters: [filter; MEASURED.len()],
        altitude_m: Some(540.0),
        extra: Quantity::ALL.into(),
        ..Refinement::default()
    };
    let (mut refinery, mut pauses) = (Refinery::new(refinement), Vec::new());
    let keeps = filter.kind != FilterKind::None && filter.window > 1;
    for (fault, heals, write, pause_ms) in cycles {
        if heals {
            hat.bus_mut().hat.heal();
        }
        if let Some(fault) = fault {
            hat.bus_mut().hat.inject(fault);
        }
        if let Some((chip, register, value)) = write {
            let _ = hat.bus_mut().hat.write(chip.address(), &[register, value]);
        }
        now.fetch_add(pause_ms, Ordering::Relaxed);
        pauses.push(Duration::from_millis(pause_ms));
        let raw = hat.sample(at(&now));
        check(hat.bus_mut(), &raw, Duration::ZERO, false);
        // a filter looks back on its window, and the gate on two cycles more
        let back = pauses.iter().rev().take(if keeps { filter.window } else { 0 } + 2).sum();
        let told = refinery.refine(&raw, at(&now));
        check(hat.bus_mut(), &told.map(|quantity, reading| uncorrected(&told, quantity, reading)), back, keeps);
    }
}

/// Without the correction, which makes of a humidity that was heard another one.
fn uncorrected(told: &Readings, quantity: Quantity, reading: &super::Reading) -> super::Reading {
    match (quantity, told.heat().raw_humidity) {
        (Quantity::Humidity, Some(raw)) => reading.clone().map(|_| raw),
        _ => reading.clone(),
    }
}

proptest! {
    #[test]
    fn any_registers_and_any_faults_are_told_as_what_was_heard_or_not_at_all(
        dump in prop::option::of(any_dump()),
        interval_ms in prop::sample::select(vec![40_u64, 100, 1000, 5000]),
        filter in any_filter(),
        offset in prop::option::of(-20.0..20.0_f64),
        cycles in prop::collection::vec(any_cycle(), 1..60),
    ) {
        let correction = offset.map_or(Correction::None, Correction::Offset);
        run(dump.as_ref(), interval_ms, filter, correction, cycles);
    }
}

#[test]
fn the_oracle_hears_what_a_room_is_like() {
    let cycles = (0..50).map(|_| (None, false, None, 1000)).collect();
    run(None, 1000, Filter::default(), Correction::None, cycles);
}
