//! What each fuzz target checks. The targets themselves, in `fuzz_targets/`, only hand their input over.
//!
//! - Holds nothing between two inputs but what is costly to make and never changes.
//! - Never enters: the network, files beyond a directory of its own in memory, real time.
//! - Uses the program's public rooms only. What knows the broker's machine stands in `broker::machine`, so that a
//!   change there changes one file here.
//!
//! A check that fails panics; the fuzzer keeps the input. Start reading at the module of the target.

pub mod access;
pub mod broker;
pub mod configuration;
pub mod decode;
pub mod disk;
pub mod store;
