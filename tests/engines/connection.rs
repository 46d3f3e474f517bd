//! A connection of MQTT 3.1.1 as a client has it, through the codec under test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::{
    Acknowledgement, ClientId, Connect, Decoded, Disconnect, Packet, PacketId, Properties, ProtocolVersion, Publish,
    QoS, ReasonCode, Subscribe, Subscription, TopicFilter, decode, encode,
};

/// How long the other side may take to accept, and to answer the CONNECT.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// An idle connection is pinged after this time, and given up when nothing came for the other.
const PING_AFTER: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(8);

/// What the server is told; twice its seconds without a packet and it gives the client up.
const KEEP_ALIVE_S: u16 = 20;

/// Who connects.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) client_id: String,
    pub(crate) clean_session: bool,
}

impl Login {
    /// Somebody of whom nothing stays.
    pub(crate) fn passing(client_id: &str) -> Self {
        Self { client_id: client_id.into(), clean_session: true }
    }

    /// Somebody whose session stays.
    pub(crate) fn staying(client_id: &str) -> Self {
        Self { client_id: client_id.into(), clean_session: false }
    }

    fn packet(&self) -> Packet<'static> {
        Packet::Connect(Connect {
            version: ProtocolVersion::V311,
            clean_session: self.clean_session,
            keep_alive_s: KEEP_ALIVE_S,
            properties: Properties::NONE,
            client_id: ClientId::new(self.client_id.as_str()),
            will: None,
            user_name: None,
            password: None,
        })
    }
}

/// What came, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Whether the session was there, and the answer.
    ConnAck(bool, ReasonCode),
    Message(Message),
    PubAck(PacketId),
    SubAck(Vec<ReasonCode>),
    /// PINGRESP and what these clients have no use for.
    Other,
}

/// A PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) packet_id: Option<PacketId>,
}

/// A connection that was accepted. Dropping it ends it without a DISCONNECT.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    sent_at: Monotonic,
    received_at: Monotonic,
}

impl Connection {
    /// Connects and says whether the session was there.
    ///
    /// # Errors
    /// When there is no connection, or the login is refused.
    pub(crate) fn open(address: SocketAddr, login: &Login) -> io::Result<(Self, bool)> {
        let stream = TcpStream::connect_timeout(&address, OPEN_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let now = clock::monotonic();
        let mut connection = Self { stream, input: Vec::new(), sent_at: now, received_at: now };
        connection.send(&login.packet())?;
        match connection.receive(OPEN_MAX)? {
            Some(Received::ConnAck(session_present, ReasonCode::Success)) => Ok((connection, session_present)),
            answer => Err(io::Error::other(format!("CONNECT was answered with {answer:?}"))),
        }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// When the connection is gone, or takes nothing for long.
    pub(crate) fn send(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(packet, ProtocolVersion::V311, &mut bytes);
        self.sent_at = clock::monotonic();
        self.stream.write_all(&bytes)
    }

    /// Publishes with QoS 1.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], packet_id: PacketId) -> io::Result<()> {
        let packet_id = Some(packet_id);
        self.send(&Packet::Publish(Publish { qos: QoS::AtLeastOnce, packet_id, ..Publish::new(topic, payload) }))
    }

    /// Acknowledges a message of QoS 1.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) fn acknowledge(&mut self, packet_id: PacketId) -> io::Result<()> {
        self.send(&Packet::PubAck(Acknowledgement::success(packet_id)))
    }

    /// Asks for a filter with QoS 1; the answer comes as [`Received::SubAck`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) fn subscribe(&mut self, filter: &str) -> io::Result<()> {
        let subscription = Subscription::new(TopicFilter::new(filter).unwrap(), QoS::AtLeastOnce);
        self.send(&Packet::Subscribe(Subscribe::new(PacketId::new(1).unwrap(), vec![subscription])))
    }

    /// Leaves in good order.
    pub(crate) fn disconnect(mut self) {
        let _ = self.send(&Packet::Disconnect(Disconnect::NORMAL));
    }

    /// The next packet, or `None` when none comes within `wait`. Pings in between.
    ///
    /// # Errors
    /// When the connection is gone, or silent for too long.
    pub(crate) fn receive(&mut self, wait: Duration) -> io::Result<Option<Received>> {
        let deadline = clock::monotonic() + wait;
        loop {
            if let Some(received) = self.take()? {
                return Ok(Some(received));
            }
            let now = clock::monotonic();
            if now.since(self.received_at) > SILENCE_MAX {
                return Err(ErrorKind::TimedOut.into());
            }
            if now.since(self.sent_at) > PING_AFTER {
                self.send(&Packet::PingReq)?;
            }
            if !self.read_more(deadline.since(now).min(PING_AFTER))? && clock::monotonic() >= deadline {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Received>> {
        let decoded = decode(&self.input, ProtocolVersion::V311, usize::MAX);
        let decoded = decoded.map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
        let Decoded::Packet { packet, length } = decoded else {
            return Ok(None);
        };
        let received = Received::from(packet);
        self.input.drain(..length);
        Ok(Some(received))
    }

    /// Whether more came within `wait`.
    fn read_more(&mut self, wait: Duration) -> io::Result<bool> {
        let mut chunk = [0; 16_384];
        self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.input.extend(&chunk[..length]);
                self.received_at = clock::monotonic();
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl From<Packet<'_>> for Received {
    fn from(packet: Packet<'_>) -> Self {
        match packet {
            Packet::ConnAck(connack) => Self::ConnAck(connack.session_present, connack.reason),
            Packet::PubAck(acknowledgement) => Self::PubAck(acknowledgement.packet_id),
            Packet::SubAck(suback) => Self::SubAck(suback.codes),
            Packet::Publish(publish) => Self::Message(Message {
                topic: publish.topic.into(),
                payload: publish.payload.to_vec(),
                qos: publish.qos,
                retain: publish.retain,
                dup: publish.dup,
                packet_id: publish.packet_id,
            }),
            _ => Self::Other,
        }
    }
}
