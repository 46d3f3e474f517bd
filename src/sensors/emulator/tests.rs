//! The memory as the emulator writes it, in a directory of the test's.

use std::fs;
use std::process::{Child, Command};

use tempfile::TempDir;

use super::*;
use crate::sensors::{Quantity, Reason};

/// What `PressureServer` and `HumidityServer` leave for 45 %RH, 20 °C and 1013 hPa.
const HUMIDITY: [u8; 28] =
    [2, 5, b'H', b'T', b'S', b'2', b'2', 0, 100, 0, 0, 0, 100, 0, 0, 0, 0, 100, 0, 0, 0, 25, 0, 45, 0, 5, 1, 1];
const PRESSURE: [u8; 28] =
    [3, 5, b'L', b'P', b'S', b'2', b'5', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x3f, 0, 0, 0, 0, 0, 0x20, 0xe0, 1, 1];

/// A directory with the emulator's files, and a process that has one of them mapped, if only as its program.
pub(super) struct Machine {
    pub(super) directory: TempDir,
    process: Child,
}

impl Machine {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("rpi-sense-emu-program");
        fs::copy("/bin/sleep", &program).unwrap();
        let process = Command::new(&program).arg("600").spawn().unwrap();
        let machine = Self { directory, process };
        machine.write(HUMIDITY_FILE, &HUMIDITY);
        machine.write(PRESSURE_FILE, &PRESSURE);
        machine.write("rpi-sense-emu-pid", format!("{}\n", machine.process.id()).as_bytes());
        // a program that is just being started has mapped nothing yet
        let maps = format!("/proc/{}/maps", machine.process.id());
        while !fs::read_to_string(&maps).unwrap().contains("rpi-sense-emu-program") {
            std::thread::yield_now();
        }
        machine
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        fs::write(self.directory.path().join(file), bytes).unwrap();
    }

    fn emulator(&self) -> Emulator {
        Emulator::new(self.directory.path().to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn value(emulator: &mut Emulator, quantity: Quantity) -> Result<f64, Reason> {
    let readings = emulator.sample(Monotonic::ZERO);
    readings.get(quantity).unwrap().clone().map_err(|absence| absence.reason)
}

/// What all quantities are absent for.
fn reason(emulator: &mut Emulator) -> (Reason, String) {
    let readings = emulator.sample(Monotonic::ZERO);
    let absences: Vec<_> = readings.iter().map(|(_, reading)| reading.clone().unwrap_err()).collect();
    assert_eq!(absences.len(), 5);
    assert!(absences.iter().all(|absence| *absence == absences[0]), "{absences:?}");
    (absences[0].reason, absences[0].text.clone())
}

#[test]
fn memory_is_read_as_the_emulator_means_it() {
    let machine = Machine::new();
    let mut emulator = machine.emulator();
    for (quantity, expected) in [
        (Quantity::Temperature, 20.0),
        (Quantity::TemperatureFromHumidity, 20.0),
        (Quantity::Humidity, 45.0),
        (Quantity::Pressure, 1013.0),
        // 37 °C and -8160 counts of 480; the real chip's zero would make it 25.5 °C
        (Quantity::TemperatureFromPressure, 20.0),
    ] {
        assert_eq!(value(&mut emulator, quantity), Ok(expected), "{quantity}");
    }
}

#[test]
fn memory_of_a_32_bit_system_is_read_too() {
    let machine = Machine::new();
    let small = [&PRESSURE[..8], &[0, 0, 0, 0], &PRESSURE[16..20], &PRESSURE[24..]].concat();
    machine.write(PRESSURE_FILE, &small);
    assert_eq!(value(&mut machine.emulator(), Quantity::Pressure), Ok(1013.0));
    assert_eq!(value(&mut machine.emulator(), Quantity::TemperatureFromPressure), Ok(20.0));
}

#[test]
fn value_that_is_not_valid_or_out_of_range_is_absent_alone() {
    let machine = Machine::new();
    let mut emulator = machine.emulator();
    let mut memory = HUMIDITY;
    memory[26] = 0;
    machine.write(HUMIDITY_FILE, &memory);
    assert_eq!(value(&mut emulator, Quantity::Humidity), Err(Reason::Stale));
    assert_eq!(value(&mut emulator, Quantity::Temperature), Ok(20.0));
    let mut memory = PRESSURE;
    memory[16..24].copy_from_slice(&0_i64.to_ne_bytes());
    machine.write(PRESSURE_FILE, &memory);
    assert_eq!(value(&mut emulator, Quantity::Pressure), Err(Reason::OutOfRange));
    memory[16..24].copy_from_slice(&i64::MIN.to_ne_bytes());
    machine.write(PRESSURE_FILE, &memory);
    assert_eq!(value(&mut emulator, Quantity::Pressure), Err(Reason::OutOfRange));
    assert_eq!(value(&mut emulator, Quantity::TemperatureFromPressure), Ok(20.0));
}

#[test]
fn calibration_that_makes_no_line_is_no_reading() {
    let machine = Machine::new();
    let mut memory = HUMIDITY;
    memory[16..18].fill(0);
    machine.write(HUMIDITY_FILE, &memory);
    assert_eq!(value(&mut machine.emulator(), Quantity::Humidity), Err(Reason::Calibration));
    assert_eq!(value(&mut machine.emulator(), Quantity::Temperature), Ok(20.0));
}

#[test]
fn file_that_is_none_of_the_emulators_is_absent_with_the_reason() {
    let machine = Machine::new();
    let mut emulator = machine.emulator();
    let mut check = |bytes: &[u8], expected| {
        machine.write(PRESSURE_FILE, bytes);
        assert_eq!(value(&mut emulator, Quantity::Pressure), Err(expected), "{bytes:?}");
        assert_eq!(value(&mut emulator, Quantity::Humidity), Ok(45.0));
    };
    check(&[0; 28], Reason::Starting);
    check(&HUMIDITY, Reason::WrongIdentity);
    check(&[], Reason::WrongIdentity);
    check(&PRESSURE[..27], Reason::WrongIdentity);
    check(&[3; 100], Reason::WrongIdentity);
    fs::remove_file(machine.directory.path().join(PRESSURE_FILE)).unwrap();
    assert_eq!(value(&mut emulator, Quantity::Pressure), Err(Reason::NoChip));
}

#[test]
fn what_an_emulator_left_behind_is_never_read() {
    let mut machine = Machine::new();
    let mut emulator = machine.emulator();
    assert_eq!(value(&mut emulator, Quantity::Humidity), Ok(45.0));
    machine.process.kill().unwrap();
    // ended, and not waited for
    while value(&mut emulator, Quantity::Humidity) != Err(Reason::Ended) {
        std::thread::yield_now();
    }
    machine.process.wait().unwrap();
    let (killed, text) = reason(&mut emulator);
    assert_eq!(killed, Reason::Ended);
    assert!(text.contains("names process"), "{text}");
    fs::remove_file(machine.directory.path().join("rpi-sense-emu-pid")).unwrap();
    assert_eq!(reason(&mut emulator).0, Reason::Ended);
    for file in [HUMIDITY_FILE, PRESSURE_FILE] {
        fs::remove_file(machine.directory.path().join(file)).unwrap();
    }
    assert_eq!(reason(&mut emulator).0, Reason::NoChip);
}

#[test]
fn lock_that_names_somebody_else_is_not_believed() {
    let machine = Machine::new();
    let mut emulator = machine.emulator();
    // this very process, which has mapped nothing of the emulator's
    machine.write("rpi-sense-emu-pid", std::process::id().to_string().as_bytes());
    assert_eq!(reason(&mut emulator).0, Reason::Ended);
    for nobody in ["", "\n", "0\n", "-1\n", "sense", "99999999999999999999\n"] {
        machine.write("rpi-sense-emu-pid", nobody.as_bytes());
        assert_eq!(reason(&mut emulator).0, Reason::Bus, "{nobody:?}");
    }
    machine.write("rpi-sense-emu-pid", format!("{}\n", machine.process.id()).as_bytes());
    assert_eq!(value(&mut emulator, Quantity::Humidity), Ok(45.0));
}

#[test]
fn pipe_or_link_in_the_place_of_a_file_is_told_and_not_waited_for() {
    let machine = Machine::new();
    let mut emulator = machine.emulator();
    let place = |file: &str| machine.directory.path().join(file);
    let make_pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    };
    make_pipe(&place(PRESSURE_FILE));
    assert_eq!(value(&mut emulator, Quantity::Pressure), Err(Reason::WrongIdentity));
    assert_eq!(value(&mut emulator, Quantity::Humidity), Ok(45.0));
    fs::rename(place(HUMIDITY_FILE), place("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place("elsewhere"), place(HUMIDITY_FILE)).unwrap();
    assert_eq!(value(&mut emulator, Quantity::Humidity), Err(Reason::WrongIdentity));
    make_pipe(&place("rpi-sense-emu-pid"));
    let (reason, text) = reason(&mut emulator);
    assert_eq!(reason, Reason::WrongIdentity);
    assert!(text.ends_with("rpi-sense-emu-pid is no regular file, as the emulator's are"), "{text}");
    assert!(matches!(find(machine.directory.path()), Err(EmulatorError::Irregular { .. })));
}

#[test]
fn memory_of_another_user_than_the_locks_is_not_read() {
    let machine = Machine::new();
    let path = machine.directory.path().join(HUMIDITY_FILE);
    let owner = rustix::process::getuid().as_raw();
    assert_eq!(memory::read(&path, owner).unwrap(), HUMIDITY);
    let error = memory::read(&path, owner + 1).unwrap_err();
    assert_eq!(error.reason(), Reason::WrongIdentity);
    let expected =
        format!("belongs to user {owner}, and the emulator's lock to user {}: one user is expected", owner + 1);
    assert!(error.to_string().ends_with(&expected), "{error}");
}
