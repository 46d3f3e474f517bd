//! How a session ends: its subscriptions are removed, and what waits for it by shared subscriptions goes to other
//! members of its groups (version 5, section 4.8.2), in slices. Messages that only the disk holds are loaded first.
//!
//! A slice records the removal from one session and the addition to another together, so that a crash in between loses
//! nothing; the end itself is recorded after the last slice. A restart finds a session that was not ended yet, and ends
//! it again.

use std::collections::VecDeque;

use super::change::Change;
use super::handle;
use super::inflight::Awaits;
use super::machine::{Broker, Disk};
use super::message::Delivery;
use super::output::{ConnectionId, Output, Ticket};
use super::session::{Session, SessionKey};
use super::work::Work;
use crate::mqtt::{ClientId, TopicFilter};

/// A session that receives nothing more, while what waits for it is given away.
#[derive(Debug)]
pub(super) struct EndedSession {
    key: SessionKey,
    is_persistent: bool,
    /// What those of its deliveries wait for that are sent only when they are durable.
    held_until: Ticket,
    /// Subscriptions that are still to be removed.
    filters: Vec<TopicFilter>,
    /// Deliveries that are to be given to other members.
    shared: VecDeque<Delivery>,
    /// What is still to be loaded; `None` when the disk holds nothing of interest.
    stored: Option<Stored>,
    /// A connection of the same client whose CONNECT waits for the end.
    waiting: Option<ConnectionId>,
}

/// The part of a queue that only the disk holds.
#[derive(Clone, Copy, Debug)]
struct Stored {
    /// The arrival number after which to load.
    after: u64,
    /// Whether a part is being loaded.
    is_loading: bool,
}

impl Broker {
    /// Ends a session. A will that waits is published [MQTT-3.1.3-9].
    pub(super) fn remove_session(&mut self, key: SessionKey) {
        self.publish_waiting_will(key);
        let Some(mut session) = self.sessions.remove(key) else { return };
        self.sessions_by_client.remove(&session.client_id);
        // what is in flight with QoS 2 may have reached the client: nobody else gets it [MQTT-4.8.2-5]
        let is_reassigned = |delivery: &Delivery, awaits| awaits == Awaits::Ack && delivery.is_shared();
        let mut shared = session.window.extract(|entry| is_reassigned(&entry.delivery, entry.awaits));
        shared.extend(session.queue.extract(Delivery::is_shared));
        let stored = session.queue.stored().filter(|_| session.has_shared);
        let ended = EndedSession {
            key,
            is_persistent: session.is_persistent(),
            held_until: session.held_until,
            filters: session.subscriptions.into_keys().collect(),
            shared: shared.into(),
            stored: stored.map(|(after, is_loading)| Stored { after, is_loading }),
            waiting: None,
        };
        self.ended.insert(session.client_id.clone(), ended);
        self.continue_session_end(&session.client_id);
    }

    /// Returns whether the table of sessions has room for one more.
    pub(super) fn has_session_room(&self) -> bool {
        self.sessions.len() + self.ended.len() < self.options.sessions_max
    }

    /// Ends the session of this user that has been without a connection for longest, if that is longer than
    /// `session_idle_min` and nothing waits for it. Sessions of internal clients stay. Returns whether there was one.
    /// Cost: all sessions.
    pub(super) fn evict_idle_session(&mut self, user: Option<&str>) -> bool {
        let idle = self.sessions.iter().filter(|(_, session)| {
            session.user.as_deref() == user
                && session.connection.is_none()
                && session.disconnected + self.options.session_idle_min <= self.now
                && session.will.is_none()
                && session.queue.is_empty()
                && session.window.size().0 == 0
                && !self.is_of_the_house(session)
        });
        let oldest = idle.min_by_key(|(_, session)| session.disconnected).map(|(key, _)| key);
        if let Some(key) = oldest {
            self.system.counters.clients_expired += 1;
            self.remove_session(key);
        }
        oldest.is_some()
    }

