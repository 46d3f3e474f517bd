//! The program itself on a virtual `/dev/i2c-1`: what a subscriber sees when chips vanish, hang and come back.
//!
//! Needs root and `/dev/fuse`; elsewhere each test is skipped with the reason printed, and fails with `CI=true`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it is wrong")]

mod gateway;

use std::process::Output;
use std::time::Duration;

use embedded_hal::i2c::I2c;
use gateway::{HUMIDITY_CHIP, Machine, PRESSURE_CHIP};
use sensegate::sensors::Chip;
use sensegate::sensors::dump::Dump;
use sensegate::sensors::simulated::Fault;
use sensegate_rig::{Transaction, skip, skip_without_i2c_tools};
use serde_json::{Value, json};

/// Samples over which transactions are counted.
const SAMPLES: u64 = 30;

fn is_well(state: &Value) -> bool {
    state["health"] == "ok"
}

fn reason<'a>(state: &'a Value, quantity: &str) -> Option<&'a str> {
    state[quantity]["reason"].as_str()
}

fn is_valid(state: &Value, quantity: &str) -> bool {
    state[quantity]["valid"] == true
}

fn sequence(state: &Value) -> u64 {
    state["sequence"].as_u64().unwrap_or(0)
}

#[test]
fn readings_reach_a_subscriber_in_two_transactions_a_sample() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let gateway = machine.start();
    let first = gateway.wait_for_state("all quantities are valid", is_well);
    let before = machine.bus.transaction_count();
    assert_eq!(first["source"], "i2c");
    let last = gateway.wait_for_state("more samples came", |state| sequence(state) >= sequence(&first) + SAMPLES);
    let counted = machine.bus.transaction_count() - before;

    let expected = 2 * (sequence(&last) - sequence(&first));
    assert!(counted.abs_diff(expected) <= 4, "{counted} transactions, {expected} expected but for those under way");
    check_bursts(&machine.bus.transactions()[usize::try_from(before).unwrap() + 2..]);
    assert!(gateway.number("myRasp/sensors/temperature").is_some_and(|value| (-40.0..120.0).contains(&value)));
    assert!(gateway.number("myRasp/sensors/pression").is_some_and(|value| (800.0..1200.0).contains(&value)));
    assert!(gateway.number("myRasp/sensors/humidity").is_some_and(|value| (0.0..=100.0).contains(&value)));
    assert_eq!(gateway.terminate(), Some(0));
}

/// One burst each from STATUS on, with the auto-increment bit, in turn: five bytes of one chip, six of the other.
fn check_bursts(transactions: &[Transaction]) {
    for transaction in transactions {
        let read_bytes = if transaction.address == HUMIDITY_CHIP { 5 } else { 6 };
        let expected = Transaction { written: vec![0x27 | 0x80], read_bytes, errno: None, ..transaction.clone() };
        assert_eq!(transaction, &expected);
    }
    assert!(transactions.windows(2).all(|pair| pair[0].address != pair[1].address), "{transactions:?}");
}

#[test]
fn chip_that_does_not_answer_is_absent_alone_and_comes_back() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let gateway = machine.start();
    gateway.wait_for_state("all quantities are valid", is_well);
    machine.bus.lock().inject(Fault::NoAcknowledge { address: PRESSURE_CHIP });
    let state = gateway.wait_for_state("the pressure is absent", |state| reason(state, "pressure") == Some("no_chip"));
    assert!(is_valid(&state, "temperature") && is_valid(&state, "humidity"), "{state}");
    machine.bus.lock().heal();
    gateway.wait_for_state("the pressure is back", is_well);
}

#[test]
fn hat_that_is_unplugged_is_absent_and_comes_back_when_replugged() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let gateway = machine.start();
    gateway.wait_for_state("all quantities are valid", is_well);
    machine.bus.lock().inject(Fault::Unplugged);
    gateway.wait_for_state("nobody answers", |state| {
        ["temperature", "pressure", "humidity"].iter().all(|quantity| reason(state, quantity) == Some("no_chip"))
    });
    gateway.check_that_it_serves("without a HAT");
    machine.bus.lock().replug();
    gateway.wait_for_state("all quantities are back", is_well);
}

#[test]
fn gateway_serves_while_the_bus_hangs_and_goes_on_afterwards() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let gateway = machine.start();
    gateway.wait_for_state("all quantities are valid", is_well);
    machine.bus.hold(HUMIDITY_CHIP);
    sensegate_rig::wait_until("the gateway hangs in a transaction", || machine.bus.waiting() == 1);
    let stuck = sequence(&gateway.state());
    gateway.check_that_it_serves("while the bus hangs");
    let hung =
        |state: &Value| reason(state, "pressure") == Some("timeout") && reason(state, "humidity") == Some("timeout");
    gateway.wait_for_state("values that nobody renews are taken back", hung);
    assert_eq!(machine.bus.waiting(), 1, "the bus hung all the time");
    machine.bus.lock().inject(Fault::Hang { duration: Duration::from_secs(1) });
    machine.bus.release(HUMIDITY_CHIP);
    gateway.wait_for_state("the hang is told", |state| reason(state, "temperature") == Some("timeout"));
    machine.bus.lock().heal();
    gateway.wait_for_state("samples go on", |state| is_well(state) && sequence(state) > stuck + 1);
}

