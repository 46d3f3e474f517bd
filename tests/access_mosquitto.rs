//! Password files and access control lists beside mosquitto: the same file given to both must mean the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod support;

#[path = "access_mosquitto/acl.rs"]
mod acl;
#[path = "access_mosquitto/broker.rs"]
mod broker;
#[path = "access_mosquitto/client.rs"]
mod client;
#[path = "access_mosquitto/passwords.rs"]
mod passwords;
