//! A bus that plays a script, for the drivers' tests.

use std::collections::VecDeque;

use embedded_hal::i2c::{ErrorType, I2c, Operation};

use super::bus::BusError;

/// One transaction that must come next, and its answer.
#[derive(Debug)]
pub(super) struct Expected {
    address: u8,
    written: Vec<u8>,
    answer: Vec<u8>,
    error: Option<BusError>,
}

impl Expected {
    pub(super) fn read(address: u8, register: u8, answer: &[u8]) -> Self {
        Self { address, written: vec![register], answer: answer.to_vec(), error: None }
    }

    pub(super) fn write(address: u8, written: &[u8]) -> Self {
        Self { address, written: written.to_vec(), answer: vec![], error: None }
    }

    pub(super) fn failing(mut self, error: BusError) -> Self {
        self.error = Some(error);
        self
    }
}

/// Answers from the script and panics at anything else.
#[derive(Debug)]
pub(super) struct ScriptedBus(VecDeque<Expected>);

impl ScriptedBus {
    pub(super) fn new(script: impl IntoIterator<Item = Expected>) -> Self {
        Self(script.into_iter().collect())
    }

    pub(super) fn check_done(&self) {
        assert!(self.0.is_empty(), "transactions that did not come: {:?}", self.0);
    }
}

impl ErrorType for ScriptedBus {
    type Error = BusError;
}

impl I2c for ScriptedBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        let expected = self.0.pop_front().expect("no further transaction is expected");
        assert_eq!(address, expected.address);
        match operations {
            [Operation::Write(written)] => {
                assert_eq!(*written, expected.written);
                assert!(expected.answer.is_empty(), "a read was expected");
            }
            [Operation::Write(written), Operation::Read(read)] => {
                assert_eq!(*written, expected.written);
                read.copy_from_slice(&expected.answer);
            }
            other => panic!("neither a write nor a write and a read: {other:?}"),
        }
        expected.error.map_or(Ok(()), Err)
    }
}
