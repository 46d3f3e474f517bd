//! A recording from its beginning to its end, one record after the other.

use std::io::{self, Read};

use super::error::RecordingError;
use super::header::{HEADER_BYTES, Header, is_moment};
use super::record::{RECORD_BYTES, Record};

/// Reads records, and holds none of them.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    /// How many records were read.
    records: u64,
    last_s: f64,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or it is of another version or machine.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut bytes = [0; HEADER_BYTES];
        match read_up_to(&mut input, &mut bytes)? {
            HEADER_BYTES => {}
            bytes => return Err(RecordingError::NoHeader { bytes }),
        }
        let header = Header::decode(bytes)?;
        Ok(Self { input, header, records: 0, last_s: f64::NEG_INFINITY })
    }

    /// The header.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The next record; `None` at the end, which is also where a record was cut short.
    ///
    /// # Errors
    /// What the system says, a record without a time, or one that goes back in time.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordingError> {
        let mut bytes = [0; RECORD_BYTES];
        if read_up_to(&mut self.input, &mut bytes)? < RECORD_BYTES {
            return Ok(None);
        }
        let record = Record::decode(&bytes);
        self.records += 1;
        self.check_time(record.time_s)?;
        self.last_s = record.time_s;
        Ok(Some(record))
    }

    fn check_time(&self, found: f64) -> Result<(), RecordingError> {
        let record = self.records;
        if !is_moment(found) {
            return Err(RecordingError::Time { record, found });
        }
        if found < self.last_s {
            return Err(RecordingError::Backwards { record, found, before: self.last_s });
        }
        Ok(())
    }
}

/// Fills `buffer` as far as there is something.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recording(times: &[f64]) -> Vec<u8> {
        let records = times.iter().flat_map(|&time_s| Record { time_s, ..Record::default() }.encode());
        Header { start_s: 1000.0 }.encode().into_iter().chain(records).collect()
    }

    fn times(bytes: &[u8]) -> Result<Vec<f64>, RecordingError> {
        let mut reader = Reader::new(bytes)?;
        let mut times = Vec::new();
        while let Some(record) = reader.next_record()? {
            times.push(record.time_s);
        }
        Ok(times)
    }

    #[test]
    fn record_that_was_cut_short_is_the_end() {
        let whole = recording(&[1000.0, 1001.0]);
        assert_eq!(times(&whole).unwrap(), [1000.0, 1001.0]);
        for cut in 1..RECORD_BYTES {
            assert_eq!(times(&whole[..whole.len() - cut]).unwrap(), [1000.0], "{cut}");
        }
        let error = times(&whole[..HEADER_BYTES - 1]).unwrap_err().to_string();
        assert!(error.starts_with("has 23 bytes, a header of 24 is expected"), "{error}");
    }

    #[test]
    fn record_that_goes_back_or_has_no_time_is_named() {
        let error = times(&recording(&[1000.0, 1000.0, 999.5])).unwrap_err().to_string();
        assert_eq!(error, "record 3 is of 999.5, which is before 1000: times that do not go back are expected");
        for wrong in [f64::NAN, f64::INFINITY, 253_402_300_800.0, 1e300] {
            let error = times(&recording(&[1000.0, wrong])).unwrap_err().to_string();
            assert!(error.starts_with("record 2 is of ") && error.ends_with("since 1970 are expected"), "{error}");
        }
        let error = times(&recording(&[-0.5])).unwrap_err().to_string();
        assert_eq!(error, "record 1 is of -0.5, seconds since 1970 are expected");
    }

    /// Gives one byte at a time, and is interrupted before each.
    struct Dripping<'a>(&'a [u8], bool);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            let one = buffer.len().min(1);
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut buffer[..one]) }
        }
    }

    #[test]
    fn pieces_make_a_whole() {
        let whole = recording(&[1000.0]);
        let mut reader = Reader::new(Dripping(&whole, false)).unwrap();
        assert_eq!(reader.next_record().unwrap(), Some(Record { time_s: 1000.0, ..Record::default() }));
        assert_eq!(reader.next_record().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..1000), has_header: bool) {
            let header = if has_header { recording(&[]) } else { Vec::new() };
            let _ = times(&[header, bytes].concat());
        }
    }
}
