//! Bytes of connections that have not logged in: limited for each connection, and counted over all of them.
//!
//! What a peer sends before it has logged in costs memory in TLS, WebSocket, a partial packet or a CONNECT that waits
//! for its verification. Every byte counts until the login, wherever it is. When all connections together exceed their
//! limit, the one with the most bytes is closed: clients that send an ordinary CONNECT are spared.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes that a connection may send beside its CONNECT before it has logged in: the handshakes of TLS, with the
/// client's certificates, and of WebSocket, and what is read ahead.
const LAYERS_BYTES_MAX: usize = 64 * 1024;

/// The limits, and the sum of all connections.
#[derive(Debug)]
pub(super) struct LoginBudget {
    /// Bytes of one connection.
    bytes_max: usize,
    /// Bytes of all connections.
    total_bytes_max: usize,
    total: AtomicUsize,
}

/// Counts the bytes of one connection until it has logged in. TLS handshakes run on other threads, hence the atomics.
#[derive(Debug)]
pub(super) struct LoginMeter {
    budget: Arc<LoginBudget>,
    bytes: AtomicUsize,
    is_closed: AtomicBool,
}

impl LoginBudget {
    /// Limits a CONNECT to `login_bytes_max`, and all connections before their login to `total_bytes_max`.
    pub(super) fn new(login_bytes_max: usize, total_bytes_max: usize) -> Arc<Self> {
        let bytes_max = login_bytes_max.saturating_add(LAYERS_BYTES_MAX);
        Arc::new(Self { bytes_max, total_bytes_max, total: AtomicUsize::new(0) })
    }

    /// Returns whether all connections together have more bytes than they may.
    pub(super) fn is_exceeded(&self) -> bool {
        self.total.load(Ordering::Relaxed) > self.total_bytes_max
    }
}

impl LoginMeter {
    pub(super) fn new(budget: &Arc<LoginBudget>) -> Arc<Self> {
        Arc::new(Self { budget: budget.clone(), bytes: AtomicUsize::new(0), is_closed: AtomicBool::new(false) })
    }

    /// Counts bytes that came.
    ///
    /// # Errors
    /// `InvalidData` when the connection has sent more than it may before its login.
    pub(super) fn charge(&self, bytes: usize) -> io::Result<()> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.budget.total.fetch_add(bytes, Ordering::Relaxed);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.budget.bytes_max {
            let text = "more bytes before the login than broker.limits.login_size allows";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(())
    }

    /// Returns the bytes that count now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Ends the count: the connection has logged in, or is gone.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.budget.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for LoginMeter {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_limited_until_its_login() {
        let budget = LoginBudget::new(100_000, usize::MAX);
        let meter = LoginMeter::new(&budget);
        assert!(meter.charge(100_000 + LAYERS_BYTES_MAX).is_ok());
        assert_eq!(meter.charge(1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        meter.close();
        assert!(meter.charge(1 << 30).is_ok());
        assert_eq!((meter.bytes(), budget.total.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn all_connections_are_counted_until_they_have_logged_in_or_are_gone() {
        let budget = LoginBudget::new(100_000, 1000);
        let meters = [LoginMeter::new(&budget), LoginMeter::new(&budget)];
        for meter in &meters {
            assert!(meter.charge(500).is_ok());
        }
        assert!(!budget.is_exceeded());
        assert!(meters[0].charge(1).is_ok());
        assert!(budget.is_exceeded());
        let [first, second] = meters;
        first.close();
        assert_eq!(budget.total.load(Ordering::Relaxed), 500);
        drop(second);
        assert_eq!(budget.total.load(Ordering::Relaxed), 0);
    }
}
