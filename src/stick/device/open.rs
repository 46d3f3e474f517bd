//! Opens the stick of a machine, and asks the kernel for it alone and for times of its own clock.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use evdev::KeyCode;
use evdev::raw_stream::RawDevice;

use super::input::Stamps;
use super::{Control, Device, EmulatedStick, Input, Open, StickError, find};
use crate::base::sys;
use crate::stick::{Direction, Grab, Options, StickSource};

/// The machine whose files are below a root.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine whose files are below `root`, which is `/` outside tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The stick's file and its descriptor, open for reading only.
    #[cfg(not(feature = "sensehat-stick"))]
    fn open_file(&self) -> Result<(PathBuf, OwnedFd), StickError> {
        let path = find(&self.root)?;
        let file = open_for_reading(&path)?;
        Ok((path, file))
    }

    /// As above, opened by the crate `sensehat-stick`.
    #[cfg(feature = "sensehat-stick")]
    fn open_file(&self) -> Result<(PathBuf, OwnedFd), StickError> {
        // what is wrong is found out here: the crate's errors are text
        let path = find(&self.root)?;
        drop(open_for_reading(&path)?);
        let file = super::sensehat::open(&path)?;
        Ok((path, file))
    }
}

impl Open for Machine {
    fn open(&mut self, options: &Options) -> Result<Box<dyn Device>, StickError> {
        match &options.source {
            StickSource::Input => Ok(Box::new(self.open_input(options.grab)?)),
            StickSource::Emulator { directory } => Ok(Box::new(EmulatedStick::open(directory)?)),
        }
    }
}

impl Machine {
    /// Opens the kernel's device.
    ///
    /// # Errors
    /// When it is not there, may not be opened, is grabbed by somebody else, or is no input device.
    pub fn open_input(&self, grab: Grab) -> Result<Input, StickError> {
        let (path, file) = self.open_file()?;
        let failed = |error| StickError::new(&path, error);
        // the copy shares what the kernel keeps for an open file: the grab, the clock, the queue
        let mut kernel = RawDevice::from_fd(file.try_clone().map_err(failed)?).map_err(failed)?;
        if grab == Grab::Exclusive {
            kernel.grab().map_err(failed)?;
        }
        let stamps = match sys::stamp_by_boot_clock(file.as_fd()) {
            Ok(()) => Stamps::SinceBoot,
            Err(_) => Stamps::Other,
        };
        Input::new(path.clone(), file, Box::new(kernel), stamps)
    }
}

/// A file that is not there although sysfs names it belongs to a device that has just gone, or to a container.
fn open_for_reading(path: &Path) -> Result<OwnedFd, StickError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(file.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StickError::Lost { path: path.to_owned() }),
        Err(error) => Err(StickError::new(path, error)),
    }
}

impl Control for RawDevice {
    fn pressed(&self) -> io::Result<Vec<Direction>> {
        let keys = self.get_key_state()?;
        Ok(Direction::ALL.into_iter().filter(|direction| keys.contains(KeyCode(direction.code()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::NAME;
    use super::*;

    fn machine(device: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let class = root.path().join("sys/class/input/event3/device");
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join("name"), format!("{NAME}\n")).unwrap();
        fs::create_dir_all(root.path().join("dev/input")).unwrap();
        if let Some(content) = device {
            fs::write(root.path().join("dev/input/event3"), content).unwrap();
        }
        root
    }

    #[tokio::test]
    async fn a_file_that_only_has_the_name_is_of_the_wrong_kind() {
        let root = machine(Some("no device"));
        let error = Machine::new(root.path().into()).open(&Options::default()).unwrap_err();
        assert!(matches!(&error, StickError::WrongKind { path } if path.ends_with("dev/input/event3")), "{error}");
    }

    #[tokio::test]
    async fn a_device_that_sysfs_names_and_that_has_no_file_is_gone() {
        let root = machine(None);
        let error = Machine::new(root.path().into()).open(&Options::default()).unwrap_err();
        assert!(matches!(error, StickError::Lost { .. }), "{error}");
    }
}
