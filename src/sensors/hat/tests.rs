//! The HAT over the simulated one, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::Hat;
use crate::base::clock::Monotonic;
use crate::sensors::dump::Dump;
use crate::sensors::simulated::{Fault, SimulatedHat};
use crate::sensors::{Absence, Chip, Options, Quantity, Readings, Reason, SourceOptions};
use Quantity::{Humidity, Pressure, Temperature};

const SECOND: Duration = Duration::from_secs(1);

/// A HAT and the time in which it lives.
struct Bench {
    ms: Arc<AtomicU64>,
    hat: Hat<SimulatedHat>,
}

fn options(interval: Duration) -> Options {
    Options { source: SourceOptions::Simulated, interval }
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
    readings.get(quantity).as_ref().expect_err("the quantity is absent")
}

fn reasons(readings: &Readings) -> [Option<Reason>; 3] {
    Quantity::ALL.map(|quantity| readings.get(quantity).as_ref().err().map(|absence| absence.reason))
}

fn all(reason: Reason) -> [Option<Reason>; 3] {
    [Some(reason); 3]
}

#[test]
fn start_up_ends_with_believable_values_and_is_never_awaited() {
    let mut bench = Bench::new(SECOND);
    assert_eq!(reasons(&bench.sample()), all(Reason::Starting));
    let readings = bench.run(1);
    assert!((15.0..30.0).contains(readings.get(Temperature).as_ref().unwrap()));
    assert!((980.0..1045.0).contains(readings.get(Pressure).as_ref().unwrap()));
    assert!((20.0..70.0).contains(readings.get(Humidity).as_ref().unwrap()));
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
fn sample_of_both_running_chips_costs_two_transactions() {
    let mut bench = Bench::new(SECOND);
    bench.run(3);
    for _ in 0..100 {
        let before = bench.hat.bus_mut().transactions();
        assert!(bench.run_once().is_complete());
        assert_eq!(bench.hat.bus_mut().transactions() - before, 2);
    }
}

impl Bench {
    fn run_once(&mut self) -> Readings {
        self.wait(SECOND);
        self.sample()
    }
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
fn chip_that_stays_stuck_is_stale_since_the_first_moment_and_comes_back_when_it_converts() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    bench.inject(Fault::StuckOutput { chip: Chip::Lps25h });
    let since = absence(&bench.run(1), Pressure).since;
    for _ in 0..100 {
        let readings = bench.run_once();
        assert_eq!(reasons(&readings), [None, Some(Reason::Stale), None]);
        assert_eq!(absence(&readings, Pressure).since, since);
    }
    bench.heal();
    bench.seconds_to_recover();
}

#[test]
fn chip_that_was_reset_behind_our_back_is_set_up_again_at_once() {
    let mut bench = Bench::new(SECOND);
    for chip in Chip::ALL {
        bench.run(5);
        bench.inject(Fault::Reset { chip });
        let readings = bench.run_once();
        assert!(reasons(&readings).contains(&Some(Reason::Stale)), "{readings:?}");
        assert!(bench.run_once().is_complete(), "{chip}");
    }
}

#[test]
fn one_chip_that_does_not_answer_leaves_the_other_going() {
    for (chip, gone) in [(Chip::Hts221, [true, false, true]), (Chip::Lps25h, [false, true, false])] {
        let mut bench = Bench::new(SECOND);
        bench.inject(Fault::NoAcknowledge { address: chip.address() });
        bench.run(3);
        for _ in 0..50 {
            assert_eq!(reasons(&bench.run_once()), gone.map(|gone| gone.then_some(Reason::NoChip)));
        }
        bench.heal();
        bench.seconds_to_recover();
    }
}

#[test]
fn attempts_on_a_missing_chip_become_rare() {
    let mut bench = Bench::new(SECOND);
    bench.inject(Fault::NoAcknowledge { address: 0x5c });
    bench.run(100);
    let before = bench.hat.bus_mut().transactions();
    bench.run(300);
    let attempts = bench.hat.bus_mut().transactions() - before - 301;
    assert!((10..60).contains(&attempts), "{attempts}");
}

#[test]
fn failure_in_the_middle_of_running_is_absent_at_once_and_recovers() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    bench.inject(Fault::NoAcknowledge { address: 0x5f });
    let readings = bench.run_once();
    assert_eq!(reasons(&readings), [Some(Reason::NoChip), None, Some(Reason::NoChip)]);
    assert!(absence(&readings, Temperature).text.contains("STATUS_REG (0x27@0x5f)"), "{readings:?}");
    bench.heal();
    assert!(bench.seconds_to_recover() <= 5);
}

