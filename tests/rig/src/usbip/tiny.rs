//! What the device does: control requests onto one `embedded_hal::i2c::I2c`.
//!
//! The driver sends a message of a transaction as a request of its own and asks for the status after each. Each is a
//! transaction here: the chips of the HAT keep their register pointer from one to the next.

use std::sync::{Arc, Mutex, PoisonError};

use embedded_hal::i2c::{I2c, Operation};

use super::descriptors::descriptor;

/// `bmRequestType` of USB 2.0 §9.4, and of the driver's own requests.
const STANDARD_IN: u8 = 0x80;
const STANDARD_OUT: u8 = 0x00;
const STANDARD_OUT_INTERFACE: u8 = 0x01;
const DRIVER_IN: u8 = 0xc1;
const DRIVER_OUT: u8 = 0x41;

const GET_STATUS: u8 = 0;
const GET_DESCRIPTOR: u8 = 6;
const SET_CONFIGURATION: u8 = 9;
const SET_INTERFACE: u8 = 11;

const ECHO: u8 = 0;
const GET_FUNCTIONS: u8 = 1;
const SET_DELAY: u8 = 2;
const GET_LAST: u8 = 3;
/// A message; bits 0 and 1 say whether a transaction begins and ends with it.
const MESSAGE: u8 = 4;
const MESSAGE_ENDING: u8 = 7;

/// Plain I²C, and `SMBus` made out of it by the kernel: what the firmware of the real one says.
const FUNCTIONS: u32 = 0x8eff_0001;

/// How the last message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Idle = 0,
    Acknowledged = 1,
    NotAcknowledged = 2,
}

/// The device's state.
#[derive(Debug)]
pub(super) struct Tiny<I> {
    bus: Arc<Mutex<I>>,
    last: Last,
}

/// A setup packet (USB 2.0 §9.3).
struct Setup {
    kind: u8,
    request: u8,
    value: u16,
    index: u16,
    length: u16,
}

impl<I: I2c> Tiny<I> {
    pub(super) fn new(bus: Arc<Mutex<I>>) -> Self {
        Self { bus, last: Last::Idle }
    }

    /// Does one control transfer: what goes to the host, nothing for a transfer outwards, or `None` for a request
    /// that it does not know.
    pub(super) fn control(&mut self, setup: [u8; 8], sent: &[u8]) -> Option<Vec<u8>> {
        let setup = Setup::decode(setup);
        match (setup.kind, setup.request) {
            (STANDARD_IN, GET_DESCRIPTOR) => descriptor(setup.value),
            (STANDARD_IN, GET_STATUS) => Some(vec![0, 0]),
            (STANDARD_OUT, SET_CONFIGURATION) | (STANDARD_OUT_INTERFACE, SET_INTERFACE) | (DRIVER_OUT, SET_DELAY) => {
                Some(Vec::new())
            }
            (DRIVER_IN, ECHO) => Some(setup.value.to_le_bytes().to_vec()),
            (DRIVER_IN, GET_FUNCTIONS) => Some(FUNCTIONS.to_le_bytes().to_vec()),
            (DRIVER_IN, GET_LAST) => Some(vec![self.last as u8]),
            (DRIVER_IN, MESSAGE..=MESSAGE_ENDING) => Some(self.read(&setup)),
            (DRIVER_OUT, MESSAGE..=MESSAGE_ENDING) => {
                self.transact(&setup, Operation::Write(sent));
                Some(Vec::new())
            }
            _ => None,
        }
    }

    /// The bytes are sent whether a chip answered or not: the driver asks for the status afterwards.
    fn read(&mut self, setup: &Setup) -> Vec<u8> {
        let mut bytes = vec![0; setup.length.into()];
        self.transact(setup, Operation::Read(&mut bytes));
        bytes
    }

    fn transact(&mut self, setup: &Setup, operation: Operation<'_>) {
        let mut bus = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
        let result = u8::try_from(setup.index).ok().map(|address| bus.transaction(address, &mut [operation]));
        self.last = if matches!(result, Some(Ok(()))) { Last::Acknowledged } else { Last::NotAcknowledged };
    }
}

impl Setup {
    fn decode(bytes: [u8; 8]) -> Self {
        let [kind, request, value_l, value_h, index_l, index_h, length_l, length_h] = bytes;
        let [value, index, length] =
            [[value_l, value_h], [index_l, index_h], [length_l, length_h]].map(u16::from_le_bytes);
        Self { kind, request, value, index, length }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind, ErrorType, NoAcknowledgeSource};

    use super::*;

    /// A chip at 0x5c that reads as the last byte written to it, and counts up.
    #[derive(Default)]
    struct Chip(u8);

    impl ErrorType for Chip {
        type Error = ErrorKind;
    }

    impl I2c for Chip {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            if address != 0x5c {
                return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
            }
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.0 = bytes.last().copied().unwrap_or(0),
                    Operation::Read(bytes) => bytes.iter_mut().for_each(|byte| {
                        *byte = self.0;
                        self.0 += 1;
                    }),
                }
            }
            Ok(())
        }
    }

    fn device() -> Tiny<Chip> {
        Tiny::new(Arc::default())
    }

    #[test]
    fn a_write_and_a_read_are_two_messages_to_one_chip() {
        let mut device = device();
        assert_eq!(device.control([0x41, 5, 0, 0, 0x5c, 0, 1, 0], &[0x28]), Some(vec![]));
        assert_eq!(device.control([0xc1, 3, 0, 0, 0, 0, 1, 0], &[]), Some(vec![1]));
        assert_eq!(device.control([0xc1, 6, 1, 0, 0x5c, 0, 3, 0], &[]), Some(vec![0x28, 0x29, 0x2a]));
    }

    #[test]
    fn a_chip_that_is_not_there_is_told_by_the_status_and_the_bytes_come_all_the_same() {
        let mut device = device();
        assert_eq!(device.control([0xc1, 3, 0, 0, 0, 0, 1, 0], &[]), Some(vec![0]));
        assert_eq!(device.control([0xc1, 7, 1, 0, 0x5f, 0, 2, 0], &[]), Some(vec![0, 0]));
        assert_eq!(device.control([0xc1, 3, 0, 0, 0, 0, 1, 0], &[]), Some(vec![2]));
    }

    #[test]
    fn the_kernel_learns_what_it_is_and_what_it_can() {
        let mut device = device();
        assert_eq!(device.control([0x80, 6, 0, 1, 0, 0, 18, 0], &[]).unwrap()[8..12], [0x03, 0x04, 0x31, 0xc6]);
        assert_eq!(device.control([0xc1, 1, 0, 0, 0, 0, 4, 0], &[]), Some(vec![0x01, 0x00, 0xff, 0x8e]));
        assert_eq!(device.control([0x41, 2, 10, 0, 0, 0, 0, 0], &[]), Some(vec![]));
        assert_eq!(device.control([0x80, 6, 0, 3, 0, 0, 255, 0], &[]), None);
    }
}
