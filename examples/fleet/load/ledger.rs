//! What was published, acknowledged and delivered, sample by sample.

use std::time::Duration;

use sensegate::base::clock::Monotonic;
use sensegate::mqtt::QoS;

use super::latency::Histogram;
use super::options::Options;

/// One sample in 8 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Microseconds from the start of the first phase in which samples are published.
    published_us: u32,
    /// A bit a consumer that got it.
    seen: u16,
    is_published: bool,
    is_acknowledged: bool,
}

/// All samples of a run.
pub(super) struct Ledger {
    started: Monotonic,
    samples: u32,
    entries: Vec<Entry>,
    /// Who has to have got a sample: all consumers, or, sharing, any of them.
    consumers: u16,
    is_shared: bool,
    /// Whether the broker answers for a sample.
    is_answered: bool,
    pub(super) counts: Counts,
    /// From the first time that a sample is written to a socket until a consumer has it.
    pub(super) delivery: Histogram,
    /// The same until its PUBACK.
    pub(super) acknowledgement: Histogram,
    /// When something was last entered.
    pub(super) heard: Monotonic,
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) acknowledged: u64,
    /// Each sample counts once for each consumer that is to have it.
    pub(super) delivered: u64,
    pub(super) duplicates: u64,
    /// Deliveries behind one of a later sample of the same gateway, on one connection.
    pub(super) reordered: u64,
    /// Messages that are none of this run's samples.
    pub(super) foreign: u64,
}

impl Ledger {
    pub(super) fn new(options: &Options) -> Self {
        let all = usize::try_from(options.samples_of_all()).unwrap_or(usize::MAX);
        Self {
            started: Monotonic::ZERO,
            samples: options.samples,
            entries: vec![Entry::default(); all],
            consumers: options.consumers,
            is_shared: options.shared.is_some(),
            is_answered: options.qos != QoS::AtMostOnce,
            counts: Counts::default(),
            delivery: Histogram::default(),
            acknowledgement: Histogram::default(),
            heard: Monotonic::ZERO,
        }
    }

    /// Times are counted from `now` on.
    pub(super) fn start(&mut self, now: Monotonic) {
        (self.started, self.heard) = (now, now);
    }

    /// Since [`Self::start`].
    pub(super) const fn started(&self) -> Monotonic {
        self.started
    }

    /// The gateway at `place` wrote sample `sequence`. Written again, it keeps its time.
    pub(super) fn publish(&mut self, place: u32, sequence: u32, now: Monotonic) {
        let published_us = u32::try_from(now.since(self.started).as_micros()).unwrap_or(u32::MAX);
        let Some(entry) = self.entry(place, sequence).filter(|entry| !entry.is_published) else { return };
        (entry.is_published, entry.published_us) = (true, published_us);
        self.counts.published += 1;
        self.heard = now;
    }

    /// The broker answers for it.
    pub(super) fn acknowledge(&mut self, place: u32, sequence: u32, now: Monotonic) {
        let Some(entry) = self.entry(place, sequence).filter(|entry| !entry.is_acknowledged) else { return };
        entry.is_acknowledged = true;
        let published_us = entry.published_us;
        self.counts.acknowledged += 1;
        self.acknowledgement.add(self.age(published_us, now));
        self.heard = now;
    }

    /// A consumer has it; `is_late` says that it had a later one before.
    pub(super) fn deliver(&mut self, place: u32, sequence: u32, consumer: u16, is_late: bool, now: Monotonic) {
        let (bit, is_shared) = (1 << consumer, self.is_shared);
        let Some(entry) = self.entry(place, sequence) else { return self.counts.foreign += 1 };
        let is_duplicate = if is_shared { entry.seen != 0 } else { entry.seen & bit != 0 };
        entry.seen |= bit;
        let published_us = entry.published_us;
        self.heard = now;
        if is_duplicate {
            return self.counts.duplicates += 1;
        }
        self.counts.delivered += 1;
        self.counts.reordered += u64::from(is_late);
        self.delivery.add(self.age(published_us, now));
    }

    /// Deliveries of the samples that were published, when nothing is lost.
    pub(super) fn expected(&self) -> u64 {
        self.counts.published * self.deliveries_a_sample()
    }

    /// Deliveries that did not come of samples that were acknowledged; with QoS 0, that were published.
    pub(super) fn lost(&self) -> u64 {
        let is_owed = |entry: &&Entry| if self.is_answered { entry.is_acknowledged } else { entry.is_published };
        let owed = self.entries.iter().filter(is_owed);
        owed.map(|entry| self.deliveries_a_sample().saturating_sub(self.deliveries(*entry))).sum()
    }

    fn deliveries(&self, entry: Entry) -> u64 {
        if self.is_shared { u64::from(entry.seen != 0) } else { u64::from(entry.seen.count_ones()) }
    }

    fn deliveries_a_sample(&self) -> u64 {
        if self.is_shared { 1 } else { u64::from(self.consumers) }
    }

    fn age(&self, published_us: u32, now: Monotonic) -> Duration {
        now.since(self.started + Duration::from_micros(published_us.into()))
    }

    /// Sequences begin with 1.
    fn entry(&mut self, place: u32, sequence: u32) -> Option<&mut Entry> {
        let sequence = sequence.checked_sub(1).filter(|sequence| *sequence < self.samples)?;
        let index = u64::from(place) * u64::from(self.samples) + u64::from(sequence);
        self.entries.get_mut(usize::try_from(index).ok()?)
    }
}
