//! The HAT's side.

use embedded_hal::i2c::I2c;

use super::Dump;
use crate::sensors::chip::{Chip, Register};
use crate::sensors::error::DriverError;

/// First register and length of what is documented and harmless to read. Left out: registers that are reserved, and
/// `INT_SOURCE` of the LPS25H, which forgets what it holds when it is read. Reading the outputs clears their status
/// bits, as each sample does.
const HTS221_RANGES: [(u8, usize); 5] = [(0x0f, 1), (0x10, 1), (0x20, 3), (0x27, 5), (0x30, 16)];
const LPS25H_RANGES: [(u8, usize); 9] =
    [(0x08, 3), (0x0f, 1), (0x10, 1), (0x20, 5), (0x27, 6), (0x2e, 1), (0x2f, 1), (0x30, 2), (0x39, 2)];

impl Dump {
    /// Reads all documented registers of both chips: 14 transactions. A chip that does not answer is left out.
    ///
    /// # Errors
    /// Neither chip could be read: the failure of the first.
    pub fn read_from<I: I2c>(i2c: &mut I) -> Result<Self, DriverError<I::Error>> {
        let mut dump = Self::default();
        let hts221 = dump.read_chip(i2c, Chip::Hts221, &HTS221_RANGES);
        let lps25h = dump.read_chip(i2c, Chip::Lps25h, &LPS25H_RANGES);
        lps25h.or(hts221).map(|()| dump)
    }

    fn read_chip<I: I2c>(
        &mut self,
        i2c: &mut I,
        chip: Chip,
        ranges: &[(u8, usize)],
    ) -> Result<(), DriverError<I::Error>> {
        let mut read = Vec::with_capacity(ranges.len());
        for &(address, length) in ranges {
            let mut bytes = vec![0; length];
            Register { chip, name: "of a dump", address }.read_burst(i2c, &mut bytes)?;
            read.push((address, bytes));
        }
        for (address, bytes) in read {
            self.set(chip, address, &bytes);
        }
        Ok(())
    }
}
