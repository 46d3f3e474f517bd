//! As much of an MQTT 5 client as the comparison needs: it sees the reason codes that tools hide.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBACK: u8 = 0x90;
const PINGRESP: u8 = 0xd0;

/// Reason code: not authorised.
const NOT_AUTHORISED: u8 = 0x87;

/// A connected client.
pub(crate) struct Client {
    stream: TcpStream,
    /// Topics of the messages that came while something else was waited for.
    received: Vec<String>,
}

impl Client {
    /// Connects; the reason code when that is refused.
    pub(crate) fn connect(
        address: SocketAddr,
        id: &str,
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Self, u8> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream, received: Vec::new() };
        let flags = 0x02 | u8::from(user.is_some()) << 7 | u8::from(password.is_some()) << 6;
        // name of the protocol, version 5, flags, keep alive 600 s, no properties
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, flags, 2, 88, 0];
        for text in [Some(id), user, password].into_iter().flatten() {
            push_text(&mut body, text);
        }
        client.send(0x10, &body);
        match client.await_packet(CONNACK)[1] {
            0 => Ok(client),
            code => Err(code),
        }
    }

    /// Subscribes with QoS 0.
    pub(crate) fn subscribe(&mut self, filter: &str) {
        let mut body = vec![0, 1, 0];
        push_text(&mut body, filter);
        body.push(0);
        self.send(0x82, &body);
        let granted = self.await_packet(SUBACK);
        assert_eq!(granted.last(), Some(&0), "{filter}: {granted:?}");
    }

    /// Publishes with QoS 1; whether the broker took it.
    pub(crate) fn publish(&mut self, topic: &str) -> bool {
        let mut body = Vec::new();
        push_text(&mut body, topic);
        body.extend([0, 1, 0]);
        self.send(0x32, &body);
        // a PUBACK of two bytes says success
        self.await_packet(PUBACK).get(2) != Some(&NOT_AUTHORISED)
    }

    /// The topics of all messages that the broker sent before it answers this.
    pub(crate) fn received(&mut self) -> Vec<String> {
        self.send(0xc0, &[]);
        self.await_packet(PINGRESP);
        std::mem::take(&mut self.received)
    }

    fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        assert!(body.len() < 128, "one byte of length is enough here");
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).unwrap();
    }

    /// The body of the next packet of this kind.
    fn await_packet(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (kind, body) = self.read_packet();
            if kind == wanted {
                return body;
            }
            assert_eq!(kind, PUBLISH, "{body:?} while waiting for {wanted:#x}");
            let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            self.received.push(String::from_utf8(body[2..2 + length].to_vec()).unwrap());
        }
    }

    fn read_packet(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 2];
        self.stream.read_exact(&mut header).unwrap();
        assert!(header[1] < 128, "one byte of length is enough here");
        let mut body = vec![0; usize::from(header[1])];
        self.stream.read_exact(&mut body).unwrap();
        (header[0] & 0xf0, body)
    }
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
