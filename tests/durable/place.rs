//! The program's configuration and state between two starts, and what the kernel says of it.

use std::fs;
use std::path::PathBuf;

use crate::support::Gateway;

/// Queues that no test here fills.
pub(crate) const LONG_QUEUES: &str = "[broker.limits]\nqueue_messages = 10000000\nqueue_size = \"1 GiB\"\n";

/// The file of the broker's state.
pub(crate) fn file(gateway: &Gateway) -> PathBuf {
    gateway.state().join("broker.db")
}

/// Stops the program, adds lines to its table `[storage]`, and starts it again.
pub(crate) fn restart_with_storage(gateway: &mut Gateway, lines: &str) {
    assert!(gateway.stop().success());
    let text = fs::read_to_string(gateway.configuration()).unwrap();
    fs::write(gateway.configuration(), text.replace("[storage]\n", &format!("[storage]\n{lines}\n"))).unwrap();
    gateway.start_again();
}

/// The most memory that the program had so far, in bytes.
pub(crate) fn peak_memory_bytes(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// How often the program printed `text` since its last start.
pub(crate) fn count_printed(gateway: &Gateway, text: &str) -> usize {
    gateway.printed().lines().filter(|line| line.contains(text)).count()
}
