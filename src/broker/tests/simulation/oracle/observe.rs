//! Of messages that a session gets in several ways, the disk says which came in which way.

use super::super::super::super::state::{Kept, State};
use super::types::Kind;
use super::*;

impl Oracle {
    pub(super) fn observe(&mut self, disk: &State) {
        for state in &disk.sessions {
            let client: usize = state.client_id.as_str()[1..].parse().unwrap();
            let Some(session) = self.current.get(&client).copied() else { continue };
            for Kept { delivery, sent } in &state.deliveries {
                let filter = delivery.marks.as_ref().and_then(|marks| marks.share.as_ref());
                let copy = sent.and_then(|sent| {
                    let message = &delivery.message;
                    self.sent_as(session, sent.packet_id.get(), message.topic.as_str(), &message.payload)
                });
                if let Some(copy) = copy {
                    self.observe_one(copy, filter.map(TopicFilter::as_str));
                }
            }
        }
    }

    /// The copy that a session got under this identifier, also when it is complete by now.
    fn sent_as(&self, session: usize, packet_id: u16, topic: &str, payload: &Bytes) -> Option<usize> {
        let is_it = |copy: &&usize| {
            let copy = &self.copies[**copy];
            let message = &self.messages[copy.message()];
            copy.sent == Some(packet_id) && !copy.is_void && message.topic == topic && message.payload == payload
        };
        self.sessions[session].copies.iter().rev().find(is_it).copied()
    }

    /// It was observed that `copy` comes through the group `filter`, or through none.
    fn observe_one(&mut self, copy: usize, filter: Option<&str>) {
        match filter {
            None if self.copies[copy].is_group() => {
                let other = self.twin(copy, |other| !other.is_group());
                self.swap(copy, other.unwrap_or_else(|| panic!("{:?} comes through no group", self.copies[copy])));
            }
            Some(filter) if !self.copies[copy].is_group() => {
                let kind = Kind::Group(filter.to_owned());
                let other = self.twin(copy, |other| other.kind == kind).or_else(|| self.add_twin(copy, filter));
                self.swap(copy, other.unwrap_or_else(|| panic!("{:?} comes through {filter}", self.copies[copy])));
            }
            Some(filter) => self.pin(copy, filter),
            None => {}
        }
    }

    /// A copy of the same message for the same session that looks alike.
    fn twin(&self, copy: usize, is_it: impl Fn(&Copy) -> bool) -> Option<usize> {
        let Copy { session, retain, ids, .. } = &self.copies[copy];
        let message = &self.messages[self.copies[copy].message()];
        let key = (message.topic.clone(), message.payload.clone());
        let copies = self.by_content[&key].iter().flat_map(|message| &self.messages[*message].copies).copied();
        copies.into_iter().find(|index| {
            let other = &self.copies[*index];
            let is_alike = other.session == *session && other.retain == *retain && other.ids == *ids;
            is_alike && !other.is_void && self.effective(*index) == self.effective(copy) && is_it(other)
        })
    }

    fn add_twin(&mut self, copy: usize, filter: &str) -> Option<usize> {
        let Copy { session, retain, ids, .. } = self.copies[copy].clone();
        let Message { topic, payload, .. } = self.messages[self.copies[copy].message()].clone();
        let (qos, ids, expiry_s) = (self.effective(copy), Some(ids), None);
        let shown = super::deliver::Shown { topic, payload, qos, retain, ids, expiry_s };
        let mut groups = self.fulfils(session, &shown, Monotonic::ZERO);
        groups.retain(|group| self.groups[*group].filter == filter);
        self.add_group_copy(session, &shown, groups)
    }

    fn swap(&mut self, one: usize, other: usize) {
        let progress = |copy: &Copy| (copy.sent, copy.sent_on, copy.is_received, copy.is_released, copy.is_complete);
        let (of_one, of_other) = (progress(&self.copies[one]), progress(&self.copies[other]));
        for (copy, progress) in [(one, of_other), (other, of_one)] {
            let copy = &mut self.copies[copy];
            (copy.sent, copy.sent_on, copy.is_received, copy.is_released, copy.is_complete) = progress;
        }
        // what nobody was seen to get may be another member's
        for index in [one, other] {
            if self.copies[index].is_group() && self.copies[index].is_open() && !self.copies[index].is_restored {
                self.copies[index].is_void = true;
                self.groups.iter_mut().filter(|group| group.copy == Some(index)).for_each(|group| group.copy = None);
            }
        }
    }

    fn pin(&mut self, copy: usize, filter: &str) {
        let groups = &self.groups;
        self.copies[copy].may_fulfil.retain(|other| groups[*other].filter == filter);
        self.copies[copy].kind = Kind::Group(filter.to_owned());
        let Some(earlier) = self.groups.iter().position(|other| other.copy == Some(copy)) else { return };
        if self.groups[earlier].filter != filter {
            self.groups[earlier].copy = None;
            assert!(self.assign(copy, &mut Vec::new()), "{:?} comes through {filter}", self.copies[copy]);
        }
    }
}
