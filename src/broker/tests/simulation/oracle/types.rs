//! Messages, their copies, and the state of sessions and connections as the standards define it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::super::super::Granted;
use super::answers::Expected;
use super::history::{History, Mark};
use super::*;

/// An application message that the broker accepted, or may have accepted.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expires: Option<Monotonic>,
    /// Its publisher; `None` for a will, which has no order to keep.
    pub(super) publisher: Option<usize>,
    /// Session and packet identifier of its QoS 2 PUBLISH.
    pub(super) flow: Option<(usize, u16)>,
    pub(super) mark: Mark,
    /// Whether its acknowledgement was sent.
    pub(super) is_acknowledged: bool,
    /// Whether it may have been refused; the acknowledgement decides.
    pub(super) is_tentative: bool,
    pub(super) is_refused: bool,
    pub(super) copies: Vec<usize>,
    pub(super) groups: Vec<usize>,
}

impl Message {
    pub(super) fn is_expired(&self, now: Monotonic) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether a client with a small maximum packet size cannot take it.
    pub(super) fn is_large(&self) -> bool {
        self.payload.len() > 50
    }
}

/// By what a copy comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All matching subscriptions of a session that are not shared.
    Own,
    /// One filter of a SUBSCRIBE, as a retained message.
    Replay(String),
    /// A shared subscription; by its filter.
    Group(String),
}

/// A message for one session.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Copy {
    /// The messages that it may be: one, but for a replay of a topic that changed meanwhile.
    pub(super) contents: Vec<usize>,
    pub(super) session: usize,
    pub(super) kind: Kind,
    /// The highest quality of service that was granted.
    pub(super) most: QoS,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    /// Whether it may not be dropped.
    pub(super) is_due: bool,
    /// Whether its session has ended, or a restart did not find it.
    pub(super) is_void: bool,
    /// Whether a restart did not find it: no later one can.
    pub(super) is_undone: bool,
    /// Whether a restart found it: it was durable.
    pub(super) is_restored: bool,
    /// Its packet identifier, once it was sent.
    pub(super) sent: Option<u16>,
    pub(super) sent_on: Option<usize>,
    /// Whether its receiver sent PUBREC.
    pub(super) is_received: bool,
    /// Whether PUBREL was sent.
    pub(super) is_released: bool,
    /// Whether its receiver has it.
    pub(super) is_complete: bool,
    /// The obligations of groups that it may fulfil.
    pub(super) may_fulfil: Vec<usize>,
    pub(super) mark: Mark,
}

impl Copy {
    pub(super) fn new(message: usize, session: usize, kind: Kind, mark: Mark) -> Self {
        Self {
            contents: vec![message],
            session,
            kind,
            most: QoS::AtMostOnce,
            retain: false,
            ids: Vec::new(),
            is_due: true,
            is_void: false,
            is_undone: false,
            is_restored: false,
            sent: None,
            sent_on: None,
            is_received: false,
            is_released: false,
            is_complete: false,
            may_fulfil: Vec::new(),
            mark,
        }
    }

    /// Whether it was not sent yet.
    pub(super) fn is_open(&self) -> bool {
        !self.is_void && !self.is_complete && self.sent.is_none()
    }

    /// The message that it is, or is most probably.
    pub(super) fn message(&self) -> usize {
        *self.contents.last().expect("a copy has a content")
    }

    pub(super) fn is_group(&self) -> bool {
        matches!(self.kind, Kind::Group(_))
    }
}

/// One member of a group has to get a message (version 5, section 4.8.2).
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Group {
    pub(super) message: usize,
    pub(super) filter: String,
    /// Whether it may not be dropped.
    pub(super) is_due: bool,
    /// Whether nobody may get it any more: a restart did not find it.
    pub(super) is_void: bool,
    /// Whether a restart found it: it was durable.
    pub(super) is_restored: bool,
    /// Whether it may have gone from one member to another, of which the first had a lower quality of service.
    pub(super) has_moved: bool,
    /// The copy that fulfils it, or is about to.
    pub(super) copy: Option<usize>,
}

