//! The phases of a run: consumers, connections, samples, what is on its way, goodbye.

use std::time::Duration;

use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::QoS;

use super::consumer::Consumer;
use super::error::FleetError;
use super::latency::Histogram;
use super::link::Client;
use super::outcome::{BrokerUsage, Outcome, rate};
use super::{Fleet, usage};

/// Connections without CONNACK at most: more would wait in the broker's backlog, and be dropped where it is short.
const OPENING_MAX: u32 = 100;

/// Samples of one round at most; then the sockets have their turn.
const SAMPLES_A_ROUND_MAX: usize = 256;

/// How long the goodbyes may take.
const LEAVE_MAX: Duration = Duration::from_secs(10);

impl Fleet<'_> {
    /// All phases, one after the other.
    pub(super) fn run(mut self) -> Result<Outcome, FleetError> {
        self.seat_consumers()?;
        let before = self.broker_usage()?;
        let started = clock::monotonic();
        self.connect(started)?;
        let connects_per_s = rate(self.context.connect.count(), self.context.connected.since(started));
        let connected = self.broker_usage()?;
        let behind = self.publish()?;
        self.drain()?;
        let end = self.broker_usage()?;
        let outcome = self.outcome(connects_per_s, behind)?;
        self.leave()?;
        let broker = before.zip(connected).zip(end).map(|((before, connected), end)| BrokerUsage {
            rss_before_kib: before.0,
            rss_connected_kib: connected.0,
            rss_end_kib: end.0,
            cpu_s: end.1.saturating_sub(connected.1).as_secs_f64(),
        });
        Ok(Outcome { broker, ..outcome })
    }

    /// Memory in KiB and processor time of the broker, if its process is known.
    fn broker_usage(&self) -> Result<Option<(u64, Duration)>, FleetError> {
        let usage_of = |pid| Ok((usage::rss_kib_of(pid)?, usage::cpu_of(pid)?));
        self.context.options.broker_pid.map(usage_of).transpose()
    }

    fn seat_consumers(&mut self) -> Result<(), FleetError> {
        for consumer in &mut self.consumers {
            consumer.link().open(&mut self.context, clock::monotonic())?;
        }
        let mut progress = Progress::new(u32::from(self.context.options.consumers), "consumers are subscribed");
        loop {
            let ready = self.consumers.iter().filter(|consumer| consumer.is_ready()).count();
            if progress.is_done(ready, self)? {
                // the figures are those of the gateways
                self.context.connect = Histogram::default();
                return Ok(());
            }
            self.turn(None)?;
        }
    }

    /// Opens a connection for every gateway, at the rate that is asked for, and waits until every birth is acknowledged.
    fn connect(&mut self, started: Monotonic) -> Result<(), FleetError> {
        let mut progress = Progress::new(self.context.options.gateways, "gateways are connected");
        let mut opened = 0;
        loop {
            while self.context.opening < OPENING_MAX && self.connect_due(started, opened) <= clock::monotonic() {
                let Some(gateway) = self.gateways.get_mut(opened as usize) else { break };
                gateway.link().open(&mut self.context, clock::monotonic())?;
                opened += 1;
            }
            let ready = self.gateways.iter().filter(|gateway| gateway.is_ready()).count();
            if progress.is_done(ready, self)? {
                return Ok(());
            }
            self.turn(Some(self.connect_due(started, opened)).filter(|_| opened < self.context.options.gateways))?;
        }
    }

    /// When the connection behind the first `opened` is due.
    fn connect_due(&self, started: Monotonic, opened: u32) -> Monotonic {
        match self.context.options.connect_rate {
            0 => started,
            rate => started + Duration::from_secs(1) * opened / rate,
        }
    }

    /// Takes every sample when it is due, the gateways spread evenly over the interval. Gives by how much the latest was
    /// late.
    fn publish(&mut self) -> Result<Duration, FleetError> {
        let (interval, started) = (self.context.options.interval, clock::monotonic());
        self.context.ledger.start(started);
        let mut behind = Duration::ZERO;
        for cycle in 0..self.context.options.samples {
            let cycle_start = started + interval * cycle;
            let mut place = 0;
            while place < self.gateways.len() {
                let due = |place: usize| cycle_start + share(interval, place, self.gateways.len());
                let now = clock::monotonic();
                let ready =
                    (place..self.gateways.len()).take(SAMPLES_A_ROUND_MAX).take_while(|place| due(*place) <= now);
                let end = place + ready.count();
                behind = behind.max(if end > place { now.since(due(place)) } else { Duration::ZERO });
                for gateway in self.gateways.iter_mut().take(end).skip(place) {
                    gateway.take_sample(&mut self.context, clock::monotonic())?;
                }
                place = end;
                self.turn(Some(cycle_start + share(interval, place, self.gateways.len())))?;
            }
        }
        Ok(behind)
    }

    /// Waits until everything is acknowledged and delivered, or nothing has moved for the patience.
    fn drain(&mut self) -> Result<(), FleetError> {
        let all = self.context.options.samples_of_all();
        loop {
            let (ledger, now) = (&self.context.ledger, clock::monotonic());
            let counts = ledger.counts;
            let is_answered = self.context.options.qos == QoS::AtMostOnce || counts.acknowledged == all;
            let is_done = counts.published == all && is_answered && counts.delivered >= ledger.expected();
            if is_done || now.since(ledger.heard) > self.context.options.patience {
                return Ok(());
            }
            self.turn(None)?;
        }
    }

    /// Clears what is retained and ends every connection in order.
    fn leave(&mut self) -> Result<(), FleetError> {
        let started = clock::monotonic();
        for gateway in &mut self.gateways {
            gateway.leave(&mut self.context, started)?;
        }
        for consumer in &mut self.consumers {
            consumer.leave(&mut self.context, started)?;
        }
        while clock::monotonic().since(started) < LEAVE_MAX && !self.is_empty() {
            self.turn(None)?;
        }
        Ok(())
    }

    fn is_empty(&mut self) -> bool {
        self.gateways.iter_mut().all(|gateway| gateway.link().has_left())
            && self.consumers.iter().all(Consumer::is_gone)
    }

    fn outcome(&self, connects_per_s: f64, behind: Duration) -> Result<Outcome, FleetError> {
        let (context, ledger) = (&self.context, &self.context.ledger);
        let (counts, elapsed) = (ledger.counts, ledger.heard.since(ledger.started()));
        Ok(Outcome {
            gateways: context.options.gateways,
            connects_per_s,
            connect: context.connect.latency(),
            connections_lost: context.lost,
            published: counts.published,
            acknowledged: counts.acknowledged,
            publishes_per_s: rate(counts.published, elapsed),
            acknowledgement: ledger.acknowledgement.latency(),
            expected: ledger.expected(),
            delivered: counts.delivered,
            deliveries_per_s: rate(counts.delivered, elapsed),
            delivery: ledger.delivery.latency(),
            lost: ledger.lost(),
            duplicates: counts.duplicates,
            reordered: counts.reordered,
            foreign: counts.foreign,
            behind_us: u64::try_from(behind.as_micros()).unwrap_or(u64::MAX),
            cpu_s: usage::own_cpu().as_secs_f64(),
            peak_kib: usage::own_peak_kib()?,
            broker: None,
        })
    }
}

