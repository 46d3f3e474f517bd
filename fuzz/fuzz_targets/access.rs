//! Texts as password files and access control lists.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sensegate_fuzz::access::check(bytes));
