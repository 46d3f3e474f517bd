//! By how much the wall clock of each boot is ahead of its monotonic clock, once that is known. It dates samples that
//! were taken before it was, also after further boots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::base::clock::{Monotonic, Wall};
use crate::base::keep::{self, KeepError};

/// Boots that are remembered; the oldest go. A backlog that holds more boots than that dates the rest as unknown.
const BOOTS_MAX: usize = 256;

/// The offsets, in a small file that is written once a boot.
#[derive(Clone, Debug)]
pub struct Boots {
    path: Option<PathBuf>,
    current: Box<str>,
    book: Book,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// Boot to milliseconds between its start and 1970.
    offsets_ms: BTreeMap<Box<str>, i64>,
    /// The boots in the order in which their offset became known.
    order: Vec<Box<str>>,
}

impl Boots {
    /// Nothing known, nothing kept: for tests and tools.
    pub fn unkept(current: &str) -> Self {
        Self { path: None, current: current.into(), book: Book::default() }
    }

    /// Reads the file; one that is not there is empty. `current` is this boot's identifier.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn load(path: &Path, current: &str) -> Result<Self, KeepError> {
        Ok(Self { path: Some(path.to_owned()), current: current.into(), book: keep::load(path)?.unwrap_or_default() })
    }

    /// The same book in the next boot.
    #[cfg(test)]
    pub(super) fn in_boot(self, current: &str) -> Self {
        Self { current: current.into(), ..self }
    }

    /// This boot's identifier.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The moment `monotonic_ms` of `boot` by the wall clock, if it is known.
    pub(super) fn time_ms(&self, boot: &str, monotonic_ms: u64) -> Option<i64> {
        let offset_ms = self.book.offsets_ms.get(boot)?;
        Some(offset_ms.saturating_add(i64::try_from(monotonic_ms).unwrap_or(i64::MAX)))
    }

    /// The wall clock is right: this boot's offset is known from now on. The first one counts, so that samples taken
    /// before it keep their distances.
    pub fn handle_synchronised(&mut self, monotonic: Monotonic, wall: Wall) {
        if self.book.offsets_ms.contains_key(&self.current) {
            return;
        }
        let since_boot_ms = i64::try_from(monotonic.since_boot().as_millis()).unwrap_or(i64::MAX);
        self.book.offsets_ms.insert(self.current.clone(), wall.unix_ms().saturating_sub(since_boot_ms));
        self.book.order.push(self.current.clone());
        let over = self.book.order.len().saturating_sub(BOOTS_MAX);
        for boot in self.book.order.drain(..over) {
            self.book.offsets_ms.remove(&boot);
        }
        if let Some(path) = &self.path
            && let Err(error) = keep::save(path, &self.book)
        {
            warn!("samples of this boot may stay undated after the next: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn an_offset_dates_samples_of_its_boot_also_after_further_boots() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boots.json");
        let mut boots = Boots::load(&path, "one").unwrap();
        assert_eq!(boots.time_ms("one", 5000), None);
        boots.handle_synchronised(at(100), Wall::from_unix_ms(1_000_000));
        boots.handle_synchronised(at(200), Wall::from_unix_ms(9_000_000));
        assert_eq!(boots.time_ms("one", 5000), Some(905_000));

        let boots = Boots::load(&path, "two").unwrap();
        assert_eq!((boots.time_ms("one", 0), boots.time_ms("two", 0)), (Some(900_000), None));
    }

    #[test]
    fn the_oldest_boots_go() {
        let mut boots = Boots::unkept("");
        for boot in 0..=BOOTS_MAX {
            boots.current = boot.to_string().into();
            boots.handle_synchronised(at(1), Wall::from_unix_ms(1));
        }
        assert_eq!((boots.time_ms("0", 0), boots.book.order.len()), (None, BOOTS_MAX));
        assert!(boots.time_ms("1", 0).is_some());
    }
}
