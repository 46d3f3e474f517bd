//! paho-mqtt 2.x and MQTT.js over TLS, WebSocket and both.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Authority;
use crate::gateway::{Served, tls};
use crate::support::{Paho, Process, Python, skip_or_fail};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listeners").join(name)
}

/// Node with MQTT.js on its path.
///
/// # Errors
/// Says what is missing and how to install it.
fn mqtt_js() -> Result<Command, String> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node");
    let root = std::env::var_os("SENSEGATE_TEST_NODE").map_or(default, PathBuf::from);
    let modules = root.join("node_modules");
    if !modules.join("mqtt").is_dir() {
        return Err(format!("no MQTT.js there; npm install --prefix {} mqtt", root.display()));
    }
    let mut command = Command::new("node");
    command.arg(script("mqtt_js.js")).env("NODE_PATH", modules);
    Ok(command)
}

fn paho() -> Result<Command, String> {
    Python::find(Paho::Two).map(|python| python.command(&script("paho_listener.py")))
}

/// Runs a client's script against a gateway with that transport, `tcp` or `websockets`, with or without TLS.
fn check(client: Result<Command, String>, transport: &str, is_tls: bool) {
    let mut command = match client {
        Ok(command) => command,
        Err(reason) => return skip_or_fail(&reason),
    };
    let authority = Authority::new("an authority");
    let protocol = if transport == "tcp" { "mqtt" } else { "websocket" };
    let tls = if is_tls { tls(&authority.sign("server", "gateway"), None) } else { String::new() };
    let served = Served::start(&format!("protocol = {protocol:?}\n{tls}"), "");
    command.args([transport, &served.port()]);
    if is_tls {
        command.arg(authority.file());
    }
    let mut process = Process::spawn(&mut command);
    process.expect_line_with("as expected");
    process.expect_success();
}

#[test]
fn paho_is_served_over_tls() {
    check(paho(), "tcp", true);
}

#[test]
fn paho_is_served_over_websocket() {
    check(paho(), "websockets", false);
}

#[test]
fn paho_is_served_over_websocket_and_tls() {
    check(paho(), "websockets", true);
}

#[test]
fn mqtt_js_is_served_over_tls() {
    check(mqtt_js(), "tcp", true);
}

#[test]
fn mqtt_js_is_served_over_websocket() {
    check(mqtt_js(), "websockets", false);
}

#[test]
fn mqtt_js_is_served_over_websocket_and_tls() {
    check(mqtt_js(), "websockets", true);
}
