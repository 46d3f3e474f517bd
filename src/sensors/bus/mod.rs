//! The I²C bus of a Linux machine, as `embedded_hal::i2c::I2c`.
//!
//! - Holds the open `/dev/i2c-N` and the address that was selected last.
//! - Never enters: registers of a chip, time, retries. A failure is told, with what to do, and nothing else happens.
//! - Uses rppal's inherent calls: its own `embedded-hal` transactions are write, STOP, read, with short counts ignored.
//! - Follows i2c-dev of the Linux kernel (`Documentation/i2c/dev-interface.rst`, `fault-codes.rst`).
//!
//! Start reading at [`BusError`]; [`Bus`] is the device, [`bound_driver`] looks for a kernel driver on a chip.

mod bound;
mod error;
mod linux;

pub use bound::{BoundDriver, SYSFS_DEVICES, bound_driver};
pub use error::BusError;
pub use linux::Bus;
