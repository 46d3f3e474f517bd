//! Proof of life: a loop marks that it goes on, and somebody else looks how long ago that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Monotonic;

/// When a loop last went on. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Milliseconds since boot.
    marked_ms: Arc<AtomicU64>,
}

impl Progress {
    /// A loop that goes on at `now`.
    pub fn new(now: Monotonic) -> Self {
        Self { marked_ms: Arc::new(AtomicU64::new(now.since_boot_ms())) }
    }

    /// The loop goes on.
    pub fn mark(&self, now: Monotonic) {
        self.marked_ms.store(now.since_boot_ms(), Ordering::Relaxed);
    }

    /// How long ago the last mark was.
    pub fn age(&self, now: Monotonic) -> Duration {
        let marked = Duration::from_millis(self.marked_ms.load(Ordering::Relaxed));
        now.since(Monotonic::from_boot(marked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_the_latest_mark_of_any_clone() {
        let progress = Progress::new(Monotonic::ZERO);
        progress.clone().mark(Monotonic::from_boot(Duration::from_secs(5)));
        assert_eq!(progress.age(Monotonic::from_boot(Duration::from_secs(7))), Duration::from_secs(2));
    }
}
