//! The LED matrix, from a client's message to the bytes of the framebuffer: broker, agent and matrix as `run` joins
//! them, on a machine whose framebuffer is a file.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may fail like the test itself")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use sensegate::agent::{self, Command, Inputs, Leds};
use sensegate::base::clock::{self, Monotonic};
use sensegate::base::progress::Progress;
use sensegate::config::{self, Settings};
use sensegate::server::{ListenerAddress, Server};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle as Task;

/// Longer than anything takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine made of files, and the gateway's directory of state.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn bare() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn with_matrix() -> Self {
        let machine = Self::bare();
        machine.plug_in();
        machine
    }

    fn plug_in(&self) {
        let class = self.root().join("sys/class/graphics/fb1");
        fs::create_dir_all(self.root().join("dev")).unwrap();
        fs::write(self.device(), [0xaa; 128]).unwrap();
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join("name"), "RPi-Sense FB\n").unwrap();
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn device(&self) -> PathBuf {
        self.root().join("dev/fb1")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Red, green and blue of each pixel as the matrix has them (5, 6 and 5 bits), row by row.
    fn pixels(&self) -> Vec<(u16, u16, u16)> {
        let bytes = fs::read(self.device()).unwrap();
        assert_eq!(bytes.len(), 128);
        let words = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        words.map(|word| (word >> 11, word >> 5 & 0x3f, word & 0x1f)).collect()
    }

    fn settings(&self, leds: &str) -> Settings {
        let state = self.state();
        let text = format!(
            "[sensors]\nsource = \"simulated\"\n[storage]\ndirectory = \"{}\"\n\
             [[broker.listener]]\naddress = \"127.0.0.1:0\"\n[leds]\nlow_light = false\n{leds}",
            state.display()
        );
        config::parse(Path::new("sensegate.toml"), &text, std::iter::empty()).unwrap()
    }
}

/// Broker, agent and matrix.
struct Gateway {
    port: u16,
    leds: Leds,
    agent: Task<()>,
    commands: mpsc::Sender<Command>,
    _samples: mpsc::Sender<agent::Sample>,
    stop_broker: watch::Sender<bool>,
    broker: JoinHandle<std::io::Result<()>>,
}

impl Gateway {
    fn start(machine: &Machine, settings: &Settings) -> Self {
        fs::create_dir_all(machine.state()).unwrap();
        let broker = settings.broker.clone().unwrap();
        let server = Server::bind(broker.server, broker.machine).unwrap();
        let ListenerAddress::Tcp(address) = server.listeners()[0].address.clone() else { panic!("not TCP") };
        let (stop_broker, stopped) = watch::channel(false);
        let broker = std::thread::spawn(move || server.run(1, None, &Progress::new(clock::monotonic()), stopped));
        let leds = agent::spawn_leds(machine.root(), settings.leds.clone()).unwrap();
        let (samples, samples_in) = mpsc::channel(8);
        let (commands, commands_in) = mpsc::channel(1);
        let inputs = Inputs {
            samples: samples_in,
            commands: commands_in,
            carried: watch::channel(false).1,
            leds: Some(leds.door()),
            stick: None,
            memory: machine.state().join("topics.json"),
            started: Monotonic::ZERO,
            alive: Progress::new(Monotonic::ZERO),
        };
        let agent = tokio::spawn(agent::run(settings.agent.clone(), inputs, watch::Sender::default()));
        Self { port: address.port(), leds, agent, commands, _samples: samples, stop_broker, broker }
    }

    async fn reload(&self, settings: Settings) {
        self.leds.set_options(settings.leds);
        self.commands.send(Command::Reload(Box::new(settings.agent))).await.unwrap();
    }

    /// Ends matrix and agent; the broker stays.
    async fn stop(self) -> (watch::Sender<bool>, JoinHandle<std::io::Result<()>>) {
        self.leds.stop().await;
        self.commands.send(Command::Stop).await.unwrap();
        self.agent.await.unwrap();
        (self.stop_broker, self.broker)
    }
}

/// A client that has subscribed to everything.
struct Client {
    client: AsyncClient,
    messages: mpsc::UnboundedReceiver<Publish>,
}

impl Client {
    async fn connect(port: u16) -> Self {
        let (client, mut events) = AsyncClient::new(MqttOptions::new("watcher", "127.0.0.1", port), 10);
        let (told, messages) = mpsc::unbounded_channel();
        client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(publish)) = event
                    && told.send(publish).is_err()
                {
                    return;
                }
            }
        });
        Self { client, messages }
    }

    async fn publish(&self, topic: &str, payload: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
    }

    /// The next message on `topic`; others are passed over.
    async fn next_on(&mut self, topic: &str) -> Publish {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.messages.recv()).await;
            let message = message.unwrap_or_else(|_| panic!("nothing comes on {topic}")).unwrap();
            if message.topic == topic {
                return message;
            }
        }
    }

    /// The next state on `topic` whose `key` is `value`.
    async fn state_on(&mut self, topic: &str, key: &str, value: &str) -> Value {
        loop {
            let message = self.next_on(topic).await;
            assert_eq!(message.qos, QoS::AtLeastOnce);
            let state: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            if state[key] == value {
                return state;
            }
        }
    }

    async fn state(&mut self, key: &str, value: &str) -> Value {
        self.state_on("myRasp/leds", key, value).await
    }
}

