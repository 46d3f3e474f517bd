//! Whether a process is an emulator, and runs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};

/// More than what stands before the state of a process.
const STAT_BYTES_MAX: u64 = 256;
/// What all files of the emulator begin with, in a process's list of what it has mapped.
const NAME: &str = "rpi-sense-emu-";
/// Of such a list, so much is looked through; an emulator's has about a hundred kilobytes.
const MAPS_BYTES_MAX: u64 = 4 << 20;

/// A process that was named by a lock.
#[derive(Debug)]
pub(super) enum Process {
    /// It is told by a descriptor, which stays that of this process when its number goes to another.
    Watched(OwnedFd),
    /// It is told by its number alone: Linux before 5.3, or a sandbox that refuses the descriptor.
    Numbered(Pid),
    /// It does not run any more.
    Ended,
}

impl Process {
    /// The process of this number; `None` while it is none of the emulator's.
    pub(super) fn recognise(pid: Pid) -> Option<Self> {
        let process = match Self::watch(pid) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Some(Self::Ended),
            // the number is one of a thread
            Err(Errno::INVAL | Errno::NOENT) => return None,
            Err(_) => Self::Numbered(pid),
        };
        // in this order: the list is that of the process which is watched when that one still runs
        let is_emulator = has_mapped_it(pid);
        match process.look_again() {
            Self::Ended => Some(Self::Ended),
            process => is_emulator.then_some(process),
        }
    }

    pub(super) fn watch(pid: Pid) -> Result<Self, Errno> {
        pidfd_open(pid, PidfdFlags::empty()).map(Self::Watched)
    }

    /// What has ended stays ended, whoever gets its number.
    pub(super) fn look_again(self) -> Self {
        if self.runs() { self } else { Self::Ended }
    }

    pub(super) fn runs(&self) -> bool {
        match self {
            Self::Watched(descriptor) => !is_readable(descriptor),
            Self::Numbered(pid) => is_running(*pid),
            Self::Ended => false,
        }
    }
}

/// Whether the process of this descriptor has ended (`pidfd_open(2)`): it needs neither `/proc`, which a sandbox may
/// show without the processes of others, nor a privilege. It never waits.
fn is_readable(descriptor: &OwnedFd) -> bool {
    let descriptor = descriptor.as_fd();
    let ready = retry_on_intr(|| {
        let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        poll(&mut descriptors, Some(&Timespec::default()))
    });
    // what cannot be asked counts as ended: a value that may be old is none
    ready != Ok(0)
}

/// Asked of the kernel, and not of `/proc`.
fn is_running(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(Errno::SRCH)) && !is_dead(pid)
}

/// Whether the process has ended, and only its parent has not taken note of it: state `Z` or `X` behind the name in
/// parentheses (proc(5)).
fn is_dead(pid: Pid) -> bool {
    let mut stat = Vec::new();
    let file = File::open(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let read = file.and_then(|file| file.take(STAT_BYTES_MAX).read_to_end(&mut stat));
    let text = String::from_utf8_lossy(&stat);
    let state = text.rsplit_once(')').map(|(_, behind)| behind.trim_start());
    read.is_ok() && state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Whether the process has the emulator's memory mapped: the number in a lock that was left behind may belong to
/// somebody else by now. Where the system does not tell, the lock is believed.
fn has_mapped_it(pid: Pid) -> bool {
    let Ok(maps) = File::open(format!("/proc/{}/maps", pid.as_raw_nonzero())) else { return true };
    let mut lines = BufReader::new(maps.take(MAPS_BYTES_MAX)).split(b'\n');
    lines.any(|line| line.map_or(true, |line| String::from_utf8_lossy(&line).contains(NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_without_a_descriptor_is_asked_for_by_its_number_and_is_not_missed_again_once_it_has_ended() {
        let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let process = Process::Numbered(Pid::from_child(&child)).look_again();
        assert!(process.runs());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(process.look_again(), Process::Ended));
    }

    #[test]
    fn what_was_not_waited_for_has_ended_and_who_is_no_emulator_is_nobody() {
        let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let process = Process::watch(pid).unwrap();
        assert!(process.runs() && Process::recognise(rustix::process::getpid()).is_none());
        child.kill().unwrap();
        while process.runs() {
            std::thread::yield_now();
        }
        assert!(matches!(Process::recognise(pid), Some(Process::Ended)));
        child.wait().unwrap();
        assert!(matches!(Process::recognise(pid), Some(Process::Ended)));
    }
}
