//! Listeners beyond plain TCP: TLS, client certificates and WebSocket, with real clients and byte by byte, and how many
//! connections one address may have.
//!
//! A module a subject; `gateway` starts the program, `certificates` makes what it shows, `wire` and `frames` speak.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]
#![allow(clippy::unnecessary_debug_formatting, reason = "paths are quoted as TOML wants them")]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod clients;
mod configuration;
mod frames;
mod gateway;
mod limits;
#[allow(dead_code, reason = "of its packets few are needed here")]
#[path = "../clients_raw/wire.rs"]
mod raw;
mod stalled;
mod tls;
mod websocket;
mod wire;
