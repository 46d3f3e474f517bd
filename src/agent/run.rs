//! The agent itself: samples and commands in, messages out, until it is stopped. What it does for the matrix and
//! the stick, and how it leaves a broker, have files of their own.

mod leave;
mod matrix;
mod stick;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use self::matrix::leds_changed;
use self::stick::next_stick_event;
use super::Options;
use super::connection::{Connection, ConnectionEvent};
use super::delivery::Receipt;
use super::leds::LedsDoor;
use super::narrate::Narrator;
use super::publish::{Presence, Publication, clearing, publications, retained_topics, status_publication};
use super::reach::needs_new_connection;
use super::said::Said;
use super::sample::Sample;
use super::samples::SampleQueue;
use super::stick::StickDoor;
use super::topics::Memory;
use crate::base::clock::{self, Monotonic};
use crate::base::progress;
use crate::mqtt::TopicName;

/// How long the broker may take at a stop for the samples that wait.
const SAMPLES_WAIT: Duration = Duration::from_secs(1);

/// The shortest silence of the sampling thread after which its last values count no more. A bus that times out keeps
/// the thread for a second a transaction.
const OVERDUE_MIN: Duration = Duration::from_secs(5);

/// How often an agent that goes on says so.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// What the agent is told to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Go on with these options. Topics, QoS, retain, payloads and decimals change in place; another broker, identity,
    /// keep-alive or will (topic, `offline` payload, QoS and retain of the status) needs a new connection, which is
    /// made after a clean end of the old one. Samples that wait go to the new topic of samples; without one they are
    /// forgotten.
    Reload(Box<Options>),
    /// Publish the samples that wait, as far as the broker takes them within a second; then say `offline`, disconnect
    /// and return.
    Stop,
}

/// What the agent works with.
#[derive(Debug)]
pub struct Inputs {
    /// Samples from the sampling thread; its end does not end the agent.
    pub samples: mpsc::Receiver<Sample>,
    /// Commands; a closed channel is a stop.
    pub commands: mpsc::Receiver<Command>,
    /// Whether samples have somebody to carry them: true once every uplink has its persistent session at the broker.
    /// While it is false they wait. Its sender may be gone: then the last word counts.
    pub carried: watch::Receiver<bool>,
    /// The thread of the LED matrix; without one, commands to it are not heard.
    pub leds: Option<LedsDoor>,
    /// The task of the stick; without one, nothing is heard of it.
    pub stick: Option<StickDoor>,
    /// The file that remembers retained topics; its directory exists.
    pub memory: PathBuf,
    /// When the gateway started, for the uptime in the state.
    pub started: Monotonic,
    /// Marked as long as the agent's loop goes on, whatever the bus and the broker do.
    pub alive: progress::Progress,
}

/// How far the agent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the broker has accepted the agent and it has said so.
    pub is_connected: bool,
    /// Samples taken from the channel: stands still when the agent or the sampling thread is stuck.
    pub samples: u64,
    /// Messages the connection had no room for, and samples that the queue had none for.
    pub dropped: u64,
    /// When the first sample with a value had reached the broker.
    pub first_reading: Option<Monotonic>,
}

/// Runs until [`Command::Stop`]. Nothing that a broker or a sensor does ends it.
pub async fn run(options: Options, inputs: Inputs, progress: watch::Sender<Progress>) {
    let Inputs { mut samples, mut commands, mut carried, leds, stick, memory, started, alive } = inputs;
    let mut agent = Agent::new(options, load_memory(memory), started, progress);
    agent.leds = leds;
    agent.stick = stick;
    agent.is_carried = *carried.borrow_and_update();
    let mut samples_open = true;
    let mut is_silent = false;
    let mut marks = tokio::time::interval(MARK_INTERVAL);
    let mut overdue = std::pin::pin!(tokio::time::sleep(agent.patience()));
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Reload(options)) => agent.handle_reload(*options).await,
                Some(Command::Stop) | None => break,
            },
            sample = samples.recv(), if samples_open => match sample {
                Some(sample) => {
                    agent.handle_sample(sample);
                    overdue.set(tokio::time::sleep(agent.patience()));
                    is_silent = false;
                }
                None => samples_open = false,
            },
            () = &mut overdue, if !is_silent => {
                agent.handle_overdue();
                is_silent = true;
            }
            _ = marks.tick() => alive.mark(clock::monotonic()),
            Ok(()) = carried.changed() => agent.is_carried = *carried.borrow_and_update(),
            () = leds_changed(&mut agent.leds) => agent.tell_leds(),
            event = next_stick_event(&mut agent.stick) => agent.handle_stick_event(&event),
            event = agent.connection.next_event() => agent.handle_event(event),
        }
        agent.send_samples();
    }
    while let Ok(sample) = samples.try_recv() {
        agent.handle_sample(sample);
    }
    agent.finish_stick();
    if agent.leds.as_ref().is_some_and(LedsDoor::has_news) {
        agent.tell_leds();
    }
    // what the broker does not take in time is lost with the process
    let _ = tokio::time::timeout(SAMPLES_WAIT, agent.finish_samples()).await;
    agent.leave().await;
}

