//! The Sense HAT emulator of Raspberry Pi OS (`sense_emu`), read where its own library reads it: in shared memory.
//!
//! - Holds the directory, and which process was found to be the emulator.
//! - Never enters: writing. Nothing is opened but for reading, and nobody is sent anything.
//! - Uses the drivers' conversions and ranges, and files; a process is watched by a descriptor of it (`pidfd_open(2)`).
//! - Follows `sense_emu` 1.2: `rpi-sense-emu-humidity`, `rpi-sense-emu-pressure` and the lock `rpi-sense-emu-pid`.
//!
//! The memory stays when the emulator ends, and while nobody moves a slider it may not change for hours, so that its
//! age says nothing. What says that somebody is behind it is the lock: the emulator and its player write their process
//! id there and take the file away at the end. Where it is missing, or names nobody who runs, every quantity is absent.
//! A process that is stopped, and does not end, looks like one that has nothing to change.
//!
//! Everybody may put files where the emulator's are. So nothing but a regular file is opened, and memory counts only
//! when it belongs to the user who made the lock.
//!
//! Start reading at [`Emulator::sample`]; `lock` is which process the lock names, `process` whether it is an emulator
//! that runs, `memory` reads the bytes, `layout` says what they mean.

mod error;
mod file;
mod layout;
mod lock;
mod memory;
mod process;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use error::EmulatorError;

use self::layout::{HumidityChip, PressureChip};
use self::lock::Holder;
use super::measured::Measured;
use super::{Absence, Reading, Readings};
use crate::base::clock::Monotonic;

const HUMIDITY_FILE: &str = "rpi-sense-emu-humidity";
const PRESSURE_FILE: &str = "rpi-sense-emu-pressure";

/// The emulator, whether it runs at the moment or not.
#[derive(Debug)]
pub(super) struct Emulator {
    directory: PathBuf,
    holder: Holder,
}

impl Emulator {
    pub(super) fn new(directory: PathBuf) -> Self {
        let holder = Holder::new(&directory);
        Self { directory, holder }
    }

    /// Reads what the emulator shows now. Some small reads of files in memory; it never waits.
    pub(super) fn sample(&mut self, now: Monotonic) -> Readings {
        let owner = match self.holder.find() {
            Ok(found) => found.owner,
            Err(error) => return Measured::nothing(&absence(&error, now)).readings(),
        };
        let humidity = self.read(HUMIDITY_FILE, owner, HumidityChip::decode);
        let pressure = self.read(PRESSURE_FILE, owner, PressureChip::decode);
        let reading = |value: Result<f64, EmulatorError>| value.map_err(|error| absence(&error, now));
        let of_humidity = |value: fn(&HumidityChip) -> Result<f64, EmulatorError>| -> Reading {
            reading(humidity.as_ref().map_err(Clone::clone).and_then(value))
        };
        let of_pressure = |value: fn(&PressureChip) -> Result<f64, EmulatorError>| -> Reading {
            reading(pressure.as_ref().map_err(Clone::clone).and_then(value))
        };
        let measured = Measured {
            temperature: of_humidity(HumidityChip::temperature),
            humidity: of_humidity(HumidityChip::humidity),
            pressure: of_pressure(PressureChip::pressure),
            temperature_beside_pressure: of_pressure(PressureChip::temperature),
        };
        measured.readings()
    }

    fn read<T>(
        &self,
        file: &str,
        owner: u32,
        decode: impl FnOnce(&Path, &[u8]) -> Result<T, EmulatorError>,
    ) -> Result<T, EmulatorError> {
        let path = self.directory.join(file);
        decode(&path, &memory::read(&path, owner)?)
    }
}

/// The process id of the emulator whose memory is in `directory`.
///
/// # Errors
/// When none runs, or what it shows cannot be read; a value that is no reading is no such error.
pub fn find(directory: &Path) -> Result<i32, EmulatorError> {
    let mut emulator = Emulator::new(directory.to_owned());
    let found = emulator.holder.find()?;
    emulator.read(HUMIDITY_FILE, found.owner, HumidityChip::decode)?;
    emulator.read(PRESSURE_FILE, found.owner, PressureChip::decode)?;
    Ok(found.id())
}

fn absence(error: &EmulatorError, now: Monotonic) -> Absence {
    Absence { reason: error.reason(), text: error.to_string(), since: now }
}
