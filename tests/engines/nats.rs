//! NATS with JetStream, in which its MQTT keeps sessions, retained messages and what is on its way.
//!
//! 2.9.10 stops JetStream before its clients: for some milliseconds of [`Engine::stop`] it acknowledges what it no
//! longer keeps. A kill loses nothing that was acknowledged.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::place::Place;
use crate::server::{Engine, Server, has_program};

/// A running nats-server.
pub(crate) struct Nats(Server);

impl Nats {
    /// Whether it is installed.
    pub(crate) fn is_installed() -> bool {
        has_program("nats-server")
    }

    /// Starts one that lets everybody in.
    pub(crate) fn start(place: &Place) -> Self {
        Self(Server::start(place, configure, command))
    }
}

impl Engine for Nats {
    fn name(&self) -> &'static str {
        "nats"
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

/// NATS's own protocol listens as well, on any port. Without an `ack_wait` below its 30 s, what a client had not
/// acknowledged when it was cut comes again only after them.
fn configure(directory: &Path, address: SocketAddr) {
    let text = format!(
        "server_name: far\nhost: {}\nport: -1\njetstream {{ store_dir: \"{}\" }}\n\
         mqtt {{ host: {}, port: {}, ack_wait: \"2s\" }}\n",
        address.ip(),
        directory.display(),
        address.ip(),
        address.port()
    );
    fs::write(directory.join("nats.conf"), text).unwrap();
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("nats-server");
    command.arg("--config").arg(directory.join("nats.conf"));
    command
}