/// The part of `interval` at which the gateway at `place` of `count` has its turn.
fn share(interval: Duration, place: usize, count: usize) -> Duration {
    let ns = interval.as_nanos() * place as u128 / count.max(1) as u128;
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// Whether a phase comes nearer to its end.
struct Progress {
    wanted: u32,
    what: &'static str,
    done: u32,
    moved: Monotonic,
}

impl Progress {
    fn new(wanted: u32, what: &'static str) -> Self {
        Self { wanted, what, done: 0, moved: clock::monotonic() }
    }

    /// Whether `done` are as many as are wanted.
    ///
    /// # Errors
    /// When it has not grown for the patience.
    fn is_done(&mut self, done: usize, fleet: &Fleet<'_>) -> Result<bool, FleetError> {
        let (done, now) = (u32::try_from(done).unwrap_or(u32::MAX), clock::monotonic());
        if done > self.done {
            (self.done, self.moved) = (done, now);
        }
        let stalled = now.since(self.moved);
        if done < self.wanted && stalled > fleet.context.options.patience {
            let (wanted, what, reason) = (self.wanted, self.what, fleet.context.last_reason.clone());
            return Err(FleetError::Stalled { done, wanted, what, waited_s: stalled.as_secs(), reason });
        }
        Ok(done >= self.wanted)
    }
}
