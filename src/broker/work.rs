//! Work that one input causes and that is too long for one turn: it is done in slices, and other inputs are handled
//! between them.

use super::machine::Broker;
use super::session::SessionKey;
use crate::base::clock::Monotonic;
use crate::mqtt::ClientId;

/// What one slice may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    /// Steps: a subscription removed, a delivery given to another session, a retained message visited.
    pub(super) steps_max: usize,
    /// Bytes of retained messages; the next slice waits until the server has sent them. A single message may be larger.
    pub(super) bytes_max: usize,
}

impl Slice {
    /// Some hundred microseconds on a slow processor.
    pub(super) const DEFAULT: Self = Self { steps_max: 256, bytes_max: 32 * 1024 };
}

/// Work that has to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// To end the session of this client.
    EndSession(ClientId),
    /// To find messages of shared subscriptions that the session has given up.
    LeaveGroups(SessionKey),
    /// To send retained messages to the session.
    Replay(SessionKey),
}

impl Broker {
    /// Returns whether [`Broker::handle_work`] has something to do.
    pub fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Does one slice of the work that waits. Takes turns between several pieces of work.
    pub fn handle_work(&mut self, now: Monotonic) {
        self.now = now;
        match self.work.pop_front() {
            Some(Work::EndSession(client_id)) => self.continue_session_end(&client_id),
            Some(Work::LeaveGroups(session)) => self.continue_leaving(session),
            Some(Work::Replay(session)) => self.continue_queued_replays(session),
            None => {}
        }
    }
}
