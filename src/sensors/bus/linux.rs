//! `/dev/i2c-N` over rppal.

use std::io;
use std::path::{Path, PathBuf};

use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress};
use rppal::i2c as rppal_i2c;

use super::bound::{SYSFS_DEVICES, bound_driver};
use super::error::BusError;

/// An open bus.
///
/// A write is refused with [`BusError::Busy`] while a kernel driver owns the chip; reads change nothing for it and
/// are let through, so that a cycle of readings costs no look into sysfs.
#[derive(Debug)]
pub struct Bus {
    i2c: rppal_i2c::I2c,
    number: u8,
    path: PathBuf,
    selected: Option<u8>,
}

impl Bus {
    /// The device file of bus `number`.
    pub fn path(number: u8) -> PathBuf {
        format!("/dev/i2c-{number}").into()
    }

    /// Opens bus `number`. No chip is touched.
    ///
    /// # Errors
    /// [`BusError::NoDevice`], [`BusError::Permission`], [`BusError::Sandboxed`], or [`BusError::Other`] for a file that is
    /// no I²C bus.
    pub fn open(number: u8) -> Result<Self, BusError> {
        let path = Self::path(number);
        match rppal_i2c::I2c::with_bus(number) {
            Ok(i2c) => Ok(Self { i2c, number, path, selected: None }),
            Err(error) => Err(BusError::from_open(&io_error(error), &path)),
        }
    }

    fn select(&mut self, address: u8) -> Result<(), BusError> {
        if self.selected != Some(address) {
            let selected = self.i2c.set_slave_address(address.into());
            selected.map_err(|error| self.transfer_error(error))?;
            self.selected = Some(address);
        }
        Ok(())
    }

    fn send(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusError> {
        check_unbound(Path::new(SYSFS_DEVICES), self.number, address)?;
        let done = self.i2c.write(bytes).map_err(|error| self.transfer_error(error))?;
        if done == bytes.len() { Ok(()) } else { Err(BusError::ShortTransfer { asked: bytes.len(), done }) }
    }

    /// Write, repeated start, read: one `I2C_RDWR`, which the kernel does whole or not at all.
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), BusError> {
        self.i2c.write_read(sent, received).map_err(|error| self.transfer_error(error))
    }

    fn transfer_error(&self, error: rppal_i2c::Error) -> BusError {
        match error {
            rppal_i2c::Error::InvalidSlaveAddress(_) => BusError::Unsupported,
            error => BusError::from_transfer(&io_error(error), &self.path),
        }
    }
}

impl ErrorType for Bus {
    type Error = BusError;
}

impl I2c<SevenBitAddress> for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.select(address)?;
        match operations {
            [Operation::Write(bytes)] => self.send(address, bytes),
            [Operation::Write(sent), Operation::Read(received)] => self.exchange(sent, received),
            _ => Err(BusError::Unsupported),
        }
    }
}

fn check_unbound(devices: &Path, bus: u8, address: u8) -> Result<(), BusError> {
    match bound_driver(devices, bus, address) {
        Some(driver) => Err(BusError::Busy(driver)),
        None => Ok(()),
    }
}

fn io_error(error: rppal_i2c::Error) -> io::Error {
    match error {
        rppal_i2c::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_bus_is_named_with_its_path() {
        assert_eq!(Bus::open(251).unwrap_err(), BusError::NoDevice("/dev/i2c-251".into()));
    }

    #[test]
    fn chip_with_a_kernel_driver_is_refused_with_the_drivers_name() {
        let devices = tempfile::tempdir().unwrap();
        std::fs::create_dir(devices.path().join("1-005c")).unwrap();
        std::os::unix::fs::symlink("/drivers/st-press-i2c", devices.path().join("1-005c/driver")).unwrap();
        let error = check_unbound(devices.path(), 1, 0x5c).unwrap_err();
        assert!(matches!(&error, BusError::Busy(driver) if driver.name == "st-press-i2c"), "{error}");
        assert_eq!(check_unbound(devices.path(), 1, 0x5f), Ok(()));
    }
}
