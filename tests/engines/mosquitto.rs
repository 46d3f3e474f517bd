//! mosquitto with persistence, as somebody runs it who wants to keep sessions.
//!
//! It writes its state at a stop and, set up like this, within a second after a change; not before it acknowledges:
//! what came in the last moments before [`Engine::kill`] may be lost although it was acknowledged.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::place::Place;
use crate::server::{Engine, Server};
use crate::support;

/// A running mosquitto.
pub(crate) struct Mosquitto(Server);

impl Mosquitto {
    /// Whether it is installed.
    pub(crate) fn is_installed() -> bool {
        support::has_mosquitto()
    }

    /// Starts one that lets everybody in.
    pub(crate) fn start(place: &Place) -> Self {
        Self(Server::start(place, configure, command))
    }
}

impl Engine for Mosquitto {
    fn name(&self) -> &'static str {
        "mosquitto"
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.0.address()]
    }

    fn directory(&self) -> &Path {
        self.0.directory()
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn start_again(&mut self) {
        self.0.start_again();
    }

    fn printed(&self) -> String {
        self.0.printed()
    }
}

fn configure(directory: &Path, address: SocketAddr) {
    // Started by root it becomes another user, who may not read the directory.
    let text = format!(
        "user root\nlistener {} {}\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
         autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\nlog_type all\nlog_dest stderr\n",
        address.port(),
        address.ip(),
        directory.display()
    );
    fs::write(directory.join("mosquitto.conf"), text).unwrap();
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(directory.join("mosquitto.conf"));
    command
}
