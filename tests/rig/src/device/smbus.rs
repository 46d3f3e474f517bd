//! `SMBus` calls made out of plain I2C, as the kernel does where an adapter has no `SMBus` of its own
//! (`i2c_smbus_xfer_emulated`). i2cdetect and i2cget use them.

use embedded_hal::i2c::{I2c, Operation};

use super::{Call, POINTER, array_at};

const QUICK: u32 = 0;
const BYTE: u32 = 1;
const BYTE_DATA: u32 = 2;
const WORD_DATA: u32 = 3;
const PROCESS_CALL: u32 = 4;
/// The older number of the block call, which i2c-tools still use: a read takes 32 bytes whatever is asked.
const I2C_BLOCK_BROKEN: u32 = 6;
const I2C_BLOCK_DATA: u32 = 8;
/// `I2C_SMBUS_BLOCK_MAX`.
const BLOCK_BYTES_MAX: usize = 32;

/// `i2c_smbus_ioctl_data`.
struct Request {
    is_read: bool,
    command: u8,
    size: u32,
    data: usize,
}

/// One `SMBus` call as bytes: what is written, then how many are read and where they go.
struct Plan {
    write: Option<Vec<u8>>,
    read_bytes: Option<usize>,
    store_at: usize,
}

impl<I: I2c> Call<'_, I> {
    /// `I2C_SMBUS`.
    pub(super) fn smbus(&mut self, address: u16, argument: usize) -> Result<u32, i32> {
        let request = self.load_request(argument)?;
        let plan = self.plan(&request)?;
        let mut bytes = vec![0; plan.read_bytes.unwrap_or(0)];
        let mut operations = Vec::with_capacity(2);
        operations.extend(plan.write.as_deref().map(Operation::Write));
        operations.extend(plan.read_bytes.map(|_| Operation::Read(&mut bytes)));
        self.transact(address, &mut operations)?;
        self.store(plan.store_at, &bytes)
    }

    fn load_request(&self, argument: usize) -> Result<Request, i32> {
        let bytes = self.load(argument, 8 + POINTER)?;
        let [read_write, command] = array_at(&bytes, 0)?;
        let size = u32::from_ne_bytes(array_at(&bytes, 4)?);
        Ok(Request { is_read: read_write == 1, command, size, data: usize::from_ne_bytes(array_at(&bytes, 8)?) })
    }

    fn plan(&self, request: &Request) -> Result<Plan, i32> {
        match request.size {
            QUICK => Ok(plan_quick(request)),
            BYTE => Ok(plan_byte(request)),
            BYTE_DATA => self.plan_data(request, 1),
            WORD_DATA => self.plan_data(request, 2),
            PROCESS_CALL => self.plan_process_call(request),
            I2C_BLOCK_BROKEN if request.is_read => self.plan_register(request, request.data + 1, BLOCK_BYTES_MAX),
            I2C_BLOCK_DATA | I2C_BLOCK_BROKEN => self.plan_block(request),
            _ => Err(libc::EOPNOTSUPP),
        }
    }

    fn plan_data(&self, request: &Request, length: usize) -> Result<Plan, i32> {
        self.plan_register(request, request.data, length)
    }

    /// The length stands in the first byte of the caller's block.
    fn plan_block(&self, request: &Request) -> Result<Plan, i32> {
        let length = self.load(request.data, 1)?.first().copied().map_or(0, usize::from);
        if !(1..=BLOCK_BYTES_MAX).contains(&length) {
            return Err(libc::EINVAL);
        }
        self.plan_register(request, request.data + 1, length)
    }

    fn plan_register(&self, request: &Request, data: usize, length: usize) -> Result<Plan, i32> {
        if request.is_read {
            return Ok(Plan { write: Some(vec![request.command]), read_bytes: Some(length), store_at: data });
        }
        let mut write = vec![request.command];
        write.extend(self.load(data, length)?);
        Ok(Plan { write: Some(write), read_bytes: None, store_at: data })
    }

    fn plan_process_call(&self, request: &Request) -> Result<Plan, i32> {
        let mut write = vec![request.command];
        write.extend(self.load(request.data, 2)?);
        Ok(Plan { write: Some(write), read_bytes: Some(2), store_at: request.data })
    }
}

/// An address and nothing else: is anybody there?
fn plan_quick(request: &Request) -> Plan {
    let (write, read_bytes) = if request.is_read { (None, Some(0)) } else { (Some(Vec::new()), None) };
    Plan { write, read_bytes, store_at: request.data }
}

/// One byte without a register: the command is what a write sends.
fn plan_byte(request: &Request) -> Plan {
    let (write, read_bytes) = if request.is_read { (None, Some(1)) } else { (Some(vec![request.command]), None) };
    Plan { write, read_bytes, store_at: request.data }
}
