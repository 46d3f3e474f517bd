//! MQTT 5 spoken byte by byte: what the standard (MQTT Version 5.0, OASIS, 7 March 2019) demands of a server that can be
//! seen from outside. Each test names the statements that it holds by the standard's own numbers.
//!
//! A module a subject. `packets` writes packets and `parse` reads them, both without the gateway's own codec;
//! `client` joins them to a connection. Where mosquitto 2.0.11, in the gateway's place, breaks a statement, that step
//! is left out for it and the reason stands there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "its packets are those of version 3.1.1, of which few are needed here")]
#[path = "../clients_raw/wire.rs"]
mod wire;

mod acknowledge;
mod authenticate;
mod client;
mod connect;
mod disconnect;
mod expiry;
mod filters;
mod flow;
mod identifiers;
mod keep_alive;
mod malformed;
mod packets;
mod parse;
mod programs;
mod publish;
mod publish_refused;
mod redelivery;
mod refused;
mod retain;
mod session;
mod shared;
mod shared_redelivery;
mod size;
mod subscribe;
mod subscribe_refused;
mod topic_alias;
mod unsubscribe;
mod versions;
mod will;
mod will_delay;
