//! Bytes to packets.
use super::packet::{Packet, ProtocolVersion};
use thiserror::Error;

/// Why bytes are no packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {}

/// What the start of a buffer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Not a whole packet yet. `length` is the packet's full length in bytes once the fixed header is there.
    Incomplete {
        /// The whole packet's length, header included, when it is known already.
        length: Option<usize>,
    },
    /// A packet and how many bytes it took.
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// Its bytes, header included.
        length: usize,
    },
}

/// Decodes the packet at the start of `bytes`.
///
/// # Errors
/// When the bytes break a rule; the error names the clause.
pub fn decode(_bytes: &[u8], _version: ProtocolVersion, _packet_bytes_max: usize) -> Result<Decoded<'_>, DecodeError> {
    unimplemented!()
}
