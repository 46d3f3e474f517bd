//! Ends of connections and sessions; time and rights.

use super::super::FOREVER_S;
use super::types::Kind;
use super::*;

/// What comes due, in the order in which deadlines at the same moment are met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connection(usize),
    Session(usize),
}

impl Oracle {
    /// The transport is gone: nothing more comes on it.
    pub(in super::super) fn close(&mut self, serial: usize) {
        self.end_connection(serial, true);
        self.connections.remove(&serial);
    }

    /// The broker closes a connection. It has a reason only if the connection has ended already.
    pub(in super::super) fn closed(&mut self, serial: usize) {
        let connection = self.connections.remove(&serial);
        assert!(connection.is_none_or(|connection| connection.is_ending), "connection {serial} is closed");
    }

    /// A connection ends for its session. Packets that were decided before may still come, until it is closed.
    pub(super) fn end_connection(&mut self, serial: usize, leaves_will: bool) {
        let mark = self.next_mark();
        let Some(connection) = self.connections.get_mut(&serial).filter(|connection| !connection.is_ending) else {
            return;
        };
        connection.is_ending = true;
        let Connection { client, session: index, is_greeted, began_session, packet_max, .. } = *connection;
        let will = connection.will.take();
        let session = &mut self.sessions[index];
        session.connection = None;
        session.was_connected = Some(mark);
        if packet_max < usize::MAX {
            session.was_small = Some(mark);
        }
        // nobody knows whether it was accepted
        session.is_uncertain = began_session && !is_greeted;
        self.give_up_unacknowledged(index);
        match will {
            Some(will) if leaves_will => self.leave_will(client, index, will, !is_greeted),
            Some(_) => self.wills[client].set(mark, WillValue::None),
            None => {}
        }
        self.leave(client, index);
    }

    /// What goes out with QoS 0 is lost with its connection.
    fn give_up_unacknowledged(&mut self, session: usize) {
        for copy in self.sessions[session].copies.clone() {
            let most = self.copies[copy].most.min(self.messages[self.copies[copy].message()].qos);
            if most == QoS::AtMostOnce && self.copies[copy].is_open() {
                self.copies[copy].is_due = false;
            }
        }
    }

    /// [MQTT-3.1.2-8], [MQTT-3.1.3-9]
    fn leave_will(&mut self, client: usize, session: usize, will: Will, is_tentative: bool) {
        let delay = Duration::from_secs(will.delay_interval_s.into());
        if delay.is_zero() || self.sessions[session].expiry_s == 0 {
            return self.publish_will(client, &will, is_tentative);
        }
        let mark = self.next_mark();
        let due = self.now + delay;
        self.wills[client].set(mark, WillValue::Delayed(will.clone(), due));
        self.sessions[session].will = Some((will, due));
    }

    fn leave(&mut self, client: usize, session: usize) {
        match self.sessions[session].expiry_s {
            0 => return self.end_session(client),
            FOREVER_S => {}
            seconds => self.sessions[session].ends = Some(self.now + Duration::from_secs(seconds.into())),
        }
        self.note_terms(session);
    }

    /// A session ends: its will is published [MQTT-3.1.3-9], and what it had not got of a group's messages goes to
    /// other members. What was in flight with QoS 2 does not [MQTT-4.8.2-5].
    pub(super) fn end_session(&mut self, client: usize) {
        let Some(index) = self.current.get(&client).copied() else { return };
        if let Some((will, _)) = self.sessions[index].will.take() {
            let is_tentative = self.sessions[index].is_uncertain;
            self.publish_will(client, &will, is_tentative);
        }
        self.current.remove(&client);
        let mark = self.next_mark();
        let session = &mut self.sessions[index];
        session.has_ended = true;
        session.replays.clear();
        for membership in session.memberships.values_mut().flatten() {
            membership.until.get_or_insert(mark);
        }
        let (is_kept, copies) = (session.is_kept, session.copies.clone());
        copies.iter().for_each(|copy| self.copies[*copy].is_void = true);
        if is_kept {
            self.kept[client].set(mark, None);
        }
        self.leave_groups(index, None);
    }

    /// The clock stands at `now`: what is due happens, the earliest first.
    pub(in super::super) fn time(&mut self, now: Monotonic) {
        self.now = now;
        for (_, due) in self.due(now) {
            match due {
                Due::Connection(serial) => self.end_connection(serial, true),
                Due::Session(client) => self.look_after(client),
            }
        }
        self.expire();
    }

