//! From one publication to its receivers.

use super::authenticate::is_system_topic;
use super::change::Change;
use super::deliver::DeliveryContext;
use super::forms::{Content, Forms, Own};
use super::lane::Lane;
use super::machine::Broker;
use super::members::Match;
use super::message::{Delivery, Granted, Marks, Owner};
use super::output::{NotRetained, Output, Ticket};
use super::persist::{Barrier, Key};
use super::retained::{self, Retained};
use super::session::{Session, SessionKey};
use super::subscriptions::Found;
use super::timers::Timer;
use crate::mqtt::{Publish, QoS, SubscriptionId, TopicFilter, TopicName, Will, disallowed_code_point};

/// A message on its way through, borrowed from wherever it came.
pub(super) struct Publication<'a> {
    pub(super) content: Content<'a>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Whose it is, where it may not come back to [MQTT-3.8.3-3].
    pub(super) from: Option<SessionKey>,
    /// Whose retained message it becomes, where that does not follow from `from`.
    pub(super) owner: Option<Owner>,
}

/// What came of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Routed {
    /// What an acknowledgement has to wait for.
    pub(super) barrier: Barrier,
    /// Whether anybody subscribes to it.
    pub(super) has_receivers: bool,
}

impl<'a> Publication<'a> {
    pub(super) fn from_publish(publish: &Publish<'a>, from: SessionKey) -> Self {
        let content = Content {
            topic: publish.topic,
            payload: publish.payload,
            stored: None,
            properties: publish.properties.message,
            expiry_s: publish.properties.message_expiry_interval_s,
        };
        Self { content, qos: publish.qos, retain: publish.retain, from: Some(from), owner: None }
    }

    pub(super) fn from_will(will: &'a Will) -> Self {
        let content = Content {
            topic: will.topic.as_str(),
            payload: &will.payload,
            stored: Some(&will.payload),
            properties: will.properties.as_ref(),
            expiry_s: will.message_expiry_interval_s,
        };
        Self { content, qos: will.qos, retain: will.retain, from: None, owner: None }
    }
}

impl Publication<'_> {
    /// Returns whether a client clears a retained message whose topic has a disallowed code point, the only PUBLISH with
    /// such a topic that the decoder accepts. It is not delivered: mosquitto's clients end the connection over it.
    fn is_clearing_disallowed_topic(&self) -> bool {
        self.from.is_some() && self.content.payload.is_empty() && disallowed_code_point(self.content.topic).is_some()
    }
}

/// One receiver's subscriptions that match, taken together.
struct Share {
    granted: Granted,
    subscription_ids: Vec<SubscriptionId>,
    filter: Option<TopicFilter>,
}

impl Share {
    /// The highest quality of service of all [MQTT-3.3.4-2], the identifiers of all [MQTT-3.3.4-4]; `None` when none of
    /// them wants what `is_own`.
    fn of(matches: &[Match], is_own: bool) -> Option<Self> {
        let mut wanted = matches.iter().map(|found| found.granted).filter(|granted| !(granted.no_local && is_own));
        let mut granted = wanted.next()?;
        let mut subscription_ids: Vec<SubscriptionId> = granted.id.into_iter().collect();
        for other in wanted {
            granted.qos = granted.qos.max(other.qos);
            granted.retain_as_published |= other.retain_as_published;
            subscription_ids.extend(other.id);
        }
        Some(Self { granted, subscription_ids, filter: None })
    }

    fn marks(&self) -> Option<Box<Marks>> {
        let is_plain = self.subscription_ids.is_empty() && self.filter.is_none();
        (!is_plain).then(|| {
            Box::new(Marks { subscription_ids: self.subscription_ids.clone(), share: self.filter.clone(), stale: None })
        })
    }
}

/// Returns whether a member of a group may receive what is published under `topic`.
fn may_read(member: Option<&Session>, topic: &str) -> bool {
    member.is_some_and(|session| session.rights.may_read(topic))
}

