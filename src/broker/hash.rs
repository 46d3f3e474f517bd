//! Hashes of texts that peers choose.
//!
//! A peer that knows the hash function can choose texts with equal hashes, which make a table as slow as a list. So the
//! keys of such tables carry hashes that [`TextHash`] computes with secret numbers only. The public constants that
//! foldhash uses otherwise would do as little as a public seed: a block of text that equals such a constant turns the
//! hash into zero, whatever the seed is.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

use crate::mqtt::TopicFilter;

/// A hash function with a seed of its own.
#[derive(Debug)]
pub(super) struct TextHash {
    constants: SharedSeed,
    start: u64,
    /// Bits that may differ between hashes.
    #[cfg(test)]
    mask: u64,
}

impl TextHash {
    /// Derives the function from `seed`; equal seeds give equal functions.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            constants: SharedSeed::from_u64(random.u64(..)),
            start: random.u64(..),
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    /// Returns a function of which many texts have the same hash.
    #[cfg(test)]
    pub(super) fn colliding() -> Self {
        Self { mask: 1, ..Self::new(1) }
    }

    /// Returns the hash of `text`.
    pub(super) fn of(&self, text: &str) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.start, &self.constants);
        hasher.write(text.as_bytes());
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }
}

/// The hash function of a table whose keys carry their hashes.
pub(super) type CarriedHash = BuildHasherDefault<CarriedHasher>;

/// Returns the `u64` that was written.
#[derive(Debug, Default)]
pub(super) struct CarriedHasher(u64);

impl Hasher for CarriedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Releases memory of a table that is less than a quarter full.
pub(super) fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V, CarriedHash>) {
    if table.len() * 4 < table.capacity() {
        table.shrink_to(table.len() * 2);
    }
}

/// A topic filter with its hash.
#[derive(Debug)]
pub(super) struct HashedFilter {
    hash: u64,
    filter: TopicFilter,
}

impl HashedFilter {
    /// Hashes `filter`.
    pub(super) fn new(filter: TopicFilter, hash: &TextHash) -> Self {
        Self { hash: hash.of(filter.as_str()), filter }
    }
}

impl Hash for HashedFilter {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl PartialEq for HashedFilter {
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter
    }
}

impl Eq for HashedFilter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_hashes_and_others_do_not() {
        let hash = TextHash::new(7).of("sensors/temperature");
        assert_eq!(TextHash::new(7).of("sensors/temperature"), hash);
        assert_ne!(TextHash::new(8).of("sensors/temperature"), hash);
        assert_ne!(TextHash::new(7).of("sensors/temperatura"), hash);
    }
}
