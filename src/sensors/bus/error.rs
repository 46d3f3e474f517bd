//! Failures of the bus in plain words, each with what to do.

use std::io;
use std::path::{Path, PathBuf};

use embedded_hal::i2c::{Error, ErrorKind, NoAcknowledgeSource};
use rustix::io::Errno;

use super::bound::BoundDriver;
use crate::sensors::Reason;

/// Why the bus could not be opened or a transaction not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus device does not exist.
    #[error(
        "{} is not there: switch I2C on with `sudo raspi-config nonint do_i2c 0` and reboot, name another bus \
         in sensors.bus, or run without a HAT with --simulate", .0.display()
    )]
    NoDevice(PathBuf),
    /// The bus device may not be opened by this user.
    #[error(
        "no permission to open {}: `sudo usermod -aG i2c $USER` and log in again (a service: \
         SupplementaryGroups=i2c), or run without a HAT with --simulate", .0.display()
    )]
    Permission(PathBuf),
    /// The system keeps the process from a device that its user may open: a sandbox decided before the bus was there.
    #[error(
        "this process is kept from {}: where systemd runs it, DeviceAllow= was decided before there was such a bus; \
         `sudo systemctl restart sensegate` decides it anew", .0.display()
    )]
    Sandboxed(PathBuf),
    /// Nobody answers at the address (EREMOTEIO on the Pi, ENXIO or ENODEV elsewhere).
    #[error("nobody answers: look whether the HAT sits on all 40 pins, and what `sensegate doctor` says")]
    NoAcknowledge,
    /// The transaction was not done in time (about a second).
    #[error("the bus hangs: a chip holds a line low; switching the HAT's power off and on frees it")]
    Timeout,
    /// A kernel driver owns the chip.
    #[error(
        "the kernel's driver `{}` owns the chip: free it now with `{}`, and for good with `{}` or by a newer overlay \
         of the HAT", .0.name, .0.unbind_command(), .0.blacklist_command()
    )]
    Busy(BoundDriver),
    /// The kernel says that a driver owns the chip, but not which.
    #[error("a driver of the kernel owns the chip: `sensegate doctor` tells which, and how to free it")]
    BusyUnknown,
    /// Fewer bytes went over the bus than were asked for.
    #[error("{done} of {asked} bytes were transferred")]
    ShortTransfer {
        /// Bytes that should have gone.
        asked: usize,
        /// Bytes that went.
        done: usize,
    },
    /// A sequence of operations that this bus does not carry out.
    #[error("the bus carries out a write, or a write and a read, at addresses below 0x78, and nothing else")]
    Unsupported,
    /// Any other failure, by its errno.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Other(i32),
}

impl BusError {
    /// What a failure to open `path` means.
    pub(super) fn from_open(error: &io::Error, path: &Path) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Self::NoDevice(path.to_owned()),
            Some(Errno::ACCESS) => Self::Permission(path.to_owned()),
            Some(Errno::PERM) => Self::Sandboxed(path.to_owned()),
            errno => Self::other(errno),
        }
    }

    /// What a failed transaction on `path` means.
    pub(super) fn from_transfer(error: &io::Error, path: &Path) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::REMOTEIO | Errno::NXIO | Errno::NODEV) => Self::NoAcknowledge,
            Some(Errno::TIMEDOUT) => Self::Timeout,
            Some(Errno::BUSY) => Self::BusyUnknown,
            _ => Self::from_open(error, path),
        }
    }

    /// The class of the failure, as a reading's absence tells it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoDevice(_) => Reason::NoBus,
            Self::Permission(_) | Self::Sandboxed(_) => Reason::Permission,
            Self::NoAcknowledge => Reason::NoChip,
            Self::Timeout => Reason::Timeout,
            Self::Busy(_) | Self::BusyUnknown => Reason::Busy,
            Self::ShortTransfer { .. } | Self::Unsupported | Self::Other(_) => Reason::Bus,
        }
    }

    fn other(errno: Option<Errno>) -> Self {
        Self::Other(errno.unwrap_or(Errno::IO).raw_os_error())
    }
}

impl Error for BusError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAcknowledge => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::ShortTransfer { .. } => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(errno: i32) -> BusError {
        BusError::from_transfer(&io::Error::from_raw_os_error(errno), Path::new("/dev/i2c-1"))
    }

    #[test]
    fn errno_of_a_transfer_is_mapped_to_its_meaning() {
        for nobody in [121, 6, 19] {
            assert_eq!(transfer(nobody), BusError::NoAcknowledge);
        }
        assert_eq!(transfer(110), BusError::Timeout);
        assert_eq!(transfer(13), BusError::Permission("/dev/i2c-1".into()));
        assert_eq!(transfer(2), BusError::NoDevice("/dev/i2c-1".into()));
        assert_eq!(transfer(16), BusError::BusyUnknown);
        assert_eq!(transfer(11), BusError::Other(11));
    }

    #[test]
    fn errno_of_an_open_is_mapped_to_its_meaning() {
        let open = |errno| BusError::from_open(&io::Error::from_raw_os_error(errno), Path::new("/dev/i2c-1"));
        assert_eq!(open(2), BusError::NoDevice("/dev/i2c-1".into()));
        assert_eq!(open(6), BusError::NoDevice("/dev/i2c-1".into()));
        assert_eq!(open(13), BusError::Permission("/dev/i2c-1".into()));
        assert_eq!(open(1), BusError::Sandboxed("/dev/i2c-1".into()));
        assert_eq!(open(25), BusError::Other(25));
    }

    #[test]
    fn texts_name_the_cure() {
        assert!(BusError::NoDevice("/dev/i2c-1".into()).to_string().contains("raspi-config"));
        assert!(BusError::NoDevice("/dev/i2c-1".into()).to_string().contains("--simulate"));
        assert!(BusError::Permission("/dev/i2c-1".into()).to_string().contains("usermod -aG i2c"));
        assert!(BusError::Sandboxed("/dev/i2c-1".into()).to_string().contains("systemctl restart sensegate"));
        let driver = BoundDriver { name: "hts221".into(), module: "hts221_i2c".into(), device: "1-005f".into() };
        let busy = BusError::Busy(driver).to_string();
        for word in ["hts221", "unbind", "1-005f", "blacklist", "overlay"] {
            assert!(busy.contains(word), "{busy}");
        }
    }

    #[test]
    fn kinds_tell_generic_drivers_that_nobody_answered() {
        assert!(matches!(BusError::NoAcknowledge.kind(), ErrorKind::NoAcknowledge(_)));
        assert_eq!(BusError::ShortTransfer { asked: 2, done: 1 }.kind(), ErrorKind::Bus);
        assert_eq!(BusError::Timeout.kind(), ErrorKind::Other);
    }
}
