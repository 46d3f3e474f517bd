//! Damage to the store's files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sensegate_fuzz::store::{Harm, check};

fuzz_target!(|harm: Harm| check(&harm));
