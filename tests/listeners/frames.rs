//! A client of WebSocket that speaks in frames (RFC 6455 section 5), well or badly.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::wire::Stream;

/// Opcodes, and the bit of the last frame of a message.
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
pub(crate) const FIN: u8 = 0x80;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A connection after its upgrade. Read and written as a stream, it is that of its binary messages; pongs are passed
/// over then.
pub(crate) struct WebSocket {
    stream: Box<dyn Stream>,
    unread: VecDeque<u8>,
}

/// A request with `headers` beside those that every client sends.
pub(crate) fn request(headers: &str) -> String {
    format!(
        "GET /some/path HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// The head of an HTTP response.
pub(crate) fn read_head(stream: &mut (impl Read + ?Sized)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

impl WebSocket {
    /// Asks for the upgrade and gets it.
    pub(crate) fn open(mut stream: Box<dyn Stream>) -> Self {
        stream.write_all(request("Sec-WebSocket-Protocol: mqtt\r\n").as_bytes()).unwrap();
        let head = read_head(&mut *stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // RFC 6455 section 1.3 has the answer to this key
        for line in ["sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "sec-websocket-protocol: mqtt"] {
            let line = line.to_lowercase();
            assert!(head.to_lowercase().lines().any(|found| found == line), "{head}");
        }
        Self { stream, unread: VecDeque::new() }
    }

    /// Sends a frame whose first byte is `first`.
    pub(crate) fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u64::try_from(payload.len()).unwrap();
        let masked: Vec<u8> = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        self.send_raw(&[head(first, length), masked].concat());
    }

    /// Sends the head of a frame that never comes.
    pub(crate) fn announce(&mut self, length: u64) {
        self.send_raw(&head(FIN | BINARY, length));
    }

    /// Sends bytes as they are. That the other side has closed shows when reading.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame: its first byte and its payload.
    pub(crate) fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let mut extended = vec![0; [0, 2, 8][usize::from(head[1].saturating_sub(125))]];
        self.stream.read_exact(&mut extended)?;
        let length = extended.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let length = if extended.is_empty() { usize::from(head[1]) } else { length };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok((head[0], payload))
    }

    /// The next frame must close with `code`, and the connection with it.
    pub(crate) fn expect_close(&mut self, code: u16) {
        let (first, payload) = self.frame().unwrap();
        assert_eq!((first, &payload[..2]), (FIN | CLOSE, &code.to_be_bytes()[..]), "{payload:02X?}");
        assert!(self.frame().is_err(), "the end follows");
    }
}

fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..126 => head.push(0x80 | u8::try_from(length).unwrap()),
        126..65_536 => {
            head.push(0x80 | 0x7E);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(0x80 | 0x7F);
            head.extend(length.to_be_bytes());
        }
    }
    [head, MASK.to_vec()].concat()
}

impl Read for WebSocket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            let (first, payload) = self.frame()?;
            if first != FIN | PONG {
                assert_eq!(first, FIN | BINARY, "[MQTT-6.0.0-1]: {payload:02X?}");
                self.unread.extend(payload);
            }
        }
        self.unread.read(bytes)
    }
}

impl Write for WebSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(FIN | BINARY, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
