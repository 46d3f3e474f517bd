//! What i2c-dev does with an open file: its ioctls, reads and writes, onto one `embedded_hal::i2c::I2c`.
//!
//! Follows `Documentation/i2c/dev-interface.rst` and `linux/i2c.h`. The caller's structures have the layout of this
//! machine: a 32-bit program on a 64-bit kernel is not served.

mod smbus;

use embedded_hal::i2c::{self, Error as _, I2c, Operation};

use crate::log::{Log, Transaction};
use crate::sys;

const SLAVE: u32 = 0x0703;
const SLAVE_FORCE: u32 = 0x0706;
const FUNCTIONS: u32 = 0x0705;
const READ_WRITE: u32 = 0x0707;
const SMBUS: u32 = 0x0720;
/// Retries, timeout, ten-bit addresses and packet error checking: taken, without effect.
const ACCEPTED: [u32; 4] = [0x0701, 0x0702, 0x0704, 0x0708];
/// Plain I2C, and the `SMBus` calls that [`smbus`] makes out of it.
const CAPABILITIES: u64 = 0x0000_0001 | 0x0EFF_0000;
/// `I2C_RDWR_IOCTL_MAX_MSGS`.
const MESSAGES_MAX: usize = 42;
/// The longest message that i2c-dev takes.
const MESSAGE_BYTES_MAX: usize = 8192;
const POINTER: usize = size_of::<usize>();

/// One call on the open file: who made it, which address it set before, and what there is to answer with.
pub(crate) struct Call<'a, I> {
    pub(crate) pid: u32,
    pub(crate) bus: &'a mut I,
    pub(crate) log: &'a Log,
}

/// One message of an `I2C_RDWR`.
struct Message {
    address: u16,
    is_read: bool,
    pointer: usize,
    bytes: Vec<u8>,
}