/// A memory that cannot be read is no reason not to serve: old topics then stay as they are.
pub(super) fn load_memory(path: PathBuf) -> Memory {
    Memory::load(&path).unwrap_or_else(|error| {
        warn!("the memory of retained topics starts empty: {error}");
        Memory::empty(path)
    })
}

struct Agent {
    options: Options,
    started: Monotonic,
    connection: Connection,
    memory: Memory,
    narrator: Narrator,
    /// The newest sample, for the next CONNACK.
    last: Option<Sample>,
    /// What was said last on this connection, as far as all of it was taken.
    said: Said,
    /// Samples for the uplinks that the broker has not acknowledged.
    samples: SampleQueue,
    /// Whether they may be published.
    is_carried: bool,
    leds: Option<LedsDoor>,
    stick: Option<StickDoor>,
    is_drop_told: bool,
    progress: watch::Sender<Progress>,
}

impl Agent {
    fn new(options: Options, memory: Memory, started: Monotonic, progress: watch::Sender<Progress>) -> Self {
        Self {
            connection: Connection::new(options.clone()),
            options,
            started,
            memory,
            narrator: Narrator::default(),
            last: None,
            said: Said::default(),
            samples: SampleQueue::default(),
            is_carried: false,
            leds: None,
            stick: None,
            is_drop_told: false,
            progress,
        }
    }

