//! `sensegate run`: joins the sampling thread, the broker's thread and the agent, and lives until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::arguments::{RunArgs, SourceArgs};
use super::life::{self, Watchdog};
use super::log::Level;
use super::state::StateDirectory;
use super::threads::{BrokerEnd, BrokerThread};
use super::uplinks::Uplinks;
use super::{greeting, log, once, source};
use crate::agent::{self, Command, Inputs, Leds, Sampling, Stick};
use crate::base::clock::{self, Monotonic};
use crate::base::progress::Progress;
use crate::config::Settings;
use crate::sensors;
use crate::server::{self, Access, Certificates, Watched};
use crate::stick::Machine;
use crate::uplink::{self, LocalOptions};

/// How long the agent may take to say `offline` and leave.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// Commands that may wait for the agent. A reload waits for room; so does the stop.
const COMMANDS_MAX: usize = 4;

/// Runs the gateway until SIGTERM or Ctrl-C, or for one sample.
pub(super) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let started = clock::monotonic();
    let loaded = match arguments.source.load() {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(source::refuse(&problems)),
    };
    let settings = loaded.settings;
    let level = log::start(&settings.log);
    info!("sensegate {} with {}", env!("CARGO_PKG_VERSION"), loaded.file);
    settings.notes().iter().for_each(|note| info!("{note}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // before anybody can see that there is a gateway: a reload must never meet the signal's default
    let signals = runtime.block_on(async { Signals::new() }).context("cannot listen for signals")?;
    let state = StateDirectory::take(&settings.storage.directory)?;
    let sensor = sensors::open(&settings.sensors, clock::monotonic)?;
    sensor.remark().iter().for_each(|remark| info!("{remark}"));
    let (broker, end) = match &settings.broker {
        Some(options) => {
            BrokerThread::start(options, &settings.storage).map(|(thread, end)| (Some(thread), Some(end)))?
        }
        None => (None, None),
    };
    let result = if arguments.once {
        runtime.block_on(once::run(&settings, sensor, started, state.announced_topics()))
    } else {
        greeting::greet(&settings, broker.as_ref().map_or(&[], BrokerThread::listeners));
        runtime.block_on(async {
            let watched = broker.as_ref().map(BrokerThread::watched);
            let mut gateway = Gateway::start(settings, sensor, started, &state, watched)?;
            gateway.access = broker.as_ref().map(BrokerThread::access);
            gateway.certificates = broker.as_ref().map(BrokerThread::certificates);
            let loops = broker.iter().map(BrokerThread::progress).chain([&gateway.alive]).cloned().collect();
            gateway.live(&arguments.source, signals, &level, loops, end).await
        })
    };
    if let Some(broker) = broker {
        broker.stop();
    }
    result
}

/// What runs beside the broker.
struct Gateway {
    settings: Settings,
    started: Monotonic,
    sampling: Sampling,
    uplinks: Uplinks,
    leds: Leds,
    stick: Stick,
    agent: JoinHandle<()>,
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<agent::Progress>,
    /// Of the agent's loop.
    alive: Progress,
    /// Of the embedded broker.
    access: Option<watch::Sender<Access>>,
    /// Of its listeners.
    certificates: Option<watch::Sender<Certificates>>,
}

/// The signals that a gateway heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl Gateway {
    fn start(
        settings: Settings,
        sensor: sensors::Sensor,
        started: Monotonic,
        state: &StateDirectory,
        watched: Option<watch::Sender<Watched>>,
    ) -> anyhow::Result<Self> {
        let local = settings.outboxes.clone();
        let uplinks = Uplinks::start(state.uplinks(), local, watched, &settings.uplinks);
        let (samples_in, samples) = mpsc::channel(agent::SAMPLES_MAX);
        let sampling = agent::spawn_sampling(sensor, settings.sensors.interval, samples_in)
            .context("cannot start the sampling thread")?;
        let leds = agent::spawn_leds("/".into(), settings.leds.clone())
            .context("cannot start the thread of the LED matrix")?;
        let (stick, stick_door) = agent::spawn_stick(Box::new(Machine::new("/".into())), settings.stick.clone());
        let (commands, commands_out) = mpsc::channel(COMMANDS_MAX);
        let (progress_in, progress) = watch::channel(agent::Progress::default());
        let memory = state.announced_topics();
        // nobody carries samples further
        let (carried, alive) = (uplinks.carried(), Progress::new(clock::monotonic()));
        let inputs = Inputs {
            samples,
            commands: commands_out,
            carried,
            leds: Some(leds.door()),
            stick: Some(stick_door),
            memory,
            started,
            alive: alive.clone(),
        };
        let agent = tokio::spawn(agent::run(settings.agent.clone(), inputs, progress_in));
        let (access, certificates) = (None, None);
        Ok(Self {
            settings,
            started,
            sampling,
            uplinks,
            leds,
            stick,
            agent,
            commands,
            progress,
            alive,
            access,
            certificates,
        })
    }

    /// Lives until a signal, or until the broker ends by itself, which is a failure.
    async fn live(
        mut self,
        source: &SourceArgs,
        mut signals: Signals,
        level: &Level,
        loops: Vec<Progress>,
        end: Option<BrokerEnd>,
    ) -> anyhow::Result<ExitCode> {
        let watchdog = Watchdog::find();
        let mut feeding = tokio::time::interval(watchdog.as_ref().map_or(Duration::MAX, Watchdog::interval));
        let mut broker_end = std::pin::pin!(broker_end(end));
        let mut news = News::default();
        let result = loop {
            tokio::select! {
                _ = signals.terminate.recv() => break Ok(ExitCode::SUCCESS),
                _ = signals.interrupt.recv() => break Ok(ExitCode::SUCCESS),
                _ = signals.hang_up.recv() => self.reload(source, level).await,
                _ = feeding.tick() => {
                    if let Some(watchdog) = &watchdog {
                        watchdog.feed(&loops);
                    }
                }
                cause = &mut broker_end => break Err(cause),
                Ok(()) = self.progress.changed() => {
                    let progress = *self.progress.borrow_and_update();
                    news.tell(progress, &self);
                }
            }
        };
        self.stop().await;
        result
    }

    /// Takes a changed configuration over, or keeps the old one when the new one has problems.
    async fn reload(&mut self, source: &SourceArgs, level: &Level) {
        life::tell_reloading();
        match source.load() {
            Ok(loaded) => self.take_over(loaded.settings, level).await,
            Err(problems) => {
                for line in problems.to_string().lines() {
                    error!("{line}");
                }
                error!("the configuration was not reloaded: the one before stays in force");
            }
        }
        life::tell_ready(&self.summary());
    }

    async fn take_over(&mut self, mut new: Settings, level: &Level) {
        let late = self.settings.needs_restart(&new);
        if !late.is_empty() {
            warn!("reloaded, but a restart is needed for {}", late.join(", "));
        }
        if self.settings.broker.is_some() != new.broker.is_some() {
            new.agent.broker = self.settings.agent.broker.clone();
            new.agent.client_id = self.settings.agent.client_id.clone();
        }
        if self.settings.broker.is_some() == new.broker.is_some() {
            self.uplinks.change_to(self.at_the_broker_in_force(&new.uplinks)).await;
        }
        level.set(new.log.level);
        self.sampling.set_options(new.sensors.clone());
        self.leds.set_options(new.leds.clone());
        // with the source in force, as the readings
        new.set_stick_source(&self.settings.sensors.source);
        self.stick.set_options(new.stick.clone());
        if let (Some(access), Some(broker)) = (&self.access, &new.broker) {
            send_if_new(access, &broker.server.access);
        }
        if let (Some(certificates), Some(broker)) = (&self.certificates, &new.broker)
            && send_if_new(certificates, &server::certificates_of(&broker.server.listeners))
        {
            info!("certificates were read again: new connections see them");
        }
        if self.commands.send(Command::Reload(Box::new(new.agent.clone()))).await.is_ok() {
            info!("configuration reloaded");
        }
        // what needs a restart is compared with what is in force
        let Settings { sensors, agent, log, .. } = new;
        self.settings.sensors.interval = sensors.interval;
        self.settings.agent = agent;
        self.settings.log.level = log.level;
    }

    /// Where outboxes are does not change while the gateway runs.
    fn at_the_broker_in_force(&self, uplinks: &[uplink::Options]) -> Vec<uplink::Options> {
        let moved = uplinks.iter().cloned().map(|mut uplink| {
            let receive_max = uplink.local.receive_max;
            uplink.local = LocalOptions { receive_max, ..self.settings.outboxes.clone() };
            uplink
        });
        moved.collect()
    }

    /// Makes the matrix dark, lets go of the stick, says `offline`, leaves, and stops sampling.
    async fn stop(self) {
        life::tell_stopping();
        info!("stopping");
        // before the agent, which tells it
        self.leds.stop().await;
        self.stick.stop().await;
        let left = async {
            // an agent that is gone needs no command
            let _ = self.commands.send(Command::Stop).await;
            let _ = self.agent.await;
        };
        if tokio::time::timeout(LEAVE_WAIT, left).await.is_err() {
            warn!("the broker did not let the agent go in time: its will speaks for it");
        }
        // behind the agent, whose last word they carry
        self.uplinks.stop().await;
        // not waited for: a bus that hangs does not keep the process from ending
        drop(self.sampling);
    }

    fn summary(&self) -> String {
        format!(
            "{} quantities every {}",
            self.settings.agent.quantities.len(),
            humantime::format_duration(self.settings.sensors.interval)
        )
    }
}

