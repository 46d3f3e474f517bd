//! A descriptor that bears the kernel's records, read as they come.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

use super::record::{Flow, Meaning, RECORD_BYTES, Record};
use super::{Device, DeviceEvent, StickError};
use crate::base::clock::{self, Monotonic};
use crate::base::sys;
use crate::stick::Direction;

/// Records taken at once; the kernel keeps as many for a device as small as this one.
const RECORDS_MAX: usize = 64;

/// What can be asked of a device beside its records.
pub trait Control: fmt::Debug + Send {
    /// The stick's keys that are down.
    ///
    /// # Errors
    /// When the device is gone.
    fn pressed(&self) -> io::Result<Vec<Direction>>;
}

/// Which clock the times of records are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// The one of [`Monotonic`].
    SinceBoot,
    /// Another one: the time counts at which they are read.
    Other,
}

/// An input device, or anything else that bears its records.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    descriptor: AsyncFd<OwnedFd>,
    control: Box<dyn Control>,
    stamps: Stamps,
    flow: Flow,
    /// Read and not handed out: what one call gave, [`RECORDS_MAX`] at most.
    waiting: VecDeque<Record>,
}

impl Input {
    /// Reads from `descriptor`, which `path` names in errors. Called on a runtime of tokio's.
    ///
    /// # Errors
    /// When one cannot wait for it: a plain file is always ready, and no device.
    pub fn new(
        path: PathBuf,
        descriptor: OwnedFd,
        control: Box<dyn Control>,
        stamps: Stamps,
    ) -> Result<Self, StickError> {
        let watch = rustix::io::ioctl_fionbio(&descriptor, true).map_err(io::Error::from);
        let descriptor = watch.and_then(|()| sys::watch(descriptor)).map_err(|error| StickError::new(&path, error))?;
        Ok(Self { path, descriptor, control, stamps, flow: Flow::default(), waiting: VecDeque::new() })
    }

    /// The device's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn handle_record(&mut self, record: &Record) -> Result<Option<DeviceEvent>, StickError> {
        let time = match self.stamps {
            Stamps::SinceBoot => Monotonic::from_boot(record.time),
            Stamps::Other => clock::monotonic(),
        };
        match self.flow.handle(record) {
            Meaning::Key(direction, state) => Ok(Some(DeviceEvent::Key { direction, state, time })),
            Meaning::Resumed => {
                // the answer is later than all that waits: here, and in the kernel, which takes keys out of its queue
                self.waiting.clear();
                let pressed = self.control.pressed().map_err(|error| StickError::new(&self.path, error))?;
                Ok(Some(DeviceEvent::State { pressed, time }))
            }
            Meaning::Nothing => Ok(None),
        }
    }

    /// Waits for records and takes them.
    fn poll_records(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; RECORDS_MAX * RECORD_BYTES];
        loop {
            let mut ready = ready!(self.descriptor.poll_read_ready(context))?;
            match ready.try_io(|descriptor| Ok(rustix::io::read(descriptor, &mut bytes)?)) {
                // not a device's way to end, but that of whatever stands in for one
                Ok(Ok(0)) => return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ENODEV))),
                Ok(Ok(count)) => {
                    self.waiting.extend(Record::decode_all(bytes.get(..count).unwrap_or_default()));
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl Device for Input {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<DeviceEvent, StickError>> {
        loop {
            while let Some(record) = self.waiting.pop_front() {
                if let Some(event) = self.handle_record(&record)? {
                    return Poll::Ready(Ok(event));
                }
            }
            ready!(self.poll_records(context)).map_err(|error| StickError::new(&self.path, error))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::future::poll_fn;
    use std::io::Write;
    use std::time::Duration;

    use super::super::KeyState;
    use super::*;

    #[derive(Debug)]
    struct Fake(Vec<Direction>);

    impl Control for Fake {
        fn pressed(&self) -> io::Result<Vec<Direction>> {
            Ok(self.0.clone())
        }
    }

    /// A stick that is a pipe, and the end that the kernel would write to.
    fn stick(pressed: &[Direction]) -> (Input, File) {
        let (reader, writer) = io::pipe().unwrap();
        let control = Box::new(Fake(pressed.to_vec()));
        let input = Input::new("/dev/input/event0".into(), reader.into(), control, Stamps::SinceBoot).unwrap();
        (input, File::from(OwnedFd::from(writer)))
    }

    /// The bytes of a record, by the C library's definition of it.
    fn record(ms: u64, kind: u16, code: u16, value: i32) -> Vec<u8> {
        let time = [ms / 1000, ms % 1000 * 1000];
        let mut bytes: Vec<u8> =
            time.iter().flat_map(|part| std::ffi::c_ulong::try_from(*part).unwrap().to_ne_bytes().to_vec()).collect();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(ms))
    }

    async fn next(input: &mut Input) -> Result<DeviceEvent, StickError> {
        poll_fn(|context| input.poll_event(context)).await
    }

    #[tokio::test]
    async fn records_come_out_as_events_with_the_kernels_time() {
        let (mut input, mut kernel) = stick(&[]);
        kernel.write_all(&[record(1500, 1, 105, 1), record(1500, 0, 0, 0), record(1620, 1, 105, 0)].concat()).unwrap();
        for (ms, state) in [(1500, KeyState::Pressed), (1620, KeyState::Released)] {
            let expected = DeviceEvent::Key { direction: Direction::Left, state, time: at(ms) };
            assert_eq!(next(&mut input).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn after_a_drop_the_device_is_asked_what_is_down() {
        let (mut input, mut kernel) = stick(&[Direction::Down]);
        let records = [record(1, 0, 3, 0), record(1, 1, 103, 0), record(2, 0, 0, 0), record(3, 1, 108, 1)];
        kernel.write_all(&records.concat()).unwrap();
        let expected = DeviceEvent::State { pressed: vec![Direction::Down], time: at(2) };
        assert_eq!(next(&mut input).await.unwrap(), expected);
        kernel.write_all(&record(4, 1, 108, 0)).unwrap();
        assert_eq!(next(&mut input).await.unwrap().time(), at(4), "what the answer contains is not told again");
    }

    #[tokio::test]
    async fn more_records_than_are_taken_at_once_come_all_and_in_order() {
        let (mut input, mut kernel) = stick(&[]);
        let many: Vec<u8> = (0..200).flat_map(|ms| record(ms, 1, 28, i32::from(ms % 2 == 0))).collect();
        kernel.write_all(&many).unwrap();
        for ms in 0..200 {
            assert_eq!(next(&mut input).await.unwrap().time(), at(ms));
        }
    }

    #[tokio::test]
    async fn a_descriptor_that_ends_is_a_stick_that_is_gone() {
        let (mut input, kernel) = stick(&[]);
        drop(kernel);
        assert!(matches!(next(&mut input).await, Err(StickError::Lost { .. })));
    }

    #[tokio::test]
    async fn a_plain_file_is_no_stick() {
        let file = tempfile::tempfile().unwrap();
        let made = Input::new("/x".into(), file.into(), Box::new(Fake(Vec::new())), Stamps::SinceBoot);
        assert!(matches!(made, Err(StickError::Permission { .. } | StickError::Io { .. })), "{made:?}");
    }
}
