//! A network of its own for a test: loopback only, every port free.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Process;

/// Keeps a fresh network alive, with its loopback up.
const HOLD: &str = "ip link set lo up && echo up && exec sleep 600";

/// Runs `body` on a thread whose sockets, and those of every program and thread it starts, live in a network
/// namespace made for it. Gives `None`, without running it, where that is not permitted (it takes root).
pub fn in_private_network<T: Send>(body: impl FnOnce() -> T + Send) -> Option<T> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let holder = Process::spawn(Command::new("unshare").args(["--net", "sh", "-c", HOLD]));
    if holder.expect_line() != "up" {
        return None;
    }
    in_network_of(&holder, body)
}

/// Runs `body` on a thread in the network of `holder`. Gives `None`, without running it, where that is not permitted.
pub fn in_network_of<T: Send>(holder: &Process, body: impl FnOnce() -> T + Send) -> Option<T> {
    let network = File::open(format!("/proc/{}/ns/net", holder.id())).ok()?;
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
            Some(body())
        });
        inside.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
