//! A program under measurement, and what the kernel says of it.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running program. It is killed when this is dropped, and by the kernel when the benchmark itself is.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `program`, silent but for its complaints. `setpriv` of util-linux ties its life to this one.
    pub(crate) fn start(program: &str, arguments: &[&str], environment: &[(&'static str, String)]) -> io::Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { child })
    }

    /// Processor time of all threads since their start, to the nanosecond.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let mut total_ns = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            total_ns += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(total_ns))
    }

    /// Resident memory, shared libraries included, in KiB.
    pub(crate) fn rss_kib(&self) -> io::Result<f64> {
        self.memory_kib("VmRSS:")
    }

    /// Bytes that it gave to disks so far, from `/proc/PID/io`.
    #[allow(dead_code, reason = "each benchmark uses its own part of this")]
    pub(crate) fn written_bytes(&self) -> io::Result<u64> {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:")).unwrap_or_default();
        line.trim().parse().map_err(io::Error::other)
    }

    /// A line of `/proc/PID/status` that tells of memory, in KiB; `VmHWM:` is the most that was ever resident.
    pub(crate) fn memory_kib(&self, name: &str) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // one that is gone already needs no end
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
