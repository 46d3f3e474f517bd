//! What outlives the process: everything that was acknowledged, whatever ended it. The built program, its state on a
//! real disk, and clients that speak in bytes.
//!
//! - `acknowledged`: mosquitto's clients, one promise a test.
//! - `kill`: kill -9 at random moments under load.
//! - `queues`: long queues, their order and the memory they take.
//! - `trace`: the system calls of a durable publish.
//! - `full`: a disk without room. `damage`: files that are torn, corrupt, newer or another program's.
//! - `link`: the client. `place`: the program's configuration and state directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../store_support/mod.rs"]
mod store_support;
#[path = "../support/mod.rs"]
mod support;
#[path = "../clients_raw/wire.rs"]
#[allow(dead_code, reason = "its packets serve here, its client does not")]
mod wire;

mod acknowledged;
mod damage;
mod full;
mod kill;
mod link;
mod place;
mod queues;
mod trace;
