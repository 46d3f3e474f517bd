//! The sampling thread: wakes on the schedule, asks the sensors, hands the sample over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc as channel;
use tokio::sync::mpsc::error::TrySendError;

use super::runs::ValidSince;
use super::sample::{Sample, Sampler, finite, first_sequence};
use super::schedule::Schedule;
use super::stamp::Stamper;
use crate::base::clock::{self, Monotonic};
use crate::base::ids::BootId;
use crate::sensors;

/// Samples that may wait for the agent. When it is full the newest is dropped and counted: an agent that is eight
/// cycles late is stuck, and the thread that feeds the watchdog must not be stuck with it.
pub const SAMPLES_MAX: usize = 8;

/// The shortest wait for a chip that is starting up: one that is always about to be ready is no reason to spin.
const HASTE_MIN: Duration = Duration::from_millis(5);

/// What the thread has done since its start. Any other thread may look.
#[derive(Debug, Default)]
pub struct SamplingCounters {
    cycles: AtomicU64,
    missed: AtomicU64,
    dropped: AtomicU64,
}

impl SamplingCounters {
    /// Samples taken. It stands still when the bus hangs: what a watchdog looks at.
    pub fn cycles(&self) -> u64 {
        self.cycles.load(Ordering::Relaxed)
    }

    /// Slots of the schedule that passed because a sample took too long.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Samples that found the channel full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

enum Control {
    Options(Box<sensors::Options>),
    Stop,
}

/// The running thread. Dropping it lets the thread end by itself.
#[derive(Debug)]
pub struct Sampling {
    control: mpsc::Sender<Control>,
    counters: Arc<SamplingCounters>,
    thread: JoinHandle<()>,
}

impl Sampling {
    /// What the thread has done.
    pub fn counters(&self) -> Arc<SamplingCounters> {
        Arc::clone(&self.counters)
    }

    /// Other options from now on, all but the source; an interval below [`Schedule::INTERVAL_MIN`] is taken as that.
    pub fn set_options(&self, options: sensors::Options) {
        // a thread that has ended takes no options, and needs none
        let _ = self.control.send(Control::Options(Box::new(options)));
    }

