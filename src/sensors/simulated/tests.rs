//! The simulated chips, register by register, as the datasheets tell them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_hal::i2c::{I2c, Operation};

use super::{Fault, SimulatedHat};
use crate::base::clock::Monotonic;
use crate::sensors::Chip;
use crate::sensors::bus::BusError;

const HTS221: u8 = 0x5f;
const LPS25H: u8 = 0x5c;
const AUTO: u8 = 0x80;

struct Bench {
    ms: Arc<AtomicU64>,
    hat: SimulatedHat,
}

impl Bench {
    fn new() -> Self {
        let ms = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&ms);
        let clock = move || Monotonic::from_boot(Duration::from_millis(read.load(Ordering::Relaxed)));
        Self { ms, hat: SimulatedHat::new(clock, 42) }
    }

    fn wait(&mut self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn read<const N: usize>(&mut self, address: u8, register: u8) -> [u8; N] {
        let mut bytes = [0; N];
        self.hat.write_read(address, &[register], &mut bytes).unwrap();
        bytes
    }

    fn write(&mut self, address: u8, register: u8, value: u8) {
        self.hat.write(address, &[register, value]).unwrap();
    }

    fn pressure(&mut self) -> f64 {
        let [low, middle, high] = self.read(LPS25H, 0x28 | AUTO);
        f64::from(i32::from_le_bytes([0, low, middle, high]) >> 8) / 4096.0
    }
}

#[test]
fn power_on_values_are_those_of_the_datasheets() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(HTS221, 0x0f), [0xbc]);
    assert_eq!(bench.read(HTS221, 0x10), [0x1b]);
    assert_eq!(bench.read(HTS221, 0x20), [0x00]);
    assert_eq!(bench.read(LPS25H, 0x0f), [0xbd]);
    assert_eq!(bench.read(LPS25H, 0x10), [0x05]);
    assert_eq!(bench.read(LPS25H, 0x27 | AUTO), [0x00, 0x00, 0x80, 0x2f, 0x00, 0x00]);
    bench.wait(60_000);
    assert_eq!(bench.read(HTS221, 0x27), [0x00], "a chip that is off converts nothing");
}

#[test]
fn calibration_reads_as_zeros_for_the_first_100_ms() {
    let mut bench = Bench::new();
    bench.wait(99);
    assert_eq!(bench.read(HTS221, 0x30 | AUTO), [0; 16]);
    bench.wait(1);
    assert_eq!(bench.read(HTS221, 0x30 | AUTO), [0x3a, 0x85, 0xa6, 0x16, 0x00, 0xc4]);
    bench.hat.replug();
    assert_eq!(bench.read(HTS221, 0x30 | AUTO), [0; 16]);
}

#[test]
fn burst_without_auto_increment_reads_one_register_again_and_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(LPS25H, 0x0f), [0xbd; 4]);
    assert_eq!(bench.read(LPS25H, 0x0f | AUTO), [0xbd, 0x05]);
    bench.hat.write(LPS25H, &[0x08 | AUTO, 1, 2, 3]).unwrap();
    assert_eq!(bench.read(LPS25H, 0x08 | AUTO), [1, 2, 3]);
}

#[test]
fn address_pointer_stays_between_a_write_and_a_later_read() {
    let mut bench = Bench::new();
    bench.hat.write(LPS25H, &[0x0f]).unwrap();
    let mut byte = [0];
    bench.hat.read(LPS25H, &mut byte).unwrap();
    assert_eq!(byte, [0xbd]);
    let (mut first, mut second) = ([0], [0]);
    let mut operations = [
        Operation::Write(&[0x08 | AUTO]),
        Operation::Write(&[7, 8]),
        Operation::Write(&[]),
        Operation::Read(&mut first),
        Operation::Write(&[0x08]),
        Operation::Read(&mut second),
    ];
    bench.hat.transaction(LPS25H, &mut operations).unwrap();
    assert_eq!((first, second), ([0], [7]));
}

#[test]
fn read_only_registers_ignore_writes() {
    let mut bench = Bench::new();
    bench.wait(100);
    for (address, register) in [(HTS221, 0x0f), (HTS221, 0x27), (HTS221, 0x28), (HTS221, 0x30), (LPS25H, 0x2a)] {
        let before: [u8; 1] = bench.read(address, register);
        bench.write(address, register, !before[0]);
        assert_eq!(bench.read(address, register), before, "0x{register:02x}@0x{address:02x}");
    }
}

#[test]
fn conversion_takes_as_long_as_its_averaging_and_comes_at_the_rate() {
    // LPS25H: 62·(Pavg + Tavg) + 975 µs is 3.951 ms for 32 and 16, 36.687 ms for 512 and 64.
    for (resolution, conversion_ms) in [(0x05, 4), (0x0f, 37)] {
        let mut bench = Bench::new();
        bench.write(LPS25H, 0x10, resolution);
        bench.write(LPS25H, 0x20, 0b1100_0100);
        bench.wait(conversion_ms - 1);
        assert_eq!(bench.read(LPS25H, 0x27), [0b00]);
        bench.wait(1);
        assert_eq!(bench.read(LPS25H, 0x27), [0b11]);
        assert!((980.0..1045.0).contains(&bench.pressure()));
        bench.read::<2>(LPS25H, 0x2b | AUTO);
        bench.wait(38);
        assert_eq!(bench.read(LPS25H, 0x27), [0b00]);
        bench.wait(2);
        assert_eq!(bench.read(LPS25H, 0x27), [0b11]);
    }
}

