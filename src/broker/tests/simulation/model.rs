//! The broker as naively as it can be told: lists that are walked, one input at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::super::super::{Granted, Terms};
use super::*;
use crate::access::Rights;

/// A ticket that is not known before the outputs are drained.
pub(super) const UNSEALED: u64 = u64::MAX;

/// A message, told from others by where it goes and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) expires: Option<Monotonic>,
}

/// What a session has to get.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Owed {
    pub(super) content: Content,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    pub(super) share: Option<String>,
    /// Its arrival number, once the machine has recorded it.
    pub(super) arrival: Option<u64>,
    /// Under which identifier it was sent, and on which connection.
    pub(super) sent: Option<(u16, usize)>,
    /// On which connection its PUBLISH was last seen.
    pub(super) seen_on: Option<usize>,
    pub(super) is_released: bool,
    pub(super) is_done: bool,
    /// The ticket before which it may not be seen.
    pub(super) held: u64,
    /// Whether it may be missing in the end.
    pub(super) is_excused: bool,
    /// Whether its receiver has left the group by which it comes.
    pub(super) is_leaving: bool,
}

/// A message that one member of a group has to get.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) owed: Owed,
    pub(super) filter: String,
    pub(super) candidates: Vec<(usize, Granted)>,
    /// Whether it may come from a member that got it with less.
    pub(super) is_widened: bool,
}

/// What an answer must say, and whether it promises something durable.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) says: Says,
    pub(super) is_durable: bool,
    pub(super) ticket: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    ConnAck(bool),
    PubAck(u16, ReasonCode),
    PubRec(u16, ReasonCode),
    PubRel(u16),
    PubComp(u16),
    SubAck(u16, Vec<ReasonCode>),
    UnsubAck(u16, Vec<ReasonCode>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// Whether it is kept on disk.
    pub(super) is_kept: bool,
    pub(super) expiry_s: u32,
    pub(super) ends: Option<Monotonic>,
    pub(super) connection: Option<usize>,
    pub(super) subscriptions: BTreeMap<String, Granted>,
    pub(super) received: BTreeSet<u16>,
    pub(super) owed: Vec<Owed>,
    pub(super) will: Option<(Will, Monotonic)>,
    /// Whether some of what waits was, since nothing did, on disk alone.
    pub(super) has_spilled: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: usize,
    pub(super) is_five: bool,
    pub(super) receive_max: usize,
    pub(super) packet_max: usize,
    pub(super) alias_max: u16,
    pub(super) will: Option<Will>,
    pub(super) heard: Monotonic,
    pub(super) silence: Option<Duration>,
    pub(super) answers: VecDeque<Answer>,
    /// QoS 0 that is to come.
    pub(super) unnumbered: VecDeque<Owed>,
    /// Identifiers that the client has not acknowledged.
    pub(super) inflight: BTreeSet<u16>,
    pub(super) aliases_in: BTreeMap<u16, String>,
    pub(super) aliases_out: BTreeMap<u16, String>,
    /// Rights since it began.
    pub(super) rights: Vec<Rights>,
    pub(super) last_arrival: u64,
    /// PINGREQ that wait for their answer, which has no order to keep.
    pub(super) pings: usize,
}

/// A message on its way through.
pub(super) struct Publication {
    pub(super) content: Content,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) from: Option<usize>,
    pub(super) is_held: bool,
}

/// What came of one.
#[derive(Default)]
pub(super) struct Routed {
    pub(super) is_durable: bool,
    pub(super) has_receivers: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) now: Monotonic,
    /// When the oldest request that is not answered was made.
    pub(super) earliest: Monotonic,
    pub(super) sessions: BTreeMap<usize, Session>,
    pub(super) connections: BTreeMap<usize, Connection>,
    pub(super) retained: BTreeMap<String, (Content, QoS)>,
    pub(super) open: Vec<Open>,
    pub(super) rights: Vec<Rights>,
    pub(super) is_disk_full: bool,
    /// How often each message of QoS 2 was passed on: more than once only when its publisher's session was lost.
    pub(super) passed_on: BTreeMap<Vec<u8>, usize>,
    /// How often each group was to have each message.
    pub(super) shared: BTreeMap<(String, Vec<u8>), usize>,
    /// Connections of sessions that ended with the input that is handled now.
    pub(super) gone: BTreeMap<usize, usize>,
    /// The newest ticket.
    pub(super) newest: u64,
}