    /// Ends the thread and waits for it: at once, or when the bus lets go of it.
    pub fn stop(self) {
        let _ = self.control.send(Control::Stop);
        // a panic has been printed by the thread itself
        let _ = self.thread.join();
    }
}

/// Starts the thread `sensors`. It ends when [`Sampling`] is stopped or dropped, or when the receiver is gone.
/// Intended for a channel of [`SAMPLES_MAX`].
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_sampling<S>(sampler: S, interval: Duration, output: channel::Sender<Sample>) -> io::Result<Sampling>
where
    S: Sampler + Send + 'static,
{
    let (control, commands) = mpsc::channel();
    let counters = Arc::new(SamplingCounters::default());
    let now = clock::monotonic();
    let worker = Worker {
        sampler,
        output,
        boot_id: BootId::read(),
        next_sequence: first_sequence(now),
        stamper: Stamper::default(),
        valid_since: ValidSince::default(),
        schedule: Schedule::new(now, interval),
        counters: Arc::clone(&counters),
    };
    let thread = thread::Builder::new().name("sensors".into()).spawn(move || worker.run(&commands))?;
    Ok(Sampling { control, counters, thread })
}

struct Worker<S> {
    sampler: S,
    output: channel::Sender<Sample>,
    boot_id: BootId,
    next_sequence: u64,
    stamper: Stamper,
    valid_since: ValidSince,
    schedule: Schedule,
    counters: Arc<SamplingCounters>,
}

impl<S: Sampler> Worker<S> {
    fn run(mut self, commands: &mpsc::Receiver<Control>) {
        loop {
            match commands.recv_timeout(self.schedule.wait(clock::monotonic())) {
                Ok(Control::Options(options)) => self.set_options(clock::monotonic(), &options),
                Ok(Control::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if !self.run_cycle() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes a sample and hands it over; `false` when nobody wants samples any more.
    fn run_cycle(&mut self) -> bool {
        let sample = self.take_sample(clock::monotonic());
        let wanted = self.hand_over(sample);
        self.plan_next(clock::monotonic());
        wanted
    }

    fn take_sample(&mut self, now: Monotonic) -> Sample {
        let (wall, synchronised) = (self.stamper.stamp(clock::wall()), clock::is_synchronised());
        let readings = finite(&self.sampler.sample(now), now);
        self.counters.cycles.fetch_add(1, Ordering::Relaxed);
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.valid_since.handle_readings(&readings, now);
        Sample {
            sequence,
            boot_id: self.boot_id.clone(),
            monotonic: now,
            wall,
            synchronised,
            source: self.sampler.source(),
            readings,
            valid_since: self.valid_since,
            counts: self.sampler.counts(),
        }
    }

    fn hand_over(&self, sample: Sample) -> bool {
        match self.output.try_send(sample) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    fn set_options(&mut self, now: Monotonic, options: &sensors::Options) {
        self.sampler.set_options(options);
        self.schedule.set_interval(now, options.interval);
    }

    fn plan_next(&mut self, now: Monotonic) {
        self.schedule.advance(now);
        if let Some(deadline) = self.sampler.next_deadline() {
            self.schedule.hasten(now, deadline.since(now).max(HASTE_MIN));
        }
        self.counters.missed.store(self.schedule.missed(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::{Readings, Source, SourceOptions};

    /// Gives one value; after each of the first samples it wants another at once, as a chip does that starts up.
    struct Constant {
        value: f64,
        hasty_samples: u64,
    }

    impl Sampler for Constant {
        fn sample(&mut self, _now: Monotonic) -> Readings {
            self.hasty_samples = self.hasty_samples.saturating_sub(1);
            Readings::new(|_| Ok(self.value))
        }

        fn source(&self) -> Source {
            Source::Simulated
        }

        fn next_deadline(&self) -> Option<Monotonic> {
            (self.hasty_samples > 0).then_some(Monotonic::ZERO)
        }
    }

    fn spawn(interval: Duration, bound: usize) -> (Sampling, channel::Receiver<Sample>) {
        let (sender, receiver) = channel::channel(bound);
        (spawn_sampling(Constant { value: 21.5, hasty_samples: 0 }, interval, sender).unwrap(), receiver)
    }

    #[test]
    fn a_chip_that_starts_up_is_asked_before_the_schedule_wants_it() {
        let (sender, mut samples) = channel::channel(SAMPLES_MAX);
        let starting = Constant { value: 21.5, hasty_samples: 3 };
        let sampling = spawn_sampling(starting, Duration::from_secs(3600), sender).unwrap();
        let first = samples.blocking_recv().unwrap().sequence;
        for later in 1..=2 {
            assert_eq!(samples.blocking_recv().unwrap().sequence, first + later);
        }
        sampling.stop();
        assert_eq!(samples.blocking_recv(), None);
    }

    #[test]
    fn samples_are_numbered_from_the_time_since_boot_and_come_on_one_clock() {
        let before = first_sequence(clock::monotonic());
        let (sampling, mut samples) = spawn(Duration::from_millis(1), SAMPLES_MAX);
        let first = samples.blocking_recv().unwrap();
        let second = samples.blocking_recv().unwrap();
        assert!((before..=first_sequence(first.monotonic)).contains(&first.sequence));
        assert_eq!(second.sequence, first.sequence + 1);
        assert!(second.monotonic > first.monotonic && second.wall > first.wall);
        assert_eq!(first.boot_id, second.boot_id);
        sampling.stop();
    }

    #[test]
    fn a_thread_that_waits_for_an_hour_stops_at_once() {
        let (sampling, mut samples) = spawn(Duration::from_secs(3600), SAMPLES_MAX);
        assert!(samples.blocking_recv().is_some());
        sampling.stop();
        assert_eq!(samples.blocking_recv(), None);
    }

    #[test]
    fn an_interval_is_changed_while_the_thread_waits() {
        let (sampling, mut samples) = spawn(Duration::from_secs(3600), SAMPLES_MAX);
        let first = samples.blocking_recv().unwrap().sequence;
        sampling.set_options(sensors::Options {
            interval: Duration::from_millis(1),
            ..sensors::Options::of(SourceOptions::Simulated)
        });
        assert_eq!(samples.blocking_recv().unwrap().sequence, first + 1);
        sampling.stop();
    }

    #[test]
    fn the_newest_sample_is_dropped_and_counted_when_nobody_takes_them() {
        let (sampling, mut samples) = spawn(Duration::from_millis(1), 1);
        let counters = sampling.counters();
        while counters.dropped() == 0 {
            thread::yield_now();
        }
        assert!(counters.cycles() >= 2);
        let (kept, next) = (samples.blocking_recv().unwrap(), samples.blocking_recv().unwrap());
        assert!(next.sequence > kept.sequence + 1, "the number of what was dropped is spent");
        sampling.stop();
    }
}
