//! Which way up the HAT lies.

use serde::{Serialize, Serializer};

/// A clockwise turn of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// As the board is printed: the top is where the pins are.
    #[default]
    None,
    /// A quarter: the picture's top is on the right.
    Quarter,
    /// Upside down.
    Half,
    /// Three quarters: the picture's top is on the left.
    ThreeQuarters,
}

impl Rotation {
    /// All of them, by increasing degrees.
    pub const ALL: [Self; 4] = [Self::None, Self::Quarter, Self::Half, Self::ThreeQuarters];

    /// Clockwise degrees: 0, 90, 180 or 270.
    pub const fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }

    /// The rotation by these degrees.
    pub fn from_degrees(degrees: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|rotation| u64::from(rotation.degrees()) == degrees)
    }
}

/// The degrees.
impl Serialize for Rotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.degrees().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_quarters_in_degrees() {
        for rotation in Rotation::ALL {
            assert_eq!(Rotation::from_degrees(rotation.degrees().into()), Some(rotation));
        }
        assert_eq!(Rotation::from_degrees(360), None);
    }
}
