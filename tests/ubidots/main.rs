//! The local Ubidots itself, with real clients and packet by packet: what the tests of the uplink stand on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../ubidots_server/mod.rs"]
mod ubidots_server;

mod client;
mod connecting;
mod faults;
mod publishing;
mod subscribing;
mod tls;