    fn handle_event(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Up => {
                self.subscribe(None);
                self.introduce();
                self.tell_missed_releases();
                self.progress.send_modify(|progress| progress.is_connected = true);
            }
            ConnectionEvent::Delivered(receipt) => self.handle_receipt(receipt),
            ConnectionEvent::Incoming(publish) => self.handle_incoming(&publish),
            ConnectionEvent::SubscriptionRefused => {
                warn!("{} refuses the subscription to the commands of the LED matrix", self.options.broker);
            }
            ConnectionEvent::Down => {
                self.samples.handle_lost();
                self.stick_lost();
                self.progress.send_if_modified(|progress| std::mem::take(&mut progress.is_connected));
            }
        }
    }

    fn handle_receipt(&mut self, receipt: Receipt) {
        match receipt {
            Receipt::Reading => self.note_first_reading(clock::monotonic()),
            Receipt::Sample(sequence) => self.samples.handle_acknowledged(sequence),
            Receipt::Cleared(topic) => self.forget(&topic),
            Receipt::Released(direction) => self.stick_delivered(direction),
            Receipt::None | Receipt::Offline => {}
        }
    }

    fn handle_sample(&mut self, sample: Sample) {
        if self.options.samples.is_some() && !self.samples.push(&sample) {
            self.count_dropped();
        }
        self.show(sample);
    }

    /// Publishes what the quantities and the state say, and keeps it for the next connection.
    fn show(&mut self, sample: Sample) {
        self.progress.send_modify(|progress| progress.samples = progress.samples.saturating_add(1));
        for line in self.narrator.handle_sample(&sample) {
            line.log();
        }
        if let Some(leds) = &self.leds {
            leds.handle_readings(&sample.readings);
        }
        if self.connection.is_up() {
            self.publish_sample(&sample);
        }
        self.last = Some(sample);
    }

    /// How long the sampling thread may be silent.
    fn patience(&self) -> Duration {
        self.options.interval.saturating_mul(3).max(OVERDUE_MIN)
    }

    /// The sampling thread hangs on the bus: values that nobody can renew are taken back. It is no sample of its own,
    /// with a number of its own, so uplinks are not told: they see that no further sample comes.
    fn handle_overdue(&mut self) {
        if let Some(last) = &self.last {
            self.show(last.overdue(clock::monotonic(), clock::wall()));
        }
    }

    /// Waits for as long as a clean end of the old connection takes, when there has to be a new one.
    async fn handle_reload(&mut self, options: Options) {
        if options.samples.is_none() {
            self.samples.clear();
        }
        let is_renewed = needs_new_connection(&self.options, &options);
        if is_renewed || self.options.stick != options.stick {
            self.let_go_of_stick();
        }
        if is_renewed {
            self.leave().await;
            self.samples.handle_lost();
            self.stick_lost();
            if self.options.broker != options.broker {
                self.forget_stick();
            }
            self.progress.send_modify(|progress| progress.is_connected = false);
            self.connection = Connection::new(options.clone());
            self.options = options;
        } else {
            let before = std::mem::replace(&mut self.options, options).leds.map(|leds| leds.set);
            if self.connection.is_up() {
                self.subscribe(before.as_ref());
                self.introduce();
            }
        }
    }

    /// Says everything anew: the status, then what is to be cleared, then the state of the matrix and the last values.
    fn introduce(&mut self) {
        self.said = Said::default();
        let wanted = retained_topics(&self.options);
        let broker = self.options.broker.to_string();
        if let Err(error) = self.memory.remember(&broker, &wanted) {
            warn!("a topic that is renamed later may not be cleared: {error}");
        }
        if let Some(status) = &self.options.status {
            let online = status_publication(status, Presence::Online);
            self.publish(online, Receipt::None);
        }
        for topic in self.memory.gone(&broker, &wanted) {
            info!("clearing {topic}, which is not published any more");
            self.publish(clearing(topic.clone()), Receipt::Cleared(topic));
        }
        self.tell_leds();
        if let Some(last) = self.last.take() {
            self.publish_sample(&last);
            self.last = Some(last);
        }
    }

    fn publish_sample(&mut self, sample: &Sample) {
        let mut messages = publications(&self.options, sample, &self.said, self.started);
        let last = messages.pop();
        let mut all_taken = true;
        for message in messages {
            all_taken &= self.publish(message, Receipt::None);
        }
        let receipt = if sample.has_value() { Receipt::Reading } else { Receipt::None };
        if let Some(message) = last {
            all_taken &= self.publish(message, receipt);
        }
        // an absence that was not taken is said again in the next cycle
        let said = std::mem::take(&mut self.said);
        if all_taken {
            self.said = said.with(&self.options, sample);
        }
    }

    /// Hands over the samples that wait, as many as may be on their way at once; none before there is a connection and
    /// somebody to carry them. Called after everything that may have made room.
    fn send_samples(&mut self) {
        let Some(topic) = &self.options.samples else { return };
        if !self.is_carried || !self.connection.is_up() {
            return;
        }
        while let Some((sequence, message)) = self.samples.next(topic) {
            if !self.connection.try_publish(message, Receipt::Sample(sequence)) {
                return;
            }
            self.samples.handle_sent();
        }
    }

    /// Waits until no sample is on its way, and none waits that could be.
    async fn finish_samples(&mut self) {
        self.send_samples();
        while self.samples.is_in_flight() {
            let event = self.connection.next_event().await;
            self.handle_event(event);
            self.send_samples();
        }
    }

    fn publish(&mut self, publication: Publication, receipt: Receipt) -> bool {
        let taken = self.connection.try_publish(publication, receipt);
        if !taken {
            self.count_dropped();
        }
        if !taken && !self.is_drop_told {
            warn!("{} takes messages too slowly: some are dropped", self.options.broker);
        }
        self.is_drop_told = !taken;
        taken
    }

    fn count_dropped(&self) {
        self.progress.send_modify(|progress| progress.dropped = progress.dropped.saturating_add(1));
    }

    fn note_first_reading(&mut self, now: Monotonic) {
        self.progress.send_if_modified(|progress| {
            let is_first = progress.first_reading.is_none();
            progress.first_reading.get_or_insert(now);
            is_first
        });
    }

    fn forget(&mut self, topic: &TopicName) {
        // a reload may have brought it back since it was cleared
        if retained_topics(&self.options).contains(topic) {
            return;
        }
        let broker = self.options.broker.to_string();
        if let Err(error) = self.memory.forget(&broker, topic) {
            warn!("{topic} is cleared once more after the next start: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
