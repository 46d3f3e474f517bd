//! Obligations of groups: exactly one member gets each message (version 5, section 4.8.2).

use super::deliver::Shown;
use super::types::Kind;
use super::*;

impl Oracle {
    /// Whether a member has the message, or must be the only one to get it: in flight with QoS 2 it stays with its
    /// session, also beyond the session's end [MQTT-4.8.2-5].
    pub(super) fn is_fulfilled(&self, group: &Group) -> bool {
        group.copy.is_some_and(|copy| self.copies[copy].is_complete || self.is_stuck(copy))
    }

    fn is_stuck(&self, copy: usize) -> bool {
        let Copy { is_void, sent, .. } = self.copies[copy];
        is_void && sent.is_some() && self.effective(copy) == QoS::ExactlyOnce
    }

    /// A session has ended, or it has left the group `filter`: what waits for it goes to other members, and what is in
    /// flight to a session that has ended with QoS 1.
    pub(super) fn leave_groups(&mut self, session: usize, filter: Option<&str>) {
        for group in 0..self.groups.len() {
            let Group { message, is_void, copy, .. } = self.groups[group];
            if is_void || filter.is_some_and(|filter| filter != self.groups[group].filter) {
                continue;
            }
            let mark = self.messages[message].mark;
            let leaver = &self.sessions[session];
            let memberships = leaver.memberships_since(&self.groups[group].filter, mark);
            let Some(most) = memberships.map(|membership| membership.granted.qos).max() else { continue };
            let was_connected = Session::was_since(leaver.was_connected, mark);
            match copy {
                Some(copy) if self.copies[copy].session == session => self.leave_group(group, copy, filter.is_some()),
                Some(_) => {}
                None => {
                    let group = &mut self.groups[group];
                    group.has_moved = true;
                    // it may have been in flight with QoS 2, although nobody saw it
                    let is_two = most.min(self.messages[message].qos) == QoS::ExactlyOnce;
                    group.is_due &= !(is_two && was_connected && filter.is_none());
                }
            }
        }
        self.review_groups(false);
    }

    fn leave_group(&mut self, group: usize, copy: usize, is_unsubscribe: bool) {
        let is_sent = self.copies[copy].sent.is_some();
        if self.copies[copy].is_complete || self.is_stuck(copy) || is_unsubscribe && is_sent {
            return;
        }
        self.copies[copy].is_void = true;
        (self.groups[group].copy, self.groups[group].has_moved) = (None, true);
    }

    /// What no member may read may be dropped, and so may what its holder may not read; nobody knows who that is.
    pub(super) fn review_groups(&mut self, have_rights_changed: bool) {
        for index in 0..self.groups.len() {
            let group = &self.groups[index];
            if !group.is_due || self.is_fulfilled(group) {
                continue;
            }
            let Message { topic, mark, .. } = &self.messages[group.message];
            let live = self.current.values().map(|session| &self.sessions[*session]);
            let holders: Vec<_> = live
                .clone()
                .filter(|session| session.memberships_since(&group.filter, *mark).next().is_some())
                .collect();
            let mut members = live.filter(|session| session.subscribed().any(|(filter, _)| *filter == group.filter));
            let can_drop = have_rights_changed && holders.iter().any(|session| !self.may_read(session.client, topic));
            if can_drop || !members.any(|session| self.may_read(session.client, topic)) {
                self.groups[index].is_due = false;
            }
        }
    }

    /// The obligations that a PUBLISH to this session may fulfil.
    pub(super) fn fulfils(&self, session: usize, shown: &Shown, earliest: Monotonic) -> Vec<usize> {
        let key = (shown.topic.clone(), shown.payload.clone());
        let known = self.by_content.get(&key).into_iter().flatten();
        let groups = known.flat_map(|message| &self.messages[*message].groups);
        groups.copied().filter(|group| self.is_for_group(*group, session, shown, earliest)).collect()
    }

    fn is_for_group(&self, group: usize, session: usize, shown: &Shown, earliest: Monotonic) -> bool {
        let Group { message, filter, is_void, has_moved, .. } = &self.groups[group];
        let message = &self.messages[*message];
        if *is_void || message.is_refused || !self.tells_expiry(message, shown, earliest) {
            return false;
        }
        self.sessions[session].memberships_since(filter, message.mark).any(|membership| {
            let granted = membership.granted;
            let (most, retain) = (granted.qos.min(message.qos), granted.retain_as_published && message.retain);
            let is_qos = shown.qos == most || *has_moved && shown.qos < most;
            let is_retain = shown.retain == retain || *has_moved && !shown.retain;
            is_qos && is_retain && shown.ids.as_ref().is_none_or(|ids| *ids == sorted(granted.id.into_iter()))
        })
    }

    /// A copy that a member got, or that waits for it, fulfils one of the obligations that it may fulfil.
    pub(super) fn add_group_copy(&mut self, session: usize, shown: &Shown, may_fulfil: Vec<usize>) -> Option<usize> {
        let first = *may_fulfil.first()?;
        let (message, filter) = (self.groups[first].message, self.groups[first].filter.clone());
        let mark = self.mark;
        let copy = Copy::new(message, session, Kind::Group(filter), mark);
        let Shown { qos, retain, ids, .. } = shown.clone();
        let copy = Copy { most: qos, retain, ids: ids.unwrap_or_default(), may_fulfil, ..copy };
        let index = self.add_copy(copy);
        if self.assign(index, &mut Vec::new()) {
            let client = self.sessions[session].client;
            let is_due = self.groups.iter().any(|group| group.copy == Some(index) && group.is_due);
            self.copies[index].is_due = is_due && self.may_read(client, &shown.topic);
            return Some(index);
        }
        self.copies[index].is_void = true;
        None
    }

    /// A member got a message after its session had ended, because that was decided before. With QoS 2 nobody else may
    /// get it [MQTT-4.8.2-5].
    pub(super) fn add_late_group_copy(&mut self, session: usize, shown: &Shown, groups: &[usize]) -> Option<usize> {
        let first = *groups.first()?;
        let copy =
            Copy::new(self.groups[first].message, session, Kind::Group(self.groups[first].filter.clone()), self.mark);
        let index = self.add_copy(Copy { most: shown.qos, retain: shown.retain, is_void: true, ..copy });
        let open = groups.iter().find(|group| self.groups[**group].copy.is_none());
        if let Some(open) = open.filter(|_| shown.qos == QoS::ExactlyOnce) {
            self.groups[*open].copy = Some(index);
        }
        Some(index)
    }

    /// Finds an obligation for a copy; others make room where they may fulfil another one.
    pub(super) fn assign(&mut self, copy: usize, visited: &mut Vec<usize>) -> bool {
        for group in self.copies[copy].may_fulfil.clone() {
            if visited.contains(&group) || self.groups[group].is_void {
                continue;
            }
            visited.push(group);
            let holder = self.groups[group].copy;
            if holder.is_none_or(|holder| self.assign(holder, visited)) {
                self.groups[group].copy = Some(copy);
                let message = self.groups[group].message;
                self.copies[copy].contents = vec![message];
                return true;
            }
        }
        false
    }
}
