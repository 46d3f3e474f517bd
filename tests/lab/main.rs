//! The MQTT lab that the gateway makes runnable, walked step by step with the lab's own clients: `mosquitto_sub`,
//! `mosquitto_pub`, and the lab's Python scripts as they are printed there, with their blanks filled in, under
//! paho-mqtt 1.6.1 and under 2.x.
//!
//! A module a section. Start reading at `script`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../ubidots_server/mod.rs"]
mod ubidots_server;

mod script;
mod section10_ubidots;
mod section1_mosquitto;
mod section2_paho;
mod section3_keep_alive;
mod section4_sessions;
mod section5_retained;
mod section6_will;
mod section7_sensors;
mod section8_wildcards;
mod section9_authentication;
