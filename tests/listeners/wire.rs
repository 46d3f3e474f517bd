//! Just enough MQTT 3.1.1 over anything that carries bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::raw::{packet, string};
use crate::support::PATIENCE;

/// What carries bytes.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A connection that one side has opened.
pub(crate) fn connect_tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// CONNECT with a clean session, and its answer when it is accepted.
pub(crate) fn connect(id: &str) -> Vec<u8> {
    packet(0x10, &[&string("MQTT")[..], &[4, 2, 0, 60], &string(id)].concat())
}

pub(crate) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// SUBSCRIBE with QoS 0, and its answer.
pub(crate) fn subscribe(filter: &str) -> Vec<u8> {
    packet(0x82, &[&[0, 1][..], &string(filter), &[0]].concat())
}

pub(crate) const SUBACK: [u8; 5] = [0x90, 3, 0, 1, 0];

pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
pub(crate) const PINGRESP: [u8; 2] = [0xD0, 0];

/// PUBLISH with QoS 0.
pub(crate) fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic)[..], payload].concat())
}

/// The next bytes must be these.
pub(crate) fn expect(stream: &mut (impl Read + ?Sized), bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

/// The next packet, with its whole head.
pub(crate) fn read_packet(stream: &mut (impl Read + ?Sized)) -> Vec<u8> {
    let (mut head, mut byte, mut length) = (vec![0], [0], 0_usize);
    stream.read_exact(&mut head).unwrap();
    for shift in [0, 7, 14, 21] {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
        length |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    [head, body].concat()
}

/// What comes until the other side closes.
pub(crate) fn read_to_the_end(stream: &mut impl Read) -> Vec<u8> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                return bytes;
            }
            Err(error) => panic!("neither bytes nor the end within {PATIENCE:?}: {error}"),
        }
    }
}
