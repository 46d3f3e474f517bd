//! Life and death of the process: systemd's notifications, and panics that end everything.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;

use crate::base::clock::{self, Monotonic};
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

/// Descriptors that the process needs beside those of its connections: listeners, bus, files, the runtime.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit on open files as far as `connections` need it and the hard limit lets it.
pub(super) fn allow_open_files(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    if limit.current.is_none_or(|current| current >= raised) {
        return;
    }
    if let Err(cause) = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        tracing::warn!(%cause, "the limit on open files stays as it is");
    } else if raised < wanted {
        tracing::warn!("at most {raised} files may be open, which is less than broker.limits.connections asks for");
    }
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
        if self.deserves_food(loops, clock::monotonic()) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn deserves_food(&self, loops: &[Progress], now: Monotonic) -> bool {
        loops.iter().all(|progress| progress.age(now) < self.timeout / 2)
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(states) {
        tracing::debug!(%cause, "systemd was not told");
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{self, Command};
    use std::thread;
    use std::time::Duration;

    use super::{Monotonic, Progress, Watchdog};

    /// SIGABRT on every architecture that Linux has.
    const ABORTED: i32 = 6;
    /// Set for the process that is to die.
    const MARK: &str = "SENSEGATE_TEST_PANIC";

    /// In a process of its own: one thread panics, another would go on and end it with success.
    fn panic_beside_a_thread_that_goes_on() {
        super::end_with_the_first_panic();
        let panicked = thread::spawn(|| panic!("on purpose")).join();
        println!("the other thread goes on: {}", panicked.is_err());
        process::exit(0);
    }

    #[test]
    fn one_loop_that_stands_still_for_half_the_timeout_starves_the_watchdog() {
        let at = |seconds| Monotonic::from_boot(Duration::from_secs(seconds));
        let watchdog = Watchdog { timeout: Duration::from_secs(60) };
        let loops = [Progress::new(at(0)), Progress::new(at(0))];
        assert!(watchdog.deserves_food(&loops, at(29)));
        loops[0].mark(at(29));
        assert!(!watchdog.deserves_food(&loops, at(30)));
        loops[1].mark(at(30));
        assert!(watchdog.deserves_food(&loops, at(31)));
    }

    #[test]
    fn a_panic_in_any_thread_ends_the_whole_process() {
        if env::var_os(MARK).is_some() {
            return panic_beside_a_thread_that_goes_on();
        }
        let (_crate, room) = module_path!().split_once("::").unwrap();
        let name = format!("{room}::a_panic_in_any_thread_ends_the_whole_process");
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.args(["--exact", &name, "--nocapture"]).env(MARK, "").output().unwrap();
        assert_eq!(output.status.signal(), Some(ABORTED), "{output:?}");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(err.contains("on purpose"), "the panic is printed first: {err}");
        assert!(!out.contains("goes on"), "{out}");
    }
}
