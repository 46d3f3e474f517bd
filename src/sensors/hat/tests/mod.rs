//! The HAT over the simulated one, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_hal::i2c::I2c;

use super::Hat;
use crate::base::clock::Monotonic;
use crate::sensors::dump::Dump;
use crate::sensors::lps25h::PressureAveraging;
use crate::sensors::simulated::{Fault, SimulatedHat};
use crate::sensors::{Absence, Chip, Options, Oversampling, Quantity, Readings, Reason, SourceOptions};
use Quantity::{Humidity, Pressure, Temperature};

mod faults;
mod properties;
mod read_back;

const SECOND: Duration = Duration::from_secs(1);

/// A HAT and the time in which it lives.
struct Bench {
    ms: Arc<AtomicU64>,
    hat: Hat<SimulatedHat>,
}

fn options(interval: Duration) -> Options {
    Options { interval, ..Options::of(SourceOptions::Simulated) }
}

fn at(ms: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_millis(ms))
}

impl Bench {
    /// Made ten seconds after boot and sampled every `interval`.
    fn new(interval: Duration) -> Self {
        Self::with(interval, |clock| SimulatedHat::new(clock, 1))
    }

    fn with(interval: Duration, make: impl FnOnce(Box<dyn Fn() -> Monotonic + Send>) -> SimulatedHat) -> Self {
        let ms = Arc::new(AtomicU64::new(10_000));
        let read = Arc::clone(&ms);
        let bus = make(Box::new(move || at(read.load(Ordering::Relaxed))));
        Self { ms, hat: Hat::new(bus, &options(interval)) }
    }

    fn from_dump(dump: &Dump) -> Self {
        Self::with(SECOND, |clock| SimulatedHat::from_dump(dump, clock))
    }

    fn now(&self) -> Monotonic {
        at(self.ms.load(Ordering::Relaxed))
    }

