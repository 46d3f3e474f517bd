//! The local Ubidots itself, with real clients and packet by packet; and the gateway's uplink to it, end to end.
//!
//! The modules named `uplink` run the real program beside it: start reading them at `site`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../ubidots_server/mod.rs"]
mod ubidots_server;

mod client;
mod connecting;
mod faults;
mod publishing;
mod site;
mod subscribing;
mod tls;
mod uplink;
mod uplink_cuts;
mod uplink_faults;
mod uplink_presence;
mod uplink_receive;
