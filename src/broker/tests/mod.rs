//! The machine as its clients see it: packets in, packets out, in virtual time.

mod answers;
mod authenticate;
mod code_points;
mod connect;
mod deliver;
mod durable;
mod five;
mod restore;
mod retained;
mod simulation;
mod system;
mod will;

use std::collections::HashMap;
use std::time::Duration;

use super::{Broker, CloseReason, ConnectionId, Disk, Options, Origin, Output, QueueLimits, Ticket, Verdict};
use crate::access::Acl;
use crate::base::clock::Monotonic;
use crate::mqtt::{
    Acknowledgement, ClientId, Connect, ConnectReturnCode, Decoded, Packet, PacketId, Properties, ProtocolVersion,
    Publish, PublishProperties, QoS, ReasonCode, Subscribe, Subscription, SubscriptionId, TopicFilter, TopicName,
    Unsubscribe, Will, decode,
};

/// A machine, its clock, and what it has put out so far.
struct World {
    broker: Broker,
    now: Monotonic,
    sent: Vec<(ConnectionId, Vec<u8>)>,
    /// Of connections that sent a CONNECT; 3.1.1 for all others.
    versions: HashMap<ConnectionId, ProtocolVersion>,
    closed: Vec<(ConnectionId, CloseReason)>,
    /// Requests to persist that nobody has answered.
    requested: Vec<Ticket>,
    read_again: Vec<ConnectionId>,
    rooms: Vec<ConnectionId>,
    /// Pieces of queues that are to be loaded: behind which arrival, how many.
    loads: Vec<(u64, usize)>,
    /// What everybody may do who asks to come in; `None` while nobody gives a verdict.
    acl: Option<Acl>,
    /// Those who wait for a verdict.
    asking: Vec<ConnectionId>,
    /// Topics that somebody might not write to.
    denied: Vec<String>,
    /// Whether requests to persist are answered at once.
    is_durable_at_once: bool,
}

impl World {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self {
            broker: Broker::new(options, 1),
            now: Monotonic::from_boot(Duration::from_secs(1000)),
            sent: Vec::new(),
            versions: HashMap::new(),
            closed: Vec::new(),
            requested: Vec::new(),
            read_again: Vec::new(),
            rooms: Vec::new(),
            loads: Vec::new(),
            acl: Some(Acl::everything()),
            asking: Vec::new(),
            denied: Vec::new(),
            is_durable_at_once: true,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::RequestSend { connection, frame, .. } => {
                    let mut bytes = Vec::new();
                    frame.append_to(&mut bytes);
                    self.sent.push((connection, bytes));
                }
                Output::RequestClose { connection, reason } => self.closed.push((connection, reason)),
                Output::RequestPersist { ticket, .. } if self.is_durable_at_once => {
                    self.broker.handle_persisted(ticket, self.now);
                }
                Output::RequestPersist { ticket, .. } => self.requested.push(ticket),
                Output::RequestRead { connection } => self.read_again.push(connection),
                Output::RequestRoom { connection } => self.rooms.push(connection),
                Output::RequestLoad { after, count, .. } => self.loads.push((after, count)),
                Output::RequestAuthenticate { connection, user_name, client_id, .. } => match &self.acl {
                    None => self.asking.push(connection),
                    Some(acl) => {
                        let rights = acl.rights(user_name.as_deref(), client_id.as_str());
                        let user = user_name.map(Into::into);
                        self.broker.handle_verdict(connection, Verdict::Accepted { user, rights }, self.now);
                    }
                },
                Output::NotifyDenied { topic, .. } => self.denied.push(topic.into()),
                _ => {}
            }
        }
    }

    /// Answers every open request to persist.
    fn persist(&mut self) {
        for ticket in std::mem::take(&mut self.requested) {
            self.broker.handle_persisted(ticket, self.now);
        }
        self.drain();
    }

    fn open(&mut self) -> ConnectionId {
        self.broker.handle_open(Origin::Public, self.now)
    }

    fn send(&mut self, from: ConnectionId, packet: Packet<'_>) {
        self.broker.handle_packet(from, packet, self.now);
        self.drain();
    }

    fn connect(&mut self, connect: Connect) -> ConnectionId {
        let connection = self.open();
        self.versions.insert(connection, connect.version);
        self.send(connection, Packet::Connect(connect));
        connection
    }

    /// A client that is let in, its CONNACK read already.
    fn join(&mut self, client_id: &str, clean_session: bool) -> ConnectionId {
        let connection = self.connect(Connect { clean_session, ..hello(client_id) });
        assert_eq!(self.take(connection).first().map(String::as_str), Some("connack 0 present=false"));
        connection
    }

    /// A client that comes back to its session; gives what it got behind CONNACK.
    fn rejoin(&mut self, client_id: &str) -> (ConnectionId, Vec<String>) {
        let connection = self.connect(Connect { clean_session: false, ..hello(client_id) });
        let mut got = self.take(connection);
        assert_eq!(got.remove(0), "connack 0 present=true");
        (connection, got)
    }

    fn subscribe(&mut self, connection: ConnectionId, filter: &str, qos: u8) {
        self.send(connection, subscribe(&[(filter, qos)]));
    }

    fn publish(&mut self, from: ConnectionId, topic: &str, payload: &str, qos: u8, packet_id: u16) {
        self.send(from, publish(topic, payload, qos, packet_id));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.broker.handle_timeout(self.now);
        self.drain();
    }

    fn cut(&mut self, connection: ConnectionId) {
        self.broker.handle_close(connection, self.now);
        self.drain();
    }

    /// What `connection` was sent since the last look, in words.
    fn take(&mut self, connection: ConnectionId) -> Vec<String> {
        let (mine, others) = std::mem::take(&mut self.sent).into_iter().partition(|(to, _)| *to == connection);
        self.sent = others;
        let mine: Vec<(ConnectionId, Vec<u8>)> = mine;
        let version = self.versions.get(&connection).copied().unwrap_or(ProtocolVersion::V311);
        mine.iter().map(|(_, bytes)| words(bytes, version)).collect()
    }

    /// Why `connection` was closed.
    fn reason(&self, connection: ConnectionId) -> Option<&CloseReason> {
        self.closed.iter().find(|(id, _)| *id == connection).map(|(_, reason)| reason)
    }
}