impl Broker {
    /// Delivers a publication to everyone who subscribes to it, and keeps it when it is retained. Receivers are sent it
    /// once `barrier` is met.
    pub(super) fn route(&mut self, publication: &Publication<'_>, barrier: Barrier) -> Routed {
        let mut forms = Forms::new(publication.content, self.now);
        let retained = if publication.retain { self.retain(&mut forms, publication) } else { Barrier::None };
        if publication.is_clearing_disallowed_topic() {
            return Routed { barrier: retained, has_receivers: false };
        }
        let mut must_wait = false;
        let mut found = std::mem::take(&mut self.found);
        let topic = publication.content.topic;
        self.subscriptions.collect(topic, &mut found);
        let mut has_receivers = false;
        for matches in found.own.chunk_by(|a, b| a.session == b.session) {
            let Some(first) = matches.first() else { continue };
            has_receivers |= self.sessions.contains_key(first.session);
            let is_own = publication.from == Some(first.session);
            if let Some(share) = Share::of(matches, is_own) {
                must_wait |= self.hand_on(first.session, &share, publication, &mut forms, barrier);
            }
        }
        for group in found.groups.drain(..) {
            let sessions = &self.sessions;
            let member = self.subscriptions.pick(group, &|key| may_read(sessions.get(key), topic));
            let Some(member) = member else { continue };
            has_receivers = true;
            let subscription_ids = member.granted.id.into_iter().collect();
            let filter = self.subscriptions.group_filter(group).cloned();
            let share = Share { granted: member.granted, subscription_ids, filter };
            must_wait |= self.hand_on(member.session, &share, publication, &mut forms, barrier);
        }
        found.own.clear();
        self.found = found;
        let delivered = if must_wait { Barrier::ThisInput } else { Barrier::None };
        Routed { barrier: self.persist.both(retained, delivered), has_receivers }
    }

    /// Gives a publication to one session. Returns whether an acknowledgement has to wait for durability.
    fn hand_on(
        &mut self,
        session: SessionKey,
        share: &Share,
        publication: &Publication<'_>,
        forms: &mut Forms<'_>,
        barrier: Barrier,
    ) -> bool {
        // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
        let retain = share.granted.retain_as_published && publication.retain;
        // [MQTT-3.8.4-8]
        match share.granted.qos.min(publication.qos) {
            QoS::AtMostOnce => {
                self.pass_on(session, share, retain, forms, barrier);
                false
            }
            qos => {
                let Some(message) = forms.message() else { return false };
                self.arrivals += 1;
                let delivery = Delivery { arrival: self.arrivals, message, qos, retain, marks: share.marks() };
                self.deliver(session, delivery, DeliveryContext { barrier, forms: Some(forms) })
            }
        }
    }

    /// Whether a PUBLISH of QoS 1 or 2 is acknowledged only when something is written.
    pub(super) fn needs_disk(&self, from: SessionKey, publish: &Publish<'_>) -> bool {
        let is_kept = |broker: &Self, key| broker.sessions.get(key).is_some_and(Session::is_persistent);
        let takes_identifier = publish.qos == QoS::ExactlyOnce && is_kept(self, from);
        let mut found = Found::default();
        self.subscriptions.collect(publish.topic, &mut found);
        let may_read = |key| may_read(self.sessions.get(key), publish.topic);
        let members = found.groups.into_iter().filter_map(|group| self.subscriptions.peek(group, &may_read));
        let mut matches = found.own.into_iter().chain(members);
        takes_identifier
            || publish.retain
            || matches.any(|found| found.granted.qos > QoS::AtMostOnce && is_kept(self, found.session))
    }

    /// QoS 0: now or never.
    fn pass_on(&mut self, session: SessionKey, share: &Share, retain: bool, forms: &mut Forms<'_>, barrier: Barrier) {
        let Some(session) = self.sessions.get(session) else { return };
        let Some(connection) = session.connection else { return };
        if !session.rights.may_read(forms.content.topic) {
            return;
        }
        let Some(record) = self.connections.get_mut(connection) else { return };
        let subscription_ids = &share.subscription_ids;
        let own = Own { qos: QoS::AtMostOnce, retain, dup: false, packet_id: None, subscription_ids };
        if let Some((frame, class)) = forms.frame(record, &own) {
            self.count_sent(forms.content.payload.len());
            self.send(connection, frame, class, Lane::Deliveries, barrier);
        }
    }

    /// Keeps a retained message, or clears its topic. Returns what an acknowledgement has to wait for.
    fn retain(&mut self, forms: &mut Forms<'_>, publication: &Publication<'_>) -> Barrier {
        let qos = publication.qos;
        let owner = publication.owner.clone().unwrap_or_else(|| self.owner_of(publication.from));
        let Some(message) = forms.message() else { return Barrier::None };
        if message.payload.is_empty() {
            // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
            return self.clear_retained(&message.topic);
        }
        let retained = Retained { message: message.clone(), qos, owner: owner.clone() };
        if !self.keep_retained(retained) {
            let client_id = publication.from.and_then(|key| self.sessions.get(key)).map(|of| of.client_id.clone());
            let (topic, outcome) = (message.topic.clone(), NotRetained::Delivered);
            self.outputs.push_back(Output::NotifyRetainedFull { client_id, topic, outcome });
            // an older one would be taken for the newest [MQTT-3.3.1-5]
            return self.clear_retained(&message.topic);
        }
        self.arm_retained();
        self.persist.record(Change::Retained { message, qos, owner });
        if qos == QoS::AtMostOnce { Barrier::None } else { Barrier::ThisInput }
    }

