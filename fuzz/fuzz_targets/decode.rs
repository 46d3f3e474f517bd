//! Bytes to packets and back.

#![no_main]

use std::alloc::System;

use libfuzzer_sys::fuzz_target;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fuzz_target!(|bytes: &[u8]| sensegate_fuzz::decode::check(bytes, || ALLOCATOR.stats().bytes_allocated));
