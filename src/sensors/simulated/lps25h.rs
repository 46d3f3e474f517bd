//! The simulated LPS25H.

use std::collections::BTreeMap;
use std::time::Duration;

use super::climate::{Climate, gaussian};
use super::converter::Converter;
use super::device::{Effects, Registers};
use super::latch::Latch;
use crate::base::clock::Monotonic;

/// Registers of the chip.
const REGISTERS: usize = 0x40;
/// How long a reboot of the memory content takes.
const BOOT: Duration = Duration::from_millis(5);
/// `RES_CONF` at power-on.
const RES_CONF_RESET: u8 = 0x05;
/// `PRESS_OUT` at power-on: 760.0 hPa.
const PRESSURE_RESET: [u8; 3] = [0x00, 0x80, 0x2f];
/// Noise in hPa rms with 512 averaged samples (datasheet table 3); fewer give more, by the root of their ratio.
const NOISE_OF_512_HPA: f64 = 0.03;
/// Samples averaged, by code.
const PRESSURE_SAMPLES: [u32; 4] = [8, 32, 128, 512];
const TEMPERATURE_SAMPLES: [u32; 4] = [8, 16, 32, 64];
/// 2047 hPa.
const OUT_OF_RANGE: [u8; 3] = [0xff, 0xff, 0x7f];

/// Where outputs come from.
#[derive(Debug)]
enum Origin {
    Room { climate: Climate, random: fastrand::Rng },
    Held { pressure: [u8; 3], temperature: [u8; 2] },
}

#[derive(Debug)]
pub(super) struct SimulatedLps25h {
    origin: Origin,
    /// What registers hold at power-on.
    reset: [u8; REGISTERS],
    registers: [u8; REGISTERS],
    pressure: Latch<3>,
    temperature: Latch<2>,
    converter: Converter,
    /// Until when `BOOT` reads as one.
    boot_until: Monotonic,
    now: Monotonic,
}

impl SimulatedLps25h {
    pub(super) fn in_room(climate: Climate, seed: u64, now: Monotonic) -> Self {
        let origin = Origin::Room { climate, random: fastrand::Rng::with_seed(seed ^ 0x5c) };
        Self::with_registers(origin, power_on_registers(), now)
    }

    pub(super) fn from_dump(held: &BTreeMap<u8, u8>, now: Monotonic) -> Self {
        let mut registers = power_on_registers();
        for (&register, &value) in held {
            registers.iter_mut().skip(register.into()).take(1).for_each(|slot| *slot = value);
        }
        let byte = |register: usize| registers.get(register).copied().unwrap_or(0);
        let (pressure, temperature) = ([byte(0x28), byte(0x29), byte(0x2a)], [byte(0x2b), byte(0x2c)]);
        let mut chip = Self::with_registers(Origin::Held { pressure, temperature }, registers, now);
        (chip.pressure, chip.temperature) = (Latch::new(pressure), Latch::new(temperature));
        chip.restart_conversions(now);
        // At the next power-on the controls are what every chip has then; identity and trimming are the dump's.
        chip.reset.iter_mut().zip(power_on_registers()).skip(0x10).take(0x20).for_each(|(slot, value)| *slot = value);
        chip
    }

