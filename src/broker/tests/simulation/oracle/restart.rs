//! What a restart may find: for each key a value that is not older than the last acknowledged one [law 2].

use std::collections::BTreeMap;

use super::super::super::super::state::{Kept, KeptWill, Phase, SessionState, State};
use super::deliver::Shown;
use super::types::Kind;
use super::*;

/// How far a copy has come on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Absent,
    Waiting,
    Sent(u16),
    Released(u16),
}

impl Stage {
    fn of(kept: &Kept) -> Self {
        match kept.sent {
            None => Self::Waiting,
            Some(sent) if sent.phase == Phase::Released => Self::Released(sent.packet_id.get()),
            Some(sent) => Self::Sent(sent.packet_id.get()),
        }
    }

    fn has_identifier(self, identifier: Option<u16>) -> bool {
        matches!(self, Self::Sent(id) | Self::Released(id) if identifier == Some(id))
    }
}

/// What the state on disk stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Sessions by client, with their terms.
    pub(super) sessions: BTreeMap<usize, KeptTerms>,
    pub(super) copies: BTreeMap<usize, Stage>,
    /// Messages of groups that wait for a session: obligation, session and how far it has come.
    pub(super) groups: BTreeMap<usize, (usize, Stage, Shown)>,
    pub(super) retained: BTreeMap<String, usize>,
}

type Checked<T = ()> = Result<T, String>;

/// The client of the simulation that has this identifier.
fn number(client_id: &ClientId) -> usize {
    client_id.as_str()[1..].parse().unwrap()
}

impl Oracle {
    /// Compares what a restart would find with what was acknowledged.
    pub(in super::super) fn check_restart(&mut self, disk: &State) {
        self.observe(disk);
        if let Err(reason) = self.find(disk) {
            panic!("after a restart: {reason}");
        }
    }

    pub(super) fn find(&self, disk: &State) -> Checked<Found> {
        let mut found = Found::default();
        for client in 0..self.kept.len() {
            let state = disk.sessions.iter().find(|session| number(&session.client_id) == client);
            self.find_session(client, state, &mut found)?;
        }
        self.find_retained(disk, &mut found)?;
        self.check_groups(&found)?;
        for session in 0..self.sessions.len() {
            self.check_received(session, disk, &found)?;
        }
        for client in 0..self.wills.len() {
            let will = disk.wills.iter().find(|will| number(&will.client_id) == client);
            self.check_will(client, will, &found)?;
        }
        Ok(found)
    }