pub(super) fn plain(filter: &str) -> &str {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter)
}

pub(super) fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

pub(super) fn matches(filter: &str, topic: &str) -> bool {
    TopicFilter::new(plain(filter)).unwrap().matches(topic)
}

impl Model {
    pub(super) fn new(clients: usize, now: Monotonic) -> Self {
        Self {
            now,
            earliest: now,
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            retained: BTreeMap::new(),
            open: Vec::new(),
            rights: vec![Rights::everything(); clients],
            is_disk_full: false,
            passed_on: BTreeMap::new(),
            shared: BTreeMap::new(),
            gone: BTreeMap::new(),
            newest: 0,
        }
    }

    pub(super) fn is_kept(&self, client: usize) -> bool {
        self.sessions.get(&client).is_some_and(|session| session.is_kept)
    }

    pub(super) fn may_read(&self, client: usize, topic: &str) -> bool {
        self.rights[client].may_read(topic)
    }

    pub(super) fn route(&mut self, publication: &Publication) -> Routed {
        let Publication { content, qos, retain, from, is_held } = publication;
        let mut routed = Routed::default();
        if *qos == QoS::ExactlyOnce {
            *self.passed_on.entry(content.payload.to_vec()).or_default() += 1;
        }
        if *retain {
            routed.is_durable = self.keep(content, *qos);
        }
        for client in self.sessions.keys().copied().collect::<Vec<_>>() {
            let matching: Vec<Granted> = self.sessions[&client]
                .subscriptions
                .iter()
                .filter(|(filter, _)| !is_shared(filter) && matches(filter, &content.topic))
                .map(|(_, granted)| *granted)
                .collect();
            routed.has_receivers |= !matching.is_empty();
            let wanted: Vec<Granted> =
                matching.into_iter().filter(|granted| !(granted.no_local && *from == Some(client))).collect();
            let Some(most) = wanted.iter().map(|granted| granted.qos).max() else { continue };
            let owed = Owed {
                retain: *retain && wanted.iter().any(|granted| granted.retain_as_published),
                ids: sorted(wanted.iter().filter_map(|granted| granted.id)),
                ..owed(content, most.min(*qos), *is_held)
            };
            routed.is_durable |= self.owe(client, owed);
        }
        self.route_to_groups(publication, &mut routed);
        routed
    }

    fn keep(&mut self, content: &Content, qos: QoS) -> bool {
        if content.payload.is_empty() {
            return self.retained.remove(&content.topic).is_some();
        }
        self.retained.insert(content.topic.clone(), (content.clone(), qos));
        qos > QoS::AtMostOnce
    }

    /// Owes it to `client`; tells whether that is to be durable.
    pub(super) fn owe(&mut self, client: usize, mut owed: Owed) -> bool {
        if !self.may_read(client, &owed.content.topic) {
            return false;
        }
        let Some(session) = self.sessions.get_mut(&client) else { return false };
        if owed.qos > QoS::AtMostOnce {
            session.owed.push(owed);
            return session.is_kept;
        }
        let connection = session.connection.and_then(|connection| self.connections.get_mut(&connection));
        if let Some(connection) = connection {
            owed.is_excused = is_too_large(&owed.content, connection.packet_max);
            connection.unnumbered.push_back(owed);
        }
        false
    }

