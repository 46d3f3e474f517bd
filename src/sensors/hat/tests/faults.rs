//! Each fault: which quantities it takes away, with which reason, and that they come back.

use super::*;

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
        assert!(reasons(&readings).contains(&Some(Reason::Reset)), "{readings:?}");
        assert!(bench.run_once().is_complete(), "{chip}");
        assert_eq!((bench.errors(chip), bench.hat.counts().get(chip).recoveries), (vec![(Reason::Reset, 1)], 1));
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
    let attempts = |bench: &Bench| bench.hat.counts().get(Chip::Lps25h).errors(Reason::NoChip);
    let before = attempts(&bench);
    bench.run(300);
    let more = attempts(&bench) - before;
    assert!((10..20).contains(&more), "{more}");
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
        assert_ne!(readings.get(Pressure).unwrap(), &Ok(760.0));
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
    assert_eq!(reasons(&bench.sample()), all(Reason::Reset));
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
fn line_that_is_held_down_is_never_a_reading_and_says_what_helps() {
    for seconds in [0, 5] {
        let mut bench = Bench::new(SECOND);
        bench.run(seconds);
        bench.inject(Fault::StuckLow);
        bench.run(3);
        let readings = bench.run_once();
        assert_eq!(reasons(&readings), all(Reason::Bus));
        assert!(absence(&readings, Pressure).text.contains("without power"), "{readings:?}");
        bench.heal();
        bench.seconds_to_recover();
    }
}

#[test]
fn each_attempt_that_fails_is_counted_by_its_kind_and_so_is_the_recovery() {
    let mut bench = Bench::new(SECOND);
    bench.run(5);
    let reads = bench.hat.counts().get(Chip::Lps25h).reads;
    bench.inject(Fault::NoAcknowledge { address: 0x5c });
    bench.run(1);
    bench.heal();
    bench.seconds_to_recover();
    bench.inject(Fault::OutOfRange { chip: Chip::Lps25h });
    bench.run(1);
    bench.heal();
    bench.seconds_to_recover();
    let counts = bench.hat.counts().get(Chip::Lps25h);
    assert_eq!(counts.recoveries, 2);
    assert!(counts.errors(Reason::NoChip) >= 1 && counts.errors(Reason::OutOfRange) >= 1, "{counts:?}");
    assert_eq!(counts.all_errors().count(), 2);
    assert!(counts.reads > reads);
    assert_eq!(bench.errors(Chip::Hts221), []);
}
