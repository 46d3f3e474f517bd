//! The chips that are read, and how one register of them is read and written.

use std::fmt;
use std::str::FromStr;

use embedded_hal::i2c::I2c;

use super::error::DriverError;

/// Bit 7 of the sub-address: the chip goes on to the next register after each byte (HTS221 §5.1.1, LPS25H §6.1).
/// Without it a burst reads one register again and again.
const AUTO_INCREMENT: u8 = 0x80;

/// A chip of the Sense HAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chip {
    /// Humidity and temperature.
    Hts221,
    /// Pressure; LPS25H on the first HAT, LPS25HB on the second: the same registers and the same identity.
    Lps25h,
}

impl Chip {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Hts221, Self::Lps25h];

    /// The name in dumps and faults.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hts221 => "hts221",
            Self::Lps25h => "lps25h",
        }
    }

    /// The name on the datasheet.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Hts221 => "HTS221",
            Self::Lps25h => "LPS25H",
        }
    }

    /// The seven-bit address that the HAT's board gives it.
    pub const fn address(self) -> u8 {
        match self {
            Self::Hts221 => 0x5f,
            Self::Lps25h => 0x5c,
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What was given instead of the name of a chip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown chip `{0}`: expected hts221 or lps25h")]
pub struct UnknownChip(pub String);

impl FromStr for Chip {
    type Err = UnknownChip;

    fn from_str(name: &str) -> Result<Self, UnknownChip> {
        Self::ALL.into_iter().find(|chip| chip.name() == name).ok_or_else(|| UnknownChip(name.to_owned()))
    }
}

/// One register: whose it is, what the datasheet calls it, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The chip.
    pub chip: Chip,
    /// The datasheet's name.
    pub name: &'static str,
    /// The sub-address, 0x00..0x7f.
    pub address: u8,
}

/// A control register does not hold what was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{register} reads 0x{found:02x} where 0x{expected:02x} was written: the chip was reset, or another program sets it"
)]
pub struct Changed {
    /// The register.
    pub register: Register,
    /// What it holds.
    pub found: u8,
    /// What was written.
    pub expected: u8,
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} register {} (0x{:02x}@0x{:02x})", self.chip, self.name, self.address, self.chip.address())
    }
}

impl Register {
    /// Reads this register: one transaction, one byte.
    pub(super) fn read<I: I2c>(self, i2c: &mut I) -> Result<u8, DriverError<I::Error>> {
        let mut byte = [0];
        i2c.write_read(self.chip.address(), &[self.address], &mut byte)
            .map_err(|cause| DriverError::Read { register: self, cause })?;
        let [byte] = byte;
        Ok(byte)
    }

    /// Fills `bytes` from this register and those that follow: one transaction.
    pub(super) fn read_burst<I: I2c>(self, i2c: &mut I, bytes: &mut [u8]) -> Result<(), DriverError<I::Error>> {
        i2c.write_read(self.chip.address(), &[self.address | AUTO_INCREMENT], bytes)
            .map_err(|cause| DriverError::Read { register: self, cause })
    }

    /// Reads this register, which tells who answers: one transaction.
    pub(super) fn check_identity<I: I2c>(self, i2c: &mut I, expected: u8) -> Result<(), DriverError<I::Error>> {
        match self.read(i2c)? {
            found if found == expected => Ok(()),
            // nobody makes a chip with one of these
            level @ (0x00 | 0xff) => Err(DriverError::StuckLine { register: self, level }),
            found => Err(DriverError::Identity { register: self, found, expected }),
        }
    }

    /// Reads this register and tells when its bits under `mask` are not those of `expected`: one transaction.
    pub(super) fn check<I: I2c>(
        self,
        i2c: &mut I,
        mask: u8,
        expected: u8,
    ) -> Result<Option<Changed>, DriverError<I::Error>> {
        let found = self.read(i2c)?;
        Ok((found & mask != expected & mask).then_some(Changed { register: self, found, expected }))
    }

    /// Writes the sub-address alone, which changes nothing in the chip: one transaction. A bus refuses writes to a chip
    /// that a kernel driver owns.
    pub(super) fn select<I: I2c>(self, i2c: &mut I) -> Result<(), DriverError<I::Error>> {
        i2c.write(self.chip.address(), &[self.address]).map_err(|cause| DriverError::Select { register: self, cause })
    }

    /// Writes this register: one transaction.
    pub(super) fn write<I: I2c>(self, i2c: &mut I, value: u8) -> Result<(), DriverError<I::Error>> {
        i2c.write(self.chip.address(), &[self.address, value]).map_err(|cause| DriverError::Write {
            register: self,
            value,
            cause,
        })
    }
}
