//! The agent in a task of its own, with what it is told in hand.

use std::time::Duration;

use sensegate::agent::{
    self, BrokerAddress, Command, Inputs, Options, PayloadFormat, Progress, QuantityTopic, Report, Sample, StatusTopic,
    ValidSince,
};
use sensegate::base::clock::{Monotonic, Wall};
use sensegate::base::ids::BootId;
use sensegate::mqtt::{QoS, TopicName};
use sensegate::sensors::{Counts, Quantity, Reading, Readings, Source};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Broker;

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// Temperature on `t/temperature` and a status, both retained, at `broker`.
pub(crate) fn options(broker: &Broker) -> Options {
    Options {
        quantities: vec![QuantityTopic {
            quantity: Quantity::Temperature,
            topic: topic("t/temperature"),
            qos: QoS::AtMostOnce,
            retain: true,
            payload: PayloadFormat::Plain,
            decimals: 1,
            report: Report::Always,
        }],
        state: None,
        status: Some(StatusTopic {
            topic: topic("t/status"),
            online: "online".into(),
            offline: "offline".into(),
            qos: QoS::AtLeastOnce,
            retain: true,
        }),
        samples: None,
        leds: None,
        stick: None,
        broker: BrokerAddress::House { socket: broker.socket.clone() },
        client_id: "agent".into(),
        keep_alive: Duration::from_secs(30),
        interval: Duration::from_secs(1),
    }
}

pub(crate) fn sample(sequence: u64, reading: &Reading) -> Sample {
    Sample {
        sequence,
        boot_id: BootId::new("a-boot"),
        monotonic: Monotonic::from_boot(Duration::from_secs(sequence)),
        wall: Wall::from_unix_ms(1_795_377_331_250),
        synchronised: true,
        source: Source::Simulated,
        readings: Readings::new(|_| reading.clone()),
        valid_since: ValidSince::default(),
        counts: Counts::default(),
    }
}

pub(crate) struct Agent {
    pub(crate) samples: mpsc::Sender<Sample>,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Whether somebody carries samples further.
    pub(crate) carried: watch::Sender<bool>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) task: JoinHandle<()>,
    pub(crate) sequence: u64,
}

impl Agent {
    pub(crate) fn start(broker: &Broker, options: Options) -> Self {
        let (samples, samples_in) = mpsc::channel(8);
        let (commands, commands_in) = mpsc::channel(1);
        let (carried, carried_in) = watch::channel(false);
        let (told, progress) = watch::channel(Progress::default());
        let memory = broker.memory.clone();
        let inputs = Inputs {
            samples: samples_in,
            commands: commands_in,
            carried: carried_in,
            leds: None,
            stick: None,
            memory,
            started: Monotonic::ZERO,
            alive: sensegate::base::progress::Progress::new(Monotonic::ZERO),
        };
        let task = tokio::spawn(agent::run(options, inputs, told));
        Self { samples, commands, carried, progress, task, sequence: 0 }
    }

    pub(crate) async fn sample(&mut self, reading: Reading) {
        self.sequence += 1;
        self.samples.send(sample(self.sequence, &reading)).await.unwrap();
    }

    /// Hands a sample over and waits until the agent has taken it.
    pub(crate) async fn sample_taken(&mut self, reading: Reading) {
        self.sample(reading).await;
        let wanted = self.sequence;
        self.progress.wait_for(|progress| progress.samples >= wanted).await.unwrap();
    }

    pub(crate) async fn reload(&self, options: Options) {
        self.commands.send(Command::Reload(Box::new(options))).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.commands.send(Command::Stop).await.unwrap();
        self.task.await.unwrap();
    }
}
