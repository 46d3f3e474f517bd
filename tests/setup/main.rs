//! `sensegate setup`: what it writes is run, and what it prints is pasted, with real clients and on a real terminal.
//!
//! A module a subject; `place` runs the command in a directory of its own, on ports that are free.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

mod existing;
mod place;
mod plain;
mod ports;
mod refused;
mod terminal;
mod tls;
