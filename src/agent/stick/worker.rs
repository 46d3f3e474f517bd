//! The task of the stick: looks for the device, follows it while it is there, and looks again when it is gone.

use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::door::StickDoor;
use super::health::Health;
use crate::base::backoff::Backoff;
use crate::base::clock::{self, Monotonic};
use crate::stick::{Action, Device, Event, Open, Options, Recogniser, StickError, StickSource};

/// Waits between two looks for a stick.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// As above, for the emulator: a look is a look for one file, and somebody sits before its window.
const WAITS_FOR_EMULATOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// Events on their way to the agent. When that many wait, the device is not read from: the kernel keeps what comes, and
/// says when it could not.
const EVENTS_MAX: usize = 64;

/// Room that is kept for presses, releases and gestures: a hold that finds no other is dropped.
const ROOM_FOR_PRESSES: usize = 32;

/// How long the task may take to tell the last releases.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What the stick is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Usage {
    /// It is read in this way.
    Read(Options),
    /// It is left alone.
    LeftAlone,
    /// The task ends.
    Stopped,
}

impl Usage {
    fn of(options: Option<Options>) -> Self {
        options.map_or(Self::LeftAlone, Self::Read)
    }
}

/// The running task. It goes on until it is stopped or the process ends.
#[derive(Debug)]
pub struct Stick {
    usage: watch::Sender<Usage>,
    task: JoinHandle<()>,
}

impl Stick {
    /// Other options from now on: what is pushed counts as let go, and the device is opened anew. The same ones change
    /// nothing. With `None` the stick is left to other programs.
    pub fn set_options(&self, options: Option<Options>) {
        let usage = Usage::of(options);
        self.usage.send_if_modified(|current| {
            let is_new = *current != usage;
            *current = usage;
            is_new
        });
    }

    /// Gives the device back and ends the task; waits for it for a second at most. What was pushed is let go.
    pub async fn stop(mut self) {
        self.usage.send_replace(Usage::Stopped);
        if tokio::time::timeout(STOP_WAIT, &mut self.task).await.is_err() {
            warn!("the last events of the stick were not taken in time");
            self.task.abort();
        }
    }
}

/// Starts the task on the runtime of the caller, with the agent's side of it. Without options it leaves the stick alone
/// until it gets some.
pub fn spawn_stick(opener: Box<dyn Open>, options: Option<Options>) -> (Stick, StickDoor) {
    let (usage, wanted) = watch::channel(Usage::of(options));
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let worker = Worker { opener, usage: wanted, events, health: None };
    (Stick { usage, task: tokio::spawn(worker.run()) }, StickDoor::new(received))
}

struct Worker {
    opener: Box<dyn Open>,
    usage: watch::Receiver<Usage>,
    events: mpsc::Sender<Event>,
    /// What the log heard last.
    health: Option<Health>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let usage = self.usage.borrow_and_update().clone();
            match usage {
                Usage::Read(options) => self.read(&options).await,
                Usage::LeftAlone => {
                    self.health = None;
                    self.usage_changed().await;
                }
                Usage::Stopped => return,
            }
        }
    }

    /// Waits for another usage. Whoever could set one is gone only with the gateway.
    async fn usage_changed(&mut self) {
        if self.usage.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// Reads the stick whenever it is there, until there is another usage.
    async fn read(&mut self, options: &Options) {
        let waits = waits(&options.source);
        let mut backoff = Backoff::new(waits.0, waits.1, fastrand::u64(..));
        loop {
            let error = match self.opener.open(options) {
                Ok(device) => {
                    backoff.reset();
                    self.tell(Health::Ok);
                    match self.follow(device, options).await {
                        Some(error) => error,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            self.tell(Health::of(&error));
            tokio::select! {
                () = self.usage_changed() => return,
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
    }

    /// Follows a device until it is gone, which gives the reason, or until there is another usage. Whatever is pushed
    /// then is let go, so that nobody waits for a release that cannot come.
    async fn follow(&mut self, mut device: Box<dyn Device>, options: &Options) -> Option<StickError> {
        let mut recogniser = Recogniser::new(options.gestures);
        let lost = loop {
            let deadline = recogniser.next_deadline();
            // the device before the time: what it told before a deadline counts, however late it is read
            let told = tokio::select! {
                biased;
                () = self.usage_changed() => break None,
                event = poll_fn(|context| device.poll_event(context)) => match event {
                    Ok(event) => recogniser.handle_event(&event),
                    Err(error) => break Some(error),
                },
                () = sleep_until(deadline) => recogniser.handle_timeout(clock::monotonic()),
            };
            self.send(told).await;
        };
        drop(device);
        self.send(recogniser.handle_lost(clock::monotonic())).await;
        lost
    }

    /// Hands events over, in order. Waits for room, except for a hold: the next one says as much.
    async fn send(&mut self, events: Vec<Event>) {
        for event in events {
            if event.action == Action::Hold && self.events.capacity() <= ROOM_FOR_PRESSES {
                debug!("a hold of the stick is dropped: the agent is busy");
                continue;
            }
            // an agent that is gone hears nothing more
            let _ = self.events.send(event).await;
        }
    }

    fn tell(&mut self, health: Health) {
        if self.health.as_ref() != Some(&health) {
            health.log();
            self.health = Some(health);
        }
    }
}

const fn waits(source: &StickSource) -> (Duration, Duration) {
    match source {
        StickSource::Input => WAITS,
        StickSource::Emulator { .. } => WAITS_FOR_EMULATOR,
    }
}

async fn sleep_until(deadline: Option<Monotonic>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::monotonic())).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
