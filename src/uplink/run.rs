//! One uplink at work: carries out what the machine says, on up to three connections, in one task.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tracing::{error, warn};

use super::boots::Boots;
use super::bridge::Bridge;
use super::connection::{Connection, Happening, Version, Waits};
use super::lane::Side;
use super::machine::{Limits, Machine, Output, Token};
use super::registry::{End, Registry};
use super::stamps::Now;
use super::state::{FarState, State, Told};
use super::ubidots::{Received, Ubidots};
use super::work::Work;
use super::{Files, Kind, Options, Order};
use crate::base::clock;
use crate::base::ids::BootId;
use crate::base::keep;
use crate::base::queued::Queued;
use crate::client::{self, Address, Event, Loss, Message, Publication};
use crate::mqtt::{PacketId, ProtocolVersion, ReasonCode, Subscription};

/// How often the uplink looks whether there is news to tell and whether the time is known.
const LOOK: Duration = Duration::from_secs(1);

/// How long a server may take over a connection, from TCP to CONNACK.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the far side may take to hear the last message.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);

/// Keep-alive of the local connections.
const LOCAL_KEEP_ALIVE: Duration = Duration::from_secs(30);

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
    let mut uplink = Uplink::new(options, files, outset, queued);
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
    files: Files,
    outset: watch::Sender<Outset>,
    queued: Option<Queued>,
    state_topic: String,
    far_state: FarState,
    told: Told,
}

