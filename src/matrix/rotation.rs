//! Which way up the HAT lies.

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
