//! The simulated HTS221.

use std::collections::BTreeMap;
use std::time::Duration;

use super::climate::{Climate, gaussian};
use super::converter::Converter;
use super::device::{CalibrationFault, Effects, Registers};
use super::latch::Latch;
use crate::base::clock::Monotonic;

/// Registers of the chip.
const REGISTERS: usize = 0x40;
/// How long the calibration reads as zeros after power-up.
const CALIBRATION_LOADING: Duration = Duration::from_millis(100);
/// How long a reboot of the memory content takes.
const BOOT: Duration = Duration::from_millis(5);
/// `AV_CONF` at power-on.
const AV_CONF_RESET: u8 = 0x1b;
/// Noise by averaging code, in °C and %RH rms (datasheet table 16).
const TEMPERATURE_NOISE_C: [f64; 8] = [0.08, 0.05, 0.04, 0.03, 0.02, 0.015, 0.01, 0.007];
const HUMIDITY_NOISE_RH: [f64; 8] = [0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03];
/// A real part's calibration: humidity 29 %RH at −13 and 66.5 %RH at −12408, temperature 20.75 °C at −3 and 34.75 °C
/// at 763. The humidity falls with the count, and the upper half of 0x35 is junk.
const FACTORY: [u8; 16] =
    [0x3a, 0x85, 0xa6, 0x16, 0x00, 0xc4, 0xf3, 0xff, 0x00, 0x00, 0x88, 0xcf, 0xfd, 0xff, 0xfb, 0x02];
const COUNTS_PER_RH: f64 = (-12_408.0 + 13.0) / (66.5 - 29.0);
const COUNTS_PER_C: f64 = (763.0 + 3.0) / (34.75 - 20.75);
/// A count that means 500 °C and far from 0..100 %RH with any real calibration.
const OUT_OF_RANGE: [u8; 2] = [0xff, 0x7f];

/// Where outputs come from.
#[derive(Debug)]
enum Origin {
    Room { climate: Climate, random: fastrand::Rng },
    Held { humidity: [u8; 2], temperature: [u8; 2] },
}

#[derive(Debug)]
pub(super) struct SimulatedHts221 {
    origin: Origin,
    /// What registers hold at power-on, the calibration included.
    reset: [u8; REGISTERS],
    registers: [u8; REGISTERS],
    humidity: Latch<2>,
    temperature: Latch<2>,
    converter: Converter,
    /// Until when the calibration reads as zeros.
    loading_until: Monotonic,
    /// Until when `BOOT` reads as one.
    boot_until: Monotonic,
    now: Monotonic,
}

impl SimulatedHts221 {
    pub(super) fn in_room(climate: Climate, seed: u64, now: Monotonic) -> Self {
        let mut reset = power_on_registers();
        reset.iter_mut().skip(0x30).zip(FACTORY).for_each(|(register, byte)| *register = byte);
        let origin = Origin::Room { climate, random: fastrand::Rng::with_seed(seed ^ 0x5f) };
        let mut chip = Self::with_registers(origin, reset, now);
        chip.power_on(now);
        chip
    }

    pub(super) fn from_dump(held: &BTreeMap<u8, u8>, now: Monotonic) -> Self {
        let mut registers = power_on_registers();
        for (&register, &value) in held {
            registers.iter_mut().skip(register.into()).take(1).for_each(|slot| *slot = value);
        }
        let byte = |register: usize| registers.get(register).copied().unwrap_or(0);
        let (humidity, temperature) = ([byte(0x28), byte(0x29)], [byte(0x2a), byte(0x2b)]);
        let mut chip = Self::with_registers(Origin::Held { humidity, temperature }, registers, now);
        (chip.humidity, chip.temperature) = (Latch::new(humidity), Latch::new(temperature));
        chip.restart_conversions(now);
        // At the next power-on the controls are what every chip has then; identity and calibration are the dump's.
        chip.reset.iter_mut().zip(power_on_registers()).skip(0x10).take(0x20).for_each(|(slot, value)| *slot = value);
        chip
    }

    fn with_registers(origin: Origin, registers: [u8; REGISTERS], now: Monotonic) -> Self {
        Self {
            origin,
            reset: registers,
            registers,
            humidity: Latch::new([0; 2]),
            temperature: Latch::new([0; 2]),
            converter: Converter::default(),
            loading_until: now,
            boot_until: now,
            now,
        }
    }

    fn register(&self, register: u8) -> u8 {
        self.registers.get(usize::from(register)).copied().unwrap_or(0)
    }

    fn set_register(&mut self, register: u8, value: u8) {
        self.registers.iter_mut().skip(register.into()).take(1).for_each(|slot| *slot = value);
    }

    fn is_on(&self) -> bool {
        self.register(0x20) & 0x80 != 0
    }

    /// Time between conversions; `None` for one-shot.
    fn period(&self) -> Option<Duration> {
        match self.register(0x20) & 0b11 {
            0b00 => None,
            0b01 => Some(Duration::from_secs(1)),
            0b10 => Some(Duration::from_micros(142_857)),
            _ => Some(Duration::from_millis(80)),
        }
    }

