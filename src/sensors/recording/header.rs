//! How a recording begins.

use super::error::RecordingError;

/// Length of the header.
pub const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 8] = *b"SENSEHAT";
const VERSION: i8 = 1;
const PADDING_BYTES: usize = 7;
/// Seconds since 1970 that a start or a record may be at: up to the year 5138, which is before the years that cannot be
/// shown, and no double that is read the wrong way round.
const MOMENT_MAX_S: f64 = 1e11;

/// The header: when the recording was begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// Seconds since 1970.
    pub start_s: f64,
}

impl Header {
    /// As it stands in the file.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let version = VERSION.to_le_bytes().into_iter().chain([0; PADDING_BYTES]);
        let fields = MAGIC.into_iter().chain(version).chain(self.start_s.to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// Reads what stands in the file.
    ///
    /// # Errors
    /// When it is no recording, or one of another version or machine.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, RecordingError> {
        let (&[magic, [version, ..], start], _) = bytes.as_chunks::<8>() else {
            return Err(RecordingError::NoHeader { bytes: bytes.len() });
        };
        if magic != MAGIC {
            return Err(RecordingError::Magic { found: magic.escape_ascii().to_string() });
        }
        match i8::from_le_bytes([version]) {
            VERSION => {}
            found => return Err(RecordingError::Version { found }),
        }
        // a date that is read the wrong way round is a tiny number, or none that is a date
        let is_date = |start_s: f64| (1.0..=MOMENT_MAX_S).contains(&start_s);
        match (f64::from_le_bytes(start), f64::from_be_bytes(start)) {
            (start_s, reversed) if !is_date(start_s) && is_date(reversed) => Err(RecordingError::BigEndian),
            (start_s, _) if is_moment(start_s) => Ok(Self { start_s }),
            (found, _) => Err(RecordingError::Start { found }),
        }
    }
}

/// Whether these are seconds since 1970 that can be shown as a date.
pub(super) fn is_moment(time_s: f64) -> bool {
    (0.0..=MOMENT_MAX_S).contains(&time_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `struct.pack('=8sb7xd', b'SENSEHAT', 1, 1795377331.25)`.
    const PACKED: [u8; HEADER_BYTES] = *b"SENSEHAT\x01\0\0\0\0\0\0\0\x00\x00\xd0,\xd2\xc0\xdaA";

    #[test]
    fn header_is_that_of_the_official_tool() {
        assert_eq!(Header { start_s: 1_795_377_331.25 }.encode(), PACKED);
        assert_eq!(Header::decode(PACKED).unwrap(), Header { start_s: 1_795_377_331.25 });
        assert_eq!(Header::decode(Header { start_s: 0.0 }.encode()).unwrap(), Header { start_s: 0.0 });
    }

    #[test]
    fn what_is_no_recording_is_named() {
        let check = |position: usize, byte: u8, expected: &str| {
            let mut bytes = PACKED;
            bytes[position] = byte;
            let error = Header::decode(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(0, b'\n', "begins with \"\\\\nENSEHAT\", \"SENSEHAT\" is expected");
        check(8, 2, "is of version 2 of the format, 1 is expected");
        check(8, 0xff, "is of version -1");
        check(23, 0xff, "seconds since 1970 are expected");
        let mut reversed = PACKED;
        reversed[16..].reverse();
        assert!(matches!(Header::decode(reversed), Err(RecordingError::BigEndian)));
    }
}
