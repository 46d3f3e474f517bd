//! Who is behind the memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::HUMIDITY_FILE;
use super::error::EmulatorError;

const LOCK_FILE: &str = "rpi-sense-emu-pid";
/// More than a process id and the end of its line.
const LOCK_BYTES_MAX: u64 = 32;
/// More than what stands before the state of a process.
const STAT_BYTES_MAX: u64 = 256;
/// What all files of the emulator begin with, in a process's list of what it has mapped.
const NAME: &str = "rpi-sense-emu-";
/// Of such a list, so much is looked through; an emulator's has about a hundred kilobytes.
const MAPS_BYTES_MAX: u64 = 4 << 20;

/// The process that holds the lock.
#[derive(Debug)]
pub(super) struct Holder {
    directory: PathBuf,
    /// Who was found to be an emulator. It is forgotten as soon as it does not run, since its number is then free for
    /// others.
    known: Option<Pid>,
}

impl Holder {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), known: None }
    }

    /// The process id of the emulator.
    ///
    /// # Errors
    /// When there is no lock, or nobody who runs holds it.
    pub(super) fn find(&mut self) -> Result<i32, EmulatorError> {
        let path = self.directory.join(LOCK_FILE);
        let pid = match read_id(&path) {
            Ok(Some(pid)) => pid,
            Ok(None) => return Err(EmulatorError::Lock { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.missing(path)),
            Err(error) => return Err(EmulatorError::of_file(&path, &error)),
        };
        let id = pid.as_raw_nonzero().get();
        if self.is_emulator(pid) { Ok(id) } else { Err(EmulatorError::Ended { path, id }) }
    }

    /// Without a lock: it has ended where it left its memory, and was never there else.
    fn missing(&self, path: PathBuf) -> EmulatorError {
        let left = self.directory.join(HUMIDITY_FILE).exists();
        if left { EmulatorError::Closed { path } } else { EmulatorError::NotStarted { path } }
    }

    fn is_emulator(&mut self, pid: Pid) -> bool {
        let is_known = self.known == Some(pid);
        self.known = (is_running(pid) && (is_known || has_mapped_it(pid))).then_some(pid);
        self.known.is_some()
    }
}

/// The process id in the lock; `None` when there is none.
fn read_id(path: &Path) -> io::Result<Option<Pid>> {
    let mut text = String::new();
    File::open(path)?.take(LOCK_BYTES_MAX).read_to_string(&mut text)?;
    let id = text.lines().next().and_then(|line| line.trim().parse().ok());
    Ok(id.filter(|&id: &i32| id > 0).and_then(Pid::from_raw))
}

/// Asked of the kernel, and not of `/proc`, which a sandbox may show without the processes of others.
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