    /// Has a CONNECT wait until an earlier session of its client has ended. Returns whether it waits.
    pub(super) fn waits_for_session_end(&mut self, client_id: &ClientId, connection: ConnectionId) -> bool {
        let Some(ended) = self.ended.get_mut(client_id) else { return false };
        ended.waiting = Some(connection);
        true
    }

    /// Returns whether the end of a session may take more than one slice.
    pub(super) fn ends_in_slices(&self, session: &Session) -> bool {
        session.has_shared || session.subscriptions.len() > self.slice.steps_max
    }

    /// Returns whether the end of this client's session has to be written to the disk.
    pub(super) fn ends_on_disk(&self, client_id: &ClientId) -> bool {
        self.ended.get(client_id).is_some_and(|ended| ended.is_persistent)
    }

    /// Returns the connection whose CONNECT waits for the end of this client's session.
    pub(super) fn waiting_for_session_end(&self, client_id: &ClientId) -> Option<ConnectionId> {
        self.ended.get(client_id).and_then(|ended| ended.waiting)
    }

    /// Returns the connections whose CONNECT waits for the end of a session.
    pub(super) fn connections_waiting_for_session_end(&self) -> Vec<ConnectionId> {
        self.ended.values().filter_map(|ended| ended.waiting).collect()
    }

    /// Does one slice of a session's end.
    pub(super) fn continue_session_end(&mut self, client_id: &ClientId) {
        let Some(mut ended) = self.ended.remove(client_id) else { return };
        let mut steps = self.slice.steps_max;
        while steps > 0
            && let Some(filter) = ended.filters.pop()
        {
            self.subscriptions.remove(&filter, ended.key);
            steps -= 1;
        }
        while steps > 0
            && let Some(delivery) = ended.shared.pop_front()
        {
            if ended.is_persistent {
                self.persist.record(Change::Dequeued { client_id: client_id.clone(), arrival: delivery.arrival });
            }
            self.reassign(delivery, ended.held_until);
            steps -= 1;
        }
        if !ended.filters.is_empty() || !ended.shared.is_empty() {
            self.work.push_back(Work::EndSession(client_id.clone()));
        } else if let Some(stored) = &mut ended.stored {
            if !std::mem::replace(&mut stored.is_loading, true) {
                self.request_load(client_id.clone(), stored.after);
            }
        } else {
            return self.conclude_session_end(client_id, &ended);
        }
        self.ended.insert(client_id.clone(), ended);
    }

    fn conclude_session_end(&mut self, client_id: &ClientId, ended: &EndedSession) {
        if ended.is_persistent {
            self.persist.record(Change::SessionEnded { client_id: client_id.clone() });
        }
        if let Some(connection) = ended.waiting {
            handle::admit_waiting(self, connection);
        }
    }

    /// Continues the end of a session with deliveries that were loaded. Returns whether that is what they are for.
    pub(super) fn load_into_session_end(&mut self, client_id: &ClientId, deliveries: &mut Vec<Delivery>) -> bool {
        let Some(ended) = self.ended.get_mut(client_id) else { return false };
        match (&mut ended.stored, deliveries.last()) {
            (Some(stored), Some(last)) => *stored = Stored { after: last.arrival, is_loading: false },
            (stored, _) => *stored = None,
        }
        ended.shared.extend(deliveries.drain(..).filter(Delivery::is_shared));
        self.work.push_back(Work::EndSession(client_id.clone()));
        true
    }

    /// Requests deliveries of a queue that only the disk holds.
    pub(super) fn request_load(&mut self, client_id: ClientId, after: u64) {
        self.loads.push_back(Output::RequestLoad { client_id, after, count: self.options.queue_in_memory_max });
    }

    /// Refuses the CONNECT packets that wait for the end of a session, which waits for a disk that does not write.
    pub(super) fn refuse_waiting(&mut self) {
        if self.disk == Disk::Writes {
            return;
        }
        let waiting: Vec<ConnectionId> = self
            .ended
            .values_mut()
            .filter(|ended| ended.is_persistent)
            .filter_map(|ended| ended.waiting.take())
            .collect();
        for connection in waiting {
            handle::refuse_for_disk(self, connection);
        }
    }
}