/// What an accepted subscription to a group was, and when.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) granted: Granted,
    pub(super) until: Option<Mark>,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) client: usize,
    /// Whether it was made to outlive its connection.
    pub(super) is_kept: bool,
    pub(super) expiry_s: u32,
    pub(super) ends: Option<Monotonic>,
    pub(super) connection: Option<usize>,
    pub(super) has_ended: bool,
    /// Whether its CONNECT was never answered: then it may not exist.
    pub(super) is_uncertain: bool,
    pub(super) subscriptions: BTreeMap<String, History<Option<Granted>>>,
    pub(super) memberships: BTreeMap<String, Vec<Membership>>,
    /// Filters whose retained messages may still be on their way, with what was granted.
    pub(super) replays: BTreeMap<String, (QoS, Vec<u32>)>,
    /// Identifiers of QoS 2, with the latest message of each.
    pub(super) received: BTreeMap<u16, (History<bool>, usize)>,
    pub(super) copies: Vec<usize>,
    /// The will that waits for its delay.
    pub(super) will: Option<(Will, Monotonic)>,
    /// The latest message sent for the first time by publisher, topic and quality of service [MQTT-4.6.0-6].
    pub(super) latest: BTreeMap<(usize, String, u8), usize>,
    /// When its client last took only small packets.
    pub(super) was_small: Option<Mark>,
    /// When its client was last connected.
    pub(super) was_connected: Option<Mark>,
}

impl Session {
    pub(super) fn new(client: usize, expiry_s: u32) -> Self {
        Self {
            client,
            is_kept: expiry_s > 0,
            expiry_s,
            ends: None,
            connection: None,
            has_ended: false,
            is_uncertain: false,
            subscriptions: BTreeMap::new(),
            memberships: BTreeMap::new(),
            replays: BTreeMap::new(),
            received: BTreeMap::new(),
            copies: Vec::new(),
            will: None,
            latest: BTreeMap::new(),
            was_small: None,
            was_connected: None,
        }
    }

    pub(super) fn subscribed(&self) -> impl Iterator<Item = (&String, &Granted)> {
        self.subscriptions.iter().filter_map(|(filter, history)| Some((filter, history.current().as_ref()?)))
    }

    /// Whether what is acknowledged to it has to outlive the process [law 2].
    pub(super) fn outlives(&self) -> bool {
        self.is_kept && self.expiry_s > 0
    }

    /// What it was granted as a member of this group at some moment since `mark`.
    pub(super) fn memberships_since(&self, filter: &str, mark: Mark) -> impl Iterator<Item = &Membership> {
        let all = self.memberships.get(filter).into_iter().flatten();
        all.filter(move |membership| membership.until.is_none_or(|until| until >= mark))
    }

    pub(super) fn was_since(moment: Option<Mark>, mark: Mark) -> bool {
        moment.is_some_and(|moment| moment >= mark)
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Connection {
    pub(super) client: usize,
    pub(super) session: usize,
    pub(super) is_five: bool,
    pub(super) receive_max: usize,
    pub(super) packet_max: usize,
    pub(super) alias_max: u16,
    pub(super) will: Option<Will>,
    pub(super) heard: Monotonic,
    pub(super) silence: Option<Duration>,
    pub(super) mark: Mark,
    /// Whether CONNACK was sent.
    pub(super) is_greeted: bool,
    /// Whether it has ended for its session, while packets decided before may still come.
    pub(super) is_ending: bool,
    /// Whether its CONNECT began the session.
    pub(super) began_session: bool,
    pub(super) expected: VecDeque<Expected>,
    /// Identifiers that the client has not acknowledged.
    pub(super) inflight: BTreeSet<u16>,
    pub(super) aliases_in: BTreeMap<u16, String>,
    pub(super) aliases_out: BTreeMap<u16, String>,
    /// The latest message by publisher, topic and quality of service [MQTT-4.6.0-6].
    pub(super) latest: BTreeMap<(usize, String, u8), usize>,
    pub(super) pings: usize,
}

/// On which terms a persistent session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptTerms {
    pub(super) session: usize,
    pub(super) expiry_s: u32,
    pub(super) ends: Option<Monotonic>,
}

/// The will of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WillValue {
    None,
    /// Its client is connected.
    Set(Will),
    /// It waits for its delay.
    Delayed(Will, Monotonic),
    /// It was published as this message.
    Published(Will, usize),
}

/// The retained message of one topic.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) history: History<Option<usize>>,
    /// What it may be now: several only if a will may have been published or not.
    pub(super) now: Vec<Option<usize>>,
}
