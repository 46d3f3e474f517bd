//! Who answers at the chips' addresses.

use embedded_hal::i2c::I2c;

use crate::sensors::Chip;
use crate::sensors::bus::BusError;

use super::finding::Finding;

/// `WHO_AM_I`, at one place in all chips of the family (HTS221 §7.1, LPS25H §8.2).
const WHO_AM_I: u8 = 0x0f;

/// Identities of chips that are taken for one another: the same addresses, the same makers.
const KNOWN: [(u8, &str); 9] = [
    (0xbd, "an LPS25H or LPS25HB"),
    (0xbc, "an HTS221"),
    (0xbb, "an LPS331AP"),
    (0xb1, "an LPS22HB, as on other boards"),
    (0xb3, "an LPS22HH, as on other boards"),
    (0xb4, "an LPS22DF, as on other boards"),
    (0x68, "an IMU, as on other boards"),
    (0x00, "a line held low"),
    (0xff, "a line held high"),
];

/// Reads the identity of `chip` on bus number `bus`: one transaction, and nothing is changed.
pub(super) fn check_identity<I: I2c<Error = BusError>>(i2c: &mut I, bus: u8, chip: Chip) -> Finding {
    let mut identity = [0];
    let read = i2c.write_read(chip.address(), &[WHO_AM_I], &mut identity);
    judge(bus, chip, read.map(|()| u8::from_ne_bytes(identity)))
}

fn judge(bus: u8, chip: Chip, identity: Result<u8, BusError>) -> Finding {
    let (subject, address) = (chip.title(), chip.address());
    match identity {
        Ok(found) if found == expected(chip) => {
            Finding::ok(subject, format!("answers at 0x{address:02x} with identity 0x{found:02x}"))
        }
        Ok(found) => wrong_identity(chip, found),
        Err(BusError::NoAcknowledge) => {
            let cure =
                format!("switch off, press the HAT onto all 40 pins, switch on; i2cdetect -y {bus} lists who is there");
            Finding::problem(subject, format!("nobody answers at 0x{address:02x}"), cure)
        }
        Err(error) => Finding::problem(subject, format!("at 0x{address:02x}: {error}"), ""),
    }
}

fn wrong_identity(chip: Chip, found: u8) -> Finding {
    let name = KNOWN.iter().find(|(identity, _)| *identity == found).map_or("an unknown chip", |(_, name)| name);
    let (address, expected) = (chip.address(), expected(chip));
    let text = format!("0x{address:02x} answers with identity 0x{found:02x}: {name}; expected 0x{expected:02x}");
    Finding::problem(chip.title(), text, "is this a Sense HAT, and does no other board share its bus?")
}

const fn expected(chip: Chip) -> u8 {
    match chip {
        Chip::Hts221 => 0xbc,
        Chip::Lps25h => 0xbd,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn right_identity_is_ok() {
        assert_eq!(judge(7, Chip::Hts221, Ok(0xbc)).verdict, Verdict::Ok);
        assert_eq!(judge(7, Chip::Lps25h, Ok(0xbd)).verdict, Verdict::Ok);
    }

    #[test]
    fn wrong_identity_is_named() {
        let finding = judge(7, Chip::Lps25h, Ok(0xb1));
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.text.contains("0xb1: an LPS22HB") && finding.text.contains("expected 0xbd"), "{finding}");
        assert!(judge(7, Chip::Hts221, Ok(0xbd)).text.contains("an LPS25H"));
        assert!(judge(7, Chip::Hts221, Ok(0x42)).text.contains("an unknown chip"));
    }

    #[test]
    fn silence_and_a_hanging_bus_are_problems_with_advice() {
        let silent = judge(7, Chip::Lps25h, Err(BusError::NoAcknowledge));
        assert_eq!(silent.verdict, Verdict::Problem);
        assert!(silent.cure.contains("40 pins") && silent.cure.contains("i2cdetect -y 7"), "{silent}");
        assert!(judge(7, Chip::Lps25h, Err(BusError::Timeout)).text.contains("the bus hangs"));
    }
}
