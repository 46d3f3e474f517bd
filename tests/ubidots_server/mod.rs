//! A local Ubidots: its MQTT API of devices and variables, as far as a gateway that publishes can tell, and the faults
//! of networks and services, switched on and off while it runs.
//!
//! - [`Ubidots`] is the handle: one thread with sockets of loopback, plain and TLS, ended when dropped. Its methods
//!   stand in `handle` (life, accounts, faults, limits) and in `inspect` (what it saw, and waiting for that).
//! - [`State`](state::State) is everything else: handed packets and the time of day, without sockets or clocks; one
//!   file a verb (`connect`, `publish`, `subscribe`), one a subject (`topics`, `ingest`, `limits`, `faults`, …).
//! - Follows <https://docs.ubidots.com/v1.6/reference/mqtt> and the plugin of its broker,
//!   <https://github.com/ubidots/ubidots_emqx_plugin>. Where these say nothing, the least helpful answer is given: what
//!   is wrong or too much is acknowledged and lost.
//! - Never here: sessions that outlive their connection, redelivery to subscribers, HTTP.
//!
//! A test program includes it beside `mod support;`, whose `eventually` it waits with:
//!
//! ```text
//! #[path = "../ubidots_server/mod.rs"]
//! mod ubidots_server;
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]
#![allow(unused_imports, reason = "each test program uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

mod accounts;
mod connect;
mod connection;
mod faults;
mod handle;
mod ingest;
mod inspect;
mod journal;
mod limits;
mod listener;
mod packet;
mod publish;
mod session;
mod state;
mod store;
mod subscribe;
mod tls;
mod topics;

pub use accounts::{Account, Revocation};
pub use faults::{Fault, QoS2};
pub use handle::{OWNER, Options, TOKEN, Ubidots};
pub use ingest::Dropped;
pub use journal::{Connected, Counters, Logged, Testament, Way};
pub use limits::{Connects, Dots, Limits, Requests};
pub use packet::{Kind, Published};
pub use store::Dot;
pub use tls::Certificate;
