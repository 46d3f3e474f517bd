//! A blocking MQTT client of a few lines: what it adds to a measured time is one system call.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::{
    ClientId, Connect, Decoded, Packet, PacketId, Properties, ProtocolVersion, QoS, Subscribe, Subscription,
    TopicFilter, decode, encode,
};

/// How long a broker may take to listen, and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest packet that is taken, in bytes.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// Bytes of one read.
const READ_BYTES_MAX: usize = 4096;

/// A connected client.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of the input is handled.
    taken: usize,
    scratch: Vec<u8>,
}

impl Client {
    /// Connects with a clean session and no keep-alive, as soon as somebody listens.
    pub(crate) fn connect(port: u16, client_id: String) -> io::Result<Self> {
        Self::connect_as(port, client_id, true)
    }

    /// The same; without `clean_session` the session stays behind.
    pub(crate) fn connect_as(port: u16, client_id: String, clean_session: bool) -> io::Result<Self> {
        let stream = connect_patiently(port)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { stream, input: Vec::new(), taken: 0, scratch: vec![0; READ_BYTES_MAX] };
        client.send(&Packet::Connect(Connect {
            version: ProtocolVersion::V311,
            clean_session,
            keep_alive_s: 0,
            properties: Properties::NONE,
            client_id: ClientId::new(client_id),
            will: None,
            user_name: None,
            password: None,
        }))?;
        client.wait_for(|packet| matches!(packet, Packet::ConnAck(_)).then_some(()))?;
        Ok(client)
    }

    /// Subscribes, and waits until that is granted.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) -> io::Result<()> {
        self.subscribe_all(&[filter], qos)
    }

    /// The same for several filters in one packet.
    pub(crate) fn subscribe_all(&mut self, filters: &[impl AsRef<str>], qos: QoS) -> io::Result<()> {
        self.ask(filters, qos)?;
        self.wait_for(|packet| matches!(packet, Packet::SubAck(_)).then_some(()))
    }

    /// Subscribes without waiting: what is retained may come before the grant.
    pub(crate) fn ask(&mut self, filters: &[impl AsRef<str>], qos: QoS) -> io::Result<()> {
        let subscription = |filter: &str| TopicFilter::new(filter).map(|filter| Subscription::new(filter, qos));
        let filters = filters.iter().map(|filter| subscription(filter.as_ref())).collect::<Result<_, _>>();
        let packet_id = PacketId::new(1).ok_or(io::ErrorKind::InvalidInput)?;
        self.send(&Packet::Subscribe(Subscribe::new(packet_id, filters.map_err(io::Error::other)?)))
    }

    /// Waits for the next message: its topic and payload.
    pub(crate) fn next_message(&mut self) -> io::Result<(String, Vec<u8>)> {
        self.wait_for(|packet| match packet {
            Packet::Publish(publish) => Some((publish.topic.to_owned(), publish.payload.to_vec())),
            _ => None,
        })
    }

    fn send(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(packet, ProtocolVersion::V311, &mut bytes);
        self.write_all(&bytes)
    }

    /// Reads until `pick` gives something for a packet; those before it are passed over.
    fn wait_for<T>(&mut self, mut pick: impl FnMut(&Packet<'_>) -> Option<T>) -> io::Result<T> {
        loop {
            let rest = self.input.get(self.taken..).unwrap_or_default();
            match decode(rest, ProtocolVersion::V311, PACKET_BYTES_MAX).map_err(io::Error::other)? {
                Decoded::Packet { packet, length } => {
                    self.taken += length;
                    if let Some(picked) = pick(&packet) {
                        return Ok(picked);
                    }
                }
                Decoded::Incomplete { .. } => self.read_more()?,
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let count = self.stream.read(&mut self.scratch)?;
        self.input.extend_from_slice(self.scratch.get(..count).unwrap_or_default());
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The socket, for whoever wants to do without waiting.
impl From<Client> for TcpStream {
    fn from(client: Client) -> Self {
        client.stream
    }
}

fn connect_patiently(port: u16) -> io::Result<TcpStream> {
    let started = clock::monotonic();
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused && clock::monotonic().since(started) < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}
