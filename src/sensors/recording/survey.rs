//! What can be told of a recording without reading all of it.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::error::RecordingError;
use super::header::{HEADER_BYTES, is_moment};
use super::reader::Reader;
use super::record::{RECORD_BYTES, Record};
use crate::base::clock::Wall;

/// So many records at the beginning tell the usual interval.
const RECORDS_LOOKED_AT: usize = 101;
/// What is taken for the interval of a recording that has none: it holds one record, or all of one moment.
const INTERVAL_ASSUMED: Duration = Duration::from_secs(1);

/// A recording's span. Shown as a sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// Whole records, at least one.
    pub records: u64,
    /// The time of the first, in seconds since 1970.
    pub first_s: f64,
    /// The time of the last.
    pub last_s: f64,
    /// What usually lies between two.
    pub interval: Duration,
    /// Bytes of a record at the end that was cut short.
    pub torn_bytes: u64,
}

/// Looks at the beginning and at the end of the file at `path`.
///
/// # Errors
/// When it is no recording, holds nothing, or is wrong at one of the places that are looked at.
pub fn survey(path: &Path) -> Result<Survey, RecordingError> {
    // a pipe would wait for its writer
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(RecordingError::NoFile);
    }
    let mut file = File::open(path)?;
    let begin = first_times(&file)?;
    let first_s = *begin.first().ok_or(RecordingError::Empty)?;
    let [header_bytes, record_bytes] = [HEADER_BYTES, RECORD_BYTES].map(|bytes| bytes as u64);
    let bytes = metadata.len().saturating_sub(header_bytes);
    let (records, torn_bytes) = (bytes / record_bytes, bytes % record_bytes);
    let last_s = last_time(&mut file, header_bytes + records.saturating_sub(1) * record_bytes)?;
    if !is_moment(last_s) {
        return Err(RecordingError::Time { record: records, found: last_s });
    }
    if last_s < first_s {
        return Err(RecordingError::Backwards { record: records, found: last_s, before: first_s });
    }
    Ok(Survey { records, first_s, last_s, interval: usual_interval(&begin), torn_bytes })
}

fn first_times(file: &File) -> Result<Vec<f64>, RecordingError> {
    let mut reader = Reader::new(BufReader::new(file))?;
    let mut times = Vec::with_capacity(RECORDS_LOOKED_AT);
    while times.len() < RECORDS_LOOKED_AT
        && let Some(record) = reader.next_record()?
    {
        times.push(record.time_s);
    }
    Ok(times)
}

fn last_time(file: &mut File, position: u64) -> Result<f64, RecordingError> {
    let mut bytes = [0; RECORD_BYTES];
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(&mut bytes)?;
    Ok(Record::decode(&bytes).time_s)
}

/// The median: a gap or two do not count.
fn usual_interval(times: &[f64]) -> Duration {
    let mut intervals: Vec<f64> =
        times.iter().zip(times.iter().skip(1)).map(|(before, after)| after - before).collect();
    intervals.sort_by(f64::total_cmp);
    let median = intervals.get(intervals.len() / 2).and_then(|&median_s| Duration::try_from_secs_f64(median_s).ok());
    median.filter(|median| !median.is_zero()).unwrap_or(INTERVAL_ASSUMED)
}

impl Survey {
    /// From the first record to the last.
    pub fn span(&self) -> Duration {
        Duration::try_from_secs_f64(self.last_s - self.first_s).unwrap_or_default()
    }
}

/// `3600 records over 59m 59s, from 2026-11-22T19:55:31.250Z on`
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = if self.records == 1 { "record" } else { "records" };
        let span = humantime::format_duration(Duration::from_secs(self.span().as_secs()));
        write!(f, "{} {records} over {span}, from {} on", self.records, moment(self.first_s))?;
        match self.torn_bytes {
            0 => Ok(()),
            bytes => write!(f, "; it was cut short, and {bytes} bytes of one more are left out"),
        }
    }
}

/// A moment of a recording, as a date.
fn moment(seconds: f64) -> Wall {
    let since_epoch = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Wall::from_unix_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::*;

    fn survey_of(times: &[f64], torn: usize) -> Result<Survey, RecordingError> {
        let records = times.iter().flat_map(|&time_s| Record { time_s, ..Record::default() }.encode());
        let header = Header { start_s: 1_795_377_331.0 }.encode();
        let bytes: Vec<u8> = header.into_iter().chain(records).chain(std::iter::repeat_n(0, torn)).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        survey(file.path())
    }

    #[test]
    fn span_and_usual_interval_are_told_and_a_torn_record_too() {
        let start = 1_795_377_331.25;
        let found = survey_of(&[start, start + 0.5, start + 1.0, start + 61.0], 12).unwrap();
        assert_eq!((found.records, found.interval, found.torn_bytes), (4, Duration::from_millis(500), 12));
        let expected = "4 records over 1m 1s, from 2026-11-22T19:55:31.250Z on; it was cut short, and 12 bytes of one \
                        more are left out";
        assert_eq!(found.to_string(), expected);
        assert_eq!(survey_of(&[start], 0).unwrap().interval, Duration::from_secs(1));
    }

    #[test]
    fn time_that_is_no_date_is_refused_wherever_it_is_looked_at() {
        assert!(survey_of(&[1e11], 0).unwrap().to_string().ends_with("from 5138-11-16T09:46:40.000Z on"));
        // the first second of the year 10000, which has no date here
        let many: Vec<f64> = (1..=200).map(f64::from).chain([253_402_300_800.0]).collect();
        for (times, record) in [(&[253_402_300_800.0][..], 1), (&many, 201)] {
            let error = survey_of(times, 0).unwrap_err().to_string();
            assert_eq!(error, format!("record {record} is of 253402300800, seconds since 1970 are expected"));
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        let check = |times: &[f64], torn, expected| {
            assert_eq!(survey_of(times, torn).unwrap_err().to_string(), expected);
        };
        check(&[], 0, "holds no record");
        check(&[], 135, "holds no record");
        let many: Vec<f64> = (1..=200).map(f64::from).chain([0.5]).collect();
        check(&many, 0, "record 201 is of 0.5, which is before 1: times that do not go back are expected");
        assert_eq!(survey(Path::new("/")).unwrap_err().to_string(), "is no regular file");
        assert!(survey(Path::new("/nowhere")).unwrap_err().to_string().starts_with("cannot be read: "));
    }
}