    /// How long one conversion takes. ST gives no figure; this one grows with the averaging and fits into the
    /// fastest rate.
    fn conversion_time(&self) -> Duration {
        let av_conf = self.register(0x10);
        let samples = (2_u32 << (av_conf >> 3 & 0b111)) + (4_u32 << (av_conf & 0b111));
        Duration::from_millis(1) + Duration::from_micros(75) * samples
    }

    fn restart_conversions(&mut self, now: Monotonic) {
        match self.period() {
            Some(period) if self.is_on() => self.converter.start(now, self.conversion_time(), Some(period)),
            _ => self.converter.stop(),
        }
    }

    fn write_control_1(&mut self, value: u8, now: Monotonic) {
        let before = self.register(0x20);
        // Bits 6:3 do not exist.
        self.set_register(0x20, value & 0b1000_0111);
        if (before ^ value) & 0b1000_0011 != 0 {
            self.restart_conversions(now);
        }
    }

    fn write_control_2(&mut self, value: u8, now: Monotonic) {
        if value & 0x80 != 0 {
            self.boot_until = now + BOOT;
        }
        let starts = value & 1 != 0 && self.is_on() && self.period().is_none();
        if starts {
            self.converter.start(now, self.conversion_time(), None);
        }
        // BOOT and ONE_SHOT clear themselves; the heater stays as it is set.
        self.set_register(0x21, value & 0b10 | u8::from(starts));
    }

    fn convert(&mut self, at: Monotonic, effects: Effects) -> ([u8; 2], [u8; 2]) {
        if effects.out_of_range {
            return (OUT_OF_RANGE, OUT_OF_RANGE);
        }
        let av_conf = usize::from(self.register(0x10));
        match &mut self.origin {
            Origin::Held { humidity, temperature } => (*humidity, *temperature),
            Origin::Room { climate, random } => {
                let air = climate.at(at);
                let noise = |table: [f64; 8], code: usize| table.get(code & 0b111).copied().unwrap_or(0.0);
                let rh = air.humidity.0 + gaussian(random) * noise(HUMIDITY_NOISE_RH, av_conf);
                let celsius = air.temperature.0 + gaussian(random) * noise(TEMPERATURE_NOISE_C, av_conf >> 3);
                (count(-13.0 + (rh - 29.0) * COUNTS_PER_RH), count(-3.0 + (celsius - 20.75) * COUNTS_PER_C))
            }
        }
    }

    fn calibration(&self, register: u8, fault: CalibrationFault) -> u8 {
        match fault {
            _ if self.now < self.loading_until => 0,
            CalibrationFault::Zero => 0,
            // The second point's counts are the first's.
            CalibrationFault::Flat if matches!(register, 0x3a | 0x3b) => self.register(register - 4),
            CalibrationFault::Flat if matches!(register, 0x3e | 0x3f) => self.register(register - 2),
            CalibrationFault::Flat | CalibrationFault::None => self.register(register),
        }
    }
}

impl Registers for SimulatedHts221 {
    fn power_on(&mut self, now: Monotonic) {
        self.registers = self.reset;
        (self.humidity, self.temperature) = (Latch::new([0; 2]), Latch::new([0; 2]));
        self.converter.stop();
        self.loading_until = now + CALIBRATION_LOADING;
        self.boot_until = now + BOOT;
        self.now = now;
    }

    fn advance(&mut self, now: Monotonic, effects: Effects) {
        self.now = now;
        let Some(finished) = self.converter.take(now) else { return };
        let controls = self.register(0x21);
        self.set_register(0x21, controls & !1);
        if effects.stuck {
            return;
        }
        let (humidity, temperature) = self.convert(finished.at, effects);
        let block_data_update = self.register(0x20) & 0b100 != 0;
        self.humidity.convert(humidity, finished.several, block_data_update);
        self.temperature.convert(temperature, finished.several, block_data_update);
    }

    fn read(&mut self, register: u8, effects: Effects) -> u8 {
        match register {
            0x0f => effects.identity.unwrap_or(self.register(0x0f)),
            0x21 => self.register(0x21) | u8::from(self.now < self.boot_until) << 7,
            0x27 => u8::from(self.humidity.is_new()) << 1 | u8::from(self.temperature.is_new()),
            0x28 | 0x29 => self.humidity.read(usize::from(register - 0x28)),
            0x2a | 0x2b => self.temperature.read(usize::from(register - 0x2a)),
            0x30..=0x3f => self.calibration(register, effects.calibration),
            other => self.register(other),
        }
    }

    fn write(&mut self, register: u8, value: u8, now: Monotonic) {
        match register {
            0x10 => self.set_register(0x10, value & 0x3f),
            0x20 => self.write_control_1(value, now),
            0x21 => self.write_control_2(value, now),
            0x22 => self.set_register(0x22, value),
            _ => {}
        }
    }
}

fn power_on_registers() -> [u8; REGISTERS] {
    let mut registers = [0; REGISTERS];
    for (register, value) in [(0x0f, 0xbc), (0x10, AV_CONF_RESET)] {
        registers.iter_mut().skip(register).take(1).for_each(|slot| *slot = value);
    }
    registers
}

/// A count as the output registers hold it, at the end of its range when it lies beyond.
fn count(value: f64) -> [u8; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "`as` stops at the ends of i16")]
    let count = value.round() as i16;
    count.to_le_bytes()
}
