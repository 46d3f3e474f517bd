//! Packets to bytes.
use super::packet::{Packet, ProtocolVersion};

/// Appends `packet` to `out`.
pub fn encode(_packet: &Packet<'_>, _version: ProtocolVersion, _out: &mut Vec<u8>) {
    unimplemented!()
}