/// Sends what differs from what was sent last; tells whether it did.
fn send_if_new<T: Clone + PartialEq>(sender: &watch::Sender<T>, newest: &T) -> bool {
    sender.send_if_modified(|current| {
        let is_new = current != newest;
        current.clone_from(newest);
        is_new
    })
}

/// What has been told of the agent's progress.
#[derive(Default)]
struct News {
    is_ready_told: bool,
    is_reading_told: bool,
}

impl News {
    /// Ready is who listens and has its agent connected; an external broker may be away for long, so it is not waited
    /// for.
    fn tell(&mut self, progress: agent::Progress, gateway: &Gateway) {
        if !self.is_ready_told && (progress.is_connected || gateway.settings.broker.is_none()) {
            self.is_ready_told = true;
            life::tell_ready(&gateway.summary());
        }
        if let (false, Some(moment)) = (self.is_reading_told, progress.first_reading) {
            self.is_reading_told = true;
            info!(after_ms = moment.since(gateway.started).as_millis(), "first reading published");
        }
    }
}

/// Pending for ever without an embedded broker.
async fn broker_end(end: Option<BrokerEnd>) -> anyhow::Error {
    match end {
        None => std::future::pending().await,
        Some(end) => match end.await {
            Ok(Err(cause)) => anyhow::Error::new(cause).context("the broker could not start"),
            _ => anyhow::anyhow!("the broker has ended"),
        },
    }
}
