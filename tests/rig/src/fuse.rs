//! The FUSE wire, as far as one file needs it: `linux/fuse.h`, protocol 7.31. Pure: bytes in, bytes out.
//!
//! The `fuser` crate does not hand over the argument of an ioctl, which is where i2c-dev's requests are.

/// Largest request: header, body and one write of [`WRITE_BYTES_MAX`].
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The longest write the kernel may send in one request; i2c-dev takes 8192 at most.
const WRITE_BYTES_MAX: u32 = 8192;
/// Direct I/O, not seekable, a stream: no page cache, no file position.
const OPEN_FLAGS: u32 = 0x01 | 0x04 | 0x10;
/// A regular file, readable and writable for owner and group, as udev makes `/dev/i2c-*`.
const MODE: u32 = 0o100_660;

/// What the kernel asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Init,
    GetAttributes,
    Open,
    Read {
        handle: u64,
        size: usize,
    },
    Write {
        handle: u64,
        bytes: &'a [u8],
    },
    Ioctl {
        handle: u64,
        command: u32,
        argument: usize,
    },
    Release {
        handle: u64,
    },
    /// FLUSH and FSYNC: done by doing nothing.
    Nothing,
    /// FORGET and `BATCH_FORGET`: never answered.
    Forget,
    Unknown,
}

/// One request with the thread that made it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) unique: u64,
    pub(crate) pid: u32,
    pub(crate) operation: Operation<'a>,
}

impl<'a> Request<'a> {
    /// Takes a request apart; `None` when it is cut short.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let opcode = u32_at(bytes, 4)?;
        let body = bytes.get(40..)?;
        let operation = decode_operation(opcode, body)?;
        Some(Self { unique: u64_at(bytes, 8)?, pid: u32_at(bytes, 32)?, operation })
    }
}

fn decode_operation(opcode: u32, body: &[u8]) -> Option<Operation<'_>> {
    Some(match opcode {
        26 => Operation::Init,
        3 | 4 => Operation::GetAttributes,
        14 => Operation::Open,
        15 => Operation::Read { handle: u64_at(body, 0)?, size: size_at(body, 16)? },
        16 => Operation::Write { handle: u64_at(body, 0)?, bytes: body.get(40..40 + size_at(body, 16)?)? },
        39 => decode_ioctl(body)?,
        18 => Operation::Release { handle: u64_at(body, 0)? },
        20 | 25 => Operation::Nothing,
        2 | 42 => Operation::Forget,
        _ => Operation::Unknown,
    })
}

/// `fuse_ioctl_in`. I2C ioctls carry no size, so the kernel copies nothing and `arg` is the caller's own.
fn decode_ioctl(body: &[u8]) -> Option<Operation<'_>> {
    let argument = usize::try_from(u64_at(body, 16)?).ok()?;
    Some(Operation::Ioctl { handle: u64_at(body, 0)?, command: u32_at(body, 12)?, argument })
}

/// An answer to `unique`: the body, or an error number (positive).
pub(crate) fn encode_answer(unique: u64, result: Result<Vec<u8>, i32>) -> Vec<u8> {
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(errno) => (-errno, Vec::new()),
    };
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut answer = Vec::with_capacity(16 + body.len());
    answer.extend(length.to_ne_bytes());
    answer.extend(error.to_ne_bytes());
    answer.extend(unique.to_ne_bytes());
    answer.extend(body);
    answer
}

/// `fuse_init_out`, 64 bytes: protocol 7.31, no flags.
pub(crate) fn init_body() -> Vec<u8> {
    let mut body = words(&[7, 31, 0, 0, 0, WRITE_BYTES_MAX, 1]);
    body.resize(64, 0);
    body
}

/// `fuse_attr_out`, 104 bytes: a file of root's that changes whenever one looks.
pub(crate) fn attributes_body() -> Vec<u8> {
    let mut body = vec![0; 16];
    body.extend(1_u64.to_ne_bytes());
    body.resize(16 + 60, 0);
    body.extend(words(&[MODE, 1, 0, 0, 0, 4096, 0]));
    body
}

/// `fuse_open_out`.
pub(crate) fn open_body(handle: u64) -> Vec<u8> {
    let mut body = handle.to_ne_bytes().to_vec();
    body.extend(words(&[OPEN_FLAGS, 0]));
    body
}

/// `fuse_write_out`.
pub(crate) fn write_body(size: usize) -> Vec<u8> {
    words(&[u32::try_from(size).unwrap_or(u32::MAX), 0])
}

/// `fuse_ioctl_out`: what the ioctl returns, and no data.
pub(crate) fn ioctl_body(result: u32) -> Vec<u8> {
    words(&[result, 0, 0, 0])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_ne_bytes)
}

fn size_at(bytes: &[u8], offset: usize) -> Option<usize> {
    u32_at(bytes, offset).and_then(|size| usize::try_from(size).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = words(&[0, opcode]);
        bytes.extend(77_u64.to_ne_bytes());
        bytes.extend([0; 16]);
        bytes.extend(words(&[4321, 0]));
        bytes.extend(body);
        bytes
    }

    #[test]
    fn bodies_have_the_sizes_of_linux_fuse_h() {
        let sizes = [init_body(), attributes_body(), open_body(1), write_body(1), ioctl_body(0)].map(|body| body.len());
        assert_eq!(sizes, [64, 104, 16, 8, 16]);
    }

    #[test]
    fn mode_stands_where_the_kernel_looks_for_it() {
        assert_eq!(u32_at(&attributes_body(), 16 + 60), Some(MODE));
    }

    #[test]
    fn write_is_taken_apart_with_its_caller() {
        let mut body = 5_u64.to_ne_bytes().to_vec();
        body.extend([0; 8]);
        body.extend(words(&[3, 0]));
        body.extend([0; 16]);
        body.extend([0x20, 0x85, 0xFF]);
        let bytes = request(16, &body);
        let operation = Operation::Write { handle: 5, bytes: &[0x20, 0x85, 0xFF] };
        assert_eq!(Request::decode(&bytes), Some(Request { unique: 77, pid: 4321, operation }));
    }

    #[test]
    fn short_requests_are_refused() {
        assert_eq!(Request::decode(&request(15, &[0; 8])), None);
        assert_eq!(Request::decode(&[0; 12]), None);
    }
}