    /// Returns whether the retained message of a PUBLISH would fit into the budget.
    pub(super) fn fits_retained(&self, publication: &Publication<'_>) -> bool {
        let Content { topic, payload, properties, expiry_s, .. } = publication.content;
        let bytes = retained::cost_of(topic.len() + payload.len(), properties.len(), expiry_s.is_some());
        payload.is_empty() || self.has_retained_room(topic, &self.owner_of(publication.from), bytes)
    }

    fn has_retained_room(&self, topic: &str, owner: &Owner, bytes: usize) -> bool {
        let replaced = self.retained.get(topic);
        let replaced = replaced.map(|replaced| (&replaced.owner, retained::cost(replaced)));
        self.retained_budget.fits(owner, bytes, replaced, &self.options)
    }

    /// Keeps a retained message that fits into the budget. Returns whether it does.
    fn keep_retained(&mut self, retained: Retained) -> bool {
        let fits = self.has_retained_room(retained.message.topic.as_str(), &retained.owner, retained::cost(&retained));
        if fits {
            self.set_retained(retained);
        }
        fits
    }

    /// Keeps a retained message, whether it fits or not. Those under `$SYS` do not count.
    pub(super) fn set_retained(&mut self, retained: Retained) {
        let counts = |retained: &Retained| !is_system_topic(retained.message.topic.as_str());
        if counts(&retained) {
            self.retained_budget.add(&retained.owner, retained::cost(&retained));
        }
        if let Some(replaced) = self.retained.set(retained).filter(counts) {
            self.retained_budget.remove(&replaced.owner, retained::cost(&replaced));
        }
    }

    /// Returns the account that retained messages of this session count towards.
    fn owner_of(&self, session: Option<SessionKey>) -> Owner {
        let Some(session) = session.and_then(|key| self.sessions.get(key)) else { return Owner::Anonymous };
        match &session.user {
            _ if self.is_of_the_house(session) => Owner::Internal,
            Some(user) => Owner::User(user.clone()),
            None => Owner::Anonymous,
        }
    }

    /// Clears what is retained under `topic`. Returns what an acknowledgement of that has to wait for: where nothing is
    /// retained, for the last clearing of the topic.
    pub(super) fn clear_retained(&mut self, topic: &TopicName) -> Barrier {
        if let Some(cleared) = self.retained.clear(topic.as_str()) {
            self.retained_budget.remove(&cleared.owner, retained::cost(&cleared));
            self.persist.record(Change::RetainedCleared { topic: topic.clone() });
            return Barrier::ThisInput;
        }
        self.persist.last_removal(&Key::Retained(topic.clone()))
    }

    /// Forgets what has expired [MQTT-3.3.2-5], and wakes for the next.
    pub(super) fn expire_retained(&mut self) {
        self.retained_timer = None;
        while let Some(topic) = self.retained.poll_expired(self.now) {
            self.clear_retained(&topic);
        }
        self.arm_retained();
    }

    pub(super) fn arm_retained(&mut self) {
        let Some(deadline) = self.retained.next_expiry() else { return };
        if self.retained_timer.is_none_or(|timer| deadline < timer) {
            self.retained_timer = Some(deadline);
            self.timers.set(Timer::Retained, deadline);
        }
    }

    /// Gives a delivery of a shared subscription to another member of the group, once everything up to `held_until` is
    /// durable. Without a member that may read it the message is dropped.
    pub(super) fn reassign(&mut self, delivery: Delivery, held_until: Ticket) {
        let Some(filter) = delivery.share().cloned().filter(|_| !delivery.is_over(self.now)) else { return };
        let (sessions, topic) = (&self.sessions, delivery.message.topic.as_str());
        let group = self.subscriptions.group(&filter);
        let may_read = |key| may_read(sessions.get(key), topic);
        let member = group.and_then(|group| self.subscriptions.pick(group, &may_read));
        let Some(Match { session, granted }) = member else { return };
        self.arrivals += 1;
        let marks = Marks { subscription_ids: granted.id.into_iter().collect(), share: Some(filter), stale: None };
        let qos = delivery.qos.min(granted.qos);
        let retain = delivery.retain && granted.retain_as_published;
        let again = Delivery { arrival: self.arrivals, qos, retain, marks: Some(Box::new(marks)), ..delivery };
        let barrier = self.persist.everything_up_to(held_until);
        self.deliver(session, again, DeliveryContext { barrier, forms: None });
    }
}
