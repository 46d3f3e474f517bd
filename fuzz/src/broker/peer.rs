//! A connection as its client sees it: what it is owed, what it has to answer, and what may never come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;

use bytes::Bytes;
use sensegate::broker::Ticket;
use sensegate::mqtt::{
    Acknowledgement, Connect, Decoded, Packet, ProtocolVersion, Publish, QoS, ReasonCode, decode, encode,
};

/// What a client waits for; all but CONNACK and PINGRESP under a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    ConnAck,
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    SubAck(u16),
    UnsubAck(u16),
    PingResp,
}

/// How far a connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides know it.
    Open,
    /// The client is gone; what the machine held back for it until this ticket may still come.
    Gone(Ticket),
    /// Nothing more may come.
    Over,
}

/// One connection.
#[derive(Debug)]
pub struct Peer {
    pub version: ProtocolVersion,
    pub end: End,
    /// Whether its login waits for a verdict: it is not read from then.
    pub is_asking: bool,
    is_admitted: bool,
    /// Whether a CONNECT that was none may be answered.
    may_be_refused: bool,
    /// Whether the server has said that it is over.
    is_dismissed: bool,
    owed: BTreeMap<Answer, u32>,
    in_flight: BTreeSet<u16>,
    in_flight_max: usize,
    packet_bytes_max: usize,
    /// Identifiers of PUBREC that nobody asked for: the PUBREL to each begins nothing.
    stray: BTreeSet<u16>,
    aliases_max: u16,
    /// What the server has said that they stand for.
    aliases: BTreeMap<u16, String>,
    takes_reasons: bool,
    /// What a client of good manners says next.
    answers: VecDeque<Packet<'static>>,
}

