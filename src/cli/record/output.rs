//! Where records go. What leaves is whole: a pipe takes what is written at once or not at all, and a file on a full
//! disk is cut back, the one behind the standard output too.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::open::{self, Existing};
use crate::base::clock::Monotonic;
use crate::sensors::recording::{Header, RECORD_BYTES, Record};

/// Records that are written at once at most.
const RECORDS_WAITING_MAX: usize = 30;
/// How old a record may become here.
const AGE_MAX: Duration = Duration::from_secs(60);

/// When records leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// Each at once, to the disk.
    EachRecord,
    /// Some at once, and before the first of them is older than a minute.
    WhenFull {
        /// What lies between two records.
        interval: Duration,
    },
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
    /// Unless it is the standard output.
    path: Option<PathBuf>,
    kind: Kind,
    flush: Flush,
    waiting: Vec<u8>,
    /// When the first of the records that wait was taken.
    waiting_since: Option<Monotonic>,
    written_bytes: u64,
}

/// What records go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What can be cut back and brought to the disk, and takes whatever comes.
    Regular {
        /// What is in front of the recording: it is appended to that.
        start_bytes: u64,
    },
    /// A pipe or a device. It gets each record at once: at the end there may be nobody who takes what has waited.
    Stream,
}

impl Output {
    /// Opens `path`, or the standard output for `-` and without one. `played` is the recording that is the source.
    ///
    /// # Errors
    /// A file that exists, cannot be made, or is `played`; a terminal.
    pub(super) fn open(
        path: Option<&Path>,
        existing: Existing,
        flush: Flush,
        played: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let path = path.filter(|path| path.as_os_str() != "-");
        let file = open::open(path, existing, played)?;
        Ok(Self::of(file, path, flush)?)
    }

    fn of(file: File, path: Option<&Path>, flush: Flush) -> io::Result<Self> {
        let kind = if file.metadata()?.is_file() {
            Kind::Regular { start_bytes: open::position(&file)? }
        } else {
            Kind::Stream
        };
        let flush = if kind == Kind::Stream { Flush::EachRecord } else { flush };
        let waiting = Vec::with_capacity(RECORDS_WAITING_MAX * RECORD_BYTES);
        Ok(Self { file, path: path.map(Path::to_owned), kind, flush, waiting, waiting_since: None, written_bytes: 0 })
    }