    fn due(&self, now: Monotonic) -> Vec<(Monotonic, Due)> {
        let connections = self.connections.iter().filter(|(_, connection)| !connection.is_ending);
        let silent = connections.filter_map(|(serial, connection)| {
            connection.silence.map(|silence| (connection.heard + silence, Due::Connection(*serial)))
        });
        let waiting = self.current.iter().filter_map(|(client, session)| {
            let session = &self.sessions[*session];
            let will = session.will.as_ref().map(|(_, due)| *due);
            let deadline = session.ends.into_iter().chain(will).min();
            deadline.filter(|_| session.connection.is_none()).map(|deadline| (deadline, Due::Session(*client)))
        });
        let mut due: Vec<_> = silent.chain(waiting).filter(|(deadline, _)| *deadline <= now).collect();
        due.sort();
        due
    }

    /// When something is due next.
    pub(in super::super) fn next_due(&self) -> Option<Monotonic> {
        let last = Monotonic::from_boot(Duration::MAX);
        let retained = self.retained.values().flat_map(|retained| retained.now.iter().flatten());
        let expiry = retained.filter_map(|message| self.messages[*message].expires);
        self.due(last).first().map(|(deadline, _)| *deadline).into_iter().chain(expiry).min()
    }

    pub(super) fn look_after(&mut self, client: usize) {
        let Some(index) = self.current.get(&client).copied() else { return };
        let session = &mut self.sessions[index];
        if session.ends.is_some_and(|ends| ends <= self.now) {
            return self.end_session(client);
        }
        if session.will.as_ref().is_some_and(|(_, due)| *due <= self.now)
            && let Some((will, _)) = session.will.take()
        {
            let is_tentative = session.is_uncertain;
            self.publish_will(client, &will, is_tentative);
        }
    }

    /// Retained messages whose time is over are gone [MQTT-3.3.2-5].
    pub(super) fn expire(&mut self) {
        let mut changed = Vec::new();
        for (topic, retained) in &mut self.retained {
            let is_over =
                |value: &Option<usize>| value.is_some_and(|message| self.messages[message].is_expired(self.now));
            if retained.now.iter().any(is_over) {
                retained.now.iter_mut().filter(|value| is_over(value)).for_each(|value| *value = None);
                self.mark += 1;
                retained.history.set(self.mark, None);
                changed.push(topic.clone());
            }
        }
        changed.iter().for_each(|topic| self.change_replays(topic, None));
    }

    /// Everybody has these rights from now on; nobody reads what it may not read any more.
    pub(in super::super) fn change_rights(&mut self, rights: Vec<Option<Rights>>) {
        let mark = self.next_mark();
        for (client, rights) in rights.into_iter().enumerate() {
            self.rights[client].push_back((mark, rights));
        }
        for copy in 0..self.copies.len() {
            let Copy { session, is_void, is_complete, .. } = self.copies[copy];
            let topic = &self.messages[self.copies[copy].message()].topic;
            if !is_void && !is_complete && !self.may_read(self.sessions[session].client, topic) {
                self.copies[copy].is_due = false;
            }
        }
        self.review_groups(true);
    }

    /// A client has to log in again, or its user is removed and its session ends.
    pub(in super::super) fn expel(&mut self, client: usize, is_removed: bool) {
        let session = self.current.get(&client).map(|session| &self.sessions[*session]);
        if let Some(serial) = session.and_then(|session| session.connection) {
            self.end_connection(serial, true);
        }
        if is_removed {
            self.end_session(client);
        }
    }

    /// The broker has put nothing off. If the client takes more and nothing else waits for it, no retained message is on
    /// its way to it any more.
    pub(in super::super) fn finish_replays(&mut self, client: usize) {
        let Some(index) = self.current.get(&client).copied() else { return };
        let session = &self.sessions[index];
        let connection = session.connection.and_then(|serial| self.connections.get(&serial));
        let takes_more = connection
            .is_some_and(|connection| connection.is_greeted && connection.inflight.len() < connection.receive_max);
        let is_waiting = session.copies.iter().any(|copy| self.copies[*copy].is_open() && self.copies[*copy].is_due);
        if takes_more && !is_waiting {
            self.sessions[index].replays.clear();
        }
    }

    /// Ends an earlier replay for the same filter: what was decided before may still come.
    pub(super) fn end_replay(&mut self, session: usize, filter: &str) {
        self.sessions[session].replays.remove(filter);
        for copy in self.sessions[session].copies.clone() {
            let copy = &mut self.copies[copy];
            if copy.is_open() && copy.kind == Kind::Replay(filter.to_owned()) {
                copy.is_due = false;
            }
        }
    }
}