    fn wait(&mut self, time: Duration) {
        self.ms.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn sample(&mut self) -> Readings {
        self.hat.sample(self.now())
    }

    /// One sample a second for so many seconds; the last of them.
    fn run(&mut self, seconds: u32) -> Readings {
        let mut readings = self.sample();
        for _ in 0..seconds {
            self.wait(SECOND);
            readings = self.sample();
        }
        readings
    }

    fn run_once(&mut self) -> Readings {
        self.wait(SECOND);
        self.sample()
    }

    /// What a program beside this one reads and writes.
    fn register(&mut self, chip: Chip, register: u8) -> u8 {
        let mut byte = [0];
        self.hat.bus_mut().write_read(chip.address(), &[register], &mut byte).unwrap();
        byte[0]
    }

    fn set_register(&mut self, chip: Chip, register: u8, value: u8) {
        self.hat.bus_mut().write(chip.address(), &[register, value]).unwrap();
    }

    fn errors(&self, chip: Chip) -> Vec<(Reason, u64)> {
        self.hat.counts().get(chip).all_errors().collect()
    }

    fn inject(&mut self, fault: Fault) {
        self.hat.bus_mut().inject(fault);
    }

    fn heal(&mut self) {
        self.hat.bus_mut().heal();
    }

    /// Seconds until every quantity has a value; the retries' longest wait and the start-up lie within 35.
    fn seconds_to_recover(&mut self) -> u32 {
        for second in 0..35 {
            if self.run(1).is_complete() {
                return second + 1;
            }
        }
        panic!("no recovery: {:?}", self.sample());
    }
}

fn absence(readings: &Readings, quantity: Quantity) -> &Absence {
    readings.get(quantity).unwrap().as_ref().expect_err("the quantity is absent")
}

fn reasons(readings: &Readings) -> [Option<Reason>; 3] {
    Quantity::MAIN.map(|quantity| readings.get(quantity).unwrap().as_ref().err().map(|absence| absence.reason))
}

fn all(reason: Reason) -> [Option<Reason>; 3] {
    [Some(reason); 3]
}

#[test]
fn start_up_ends_with_believable_values_and_is_never_awaited() {
    let mut bench = Bench::new(SECOND);
    assert_eq!(reasons(&bench.sample()), all(Reason::Starting));
    let readings = bench.run(1);
    assert!((15.0..30.0).contains(readings.get(Temperature).unwrap().as_ref().unwrap()));
    assert!((980.0..1045.0).contains(readings.get(Pressure).unwrap().as_ref().unwrap()));
    assert!((20.0..70.0).contains(readings.get(Humidity).unwrap().as_ref().unwrap()));
}

#[test]
fn first_values_come_within_a_quarter_of_a_second_when_deadlines_are_kept() {
    let mut bench = Bench::new(SECOND);
    let start = bench.now();
    let mut samples = 0;
    while !bench.sample().is_complete() {
        let deadline = bench.hat.next_deadline().expect("a HAT that starts up has a deadline");
        bench.wait(deadline.since(bench.now()).max(Duration::from_millis(1)));
        samples += 1;
    }
    assert!(bench.now().since(start) <= Duration::from_millis(250), "{:?}", bench.now().since(start));
    assert!(samples < 10, "{samples}");
    assert_eq!(bench.hat.next_deadline(), None);
}

#[test]
fn sample_of_both_running_chips_costs_two_transactions_and_eleven_more_every_ten_seconds() {
    let mut bench = Bench::new(SECOND);
    bench.run(3);
    let mut cost = || {
        let before = bench.hat.bus_mut().transactions();
        assert!(bench.run_once().is_complete());
        bench.hat.bus_mut().transactions() - before
    };
    let costs = (0..100).map(|_| cost()).collect::<Vec<_>>();
    let (read_back, plain): (Vec<u64>, _) = costs.into_iter().partition(|cost| *cost != 2);
    assert_eq!((read_back, plain.len()), (vec![13; 10], 90));
}

#[test]
fn every_sample_is_complete_at_any_interval() {
    for ms in [10, 40, 80, 100, 143, 1000, 1001, 10_000, 60_000] {
        let mut bench = Bench::new(Duration::from_millis(ms));
        for _ in 0..(500 / ms + 2) {
            bench.sample();
            bench.wait(Duration::from_millis(ms));
        }
        for sample in 0..50 {
            assert!(bench.sample().is_complete(), "interval {ms} ms, sample {sample}");
            bench.wait(Duration::from_millis(ms));
        }
    }
}

#[test]
fn value_stays_for_three_conversions_and_is_then_stale() {
    // 12.5 Hz: a conversion takes 80 ms.
    let mut bench = Bench::new(Duration::from_millis(100));
    while !bench.sample().is_complete() {
        bench.wait(Duration::from_millis(10));
    }
    let last = bench.sample();
    let heard_at = bench.now();
    bench.inject(Fault::StuckOutput { chip: Chip::Hts221 });
    bench.wait(Duration::from_millis(240));
    let readings = bench.sample();
    assert_eq!(readings.get(Temperature), last.get(Temperature), "{:?}", bench.now().since(heard_at));
    bench.wait(Duration::from_millis(1));
    let readings = bench.sample();
    assert_eq!(reasons(&readings), [Some(Reason::Stale), None, Some(Reason::Stale)]);
    assert_eq!(absence(&readings, Humidity).since, bench.now());
    assert!(absence(&readings, Humidity).text.contains("HTS221 stopped converting"));
}

#[test]
fn chip_that_the_dump_lacks_is_missing_and_the_other_reads_what_it_holds() {
    let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"00 54 3f\" }\n".parse().unwrap();
    let readings = Bench::from_dump(&dump).run(3);
    assert_eq!(readings.get(Pressure).unwrap(), &Ok(1013.25));
    assert_eq!(absence(&readings, Temperature).reason, Reason::NoChip);
}

#[test]
fn dump_of_a_running_hat_reads_as_that_hat() {
    let mut bench = Bench::new(SECOND);
    let readings = bench.run(3);
    let dump = Dump::read_from(bench.hat.bus_mut()).unwrap();
    let again: Dump = dump.to_string().parse().unwrap();
    assert_eq!(Bench::from_dump(&again).run(1), readings);
}

#[test]
fn dump_leaves_out_a_chip_that_does_not_answer_and_fails_without_any() {
    let mut bench = Bench::new(SECOND);
    bench.inject(Fault::NoAcknowledge { address: 0x5f });
    let dump = Dump::read_from(bench.hat.bus_mut()).unwrap();
    assert_eq!(dump.chips().collect::<Vec<_>>(), [Chip::Lps25h]);
    bench.inject(Fault::Unplugged);
    assert!(Dump::read_from(bench.hat.bus_mut()).is_err());
}

#[test]
fn another_interval_changes_the_rate_and_leaves_no_gap_longer_than_a_start() {
    let mut bench = Bench::new(Duration::from_secs(10));
    bench.run(20);
    bench.hat.set_options(&options(Duration::from_millis(50)));
    bench.sample();
    bench.wait(Duration::from_millis(300));
    bench.sample();
    for _ in 0..100 {
        bench.wait(Duration::from_millis(50));
        assert!(bench.sample().is_complete());
    }
    let before = bench.hat.bus_mut().transactions();
    bench.hat.set_options(&options(Duration::from_millis(51)));
    bench.sample();
    assert_eq!(bench.hat.bus_mut().transactions() - before, 2, "equal settings need no set-up");
}

#[test]
fn other_oversampling_sets_up_the_chip_that_it_concerns_and_no_other() {
    let mut bench = Bench::new(SECOND);
    bench.run(3);
    let changed = Options {
        oversampling: Oversampling { pressure: PressureAveraging::Of8, ..Oversampling::default() },
        ..options(SECOND)
    };
    bench.hat.set_options(&changed);
    let readings = bench.run(2);
    assert!(readings.is_complete());
    assert_eq!((bench.register(Chip::Lps25h, 0x10), bench.register(Chip::Hts221, 0x10)), (0x04, 0x1b));
    let counts = bench.hat.counts();
    assert!(Chip::ALL.iter().all(|chip| counts.get(*chip).all_errors().next().is_none()), "{counts:?}");
}
