//! A connection as its client sees it: what it is owed, what it has to answer, and what may never come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sensegate::broker::Ticket;
use sensegate::mqtt::{Acknowledgement, Connect, Decoded, Packet, ProtocolVersion, QoS, ReasonCode, decode, encode};

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
    owed: BTreeMap<Answer, u32>,
    in_flight: BTreeSet<u16>,
    in_flight_max: usize,
    packet_bytes_max: usize,
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
            owed: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            in_flight_max,
            packet_bytes_max: usize::MAX,
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
            Packet::PubRec(ack) if ack.reason as u8 >= ReasonCode::UnspecifiedError as u8 => {
                self.in_flight.remove(&ack.packet_id.get());
            }
            _ => {}
        }
        if let Some(answer) = answer_to(packet) {
            *self.owed.entry(answer).or_default() += 1;
        }
    }

    fn has_greeted(&mut self, connect: &Connect) {
        if self.is_admitted {
            return;
        }
        self.version = connect.version;
        if connect.version.has_properties() {
            let size = connect.properties.maximum_packet_size.map(|size| size.get() as usize);
            let count = connect.properties.receive_maximum.map(|count| usize::from(count.get()));
            self.packet_bytes_max = size.unwrap_or(usize::MAX);
            self.in_flight_max = self.in_flight_max.min(count.unwrap_or(usize::MAX));
        }
    }

    /// The machine sends `bytes`: one whole packet that a server may send, now.
    pub fn is_sent(&mut self, bytes: &[u8]) {
        assert!(self.end != End::Over, "{bytes:02x?} to a connection that is over");
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
        self.takes(packet);
    }

    fn takes(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::ConnAck(ack) => {
                self.is_paid(Answer::ConnAck);
                self.is_admitted = ack.reason == ReasonCode::Success;
            }
            Packet::Disconnect(_) => assert!(self.version.has_properties(), "DISCONNECT before version 5"),
            packet => {
                assert!(self.is_admitted, "{packet:?} before CONNACK");
                self.takes_admitted(packet);
            }
        }
    }

    fn takes_admitted(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::Publish(publish) => {
                let Some(packet_id) = publish.packet_id else { return };
                assert!(self.in_flight.insert(packet_id.get()), "{packet_id:?} twice in flight");
                assert!(self.in_flight.len() <= self.in_flight_max, "{:?} in flight", self.in_flight);
                let ack = Acknowledgement::success(packet_id);
                let is_twice = publish.qos == QoS::ExactlyOnce;
                self.answers.push_back(if is_twice { Packet::PubRec(ack) } else { Packet::PubAck(ack) });
            }
            Packet::PubRel(ack) => {
                self.in_flight.insert(ack.packet_id.get());
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
