//! What both chips do on the wire (HTS221 §5.1.1, LPS25H §6.1): the first byte of a write is the sub-address, which
//! stays for the reads that follow, in the same transaction or a later one; with its bit 7 set it goes on by one
//! after each byte.

use embedded_hal::i2c::Operation;

use super::fault::Fault;
use crate::base::clock::Monotonic;
use crate::sensors::chip::Chip;

/// How the faults concern one chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) stuck: bool,
    pub(super) out_of_range: bool,
    pub(super) damaged: bool,
    pub(super) calibration: CalibrationFault,
    pub(super) identity: Option<u8>,
}

/// What is wrong with the calibration registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CalibrationFault {
    #[default]
    None,
    Zero,
    Flat,
}

impl Effects {
    /// The effects of `faults` on `chip`.
    pub(super) fn of(faults: &[Fault], chip: Chip) -> Self {
        let mut effects = Self::default();
        for fault in faults {
            match *fault {
                Fault::StuckOutput { chip: stuck } if stuck == chip => effects.stuck = true,
                Fault::OutOfRange { chip: outside } if outside == chip => effects.out_of_range = true,
                Fault::DamagedElement => effects.damaged = true,
                Fault::ZeroCalibration => effects.calibration = CalibrationFault::Zero,
                Fault::FlatCalibration => effects.calibration = CalibrationFault::Flat,
                Fault::WrongIdentity { address, value } if address == chip.address() => {
                    effects.identity = Some(value);
                }
                _ => {}
            }
        }
        effects
    }
}

/// The registers of one chip.
pub(super) trait Registers {
    /// Power comes on.
    fn power_on(&mut self, now: Monotonic);
    /// Does what happened inside until `now`.
    fn advance(&mut self, now: Monotonic, effects: Effects);
    /// Reads one register, with what reading it changes.
    fn read(&mut self, register: u8, effects: Effects) -> u8;
    /// Writes one register; one that is read-only stays.
    fn write(&mut self, register: u8, value: u8, now: Monotonic);
}

/// One chip on the bus.
#[derive(Debug)]
pub(super) struct Device<R> {
    registers: R,
    effects: Effects,
    pointer: u8,
    auto_increment: bool,
}

impl<R: Registers> Device<R> {
    pub(super) fn new(registers: R) -> Self {
        Self { registers, effects: Effects::default(), pointer: 0, auto_increment: false }
    }

    pub(super) fn set_effects(&mut self, effects: Effects) {
        self.effects = effects;
    }

    pub(super) fn power_on(&mut self, now: Monotonic) {
        (self.pointer, self.auto_increment) = (0, false);
        self.registers.power_on(now);
    }

    /// One transaction. Operations of one kind that follow each other are one, as the trait's contract says.
    pub(super) fn run(&mut self, operations: &mut [Operation<'_>], now: Monotonic) {
        self.registers.advance(now, self.effects);
        let mut is_addressed = false;
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    self.write(bytes, is_addressed, now);
                    is_addressed |= !bytes.is_empty();
                }
                Operation::Read(bytes) => {
                    self.read(bytes);
                    is_addressed = false;
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8], is_addressed: bool, now: Monotonic) {
        let data = match bytes {
            [sub_address, data @ ..] if !is_addressed => {
                (self.pointer, self.auto_increment) = (sub_address & 0x7f, sub_address & 0x80 != 0);
                data
            }
            data => data,
        };
        for &value in data {
            self.registers.write(self.pointer, value, now);
            self.go_on();
        }
    }

    fn read(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.registers.read(self.pointer, self.effects);
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        if self.auto_increment {
            self.pointer = (self.pointer + 1) & 0x7f;
        }
    }
}