    fn with_registers(origin: Origin, registers: [u8; REGISTERS], now: Monotonic) -> Self {
        Self {
            origin,
            reset: registers,
            registers,
            pressure: Latch::new(PRESSURE_RESET),
            temperature: Latch::new([0; 2]),
            converter: Converter::default(),
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

    /// Time between conversions; `None` for one-shot and the codes that mean nothing.
    fn period(&self) -> Option<Duration> {
        match self.register(0x20) >> 4 & 0b111 {
            0b001 => Some(Duration::from_secs(1)),
            0b010 => Some(Duration::from_micros(142_857)),
            0b011 => Some(Duration::from_millis(80)),
            0b100 => Some(Duration::from_millis(40)),
            _ => None,
        }
    }

    fn pressure_samples(&self) -> u32 {
        PRESSURE_SAMPLES.get(usize::from(self.register(0x10) & 0b11)).copied().unwrap_or(8)
    }

    /// How long one conversion takes (AN4450 §4.1).
    fn conversion_time(&self) -> Duration {
        let code = usize::from(self.register(0x10) >> 2 & 0b11);
        let samples = self.pressure_samples() + TEMPERATURE_SAMPLES.get(code).copied().unwrap_or(8);
        Duration::from_micros(975) + Duration::from_micros(62) * samples
    }

    fn restart_conversions(&mut self, now: Monotonic) {
        match self.period() {
            Some(period) if self.is_on() => self.converter.start(now, self.conversion_time(), Some(period)),
            _ => self.converter.stop(),
        }
    }

    fn write_control_1(&mut self, value: u8, now: Monotonic) {
        let before = self.register(0x20);
        self.set_register(0x20, value);
        if (before ^ value) & 0b1111_0000 != 0 {
            self.restart_conversions(now);
        }
    }

    fn write_control_2(&mut self, value: u8, now: Monotonic) {
        if value & 0b100 != 0 {
            self.power_on(now);
        }
        if value & 0x80 != 0 {
            self.boot_until = now + BOOT;
        }
        let starts = value & 1 != 0 && self.is_on() && self.period().is_none();
        if starts {
            self.converter.start(now, self.conversion_time(), None);
        }
        // BOOT, SWRESET and ONE_SHOT clear themselves.
        self.set_register(0x21, value & 0b0111_1010 | u8::from(starts));
    }

    fn convert(&mut self, at: Monotonic, effects: Effects) -> ([u8; 3], [u8; 2]) {
        let noise_hpa = NOISE_OF_512_HPA * (512.0 / f64::from(self.pressure_samples())).sqrt();
        let (pressure, temperature) = match &mut self.origin {
            Origin::Held { pressure, temperature } => (*pressure, *temperature),
            Origin::Room { climate, random } => {
                let air = climate.at(at);
                let hectopascal = air.pressure.0 + gaussian(random) * noise_hpa;
                (pressure_bytes(hectopascal * 4096.0), temperature_bytes((air.temperature.0 - 42.5) * 480.0))
            }
        };
        match effects {
            Effects { out_of_range: true, .. } => (OUT_OF_RANGE, temperature),
            Effects { damaged: true, .. } => (PRESSURE_RESET, temperature),
            _ => (pressure, temperature),
        }
    }

    fn status(&self) -> u8 {
        u8::from(self.pressure.is_overrun()) << 5
            | u8::from(self.temperature.is_overrun()) << 4
            | u8::from(self.pressure.is_new()) << 1
            | u8::from(self.temperature.is_new())
    }
}

impl Registers for SimulatedLps25h {
    fn power_on(&mut self, now: Monotonic) {
        self.registers = self.reset;
        (self.pressure, self.temperature) = (Latch::new(PRESSURE_RESET), Latch::new([0; 2]));
        self.converter.stop();
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
        let (pressure, temperature) = self.convert(finished.at, effects);
        let block_data_update = self.register(0x20) & 0b100 != 0;
        self.pressure.convert(pressure, finished.several, block_data_update);
        self.temperature.convert(temperature, finished.several, block_data_update);
    }

    fn read(&mut self, register: u8, effects: Effects) -> u8 {
        match register {
            0x0f => effects.identity.unwrap_or(self.register(0x0f)),
            0x21 => self.register(0x21) | u8::from(self.now < self.boot_until) << 7,
            0x27 => self.status(),
            0x28..=0x2a => self.pressure.read(usize::from(register - 0x28)),
            0x2b | 0x2c => self.temperature.read(usize::from(register - 0x2b)),
            other => self.register(other),
        }
    }

    fn write(&mut self, register: u8, value: u8, now: Monotonic) {
        match register {
            0x20 => self.write_control_1(value, now),
            0x21 => self.write_control_2(value, now),
            0x10 => self.set_register(0x10, value & 0x0f),
            0x08..=0x0a | 0x22..=0x24 | 0x2e | 0x30 | 0x31 | 0x39 | 0x3a => self.set_register(register, value),
            _ => {}
        }
    }
}

fn power_on_registers() -> [u8; REGISTERS] {
    let mut registers = [0; REGISTERS];
    let [lowest, middle, highest] = PRESSURE_RESET;
    let reset = [(0x0f, 0xbd), (0x10, RES_CONF_RESET), (0x28, lowest), (0x29, middle), (0x2a, highest)];
    for (register, value) in reset {
        registers.iter_mut().skip(register).take(1).for_each(|slot| *slot = value);
    }
    registers
}

/// A count as `PRESS_OUT` holds it, at the end of its range when it lies beyond.
fn pressure_bytes(value: f64) -> [u8; 3] {
    #[expect(clippy::cast_possible_truncation, reason = "24 bits fit into i32")]
    let count = value.round().clamp(-8_388_608.0, 8_388_607.0) as i32;
    let [low, middle, high, _] = count.to_le_bytes();
    [low, middle, high]
}

/// A count as `TEMP_OUT` holds it, at the end of its range when it lies beyond.
fn temperature_bytes(value: f64) -> [u8; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "`as` stops at the ends of i16")]
    let count = value.round() as i16;
    count.to_le_bytes()
}
