//! The five keys of the stick.

use serde::Serialize;

/// Where the stick is pushed; its number is the kernel's code of the key that it reports (`linux/input-event-codes.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// `KEY_UP`.
    Up = 103,
    /// `KEY_DOWN`.
    Down = 108,
    /// `KEY_LEFT`.
    Left = 105,
    /// `KEY_RIGHT`.
    Right = 106,
    /// `KEY_ENTER`: pressed like a button.
    Middle = 28,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Up, Self::Down, Self::Left, Self::Right, Self::Middle];

    /// The kernel's code of the key.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The direction of a key; `None` for one that the stick does not have.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_is_found_by_its_code_and_no_other_key_is_one() {
        let known: Vec<_> = (0..=u16::MAX).filter_map(Direction::from_code).collect();
        assert_eq!(known, [Direction::Middle, Direction::Up, Direction::Left, Direction::Right, Direction::Down]);
    }
}