impl Peer {
    pub fn new(in_flight_max: usize) -> Self {
        Self {
            version: ProtocolVersion::V311,
            end: End::Open,
            is_asking: false,
            is_admitted: false,
            may_be_refused: false,
            is_dismissed: false,
            owed: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            in_flight_max,
            packet_bytes_max: usize::MAX,
            stray: BTreeSet::new(),
            aliases_max: 0,
            aliases: BTreeMap::new(),
            takes_reasons: true,
            answers: VecDeque::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.end == End::Open
    }

    /// The next answer that the protocol asks of this client, as bytes.
    pub fn next_answer(&mut self) -> Option<Vec<u8>> {
        let answer = self.answers.pop_front()?;
        let mut bytes = Vec::new();
        encode(&answer, self.version, &mut bytes);
        Some(bytes)
    }

    /// This client has sent `packet`.
    pub fn has_sent(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect(connect) => self.has_greeted(connect),
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.in_flight.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) if ack.reason.is_failure() => {
                self.in_flight.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) if !self.in_flight.contains(&ack.packet_id.get()) => {
                self.stray.insert(ack.packet_id.get());
            }
            _ => {}
        }
        if let Some(answer) = answer_to(packet) {
            *self.owed.entry(answer).or_default() += 1;
        }
    }

    fn has_greeted(&mut self, connect: &Connect) {
        if self.is_admitted || self.owed.contains_key(&Answer::ConnAck) {
            return;
        }
        self.version = connect.version;
        if connect.version.has_properties() {
            let size = connect.properties.maximum_packet_size.map(|size| size.get() as usize);
            let count = connect.properties.receive_maximum.map(|count| usize::from(count.get()));
            self.packet_bytes_max = size.unwrap_or(usize::MAX);
            self.in_flight_max = self.in_flight_max.min(count.unwrap_or(usize::MAX));
            self.aliases_max = connect.properties.topic_alias_maximum.unwrap_or(0);
            self.takes_reasons = connect.properties.request_problem_information.unwrap_or(true);
        }
    }

    /// This client has sent what is no packet, a CONNECT of `version` perhaps.
    pub fn has_sent_nonsense(&mut self, version: Option<ProtocolVersion>) {
        if !self.is_admitted && !self.owed.contains_key(&Answer::ConnAck) {
            self.may_be_refused = true;
            self.version = version.unwrap_or(self.version);
        }
    }

    /// The machine sends `bytes`: one whole packet that a server may send, now. Gives the payload of a client's message.
    pub fn is_sent<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        assert!(self.end != End::Over, "{bytes:02x?} to a connection that is over");
        assert!(!self.is_dismissed, "{bytes:02x?} behind DISCONNECT");
        let decoded = decode(bytes, self.version, usize::MAX).or_else(|error| match self.is_admitted {
            // a version that is not served is told so in one that everybody reads
            false => decode(bytes, ProtocolVersion::V311, usize::MAX),
            true => Err(error),
        });
        let Ok(Decoded::Packet { packet, length }) = decoded else {
            panic!("the machine sends {bytes:02x?}: {decoded:?}")
        };
        assert_eq!(length, bytes.len(), "more than one packet: {bytes:02x?}");
        assert!(length <= self.packet_bytes_max, "{length} bytes to a client that takes {}", self.packet_bytes_max);
        let payload = match &packet {
            Packet::Publish(publish) if !self.is_of_system(publish) => Some(publish.payload),
            _ => None,
        };
        self.takes(packet);
        payload
    }

    fn is_of_system(&self, publish: &Publish<'_>) -> bool {
        let alias = publish.properties.topic_alias.map(NonZeroU16::get);
        let known = alias.and_then(|alias| self.aliases.get(&alias)).map_or("", String::as_str);
        if publish.topic.is_empty() { known } else { publish.topic }.starts_with("$SYS/")
    }

    fn takes(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::ConnAck(ack) if self.may_be_refused => assert!(ack.reason.is_failure(), "nonsense is let in"),
            Packet::ConnAck(ack) => {
                self.is_paid(Answer::ConnAck);
                self.is_admitted = ack.reason == ReasonCode::Success;
            }
            Packet::Disconnect(disconnect) => {
                assert!(self.version.has_properties() && self.is_admitted, "{disconnect:?} to one who knows none");
                self.is_dismissed = true;
            }
            packet => {
                assert!(self.is_admitted, "{packet:?} before CONNACK");
                assert!(self.takes_reasons || !is_reasoned(&packet), "{packet:?} to one who wants no reasons");
                self.takes_admitted(packet);
            }
        }
    }

    /// An alias stands for what was said with it, and is none of those that the client takes not.
    fn takes_topic(&mut self, publish: &Publish<'_>) {
        let Some(alias) = publish.properties.topic_alias.map(NonZeroU16::get) else { return };
        assert!(alias <= self.aliases_max, "alias {alias} to a client that takes {}", self.aliases_max);
        if publish.topic.is_empty() {
            assert!(self.aliases.contains_key(&alias), "alias {alias} stands for nothing");
        } else {
            self.aliases.insert(alias, publish.topic.to_owned());
        }
    }

    fn takes_admitted(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::Publish(publish) => {
                self.takes_topic(&publish);
                let Some(packet_id) = publish.packet_id else { return };
                assert!(self.in_flight.insert(packet_id.get()), "{packet_id:?} twice in flight");
                assert!(self.in_flight.len() <= self.in_flight_max, "{:?} in flight", self.in_flight);
                let ack = Acknowledgement::success(packet_id);
                let is_twice = publish.qos == QoS::ExactlyOnce;
                self.answers.push_back(if is_twice { Packet::PubRec(ack) } else { Packet::PubAck(ack) });
            }
            Packet::PubRel(ack) => {
                if !self.stray.remove(&ack.packet_id.get()) {
                    self.in_flight.insert(ack.packet_id.get());
                }
                self.answers.push_back(Packet::PubComp(Acknowledgement::success(ack.packet_id)));
            }
            Packet::PubAck(ack) => self.is_paid(Answer::PubAck(ack.packet_id.get())),
            Packet::PubRec(ack) => self.is_paid(Answer::PubRec(ack.packet_id.get())),
            Packet::PubComp(ack) => self.is_paid(Answer::PubComp(ack.packet_id.get())),
            Packet::SubAck(ack) => self.is_paid(Answer::SubAck(ack.packet_id.get())),
            Packet::UnsubAck(ack) => self.is_paid(Answer::UnsubAck(ack.packet_id.get())),
            Packet::PingResp => self.is_paid(Answer::PingResp),
            packet => panic!("a server never sends {packet:?}"),
        }
    }

    fn is_paid(&mut self, answer: Answer) {
        let count = self.owed.get_mut(&answer).unwrap_or_else(|| panic!("{answer:?} that nobody waits for"));
        *count -= 1;
        if *count == 0 {
            self.owed.remove(&answer);
        }
    }

    /// Everything was answered on both sides, and nothing is under way.
    pub fn check_rest(&self) {
        if self.is_open() {
            assert!(self.owed.is_empty(), "never answered: {:?}", self.owed);
            assert!(self.in_flight.is_empty(), "never complete: {:?}", self.in_flight);
        }
    }
}

/// Whether a packet says why in words where that was to be left out [MQTT-3.1.2-29].
fn is_reasoned(packet: &Packet<'_>) -> bool {
    let properties = match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => &ack.properties,
        Packet::SubAck(ack) => &ack.properties,
        Packet::UnsubAck(ack) => &ack.properties,
        _ => return false,
    };
    properties.reason_string.is_some() || !properties.user_properties.is_empty()
}

fn answer_to(packet: &Packet<'_>) -> Option<Answer> {
    Some(match packet {
        Packet::Connect(_) => Answer::ConnAck,
        Packet::Publish(publish) => match (publish.qos, publish.packet_id?.get()) {
            (QoS::AtMostOnce, _) => return None,
            (QoS::AtLeastOnce, packet_id) => Answer::PubAck(packet_id),
            (QoS::ExactlyOnce, packet_id) => Answer::PubRec(packet_id),
        },
        Packet::PubRel(ack) => Answer::PubComp(ack.packet_id.get()),
        Packet::Subscribe(subscribe) => Answer::SubAck(subscribe.packet_id.get()),
        Packet::Unsubscribe(unsubscribe) => Answer::UnsubAck(unsubscribe.packet_id.get()),
        Packet::PingReq => Answer::PingResp,
        _ => return None,
    })
}

/// What a packet brings for others.
pub fn payload_of(packet: &Packet<'_>) -> Option<Bytes> {
    match packet {
        Packet::Publish(publish) => Some(Bytes::copy_from_slice(publish.payload)),
        Packet::Connect(connect) => connect.will.as_ref().map(|will| will.payload.clone()),
        _ => None,
    }
}
