//! Registers of both chips as a file: what `sensegate dump` writes and `--simulate FILE` reads.
//!
//! - Holds, for each chip, the registers that are known and their values.
//! - Never enters: what the values mean.
//! - Uses TOML, and `embedded_hal::i2c::I2c` to read a real HAT.
//!
//! ```toml
//! [[chip]]
//! name = "hts221"
//! address = 0x5f                  # may be left out: the HAT's board decides it
//! [chip.registers]                # first register = one or more bytes in hex
//! 0x0f = "bc"
//! 0x30 = "3a 85 a6 16 00 c4 f3 ff 00 00 88 cf fd ff fb 02"
//! ```
//!
//! Start reading at [`Dump`]; `text` is the file's form, `read` the HAT's side.

mod read;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use super::chip::Chip;
use super::open::OpenError;

pub use text::DumpError;

/// The registers of the chips that a HAT has, or had when they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    chips: BTreeMap<Chip, BTreeMap<u8, u8>>,
}

impl Dump {
    /// Reads a file.
    ///
    /// # Errors
    /// With the path, and for a file that is no dump with line and column.
    pub fn load(path: &Path) -> Result<Self, OpenError> {
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|cause| OpenError::Unreadable { path: path.to_owned(), cause })?;
        text.parse().map_err(|cause| OpenError::Dump { path: path.to_owned(), cause })
    }

    /// The chips in it.
    pub fn chips(&self) -> impl Iterator<Item = Chip> {
        self.chips.keys().copied()
    }

    /// The known registers of a chip; `None` when the chip is not in it.
    pub fn registers(&self, chip: Chip) -> Option<&BTreeMap<u8, u8>> {
        self.chips.get(&chip)
    }

    /// Sets registers from `first` on; the chip is in it from then on, even without bytes.
    pub fn set(&mut self, chip: Chip, first: u8, bytes: &[u8]) {
        self.chips.entry(chip).or_default().extend((first..).zip(bytes.iter().copied()));
    }
}
