//! Encoded packets on their way to sockets: cheap to clone, shared between receivers that get the same bytes.

use bytes::Bytes;

use super::packet::PacketId;

/// One encoded packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A packet of at most 8 bytes, held in place: acknowledgements, ping answers, CONNACK of 3.1.1.
    Short {
        /// The bytes; what lies beyond `length` has no meaning.
        bytes: [u8; 8],
        /// How many of them count.
        length: u8,
    },
    /// Bytes that any number of receivers share as they are.
    Whole(Bytes),
    /// A PUBLISH of QoS 1 or 2: shared bytes, but for the DUP flag and the packet identifier of this receiver.
    Numbered {
        /// The bytes with DUP clear and any packet identifier.
        bytes: Bytes,
        /// Where the identifier's two bytes stand.
        packet_id_at: u32,
        /// This receiver's identifier.
        packet_id: PacketId,
        /// Whether this is a redelivery.
        dup: bool,
    },
}

/// A PUBLISH encoded once, from which each receiver's [`Frame`] is made without encoding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishTemplate {
    bytes: Bytes,
    /// `None` with QoS 0.
    packet_id_at: Option<u32>,
}

impl Frame {
    /// Length on the wire in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Short { length, .. } => usize::from(*length),
            Self::Whole(bytes) | Self::Numbered { bytes, .. } => bytes.len(),
        }
    }
}
