//! What the tests of this room share: a bus that plays a script, and faults at random.

use std::collections::VecDeque;
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};

use proptest::prelude::*;

use super::bus::BusError;
use super::chip::Chip;
use super::simulated::Fault;

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

/// Any fault of the simulated HAT.
pub(super) fn any_fault() -> impl Strategy<Value = Fault> {
    let chip = prop::sample::select(Chip::ALL.to_vec());
    prop_oneof![
        any::<u8>().prop_map(|address| Fault::NoAcknowledge { address: 0x5c | address & 3 }),
        Just(Fault::Hang { duration: Duration::from_secs(1) }),
        Just(Fault::StuckLow),
        chip.clone().prop_map(|chip| Fault::StuckOutput { chip }),
        chip.clone().prop_map(|chip| Fault::OutOfRange { chip }),
        chip.prop_map(|chip| Fault::Reset { chip }),
        Just(Fault::ZeroCalibration),
        Just(Fault::FlatCalibration),
        Just(Fault::DamagedElement),
        any::<u8>().prop_map(|value| Fault::WrongIdentity { address: 0x5f, value }),
        Just(Fault::Unplugged),
    ]
}
