//! A gateway as the broker sees it: will, birth, samples in order, and a window of those that are not acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;
use mio::Token;
use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::{Packet, PacketId, Publish, QoS, TopicError, TopicName, Will};

use super::connection::Output;
use super::error::FleetError;
use super::link::{Client, Context, Link};
use super::options::Options;
use super::sample;

/// Messages that are published and not acknowledged; behind them samples wait.
const WINDOW: usize = 20;

const ONLINE: &[u8] = b"online";
const OFFLINE: &[u8] = b"offline";

pub(super) struct Gateway {
    place: u32,
    link: Link,
    topic: String,
    status_topic: String,
    /// Samples that are taken.
    taken: u32,
    /// Samples that were written at least once.
    written: u32,
    in_flight: VecDeque<(PacketId, Message)>,
    last_id: u16,
    /// Whether the birth was acknowledged once.
    is_ready: bool,
}

/// What a gateway publishes with QoS 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Birth,
    Sample(u32),
    /// Clears the status: a run leaves nothing behind.
    Farewell,
}

impl Gateway {
    pub(super) fn new(place: u32, token: Token, options: &Options) -> Result<Self, TopicError> {
        let client_id = options.client_id(place);
        let (topic, status_topic) = (options.samples_topic.of(&client_id), options.status_topic.of(&client_id));
        let will = Will {
            qos: QoS::AtLeastOnce,
            retain: true,
            ..Will::new(TopicName::new(&status_topic)?, Bytes::from_static(OFFLINE))
        };
        let link = Link::new(token, client_id, Some(will), true);
        let (in_flight, is_ready) = (VecDeque::new(), false);
        Ok(Self { place, link, topic, status_topic, taken: 0, written: 0, in_flight, last_id: 0, is_ready })
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// A sample is due. It leaves at once, or behind what is not acknowledged, or with the next connection.
    pub(super) fn take_sample(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        self.taken += 1;
        self.write(context, now, |gateway, output, context| gateway.publish(output, context, now))
    }

    /// Clears the status, then ends.
    pub(super) fn leave(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        self.write(context, now, |gateway, output, context| {
            gateway.push(Message::Farewell, output, context, now);
        })
    }

    /// Lets `push` write, if there is a connection.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        now: Monotonic,
        push: impl FnOnce(&mut Self, &mut Output, &mut Context<'_>),
    ) -> Result<(), FleetError> {
        let Some(mut connection) = self.link.connection.take() else { return Ok(()) };
        if self.link.is_open() {
            push(self, &mut connection.output, context);
        }
        self.link.settle(connection, None, context, now)
    }

    /// Writes the samples that the window has room for.
    fn publish(&mut self, output: &mut Output, context: &mut Context<'_>, now: Monotonic) {
        while self.written < self.taken && self.in_flight.len() < WINDOW {
            self.written += 1;
            self.push(Message::Sample(self.written), output, context, now);
        }
    }

    /// Begins with the birth. What the last connection left unanswered goes once more, before anything new.
    fn handle_open(&mut self, output: &mut Output, context: &mut Context<'_>, now: Monotonic) {
        let unanswered = std::mem::take(&mut self.in_flight);
        self.push(Message::Birth, output, context, now);
        for (_, message) in unanswered.into_iter().filter(|(_, message)| *message != Message::Birth) {
            self.push(message, output, context, now);
        }
        self.publish(output, context, now);
    }

    fn push(&mut self, message: Message, output: &mut Output, context: &mut Context<'_>, now: Monotonic) {
        match message {
            Message::Birth => self.push_status(message, ONLINE, output),
            Message::Farewell => self.push_status(message, b"", output),
            Message::Sample(sequence) => {
                let payload = sample::payload(&context.boot_id, self.place, sequence, now, clock::wall());
                let qos = context.options.qos;
                let packet_id = (qos != QoS::AtMostOnce).then(|| self.number(message));
                let publish = Publish { qos, packet_id, ..Publish::new(&self.topic, &payload) };
                output.push(&Packet::Publish(publish));
                context.ledger.publish(self.place, sequence, now);
            }
        }
    }

    fn push_status(&mut self, message: Message, payload: &[u8], output: &mut Output) {
        let packet_id = Some(self.number(message));
        let publish = Publish::new(&self.status_topic, payload);
        output.push(&Packet::Publish(Publish { qos: QoS::AtLeastOnce, retain: true, packet_id, ..publish }));
    }

    /// Puts `message` into the window: 1 to 65535, then 1 again, none twice in a window.
    fn number(&mut self, message: Message) -> PacketId {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let packet_id = PacketId::new(self.last_id).expect("never 0");
        self.in_flight.push_back((packet_id, message));
        packet_id
    }

    fn handle_acknowledgement(
        &mut self,
        packet_id: PacketId,
        output: &mut Output,
        context: &mut Context<'_>,
        now: Monotonic,
    ) {
        let place = self.in_flight.iter().position(|(id, _)| *id == packet_id);
        match place.and_then(|place| self.in_flight.remove(place)) {
            Some((_, Message::Birth)) => self.is_ready = true,
            Some((_, Message::Sample(sequence))) => context.ledger.acknowledge(self.place, sequence, now),
            Some((_, Message::Farewell)) => return self.link.leave(output),
            None => {}
        }
        self.publish(output, context, now);
    }
}

impl Client for Gateway {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        output: &mut Output,
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<(), FleetError> {
        match packet {
            Packet::ConnAck(connack) if self.link.handle_connack(connack, context, now)? => {
                self.handle_open(output, context, now);
            }
            Packet::PubAck(ack) => self.handle_acknowledgement(ack.packet_id, output, context, now),
            _ => {}
        }
        Ok(())
    }
}