    /// Whether it takes a record now, without a wait: a pipe that has room for less than a page (pipe(7)) does not.
    /// What is broken takes all, and says so then.
    pub(super) fn has_room(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.file, PollFlags::OUT)];
        self.kind != Kind::Stream || poll(&mut descriptors, Some(&Timespec::default())) != Ok(0)
    }

    /// Writes the header, or keeps it for the first record when there is no room for it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write_header(&mut self, header: Header) -> anyhow::Result<Written> {
        self.waiting.extend(header.encode());
        if self.has_room() { self.let_go() } else { Ok(Written::Taken) }
    }

    /// Takes one more record, of `now`.
    ///
    /// # Errors
    /// What the system says; the file then ends with the last record that it has taken.
    pub(super) fn write(&mut self, record: &Record, now: Monotonic) -> anyhow::Result<Written> {
        self.waiting.extend(record.encode());
        let age = now.since(*self.waiting_since.get_or_insert(now));
        let is_full = self.waiting.len() >= RECORDS_WAITING_MAX * RECORD_BYTES;
        let is_due = match self.flush {
            Flush::EachRecord => true,
            // with the next one it would be too late
            Flush::WhenFull { interval } => is_full || age + interval > AGE_MAX,
        };
        if is_due { self.let_go() } else { Ok(Written::Taken) }
    }

    /// Writes what waits, to the disk. Where there is no room for it nothing is written, since nobody may ever take it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.flush = Flush::EachRecord;
        if self.has_room() { self.let_go().map(|_| ()) } else { Ok(()) }
    }

    fn let_go(&mut self) -> anyhow::Result<Written> {
        self.waiting_since = None;
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
        let is_wanted = self.kind != Kind::Stream && self.flush == Flush::EachRecord;
        if is_wanted { self.file.sync_data() } else { Ok(()) }
    }

    /// Takes back what was written in part.
    fn cut_back(&self, error: io::Error) -> anyhow::Error {
        if let Kind::Regular { start_bytes } = self.kind {
            // where even that fails, a reader leaves the torn record out
            let _ = self.file.set_len(start_bytes + self.written_bytes);
        }
        let what = self.path.as_ref().map_or_else(|| "the recording".into(), |path| path.display().to_string());
        anyhow::Error::new(error).context(format!("cannot write {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::recording::{HEADER_BYTES, survey};

    const HEADER: Header = Header { start_s: 60.0 };
    const WHEN_FULL: Flush = Flush::WhenFull { interval: Duration::from_secs(1) };

    fn record(time_s: f64) -> Record {
        Record { time_s, ..Record::default() }
    }

    fn open(path: &Path, flush: Flush) -> Output {
        Output::open(Some(path), Existing::Overwrite, flush, None).unwrap()
    }

    fn bytes(path: &Path) -> usize {
        usize::try_from(std::fs::metadata(path).unwrap().len()).unwrap()
    }

    #[test]
    fn records_wait_for_others_unless_each_is_to_leave() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        for (flush, at_once) in [(WHEN_FULL, 0), (Flush::EachRecord, 1)] {
            let mut output = open(&path, flush);
            output.write_header(HEADER).unwrap();
            output.write(&record(61.0), Monotonic::ZERO).unwrap();
            assert_eq!(bytes(&path), HEADER_BYTES + at_once * RECORD_BYTES);
            for _ in 1..RECORDS_WAITING_MAX {
                output.write(&record(62.0), Monotonic::ZERO).unwrap();
            }
            assert_eq!(bytes(&path), HEADER_BYTES + RECORDS_WAITING_MAX * RECORD_BYTES);
            output.write(&record(63.0), Monotonic::ZERO).unwrap();
            output.finish().unwrap();
            let found = survey(&path).unwrap();
            assert_eq!((found.records, found.torn_bytes, found.last_s), (31, 0, 63.0));
        }
    }

    #[test]
    fn no_record_waits_for_longer_than_a_minute() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        for (interval_s, left) in [(20, [0, 0, 3, 3, 3, 6]), (61, [1, 2, 3, 4, 5, 6])] {
            let interval = Duration::from_secs(interval_s);
            let mut output = open(&path, Flush::WhenFull { interval });
            output.write_header(HEADER).unwrap();
            for (number, left) in (0..).zip(left) {
                // one second more than the interval: the source is slow
                let now = Monotonic::ZERO + (interval + Duration::from_secs(1)) * number;
                output.write(&record(61.0), now).unwrap();
                assert_eq!(bytes(&path), HEADER_BYTES + left * RECORD_BYTES, "{interval_s} s, {number}");
            }
        }
    }

    #[test]
    fn full_disk_is_an_error() {
        let error = format!("{:#}", open(Path::new("/dev/full"), WHEN_FULL).write_header(HEADER).unwrap_err());
        assert!(error.starts_with("cannot write /dev/full: No space left"), "{error}");
    }

    #[test]
    fn torn_record_is_cut_off_a_file_without_a_name_too_and_what_was_in_front_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        std::fs::write(&path, "before").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let mut output = Output::of(file, None, Flush::EachRecord).unwrap();
        output.write_header(HEADER).unwrap();
        output.file.write_all(b"torn").unwrap();
        let error = output.cut_back(ErrorKind::StorageFull.into());
        assert_eq!(error.to_string(), "cannot write the recording");
        assert_eq!(std::fs::read(&path).unwrap(), [&b"before"[..], &HEADER.encode()].concat());
    }

    #[test]
    fn pipe_that_is_full_has_no_room_and_is_not_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        let writer = File::from(std::os::fd::OwnedFd::from(writer));
        let mut output = Output::of(writer, None, WHEN_FULL).unwrap();
        let mut written = 0;
        while output.has_room() {
            output.write(&record(61.0), Monotonic::ZERO).unwrap();
            written += 1;
        }
        assert!(written > RECORDS_WAITING_MAX, "{written}");
        output.write_header(HEADER).unwrap();
        output.finish().unwrap();
        drop(reader);
        assert!(output.has_room());
        assert_eq!(output.write(&record(62.0), Monotonic::ZERO).unwrap(), Written::Closed);
    }
}
