//! What waits for the topic of samples: each sample stays until the broker has acknowledged it.

use std::collections::VecDeque;

use tracing::warn;

use super::sample::Sample;
use super::{Publication, SamplesTopic};
use crate::mqtt::QoS;
use crate::sensors::{ReadingMessage, SampleMessage};

/// Samples that may wait. When there are more, the oldest of those that are not on their way is dropped and counted;
/// those on their way may have arrived.
pub const SAMPLES_WAITING_MAX: usize = 1000;

/// Samples that may be on their way at once: leaves room for everything else among the link's requests, and among
/// what rumqttc has unacknowledged.
const IN_FLIGHT_MAX: usize = 32;

/// Samples in the order in which they were taken; those at the front are on their way.
#[derive(Debug, Default)]
pub(super) struct SampleQueue {
    waiting: VecDeque<Waiting>,
    in_flight: usize,
    /// Whether the log knows that samples are dropped; until nothing waits any more.
    is_loss_told: bool,
}

/// A sample as it will be published.
#[derive(Debug)]
struct Waiting {
    sequence: u64,
    json: String,
}

impl SampleQueue {
    /// Takes a sample in; `false` when another one had to go for it.
    pub(super) fn push(&mut self, sample: &Sample) -> bool {
        let has_room = self.waiting.len() < SAMPLES_WAITING_MAX;
        if !has_room {
            self.waiting.remove(self.in_flight);
            self.tell_loss();
        }
        self.waiting.push_back(Waiting { sequence: sample.sequence, json: sample.message().to_json() });
        has_room
    }

    /// The message of the next sample that may go on its way, and its number.
    pub(super) fn next(&self, topic: &SamplesTopic) -> Option<(u64, Publication)> {
        if self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        let Waiting { sequence, json } = self.waiting.get(self.in_flight)?;
        let payload = json.clone().into_bytes();
        let publication = Publication { topic: topic.topic.clone(), payload, qos: QoS::AtLeastOnce, retain: false };
        Some((*sequence, publication))
    }

    /// What [`Self::next`] gave is on its way.
    pub(super) fn handle_sent(&mut self) {
        self.in_flight = self.waiting.len().min(self.in_flight + 1);
    }

    /// The broker has this sample.
    pub(super) fn handle_acknowledged(&mut self, sequence: u64) {
        let mut on_their_way = self.waiting.iter().take(self.in_flight);
        let Some(place) = on_their_way.position(|waiting| waiting.sequence == sequence) else { return };
        self.waiting.remove(place);
        self.in_flight -= 1;
        self.is_loss_told &= !self.waiting.is_empty();
    }

    /// The connection is over: what was on its way goes again, in front of what came after it.
    pub(super) fn handle_lost(&mut self) {
        self.in_flight = 0;
    }

    /// Nobody wants samples any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there is an acknowledgement to wait for.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    fn tell_loss(&mut self) {
        if !self.is_loss_told {
            warn!("{SAMPLES_WAITING_MAX} samples wait for the broker or for an uplink: the oldest are dropped");
        }
        self.is_loss_told = true;
    }
}

