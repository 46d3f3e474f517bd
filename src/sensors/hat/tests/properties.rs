//! What holds for any registers and any faults.

use proptest::prelude::*;

use super::*;
use crate::sensors::testing::any_fault;

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

/// Ranges of the datasheets; the comparison is false for what is not a number.
fn check_values(readings: &Readings) {
    for (quantity, reading) in readings.iter() {
        let range = match quantity {
            Temperature | Quantity::TemperatureFromHumidity => -40.0..=120.0,
            Quantity::TemperatureFromPressure => -30.0..=105.0,
            Pressure => 260.0..=1260.0,
            Humidity => 0.0..=100.0,
            other => panic!("no chip measures {other}"),
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
            prop_assert_ne!(readings.get(Pressure).unwrap(), &Ok(760.0));
        }
        bench.heal();
        bench.seconds_to_recover();
    }
}
