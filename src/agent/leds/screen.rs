//! The framebuffer that may be absent, fail and come back; written only when the frame is another one.

use std::path::PathBuf;
use std::time::Duration;

use super::report::Health;
use crate::base::backoff::Backoff;
use crate::base::clock::Monotonic;
use crate::matrix::{Frame, Framebuffer, FramebufferError, Gamma};

/// Waits between two looks for a matrix.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Between two looks whether it is still there: it is not written to while the picture stays.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Where frames are shown, or would be.
#[derive(Debug)]
pub(super) struct Screen {
    root: PathBuf,
    stage: Stage,
    backoff: Backoff,
}

#[derive(Debug)]
enum Stage {
    /// Not there: why, and when it is looked for again.
    Waiting(Health, Monotonic),
    /// Open, what it shows (`None`: what it showed before), and when to look whether it is still there.
    Open(Framebuffer, Option<(Frame, Gamma)>, Monotonic),
}

impl Screen {
    /// The matrix of the machine whose files are below `root`; looked for now.
    pub(super) fn open(root: PathBuf, now: Monotonic, seed: u64) -> Self {
        let unknown = Health::Absent(String::new());
        let mut screen =
            Self { root, stage: Stage::Waiting(unknown, now), backoff: Backoff::new(WAITS.0, WAITS.1, seed) };
        screen.look(now);
        screen
    }

    /// Shows a frame where there is a matrix. Looks for one where there is none and it is time to.
    pub(super) fn show(&mut self, frame: &Frame, gamma: Gamma, now: Monotonic) {
        if self.next_deadline() <= now {
            self.look(now);
        }
        let Stage::Open(framebuffer, shown, _) = &mut self.stage else { return };
        let wanted = Some((*frame, gamma));
        if *shown == wanted {
            return;
        }
        match framebuffer.show(frame, gamma) {
            Ok(()) => {
                *shown = wanted;
                self.backoff.reset();
            }
            Err(error) => self.wait(&error, now),
        }
    }

    pub(super) fn health(&self) -> Health {
        match &self.stage {
            Stage::Waiting(health, _) => health.clone(),
            Stage::Open(..) => Health::Ok,
        }
    }

    /// When a matrix that is not there is looked for again, or one that is there looked at.
    pub(super) fn next_deadline(&self) -> Monotonic {
        match &self.stage {
            Stage::Waiting(_, deadline) | Stage::Open(_, _, deadline) => *deadline,
        }
    }

    fn look(&mut self, now: Monotonic) {
        if let Stage::Open(framebuffer, _, check_at) = &mut self.stage
            && framebuffer.is_there()
        {
            *check_at = now + CHECK_INTERVAL;
            return;
        }
        match Framebuffer::open(&self.root) {
            Ok(framebuffer) => self.stage = Stage::Open(framebuffer, None, now + CHECK_INTERVAL),
            Err(error) => self.wait(&error, now),
        }
    }

    fn wait(&mut self, error: &FramebufferError, now: Monotonic) {
        self.stage = Stage::Waiting(Health::of(error), now + self.backoff.next_wait());
    }
}
