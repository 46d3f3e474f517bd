//! How connections, sessions and messages have to end, and what a restart leaves.

use super::model::{Content, FOREVER_S, Model, Owed, Publication, is_shared};
use super::*;

/// What comes due, in the order in which deadlines at the same moment are met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connection(usize),
    Session(usize),
}

impl Model {
    /// A connection ends.
    pub(super) fn end(&mut self, serial: usize, leaves_will: bool) {
        let Some(connection) = self.connections.remove(&serial) else { return };
        let client = connection.client;
        let now = self.now;
        let session = self.sessions.get_mut(&client).unwrap();
        session.connection = None;
        self.gone.insert(client, serial);
        if let Some(will) = connection.will.filter(|_| leaves_will) {
            let delay = Duration::from_secs(will.delay_interval_s.into());
            if delay.is_zero() || session.expiry_s == 0 {
                self.publish_will(client, &will);
            } else {
                session.will = Some((will, now + delay));
            }
        }
        let session = self.sessions.get_mut(&client).unwrap();
        match session.expiry_s {
            0 => self.remove_session(client),
            FOREVER_S => {}
            seconds => session.ends = Some(now + Duration::from_secs(seconds.into())),
        }
    }

    fn publish_will(&mut self, client: usize, will: &Will) {
        if !self.rights[client].may_write(will.topic.as_str()) {
            return;
        }
        let expires = will.message_expiry_interval_s.map(|seconds| self.now + Duration::from_secs(seconds.into()));
        let content = Content { topic: will.topic.to_string(), payload: will.payload.clone(), expires };
        let (qos, retain) = (will.qos, will.retain);
        let from = self.sessions.contains_key(&client).then_some(client);
        self.route(&Publication { content, qos, retain, from, is_held: false });
    }

    fn publish_waiting_will(&mut self, client: usize) {
        let will = self.sessions.get_mut(&client).and_then(|session| session.will.take());
        if let Some((will, _)) = will {
            self.publish_will(client, &will);
        }
    }

    /// A session ends: its will is published, and what it had not got of a group's messages goes to others.
    pub(super) fn remove_session(&mut self, client: usize) {
        self.publish_waiting_will(client);
        let Some(mut session) = self.sessions.remove(&client) else { return };
        for filter in session.subscriptions.keys().filter(|filter| is_shared(filter)) {
            self.widen(filter, client);
        }
        let goes_on = |owed: &Owed| owed.share.is_some() && (owed.sent.is_none() || owed.qos == QoS::AtLeastOnce);
        let now = self.now;
        let is_of_use = |owed: &Owed| owed.content.expires.is_none_or(|expires| expires > now);
        for mut owed in session.owed.drain(..).filter(goes_on).filter(is_of_use) {
            // what only the disk had goes with its session
            owed.is_excused = session.has_spilled && owed.sent.is_none();
            let filter = owed.share.clone().unwrap_or_default();
            self.reopen(&filter, vec![owed]);
        }
    }

    /// The clock stands at `now`: what is due happens, the earliest first.
    pub(super) fn time(&mut self, now: Monotonic) {
        self.now = now;
        let silent = self.connections.iter().filter_map(|(serial, connection)| {
            connection.silence.map(|silence| (connection.heard + silence, Due::Connection(*serial)))
        });
        let waiting = self.sessions.iter().filter(|(_, session)| session.connection.is_none());
        let waiting = waiting.filter_map(|(client, session)| {
            let will = session.will.as_ref().map(|(_, due)| *due);
            session.ends.into_iter().chain(will).min().map(|deadline| (deadline, Due::Session(*client)))
        });
        let mut due: Vec<_> = silent.chain(waiting).filter(|(deadline, _)| *deadline <= now).collect();
        due.sort();
        for (_, due) in due {
            match due {
                Due::Connection(serial) => self.end(serial, true),
                Due::Session(client) => self.look_after(client),
            }
        }
        self.retained.retain(|_, (content, _)| content.expires.is_none_or(|expires| expires > now));
    }

    fn look_after(&mut self, client: usize) {
        let Some(session) = self.sessions.get(&client) else { return };
        if session.ends.is_some_and(|ends| ends <= self.now) {
            self.remove_session(client);
        } else if session.will.as_ref().is_some_and(|(_, due)| *due <= self.now) {
            self.publish_waiting_will(client);
        }
    }

    /// Rights have changed.
    pub(super) fn judge(&mut self, rights: Vec<crate::access::Rights>) {
        self.rights = rights;
        for connection in self.connections.values_mut() {
            connection.rights.push(self.rights[connection.client].clone());
        }
        for (client, session) in &mut self.sessions {
            let unreadable = session.owed.iter_mut().filter(|owed| !self.rights[*client].may_read(&owed.content.topic));
            unreadable.for_each(|owed| owed.is_excused = true);
        }
        for open in &mut self.open {
            let topic = &open.owed.content.topic;
            open.owed.is_excused |= open.candidates.iter().any(|(client, _)| !self.rights[*client].may_read(topic));
        }
    }

    /// The machine was gone and has read what is durable.
    pub(super) fn restart(&mut self, now: Monotonic) {
        self.now = now;
        let mut wills: Vec<(usize, Will)> = Vec::new();
        for connection in std::mem::take(&mut self.connections).into_values() {
            wills.extend(connection.will.map(|will| (connection.client, will)));
        }
        self.open.clear();
        self.sessions.retain(|_, session| session.is_kept);
        for session in self.sessions.values_mut() {
            session.connection = None;
            session.owed.iter_mut().for_each(|owed| (owed.seen_on, owed.held) = (None, 0));
            if session.ends.is_none() && session.expiry_s < FOREVER_S {
                session.ends = Some(now + Duration::from_secs(session.expiry_s.into()));
            }
        }
        self.retained.retain(|_, (content, _)| content.expires.is_none_or(|expires| expires > now));
        for (client, will) in wills {
            let delay = Duration::from_secs(will.delay_interval_s.into());
            match self.sessions.get_mut(&client).filter(|_| !delay.is_zero()) {
                Some(session) => session.will = Some((will, now + delay)),
                None => self.publish_will(client, &will),
            }
        }
        for client in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.look_after(client);
        }
    }
}