#[test]
fn status_bits_are_cleared_by_the_high_bytes_and_overrun_by_a_missed_value() {
    let mut bench = Bench::new();
    bench.write(LPS25H, 0x20, 0b1001_0100);
    bench.wait(2_500);
    assert_eq!(bench.read(LPS25H, 0x27), [0b0011_0011]);
    bench.read::<2>(LPS25H, 0x28 | AUTO);
    assert_eq!(bench.read(LPS25H, 0x27), [0b0011_0011], "the low bytes clear nothing");
    bench.read::<1>(LPS25H, 0x2a);
    assert_eq!(bench.read(LPS25H, 0x27), [0b0001_0001]);
    bench.read::<1>(LPS25H, 0x2c);
    assert_eq!(bench.read(LPS25H, 0x27), [0b0000_0000]);

    bench.write(HTS221, 0x20, 0b1000_0101);
    bench.wait(1_500);
    assert_eq!(bench.read(HTS221, 0x27), [0b11]);
    bench.read::<1>(HTS221, 0x29);
    assert_eq!(bench.read(HTS221, 0x27), [0b01]);
    bench.read::<1>(HTS221, 0x2b);
    assert_eq!(bench.read(HTS221, 0x27), [0b00]);
}

#[test]
fn block_data_update_keeps_one_conversion_together_over_single_reads() {
    let mut bench = Bench::new();
    bench.write(LPS25H, 0x20, 0b1001_0100);
    bench.wait(1_100);
    let whole: [u8; 3] = bench.read(LPS25H, 0x28 | AUTO);
    bench.wait(1_000);
    let [low] = bench.read(LPS25H, 0x28);
    bench.wait(3_000);
    let ([middle], [high]) = (bench.read(LPS25H, 0x29), bench.read(LPS25H, 0x2a));
    let count = |[low, middle, high]: [u8; 3]| i32::from_le_bytes([low, middle, high, 0]);
    assert!(count([low, middle, high]).abs_diff(count(whole)) < 4096);
    assert_ne!(bench.read(LPS25H, 0x28 | AUTO), [low, middle, high], "the conversion that waited");
}

#[test]
fn one_shot_converts_once_and_clears_its_bit() {
    let mut bench = Bench::new();
    bench.wait(100);
    for (address, status) in [(HTS221, [0b11]), (LPS25H, [0b11])] {
        bench.write(address, 0x21, 1);
        assert_eq!(bench.read(address, 0x21), [0x00], "a chip that is off takes no shot");
        bench.write(address, 0x20, 0x84);
        bench.wait(1_000);
        assert_eq!(bench.read(address, 0x27), [0]);
        bench.write(address, 0x21, 1);
        assert_eq!(bench.read(address, 0x21), [1]);
        bench.wait(100);
        assert_eq!(bench.read(address, 0x21), [0]);
        assert_eq!(bench.read(address, 0x27), status);
        bench.read::<5>(address, 0x28 | AUTO);
        bench.wait(5_000);
        assert_eq!(bench.read(address, 0x27), [0]);
    }
}

#[test]
fn boot_clears_itself_and_software_reset_brings_the_power_on_state() {
    let mut bench = Bench::new();
    bench.wait(1_000);
    for address in [HTS221, LPS25H] {
        bench.write(address, 0x21, 0x80);
        assert_eq!(bench.read(address, 0x21), [0x80]);
        bench.wait(10);
        assert_eq!(bench.read(address, 0x21), [0x00]);
    }
    bench.write(LPS25H, 0x20, 0b1001_0100);
    bench.wait(2_000);
    assert!(bench.pressure() > 900.0);
    bench.write(LPS25H, 0x21, 0b100);
    assert_eq!(bench.read(LPS25H, 0x20), [0x00]);
    assert!((bench.pressure() - 760.0).abs() < f64::EPSILON);
}

#[test]
fn noise_is_that_of_the_averaging() {
    // Deviation of the temperature in counts, at 12.5 Hz over 40 s: 54.7 counts are 1 °C, and a count is round.
    let deviation = |av_conf| {
        let mut bench = Bench::new();
        bench.write(HTS221, 0x10, av_conf);
        bench.write(HTS221, 0x20, 0b1000_0111);
        let mut counts = Vec::new();
        for _ in 0..500 {
            bench.wait(80);
            counts.push(f64::from(i16::from_le_bytes(bench.read(HTS221, 0x2a | AUTO))));
        }
        // Of neighbours, so that the room's own movement does not count.
        let differences = counts.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
        (differences.sum::<f64>() / 499.0 / 2.0).sqrt()
    };
    let (least, most) = (deviation(0b00_000_000), deviation(0b00_111_111));
    assert!((3.3..6.0).contains(&least), "0.08 °C rms are 4.4 counts: {least}");
    assert!(most < 1.0, "0.007 °C rms are 0.4 counts: {most}");
}

#[test]
fn nobody_answers_elsewhere_or_when_unplugged_and_healing_plugs_in() {
    let mut bench = Bench::new();
    assert_eq!(bench.hat.read(0x5d, &mut [0]), Err(BusError::NoAcknowledge));
    bench.write(LPS25H, 0x20, 0x94);
    bench.hat.inject("unplugged".parse().unwrap());
    assert_eq!(bench.hat.read(LPS25H, &mut [0]), Err(BusError::NoAcknowledge));
    assert_eq!(bench.hat.faults(), [Fault::Unplugged]);
    bench.hat.heal();
    assert_eq!(bench.read(LPS25H, 0x20), [0x00], "power was gone");
    bench.write(LPS25H, 0x20, 0x94);
    bench.hat.inject(Fault::Reset { chip: Chip::Lps25h });
    assert_eq!(bench.read(LPS25H, 0x20), [0x00]);
    assert!(bench.hat.faults().is_empty());
}
