//! Chips that somebody else sets.

use embedded_hal::i2c::{ErrorType, Operation};

use super::*;
use crate::sensors::bus::BusError;

/// From the setting until it is noticed.
const NOTICED_WITHIN: u32 = 10;

/// Writes `value` to a register of a running chip, waits until that is noticed, and checks that the values come back
/// with the register set as it was.
fn check(chip: Chip, register: u8, value: u8, name: &str) {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    let before = bench.register(chip, register);
    bench.set_register(chip, register, value);
    let quantity = if chip == Chip::Lps25h { Pressure } else { Humidity };
    let told = (0..NOTICED_WITHIN).find_map(|_| bench.run_once().get(quantity).unwrap().clone().err());
    let absence = told.expect("it is noticed");
    assert_eq!(absence.reason, Reason::Reset);
    let found =
        format!("{name} (0x{register:02x}@0x{:02x}) reads 0x{value:02x} where 0x{before:02x} was", chip.address());
    assert!(absence.text.contains(&found), "{}", absence.text);
    bench.seconds_to_recover();
    assert_eq!(bench.register(chip, register), before);
    assert_eq!((bench.errors(chip), bench.hat.counts().get(chip).recoveries), (vec![(Reason::Reset, 1)], 1));
}

#[test]
fn heater_that_somebody_switched_on_takes_the_values_and_is_switched_off() {
    check(Chip::Hts221, 0x21, 0x02, "CTRL_REG2");
}

#[test]
fn chip_that_somebody_set_otherwise_is_set_as_it_was() {
    check(Chip::Hts221, 0x20, 0x81, "CTRL_REG1");
    check(Chip::Hts221, 0x10, 0x00, "AV_CONF");
    check(Chip::Lps25h, 0x20, 0x94, "CTRL_REG1");
    check(Chip::Lps25h, 0x21, 0x40, "CTRL_REG2");
    check(Chip::Lps25h, 0x2e, 0xdf, "FIFO_CTRL");
    check(Chip::Lps25h, 0x10, 0x00, "RES_CONF");
}

#[test]
fn reserved_bits_are_nobodys_setting() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    for (chip, register, reserved) in
        [(Chip::Hts221, 0x10, 0xc0), (Chip::Hts221, 0x20, 0x78), (Chip::Lps25h, 0x10, 0xf0)]
    {
        let held = bench.register(chip, register);
        bench.set_register(chip, register, held | reserved);
    }
    for _ in 0..20 {
        assert!(bench.run_once().is_complete());
    }
}

/// A bus on which a kernel driver took over a chip: reads go through, writes do not.
struct Taken {
    inner: SimulatedHat,
    address: Option<u8>,
}

impl ErrorType for Taken {
    type Error = BusError;
}

impl I2c for Taken {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        match operations {
            [Operation::Write(_)] if self.address == Some(address) => Err(BusError::BusyUnknown),
            operations => self.inner.transaction(address, operations),
        }
    }
}

#[test]
fn kernel_driver_that_takes_a_chip_later_is_noticed_although_the_chip_goes_on_converting() {
    let ms = Arc::new(AtomicU64::new(10_000));
    let read = Arc::clone(&ms);
    let inner = SimulatedHat::new(move || at(read.load(Ordering::Relaxed)), 1);
    let mut hat = Hat::new(Taken { inner, address: None }, &options(SECOND));
    let run_once = |hat: &mut Hat<Taken>| {
        let now = ms.fetch_add(1000, Ordering::Relaxed) + 1000;
        hat.sample(at(now))
    };
    (0..5).for_each(|_| drop(run_once(&mut hat)));
    hat.bus_mut().address = Some(0x5c);
    let readings = (0..NOTICED_WITHIN).map(|_| run_once(&mut hat)).find(|readings| !readings.is_complete());
    assert_eq!(reasons(&readings.expect("it is noticed")), [None, Some(Reason::Busy), None]);
    hat.bus_mut().address = None;
    assert!((0..35).any(|_| run_once(&mut hat).is_complete()));
}
