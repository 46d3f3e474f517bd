//! Accepted messages: who has to get them, and what is retained.

use std::collections::BTreeSet;

use super::types::Kind;
use super::*;

/// A message on its way to its receivers.
pub(super) struct Publication {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expires: Option<Monotonic>,
    /// The client that published it, or that left it as its will.
    pub(super) client: usize,
    pub(super) is_will: bool,
    /// Session and packet identifier of QoS 2.
    pub(super) flow: Option<(usize, u16)>,
    /// Whether the broker may have refused it.
    pub(super) is_tentative: bool,
}

/// Whether accepting a message means writing to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// It depends on the member of a group, or on rights.
    Perhaps,
    Disk,
}

/// What all matching subscriptions of a session that are not shared ask for together.
struct Wanted {
    most: QoS,
    retain_as_published: bool,
    ids: Vec<u32>,
}

impl Oracle {
    /// Accepts a message: creates copies and obligations, and retains it.
    pub(super) fn accept(&mut self, publication: Publication) -> usize {
        let Publication { topic, payload, qos, retain, expires, client, is_will, flow, is_tentative } = publication;
        let mark = self.next_mark();
        let index = self.messages.len();
        self.by_content.entry((topic.clone(), payload.clone())).or_default().push(index);
        let publisher = (!is_will).then_some(client);
        self.messages.push(Message {
            topic,
            payload,
            qos,
            retain,
            expires,
            publisher,
            flow,
            mark,
            is_acknowledged: false,
            is_tentative,
            is_refused: false,
            copies: Vec::new(),
            groups: Vec::new(),
        });
        if retain {
            self.retain(index);
        }
        for session in self.current.values().copied().collect::<Vec<_>>() {
            self.accept_for(index, session, client);
        }
        for filter in self.groups_of(index) {
            self.accept_for_group(index, filter);
        }
        index
    }

    fn wanted(&self, session: usize, topic: &str, publisher: usize) -> Option<Wanted> {
        let session = &self.sessions[session];
        let own = session.subscribed().filter(|(filter, _)| !is_shared(filter) && matches(filter, topic));
        // [MQTT-3.8.3-3]
        let own: Vec<_> = own.filter(|(_, granted)| !(granted.no_local && publisher == session.client)).collect();
        // [MQTT-3.3.4-2], [MQTT-3.3.4-4]
        let most = own.iter().map(|(_, granted)| granted.qos).max()?;
        let retain_as_published = own.iter().any(|(_, granted)| granted.retain_as_published);
        let ids = sorted(own.iter().filter_map(|(_, granted)| granted.id));
        Some(Wanted { most, retain_as_published, ids })
    }

    fn accept_for(&mut self, message: usize, session: usize, publisher: usize) {
        let Message { topic, qos, retain, mark, is_tentative, .. } = self.messages[message].clone();
        let Some(wanted) = self.wanted(session, &topic, publisher) else { return };
        let Session { client, connection, .. } = self.sessions[session];
        let is_sent_once = wanted.most.min(qos) == QoS::AtMostOnce;
        if !self.may_read(client, &topic) || is_sent_once && connection.is_none() {
            return;
        }
        let mut copy = Copy::new(message, session, Kind::Own, mark);
        copy.most = wanted.most;
        // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
        copy.retain = retain && wanted.retain_as_published;
        copy.ids = wanted.ids;
        copy.is_due = !(is_tentative || self.messages[message].is_large() && self.is_small(session));
        self.add_copy(copy);
    }

    /// Whether the session's client takes only small packets now.
    fn is_small(&self, session: usize) -> bool {
        let connection = self.sessions[session].connection.and_then(|serial| self.connections.get(&serial));
        connection.is_some_and(|connection| connection.packet_max < usize::MAX)
    }

    pub(super) fn add_copy(&mut self, copy: Copy) -> usize {
        let index = self.copies.len();
        for message in &copy.contents {
            self.messages[*message].copies.push(index);
        }
        self.sessions[copy.session].copies.push(index);
        self.copies.push(copy);
        index
    }

    /// The groups whose filter matches a message and that have a member who may read it.
    fn groups_of(&self, message: usize) -> BTreeSet<String> {
        let topic = &self.messages[message].topic;
        let sessions = self.current.values().map(|session| &self.sessions[*session]);
        let readers = sessions.filter(|session| self.may_read(session.client, topic));
        let filters = readers.flat_map(Session::subscribed).map(|(filter, _)| filter);
        filters.filter(|filter| is_shared(filter) && matches(filter, topic)).cloned().collect()
    }

