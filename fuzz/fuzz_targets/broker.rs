//! Lists of operations on the broker's machine.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sensegate_fuzz::broker::{Input, check};

fuzz_target!(|input: Input| check(&input));
