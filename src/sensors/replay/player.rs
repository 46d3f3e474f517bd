//! Through the file, as far as time has come.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::sensors::recording::{Reader, Record, RecordingError};

/// So many records are read for one sample: 9 MB. A recording of more in one interval is played too fast.
pub(super) const RECORDS_MAX: u32 = 65_536;

/// One record, and the one behind it.
#[derive(Debug)]
pub(super) struct Player {
    reader: Reader<BufReader<File>>,
    first_s: f64,
    current: Option<Record>,
    next: Option<Record>,
}

impl Player {
    pub(super) fn open(path: &Path, first_s: f64) -> Result<Self, RecordingError> {
        let mut reader = Reader::new(BufReader::new(File::open(path)?))?;
        let next = reader.next_record()?;
        Ok(Self { reader, first_s, current: None, next })
    }

    /// Goes on to the last record at or before `moment_s` seconds after the first one, or as far as one step goes.
    pub(super) fn play_to(&mut self, moment_s: f64) -> Result<(), RecordingError> {
        for _ in 0..RECORDS_MAX {
            if !self.is_behind(moment_s) {
                break;
            }
            self.current = self.next.take();
            self.next = self.reader.next_record()?;
        }
        Ok(())
    }

    /// Whether a later record than the current one belongs to the moment.
    pub(super) fn is_behind(&self, moment_s: f64) -> bool {
        self.next.is_some_and(|next| self.offset_s(&next) <= moment_s)
    }

    /// The record that is played.
    pub(super) const fn current(&self) -> Option<&Record> {
        self.current.as_ref()
    }

    /// Whether the current one is the last.
    pub(super) const fn is_at_the_end(&self) -> bool {
        self.next.is_none()
    }

    /// Seconds from the first record to this one.
    pub(super) fn offset_s(&self, record: &Record) -> f64 {
        record.time_s - self.first_s
    }
}
