//! A connection that stands: what is asked of it, and what happens on it.

use std::collections::HashSet;
use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::Interval;

use super::error::{Loss, io_error_text};
use super::stream::Stream;
use super::terms::Terms;
use crate::mqtt::{
    Acknowledgement, DecodeError, Decoded, Disconnect, MessageProperties, Packet, PacketId, ProtocolVersion, Publish,
    PublishProperties, QoS, ReasonCode, Subscribe, Subscription, TopicError, TopicFilter, Unsubscribe, decode, encode,
};

/// Room that is made for each read.
const READ_BYTES: usize = 16 << 10;

/// Looks at the silence in a keep-alive time: it is tested after three, and the connection is over after six.
const LOOKS: u32 = 4;
const LOOKS_UNTIL_PING: u32 = 3;
const LOOKS_UNTIL_END: u32 = 6;

/// How long the other side may take to close after DISCONNECT.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What happens on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message came. With a packet identifier it waits for [`Link::acknowledge`].
    Message(Message),
    /// One of ours was answered: taken, or refused for a reason (version 5).
    Acknowledged(PacketId, ReasonCode),
    /// The answer to [`Link::subscribe`], a code for each filter.
    Subscribed(PacketId, Vec<ReasonCode>),
    /// The answer to [`Link::unsubscribe`].
    Unsubscribed(PacketId),
    /// The connection is over. Nothing follows.
    Lost(Loss),
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published. Not checked: RabbitMQ delivers names with wildcards, whose payload is left out.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// With which quality of service it was delivered.
    pub qos: QoS,
    /// Retained, as the subscription's options tell it.
    pub retain: bool,
    /// QoS 1: what the acknowledgement names.
    pub packet_id: Option<PacketId>,
    /// Version 5: what goes on with it as it came.
    pub properties: MessageProperties,
    /// Version 5: seconds in which it is of use.
    pub expiry_s: Option<u32>,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// QoS 0 or 1; 2 is sent as 1.
    pub qos: QoS,
    /// Whether the server keeps it.
    pub retain: bool,
    /// Version 5.
    pub properties: MessageProperties,
    /// Version 5.
    pub expiry_s: Option<u32>,
}

impl Publication {
    /// QoS 1, not retained, without properties.
    pub const fn new(topic: String, payload: Bytes) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: MessageProperties::NONE,
            expiry_s: None,
        }
    }
}

/// One connection. Dropping it closes the socket without DISCONNECT: the will speaks.
#[derive(Debug)]
pub struct Link {
    stream: Box<dyn Stream>,
    version: ProtocolVersion,
    packet_bytes_max: usize,
    input: BytesMut,
    output: BytesMut,
    /// Something was written that TLS may hold back.
    is_unflushed: bool,
    next_id: u16,
    in_use: HashSet<PacketId>,
    looks: Interval,
    unheard: u32,
    unsaid: u32,
    lost: Option<Loss>,
}

impl Link {
    pub(super) fn new(stream: Box<dyn Stream>, input: &[u8], packet_bytes_max: usize, terms: &Terms) -> Self {
        let mut looks = tokio::time::interval(terms.keep_alive.max(Duration::from_secs(1)) / LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        looks.reset();
        Self {
            stream,
            version: terms.version,
            packet_bytes_max,
            input: BytesMut::from(input),
            output: BytesMut::new(),
            is_unflushed: false,
            next_id: 0,
            in_use: HashSet::new(),
            looks,
            unheard: 0,
            unsaid: 0,
            lost: None,
        }
    }

    /// Sends a message; with QoS 1 gives the identifier that [`Event::Acknowledged`] will name. `None` with QoS 0, and
    /// when 65 535 identifiers are in use, where nothing is sent.
    pub fn publish(&mut self, publication: &Publication) -> Option<PacketId> {
        let packet_id = match publication.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(self.claim()?),
        };
        self.send(&Packet::Publish(Publish {
            dup: false,
            qos: publication.qos.min(QoS::AtLeastOnce),
            retain: publication.retain,
            topic: &publication.topic,
            packet_id,
            properties: PublishProperties {
                message_expiry_interval_s: publication.expiry_s,
                message: publication.properties.as_ref(),
                ..PublishProperties::NONE
            },
            payload: &publication.payload,
        }));
        packet_id
    }

