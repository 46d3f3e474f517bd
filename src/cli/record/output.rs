//! Where records go. What leaves is whole: a pipe takes what is written at once or not at all, and a file on a full disk
//! is cut back.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::sensors::recording::{Header, RECORD_BYTES, Record};

/// Records that are written at once, below the 4096 bytes that a pipe takes as one (pipe(7), `PIPE_BUF`).
const RECORDS_WAITING_MAX: usize = 30;

/// What is done with a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is left alone, and there is no recording.
    Keep,
    /// It is overwritten.
    Overwrite,
}

/// When records leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// Each at once, to the disk.
    EachRecord,
    /// Some at once.
    WhenFull,
}

/// What became of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is taken.
    Taken,
    /// Nobody reads any more.
    Closed,
}

/// A file, or the standard output.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// Of a file that can be cut back and brought to the disk.
    path: Option<PathBuf>,
    flush: Flush,
    waiting: Vec<u8>,
    written_bytes: u64,
}

impl Output {
    /// Opens `path`, or the standard output for `-` and without one; records to that leave at once.
    ///
    /// # Errors
    /// A file that exists or cannot be made, a terminal.
    pub(super) fn open(path: Option<&Path>, existing: Existing, flush: Flush) -> anyhow::Result<Self> {
        let path = path.filter(|path| path.as_os_str() != "-");
        let file = match path {
            Some(path) => create(path, existing)?,
            None => standard_output()?,
        };
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let flush = if path.is_some() { flush } else { Flush::EachRecord };
        let path = path.filter(|_| is_regular).map(Path::to_owned);
        Ok(Self {
            file,
            path,
            flush,
            waiting: Vec::with_capacity(RECORDS_WAITING_MAX * RECORD_BYTES),
            written_bytes: 0,
        })
    }

    /// Writes the header.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write_header(&mut self, header: Header) -> anyhow::Result<Written> {
        self.waiting.extend(header.encode());
        self.let_go()
    }

    /// Takes one more record.
    ///
    /// # Errors
    /// What the system says; the file then ends with the last record that it has taken.
    pub(super) fn write(&mut self, record: &Record) -> anyhow::Result<Written> {
        self.waiting.extend(record.encode());
        let is_full = self.waiting.len() >= RECORDS_WAITING_MAX * RECORD_BYTES;
        if is_full || self.flush == Flush::EachRecord { self.let_go() } else { Ok(Written::Taken) }
    }

    /// Writes what waits, to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.flush = Flush::EachRecord;
        self.let_go().map(|_| ())
    }

    fn let_go(&mut self) -> anyhow::Result<Written> {
        let waiting = std::mem::take(&mut self.waiting);
        match self.file.write_all(&waiting).and_then(|()| self.sync()) {
            Ok(()) => {
                self.written_bytes += waiting.len() as u64;
                Ok(Written::Taken)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Written::Closed),
            Err(error) => Err(self.cut_back(error)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        if self.path.is_some() && self.flush == Flush::EachRecord { self.file.sync_data() } else { Ok(()) }
    }

    /// Takes back what was written in part.
    fn cut_back(&self, error: io::Error) -> anyhow::Error {
        let Some(path) = &self.path else { return anyhow::Error::new(error).context("cannot write the recording") };
        // where even that fails, a reader leaves the torn record out
        let _ = self.file.set_len(self.written_bytes);
        anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
    }
}

fn create(path: &Path, existing: Existing) -> anyhow::Result<File> {
    let created = match existing {
        Existing::Keep => File::create_new(path),
        Existing::Overwrite => File::create(path),
    };
    if let Err(error) = &created
        && error.kind() == ErrorKind::AlreadyExists
    {
        bail!("{} exists: name another file, or overwrite it with --force", path.display());
    }
    created.with_context(|| format!("cannot make {}", path.display()))
}

/// The standard output without the buffer of lines that it has in Rust.
fn standard_output() -> anyhow::Result<File> {
    let output = io::stdout();
    if output.is_terminal() {
        bail!("a recording is no text: name a file, or send the output into one or into a program");
    }
    Ok(File::from(output.as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::recording::{HEADER_BYTES, survey};

    const HEADER: Header = Header { start_s: 60.0 };

    fn record(time_s: f64) -> Record {
        Record { time_s, ..Record::default() }
    }

    #[test]
    fn existing_file_is_kept_unless_it_may_be_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        std::fs::write(&path, "mine, and longer than a header of a recording").unwrap();
        let refused = Output::open(Some(&path), Existing::Keep, Flush::WhenFull).unwrap_err().to_string();
        assert!(refused.ends_with("a.hat exists: name another file, or overwrite it with --force"), "{refused}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("mine"));
        let mut output = Output::open(Some(&path), Existing::Overwrite, Flush::WhenFull).unwrap();
        output.write_header(HEADER).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), HEADER.encode());
    }

    #[test]
    fn records_wait_for_others_unless_each_is_to_leave() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        let bytes = || usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
        for (flush, at_once) in [(Flush::WhenFull, 0), (Flush::EachRecord, 1)] {
            let mut output = Output::open(Some(&path), Existing::Overwrite, flush).unwrap();
            output.write_header(HEADER).unwrap();
            output.write(&record(61.0)).unwrap();
            assert_eq!(bytes(), HEADER_BYTES + at_once * RECORD_BYTES);
            for _ in 1..RECORDS_WAITING_MAX {
                output.write(&record(62.0)).unwrap();
            }
            assert_eq!(bytes(), HEADER_BYTES + RECORDS_WAITING_MAX * RECORD_BYTES);
            output.write(&record(63.0)).unwrap();
            output.finish().unwrap();
            let found = survey(&path).unwrap();
            assert_eq!((found.records, found.torn_bytes, found.last_s), (31, 0, 63.0));
        }
    }

    #[test]
    fn full_disk_is_an_error() {
        let mut output = Output::open(Some(Path::new("/dev/full")), Existing::Overwrite, Flush::WhenFull).unwrap();
        let error = format!("{:#}", output.write_header(HEADER).unwrap_err());
        assert!(error.starts_with("cannot write the recording: No space left"), "{error}");
    }
}
