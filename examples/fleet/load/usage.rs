//! What this process, and the broker's if it is on this machine, cost; and how many files may be open.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::error::FleetError;

/// Files beside the sockets: streams, poll, those that are read here.
const FILES_BESIDE: u64 = 32;

/// Raises the limit of open files so that `sockets` can be.
pub(super) fn allow_sockets(sockets: u64) -> Result<(), FleetError> {
    let (mut limit, needed) = (getrlimit(Resource::Nofile), sockets + FILES_BESIDE);
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(FleetError::TooFewFiles { needed, maximum });
    }
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).map_err(io::Error::from)?;
    }
    Ok(())
}

/// Processor time of this process since its start.
pub(super) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that was resident in this process, in KiB.
pub(super) fn own_peak_kib() -> io::Result<u64> {
    memory_kib("self", "VmHWM:")
}

/// Processor time of the threads that a process has now.
pub(super) fn cpu_of(pid: u32) -> io::Result<Duration> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        total_ns += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(total_ns))
}

/// Resident memory of a process, in KiB.
pub(super) fn rss_kib_of(pid: u32) -> io::Result<u64> {
    memory_kib(&pid.to_string(), "VmRSS:")
}

fn memory_kib(process: &str, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)
}
