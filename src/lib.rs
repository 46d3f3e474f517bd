//! sensegate makes a Raspberry Pi with a Sense HAT a complete MQTT gateway.
//!
//! The rooms, bottom to top; each uses only those above it in this list:
//!
//! | room | holds |
//! |---|---|
//! | [`base`] | clock, units, identifiers, backoff, secrets |
//! | [`mqtt`] | the wire: topics, packets, decode and encode |
//! | [`sensors`] | drivers of the HTS221 and LPS25H, the bus, the simulated HAT |
//! | [`matrix`] | the LED matrix: commands in, frames out |
//! | [`stick`] | the stick: presses, releases and gestures out of the kernel's input device |
//! | [`access`] | who may come in and what they may do: password files, access control lists |
//! | [`broker`] | the broker's machine, without I/O |
//! | [`store`] | the durable state of the broker, in one file |
//! | [`server`] | sockets to the machine |
//! | [`client`] | one connection of an MQTT client, for uplinks |
//! | [`uplink`] | readings and messages to the cloud and to other brokers, commands back |
//! | [`agent`] | schedule, what to publish, status, the LED matrix and the stick at work |
//! | [`config`] | what was typed becomes what was decided |
//! | [`cli`] | the words the operator sees |

pub mod access;
pub mod agent;
pub mod base;
pub mod broker;
pub mod cli;
pub mod client;
pub mod config;
pub mod matrix;
pub mod mqtt;
pub mod sensors;
pub mod server;
pub mod stick;
pub mod store;
pub mod uplink;
