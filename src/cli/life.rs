//! Life and death of the process: systemd's notifications, and panics that end everything.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::base::clock;
use crate::base::progress::Progress;

/// Lets the first panic of any thread end the process: one that lives but does not serve is worse than one that a
/// supervisor starts again.
pub(super) fn end_with_the_first_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

/// Everything is served: systemd may start what waits for it.
pub(super) fn tell_ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`tell_ready`] ends it.
pub(super) fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// systemd's watchdog, fed as long as the loops that matter go on.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Silence after which systemd ends the process.
    timeout: Duration,
}

impl Watchdog {
    /// The watchdog that systemd asks for (`WatchdogSec=`), if any.
    pub(super) fn find() -> Option<Self> {
        sd_notify::watchdog_enabled().map(|timeout| Self { timeout })
    }

    /// How often to look: three times a timeout.
    pub(super) fn interval(&self) -> Duration {
        self.timeout / 3
    }

    /// Feeds it, unless one of the loops has stood still for half the timeout.
    pub(super) fn feed(&self, loops: &[Progress]) {
        let now = clock::monotonic();
        if loops.iter().all(|progress| progress.age(now) < self.timeout / 2) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(states) {
        tracing::debug!(%cause, "systemd was not told");
    }
}
