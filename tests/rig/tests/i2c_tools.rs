//! The virtual bus as the programs of i2c-tools see it, with two chips that are nothing but registers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it is wrong")]

use std::process::{Output, Stdio};

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use sensegate_rig::{Transaction, VirtualBus, skip, skip_without_i2c_tools, wait_until};

/// Chips at 0x5C and 0x5F: 256 registers each, a pointer that goes up by itself.
struct Chips {
    registers: [[u8; 256]; 2],
    pointers: [u8; 2],
    is_plugged: bool,
}

impl Chips {
    fn new() -> Self {
        let mut registers = [[0; 256]; 2];
        registers[0][0x0F] = 0xBD;
        registers[1][0x0F] = 0xBC;
        Self { registers, pointers: [0; 2], is_plugged: true }
    }
}

impl ErrorType for Chips {
    type Error = ErrorKind;
}

impl I2c for Chips {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let index = match address {
            0x5C if self.is_plugged => 0,
            0x5F if self.is_plugged => 1,
            _ => return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)),
        };
        let (registers, pointer) = (&mut self.registers[index], &mut self.pointers[index]);
        for operation in operations {
            match operation {
                Operation::Write([register, values @ ..]) => {
                    *pointer = *register;
                    for value in values {
                        registers[usize::from(*pointer)] = *value;
                        *pointer = pointer.wrapping_add(1);
                    }
                }
                Operation::Write([]) => {}
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = registers[usize::from(*pointer)];
                        *pointer = pointer.wrapping_add(1);
                    }
                }
            }
        }
        Ok(())
    }
}

fn run(bus: &VirtualBus<Chips>, line: &str) -> Output {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a line has a first word");
    bus.command(program).unwrap().args(words).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).trim().to_owned()
}

#[test]
fn i2cdetect_sees_both_chips_and_a_bound_driver() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    let seen = text(&run(&bus, "i2cdetect -y 1"));
    assert!(seen.contains("50: -- -- -- -- -- -- -- -- -- -- -- -- 5c -- -- 5f"), "{seen}");
    bus.bind_driver(0x5C, "st-press-i2c").unwrap();
    let seen = text(&run(&bus, "i2cdetect -y 1"));
    assert!(seen.contains("-- UU -- -- 5f"), "{seen}");
    let link = text(&run(&bus, "readlink -f /sys/bus/i2c/devices/1-005c/driver"));
    assert!(link.ends_with("/drivers/st-press-i2c"), "{link}");
    bus.unbind_driver(0x5C).unwrap();
    assert!(text(&run(&bus, "i2cdetect -y 1")).contains("5c -- -- 5f"));
}

#[test]
fn registers_are_read_and_written_by_smbus_calls() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    assert_eq!(text(&run(&bus, "i2cget -y 1 0x5f 0x0f")), "0xbc");
    assert_eq!(text(&run(&bus, "i2cset -y 1 0x5c 0x20 0x90")), "");
    assert_eq!(text(&run(&bus, "i2cset -y 1 0x5c 0x28 0x1234 w")), "");
    assert_eq!(text(&run(&bus, "i2cget -y 1 0x5c 0x28 w")), "0x1234");
    assert_eq!(text(&run(&bus, "i2cset -y 1 0x5c 0x30 1 2 3 i")), "");
    assert_eq!(bus.lock().registers[0][0x20], 0x90);
    assert_eq!(bus.lock().registers[0][0x30..0x33], [1, 2, 3]);
}

#[test]
fn combined_transfer_is_one_transaction() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    bus.lock().registers[1][0x27..0x2C].copy_from_slice(&[3, 10, 20, 30, 40]);
    assert_eq!(text(&run(&bus, "i2ctransfer -y 1 w1@0x5f 0x27 r5")), "0x03 0x0a 0x14 0x1e 0x28");
    let expected = Transaction { address: 0x5F, written: vec![0x27], read_bytes: 5, errno: None };
    assert_eq!(bus.transactions(), [expected]);
    assert_eq!(bus.transaction_count(), 1);
}

#[test]
fn chip_that_is_not_there_answers_with_eremoteio() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    bus.lock().is_plugged = false;
    let output = run(&bus, "i2ctransfer -y 1 w1@0x5c 0x0f r1");
    assert!(!output.status.success());
    assert!(text(&output).contains("Remote I/O error"), "{}", text(&output));
    assert_eq!(bus.transactions()[0].errno, Some(121));
    bus.lock().is_plugged = true;
    assert_eq!(text(&run(&bus, "i2ctransfer -y 1 w1@0x5c 0x0f r1")), "0xbd");
}

#[test]
fn refused_open_is_seen_as_permission_denied() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    bus.refuse_open(Some(13));
    let output = run(&bus, "i2cget -y 1 0x5f 0x0f");
    assert!(text(&output).contains("Permission denied"), "{}", text(&output));
    bus.refuse_open(None);
    assert_eq!(text(&run(&bus, "i2cget -y 1 0x5f 0x0f")), "0xbc");
}

#[test]
fn hanging_chip_holds_its_caller_up_and_not_the_test() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    bus.hold(0x5F);
    let mut command = bus.command("i2cget").unwrap();
    let child = command.args(["-y", "1", "0x5f", "0x0f"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("a transaction hangs", || bus.waiting() == 1);
    assert_eq!(text(&run(&bus, "i2cget -y 1 0x5c 0x0f")), "0xbd", "the other chip answers another caller");
    bus.lock().registers[1][0x0F] = 0x77;
    bus.release(0x5F);
    assert_eq!(text(&child.wait_with_output().unwrap()), "0x77");
}

#[test]
fn nothing_is_left_when_a_child_is_killed_or_a_command_is_never_started() {
    if skip() {
        return;
    }
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let bus = VirtualBus::new(Chips::new()).unwrap();
    drop(bus.command("sleep").unwrap());
    let mut child = bus.command("sleep").unwrap().arg("1000").spawn().unwrap();
    wait_until("the mount is served", || bus.serving() == 1);
    assert_eq!(mounts(), before);
    assert!(std::fs::read_to_string(format!("/proc/{}/mountinfo", child.id())).unwrap().contains("/dev/i2c-1"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the mount is gone", || bus.serving() == 0);
}

#[test]
fn two_children_share_one_bus() {
    if skip_without_i2c_tools() {
        return;
    }
    let bus = VirtualBus::new(Chips::new()).unwrap();
    let mut sleeper = bus.command("sleep").unwrap().arg("1000").spawn().unwrap();
    wait_until("the first is there", || bus.serving() == 1);
    assert_eq!(text(&run(&bus, "i2cget -y 1 0x5c 0x0f")), "0xbd");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}
