//! Who is behind the memory.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::HUMIDITY_FILE;
use super::error::EmulatorError;
use super::file::open_regular;
use super::process::Process;

const LOCK_FILE: &str = "rpi-sense-emu-pid";
/// More than a process id and the end of its line.
const LOCK_BYTES_MAX: u64 = 32;

/// A lock, as it was found. Another one is told by its file, since process ids come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pid: Pid,
    /// The user id of who made it.
    pub(super) owner: u32,
    inode: u64,
    /// When it was written, in seconds and nanoseconds.
    written: (i64, i64),
}

impl Lock {
    /// The process id in it.
    pub(super) const fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }
}

/// The process that holds the lock.
#[derive(Debug)]
pub(super) struct Holder {
    directory: PathBuf,
    /// The lock that was seen last, and whose it is: an emulator that runs, or one that has ended. Of somebody else
    /// nothing is kept, since an emulator takes its lock before it has its memory.
    known: Option<(Lock, Process)>,
}

impl Holder {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), known: None }
    }

    /// The lock of an emulator that runs.
    ///
    /// # Errors
    /// When there is no lock, or nobody who runs holds it.
    pub(super) fn find(&mut self) -> Result<Lock, EmulatorError> {
        let path = self.directory.join(LOCK_FILE);
        let lock = match read(&path) {
            Err(EmulatorError::NotStarted { path }) => return Err(self.missing(path)),
            read => read?,
        };
        if self.is_held(lock) { Ok(lock) } else { Err(EmulatorError::Ended { path, id: lock.id() }) }
    }

    /// Without a lock: it has ended where it left its memory, and was never there else.
    fn missing(&self, path: PathBuf) -> EmulatorError {
        let left = self.directory.join(HUMIDITY_FILE).exists();
        if left { EmulatorError::Closed { path } } else { EmulatorError::NotStarted { path } }
    }

    fn is_held(&mut self, lock: Lock) -> bool {
        let known = self.known.take().filter(|(known, _)| *known == lock);
        let process = match known {
            Some((_, process)) => Some(process.look_again()),
            None => Process::recognise(lock.pid),
        };
        self.known = process.map(|process| (lock, process));
        self.known.as_ref().is_some_and(|(_, process)| process.runs())
    }
}

fn read(path: &Path) -> Result<Lock, EmulatorError> {
    let (file, metadata) = open_regular(path)?;
    let mut text = String::new();
    let read = file.take(LOCK_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error: io::Error| EmulatorError::of_file(path, &error))?;
    let pid = process_id(&text).ok_or_else(|| EmulatorError::Lock { path: path.to_owned() })?;
    let written = (metadata.mtime(), metadata.mtime_nsec());
    Ok(Lock { pid, owner: metadata.uid(), inode: metadata.ino(), written })
}

fn process_id(text: &str) -> Option<Pid> {
    let id = text.lines().next()?.trim().parse().ok();
    id.filter(|&id: &i32| id > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::super::tests::Machine;
    use super::*;

    /// A process that is watched and has ended.
    fn ended() -> Process {
        let mut child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let process = Process::watch(Pid::from_child(&child)).unwrap();
        assert!(process.runs());
        child.kill().unwrap();
        child.wait().unwrap();
        process
    }

    #[test]
    fn number_of_an_emulator_that_has_ended_is_not_believed_when_it_comes_again_until_the_lock_is_another() {
        let machine = Machine::new();
        let path = machine.directory.path().join(LOCK_FILE);
        let mut holder = Holder::new(machine.directory.path());
        let lock = holder.find().unwrap();
        // the lock's number belongs to an emulator that runs, and did to another one before
        holder.known = Some((lock, ended()));
        for _ in 0..2 {
            assert!(matches!(holder.find(), Err(EmulatorError::Ended { .. })));
        }
        let text = fs::read(&path).unwrap();
        fs::write(machine.directory.path().join("next"), text).unwrap();
        fs::rename(machine.directory.path().join("next"), &path).unwrap();
        assert_eq!(holder.find().unwrap().id(), lock.id());
    }
}
