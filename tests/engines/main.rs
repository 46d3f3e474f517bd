//! MQTT engines of others, started, cut, killed and started again: what stands at the far end of an uplink.
//!
//! - `server`, `mosquitto`, `nats`, `activemq`, `rabbit`: the engines, one file each, all of them an [`Engine`].
//! - `place`: where a program runs, this machine or a host of `link`. `link`: two hosts and what lies between them.
//!   `relay`: a TCP relay on loopback that is cut, frozen and healed.
//! - `connection`: MQTT 3.1.1 as a client speaks it. `publisher` numbers what it publishes, `consumer` takes it,
//!   `amqp` takes it over AMQP 0-9-1, `sequences` says what came and what did not.
//! - `carries`: every engine carries every number across a restart. `cuts`: what link and relay do to a connection.
//! - `bridged`: a gateway with a bridge to an engine, and who looks at both sides. `bridge_…`: what arrives, engine by
//!   engine.
//!
//! Engines listen on free ports of loopback, or inside a network made for the test; their data lies in a directory
//! of the test's. Nothing of them is left when they are dropped, and nothing they keep is the machine's.
//!
//! [`Engine`]: server::Engine

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../listeners/certificates.rs"]
#[allow(dead_code, reason = "this program uses its own part of it")]
mod certificates;

mod activemq;
mod amqp;
mod bridged;
mod connection;
mod consumer;
mod link;
mod mosquitto;
mod nats;
mod place;
mod publisher;
mod rabbit;
mod relay;
mod sequences;
mod server;

mod bridge_activemq;
mod bridge_both;
mod bridge_external;
mod bridge_inward;
mod bridge_link;
mod bridge_mosquitto;
mod bridge_nats;
mod bridge_poison;
mod bridge_rabbitmq;
mod bridge_reload;
mod bridge_tls;
mod carries;
mod cuts;
