//! One uplink at work: carries out what the machine says, on up to three connections, in one task.
//!
//! `local` and `far` tell the machine what happens on the two sides, `make` puts an uplink together, `leave` ends it.

mod far;
mod leave;
mod local;
mod make;

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::connection::{Connection, Happening};
use super::lane::Side;
use super::machine::{Limits, Machine, Output, Token};
use super::registry::{End, Registry};
use super::stamps::Now;
use super::state::{FarState, State, Told};
use super::{Files, Options, Order};
use crate::base::clock;
use crate::base::queued::Queued;
use crate::client::{Loss, Publication};
use crate::mqtt::{PacketId, ProtocolVersion, ReasonCode, Subscription};

/// How often the uplink looks whether there is news to tell and whether the time is known.
const LOOK: Duration = Duration::from_secs(1);

/// How far an uplink has come with the local broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outset {
    /// Its outbox is not known to be there.
    #[default]
    Pending,
    /// Its outbox takes what is published from now on.
    Standing,
}

/// What an uplink works with.
#[derive(Debug)]
pub struct Inputs {
    /// Its files; the directory exists.
    pub files: Files,
    /// Told once the outbox stands.
    pub outset: watch::Sender<Outset>,
    /// What the embedded broker counts of the outbox; `None` with another broker.
    pub queued: Option<Queued>,
    /// Turns true when it is to stop.
    pub stop: watch::Receiver<bool>,
}

/// Runs until it is stopped. Nothing that a broker does ends it.
pub async fn run(options: Options, inputs: Inputs) {
    let Inputs { files, outset, queued, mut stop } = inputs;
    let mut uplink = Uplink::new(&options, files, outset, queued);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stop.borrow() {
        let deadline = uplink.machine.next_deadline();
        tokio::select! {
            changed = stop.changed() => if changed.is_err() { break },
            happening = uplink.local.next(clock::monotonic) => uplink.handle_local(happening),
            happening = next(&mut uplink.live) => uplink.handle_live(happening),
            happening = uplink.far.next(clock::monotonic) => uplink.handle_far(happening),
            () = until(deadline) => uplink.machine.handle_timeout(now()),
            _ = looks.tick() => uplink.look(),
        }
        uplink.carry_out();
    }
    uplink.leave().await;
}

fn now() -> Now {
    Now { monotonic: clock::monotonic(), wall: clock::wall(), is_synchronised: clock::is_synchronised() }
}

/// Pending for ever without a second session.
async fn next(connection: &mut Option<Connection>) -> Happening {
    match connection {
        Some(connection) => connection.next(clock::monotonic).await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<clock::Monotonic>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::monotonic())).await,
        None => std::future::pending().await,
    }
}

struct Uplink {
    name: String,
    machine: Machine,
    local: Connection,
    live: Option<Connection>,
    far: Connection,
    /// What the answers of each connection are about.
    far_tokens: HashMap<PacketId, Token>,
    local_tokens: HashMap<PacketId, Token>,
    /// The SUBSCRIBE that the outbox stands with.
    outbox: Option<PacketId>,
    /// Messages that the local broker takes at a time.
    local_max: u16,
    files: Files,
    outset: watch::Sender<Outset>,
    queued: Option<Queued>,
    state_topic: String,
    far_state: FarState,
    told: Told,
}

impl Uplink {
    fn new(options: &Options, files: Files, outset: watch::Sender<Outset>, queued: Option<Queued>) -> Self {
        let boots = make::load_boots(&files);
        let work = make::work(options, &files);
        let limits = Limits {
            inflight_max: options.inflight_max,
            ack_timeout: options.ack_timeout,
            strikes_max: options.strikes_max,
            clock_wait: options.clock_wait,
            samples: options.topics.samples.clone(),
            rejected: options.topics.rejected.clone(),
        };
        let machine = Machine::new(limits, work, boots);
        let name = options.name.clone();
        let mut local = make::local_connection(options, &name, false);
        local.set_will(Some(make::gone(&options.topics.state)));
        let live =
            (options.order == Order::LiveFirst).then(|| make::local_connection(options, &format!("{name}/live"), true));
        let mut far = make::far_connection(options);
        far.set_will(machine.work().will(ProtocolVersion::V5));
        let far_state = FarState {
            is_connected: false,
            since: clock::wall(),
            broker: far.address(),
            protocol: None,
            last_error: None,
        };
        Self {
            name,
            machine,
            local,
            live,
            far,
            far_tokens: HashMap::new(),
            local_tokens: HashMap::new(),
            outbox: None,
            local_max: 0,
            files,
            outset,
            queued,
            state_topic: options.topics.state.as_str().to_owned(),
            far_state,
            told: Told::default(),
        }
    }

    pub(super) fn complain(&mut self, codes: &[ReasonCode], what: &str) {
        if let Some(code) = codes.iter().find(|code| code.is_failure()) {
            warn!("uplink {}: {what}: {code}", self.name);
            self.far_state.last_error = Some(format!("{what}: {code}"));
        }
    }

    /// Does what the machine asks for, in order.
    fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::PublishFar(token, publication) => {
                    let packet_id = self.far.link().and_then(|link| link.publish(&publication));
                    self.far_tokens.extend(packet_id.map(|packet_id| (packet_id, token)));
                }
                Output::PublishLocal(token, publication) => {
                    let packet_id = self.local.link().and_then(|link| link.publish(&publication));
                    self.local_tokens.extend(packet_id.map(|packet_id| (packet_id, token)));
                }
                Output::AcknowledgeLocal(side, packet_id) => {
                    let connection = match side {
                        Side::Backlog => Some(&mut self.local),
                        Side::Live => self.live.as_mut(),
                    };
                    if let Some(link) = connection.and_then(Connection::link) {
                        link.acknowledge(packet_id);
                    }
                }
                Output::AcknowledgeFar(packet_id) => {
                    if let Some(link) = self.far.link() {
                        link.acknowledge(packet_id);
                    }
                }
                Output::Reconnect(why) => {
                    self.far.reconnect(&why, clock::monotonic());
                    self.far_tokens.clear();
                    self.tell_far(false, Some(why), None);
                    self.machine.handle_far_lost(&Loss::Silent, now());
                }
            }
        }
    }

    /// Tells what is new, and dates samples once the time is known.
    fn look(&mut self) {
        let now = now();
        if now.is_synchronised {
            self.machine.handle_synchronised(now);
        }
        self.machine.handle_timeout(now);
        let state = State::new(&self.far_state, &self.machine, self.queued.as_ref());
        if let Some(link) = self.local.link()
            && let Some(json) = self.told.poll(state, now.monotonic)
        {
            let told = Publication::new(self.state_topic.clone(), json.into());
            link.publish(&Publication { retain: true, ..told });
        }
    }

    /// Looks into the registry, which other uplinks write as well.
    pub(super) fn registry<T>(&self, look: impl FnOnce(&mut Registry, &str) -> T) -> Option<T> {
        match Registry::load(&self.files.registry) {
            Ok(mut registry) => Some(look(&mut registry, &self.name)),
            Err(error) => {
                warn!("uplink {}: what it subscribed to earlier is not known: {error}", self.name);
                None
            }
        }
    }

    pub(super) fn remember_subscribed(&self, end: End, wanted: &[Subscription]) {
        let kept = self.registry(|registry, name| registry.subscribed(name, end, wanted));
        if let Some(Err(error)) = kept {
            warn!("uplink {}: a filter may stay subscribed when it is taken away: {error}", self.name);
        }
    }
}
