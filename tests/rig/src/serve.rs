//! The thread behind one mount: waits until the child has mounted, then answers until the mount is gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use embedded_hal::i2c::{ErrorType, I2c, Operation as I2cOperation};

use crate::device::Call;
use crate::fuse::{self, Operation, Request};
use crate::log::Log;

/// Answers for one mount.
pub(crate) struct Server<I> {
    bus: Shared<I>,
    log: Arc<Log>,
    /// Address set on each open file.
    addresses: BTreeMap<u64, u16>,
    opened: u64,
}

impl<I: I2c + Send + 'static> Server<I> {
    pub(crate) fn new(bus: Arc<Mutex<I>>, log: Arc<Log>) -> Self {
        let bus = Shared { bus, log: Arc::clone(&log) };
        Self { bus, log, addresses: BTreeMap::new(), opened: 0 }
    }

    /// Serves `fuse` on a thread of its own, once `mounted` says that it is mounted. The thread ends when the mount
    /// goes with the last process of its namespace, or when no child was ever started.
    pub(crate) fn spawn(mut self, fuse: Arc<File>, mut mounted: impl Read + Send + 'static) {
        thread::spawn(move || {
            if mounted.read_exact(&mut [0]).is_ok() {
                self.log.add_serving();
                self.serve(&fuse);
                self.log.remove_serving();
            }
        });
    }

    /// Ends with `ENODEV`, which is what reading gives once the file system is unmounted.
    fn serve(&mut self, mut fuse: &File) {
        let mut buffer = vec![0; fuse::REQUEST_BYTES_MAX];
        loop {
            let length = match fuse.read(&mut buffer) {
                Ok(length) => length,
                // ENOENT: the caller was killed before its request was taken (libfuse does the same).
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR | libc::EAGAIN)) => {
                    continue;
                }
                Err(_) => return,
            };
            let answer = buffer.get(..length).and_then(Request::decode).and_then(|request| self.answer(&request));
            if let Some(answer) = answer {
                // The caller may have been killed meanwhile: then nobody waits for this answer.
                let _ = fuse.write(&answer);
            }
        }
    }

    fn answer(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        if request.operation == Operation::Forget {
            return None;
        }
        Some(fuse::encode_answer(request.unique, self.handle(request)))
    }

    fn handle(&mut self, request: &Request<'_>) -> Result<Vec<u8>, i32> {
        match request.operation {
            Operation::Init => Ok(fuse::init_body()),
            Operation::GetAttributes => Ok(fuse::attributes_body()),
            Operation::Open => self.open(),
            Operation::Read { handle, size } => self.with(request.pid, handle, |call, at| call.read(*at, size)),
            Operation::Write { handle, bytes } => {
                self.with(request.pid, handle, |call, at| call.write(*at, bytes).map(fuse::write_body))
            }
            Operation::Ioctl { handle, command, argument } => {
                self.with(request.pid, handle, |call, at| call.ioctl(at, command, argument).map(fuse::ioctl_body))
            }
            Operation::Release { handle } => {
                self.addresses.remove(&handle);
                Ok(Vec::new())
            }
            Operation::Nothing => Ok(Vec::new()),
            Operation::Forget | Operation::Unknown => Err(libc::ENOSYS),
        }
    }

    fn open(&mut self) -> Result<Vec<u8>, i32> {
        if let Some(errno) = self.log.open_errno() {
            return Err(errno);
        }
        self.opened += 1;
        self.addresses.insert(self.opened, 0);
        Ok(fuse::open_body(self.opened))
    }

    fn with(
        &mut self,
        pid: u32,
        handle: u64,
        act: impl FnOnce(&mut Call<'_, Shared<I>>, &mut u16) -> Result<Vec<u8>, i32>,
    ) -> Result<Vec<u8>, i32> {
        let address = self.addresses.get_mut(&handle).ok_or(libc::EBADF)?;
        act(&mut Call { pid, bus: &mut self.bus, log: &self.log }, address)
    }
}

/// The bus that the test holds too: stopped where the test says so, and locked for one transaction at a time.
struct Shared<I> {
    bus: Arc<Mutex<I>>,
    log: Arc<Log>,
}

impl<I: ErrorType> ErrorType for Shared<I> {
    type Error = I::Error;
}

impl<I: I2c> I2c for Shared<I> {
    fn transaction(&mut self, address: u8, operations: &mut [I2cOperation<'_>]) -> Result<(), Self::Error> {
        // Without the lock, so that the test can heal the bus meanwhile.
        self.log.wait(address);
        self.bus.lock().unwrap_or_else(PoisonError::into_inner).transaction(address, operations)
    }
}