    fn route_to_groups(&mut self, publication: &Publication, routed: &mut Routed) {
        let Publication { content, qos, retain, is_held, .. } = publication;
        let filters: BTreeSet<String> =
            self.sessions.values().flat_map(|session| session.subscriptions.keys().cloned()).collect();
        for filter in filters.into_iter().filter(|filter| is_shared(filter) && matches(filter, &content.topic)) {
            let candidates = self.candidates(&filter, &content.topic);
            routed.has_receivers |= !candidates.is_empty();
            if !candidates.is_empty() {
                let owed = Owed { retain: *retain, share: Some(filter.clone()), ..owed(content, *qos, *is_held) };
                let key = (filter.clone(), content.payload.to_vec());
                *self.shared.entry(key).or_default() += 1;
                self.open.push(Open { owed, filter, candidates, is_widened: false });
            }
        }
    }

    /// The members who may have a message: those who are there, or all when nobody is.
    pub(super) fn candidates(&self, filter: &str, topic: &str) -> Vec<(usize, Granted)> {
        let members = self.sessions.iter().filter_map(|(client, session)| {
            let granted = session.subscriptions.get(filter)?;
            self.may_read(*client, topic).then_some((*client, *granted, session.connection.is_some()))
        });
        let members: Vec<_> = members.collect();
        let is_there = members.iter().any(|(.., is_there)| *is_there);
        members
            .into_iter()
            .filter(|member| member.2 == is_there)
            .map(|(client, granted, _)| (client, granted))
            .collect()
    }

    /// A member is gone: what it had not got goes to others, as long as there are some.
    pub(super) fn reopen(&mut self, filter: &str, back: Vec<Owed>) {
        for mut owed in back {
            let candidates = self.candidates(filter, &owed.content.topic);
            (owed.arrival, owed.sent, owed.seen_on, owed.is_leaving) = (None, None, None, false);
            if !candidates.is_empty() {
                self.open.push(Open { owed, filter: filter.to_owned(), candidates, is_widened: false });
            }
        }
    }

    /// What nobody was seen to get may have been this member's.
    pub(super) fn widen(&mut self, filter: &str, client: usize) {
        let mut open = std::mem::take(&mut self.open);
        for open in open.iter_mut().filter(|open| open.filter == filter) {
            let had = open.candidates.iter().any(|(candidate, _)| *candidate == client);
            let others = self.candidates(filter, &open.owed.content.topic);
            // with QoS 2 it may have been in flight, and then it ends there [MQTT-4.8.2-5]
            open.owed.is_excused |= had && (others.is_empty() || open.owed.qos == QoS::ExactlyOnce);
            open.is_widened |= had;
            open.candidates.extend(others);
        }
        self.open = open;
    }

    /// Whether a group shares what is published there; behind an alias, anywhere.
    pub(super) fn has_group(&self, topic: &str) -> bool {
        let mut filters = self.sessions.values().flat_map(|session| session.subscriptions.keys());
        filters.any(|filter| is_shared(filter) && (topic.is_empty() || matches(filter, topic)))
    }

    pub(super) fn needs_disk(&self, client: usize, publish: &Publish<'_>, topic: &str) -> bool {
        let matched = self.sessions.values().filter(|session| session.is_kept).any(|session| {
            let mut subscriptions = session.subscriptions.iter();
            subscriptions
                .any(|(filter, granted)| !is_shared(filter) && granted.qos > QoS::AtMostOnce && matches(filter, topic))
        });
        publish.qos == QoS::ExactlyOnce && self.is_kept(client) || publish.retain || matched
    }
}

pub(super) fn sorted(ids: impl Iterator<Item = SubscriptionId>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.map(SubscriptionId::get).collect();
    ids.sort_unstable();
    ids
}

pub(super) fn is_too_large(content: &Content, packet_max: usize) -> bool {
    content.payload.len() + 4 > packet_max
}

pub(super) fn owed(content: &Content, qos: QoS, is_held: bool) -> Owed {
    Owed {
        content: content.clone(),
        qos,
        retain: false,
        ids: Vec::new(),
        share: None,
        arrival: None,
        sent: None,
        seen_on: None,
        is_released: false,
        is_done: false,
        held: if is_held { UNSEALED } else { 0 },
        is_excused: false,
        is_leaving: false,
    }
}

pub(super) const FOREVER_S: u32 = Terms::FOREVER_S;
