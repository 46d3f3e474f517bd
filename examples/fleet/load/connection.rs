//! A socket that never waits, with the packets in it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sensegate::base::clock::Monotonic;
use sensegate::mqtt::{Decoded, Packet, ProtocolVersion, decode, encode};

use super::error::FleetError;

/// What is spoken.
const VERSION: ProtocolVersion = ProtocolVersion::V311;

/// The largest packet that is taken, in bytes; what others publish under the same filter may be larger than a sample.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// Packets on their way out.
#[derive(Debug, Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        encode(packet, VERSION, &mut self.0);
    }
}

/// A connection, or one that is being opened.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The beginning of a packet whose end has not come yet.
    partial: Vec<u8>,
    pub(super) output: Output,
    /// When something was last written.
    pub(super) written: Monotonic,
}

impl Connection {
    /// Begins to open one. What is pushed until it is open goes out then.
    pub(super) fn open(address: SocketAddr, registry: &Registry, token: Token, now: Monotonic) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, partial: Vec::new(), output: Output::default(), written: now })
    }

    /// Reads until nothing is left and hands on each packet. Gives why the connection is lost, if it is.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        mut handle: impl FnMut(&Packet<'_>, &mut Output) -> Result<(), FleetError>,
    ) -> Result<Option<String>, FleetError> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Ok(Some("the broker closed the connection".into())),
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Some(error.to_string())),
            };
            self.partial.extend_from_slice(scratch.get(..count).unwrap_or_default());
            let mut taken = 0;
            loop {
                match decode(self.partial.get(taken..).unwrap_or_default(), VERSION, PACKET_BYTES_MAX) {
                    Ok(Decoded::Packet { packet, length }) => {
                        handle(&packet, &mut self.output)?;
                        taken += length;
                    }
                    Ok(Decoded::Incomplete { .. }) => break,
                    Err(error) => return Ok(Some(format!("what came is no packet: {error}"))),
                }
            }
            self.partial.drain(..taken);
        }
    }

    /// Writes what the socket takes; the rest goes when it is writable again. Gives why the connection is lost, if it
    /// is.
    pub(super) fn flush(&mut self, now: Monotonic) -> Option<String> {
        while !self.output.0.is_empty() {
            match self.stream.write(&self.output.0) {
                Ok(count) => {
                    self.output.0.drain(..count);
                    self.written = now;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(error.to_string()),
            }
        }
        None
    }
}
