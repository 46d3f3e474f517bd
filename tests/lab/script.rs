//! The lab's scripts, the edits its text asks for, and the room they run in.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Gateway, Paho, Process, Python, has_mosquitto_clients, in_private_network, skip_or_fail};

/// The port that the lab's scripts name.
const LAB_PORT: u16 = 1883;

/// A script of the lab, as text.
#[derive(Clone)]
pub(crate) struct Script(String);

impl Script {
    /// Section 2's `mqtt_subscriber.py` with its blanks filled in.
    pub(crate) fn subscriber(topic: &str) -> Self {
        Self(include_str!("mqtt_subscriber.py").to_owned()).fill_blanks(topic)
    }

    /// Section 2's `mqtt_publisher.py` with its blanks filled in.
    pub(crate) fn publisher(topic: &str) -> Self {
        Self(include_str!("mqtt_publisher.py").to_owned()).fill_blanks(topic)
    }

    /// Section 6's `mqtt_publisher.py`, which has no blanks.
    pub(crate) fn publisher_with_will() -> Self {
        Self(include_str!("mqtt_publisher_will.py").to_owned())
    }

    fn fill_blanks(self, topic: &str) -> Self {
        self.edit("MQTT_SERVER = \"???\"", "MQTT_SERVER = \"localhost\"")
            .edit("MQTT_PATH = \"???\"", &format!("MQTT_PATH = \"{topic}\""))
    }

    /// Replaces `from`, which must stand there exactly once.
    pub(crate) fn edit(self, from: &str, to: &str) -> Self {
        assert_eq!(self.0.matches(from).count(), 1, "{from:?} in\n{}", self.0);
        Self(self.0.replacen(from, to, 1))
    }

    /// Inserts a line before the one that connects.
    pub(crate) fn before_connect(self, line: &str) -> Self {
        let connect = "client.connect(";
        self.edit(connect, &format!("{line}\n{connect}"))
    }

    /// Has the subscriber print `subscribed` once its subscription is acknowledged.
    pub(crate) fn tell_subscribed(self) -> Self {
        self.before_connect("client.on_subscribe = lambda *arguments: print(\"subscribed\")")
    }

    /// Gives the constructor of the client these arguments.
    pub(crate) fn client(self, arguments: &str) -> Self {
        self.edit("mqtt.Client()", &format!("mqtt.Client({arguments})"))
    }

    /// The text for `paho`: 2.x wants the version of its callbacks named.
    fn text(&self, paho: Paho) -> String {
        match paho {
            Paho::One => self.0.clone(),
            Paho::Two => self.0.replace("mqtt.Client(", "mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, "),
        }
    }
}

/// The gateway, and a directory of scripts beside it.
pub(crate) struct Lab {
    pub(crate) gateway: Gateway,
    pub(crate) paho: Paho,
    python: Python,
    directory: TempDir,
    scripts: Cell<u32>,
}

impl Lab {
    /// Starts a script.
    pub(crate) fn start(&self, script: &Script) -> Process {
        let number = self.scripts.get();
        self.scripts.set(number + 1);
        let path = self.directory.path().join(format!("script{number}.py"));
        fs::write(&path, script.text(self.paho)).unwrap();
        if self.gateway.port() == LAB_PORT {
            return Process::spawn(&mut self.python.command(&path));
        }
        let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/shim");
        self.python.spawn_with_shim(&path, &shim, self.gateway.port())
    }

    /// Starts a script and waits for its successful end.
    pub(crate) fn run(&self, script: &Script) {
        self.start(script).expect_success();
    }

    /// Starts a subscriber that tells when it is subscribed, and waits for that.
    pub(crate) fn start_subscribed(&self, script: &Script) -> Process {
        let process = self.start(script);
        process.expect_line_with("subscribed");
        process
    }
}

/// Runs `body` once for each release of paho-mqtt, each time with a fresh gateway whose file begins with
/// `toml_extra`: on the port the scripts name, in a network of its own, where that is permitted, else on a free port
/// to which the shim leads them.
pub(crate) fn walk(toml_extra: &str, body: impl Fn(&Lab) + Send + Sync) {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    for paho in [Paho::One, Paho::Two] {
        match Python::find(paho) {
            Ok(python) => walk_with(paho, &python, toml_extra, &body),
            Err(reason) => skip_or_fail(&reason),
        }
    }
}

fn walk_with(paho: Paho, python: &Python, toml_extra: &str, body: &(impl Fn(&Lab) + Send + Sync)) {
    let run = |gateway: Gateway| {
        let directory = TempDir::with_prefix("lab-").unwrap();
        body(&Lab { gateway, paho, python: python.clone(), directory, scripts: Cell::new(0) });
    };
    if in_private_network(|| run(Gateway::start_on(LAB_PORT, toml_extra))).is_none() {
        run(Gateway::start(toml_extra));
    }
}
