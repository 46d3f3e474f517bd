//! A queue of jobs that serves their sources in turn, and sources with recent failures after the others.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::network::Network;
use crate::base::clock::Monotonic;

/// Jobs that are served before one of a source with recent failures. Such a source waits longer, but not for ever.
const JOBS_BEFORE_SUSPECT: u32 = 7;

/// How long a failure counts.
const FAILURE_PERIOD: Duration = Duration::from_secs(60);

/// Networks whose failures are remembered at a time. Beyond it those of others are not: they are still served in turn.
const FAILURES_MAX: usize = 1024;

/// For whom a job is done. Jobs of one source are served in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A remote network.
    Remote(Network),
    /// Clients of this machine with one user name, or one connection: all clients of this machine share one address.
    Local(u64),
}

/// Names a job in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobId(u64);

/// Waiting jobs.
#[derive(Debug)]
pub(super) struct FairQueue<J> {
    trusted: RoundRobin<J>,
    suspect: RoundRobin<J>,
    /// Jobs of `trusted` that were served since the last one of `suspect`.
    served: u32,
    next_id: u64,
}

#[derive(Debug)]
struct RoundRobin<J> {
    /// The sources of `jobs`, in the order in which they are served.
    sources: VecDeque<Source>,
    /// Never with an empty queue.
    jobs: HashMap<Source, VecDeque<(JobId, J)>>,
}

impl<J> Default for FairQueue<J> {
    fn default() -> Self {
        Self { trusted: RoundRobin::default(), suspect: RoundRobin::default(), served: 0, next_id: 0 }
    }
}

impl<J> FairQueue<J> {
    /// Adds a job behind all earlier ones of its source.
    pub(super) fn push(&mut self, source: Source, is_suspect: bool, job: J) -> JobId {
        let id = JobId(self.next_id);
        self.next_id += 1;
        let queue = if is_suspect { &mut self.suspect } else { &mut self.trusted };
        queue.push(source, id, job);
        id
    }

    /// Takes the next job.
    pub(super) fn pop(&mut self) -> Option<J> {
        if self.served < JOBS_BEFORE_SUSPECT
            && let Some(job) = self.trusted.pop()
        {
            self.served += 1;
            return Some(job);
        }
        self.served = 0;
        self.suspect.pop().or_else(|| self.trusted.pop())
    }

    /// Removes a job that is no longer wanted. Cost: the jobs of its source, and the sources.
    pub(super) fn remove(&mut self, source: Source, id: JobId) {
        self.trusted.remove(source, id);
        self.suspect.remove(source, id);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        [&self.trusted, &self.suspect].iter().flat_map(|queue| queue.jobs.values()).map(VecDeque::len).sum()
    }
}

impl<J> Default for RoundRobin<J> {
    fn default() -> Self {
        Self { sources: VecDeque::new(), jobs: HashMap::new() }
    }
}

impl<J> RoundRobin<J> {
    fn push(&mut self, source: Source, id: JobId, job: J) {
        let jobs = self.jobs.entry(source).or_insert_with(|| {
            self.sources.push_back(source);
            VecDeque::new()
        });
        jobs.push_back((id, job));
    }

    fn pop(&mut self) -> Option<J> {
        let source = self.sources.pop_front()?;
        let jobs = self.jobs.get_mut(&source)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&source);
        } else {
            self.sources.push_back(source);
        }
        job.map(|(_, job)| job)
    }

    fn remove(&mut self, source: Source, id: JobId) {
        let Some(jobs) = self.jobs.get_mut(&source) else { return };
        jobs.retain(|(other, _)| *other != id);
        if jobs.is_empty() {
            self.jobs.remove(&source);
            self.sources.retain(|other| *other != source);
        }
    }
}

/// Remote networks that failed to log in during the last [`FAILURE_PERIOD`].
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<Network, Monotonic>);

impl Failures {
    /// Remembers a failure of a remote network. Failures of this machine are ignored: there a source is not an address,
    /// and a client that fails under one user name may use another.
    pub(super) fn record(&mut self, source: Source, now: Monotonic) {
        let Source::Remote(network) = source else { return };
        if self.0.len() >= FAILURES_MAX && !self.0.contains_key(&network) {
            self.0.retain(|_, latest| now.since(*latest) < FAILURE_PERIOD);
        }
        if self.0.len() < FAILURES_MAX || self.0.contains_key(&network) {
            self.0.insert(network, now);
        }
    }

    /// Returns whether the source failed recently.
    pub(super) fn has_recent(&self, source: Source, now: Monotonic) -> bool {
        let Source::Remote(network) = source else { return false };
        self.0.get(&network).is_some_and(|latest| now.since(*latest) < FAILURE_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn remote(number: u32) -> Source {
        Source::Remote(Network::V4(Ipv4Addr::from(number)))
    }

    fn drain(queue: &mut FairQueue<&'static str>) -> String {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn sources_are_served_in_turn_and_their_own_jobs_in_order() {
        let mut queue = FairQueue::default();
        for (source, job) in [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (2, "y"), (3, "-")] {
            queue.push(Source::Local(source), false, job);
        }
        assert_eq!(drain(&mut queue), "ax-byc");
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn suspect_sources_wait_behind_the_others_but_not_for_ever() {
        let mut queue = FairQueue::default();
        for _ in 0..2 {
            queue.push(remote(9), true, "s");
        }
        for number in 0..10 {
            queue.push(remote(number), false, ".");
        }
        assert_eq!(drain(&mut queue), ".......s...s");
    }

    #[test]
    fn removed_jobs_leave_no_trace() {
        let mut queue = FairQueue::default();
        let first = queue.push(remote(1), false, "a");
        let second = queue.push(remote(1), true, "b");
        queue.push(remote(2), false, "c");
        queue.remove(remote(1), first);
        queue.remove(remote(1), second);
        queue.remove(remote(3), first);
        assert_eq!((queue.trusted.sources.len(), queue.suspect.sources.len(), queue.len()), (1, 0, 1));
        assert_eq!(drain(&mut queue), "c");
    }

    #[test]
    fn failures_count_for_a_minute_and_only_of_remote_networks() {
        let mut failures = Failures::default();
        let later = |seconds| Monotonic::ZERO + Duration::from_secs(seconds);
        failures.record(remote(1), later(5));
        failures.record(Source::Local(1), later(5));
        assert!(failures.has_recent(remote(1), later(64)));
        assert!(!failures.has_recent(remote(1), later(65)));
        assert!(!failures.has_recent(remote(2), later(5)));
        assert!(!failures.has_recent(Source::Local(1), later(5)));
    }

    #[test]
    fn memory_of_failures_is_bounded() {
        let mut failures = Failures::default();
        for number in 0..5000 {
            failures.record(remote(number), Monotonic::ZERO);
        }
        assert_eq!(failures.0.len(), FAILURES_MAX);
        failures.record(remote(5000), Monotonic::ZERO + FAILURE_PERIOD);
        assert_eq!(failures.0.len(), 1);
    }
}