#[test]
fn bus_that_hangs_is_a_timeout_that_is_delayed_only_by_the_hook() {
    let mut bench = Bench::new(SECOND);
    bench.run(3);
    bench.inject(Fault::Hang { duration: SECOND });
    assert_eq!(reasons(&bench.run_once()), all(Reason::Timeout));
    bench.heal();
    bench.seconds_to_recover();

    let delays = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&delays);
    let mut bench = Bench::with(SECOND, |clock| {
        SimulatedHat::new(clock, 1).with_delay(move |delay| {
            counted.fetch_add(delay.as_secs(), Ordering::Relaxed);
        })
    });
    bench.inject(Fault::Hang { duration: SECOND });
    bench.sample();
    assert_eq!(delays.load(Ordering::Relaxed), 2);
}

#[test]
fn unplugged_hat_is_absent_and_a_replugged_one_never_shows_its_power_on_values() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    bench.inject(Fault::Unplugged);
    assert_eq!(reasons(&bench.run(60)), all(Reason::NoChip));
    bench.hat.bus_mut().replug();
    for _ in 0..35_000 / 20 {
        let readings = bench.sample();
        assert_ne!(readings.get(Pressure), &Ok(760.0));
        if readings.is_complete() {
            return;
        }
        bench.wait(Duration::from_millis(20));
    }
    panic!("no recovery: {:?}", bench.sample());
}

#[test]
fn replugged_within_one_interval_is_noticed_by_its_silence() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    bench.inject(Fault::Unplugged);
    bench.wait(Duration::from_millis(500));
    bench.hat.bus_mut().replug();
    bench.wait(Duration::from_millis(500));
    assert_eq!(reasons(&bench.sample()), all(Reason::Stale));
    assert!(bench.run_once().is_complete());
}

#[test]
fn another_chip_at_the_address_is_named_and_its_successor_taken() {
    let mut bench = Bench::new(SECOND);
    bench.inject(Fault::WrongIdentity { address: 0x5f, value: 0x33 });
    let readings = bench.run(10);
    assert_eq!(reasons(&readings), [Some(Reason::WrongIdentity), None, Some(Reason::WrongIdentity)]);
    assert!(absence(&readings, Humidity).text.contains("0x33, expected 0xbc"), "{readings:?}");
    bench.heal();
    bench.seconds_to_recover();
}

#[test]
fn useless_calibration_is_an_error_until_it_makes_sense() {
    for fault in [Fault::ZeroCalibration, Fault::FlatCalibration] {
        let mut bench = Bench::new(SECOND);
        bench.inject(fault);
        assert_eq!(reasons(&bench.run(60)), [Some(Reason::Calibration), None, Some(Reason::Calibration)]);
        bench.heal();
        bench.seconds_to_recover();
        let before = bench.hat.bus_mut().transactions();
        bench.run_once();
        assert_eq!(bench.hat.bus_mut().transactions() - before, 2);
    }
}

#[test]
fn value_out_of_range_is_a_fault_of_that_chip_alone() {
    for (chip, gone) in [(Chip::Hts221, [true, false, true]), (Chip::Lps25h, [false, true, false])] {
        let mut bench = Bench::new(SECOND);
        bench.run(3);
        bench.inject(Fault::OutOfRange { chip });
        assert_eq!(reasons(&bench.run(5)), gone.map(|gone| gone.then_some(Reason::OutOfRange)));
        bench.heal();
        assert!(bench.run(1).is_complete());
    }
}