impl<I: I2c> Call<'_, I> {
    /// Answers an ioctl: what it returns, or an error number.
    pub(crate) fn ioctl(&mut self, address: &mut u16, command: u32, argument: usize) -> Result<u32, i32> {
        match command {
            SLAVE | SLAVE_FORCE => self.set_address(address, argument, command == SLAVE_FORCE),
            FUNCTIONS => self.store(argument, &usize::try_from(CAPABILITIES).unwrap_or(usize::MAX).to_ne_bytes()),
            READ_WRITE => self.transfer(argument),
            SMBUS => self.smbus(*address, argument),
            _ if ACCEPTED.contains(&command) => Ok(0),
            _ => Err(libc::ENOTTY),
        }
    }

    /// read(2): one read transaction at the address that was set.
    pub(crate) fn read(&mut self, address: u16, size: usize) -> Result<Vec<u8>, i32> {
        let mut bytes = vec![0; size.min(MESSAGE_BYTES_MAX)];
        self.transact(address, &mut [Operation::Read(&mut bytes)])?;
        Ok(bytes)
    }

    /// write(2): one write transaction at the address that was set.
    pub(crate) fn write(&mut self, address: u16, bytes: &[u8]) -> Result<usize, i32> {
        self.transact(address, &mut [Operation::Write(bytes)])?;
        Ok(bytes.len())
    }

    fn set_address(&self, address: &mut u16, argument: usize, by_force: bool) -> Result<u32, i32> {
        let wanted = u16::try_from(argument).ok().filter(|wanted| *wanted <= 0x7F).ok_or(libc::EINVAL)?;
        if !by_force && self.log.is_bound(wanted) {
            return Err(libc::EBUSY);
        }
        *address = wanted;
        Ok(0)
    }

    /// `I2C_RDWR`: the messages are one transaction, joined by repeated starts. Returns their number.
    fn transfer(&mut self, argument: usize) -> Result<u32, i32> {
        let mut messages = self.load_messages(argument)?;
        let mut operations = Vec::with_capacity(messages.len());
        let address = messages.first().ok_or(libc::EINVAL)?.address;
        for message in &mut messages {
            // The HAT's chips are never addressed together in one transaction; a bus trait has no word for it either.
            if message.address != address {
                return Err(libc::EOPNOTSUPP);
            }
            operations.push(if message.is_read {
                Operation::Read(&mut message.bytes)
            } else {
                Operation::Write(&message.bytes)
            });
        }
        self.transact(address, &mut operations)?;
        self.store_messages(&messages)
    }

    /// The array behind `i2c_rdwr_ioctl_data`.
    fn load_messages(&self, argument: usize) -> Result<Vec<Message>, i32> {
        let head = self.load(argument, POINTER + 4)?;
        let count = u32::from_ne_bytes(array_at(&head, POINTER)?) as usize;
        if count > MESSAGES_MAX {
            return Err(libc::EINVAL);
        }
        let first = usize::from_ne_bytes(array_at(&head, 0)?);
        (0..count).map(|index| self.load_message(first + index * (8 + POINTER))).collect()
    }

    /// `i2c_msg`: address, flags (1 = read), length, pointer to the bytes.
    fn load_message(&self, at: usize) -> Result<Message, i32> {
        let head = self.load(at, 8 + POINTER)?;
        let [address, flags, length] = [0, 2, 4].map(|offset| array_at(&head, offset).map(u16::from_ne_bytes));
        let (is_read, length) = (flags? & 1 == 1, usize::from(length?));
        if length > MESSAGE_BYTES_MAX {
            return Err(libc::EINVAL);
        }
        let pointer = usize::from_ne_bytes(array_at(&head, 8)?);
        let bytes = if is_read { vec![0; length] } else { self.load(pointer, length)? };
        Ok(Message { address: address?, is_read, pointer, bytes })
    }

    fn store_messages(&self, messages: &[Message]) -> Result<u32, i32> {
        for message in messages.iter().filter(|message| message.is_read) {
            self.store(message.pointer, &message.bytes)?;
        }
        u32::try_from(messages.len()).map_err(|_| libc::EINVAL)
    }

    fn transact(&mut self, address: u16, operations: &mut [Operation<'_>]) -> Result<(), i32> {
        let address = u8::try_from(address).map_err(|_| libc::EINVAL)?;
        let (written, read_bytes) = summarise(operations);
        let result = self.bus.transaction(address, operations).map_err(|error| errno(error.kind()));
        self.log.push(Transaction { address, written, read_bytes, errno: result.err() });
        result
    }

    fn load(&self, at: usize, length: usize) -> Result<Vec<u8>, i32> {
        let mut bytes = vec![0; length];
        if length > 0 {
            sys::read_memory(self.pid, at, &mut bytes).map_err(|_| libc::EFAULT)?;
        }
        Ok(bytes)
    }

    fn store(&self, at: usize, bytes: &[u8]) -> Result<u32, i32> {
        if !bytes.is_empty() {
            sys::write_memory(self.pid, at, bytes).map_err(|_| libc::EFAULT)?;
        }
        Ok(0)
    }
}

/// The bytes that are written and the number that is read.
fn summarise(operations: &[Operation<'_>]) -> (Vec<u8>, usize) {
    let mut summary = (Vec::new(), 0);
    for operation in operations {
        match operation {
            Operation::Write(bytes) => summary.0.extend_from_slice(bytes),
            Operation::Read(bytes) => summary.1 += bytes.len(),
        }
    }
    summary
}

/// The error number that i2c-bcm2835 gives for a failure: 121 for a chip that does not answer.
fn errno(kind: i2c::ErrorKind) -> i32 {
    match kind {
        i2c::ErrorKind::NoAcknowledge(_) => libc::EREMOTEIO,
        i2c::ErrorKind::ArbitrationLoss => libc::EAGAIN,
        i2c::ErrorKind::Bus | i2c::ErrorKind::Overrun => libc::EIO,
        _ => libc::ETIMEDOUT,
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], i32> {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).copied().ok_or(libc::EFAULT)
}
