//! The Sense HAT made of registers: the drivers that run on a Pi run on it unchanged.
//!
//! - Holds the registers of both chips, the air of a room that moves from a seed, and the faults that are on.
//! - Never enters: the drivers and their constants (it would share their mistakes), real time, sleeping. Time comes
//!   from the clock it was made with, so a test turns it by hand.
//! - Uses `base` and `embedded_hal::i2c`.
//! - Follows the HTS221 and LPS25H datasheets. Not simulated: the FIFO, interrupts and the heater; their registers
//!   hold what is written to them.
//!
//! Start reading at [`SimulatedHat`]; `device` is what the two chips have in common on the wire, `hts221` and
//! `lps25h` are the chips, `climate` is the room, [`Fault`] is what can go wrong.

mod climate;
mod converter;
mod device;
mod fault;
mod hts221;
mod latch;
mod lps25h;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};

pub use climate::{Air, Climate};
pub use fault::{Fault, UnknownFault};

use self::device::{Device, Effects};
use self::hts221::SimulatedHts221;
use self::lps25h::SimulatedLps25h;
use super::bus::BusError;
use super::chip::Chip;
use super::dump::Dump;
use crate::base::clock::Monotonic;

type Clock = Box<dyn Fn() -> Monotonic + Send>;
type Delay = Box<dyn FnMut(Duration) + Send>;

/// Both chips behind one simulated bus.
pub struct SimulatedHat {
    clock: Clock,
    delay: Delay,
    hts221: Option<Device<SimulatedHts221>>,
    lps25h: Option<Device<SimulatedLps25h>>,
    faults: Vec<Fault>,
    transactions: u64,
}

impl fmt::Debug for SimulatedHat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hts221, lps25h, faults, transactions, .. } = self;
        f.debug_struct("SimulatedHat")
            .field("hts221", hts221)
            .field("lps25h", lps25h)
            .field("faults", faults)
            .field("transactions", transactions)
            .finish_non_exhaustive()
    }
}

impl SimulatedHat {
    /// A HAT that is powered up now, in a room whose climate and noise come from `seed`.
    pub fn new(clock: impl Fn() -> Monotonic + Send + 'static, seed: u64) -> Self {
        let now = clock();
        let climate = Climate::new(seed);
        Self::with_chips(
            clock,
            Some(Device::new(SimulatedHts221::in_room(climate, seed, now))),
            Some(Device::new(SimulatedLps25h::in_room(climate, seed, now))),
        )
    }

    /// A HAT with the registers of `dump`, powered up long ago: its chips convert to the same outputs again and
    /// again. Registers that are not in the dump have their power-on values; a chip that is not in it is missing.
    pub fn from_dump(dump: &Dump, clock: impl Fn() -> Monotonic + Send + 'static) -> Self {
        let now = clock();
        let hts221 = dump.registers(Chip::Hts221).map(|held| Device::new(SimulatedHts221::from_dump(held, now)));
        let lps25h = dump.registers(Chip::Lps25h).map(|held| Device::new(SimulatedLps25h::from_dump(held, now)));
        Self::with_chips(clock, hts221, lps25h)
    }

    fn with_chips(
        clock: impl Fn() -> Monotonic + Send + 'static,
        hts221: Option<Device<SimulatedHts221>>,
        lps25h: Option<Device<SimulatedLps25h>>,
    ) -> Self {
        let (clock, delay) = (Box::new(clock), Box::new(|_| ()));
        Self { clock, delay, hts221, lps25h, faults: Vec::new(), transactions: 0 }
    }

    /// Calls `delay` for as long as a hanging transaction takes ([`Fault::Hang`]), before it fails with
    /// [`BusError::Timeout`]. Without it, the transaction fails at once: virtual time needs no sleep. A rig that
    /// stands in for the kernel passes `std::thread::sleep`.
    #[must_use]
    pub fn with_delay(mut self, delay: impl FnMut(Duration) + Send + 'static) -> Self {
        self.delay = Box::new(delay);
        self
    }

    /// Transactions since it was made, those included that failed.
    pub const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The faults that are on.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Lets a fault happen. All but [`Fault::Reset`], which is over at once, stay until [`Self::heal`].
    pub fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::Reset { chip } => self.power_on(chip),
            lasting if self.faults.contains(&lasting) => {}
            lasting => self.faults.push(lasting),
        }
        self.apply();
    }

    /// Ends every fault; a HAT that was unplugged is plugged in again.
    pub fn heal(&mut self) {
        let was_unplugged = self.faults.contains(&Fault::Unplugged);
        self.faults.clear();
        self.apply();
        if was_unplugged {
            self.replug();
        }
    }

    /// Plugs the HAT in: both chips are in their power-on state (off, 760.0 hPa, calibration zero for the first
    /// 100 ms). Other faults stay on.
    pub fn replug(&mut self) {
        self.faults.retain(|fault| *fault != Fault::Unplugged);
        for chip in Chip::ALL {
            self.power_on(chip);
        }
    }

    fn power_on(&mut self, chip: Chip) {
        let now = (self.clock)();
        match chip {
            Chip::Hts221 => self.hts221.iter_mut().for_each(|device| device.power_on(now)),
            Chip::Lps25h => self.lps25h.iter_mut().for_each(|device| device.power_on(now)),
        }
    }

    /// Tells the chips which faults concern them.
    fn apply(&mut self) {
        let [hts221, lps25h] = Chip::ALL.map(|chip| Effects::of(&self.faults, chip));
        self.hts221.iter_mut().for_each(|device| device.set_effects(hts221));
        self.lps25h.iter_mut().for_each(|device| device.set_effects(lps25h));
    }

    /// Fails the transaction when a fault of the bus says so.
    fn check_bus(&mut self, address: u8) -> Result<(), BusError> {
        let hang = self.faults.iter().find_map(|fault| match fault {
            Fault::Hang { duration } => Some(*duration),
            _ => None,
        });
        if let Some(duration) = hang {
            (self.delay)(duration);
            return Err(BusError::Timeout);
        }
        let is_gone = |fault: &Fault| *fault == Fault::Unplugged || *fault == Fault::NoAcknowledge { address };
        if self.faults.iter().any(is_gone) { Err(BusError::NoAcknowledge) } else { Ok(()) }
    }
}

/// What the controller of a bus hears whose data line is held down.
fn read_zeros(operations: &mut [Operation<'_>]) {
    for operation in operations {
        if let Operation::Read(bytes) = operation {
            bytes.fill(0);
        }
    }
}

impl ErrorType for SimulatedHat {
    type Error = BusError;
}

impl I2c for SimulatedHat {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.transactions += 1;
        self.check_bus(address)?;
        if self.faults.contains(&Fault::StuckLow) {
            read_zeros(operations);
            return Ok(());
        }
        let now = (self.clock)();
        match (address, &mut self.hts221, &mut self.lps25h) {
            (0x5f, Some(hts221), _) => hts221.run(operations, now),
            (0x5c, _, Some(lps25h)) => lps25h.run(operations, now),
            _ => return Err(BusError::NoAcknowledge),
        }
        Ok(())
    }
}
