//! What the tests of this room ask of bytes.

use super::super::packet::{Packet, ProtocolVersion};
use super::{DecodeError, Decoded, decode};

const PACKET_BYTES_MAX: usize = usize::MAX;

/// `bytes` are one whole packet, and this one.
pub(super) fn check_decodes(bytes: &[u8], packet: Packet<'_>) {
    let decoded = decode(bytes, ProtocolVersion::V311, PACKET_BYTES_MAX);
    assert_eq!(decoded, Ok(Decoded::Packet { packet, length: bytes.len() }), "{bytes:02x?}");
}

/// `bytes` are refused for this reason, under this clause, and the message names it too.
pub(super) fn check_refused(bytes: &[u8], error: &DecodeError, clause: &str) {
    let decoded = decode(bytes, ProtocolVersion::V311, PACKET_BYTES_MAX);
    assert_eq!(decoded.as_ref(), Err(error), "{bytes:02x?}");
    assert_eq!(error.clause(), clause, "{error}");
    assert!(error.to_string().ends_with(&format!(" [{clause}]")), "{error}");
}

/// `bytes` are the start of a packet of this length.
pub(super) fn check_incomplete(bytes: &[u8], length: Option<usize>) {
    let decoded = decode(bytes, ProtocolVersion::V311, PACKET_BYTES_MAX);
    assert_eq!(decoded, Ok(Decoded::Incomplete { length }), "{bytes:02x?}");
}
