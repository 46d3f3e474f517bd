//! The stick, from the kernel's records to a client's message: device, task, agent and broker as `run` joins them; the
//! device is a pipe, which the code that reads a real one reads.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may fail like the test itself")]

use std::ffi::c_ulong;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use sensegate::agent::{self, Command, Inputs, Stick};
use sensegate::base::clock::{self, Monotonic};
use sensegate::base::progress::Progress;
use sensegate::config::{self, Settings};
use sensegate::server::{ListenerAddress, Server};
use sensegate::stick::{Control, Device, Direction, Input, Open, Options, Stamps, StickError};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle as Task;

/// Longer than anything takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A HAT that is plugged in and pulled out. What waits is the device that the next opening gets.
#[derive(Clone, Debug, Default)]
struct Hat(Arc<Mutex<Option<OwnedFd>>>);

/// The kernel's end of a plugged-in stick; dropped, the stick is gone.
struct Kernel(File);

/// What the kernel says is down, when it is asked.
#[derive(Debug)]
struct Down(Vec<Direction>);

impl Hat {
    fn plug_in(&self) -> Kernel {
        let (reader, writer) = io::pipe().unwrap();
        *self.0.lock().unwrap() = Some(reader.into());
        Kernel(File::from(OwnedFd::from(writer)))
    }
}

impl Open for Hat {
    fn open(&mut self, _: &Options) -> Result<Box<dyn Device>, StickError> {
        let descriptor = self.0.lock().unwrap().take();
        let descriptor = descriptor.ok_or_else(|| StickError::Absent { class: "/sys/class/input".into() })?;
        let control = Box::new(Down(vec![Direction::Left]));
        Ok(Box::new(Input::new("/dev/input/event0".into(), descriptor, control, Stamps::SinceBoot)?))
    }
}

impl Control for Down {
    fn pressed(&self) -> io::Result<Vec<Direction>> {
        Ok(self.0.clone())
    }
}

impl Kernel {
    /// A key's new state, followed by a report, as the kernel tells it.
    fn key(&mut self, direction: Direction, value: i32) {
        self.key_at(clock::monotonic(), direction, value);
    }

    fn key_at(&mut self, time: Monotonic, direction: Direction, value: i32) {
        self.write(time, [1, direction.code()], value);
        self.write(time, [0, 0], 0);
    }

    /// `struct input_event`: two words of time, then type, code and value.
    fn write(&mut self, time: Monotonic, [kind, code]: [u16; 2], value: i32) {
        let since_boot = time.since_boot();
        let words = [since_boot.as_secs(), since_boot.subsec_micros().into()];
        let mut bytes: Vec<u8> =
            words.iter().flat_map(|word| c_ulong::try_from(*word).unwrap().to_ne_bytes()).collect();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        self.0.write_all(&bytes).unwrap();
    }

    /// Whether somebody has it open.
    fn is_read(&mut self) -> bool {
        self.0.write_all(&[0; 24]).is_ok()
    }
}

/// Broker, agent and stick.
struct Gateway {
    directory: TempDir,
    port: u16,
    stick: Stick,
    agent: Task<()>,
    commands: mpsc::Sender<Command>,
    _samples: mpsc::Sender<agent::Sample>,
    stop_broker: watch::Sender<bool>,
    _broker: JoinHandle<std::io::Result<()>>,
}

fn settings(directory: &TempDir, stick: &str) -> Settings {
    let text = format!(
        "[sensors]\nsource = \"simulated\"\n[storage]\ndirectory = \"{}\"\n\
         [[broker.listener]]\naddress = \"127.0.0.1:0\"\n[leds]\nenabled = false\n[stick]\n{stick}",
        directory.path().display()
    );
    config::parse(Path::new("sensegate.toml"), &text, std::iter::empty()).unwrap()
}

impl Gateway {
    fn start(hat: &Hat, stick: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path()).unwrap();
        let settings = settings(&directory, stick);
        let broker = settings.broker.clone().unwrap();
        let server = Server::bind(broker.server, broker.machine).unwrap();
        let ListenerAddress::Tcp(address) = server.listeners()[0].address.clone() else { panic!("not TCP") };
        let (stop_broker, stopped) = watch::channel(false);
        let broker = std::thread::spawn(move || server.run(1, None, &Progress::new(clock::monotonic()), stopped));
        let (stick, door) = agent::spawn_stick(Box::new(hat.clone()), settings.stick.clone());
        let (samples, samples_in) = mpsc::channel(8);
        let (commands, commands_in) = mpsc::channel(1);
        let inputs = Inputs {
            samples: samples_in,
            commands: commands_in,
            carried: watch::channel(false).1,
            leds: None,
            stick: Some(door),
            memory: directory.path().join("topics.json"),
            started: Monotonic::ZERO,
            alive: Progress::new(Monotonic::ZERO),
        };
        let agent = tokio::spawn(agent::run(settings.agent, inputs, watch::Sender::default()));
        Self {
            directory,
            port: address.port(),
            stick,
            agent,
            commands,
            _samples: samples,
            stop_broker,
            _broker: broker,
        }
    }

    async fn reload(&self, stick: &str) {
        let settings = settings(&self.directory, stick);
        self.stick.set_options(settings.stick);
        self.commands.send(Command::Reload(Box::new(settings.agent))).await.unwrap();
    }

    /// Ends stick and agent; the broker stays until what is returned is dropped.
    async fn stop(self) -> watch::Sender<bool> {
        self.stick.stop().await;
        self.commands.send(Command::Stop).await.unwrap();
        self.agent.await.unwrap();
        self.stop_broker
    }
}