    fn accept_for_group(&mut self, message: usize, filter: String) {
        let index = self.groups.len();
        let is_due = !self.messages[message].is_tentative;
        self.messages[message].groups.push(index);
        let (is_void, is_restored, has_moved) = (false, false, false);
        self.groups.push(Group { message, filter, is_due, is_void, is_restored, has_moved, copy: None });
    }

    fn retain(&mut self, message: usize) {
        let Message { topic, payload, mark, is_tentative, .. } = self.messages[message].clone();
        let value = (!payload.is_empty()).then_some(message);
        let new = || Retained { history: History::new(None), now: vec![None] };
        let retained = self.retained.entry(topic.clone()).or_insert_with(new);
        retained.history.set(mark, value);
        if is_tentative {
            retained.now.push(value);
        } else {
            retained.now = vec![value];
        }
        self.change_replays(&topic, value);
    }

    /// A topic changes while its retained message may still be on its way to new subscribers: they get the old
    /// message, the new one, or none.
    pub(super) fn change_replays(&mut self, topic: &str, new: Option<usize>) {
        for session in self.current.values().copied().collect::<Vec<_>>() {
            for (filter, (most, ids)) in self.sessions[session].replays.clone() {
                if matches(&filter, topic) {
                    self.change_replay(session, &filter, topic, new, (most, ids));
                }
            }
        }
    }

    fn change_replay(
        &mut self,
        session: usize,
        filter: &str,
        topic: &str,
        new: Option<usize>,
        (most, ids): (QoS, Vec<u32>),
    ) {
        let is_it = |copy: &usize| {
            let copy = &self.copies[*copy];
            let is_replay = copy.kind == Kind::Replay(filter.to_owned());
            is_replay && copy.is_open() && self.messages[copy.message()].topic == topic
        };
        let open = self.sessions[session].copies.iter().copied().find(is_it);
        if let Some(open) = open {
            self.copies[open].is_due = false;
            if let Some(new) = new {
                self.copies[open].contents.push(new);
                self.messages[new].copies.push(open);
            }
        } else if let Some(new) = new {
            self.add_replay(session, filter, new, (most, ids), false);
        }
    }

    pub(super) fn add_replay(
        &mut self,
        session: usize,
        filter: &str,
        message: usize,
        (most, ids): (QoS, Vec<u32>),
        is_due: bool,
    ) {
        let mark = self.mark;
        let copy = Copy::new(message, session, Kind::Replay(filter.to_owned()), mark);
        // [MQTT-3.3.1-8]
        self.add_copy(Copy { most, ids, retain: true, is_due, ..copy });
    }

    /// Publishes a will, if its client may write there now [law 9].
    pub(super) fn publish_will(&mut self, client: usize, will: &Will, is_tentative: bool) {
        if !self.may_write(client, will.topic.as_str()) {
            let mark = self.next_mark();
            return self.wills[client].set(mark, WillValue::None);
        }
        let expiry = will.message_expiry_interval_s.map(|seconds| Duration::from_secs(seconds.into()));
        let message = self.accept(Publication {
            topic: will.topic.to_string(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            expires: expiry.map(|expiry| self.now + expiry),
            client,
            is_will: true,
            flow: None,
            is_tentative,
        });
        let mark = self.mark;
        self.wills[client].set(mark, WillValue::Published(will.clone(), message));
    }

    /// Whether a PUBLISH of QoS 1 or 2 can be acknowledged without a write.
    pub(super) fn needs(&self, client: usize, session: usize, publish: &Publish<'_>, topic: &str) -> Needs {
        let publisher = &self.sessions[session];
        if publish.retain || publish.qos == QoS::ExactlyOnce && publisher.outlives() {
            return Needs::Disk;
        }
        let mut needs =
            if publish.qos == QoS::ExactlyOnce && publisher.is_kept { Needs::Perhaps } else { Needs::Nothing };
        for (other, session) in &self.current {
            let receiver = &self.sessions[*session];
            let is_group = receiver
                .subscribed()
                .any(|(filter, granted)| is_shared(filter) && granted.qos > QoS::AtMostOnce && matches(filter, topic));
            let wanted = self.wanted(*session, topic, client).filter(|wanted| wanted.most > QoS::AtMostOnce);
            if wanted.is_some() && receiver.outlives() && self.may_read(*other, topic) {
                return Needs::Disk;
            }
            let own = receiver
                .subscribed()
                .any(|(filter, granted)| !is_shared(filter) && granted.qos > QoS::AtMostOnce && matches(filter, topic));
            if receiver.is_kept && (own || is_group) {
                needs = Needs::Perhaps;
            }
        }
        needs
    }
}
