//! What waits for a session by shared subscriptions that it has given up goes to other members of these groups, in
//! slices: first what is in memory, then what only the disk holds.

use super::machine::Broker;
use super::message::Delivery;
use super::session::{Session, SessionKey};
use super::work::Work;

/// How far the part of a queue that only the disk holds was searched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leaving {
    /// The arrival number up to which it was searched.
    after: u64,
    /// Whether a part is being loaded for the search.
    pub(super) is_loading: bool,
}

impl Session {
    /// Returns whether a delivery comes by a shared subscription that the session does not have any more.
    fn has_left(&self, delivery: &Delivery) -> bool {
        delivery.share().is_some_and(|filter| !self.subscriptions.contains_key(filter))
    }
}

impl Broker {
    /// Starts to look for deliveries of shared subscriptions that the session has given up.
    pub(super) fn leave_groups(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.has_shared) else { return };
        let earlier = session.leaving.take().unwrap_or_default();
        session.leaving = Some(Leaving { after: 0, ..earlier });
        self.work.push_back(Work::LeaveGroups(key));
    }

    /// Continues a search that a restart has interrupted, where memory holds deliveries that it would find. Those that
    /// only the disk holds are found when they are loaded.
    pub(super) fn restore_leaving(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key).filter(|session| session.has_shared) else { return };
        if session.queue.any(|delivery| session.has_left(delivery)) {
            self.leave_groups(key);
        }
    }

    /// Does one slice of the search.
    pub(super) fn continue_leaving(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(leaving) = session.leaving else { return };
        let mut queue = std::mem::take(&mut session.queue);
        let left = queue.extract_up_to(self.slice.steps_max, |delivery| session.has_left(delivery));
        session.queue = queue;
        if !left.is_empty() {
            self.work.push_back(Work::LeaveGroups(key));
            return self.give_away(key, left);
        }
        match session.queue.stored() {
            None => session.leaving = None,
            // continued when the part was loaded
            Some((_, true)) => {}
            Some(_) if leaving.is_loading => {}
            Some((after, false)) => {
                let after = after.max(leaving.after);
                session.leaving = Some(Leaving { after, is_loading: true });
                let client_id = session.client_id.clone();
                self.request_load(client_id, after);
            }
        }
    }

    /// Searches a part of the queue that was loaded for this. The other deliveries stay on the disk.
    pub(super) fn search_loaded(&mut self, key: SessionKey, deliveries: Vec<Delivery>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let last = deliveries.last().map(|delivery| delivery.arrival);
        session.leaving = last.map(|after| Leaving { after, is_loading: false });
        let left: Vec<_> = deliveries.into_iter().filter(|delivery| session.has_left(delivery)).collect();
        session.queue.forget_stored(&left);
        self.give_away(key, left);
        if last.is_some() {
            self.work.push_back(Work::LeaveGroups(key));
        }
    }

    /// Takes those out of loaded deliveries that the session does not get any more, and gives them to others.
    pub(super) fn filter_loaded(&mut self, key: SessionKey, deliveries: &mut Vec<Delivery>) -> Vec<Delivery> {
        let Some(session) = self.sessions.get(key).filter(|session| session.has_shared) else { return Vec::new() };
        deliveries.extract_if(.., |delivery| session.has_left(delivery)).collect()
    }

    /// Gives deliveries of this session to other members of their groups.
    pub(super) fn give_away(&mut self, key: SessionKey, deliveries: Vec<Delivery>) {
        let Some(session) = self.sessions.get(key) else { return };
        let held_until = session.held_until;
        for delivery in deliveries {
            self.dequeued(key, delivery.arrival);
            self.reassign(delivery, held_until);
        }
    }
}