/// A client that has subscribed to everything, and has heard that the agent is there.
struct Client(mpsc::UnboundedReceiver<Publish>);

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
            drop(client);
        });
        let mut client = Self(messages);
        while client.next_on("myRasp/status").await.payload != "online" {}
        client
    }

    /// The next message on `topic`; others are passed over.
    async fn next_on(&mut self, topic: &str) -> Publish {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.recv()).await;
            let message = message.unwrap_or_else(|_| panic!("nothing comes on {topic}")).unwrap();
            if message.topic == topic {
                return message;
            }
        }
    }

    /// The next event on `topic`, which has to be this one.
    async fn event_on(&mut self, topic: &str, direction: &str, action: &str) -> Value {
        let message = self.next_on(topic).await;
        assert!(!message.retain);
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!((&event["direction"], &event["action"]), (&direction.into(), &action.into()), "{event}");
        event
    }

    async fn event(&mut self, direction: &str, action: &str) -> Value {
        self.event_on("myRasp/stick", direction, action).await
    }
}

#[tokio::test]
async fn what_is_done_to_the_stick_arrives_with_the_kernels_time_and_is_not_retained() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "");
    let mut client = Client::connect(gateway.port).await;
    let (now, wall) = (clock::monotonic(), clock::wall());
    let pressed = Monotonic::from_boot(now.since_boot().saturating_sub(Duration::from_secs(5)));
    for (ms, direction, value) in [(0, Direction::Up, 1), (250, Direction::Up, 2), (283, Direction::Up, 0)] {
        kernel.key_at(pressed + Duration::from_millis(ms), direction, value);
    }
    let press = client.event("up", "press").await;
    let told = humantime::parse_rfc3339(press["time"].as_str().unwrap()).unwrap();
    let told_ms = told.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let expected_ms = u128::try_from(wall.unix_ms()).unwrap() - 5000;
    assert!(told_ms.abs_diff(expected_ms) < 1000, "{press} five seconds before {wall}");
    assert_eq!(press.get("held_ms"), None);
    assert_eq!(client.event("up", "hold").await["held_ms"], 250);
    assert_eq!(client.event("up", "release").await["held_ms"], 283);

    // who comes later hears the status, which is retained, and no press
    let mut late = Client::connect(gateway.port).await;
    kernel.key(Direction::Middle, 1);
    late.event("middle", "press").await;
}

#[tokio::test]
async fn gestures_come_beside_presses_and_a_click_when_no_other_press_can_follow() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "gestures = true\ndouble_within = \"100ms\"\nlong_after = \"200ms\"\nqos = 1\n");
    let mut client = Client::connect(gateway.port).await;
    let now = clock::monotonic();
    for (ms, value) in [(0, 1), (20, 0), (60, 1), (90, 0)] {
        kernel.key_at(now + Duration::from_millis(ms), Direction::Right, value);
    }
    for action in ["press", "release", "press", "release"] {
        client.event("right", action).await;
    }
    assert_eq!(client.event("right", "double").await["held_ms"], 30);
    kernel.key(Direction::Middle, 1);
    client.event("middle", "press").await;
    assert_eq!(client.event("middle", "long").await["held_ms"], 200);
    kernel.key(Direction::Middle, 0);
    client.event("middle", "release").await;
    kernel.key(Direction::Down, 1);
    kernel.key(Direction::Down, 0);
    for action in ["press", "release", "click"] {
        client.event("down", action).await;
    }
}

#[tokio::test]
async fn a_stick_that_is_pulled_out_is_let_go_and_heard_again_once_it_is_back() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "");
    let mut client = Client::connect(gateway.port).await;
    kernel.key(Direction::Down, 1);
    client.event("down", "press").await;
    drop(kernel);
    client.event("down", "release").await;
    let mut kernel = hat.plug_in();
    kernel.key(Direction::Down, 0);
    kernel.key(Direction::Middle, 1);
    client.event("middle", "press").await;
}

#[tokio::test]
async fn after_events_were_dropped_the_missed_release_is_told() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "");
    let mut client = Client::connect(gateway.port).await;
    kernel.key(Direction::Up, 1);
    client.event("up", "press").await;
    let now = clock::monotonic();
    kernel.write(now, [0, 3], 0);
    kernel.write(now, [0, 0], 0);
    client.event("up", "release").await;
    client.event("left", "press").await;
}

#[tokio::test]
async fn a_stop_lets_go_before_the_gateway_is_offline() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "");
    let mut client = Client::connect(gateway.port).await;
    kernel.key(Direction::Left, 1);
    client.event("left", "press").await;
    let _broker = gateway.stop().await;
    client.event("left", "release").await;
    assert_eq!(client.next_on("myRasp/status").await.payload, "offline");
}

#[tokio::test]
async fn a_reload_ends_what_is_pushed_renames_the_topic_and_leaves_the_stick_alone() {
    let hat = Hat::default();
    let mut kernel = hat.plug_in();
    let gateway = Gateway::start(&hat, "");
    let mut client = Client::connect(gateway.port).await;
    kernel.key(Direction::Up, 1);
    client.event("up", "press").await;
    gateway.reload("topic = \"pushed\"\n").await;
    client.event("up", "release").await;
    kernel.key(Direction::Up, 0);
    kernel.key(Direction::Right, 1);
    client.event_on("pushed", "right", "press").await;

    gateway.reload("enabled = false\n").await;
    client.event_on("pushed", "right", "release").await;
    let given_back = async {
        while kernel.is_read() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_back).await.unwrap();
}
