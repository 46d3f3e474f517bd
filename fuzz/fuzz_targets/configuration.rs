//! Texts as configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sensegate_fuzz::configuration::check(bytes));