#[test]
fn constant_760_hpa_is_a_damaged_element_and_never_a_reading() {
    let mut bench = Bench::new(SECOND);
    bench.inject(Fault::DamagedElement);
    for _ in 0..3 {
        assert_eq!(absence(&bench.run_once(), Pressure).reason, Reason::Starting);
    }
    let readings = bench.run(10);
    assert_eq!(reasons(&readings), [None, Some(Reason::Damaged), None]);
    assert!(absence(&readings, Pressure).text.contains("AN4450"));
    bench.heal();
    assert!(bench.run(1).is_complete());
}

#[test]
fn chip_that_the_dump_lacks_is_missing_and_the_other_reads_what_it_holds() {
    let dump = "[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"00 54 3f\" }\n".parse().unwrap();
    let readings = Bench::from_dump(&dump).run(3);
    assert_eq!(readings.get(Pressure), &Ok(1013.25));
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
    bench.hat.set_interval(Duration::from_millis(50));
    bench.sample();
    bench.wait(Duration::from_millis(300));
    bench.sample();
    for _ in 0..100 {
        bench.wait(Duration::from_millis(50));
        assert!(bench.sample().is_complete());
    }
    let before = bench.hat.bus_mut().transactions();
    bench.hat.set_interval(Duration::from_millis(51));
    bench.sample();
    assert_eq!(bench.hat.bus_mut().transactions() - before, 2, "equal settings need no set-up");
}

/// A dump with any bytes in the outputs and the calibration of both chips, mostly the right identities.
fn any_dump() -> impl Strategy<Value = Dump> {
    let bytes = prop::collection::vec(any::<u8>(), 0x31);
    (bytes.clone(), bytes, prop::bool::weighted(0.9)).prop_map(|(hts221, lps25h, right)| {
        let mut dump = Dump::default();
        dump.set(Chip::Hts221, 0x0f, &hts221);
        dump.set(Chip::Lps25h, 0x0f, &lps25h);
        if right {
            dump.set(Chip::Hts221, 0x0f, &[0xbc]);
            dump.set(Chip::Lps25h, 0x0f, &[0xbd]);
        }
        dump
    })
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let chip = prop::sample::select(Chip::ALL.to_vec());
    prop_oneof![
        any::<u8>().prop_map(|address| Fault::NoAcknowledge { address: 0x5c | address & 3 }),
        Just(Fault::Hang { duration: SECOND }),
        chip.clone().prop_map(|chip| Fault::StuckOutput { chip }),
        chip.clone().prop_map(|chip| Fault::OutOfRange { chip }),
        chip.prop_map(|chip| Fault::Reset { chip }),
        Just(Fault::ZeroCalibration),
        Just(Fault::FlatCalibration),
        Just(Fault::DamagedElement),
        any::<u8>().prop_map(|value| Fault::WrongIdentity { address: 0x5f, value }),
        Just(Fault::Unplugged),
    ]
}

/// Ranges of the datasheets; the comparison is false for what is not a number.
fn check_values(readings: &Readings) {
    for (quantity, reading) in readings.iter() {
        let range = match quantity {
            Temperature => -40.0..=120.0,
            Pressure => 260.0..=1260.0,
            Humidity => 0.0..=100.0,
        };
        match reading {
            Ok(value) => assert!(range.contains(value), "{quantity}: {value}"),
            Err(absence) => assert!(!absence.text.is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn any_registers_give_values_in_range_or_absences(dump in any_dump()) {
        let mut bench = Bench::from_dump(&dump);
        for _ in 0..8 {
            check_values(&bench.run_once());
        }
    }

    #[test]
    fn any_faults_at_any_time_end_in_recovery(
        steps in prop::collection::vec((prop::option::of(any_fault()), any::<bool>(), 1..3000_u64), 1..40),
    ) {
        let mut bench = Bench::new(SECOND);
        for (fault, heals, ms) in steps {
            if let Some(fault) = fault {
                bench.inject(fault);
            }
            if heals {
                bench.heal();
            }
            bench.wait(Duration::from_millis(ms));
            let readings = bench.sample();
            check_values(&readings);
            prop_assert_ne!(readings.get(Pressure), &Ok(760.0));
        }
        bench.heal();
        bench.seconds_to_recover();
    }
}
