//! A client that sends and expects packets one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sensegate::mqtt::{
    Acknowledgement, ClientId, ConnAck, Connect, ConnectReturnCode, Decoded, Disconnect, Packet, PacketId, Properties,
    ProtocolVersion, Publish, QoS, ReasonCode, SubAck, Subscribe, Subscription, TopicFilter, TopicName, Will, decode,
    encode,
};

use crate::support::PATIENCE;
use crate::ubidots_server::{TOKEN, Ubidots};

/// The packet identifier of what is asked here.
pub(crate) const ID: PacketId = PacketId::new(7).unwrap();

/// What carries bytes.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A connection to the server.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    /// The socket beneath.
    tcp: TcpStream,
    received: Vec<u8>,
    version: ProtocolVersion,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// A CONNECT of 3.1.1 with a clean session and this user name.
pub(crate) fn connect_with(id: &str, token: Option<&str>) -> Connect {
    Connect {
        version: ProtocolVersion::V311,
        clean_session: true,
        keep_alive_s: 60,
        properties: Properties::NONE,
        client_id: ClientId::new(id),
        will: None,
        user_name: token.map(str::to_owned),
        password: None,
    }
}

/// A CONNECT with [`TOKEN`].
pub(crate) fn connect(id: &str) -> Connect {
    connect_with(id, Some(TOKEN))
}

/// A will of QoS 1 on a device's or variable's topic.
pub(crate) fn will(topic: &str, payload: &'static str) -> Will {
    Will { qos: QoS::AtLeastOnce, ..Will::new(TopicName::new(topic).unwrap(), payload.into()) }
}

/// A PUBLISH of QoS 1.
pub(crate) fn publish<'a>(topic: &'a str, payload: &'a str) -> Packet<'a> {
    let publish = Publish::new(topic, payload.as_bytes());
    Packet::Publish(Publish { qos: QoS::AtLeastOnce, packet_id: Some(ID), ..publish })
}

/// Its acknowledgement.
pub(crate) fn pub_ack() -> Packet<'static> {
    Packet::PubAck(Acknowledgement::success(ID))
}

/// The answer to a CONNECT of 3.1.1.
pub(crate) fn conn_ack(code: ConnectReturnCode) -> Packet<'static> {
    Packet::ConnAck(ConnAck::new(false, code.into()))
}

impl Client {
    /// Opens a connection and says nothing.
    pub(crate) fn open(ubidots: &Ubidots) -> Self {
        let tcp = tcp(ubidots.port());
        Self::over(tcp.try_clone().unwrap(), tcp)
    }

    /// Opens one with TLS, and fails as the handshake does.
    pub(crate) fn open_tls(ubidots: &Ubidots, host: &str) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ubidots.ca_file()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), host).unwrap();
        let mut tcp = tcp(ubidots.tls_port());
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Self::over(tcp.try_clone()?, StreamOwned::new(tls, tcp)))
    }

    fn over(tcp: TcpStream, stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), tcp, received: Vec::new(), version: ProtocolVersion::V311 }
    }

    /// Is let in with [`TOKEN`].
    pub(crate) fn connect(ubidots: &Ubidots, id: &str) -> Self {
        Self::connect_with(ubidots, connect(id))
    }

    /// Is let in.
    pub(crate) fn connect_with(ubidots: &Ubidots, connect: Connect) -> Self {
        let mut client = Self::open(ubidots);
        client.greet(connect);
        client
    }

    /// Sends a CONNECT of 3.1.1 and is let in.
    pub(crate) fn greet(&mut self, connect: Connect) {
        self.send(&Packet::Connect(connect));
        self.expect(&conn_ack(ConnectReturnCode::Accepted));
    }

    /// Sends a packet. That the other side has closed shows when reading.
    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        if let Packet::Connect(connect) = packet {
            self.version = connect.version;
        }
        self.send_all(&[packet]);
    }

    /// Sends packets in one piece.
    pub(crate) fn send_all(&mut self, packets: &[&Packet<'_>]) {
        let mut bytes = Vec::new();
        for packet in packets {
            encode(packet, self.version, &mut bytes);
        }
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
        let _ = self.stream.flush();
    }

    /// Publishes with QoS 1 and is acknowledged.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str) {
        self.send(&publish(topic, payload));
        self.expect(&pub_ack());
    }

    /// Subscribes, and is granted at most QoS 1.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        let wanted = Subscription::new(TopicFilter::new(filter).unwrap(), qos);
        self.send(&Packet::Subscribe(Subscribe::new(ID, vec![wanted])));
        let granted = ReasonCode::granted(qos.min(QoS::AtLeastOnce));
        self.expect(&Packet::SubAck(SubAck::new(ID, vec![granted])));
    }

    /// Leaves in good order.
    pub(crate) fn leave(mut self) {
        self.send(&Packet::Disconnect(Disconnect::NORMAL));
        assert_eq!(self.expect_end(), End::Closed);
    }

    /// The next packet must be this one.
    pub(crate) fn expect(&mut self, packet: &Packet<'_>) {
        let mut expected = Vec::new();
        encode(packet, self.version, &mut expected);
        let came = self.packet();
        assert_eq!(came.as_ref(), Ok(&expected), "{packet:?} is expected");
    }

    /// The next packet, which must be a CONNACK.
    pub(crate) fn expect_conn_ack(&mut self) -> ConnAck {
        let bytes = self.packet().unwrap();
        match decode(&bytes, self.version, usize::MAX).unwrap() {
            Decoded::Packet { packet: Packet::ConnAck(conn_ack), .. } => conn_ack,
            other => panic!("a CONNACK, not {other:?}"),
        }
    }

    /// Nothing comes for so long.
    pub(crate) fn expect_silence(&mut self, length: Duration) {
        self.tcp.set_read_timeout(Some(length)).unwrap();
        let read = self.stream.read(&mut [0]);
        assert!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{read:?}");
        self.tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// The next packet, which must be a PUBLISH.
    pub(crate) fn expect_message(&mut self) -> Message {
        let bytes = self.packet().unwrap();
        match decode(&bytes, self.version, usize::MAX).unwrap() {
            Decoded::Packet { packet: Packet::Publish(publish), .. } => Message {
                topic: publish.topic.to_owned(),
                payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
                qos: publish.qos,
                retain: publish.retain,
            },
            other => panic!("a PUBLISH, not {other:?}"),
        }
    }

    /// The messages that were sent to this client before now: those before the answer to a ping.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.send(&Packet::PingReq);
        let mut messages = Vec::new();
        while self.peek() != Some(0xD0) {
            messages.push(self.expect_message());
        }
        self.expect(&Packet::PingResp);
        messages
    }

    /// Nothing was sent to this client before now.
    pub(crate) fn expect_nothing(&mut self) {
        assert_eq!(self.messages(), []);
    }

    /// The connection must end without a further packet.
    pub(crate) fn expect_end(&mut self) -> End {
        self.packet().unwrap_err()
    }

    /// What came before the connection ended and was no whole packet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.received
    }

    /// The first byte of the next packet.
    fn peek(&mut self) -> Option<u8> {
        while self.received.is_empty() {
            self.read().ok()?;
        }
        self.received.first().copied()
    }

    /// The next packet's bytes.
    fn packet(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Decoded::Packet { length, .. } = decode(&self.received, self.version, usize::MAX).unwrap() {
                return Ok(self.received.drain(..length).collect());
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), End> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.received.extend(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(error) => panic!("neither a packet nor the end within {PATIENCE:?}: {error}"),
        }
    }
}

fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
