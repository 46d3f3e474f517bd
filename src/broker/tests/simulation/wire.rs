//! Bytes between clients and machine, in pieces as a network makes them.

use super::super::super::ConnectionId;
use super::*;

/// One transport connection.
pub(super) struct Socket {
    pub(super) id: ConnectionId,
    pub(super) client: usize,
    pub(super) version: ProtocolVersion,
    /// What the client has written and the machine has not read.
    pub(super) up: Vec<u8>,
    /// What the machine has written and the client has not read.
    pub(super) down: Vec<u8>,
    /// Whether the machine or the client is done with it.
    pub(super) is_over: bool,
    pub(super) reader: Reader,
}

impl Socket {
    pub(super) fn new(id: ConnectionId, client: usize, version: ProtocolVersion) -> Self {
        Self { id, client, version, up: Vec::new(), down: Vec::new(), is_over: false, reader: Reader::default() }
    }
}

/// The beginning of a packet that has not come in whole.
#[derive(Default)]
pub(super) struct Reader(Vec<u8>);

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The bytes of the next whole packet.
    pub(super) fn next(&mut self, version: ProtocolVersion) -> Option<Vec<u8>> {
        match decode(&self.0, version, usize::MAX).unwrap() {
            Decoded::Packet { length, .. } => Some(self.0.drain(..length).collect()),
            Decoded::Incomplete { .. } => None,
        }
    }
}

/// The packet that `bytes` are, all of them.
pub(super) fn whole(bytes: &[u8], version: ProtocolVersion) -> Packet<'_> {
    match decode(bytes, version, usize::MAX) {
        Ok(Decoded::Packet { packet, length }) if length == bytes.len() => packet,
        other => panic!("{other:?} in {bytes:?}"),
    }
}
