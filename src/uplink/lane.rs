//! Messages of one local session that are not acknowledged there, in the order in which they came.
//!
//! What is settled is acknowledged from the front only: in order of receipt [MQTT-4.6.0-2], and never before everything
//! that came earlier.

use std::collections::VecDeque;

use super::carried::SampleId;
use super::machine::Token;
use super::stamps::Stamp;
use crate::client::Message;
use crate::sensors::SampleMessage;

/// Which local session a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// The persistent one: the outbox.
    Backlog,
    /// The clean one beside it, with `order = "live-first"`.
    Live,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its turn is to come.
    Waiting,
    /// It went to the far side, alone or with others, in this message.
    Sent(Token),
    /// It went to the topic of rejected messages.
    Rejected(Token),
    /// The far side has it, or nobody is to have it.
    Settled,
}

/// A message and how far it is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Grows with each message of this process: names the entry.
    pub(super) number: u64,
    pub(super) message: Message,
    /// What it says, when it is a sample.
    pub(super) sample: Option<SampleMessage>,
    /// When that was, once it is known.
    pub(super) stamp: Option<Stamp>,
    pub(super) stage: Stage,
}

impl Entry {
    pub(super) fn sample_id(&self) -> Option<SampleId> {
        let sample = self.sample.as_ref()?;
        Some(SampleId { boot: sample.boot_id.as_str().into(), sequence: sample.sequence })
    }
}

/// The messages of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    entries: VecDeque<Entry>,
    /// None of those at the front, this many, waits.
    begun: usize,
}

impl Lane {
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those whose turn is to come, in order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.begun.min(self.entries.len())..).filter(|entry| entry.stage == Stage::Waiting)
    }

    /// As [`Self::waiting`], to be dated.
    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let begun = self.begun.min(self.entries.len());
        self.entries.range_mut(begun..).filter(|entry| entry.stage == Stage::Waiting)
    }

    /// Whether a sample is here and not settled. Cost: all of them.
    pub(super) fn holds(&self, id: &SampleId) -> bool {
        let is_it = |entry: &Entry| {
            entry.sample.as_ref().is_some_and(|sample| {
                sample.sequence == id.sequence && *sample.boot_id == *id.boot && entry.stage != Stage::Settled
            })
        };
        self.entries.iter().any(is_it)
    }

    /// The oldest that was sent and is not answered.
    pub(super) fn first_sent(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| matches!(entry.stage, Stage::Sent(_)))
    }

    /// The first `count` waiting ones are at `stage` now.
    pub(super) fn begin(&mut self, count: usize, stage: Stage) {
        self.waiting_mut().take(count).for_each(|entry| entry.stage = stage);
        while self.entries.get(self.begun).is_some_and(|entry| entry.stage != Stage::Waiting) {
            self.begun += 1;
        }
    }

    /// Everything that `token` stands for is settled; gives it.
    pub(super) fn settle(&mut self, token: Token) -> Vec<&Entry> {
        let is_meant = |entry: &Entry| matches!(entry.stage, Stage::Sent(at) | Stage::Rejected(at) if at == token);
        let meant = self.entries.iter_mut().filter(|entry| is_meant(entry));
        meant
            .map(|entry| {
                entry.stage = Stage::Settled;
                &*entry
            })
            .collect()
    }

    /// What was sent and is not answered waits again, where `is_meant`; its place is where it was. Gives how many.
    pub(super) fn rewind(&mut self, is_meant: impl Fn(Token) -> bool) -> usize {
        let mut count = 0;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if matches!(entry.stage, Stage::Sent(token) if is_meant(token)) {
                entry.stage = Stage::Waiting;
                self.begun = self.begun.min(index);
                count += 1;
            }
        }
        count
    }

    /// What was to be put aside as `token` waits again, in its place; tells whether there is such a one.
    pub(super) fn put_back(&mut self, token: Token) -> bool {
        let Some(index) = self.entries.iter().position(|entry| entry.stage == Stage::Rejected(token)) else {
            return false;
        };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.stage = Stage::Waiting;
        }
        self.begun = self.begun.min(index);
        true
    }

    /// Takes the oldest when it is settled, to be acknowledged.
    pub(super) fn pop_settled(&mut self) -> Option<Entry> {
        self.entries.front().filter(|entry| entry.stage == Stage::Settled)?;
        self.begun = self.begun.saturating_sub(1);
        self.entries.pop_front()
    }

    /// Nothing here is known any more: the session sends all of it again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mqtt::{MessageProperties, PacketId, QoS};

    fn lane(count: u64) -> Lane {
        let mut lane = Lane::default();
        for number in 0..count {
            let message = Message {
                topic: "a".into(),
                payload: Bytes::new(),
                qos: QoS::AtLeastOnce,
                retain: false,
                packet_id: PacketId::new(u16::try_from(number + 1).unwrap()),
                properties: MessageProperties::NONE,
                expiry_s: None,
            };
            lane.push(Entry { number, message, sample: None, stamp: None, stage: Stage::Waiting });
        }
        lane
    }

    fn waiting(lane: &Lane) -> Vec<u64> {
        lane.waiting().map(|entry| entry.number).collect()
    }

    #[test]
    fn what_is_settled_leaves_in_the_order_in_which_it_came() {
        let mut lane = lane(3);
        (1..=3).for_each(|token| lane.begin(1, Stage::Sent(Token(token))));
        assert_eq!(lane.settle(Token(2)).len(), 1);
        assert!(lane.pop_settled().is_none());
        lane.settle(Token(1));
        assert_eq!(lane.pop_settled().map(|entry| entry.number), Some(0));
        assert_eq!(lane.pop_settled().map(|entry| entry.number), Some(1));
        assert!(lane.pop_settled().is_none());
    }

    #[test]
    fn what_was_sent_for_nothing_waits_again_in_its_place() {
        let mut lane = lane(5);
        lane.begin(2, Stage::Sent(Token(1)));
        lane.begin(1, Stage::Sent(Token(2)));
        lane.begin(1, Stage::Sent(Token(3)));
        lane.settle(Token(2));
        assert_eq!(waiting(&lane), [4]);
        assert_eq!(lane.rewind(|_| true), 3);
        assert_eq!(waiting(&lane), [0, 1, 3, 4]);
        lane.begin(1, Stage::Rejected(Token(4)));
        assert!(lane.put_back(Token(4)) && !lane.put_back(Token(4)));
        assert_eq!(waiting(&lane), [0, 1, 3, 4]);
        lane.begin(4, Stage::Settled);
        assert_eq!(std::iter::from_fn(|| lane.pop_settled()).count(), 5);
        assert_eq!(lane.len(), 0);
    }
}
