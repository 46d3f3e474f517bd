//! A client for whom the end of the connection is no surprise, and which reads much at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;

use crate::support::PATIENCE;
use crate::wire::{CLEAN_SESSION, PERSISTENT, PINGREQ, Packet, QOS1, acknowledge, connect, publish_id, subscribe};

/// First bytes of acknowledgements, MQTT 3.1.1 §2.2.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;
pub(crate) const PINGRESP: u8 = 0xD0;

/// Whose session is gone with the connection, and whose stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Session,
}

/// A connection that was accepted.
pub(crate) struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of the input is handled.
    taken: usize,
}

impl Link {
    /// Connects and says whether the session was there.
    pub(crate) fn connect(address: SocketAddr, id: &str, keep: Keep) -> (Self, bool) {
        let flags = if keep == Keep::Session { PERSISTENT } else { CLEAN_SESSION };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut link = Self { stream, input: Vec::new(), taken: 0 };
        link.send(&connect(id, flags, 0, &[]));
        let connack = link.expect();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "{id} is accepted");
        (link, connack.body[0] == 1)
    }

    /// Leaves a session behind that is subscribed to `filter`.
    pub(crate) fn leave_session(address: SocketAddr, id: &str, filter: &str, qos: u8) {
        let (mut link, _) = Self::connect(address, id, Keep::Session);
        link.subscribe(filter, qos);
    }

    /// Subscribes and waits for the grant; to be called before anything else can come.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&subscribe(1, &[(filter, qos)]));
        let suback = self.expect_first(0x90);
        assert_eq!(suback.body, [0, 1, qos], "SUBACK for {filter}");
    }

    /// Sends bytes. That the other side is gone shows when reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next packet; `None` at the end of the connection, whatever ended it.
    pub(crate) fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.take() {
                return Some(packet);
            }
            self.read_more()?;
        }
    }

    /// The next packet, of which there must be one.
    pub(crate) fn expect(&mut self) -> Packet {
        self.next().expect("a packet, not the end of the connection")
    }

    /// The next packet with this first byte; others before it are passed over.
    pub(crate) fn expect_first(&mut self, first: u8) -> Packet {
        loop {
            let packet = self.expect();
            if packet.first == first {
                return packet;
            }
        }
    }

    /// Publishes all payloads with QoS 1, `window` of them in flight, and waits until all are acknowledged.
    pub(crate) fn publish_all(&mut self, topic: &str, payloads: impl IntoIterator<Item = String>, window: usize) {
        let mut payloads = payloads.into_iter();
        let (mut sent, mut done) = (0, 0);
        loop {
            let batch: Vec<u8> = payloads
                .by_ref()
                .take(window - (sent - done))
                .flat_map(|payload| {
                    sent += 1;
                    publish_id(QOS1, topic, packet_id(sent), &payload)
                })
                .collect();
            if sent == done {
                return;
            }
            self.send(&batch);
            let ack = self.expect();
            done += 1;
            assert_eq!((ack.first, &ack.body[..]), (PUBACK, &packet_id(done).to_be_bytes()[..]), "in order");
        }
    }

    /// Takes deliveries and acknowledges them, QoS 2 as the protocol says, until `each` breaks.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&str, Vec<u8>) -> ControlFlow<()>) {
        loop {
            let packet = self.expect();
            if packet.first == PUBREL {
                self.send(&acknowledge(PUBCOMP, id_in(&packet)));
                continue;
            }
            let publish = packet.publish();
            if let Some(id) = publish.id {
                self.send(&acknowledge(if publish.qos == 2 { PUBREC } else { PUBACK }, id));
            }
            if each(&publish.topic, publish.payload).is_break() {
                return;
            }
        }
    }

    /// What a ping is answered with shows that everything before it was handled.
    pub(crate) fn ping(&mut self) {
        self.send(&PINGREQ);
        self.expect_first(PINGRESP);
    }

    /// Whether something is there to be taken, or the end of the connection.
    pub(crate) fn is_readable(&mut self) -> bool {
        let mut byte = [0];
        self.stream.set_nonblocking(true).unwrap();
        let is_there = self.taken < self.input.len() || self.stream.peek(&mut byte).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        is_there
    }

    fn take(&mut self) -> Option<Packet> {
        let rest = &self.input[self.taken..];
        let (mut length, mut shift) = (0_usize, 0);
        for (index, byte) in rest.iter().enumerate().skip(1) {
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let end = index + 1 + length;
                let packet = Packet { first: rest[0], body: rest.get(index + 1..end)?.to_vec() };
                self.taken += end;
                return Some(packet);
            }
        }
        None
    }

    fn read_more(&mut self) -> Option<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let mut chunk = vec![0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(length) => {
                self.input.extend(&chunk[..length]);
                (length > 0).then_some(())
            }
            Err(error) => {
                assert!(error.kind() != std::io::ErrorKind::WouldBlock, "nothing within {PATIENCE:?}");
                None
            }
        }
    }
}

/// The identifier of an acknowledgement.
pub(crate) fn id_in(packet: &Packet) -> u16 {
    u16::from_be_bytes([packet.body[0], packet.body[1]])
}

/// 1 to 65 535 in a circle.
pub(crate) fn packet_id(number: usize) -> u16 {
    u16::try_from(number % 65_535).unwrap() + 1
}