fn words(bytes: &[u8], version: ProtocolVersion) -> String {
    let Ok(Decoded::Packet { packet, .. }) = decode(bytes, version, usize::MAX) else {
        panic!("the machine sent {bytes:?}");
    };
    match packet {
        Packet::ConnAck(ack) => {
            format!("connack {} present={}", ConnectReturnCode::from(ack.reason) as u8, ack.session_present)
        }
        Packet::Publish(publish) => publish_words(&publish),
        Packet::PubAck(ack) => acknowledgement("puback", &ack),
        Packet::PubRec(ack) => acknowledgement("pubrec", &ack),
        Packet::PubRel(ack) => acknowledgement("pubrel", &ack),
        Packet::PubComp(ack) => acknowledgement("pubcomp", &ack),
        Packet::SubAck(ack) => {
            let codes: Vec<_> = ack.codes.iter().map(|code| *code as u8).collect();
            format!("suback {} {codes:?}", ack.packet_id.get())
        }
        Packet::UnsubAck(ack) if ack.codes.is_empty() => format!("unsuback {}", ack.packet_id.get()),
        Packet::UnsubAck(ack) => {
            let codes: Vec<_> = ack.codes.iter().map(|code| *code as u8).collect();
            format!("unsuback {} {codes:02x?}", ack.packet_id.get())
        }
        Packet::Disconnect(disconnect) => format!("disconnect {:02x}", disconnect.reason as u8),
        Packet::PingResp => "pingresp".into(),
        other => panic!("a server never sends {other:?}"),
    }
}

/// The code only when it is not 0.
fn acknowledgement(name: &str, ack: &Acknowledgement) -> String {
    let code = match ack.reason {
        ReasonCode::Success => String::new(),
        code => format!(" {:02x}", code as u8),
    };
    format!("{name} {}{code}", ack.packet_id.get())
}

/// `topic=payload q1 id 1 dup retain alias 1 expires 5 subs [1] user [k=v]`
fn publish_words(publish: &Publish<'_>) -> String {
    let payload = String::from_utf8_lossy(publish.payload);
    let id = publish.packet_id.map(|packet_id| format!(" id {}", packet_id.get())).unwrap_or_default();
    let dup = if publish.dup { " dup" } else { "" };
    let retain = if publish.retain { " retain" } else { "" };
    let properties = property_words(&publish.properties);
    format!("{}={payload} q{}{id}{dup}{retain}{properties}", publish.topic, publish.qos as u8)
}

fn property_words(properties: &PublishProperties<'_>) -> String {
    let alias = properties.topic_alias.map(|alias| format!(" alias {alias}")).unwrap_or_default();
    let expires = properties.message_expiry_interval_s.map(|seconds| format!(" expires {seconds}")).unwrap_or_default();
    let ids: Vec<_> = properties.subscription_ids.iter().map(SubscriptionId::get).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" subs {ids:?}") };
    let users: Vec<_> = properties.message.user_properties().map(|(name, value)| format!("{name}={value}")).collect();
    let users = if users.is_empty() { String::new() } else { format!(" user [{}]", users.join(" ")) };
    format!("{alias}{expires}{ids}{users}")
}

fn hello(client_id: &str) -> Connect {
    Connect {
        version: ProtocolVersion::V311,
        clean_session: true,
        keep_alive_s: 60,
        properties: Properties::NONE,
        client_id: ClientId::new(client_id),
        will: None,
        user_name: None,
        password: None,
    }
}

fn will(topic: &str, payload: &str) -> Will {
    Will::new(TopicName::new(topic).unwrap(), payload.to_owned().into())
}

fn qos(bits: u8) -> QoS {
    QoS::from_bits(bits).unwrap()
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn ack(number: u16) -> Acknowledgement {
    Acknowledgement::success(id(number))
}

fn publish<'a>(topic: &'a str, payload: &'a str, bits: u8, packet_id: u16) -> Packet<'a> {
    let packet_id = (bits > 0).then(|| id(packet_id));
    Packet::Publish(Publish { qos: qos(bits), packet_id, ..Publish::new(topic, payload.as_bytes()) })
}

fn retain<'a>(topic: &'a str, payload: &'a str, bits: u8) -> Packet<'a> {
    match publish(topic, payload, bits, 9) {
        Packet::Publish(publish) => Packet::Publish(Publish { retain: true, ..publish }),
        other => other,
    }
}

fn subscribe<'a>(filters: &[(&str, u8)]) -> Packet<'a> {
    let subscriptions =
        filters.iter().map(|(filter, bits)| Subscription::new(TopicFilter::new(filter).unwrap(), qos(*bits))).collect();
    Packet::Subscribe(Subscribe::new(id(5), subscriptions))
}

fn unsubscribe<'a>(filter: &str) -> Packet<'a> {
    let filters = vec![TopicFilter::new(filter).unwrap()];
    Packet::Unsubscribe(Unsubscribe::new(id(6), filters))
}