const SET: &str = "myRasp/leds/set";
const DARK: (u16, u16, u16) = (0, 0, 0);
const BLUE: (u16, u16, u16) = (0, 0, 31);

#[tokio::test]
async fn every_pixel_of_a_command_arrives_and_the_state_tells_it() {
    let machine = Machine::with_matrix();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    let state = client.state("health", "ok").await;
    assert_eq!((&state["kind"], &state["health_text"]), (&"clear".into(), &Value::Null));
    assert_eq!(machine.pixels(), [DARK; 64], "what was there before is gone");

    let colours: Vec<_> = (0..64).map(|index| [index % 8 * 32, index / 8 * 32, 255]).collect();
    client.publish(SET, &serde_json::json!({"pixels": colours, "timeout": 600}).to_string()).await;
    let state = client.state("kind", "pixels").await;
    assert!(state["since"].is_string() && state["until"].is_string(), "{state}");
    for (index, pixel) in (0u16..).zip(machine.pixels()) {
        assert_eq!(pixel, (index % 8 * 4, index / 8 * 8, 31), "{},{}", index % 8, index / 8);
    }
    let late = Client::connect(gateway.port).await.next_on("myRasp/leds").await;
    assert!(late.retain);
}

#[tokio::test]
async fn a_later_command_replaces_an_earlier_one() {
    let machine = Machine::with_matrix();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    client.state("health", "ok").await;
    client.publish(SET, r#"{"text": "a long story", "repeat": 1000}"#).await;
    client.publish(SET, r#"{"fill": "red", "timeout": 600}"#).await;
    client.publish(SET, r#"{"fill": "blue"}"#).await;
    let state = client.state("colour", "#0000ff").await;
    assert_eq!((&state["kind"], &state["until"]), (&"fill".into(), &Value::Null));
    assert_eq!(machine.pixels(), [BLUE; 64]);
}

#[tokio::test]
async fn a_bad_command_changes_nothing_and_is_told() {
    let machine = Machine::with_matrix();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    client.state("health", "ok").await;
    client.publish(SET, r#"{"fill": "blue"}"#).await;
    client.state("kind", "fill").await;
    client.publish(SET, r#"{"fill": "red", "rotation": 45}"#).await;
    let message = client.next_on("myRasp/leds/error").await;
    assert_eq!((message.qos, message.retain), (QoS::AtLeastOnce, false));
    let told: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(told["error"], "rotation: is 45, 0, 90, 180 or 270 is expected");
    assert!(told["time"].is_string());
    assert_eq!(machine.pixels(), [BLUE; 64]);
}

#[tokio::test]
async fn a_stop_makes_the_matrix_dark_and_says_so() {
    let machine = Machine::with_matrix();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    client.state("health", "ok").await;
    client.publish(SET, r#"{"fill": "blue"}"#).await;
    client.state("kind", "fill").await;
    let (stop_broker, broker) = gateway.stop().await;
    assert_eq!(machine.pixels(), [DARK; 64]);
    client.state("kind", "clear").await;
    assert_eq!(client.next_on("myRasp/status").await.payload, "offline");
    stop_broker.send(true).unwrap();
    tokio::task::spawn_blocking(move || broker.join()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_absent_matrix_is_told_and_shows_what_it_was_told_once_it_is_there() {
    let machine = Machine::bare();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    let state = client.state("health", "absent").await;
    assert!(state["health_text"].as_str().unwrap().contains("rpi-sense"), "{state}");
    client.publish(SET, r#"{"fill": "blue"}"#).await;
    assert_eq!(client.state("kind", "fill").await["health"], "absent");
    machine.plug_in();
    assert_eq!(client.state("health", "ok").await["kind"], "fill");
    assert_eq!(machine.pixels(), [BLUE; 64]);
}

#[tokio::test]
async fn a_reload_renames_the_topics_and_switches_the_matrix_off() {
    let machine = Machine::with_matrix();
    let gateway = Gateway::start(&machine, &machine.settings(""));
    let mut client = Client::connect(gateway.port).await;
    client.state("health", "ok").await;
    gateway.reload(machine.settings("topic = \"shown\"\nset_topic = \"show\"\n")).await;
    assert!(client.next_on("myRasp/leds").await.payload.is_empty(), "the old topic is cleared");
    client.state_on("shown", "health", "ok").await;
    client.publish(SET, r#"{"fill": "red"}"#).await;
    client.publish("show", r#"{"fill": "blue"}"#).await;
    assert_eq!(client.state_on("shown", "kind", "fill").await["colour"], "#0000ff");

    gateway.reload(machine.settings("enabled = false\n")).await;
    while !client.next_on("shown").await.payload.is_empty() {}
    // agent and matrix are told apart from each other
    let dark = async {
        while machine.pixels() != [DARK; 64] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dark).await.unwrap();
}
