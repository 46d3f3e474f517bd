//! The signals that end a recording.

use std::fs;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, SIGINT, and SIGHUP, which comes when a session drops, unless `nohup` has switched that off.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Stop {
    /// From now on these signals end nothing by themselves.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> io::Result<Self> {
        let hang_up = if is_hang_up_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hang_up })
    }

    /// Until one of them comes. Cancel safe.
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = come(self.hang_up.as_mut()) => {}
        }
    }
}

async fn come(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the process was started with SIGHUP ignored: the lowest bit of the mask in `/proc/self/status`.
fn is_hang_up_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hang_up_is_the_lowest_bit_of_what_is_ignored() {
        for (mask, expected) in [("0000000000000001", true), ("0000000000001001", true), ("0000000000001000", false)] {
            let status = format!("Name:\tsensegate\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t1\n");
            assert_eq!(ignores_hang_up(&status), expected, "{mask}");
        }
        assert!(!ignores_hang_up(""));
    }
}