    /// Acknowledges a message that came with QoS 1. In the order in which they came [MQTT-4.6.0-2].
    pub fn acknowledge(&mut self, packet_id: PacketId) {
        self.send(&Packet::PubAck(Acknowledgement::success(packet_id)));
    }

    /// Asks for all of `subscriptions` in one SUBSCRIBE. `None` when 65 535 identifiers are in use.
    pub fn subscribe(&mut self, subscriptions: Vec<Subscription>) -> Option<PacketId> {
        let packet_id = self.claim()?;
        self.send(&Packet::Subscribe(Subscribe::new(packet_id, subscriptions)));
        Some(packet_id)
    }

    /// Gives `filters` back. `None` when 65 535 identifiers are in use.
    pub fn unsubscribe(&mut self, filters: Vec<TopicFilter>) -> Option<PacketId> {
        let packet_id = self.claim()?;
        self.send(&Packet::Unsubscribe(Unsubscribe::new(packet_id, filters)));
        Some(packet_id)
    }

    /// Bytes that the socket has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.output.len()
    }

    /// Waits for the next event, and writes meanwhile. Cancel safe. After [`Event::Lost`] it gives the same again.
    pub async fn next_event(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Sends DISCONNECT behind everything else and waits until the other side has closed, for a second at most.
    pub async fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Disconnect::NORMAL));
        let over = async { while !matches!(self.next_event().await, Event::Lost(_)) {} };
        // a server that does not close is left all the same
        let _ = tokio::time::timeout(CLOSE_WAIT, over).await;
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes);
        self.output.extend_from_slice(&bytes);
        self.unsaid = 0;
    }

    /// An identifier that is not in use.
    fn claim(&mut self) -> Option<PacketId> {
        for _ in 0..u16::MAX {
            self.next_id = self.next_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.next_id)
                && self.in_use.insert(id)
            {
                return Some(id);
            }
        }
        None
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(loss) = &self.lost {
            return Poll::Ready(Event::Lost(loss.clone()));
        }
        match self.poll_io(cx) {
            Poll::Ready(Ok(event)) => Poll::Ready(event),
            Poll::Ready(Err(loss)) => {
                self.lost = Some(loss.clone());
                Poll::Ready(Event::Lost(loss))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Loss>> {
        loop {
            // what has come counts, also when the socket takes nothing more
            if let Some(event) = self.take_packet()? {
                return Poll::Ready(Ok(event));
            }
            let failure = self.poll_write(cx);
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Loss::Closed)),
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(&error))),
                Poll::Pending => {}
            }
            if let Err(error) = failure {
                return Poll::Ready(Err(lost(&error)));
            }
            match self.looks.poll_tick(cx) {
                Poll::Ready(_) => self.look()?,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes what the socket takes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.output.advance(written);
                    self.is_unflushed = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.is_unflushed = false;
            return flushed;
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_BYTES);
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        self.unheard = 0;
        Poll::Ready(Ok(read))
    }

    /// A quarter of the keep-alive time has passed.
    fn look(&mut self) -> Result<(), Loss> {
        self.unheard += 1;
        self.unsaid += 1;
        if self.unheard >= LOOKS_UNTIL_END {
            return Err(Loss::Silent);
        }
        if self.unsaid >= LOOKS_UNTIL_PING || self.unheard == LOOKS_UNTIL_PING {
            self.send(&Packet::PingReq);
        }
        Ok(())
    }

    /// Takes packets out of what was read until one means something to the user.
    fn take_packet(&mut self) -> Result<Option<Event>, Loss> {
        loop {
            let (event, length) = match decode(&self.input, self.version, self.packet_bytes_max) {
                Ok(Decoded::Incomplete { .. }) => return Ok(None),
                Ok(Decoded::Packet { packet, length }) => (meaning(packet)?, length),
                Err(error) => match misnamed(&self.input, &error) {
                    Some((message, length)) => (Some(Event::Message(message)), length),
                    None => return Err(Loss::Protocol(error.to_string())),
                },
            };
            self.input.advance(length);
            if let Some(event) = event {
                if let Event::Acknowledged(id, _) | Event::Subscribed(id, _) | Event::Unsubscribed(id) = &event
                    && !self.in_use.remove(id)
                {
                    // late answers to an earlier connection do not come here: this is none of ours
                    continue;
                }
                return Ok(Some(event));
            }
        }
    }
}