#[test]
fn chip_with_a_kernel_driver_is_busy_until_the_driver_goes() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    machine.bus.bind_driver(PRESSURE_CHIP, "st-press-i2c").unwrap();
    let gateway = machine.start();
    let state = gateway.wait_for_state("the temperature is valid", |state| is_valid(state, "temperature"));
    assert_eq!(reason(&state, "pressure"), Some("busy"), "{state}");
    assert!(state["pressure"]["text"].as_str().unwrap().contains("st-press-i2c"), "{state}");
    machine.bus.unbind_driver(PRESSURE_CHIP).unwrap();
    gateway.wait_for_state("the pressure is there", is_well);
}

#[test]
fn read_prints_one_sample_and_fails_where_there_is_none() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let output = machine.run(&["read"]);
    assert_eq!(output.status.code(), Some(0));
    let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sample["source"], "i2c");
    for quantity in ["temperature", "pressure", "humidity"] {
        assert!(sample["readings"][quantity]["value"].is_f64(), "{sample}");
    }
    machine.bus.refuse_open(Some(13));
    let output = machine.run(&["read"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("permission"), "{output:?}");
}

#[test]
fn dump_of_the_bus_reads_as_the_bus_does() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let values = |output: &Output| {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
        ["temperature", "pressure", "humidity"].map(|quantity| sample["readings"][quantity]["value"].as_f64().unwrap())
    };
    let on_the_bus = values(&machine.run(&["read"]));
    let dump = machine.run(&["dump"]);
    assert_eq!((dump.status.code(), dump.stderr.len()), (Some(0), 0), "{dump:?}");
    let from_the_dump = values(&machine.run_with_file(&["read", "--simulate"], &dump.stdout));
    // What a room and the chips' noise may move by within the moments between the two.
    for ((bus, dumped), noise) in on_the_bus.into_iter().zip(from_the_dump).zip([0.3, 0.5, 2.0]) {
        assert!((bus - dumped).abs() <= noise, "{on_the_bus:?} on the bus, {from_the_dump:?} from its dump");
    }
    check_calibration(&machine, &dump);
}

/// The calibration of the dump is what another program reads on the bus.
fn check_calibration(machine: &Machine, dump: &Output) {
    let dump: Dump = String::from_utf8(dump.stdout.clone()).unwrap().parse().unwrap();
    let dumped = dump.registers(Chip::Hts221).unwrap();
    let mut bytes = [0; 16];
    // CALIB_0 to CALIB_F, with the auto-increment bit
    machine.bus.lock().write_read(HUMIDITY_CHIP, &[0x30 | 0x80], &mut bytes).unwrap();
    assert_eq!(dumped.range(0x30..=0x3f).map(|(_, byte)| *byte).collect::<Vec<_>>(), bytes);
    assert!(bytes.iter().any(|byte| *byte != 0));
}

#[test]
fn one_sample_is_printed_published_and_the_gateway_ends() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let output = machine.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sample["source"], "i2c");
    assert!(sample["readings"]["pressure"]["value"].as_f64().is_some_and(|value| (800.0..1200.0).contains(&value)));
    machine.bus.lock().inject(Fault::NoAcknowledge { address: PRESSURE_CHIP });
    let output = machine.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sample["readings"]["pressure"]["reason"], "no_chip");
    assert!(sample["readings"]["humidity"]["value"].is_f64(), "the other chip goes on: {sample}");
    assert_eq!(machine.run(&["dump"]).status.code(), Some(1), "a dump lacks a chip");
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    if skip() {
        return;
    }
    let machine = Machine::new();
    let doctor = || {
        let output = machine.run(&["doctor"]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, well) = doctor();
    assert_eq!(code, Some(0), "{well}");
    for line in [
        "ok       i2c bus        /dev/i2c-1",
        "answers at 0x5c with identity 0xbd",
        "ok       readings       temperature ",
        "is free",
    ] {
        assert!(well.contains(line), "{well}");
    }
    machine.bus.lock().inject(Fault::DamagedElement);
    let (code, broken) = doctor();
    assert_eq!(code, Some(1), "{broken}");
    assert!(broken.contains("problem  readings       no pressure: LPS25H says 760.0 hPa"), "{broken}");
    machine.bus.lock().heal();
    machine.bus.lock().inject(Fault::NoAcknowledge { address: HUMIDITY_CHIP });
    machine.bus.bind_driver(PRESSURE_CHIP, "st-press-i2c").unwrap();
    let (code, ill) = doctor();
    assert_eq!(code, Some(1), "{ill}");
    for line in ["problem  HTS221         nobody answers at 0x5f", "st-press-i2c owns the chip at 0x5c", "blacklist"] {
        assert!(ill.contains(line), "{ill}");
    }
    machine.bus.refuse_open(Some(13));
    assert!(doctor().1.contains("may not open /dev/i2c-1"));
}

#[test]
fn gateway_and_i2c_tools_share_the_bus() {
    if skip_without_i2c_tools() {
        return;
    }
    let machine = Machine::new();
    let gateway = machine.start();
    gateway.wait_for_state("all quantities are valid", is_well);
    let identity = machine.run_other("i2ctransfer -y 1 w1@0x5f 0x0f r1");
    assert_eq!(String::from_utf8_lossy(&identity.stdout).trim(), "0xbc");
    let detected = machine.run_other("i2cdetect -y 1");
    assert!(String::from_utf8_lossy(&detected.stdout).contains("5c -- -- 5f"), "{detected:?}");
    let doctor = gateway.run_beside(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout);
    assert!(told.contains("not taken here, because sensegate (process "), "{told}");
    gateway.wait_for_state("the gateway is not disturbed", is_well);
    let state = gateway.wait_for_state("nothing had to be set up again", is_well);
    assert_eq!((&state["chips"]["hts221"]["errors"], &state["chips"]["lps25h"]["errors"]), (&json!({}), &json!({})));
}