    fn find_session(&self, client: usize, state: Option<&SessionState>, found: &mut Found) -> Checked {
        let mut possible = self.kept[client].possible();
        let Some(state) = state else {
            // one that ends with its connection needs not be there
            let may_be_absent = possible.any(|kept| kept.as_ref().is_none_or(|kept| kept.expiry_s == 0));
            return if may_be_absent { Ok(()) } else { Err(format!("the session of c{client} is lost")) };
        };
        let mut reasons = Vec::new();
        for terms in possible.flatten() {
            if (terms.expiry_s, terms.ends) != (state.terms.expiry_interval_s, state.terms.ends) {
                continue;
            }
            let mut attempt = found.clone();
            match self.find_in_session(terms.session, state, &mut attempt) {
                Ok(()) => {
                    *found = attempt;
                    found.sessions.insert(client, terms.clone());
                    return Ok(());
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("the session of c{client} has terms {:?}, not {:?}: {reasons:?}", state.terms, self.kept[client]))
    }

    fn find_in_session(&self, index: usize, state: &SessionState, found: &mut Found) -> Checked {
        let session = &self.sessions[index];
        let is_obliged = session.outlives() && !session.has_ended;
        for (filter, history) in &session.subscriptions {
            let on_disk = state.subscriptions.iter().find(|(other, _)| other.as_str() == filter);
            let on_disk = on_disk.map(|(_, granted)| *granted);
            if is_obliged && !history.possible().any(|granted| *granted == on_disk) {
                return Err(format!("c{} subscribes {filter} with {on_disk:?}, not {history:?}", session.client));
            }
        }
        for (filter, _) in &state.subscriptions {
            let history = session.subscriptions.get(filter.as_str());
            if history.is_none() {
                return Err(format!("c{} never subscribed {filter}", session.client));
            }
        }
        for kept in &state.deliveries {
            self.find_delivery(index, kept, found)?;
        }
        for copy in session.copies.iter().copied().filter(|copy| !found.copies.contains_key(copy)) {
            let is_coming = match &self.copies[copy].kind {
                Kind::Replay(filter) => state.replays.iter().any(|replay| replay.as_str() == filter),
                Kind::Own | Kind::Group(_) => false,
            };
            if is_obliged && !is_coming && !self.allows(copy, Stage::Absent) {
                let message = &self.messages[self.copies[copy].message()];
                let known = self.describe(&message.topic, &message.payload);
                return Err(format!("{:?} of c{} is lost: {known}", self.copies[copy], session.client));
            }
        }
        Ok(())
    }

    /// What a delivery on disk stands for.
    fn find_delivery(&self, session: usize, kept: &Kept, found: &mut Found) -> Checked {
        let delivery = &kept.delivery;
        let (stage, marks) = (Stage::of(kept), delivery.marks.as_ref());
        let shown = Shown {
            topic: delivery.message.topic.to_string(),
            payload: delivery.message.payload.clone(),
            qos: delivery.qos,
            retain: delivery.retain,
            ids: Some(sorted(delivery.subscription_ids().iter().copied())),
            expiry_s: None,
        };
        let expires = delivery.message.expires;
        let key = (shown.topic.clone(), shown.payload.clone());
        let known = self.by_content.get(&key).into_iter().flatten().copied();
        let known: Vec<usize> = known.filter(|message| self.messages[*message].expires == expires).collect();
        let is_found = match marks.and_then(|marks| marks.share.as_ref()) {
            Some(filter) => self.find_in_group(session, filter.as_str(), &known, (stage, shown), found),
            None => self.find_copy(session, &known, stage, &shown, found),
        };
        let client = self.sessions[session].client;
        let describe = || self.describe(delivery.message.topic.as_str(), &delivery.message.payload);
        if is_found { Ok(()) } else { Err(format!("{kept:?} waits for c{client}: {}", describe())) }
    }

    fn find_copy(&self, session: usize, known: &[usize], stage: Stage, shown: &Shown, found: &mut Found) -> bool {
        let copies =
            known.iter().flat_map(|message| self.messages[*message].copies.iter().map(move |copy| (*message, *copy)));
        let is_it = |(message, copy): &(usize, usize)| {
            let Copy { session: receiver, most, retain, ids, .. } = &self.copies[*copy];
            *receiver == session
                && !self.copies[*copy].is_group()
                && !self.messages[*message].is_refused
                && most.min(&self.messages[*message].qos) == &shown.qos
                && *retain == shown.retain
                && Some(ids) == shown.ids.as_ref()
                && !found.copies.contains_key(copy)
                && self.allows(*copy, stage)
        };
        let mut fitting: Vec<_> = copies.filter(is_it).collect();
        fitting.sort_by_key(|(message, copy)| {
            let Copy { sent, is_complete, .. } = &self.copies[*copy];
            let may_be_absent = self.allows(*copy, Stage::Absent);
            (!stage.has_identifier(*sent), may_be_absent, sent.is_some(), *is_complete, *message)
        });
        let Some((_, copy)) = fitting.first() else { return false };
        found.copies.insert(*copy, stage);
        true
    }

    fn find_in_group(
        &self,
        session: usize,
        filter: &str,
        known: &[usize],
        (stage, shown): (Stage, Shown),
        found: &mut Found,
    ) -> bool {
        let groups = known.iter().flat_map(|message| self.messages[*message].groups.iter().copied());
        let is_member = |group: usize, session: usize| {
            let Group { message, filter: own, is_void, .. } = &self.groups[group];
            let mark = self.messages[*message].mark;
            own == filter && !is_void && self.sessions[session].memberships_since(filter, mark).next().is_some()
        };
        let groups: Vec<usize> = groups.filter(|group| is_member(*group, session)).collect();
        // a message that was published twice: what another session has may be the other one
        let others = known.iter().flat_map(|message| self.messages[*message].groups.iter().copied());
        for other in others.filter(|other| !groups.contains(other)) {
            let earlier = groups.iter().copied().find(|group| found.groups.contains_key(group));
            let is_all_taken = groups.iter().all(|group| found.groups.contains_key(group));
            if is_all_taken
                && !found.groups.contains_key(&other)
                && let Some(earlier) = earlier
            {
                let moved = found.groups.remove(&earlier).filter(|(session, ..)| is_member(other, *session));
                found.groups.extend(moved.map(|moved| (other, moved)));
            }
        }
        let mut fitting: Vec<usize> = groups.into_iter().filter(|group| !found.groups.contains_key(group)).collect();
        let is_needed = |index: usize| {
            let group = &self.groups[index];
            let is_durable = group.is_restored || self.messages[group.message].is_acknowledged;
            is_durable && self.is_lost(group)
        };
        let copy = self.group_copy(session, known, stage, found).filter(|copy| {
            let Copy { sent, may_fulfil, .. } = &self.copies[*copy];
            let fulfils = |group: &usize| may_fulfil.contains(group);
            // one that waits may be a later one that nobody has seen
            let is_it = sent.is_none() || stage.has_identifier(*sent);
            fitting.iter().any(fulfils) && (is_it || !fitting.iter().any(|group| is_needed(*group) && !fulfils(group)))
        });
        fitting.retain(|group| copy.is_none_or(|copy| self.copies[copy].may_fulfil.contains(group)));
        fitting.sort_by_key(|index| {
            let group = &self.groups[*index];
            (!is_needed(*index), group.copy != copy, self.is_fulfilled(group))
        });
        let Some(group) = fitting.first().copied() else { return false };
        found.copies.extend(copy.map(|copy| (copy, stage)));
        found.groups.insert(group, (session, stage, shown));
        true
    }

    /// The copy that a delivery of a group on disk stands for, if it was seen before.
    fn group_copy(&self, session: usize, known: &[usize], stage: Stage, found: &Found) -> Option<usize> {
        let copies = known.iter().flat_map(|message| self.messages[*message].copies.iter().copied());
        let own = copies.filter(|copy| {
            let known = &self.copies[*copy];
            let is_it = known.session == session && known.is_group() && !known.is_void;
            is_it && !found.copies.contains_key(copy) && self.allows(*copy, stage)
        });
        own.min_by_key(|copy| {
            let known = &self.copies[*copy];
            (!stage.has_identifier(known.sent), known.sent.is_some(), known.is_complete)
        })
    }

    /// Whether a restart may find a copy that has come so far.
    fn allows(&self, copy: usize, stage: Stage) -> bool {
        let copy = &self.copies[copy];
        let is_two = copy.most.min(self.messages[copy.message()].qos) == QoS::ExactlyOnce;
        if copy.most.min(self.messages[copy.message()].qos) == QoS::AtMostOnce {
            return stage == Stage::Absent;
        }
        // a QoS 2 identifier is durable before it is used: else the message came twice after a crash [MQTT-4.3.3-2]
        let is_promised = is_two && copy.sent.is_some();
        if copy.is_undone {
            return stage == Stage::Absent;
        }
        match stage {
            Stage::Absent => {
                // what is for a group may have gone to another member
                let is_durable = is_promised || !copy.is_group() && (copy.is_restored || self.is_acknowledged(copy));
                // [MQTT-3.3.2-5]
                let is_over = copy.sent.is_none() && self.messages[copy.message()].is_expired(self.now);
                let may_be_dropped = !copy.is_due || !is_durable || is_over;
                copy.is_complete || copy.is_void || !copy.is_released && may_be_dropped
            }
            Stage::Waiting => !is_promised,
            Stage::Sent(id) => copy.sent.is_none_or(|sent| sent == id) && !copy.is_released,
            Stage::Released(id) => copy.sent == Some(id) && copy.is_received,
        }
    }

    /// Whether somebody was told that the broker has what leads to this copy.
    fn is_acknowledged(&self, copy: &Copy) -> bool {
        match &copy.kind {
            Kind::Own => self.messages[copy.message()].is_acknowledged,
            Kind::Replay(filter) => {
                let history = &self.sessions[copy.session].subscriptions[filter];
                history.possible().all(Option::is_some)
                    && history.mark() <= copy.mark
                    && history.possible().count() == 1
            }
            Kind::Group(_) => false,
        }
    }

    /// What was acknowledged and is for a group waits for one of its members, if they are all persistent.
    fn check_groups(&self, found: &Found) -> Checked {
        for (index, group) in self.groups.iter().enumerate() {
            let is_durable = group.is_restored || self.messages[group.message].is_acknowledged;
            let is_gone = !found.groups.contains_key(&index) && !self.is_exchanged(index, found);
            if is_durable && is_gone && self.is_lost(group) {
                return Err(format!("{group:?} {:?} is lost", self.messages[group.message]));
            }
        }
        Ok(())
    }

    /// Whether a copy for the obligation of an equal message may as well be for this one, while that one has another
    /// copy or may be lost: a publisher that sends a message again makes two of it.
    fn is_exchanged(&self, group: usize, found: &Found) -> bool {
        self.exchangeable(group).any(|index| {
            let other = &self.groups[index];
            let (is_found, is_fulfilled) = (found.groups.contains_key(&index), self.is_fulfilled(other));
            let is_durable = other.is_restored || self.messages[other.message].is_acknowledged;
            let may_be_lost = !is_durable || !self.can_be_lost(other);
            is_found && is_fulfilled || (is_found || is_fulfilled) && may_be_lost
        })
    }

    /// The obligations whose copy may as well be for this one.
    pub(super) fn exchangeable(&self, group: usize) -> impl Iterator<Item = usize> {
        let message = &self.messages[self.groups[group].message];
        let equal = &self.by_content[&(message.topic.clone(), message.payload.clone())];
        let others = equal.iter().flat_map(|message| &self.messages[*message].groups).copied();
        others.filter(move |other| {
            let copy = self.groups[*other].copy;
            *other != group && copy.is_some_and(|copy| self.copies[copy].may_fulfil.contains(&group))
        })
    }

    /// Whether an obligation cannot be fulfilled when a restart finds nothing of it.
    fn is_lost(&self, group: &Group) -> bool {
        !self.is_fulfilled(group) && self.can_be_lost(group)
    }

    /// Whether an obligation that nobody has fulfilled has to be found.
    fn can_be_lost(&self, group: &Group) -> bool {
        let message = &self.messages[group.message];
        let members = self.sessions.iter().filter_map(|session| {
            let granted =
                session.memberships_since(&group.filter, message.mark).map(|membership| membership.granted.qos);
            granted.min().map(|least| (session, least))
        });
        let mut members = members.filter(|(session, _)| !session.has_ended || session.is_kept || session.expiry_s == 0);
        let is_small = |session: &Session| Session::was_since(session.was_small, message.mark);
        let keeps = |session: &Session| session.is_kept && (session.has_ended || session.outlives());
        let is_kept = members.all(|(session, least)| {
            keeps(session) && least.min(message.qos) > QoS::AtMostOnce && !(message.is_large() && is_small(session))
        });
        let is_due = group.is_due && !group.is_void && !message.is_refused && !message.is_expired(self.now);
        is_due && is_kept
    }

    fn find_retained(&self, disk: &State, found: &mut Found) -> Checked {
        for kept in &disk.retained {
            let topic = kept.message.topic.as_str();
            let Some(retained) = self.retained.get(topic) else { return Err(format!("{kept:?} is retained")) };
            let is_it = |message: &usize| {
                let message = &self.messages[*message];
                let is_same = message.payload == kept.message.payload && message.qos == kept.qos;
                is_same && message.expires == kept.message.expires && !message.is_refused
            };
            let message = retained.history.possible().flatten().copied().filter(is_it).last();
            let Some(message) = message else { return Err(format!("{kept:?} is retained, not {retained:?}")) };
            found.retained.insert(topic.to_owned(), message);
        }
        for (topic, retained) in &self.retained {
            let is_over = |message: &usize| self.messages[*message].is_expired(self.now);
            let may_be_absent = retained.history.possible().any(|value| value.as_ref().is_none_or(is_over));
            if !may_be_absent && !found.retained.contains_key(topic) {
                return Err(format!("what is retained under {topic} is lost: {retained:?}"));
            }
        }
        Ok(())
    }

    fn check_received(&self, index: usize, disk: &State, found: &Found) -> Checked {
        let session = &self.sessions[index];
        let is_found = found.sessions.get(&session.client).is_some_and(|terms| terms.session == index);
        if !is_found || !session.outlives() || session.has_ended {
            return Ok(());
        }
        let state = disk.sessions.iter().find(|state| number(&state.client_id) == session.client);
        let on_disk: Vec<u16> = state.into_iter().flat_map(|state| &state.received).map(|id| id.get()).collect();
        if let Some(unknown) = on_disk.iter().find(|id| !session.received.contains_key(id)) {
            return Err(format!("c{} never published with {unknown}", session.client));
        }
        for (packet_id, (history, message)) in &session.received {
            let is_known = on_disk.contains(packet_id);
            if !history.possible().any(|known| *known == is_known) {
                return Err(format!("{packet_id} of c{} is known: {is_known}, not {history:?}", session.client));
            }
            if *history.current() && !self.messages[*message].is_tentative {
                self.check_flow(*message, is_known, found)?;
            }
        }
        Ok(())
    }

    /// A message of QoS 2 and its identifier are durable together [MQTT-4.3.3-2].
    fn check_flow(&self, message: usize, is_known: bool, found: &Found) -> Checked {
        if is_known {
            return self.require(message, found);
        }
        let is_there = |copy: &usize| found.copies.contains_key(copy) && self.copies[*copy].kind == Kind::Own;
        let Message { copies, groups, .. } = &self.messages[message];
        let has_copy = copies.iter().any(is_there) || groups.iter().any(|group| found.groups.contains_key(group));
        if has_copy {
            Err(format!("{:?} is durable and its identifier is not", self.messages[message]))
        } else {
            Ok(())
        }
    }

    /// All that an accepted message leads to must be durable.
    fn require(&self, message: usize, found: &Found) -> Checked {
        let Message { topic, copies, groups, qos, retain, mark, .. } = &self.messages[message];
        let lost = copies.iter().map(|copy| &self.copies[*copy]).zip(copies).find(|(copy, index)| {
            let session = &self.sessions[copy.session];
            let is_found = found.sessions.get(&session.client).is_some_and(|terms| terms.session == copy.session);
            let is_obliged = is_found && session.outlives() && copy.kind == Kind::Own;
            let is_numbered = copy.most.min(*qos) > QoS::AtMostOnce;
            let is_over = self.messages[message].is_expired(self.now)
                || copy.is_complete
                || copy.is_void
                || !copy.is_due
                || found.copies.contains_key(index);
            is_obliged && is_numbered && !is_over
        });
        if let Some((copy, _)) = lost {
            return Err(format!("{copy:?} is lost, and {:?} is not repeated", self.messages[message]));
        }
        let mut groups = groups.iter().filter(|group| !found.groups.contains_key(group));
        if let Some(group) = groups.find(|group| self.is_lost(&self.groups[**group])) {
            return Err(format!("{:?} is lost, and {:?} is not repeated", self.groups[*group], self.messages[message]));
        }
        let is_retained = !*retain || *qos == QoS::AtMostOnce || {
            let mut later = self.retained[topic].history.clone();
            later.acknowledge(*mark);
            let on_disk = found.retained.get(topic).copied();
            let is_over =
                |value: &Option<usize>| value.is_some_and(|message| self.messages[message].is_expired(self.now));
            later.possible().any(|value| *value == on_disk || on_disk.is_none() && is_over(value))
        };
        if is_retained { Ok(()) } else { Err(format!("{:?} is not retained", self.messages[message])) }
    }

    /// A will is on disk until it is void, or until it is published and all that this leads to is durable.
    fn check_will(&self, client: usize, on_disk: Option<&KeptWill>, found: &Found) -> Checked {
        let mut reasons = Vec::new();
        for value in self.wills[client].possible() {
            let outcome = match (value, on_disk) {
                (WillValue::None, None) => Ok(()),
                (WillValue::Set(will), Some(kept)) if kept.will == *will && kept.due.is_none() => Ok(()),
                (WillValue::Delayed(will, due), Some(kept)) if kept.will == *will && kept.due == Some(*due) => Ok(()),
                (WillValue::Published(_, message), None) if self.messages[*message].is_tentative => Ok(()),
                (WillValue::Published(_, message), None) => self.require(*message, found),
                _ => Err(format!("{value:?}")),
            };
            if outcome.is_ok() {
                return Ok(());
            }
            reasons.extend(outcome.err());
        }
        Err(format!("the will of c{client} is {on_disk:?}, not {reasons:?}"))
    }
}