impl Sample {
    /// The sample as it is published on the topic of samples.
    pub fn message(&self) -> SampleMessage {
        SampleMessage {
            boot_id: self.boot_id.as_str().to_owned(),
            sequence: self.sequence,
            monotonic_ms: self.monotonic.since_boot_ms(),
            time_ms: self.wall.unix_ms(),
            synchronised: self.synchronised,
            source: self.source.name().to_owned(),
            readings: ReadingMessage::of(&self.readings),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::tests::{absent, sample};
    use super::*;
    use crate::mqtt::TopicName;
    use crate::sensors::{Quantity, Reason};

    fn topic() -> SamplesTopic {
        SamplesTopic { topic: TopicName::new("t/samples").unwrap() }
    }

    fn filled(sequences: std::ops::RangeInclusive<u64>) -> SampleQueue {
        let mut queue = SampleQueue::default();
        for sequence in sequences {
            queue.push(&sample(sequence, |_| Ok(1.0)));
        }
        queue
    }

    /// Sends everything that may go; gives the numbers.
    fn send(queue: &mut SampleQueue) -> Vec<u64> {
        let mut sent = Vec::new();
        while let Some((sequence, _)) = queue.next(&topic()) {
            queue.handle_sent();
            sent.push(sequence);
        }
        sent
    }

    #[test]
    fn a_sample_is_one_message_of_qos_1_that_is_not_retained() {
        let mut queue = SampleQueue::default();
        queue.push(&sample(12, |quantity| match quantity {
            Quantity::Pressure => absent(Reason::NoChip, 4),
            _ => Ok(21.370_04),
        }));
        let (sequence, message) = queue.next(&topic()).unwrap();
        assert_eq!((sequence, message.topic.as_str()), (12, "t/samples"));
        assert_eq!((message.qos, message.retain), (QoS::AtLeastOnce, false));
        let read = SampleMessage::from_json(&message.payload).unwrap();
        assert_eq!((read.boot_id.as_str(), read.sequence, read.monotonic_ms), ("a-boot", 12, 12_000));
        assert_eq!((read.time_ms, read.synchronised, read.source.as_str()), (1_795_377_343_250, true, "simulated"));
        assert_eq!(read.readings["temperature"].value, Some(21.37));
        assert_eq!(read.readings["pressure"].reason.as_deref(), Some("no_chip"));
    }

    #[test]
    fn samples_go_in_order_and_only_so_many_are_on_their_way() {
        let mut queue = filled(1..=100);
        assert_eq!(send(&mut queue), (1..=32).collect::<Vec<_>>());
        queue.handle_acknowledged(2);
        queue.handle_acknowledged(1);
        assert_eq!(send(&mut queue), [33, 34]);
        queue.handle_acknowledged(50);
        assert!(send(&mut queue).is_empty(), "nobody acknowledges what was not sent");
    }

    #[test]
    fn what_a_lost_connection_left_unacknowledged_goes_again_in_order() {
        let mut queue = filled(1..=4);
        send(&mut queue);
        queue.handle_acknowledged(2);
        queue.handle_lost();
        assert!(!queue.is_in_flight());
        assert_eq!(send(&mut queue), [1, 3, 4]);
    }

    #[test]
    fn the_oldest_that_is_not_on_its_way_is_dropped_when_too_many_wait() {
        let full = u64::try_from(SAMPLES_WAITING_MAX).unwrap();
        let mut queue = filled(1..=full);
        assert!(!queue.push(&sample(full + 1, |_| Ok(1.0))));
        assert_eq!(send(&mut queue)[..2], [2, 3]);
        assert!(!queue.push(&sample(full + 2, |_| Ok(1.0))));
        queue.handle_acknowledged(2);
        assert_eq!(send(&mut queue), [35], "34 was the oldest that was not on its way");
        assert!(queue.push(&sample(full + 3, |_| Ok(1.0))));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Send,
        Acknowledge(usize),
        Lose,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Push),
            2 => Just(Step::Send),
            3 => (0..IN_FLIGHT_MAX).prop_map(Step::Acknowledge),
            1 => Just(Step::Lose),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        /// Beside a list of what was taken in and is not acknowledged, and how far it was sent.
        #[test]
        fn a_sample_leaves_only_when_it_is_acknowledged(steps in steps()) {
            let (mut queue, mut kept, mut sent, mut sequence) = (SampleQueue::default(), Vec::new(), 0, 0);
            for step in steps {
                match step {
                    Step::Push => {
                        sequence += 1;
                        queue.push(&sample(sequence, |_| Ok(1.0)));
                        kept.push(sequence);
                    }
                    Step::Send => {
                        let may = kept.len().min(IN_FLIGHT_MAX);
                        prop_assert_eq!(send(&mut queue), &kept[sent..may.max(sent)]);
                        sent = sent.max(may);
                    }
                    Step::Acknowledge(place) if place < sent => {
                        queue.handle_acknowledged(kept.remove(place));
                        sent -= 1;
                    }
                    Step::Acknowledge(_) => {}
                    Step::Lose => {
                        queue.handle_lost();
                        sent = 0;
                    }
                }
                prop_assert_eq!(queue.is_in_flight(), sent > 0);
            }
        }
    }
}
