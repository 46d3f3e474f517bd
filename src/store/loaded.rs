//! A piece of a queue that was on disk.

use crate::broker::Delivery;

/// An answer of [`Store::load`](super::Store::load).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// By arrival.
    pub deliveries: Vec<Delivery>,
    /// Arrival numbers whose message had changed on disk. They are given up with the next commit. Worth a loud line.
    pub damaged: Vec<u64>,
}
