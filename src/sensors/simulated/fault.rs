//! What can go wrong, by name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::sensors::chip::Chip;

/// A fault of the simulated HAT. Its text form, `nack 0x5f` for example, is what [`FromStr`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `nack 0x5f`: nobody answers at the address.
    NoAcknowledge {
        /// Seven bits.
        address: u8,
    },
    /// `hang 1s`: each transaction times out after so long.
    Hang {
        /// What the delay hook is called with.
        duration: Duration,
    },
    /// `stuck-low`: the data line is held down, so that every address is acknowledged and every bit read is zero.
    StuckLow,
    /// `stuck hts221`: the chip answers and stops converting; outputs stay, status bits stay cleared.
    StuckOutput {
        /// Which one.
        chip: Chip,
    },
    /// `zero-calibration`: the HTS221's calibration reads as zeros.
    ZeroCalibration,
    /// `flat-calibration`: both points of each line of the HTS221 have one count.
    FlatCalibration,
    /// `out-of-range lps25h`: the chip converts to counts that it cannot mean.
    OutOfRange {
        /// Which one.
        chip: Chip,
    },
    /// `damaged`: the LPS25H converts to 760.0 hPa for ever.
    DamagedElement,
    /// `identity 0x5f 0x00`: the chip at the address says it is another.
    WrongIdentity {
        /// Seven bits.
        address: u8,
        /// What `WHO_AM_I` reads.
        value: u8,
    },
    /// `reset lps25h`: the chip falls back into its power-on state, once.
    Reset {
        /// Which one.
        chip: Chip,
    },
    /// `unplugged`: nobody answers at all, and the power is gone.
    Unplugged,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAcknowledge { address } => write!(f, "nack 0x{address:02x}"),
            Self::Hang { duration } => {
                write!(f, "hang {}", humantime::format_duration(*duration).to_string().replace(' ', ""))
            }
            Self::StuckLow => f.write_str("stuck-low"),
            Self::StuckOutput { chip } => write!(f, "stuck {}", chip.name()),
            Self::ZeroCalibration => f.write_str("zero-calibration"),
            Self::FlatCalibration => f.write_str("flat-calibration"),
            Self::OutOfRange { chip } => write!(f, "out-of-range {}", chip.name()),
            Self::DamagedElement => f.write_str("damaged"),
            Self::WrongIdentity { address, value } => write!(f, "identity 0x{address:02x} 0x{value:02x}"),
            Self::Reset { chip } => write!(f, "reset {}", chip.name()),
            Self::Unplugged => f.write_str("unplugged"),
        }
    }
}

/// Text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fault: expected `nack 0x5f`, `hang 1s`, `stuck-low`, `stuck CHIP`, `zero-calibration`, `flat-calibration`, \
     `out-of-range CHIP`, `damaged`, `identity 0x5f 0x00`, `reset CHIP` or `unplugged`, CHIP being hts221 or lps25h"
)]
pub struct UnknownFault(pub String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        decode(&words).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

fn decode(words: &[&str]) -> Option<Fault> {
    Some(match words {
        ["nack", address] => Fault::NoAcknowledge { address: decode_byte(address)? },
        ["hang", duration] => Fault::Hang { duration: humantime::parse_duration(duration).ok()? },
        ["stuck-low"] => Fault::StuckLow,
        ["stuck", chip] => Fault::StuckOutput { chip: chip.parse().ok()? },
        ["zero-calibration"] => Fault::ZeroCalibration,
        ["flat-calibration"] => Fault::FlatCalibration,
        ["out-of-range", chip] => Fault::OutOfRange { chip: chip.parse().ok()? },
        ["damaged"] => Fault::DamagedElement,
        ["identity", address, value] => {
            Fault::WrongIdentity { address: decode_byte(address)?, value: decode_byte(value)? }
        }
        ["reset", chip] => Fault::Reset { chip: chip.parse().ok()? },
        ["unplugged"] => Fault::Unplugged,
        _ => return None,
    })
}

fn decode_byte(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_that_reads_as_itself() {
        let faults = [
            Fault::NoAcknowledge { address: 0x5c },
            Fault::Hang { duration: Duration::from_millis(1500) },
            Fault::StuckLow,
            Fault::StuckOutput { chip: Chip::Hts221 },
            Fault::ZeroCalibration,
            Fault::FlatCalibration,
            Fault::OutOfRange { chip: Chip::Lps25h },
            Fault::DamagedElement,
            Fault::WrongIdentity { address: 0x5f, value: 0x00 },
            Fault::Reset { chip: Chip::Lps25h },
            Fault::Unplugged,
        ];
        for fault in faults {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn unknown_name_is_answered_with_the_names_there_are() {
        for text in ["", "nack", "nack 5f", "stuck bme280", "hang never", "unplugged 1"] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("zero-calibration"), "{error}");
        }
    }
}