impl Uplink {
    fn new(options: Options, files: Files, outset: watch::Sender<Outset>, queued: Option<Queued>) -> Self {
        let boots = load_boots(&files);
        let work = work(&options, &files);
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
        let local = local_connection(&options, &name, false);
        let live =
            (options.order == Order::LiveFirst).then(|| local_connection(&options, &format!("{name}/live"), true));
        let mut far = far_connection(&options);
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
            files,
            outset,
            queued,
            state_topic: options.topics.state.as_str().to_owned(),
            far_state,
            told: Told::default(),
        }
    }

    fn handle_local(&mut self, happening: Happening) {
        match happening {
            Happening::Up(terms) => {
                self.machine.work_mut().handle_local_up(&terms);
                self.subscribe_locally();
            }
            Happening::Failed(_) => {}
            Happening::Lost(_) => {
                self.outset.send_replace(Outset::Pending);
                self.local_tokens.clear();
                self.told.forget();
                self.machine.handle_local_lost(Side::Backlog);
            }
            Happening::Event(event) => self.handle_local_event(event),
        }
    }

    /// The session's subscriptions are what is wanted today.
    fn subscribe_locally(&mut self) {
        let wanted = self.machine.local_subscriptions();
        let stale = self.registry(|registry, name| registry.stale(name, End::Local, &wanted)).unwrap_or_default();
        if let Some(link) = self.local.link() {
            if !stale.is_empty() {
                link.unsubscribe(stale);
            }
            self.outbox = if wanted.is_empty() { None } else { link.subscribe(wanted.clone()) };
        }
        self.remember_subscribed(End::Local, &wanted);
        if wanted.is_empty() {
            self.handle_outbox();
        }
    }

    fn handle_outbox(&mut self) {
        self.outset.send_replace(Outset::Standing);
        self.machine.handle_local_up();
    }

    fn handle_local_event(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.handle_message(Side::Backlog, message),
            Event::Acknowledged(packet_id, reason) => {
                if let Some(token) = self.local_tokens.remove(&packet_id) {
                    self.machine.handle_local_answer(token, reason, now());
                    self.keep_received();
                }
            }
            Event::Subscribed(packet_id, codes) => {
                if self.outbox == Some(packet_id) {
                    self.complain(&codes, "the local broker does not let the uplink subscribe");
                    self.handle_outbox();
                }
            }
            Event::Unsubscribed(_) | Event::Lost(_) => {}
        }
    }

    fn handle_live(&mut self, happening: Happening) {
        match happening {
            Happening::Up(_) => {
                let wanted = self.machine.local_subscriptions();
                if let Some(link) = self.live.as_mut().and_then(Connection::link) {
                    link.subscribe(wanted);
                }
            }
            Happening::Event(Event::Message(message)) => self.handle_message(Side::Live, message),
            Happening::Lost(_) => self.machine.handle_local_lost(Side::Live),
            Happening::Failed(_) | Happening::Event(_) => {}
        }
    }

    fn handle_message(&mut self, side: Side, message: Message) {
        self.machine.handle_local_message(side, message, now());
    }

    fn handle_far(&mut self, happening: Happening) {
        match happening {
            Happening::Up(terms) => {
                let wanted = self.machine.far_subscriptions();
                let stale = self.registry(|registry, name| registry.stale(name, End::Far, &wanted)).unwrap_or_default();
                if let Some(link) = self.far.link() {
                    if !stale.is_empty() {
                        link.unsubscribe(stale);
                    }
                    if !wanted.is_empty() {
                        link.subscribe(wanted.clone());
                    }
                }
                self.remember_subscribed(End::Far, &wanted);
                let protocol = if terms.version == ProtocolVersion::V5 { "5" } else { "3.1.1" };
                self.tell_far(true, None, Some(protocol));
                self.machine.handle_far_up(terms, now());
            }
            Happening::Failed(why) => self.tell_far(false, Some(why), None),
            Happening::Lost(loss) => self.handle_far_lost(&loss),
            Happening::Event(event) => self.handle_far_event(event),
        }
    }

    fn handle_far_lost(&mut self, loss: &Loss) {
        self.far_tokens.clear();
        self.tell_far(false, Some(loss.to_string()), None);
        self.machine.handle_far_lost(loss, now());
    }

    fn handle_far_event(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.machine.handle_far_message(&message, now()),
            Event::Acknowledged(packet_id, reason) => {
                if let Some(token) = self.far_tokens.remove(&packet_id) {
                    self.machine.handle_far_answer(token, reason, now());
                }
            }
            Event::Subscribed(_, codes) => self.complain(&codes, "the far side does not let the uplink subscribe"),
            Event::Unsubscribed(_) | Event::Lost(_) => {}
        }
    }

    fn complain(&mut self, codes: &[ReasonCode], what: &str) {
        if let Some(code) = codes.iter().find(|code| code.is_failure()) {
            warn!("uplink {}: {what}: {code}", self.name);
            self.far_state.last_error = Some(format!("{what}: {code}"));
        }
    }

    fn tell_far(&mut self, is_connected: bool, error: Option<String>, protocol: Option<&'static str>) {
        if self.far_state.is_connected != is_connected {
            self.far_state.since = clock::wall();
        }
        self.far_state.is_connected = is_connected;
        self.far_state.broker = self.far.address();
        self.far_state.protocol = protocol;
        if error.is_some() {
            self.far_state.last_error = error;
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

    /// The last values that were passed on outlive the process.
    fn keep_received(&mut self) {
        if let Work::Ubidots(ubidots) = self.machine.work_mut()
            && let Some(received) = ubidots.poll_received()
            && let Err(error) = keep::save(&self.files.received(&self.name), received)
        {
            warn!("uplink {}: a command may be run twice after a restart: {error}", self.name);
        }
    }

    /// Looks into the registry, which other uplinks write as well.
    fn registry<T>(&self, look: impl FnOnce(&mut Registry, &str) -> T) -> Option<T> {
        match Registry::load(&self.files.registry) {
            Ok(mut registry) => Some(look(&mut registry, &self.name)),
            Err(error) => {
                warn!("uplink {}: what it subscribed to earlier is not known: {error}", self.name);
                None
            }
        }
    }

    fn remember_subscribed(&self, end: End, wanted: &[Subscription]) {
        let kept = self.registry(|registry, name| registry.subscribed(name, end, wanted));
        if let Some(Err(error)) = kept {
            warn!("uplink {}: a filter may stay subscribed when it is taken away: {error}", self.name);
        }
    }

    /// Tells the far side that the gateway goes, so that its will needs not.
    async fn leave(mut self) {
        let farewell = self.machine.handle_leave(now());
        if let Some(mut link) = self.far.take_link() {
            if let Some(farewell) = farewell
                && let Some(said) = link.publish(&farewell)
            {
                let heard = async {
                    loop {
                        match link.next_event().await {
                            Event::Acknowledged(packet_id, _) if packet_id == said => return true,
                            Event::Lost(_) => return false,
                            _ => {}
                        }
                    }
                };
                if !tokio::time::timeout(FAREWELL_WAIT, heard).await.unwrap_or(false) {
                    // the will says it
                    return;
                }
            }
            link.disconnect().await;
        }
        self.say_gone().await;
    }

    /// What was told of the connection is true no longer.
    async fn say_gone(mut self) {
        self.tell_far(false, Some("the gateway has stopped".into()), None);
        let state = State::new(&self.far_state, &self.machine, self.queued.as_ref());
        if let Some(mut link) = self.local.take_link() {
            if let Some(json) = self.told.poll(state, clock::monotonic()) {
                let told = Publication::new(self.state_topic.clone(), Bytes::from(json));
                link.publish(&Publication { retain: true, ..told });
            }
            link.disconnect().await;
        }
    }
}

fn load_boots(files: &Files) -> Boots {
    let current = BootId::read();
    Boots::load(&files.boots, current.as_str()).unwrap_or_else(|error| {
        warn!("samples of earlier boots may stay undated: {error}");
        Boots::unkept(current.as_str())
    })
}

fn work(options: &Options, files: &Files) -> Work {
    match &options.kind {
        Kind::Bridge(bridge) => Work::Bridge(Box::new(Bridge::new(bridge.clone()))),
        Kind::Ubidots(ubidots) => {
            let received = keep::load(&files.received(&options.name)).unwrap_or_else(|error| {
                error!("the last command may be run once more: {error}");
                None
            });
            Work::Ubidots(Box::new(Ubidots::new(ubidots.clone(), received.unwrap_or(Received::default()))))
        }
    }
}

fn local_connection(options: &Options, name: &str, is_clean: bool) -> Connection {
    let local = &options.local;
    let connect = client::Options {
        version: ProtocolVersion::V5,
        client_id: local.client_id(name),
        clean_session: is_clean,
        session_expiry_s: u32::MAX,
        keep_alive: LOCAL_KEEP_ALIVE,
        credentials: local.credentials.clone(),
        will: None,
        packet_bytes_max: local.packet_bytes_max,
        receive_max: local.receive_max,
        patience: PATIENCE,
    };
    let waits = if matches!(local.address, Address::Unix(_)) { Waits::HOUSE } else { Waits::FAR };
    let version = if matches!(local.address, Address::Unix(_)) { Version::V5 } else { Version::Auto };
    let title = format!("the local broker for uplink {name}");
    Connection::new(title, vec![local.address.clone()], local.tls.clone(), version, connect, waits)
}

fn far_connection(options: &Options) -> Connection {
    let far = &options.far;
    let connect = client::Options {
        version: ProtocolVersion::V5,
        client_id: far.client_id.clone(),
        clean_session: far.clean_session,
        session_expiry_s: far.session_expiry_s,
        keep_alive: far.keep_alive,
        credentials: far.credentials.clone(),
        will: None,
        packet_bytes_max: far.packet_bytes_max,
        receive_max: 100,
        patience: PATIENCE,
    };
    let addresses: Vec<String> = far.addresses.iter().map(ToString::to_string).collect();
    let title = format!("{} (uplink {})", addresses.join(", "), options.name);
    Connection::new(title, far.addresses.clone(), far.tls.clone(), far.version, connect, Waits::FAR)
}
