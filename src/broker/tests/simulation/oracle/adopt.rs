//! The start from what a restart found.

use super::super::super::super::state::State;
use super::super::FOREVER_S;
use super::restart::{Found, Stage};
use super::*;

impl Oracle {
    /// The broker has restarted from what is on disk, at `now`.
    pub(in super::super) fn restart(&mut self, disk: &State, now: Monotonic) {
        self.observe(disk);
        let found = self.find(disk).unwrap_or_else(|reason| panic!("after a restart: {reason}"));
        self.now = now;
        (self.is_disk_full, self.oldest_open) = (false, None);
        self.connections.clear();
        self.next_mark();
        self.adopt_copies(&found);
        self.adopt_retained(&found);
        self.adopt_sessions(&found, disk);
        self.expire();
        self.adopt_groups(&found);
        for (client, rights) in self.rights.clone().iter().enumerate() {
            if rights.back().is_some_and(|(_, rights)| rights.is_none()) {
                self.end_session(client);
            }
        }
        self.restart_replays(disk);
        self.restart_wills(disk);
        for client in self.current.keys().copied().collect::<Vec<_>>() {
            self.look_after(client);
        }
        self.review_groups(false);
    }

    fn adopt_copies(&mut self, found: &Found) {
        for (index, copy) in self.copies.iter_mut().enumerate() {
            let stage = found.copies.get(&index).copied().unwrap_or(Stage::Absent);
            copy.is_void = stage == Stage::Absent;
            copy.is_undone |= copy.is_void;
            if copy.is_void {
                continue;
            }
            (copy.is_restored, copy.is_complete, copy.sent_on) = (true, false, None);
            (copy.sent, copy.is_received, copy.is_released) = progress(stage);
        }
    }

    fn adopt_retained(&mut self, found: &Found) {
        for (topic, retained) in &mut self.retained {
            let value = found.retained.get(topic).copied();
            retained.history.adopt(value);
            retained.now = vec![value];
        }
    }

    fn adopt_sessions(&mut self, found: &Found, disk: &State) {
        self.current.clear();
        let mark = self.next_mark();
        for session in &mut self.sessions {
            let was_connected = session.connection.take().is_some();
            if was_connected {
                session.was_connected = Some(mark);
            }
            session.was_small = session.was_small.map(|small| small.min(mark));
            session.latest.clear();
            (session.will, session.is_uncertain, session.has_ended) = (None, false, true);
        }
        for client in 0..self.kept.len() {
            let terms = found.sessions.get(&client).cloned();
            self.kept[client].adopt(terms.clone());
            if let Some(terms) = terms {
                self.adopt_session(client, &terms, disk);
            }
        }
        for index in 0..self.sessions.len() {
            if self.sessions[index].has_ended {
                self.sessions[index].memberships.values_mut().flatten().for_each(|membership| {
                    membership.until.get_or_insert(mark);
                });
            }
        }
    }

    fn adopt_session(&mut self, client: usize, terms: &KeptTerms, disk: &State) {
        let state = disk.sessions.iter().find(|state| state.client_id.as_str() == format!("c{client}")).unwrap();
        let index = terms.session;
        self.current.insert(client, index);
        let mark = self.next_mark();
        let session = &mut self.sessions[index];
        (session.has_ended, session.expiry_s, session.ends) = (false, terms.expiry_s, terms.ends);
        for (filter, history) in &mut session.subscriptions {
            let on_disk = state.subscriptions.iter().find(|(other, _)| other.as_str() == filter);
            history.adopt(on_disk.map(|(_, granted)| *granted));
            let memberships = session.memberships.get_mut(filter);
            let last = memberships.and_then(|memberships| memberships.last_mut());
            match (last, on_disk) {
                (Some(last), Some((_, granted))) => (last.until, last.granted) = (None, *granted),
                (Some(last), None) => {
                    last.until.get_or_insert(mark);
                }
                (None, _) => {}
            }
        }
        for (packet_id, (history, _)) in &mut session.received {
            history.adopt(state.received.iter().any(|id| id.get() == *packet_id));
        }
        // its client was connected
        if session.ends.is_none() && session.expiry_s < FOREVER_S {
            session.ends = Some(self.now + Duration::from_secs(session.expiry_s.into()));
            self.note_terms(index);
        }
    }

