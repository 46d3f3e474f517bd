//! A virtual `/dev/i2c-1` for tests: any [`embedded_hal::i2c::I2c`] behind a FUSE file, so that an unmodified program
//! reaches it through the system calls of i2c-dev.
//!
//! - Holds the bus (shared with the test), a log of its transactions, and faults that belong to the system rather than
//!   to a chip: a hanging bus, a refused open, a bound kernel driver.
//! - Never enters: the machine's own `/dev`, `/sys` and mounts. A child gets a private mount namespace between fork
//!   and exec; it goes with the child, the mount with it, and the serving thread with the mount.
//! - Needs root and `/dev/fuse`: see [`available`] and [`skip`].
//!
//! Start reading at [`VirtualBus::command`], then `namespace` (what the child mounts), `serve` and `device` (what its
//! system calls are answered with). Beside it, for virtual machines, whose kernel may be given devices: [`UsbAdapter`],
//! the same bus behind a real adapter of the kernel, and [`Stick`].

mod device;
mod fuse;
mod log;
mod namespace;
mod serve;
mod stick;
#[expect(unsafe_code, reason = "the system calls that std does not show, all in this file")]
mod sys;
mod usbip;

pub use log::Transaction;
pub use stick::{Direction, STICK_NAME, Stick};
pub use usbip::UsbAdapter;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};

use log::Log;
use namespace::Stage;
use serve::Server;

/// The bus number: the HAT's on every Pi since the first.
const BUS: u8 = 1;

/// A bus that children see as `/dev/i2c-1`.
pub struct VirtualBus<I> {
    bus: Arc<Mutex<I>>,
    log: Arc<Log>,
    stage: Stage,
}

impl<I: I2c + Send + 'static> VirtualBus<I> {
    /// Puts `bus` behind the file.
    ///
    /// # Errors
    /// When the temporary directories cannot be made.
    pub fn new(bus: I) -> io::Result<Self> {
        Ok(Self { bus: Arc::new(Mutex::new(bus)), log: Arc::default(), stage: Stage::new()? })
    }

    /// A command whose child sees this bus. It can be spawned once; several commands share the bus, each through a
    /// mount of its own.
    ///
    /// # Errors
    /// When `/dev/fuse` cannot be opened. What goes wrong between fork and exec is an error of the spawn.
    pub fn command(&self, program: impl AsRef<OsStr>) -> io::Result<Command> {
        let fuse = Arc::new(File::options().read(true).write(true).open("/dev/fuse")?);
        let (mounted, ready) = io::pipe()?;
        let mut command = Command::new(program);
        sys::before_exec(&mut command, self.stage.steps(BUS, fuse.as_raw_fd()), OwnedFd::from(ready));
        Server::new(Arc::clone(&self.bus), Arc::clone(&self.log)).spawn(fuse, mounted);
        Ok(command)
    }

    /// The bus itself, to put faults in and to take them out. No transaction runs while it is held.
    pub fn lock(&self) -> MutexGuard<'_, I> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of transactions so far, failed ones included.
    pub fn transaction_count(&self) -> u64 {
        self.log.count()
    }

    /// The last transactions (10 000 at most), the oldest first.
    pub fn transactions(&self) -> Vec<Transaction> {
        self.log.transactions()
    }

    /// Stops every later transaction at `address` until [`Self::release`], for 30 s at most: a hanging bus.
    pub fn hold(&self, address: u8) {
        self.log.hold(address);
    }

    /// Lets the transactions at `address` go on.
    pub fn release(&self, address: u8) {
        self.log.release(address);
    }

    /// The number of transactions that [`Self::hold`] holds up at this moment.
    pub fn waiting(&self) -> usize {
        self.log.waiting()
    }

    /// Lets every later open(2) of the file fail with this error number, `EACCES` (13) for example; `None` heals it.
    pub fn refuse_open(&self, errno: Option<i32>) {
        self.log.set_open_errno(errno);
    }

    /// Shows a kernel driver as bound to `address`, in sysfs and to `I2C_SLAVE` (`EBUSY`); the chip itself answers on,
    /// as it does on a Pi.
    ///
    /// # Errors
    /// When the files cannot be made, among others when a driver is bound already.
    pub fn bind_driver(&self, address: u8, driver: &str) -> io::Result<()> {
        self.stage.bind_driver(BUS, address, driver)?;
        self.log.set_bound(address.into(), true);
        Ok(())
    }

    /// Takes the driver away from `address`.
    ///
    /// # Errors
    /// When none is bound.
    pub fn unbind_driver(&self, address: u8) -> io::Result<()> {
        self.stage.unbind_driver(BUS, address)?;
        self.log.set_bound(address.into(), false);
        Ok(())
    }

    /// The number of mounts that are served now: one a living child.
    pub fn serving(&self) -> usize {
        self.log.serving()
    }
}

/// A failed test ends with its bus: nothing may wait for it any longer.
impl<I> Drop for VirtualBus<I> {
    fn drop(&mut self) {
        self.log.release_all();
    }
}

/// Polls until `is_so`, for a minute at most.
///
/// # Panics
/// When it is not so by then.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain until {what}");
}

/// Whether a virtual bus can be made on this machine, by making one.
///
/// # Errors
/// The reason why not, in a sentence.
pub fn available() -> Result<(), String> {
    let status = VirtualBus::new(NoChip).and_then(|bus| bus.command("true")?.status());
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("a program in a private mount namespace ended with {status}")),
        Err(error) => Err(format!("a virtual /dev/i2c-1 needs root and /dev/fuse: {error}")),
    }
}

/// Whether a test has to be skipped, with the reason printed.
///
/// # Panics
/// With `CI=true` in the environment, where a skipped test is a failure.
pub fn skip() -> bool {
    available().is_err_and(|reason| tell_skipped(&reason))
}

/// As [`skip`], for a test that runs programs of i2c-tools as well.
///
/// # Panics
/// As [`skip`].
pub fn skip_without_i2c_tools() -> bool {
    let is_missing = Command::new("i2cget").arg("-V").output().is_err();
    (is_missing && tell_skipped("i2c-tools are not installed")) || skip()
}

fn tell_skipped(reason: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing may be skipped with CI=true: {reason}");
    eprintln!("skipped: {reason}");
    true
}

/// A bus without chips.
struct NoChip;

impl ErrorType for NoChip {
    type Error = Infallible;
}

impl I2c for NoChip {
    fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        Ok(())
    }
}
