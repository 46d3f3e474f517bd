//! Ctrl-C: at once while questions are asked, and never between the first and the last file of a change.

use std::io::{self, Write};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a process that a signal ended exits with, less the signal (as shells have it).
const EXIT_SIGNAL: i32 = 128;

/// Ends the process for SIGINT, SIGTERM and SIGHUP, but not while somebody [holds](Self::hold) it.
pub(super) struct Interrupts(Arc<Mutex<()>>);

impl Interrupts {
    /// Watches from now on, on a thread of its own that ends with the process.
    ///
    /// # Errors
    /// When the system gives no signals or no thread.
    pub(super) fn watch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = runtime.block_on(async { Signals::new() })?;
        let busy = Arc::new(Mutex::new(()));
        let held = Arc::clone(&busy);
        thread::Builder::new().name("signals".into()).spawn(move || {
            let number = runtime.block_on(signals.next());
            let _over = held.lock().unwrap_or_else(PoisonError::into_inner);
            // the shell's prompt begins a line of its own
            let _ = writeln!(io::stderr());
            process::exit(EXIT_SIGNAL + number);
        })?;
        Ok(Self(busy))
    }

    /// Until the guard is dropped, signals wait.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Signals([(Signal, SignalKind); 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let one = |kind| Ok::<_, io::Error>((signal(kind)?, kind));
        Ok(Self([one(SignalKind::interrupt())?, one(SignalKind::terminate())?, one(SignalKind::hangup())?]))
    }

    /// The number of the first that comes.
    async fn next(&mut self) -> i32 {
        let [(first, a), (second, b), (third, c)] = &mut self.0;
        let kind = tokio::select! {
            _ = first.recv() => a,
            _ = second.recv() => b,
            _ = third.recv() => c,
        };
        kind.as_raw_value()
    }
}