/// A PUBLISH of QoS 0 or 1 whose name has a wildcard, without its payload, and its length: what `error` was about.
/// RabbitMQ takes and delivers such. Who is told of it finds it of no use and acknowledges it; a connection that ended
/// over it [MQTT-3.3.2-2] would end over it again and again, since it comes until it is acknowledged.
fn misnamed(input: &[u8], error: &DecodeError) -> Option<(Message, usize)> {
    let DecodeError::Topic { error: TopicError::WildcardInName(_), .. } = error else { return None };
    let (&first, rest) = input.split_first()?;
    let qos = match first & 0b1111_0110 {
        0b0011_0000 => QoS::AtMostOnce,
        0b0011_0010 => QoS::AtLeastOnce,
        _ => return None,
    };
    let length_bytes = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (length, rest) = rest.split_at_checked(length_bytes)?;
    let length = length.iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    let body = rest.get(..length)?;
    let (topic_length, body) = body.split_first_chunk()?;
    let (topic, body) = body.split_at_checked(usize::from(u16::from_be_bytes(*topic_length)))?;
    let packet_id = match qos {
        QoS::AtMostOnce => None,
        _ => Some(PacketId::new(u16::from_be_bytes(*body.first_chunk()?))?),
    };
    let message = Message {
        topic: String::from_utf8(topic.to_vec()).ok()?,
        payload: Bytes::new(),
        qos,
        retain: false,
        packet_id,
        properties: MessageProperties::NONE,
        expiry_s: None,
    };
    Some((message, 1 + length_bytes + length))
}

fn lost(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Loss::Closed,
        _ => Loss::Network(io_error_text(error)),
    }
}

fn meaning(packet: Packet<'_>) -> Result<Option<Event>, Loss> {
    Ok(Some(match packet {
        Packet::Publish(publish) => return message(&publish).map(Some),
        Packet::PubAck(ack) => Event::Acknowledged(ack.packet_id, ack.reason),
        Packet::SubAck(ack) => Event::Subscribed(ack.packet_id, ack.codes),
        Packet::UnsubAck(ack) => Event::Unsubscribed(ack.packet_id),
        Packet::PingResp => return Ok(None),
        Packet::Disconnect(disconnect) => return Err(Loss::Disconnected(disconnect.reason)),
        other => return Err(Loss::Protocol(format!("{other:.30?} was not expected"))),
    }))
}

fn message(publish: &Publish<'_>) -> Result<Event, Loss> {
    if publish.qos == QoS::ExactlyOnce {
        return Err(Loss::Protocol("a message of QoS 2 came, at most 1 was asked for [MQTT-3.8.4-8]".into()));
    }
    if publish.properties.topic_alias.is_some() {
        return Err(Loss::Protocol("a topic alias came, none was announced [MQTT-3.1.2-26]".into()));
    }
    Ok(Event::Message(Message {
        topic: publish.topic.to_owned(),
        payload: Bytes::copy_from_slice(publish.payload),
        qos: publish.qos,
        retain: publish.retain,
        packet_id: publish.packet_id,
        properties: publish.properties.message.to_owned(),
        expiry_s: publish.properties.message_expiry_interval_s,
    }))
}
