//! A password that nobody has thought of.

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};

use crate::base::secret::Secret;

/// 32 characters of which none is taken for another, so that a byte chooses without a bias: five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters, without the dashes: 100 bits.
const LENGTH: usize = 20;
/// Characters between two dashes, which help whoever has to type it.
const GROUP: usize = 5;

/// `k7m2x-…`, from the system's random numbers.
///
/// # Errors
/// When the system has none.
pub(super) fn generate() -> anyhow::Result<Secret> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(Secret::new(spell(&bytes)))
}

fn spell(bytes: &[u8]) -> String {
    let group = |bytes: &[u8]| -> String { bytes.iter().map(|byte| letter(*byte)).collect() };
    bytes.chunks(GROUP).map(group).collect::<Vec<_>>().join("-")
}

fn letter(byte: u8) -> char {
    ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().map_or('a', char::from)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_letter_has_its_byte_and_groups_are_parted() {
        let all: Vec<u8> = (0..=255).collect();
        let letters: HashSet<_> = spell(&all).chars().filter(|letter| *letter != '-').collect();
        assert_eq!(letters.len(), 32);
        assert!("0O1lIo".chars().all(|letter| !letters.contains(&letter)));
        assert_eq!(spell(&[0, 1, 2, 3, 4, 31, 32, 33]), "abcde-9ab");
    }

    #[test]
    fn no_two_are_alike() {
        let passwords: HashSet<_> = (0..50).map(|_| generate().unwrap().reveal().to_owned()).collect();
        assert_eq!(passwords.len(), 50);
        assert!(passwords.iter().all(|password| password.len() == 23));
    }
}
