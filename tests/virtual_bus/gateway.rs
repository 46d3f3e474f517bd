//! A gateway that runs on the virtual bus, and a client that hears what it says.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use sensegate::base::clock;
use sensegate::sensors::simulated::SimulatedHat;
use sensegate_rig::{VirtualBus, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
const SENSEGATE: &str = env!("CARGO_BIN_EXE_sensegate");

/// Where the HAT's chips are.
pub(crate) const HUMIDITY_CHIP: u8 = 0x5f;
pub(crate) const PRESSURE_CHIP: u8 = 0x5c;

/// A HAT on a bus, and a configuration of its own for whoever runs on it.
pub(crate) struct Machine {
    pub(crate) bus: VirtualBus<SimulatedHat>,
    port: u16,
    directory: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let bus = VirtualBus::new(SimulatedHat::new(clock::monotonic, 1)).unwrap();
        let machine = Self { bus, port: free_port(), directory: tempfile::tempdir().unwrap() };
        std::fs::write(machine.file(), machine.configuration()).unwrap();
        machine
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("sensegate.toml")
    }

    fn configuration(&self) -> String {
        format!(
            "[sensors]\ninterval = \"100ms\"\n\
             [[broker.listener]]\naddress = \"127.0.0.1:{}\"\n\
             [storage]\ndirectory = \"{}\"\n",
            self.port,
            self.directory.path().join("state").display()
        )
    }

    /// Runs `sensegate` with these words to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let mut command = self.bus.command(SENSEGATE).unwrap();
        command.args(words).arg("--config").arg(self.file()).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs `sensegate` with these words and one more, the name of a file of this machine with `content`.
    pub(crate) fn run_with_file(&self, words: &[&str], content: &[u8]) -> Output {
        let path = self.directory.path().join("file");
        std::fs::write(&path, content).unwrap();
        self.run(&[words, &[path.to_str().unwrap()]].concat())
    }

    /// Runs another program on the same bus to its end.
    pub(crate) fn run_other(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a line has a first word");
        self.bus.command(program).unwrap().args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts the gateway, and a client that hears everything.
    pub(crate) fn start(&self) -> Gateway<'_> {
        let mut command = self.bus.command(SENSEGATE).unwrap();
        let child = command.arg("--config").arg(self.file()).stdin(Stdio::null()).spawn().unwrap();
        Gateway { machine: self, child, heard: Heard::subscribe(self.port) }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A gateway that is running; it is killed when the test ends.
pub(crate) struct Gateway<'a> {
    machine: &'a Machine,
    child: Child,
    heard: Heard,
}

impl Gateway<'_> {
    /// Runs `sensegate` with these words where the gateway runs: with the very same device.
    pub(crate) fn run_beside(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.child.id().to_string(), "--mount", "--", SENSEGATE]).args(words);
        command.arg("--config").arg(self.machine.file()).stdin(Stdio::null()).output().unwrap()
    }

    /// Waits for a state of which `is_so` holds.
    pub(crate) fn wait_for_state(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || is_so(&self.state()));
        self.state()
    }

    /// The last state heard; null before the first.
    pub(crate) fn state(&self) -> Value {
        self.heard.last("myRasp/state").and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
    }

    /// The last payload of a topic as a number.
    pub(crate) fn number(&self, topic: &str) -> Option<f64> {
        String::from_utf8(self.heard.last(topic)?).ok()?.parse().ok()
    }

    /// Publishes as a client of its own, and waits until the other client hears it.
    pub(crate) fn check_that_it_serves(&self, payload: &str) {
        let publisher = Heard::subscribe(self.machine.port);
        publisher.client.publish("elsewhere/word", QoS::AtLeastOnce, false, payload).unwrap();
        wait_until("the broker passes a message on", || {
            self.heard.last("elsewhere/word").as_deref() == Some(payload.as_bytes())
        });
    }

    /// Asks for an end, and waits for it.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        wait_until("the gateway ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        // A call that hangs in the bus cannot be killed: it has to return first.
        self.machine.bus.release(HUMIDITY_CHIP);
        self.machine.bus.release(PRESSURE_CHIP);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that keeps the last payload of every topic.
struct Heard {
    client: Client,
    last: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Heard {
    fn subscribe(port: u16) -> Self {
        let id = format!("test-{}-{}", std::process::id(), fastrand::u32(..));
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(5));
        let (client, mut connection) = Client::new(options, 100);
        let heard = Self { client: client.clone(), last: Arc::default() };
        let last = Arc::downgrade(&heard.last);
        thread::spawn(move || {
            for event in connection.iter() {
                let Some(last) = last.upgrade() else { return };
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => client.try_subscribe("#", QoS::AtMostOnce).unwrap(),
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        last.lock().unwrap().insert(publish.topic, publish.payload.to_vec());
                    }
                    Ok(_) => {}
                    // Not listening yet, or not any more.
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        heard
    }

    fn last(&self, topic: &str) -> Option<Vec<u8>> {
        self.lock().get(topic).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.last.lock().unwrap()
    }
}