    /// What is found for a group waits for the session where it was found; what is not found is gone.
    fn adopt_groups(&mut self, found: &Found) {
        let mut taken = Vec::new();
        for index in 0..self.groups.len() {
            let Some((session, stage, shown)) = found.groups.get(&index).cloned() else {
                (self.groups[index].is_void, self.groups[index].copy) = (true, None);
                continue;
            };
            let held = self.held_for(index, session, found, &taken);
            let group = &mut self.groups[index];
            (group.is_restored, group.has_moved, group.is_void, group.copy) = (true, true, false, None);
            let copy = held.or_else(|| self.add_group_copy(session, &shown, vec![index]));
            let copy = copy.expect("an obligation without a copy takes one");
            taken.push(copy);
            self.groups[index].copy = Some(copy);
            let copy = &mut self.copies[copy];
            (copy.is_restored, copy.is_void, copy.is_complete, copy.sent_on) = (true, false, false, None);
            (copy.sent, copy.is_received, copy.is_released) = progress(stage);
        }
    }

    /// The copy of a session that was found for an obligation.
    fn held_for(&self, group: usize, session: usize, found: &Found, taken: &[usize]) -> Option<usize> {
        let is_it = |copy: &usize| {
            let known = &self.copies[*copy];
            known.session == session && known.may_fulfil.contains(&group) && !taken.contains(copy)
        };
        let own = self.groups[group].copy.filter(|copy| found.copies.contains_key(copy));
        own.filter(is_it).or_else(|| found.copies.keys().copied().find(is_it))
    }

    /// A replay that was not finished begins anew.
    fn restart_replays(&mut self, disk: &State) {
        for state in &disk.sessions {
            let client: usize = state.client_id.as_str()[1..].parse().unwrap();
            let Some(index) = self.current.get(&client).copied() else { continue };
            self.sessions[index].replays.clear();
            for filter in &state.replays {
                let granted = *self.sessions[index].subscriptions[filter.as_str()].current();
                let Some(granted) = granted else { continue };
                self.replay(index, filter.as_str(), (granted.qos, sorted(granted.id.into_iter())));
            }
        }
    }

    /// Wills of the clients that were connected are published, or wait for their delay from now on [MQTT-3.1.2-8].
    fn restart_wills(&mut self, disk: &State) {
        for client in 0..self.wills.len() {
            let kept = disk.wills.iter().find(|kept| kept.client_id.as_str() == format!("c{client}"));
            let Some(kept) = kept else {
                self.wills[client].adopt(WillValue::None);
                continue;
            };
            let (will, delay) = (kept.will.clone(), Duration::from_secs(kept.will.delay_interval_s.into()));
            self.wills[client]
                .adopt(kept.due.map_or(WillValue::Set(will.clone()), |due| WillValue::Delayed(will.clone(), due)));
            let session = self.current.get(&client).copied();
            if let Some(session) = session.filter(|_| kept.due.is_some() || !delay.is_zero()) {
                let due = kept.due.unwrap_or(self.now + delay);
                let mark = self.next_mark();
                self.wills[client].set(mark, WillValue::Delayed(will.clone(), due));
                self.sessions[session].will = Some((will, due));
            } else {
                self.publish_will(client, &will, false);
            }
        }
    }
}

/// Identifier, whether PUBREC was received, and whether PUBREL was sent.
fn progress(stage: Stage) -> (Option<u16>, bool, bool) {
    match stage {
        Stage::Absent | Stage::Waiting => (None, false, false),
        Stage::Sent(id) => (Some(id), false, false),
        Stage::Released(id) => (Some(id), true, true),
    }
}
