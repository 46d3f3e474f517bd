//! MQTT 3.1.1 spoken byte by byte: what the standard demands of a broker at its edges, and the points at which
//! brokers have been seen to fail. Each packet of interest is written out, so that what is tested does not depend on
//! anybody's encoder.
//!
//! A module a subject; `wire` has the client.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledgements;
mod connecting;
mod flood;
mod fuzz;
mod malformed;
mod retained;
mod sessions;
mod subscriptions;
mod wills;
mod wire;
