//! Encoded packets on their way to sockets: cheap to clone, shared between receivers that get the same bytes.

use bytes::Bytes;

use super::encode::{Short, encode, encode_publish, encode_publish_head, publish_layout};
use super::packet::{Packet, PacketId, ProtocolVersion, Publish, QoS};

/// DUP in a PUBLISH's first byte (section 3.3.1.1).
const DUP: u8 = 0b1000;

/// What stands in a template where each receiver's own identifier goes.
const PLACEHOLDER: Option<PacketId> = PacketId::new(1);

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
    /// A PUBLISH for one receiver whose payload is shared with the stored message.
    Split {
        /// Everything before the payload.
        head: Bytes,
        /// The payload.
        payload: Bytes,
    },
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

impl Frame {
    /// `bytes` in place when there are at most 8, in one allocation otherwise.
    pub fn short(bytes: &[u8]) -> Self {
        let mut in_place = [0; 8];
        match (in_place.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(taken), Ok(length)) => {
                taken.copy_from_slice(bytes);
                Self::Short { bytes: in_place, length }
            }
            _ => Self::Whole(Bytes::copy_from_slice(bytes)),
        }
    }

    /// Encodes `packet` for one receiver. Acknowledgements of success, PINGREQ, PINGRESP, a plain DISCONNECT and CONNACK
    /// of 3.1.1 cost no allocation.
    pub fn of(packet: &Packet<'_>, version: ProtocolVersion) -> Self {
        if let Some(short) = Short::of(packet, version) {
            return Self::short(short.as_slice());
        }
        if let Packet::Publish(publish) = packet {
            return Self::of_publish(publish, version);
        }
        let mut bytes = Vec::new();
        encode(packet, version, &mut bytes);
        if bytes.len() <= 8 { Self::short(&bytes) } else { Self::Whole(bytes.into()) }
    }

    fn of_publish(publish: &Publish<'_>, version: ProtocolVersion) -> Self {
        let qos = publish.packet_id.map_or(QoS::AtMostOnce, |_| publish.qos);
        PublishTemplate::of(&Publish { qos, ..*publish }, version).into_frame(publish.packet_id, publish.dup)
    }

    /// Encodes a PUBLISH for one receiver around a payload that is shared, not copied. The payload of `publish` itself
    /// does not count.
    pub fn of_shared_payload(publish: &Publish<'_>, payload: &Bytes, version: ProtocolVersion) -> Self {
        let mut head = Vec::new();
        encode_publish_head(&Publish { payload, ..*publish }, version, &mut head);
        Self::Split { head: head.into(), payload: payload.clone() }
    }

    /// Length on the wire in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Short { length, .. } => usize::from(*length),
            Self::Split { head, payload } => head.len() + payload.len(),
            Self::Whole(bytes) | Self::Numbered { bytes, .. } => bytes.len(),
        }
    }

    /// Appends the bytes as this receiver gets them. Copies all of them.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Short { bytes, length } => {
                out.extend_from_slice(bytes.get(..usize::from(*length)).unwrap_or(bytes));
            }
            Self::Whole(bytes) => out.extend_from_slice(bytes),
            Self::Split { head, payload } => {
                out.extend_from_slice(head);
                out.extend_from_slice(payload);
            }
            Self::Numbered { bytes, packet_id_at, packet_id, dup } => {
                append_patched(bytes, *packet_id_at, *packet_id, *dup, out);
            }
        }
    }

    /// Appends what is this receiver's own and gives the rest, shared: for a vectored write. A PUBLISH is cut behind its
    /// packet identifier, so its payload is never copied.
    pub fn append_own_to(&self, out: &mut Vec<u8>) -> Bytes {
        match self {
            Self::Short { .. } => {
                self.append_to(out);
                Bytes::new()
            }
            Self::Whole(bytes) => bytes.clone(),
            Self::Split { head, payload } => {
                out.extend_from_slice(head);
                payload.clone()
            }
            Self::Numbered { bytes, packet_id_at, packet_id, dup } => {
                let cut_at = bytes.len().min((*packet_id_at as usize).saturating_add(2));
                append_patched(bytes.get(..cut_at).unwrap_or(bytes), *packet_id_at, *packet_id, *dup, out);
                bytes.slice(cut_at..)
            }
        }
    }
}

/// Appends a PUBLISH, or its beginning, with what is this receiver's own in its place.
fn append_patched(bytes: &[u8], packet_id_at: u32, packet_id: PacketId, dup: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    if let Some(first_byte) = out.get_mut(start) {
        *first_byte |= if dup { DUP } else { 0 };
    }
    let number_at = start.saturating_add(packet_id_at as usize);
    if let Some(number) = out.get_mut(number_at..number_at.saturating_add(2)) {
        number.copy_from_slice(&packet_id.get().to_be_bytes());
    }
}

/// A PUBLISH encoded once, from which each receiver's [`Frame`] is made without encoding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishTemplate {
    bytes: Bytes,
    /// `None` with QoS 0.
    packet_id_at: Option<u32>,
}

impl PublishTemplate {
    /// Encodes a message for every receiver that gets it with this quality of service and retain flag. One allocation,
    /// as large as the packet. The topic name is taken as it is: [`super::TopicName`] or the decoder has checked it.
    pub fn new(topic: &str, payload: &[u8], qos: QoS, retain: bool, version: ProtocolVersion) -> Self {
        Self::of(&Publish { qos, retain, ..Publish::new(topic, payload) }, version)
    }

    /// As [`PublishTemplate::new`], with version 5's properties: for receivers that share the remaining expiry, the
    /// subscription identifiers and the topic alias too. DUP and packet identifier of `publish` do not count.
    pub fn of(publish: &Publish<'_>, version: ProtocolVersion) -> Self {
        let publish = &Publish { dup: false, packet_id: PLACEHOLDER, ..*publish };
        let layout = publish_layout(publish, version);
        let mut bytes = Vec::with_capacity(layout.length);
        encode_publish(publish, version, &mut bytes);
        Self { bytes: bytes.into(), packet_id_at: layout.packet_id_at }
    }

    /// The packet for one receiver; costs a reference count.
    ///
    /// With QoS 0 there is no place for an identifier and DUP is never set [MQTT-3.3.1-2]. With QoS 1 and 2 an
    /// identifier is due: without one the frame would carry the number 1, which is nobody's.
    pub fn frame(&self, packet_id: Option<PacketId>, dup: bool) -> Frame {
        self.clone().into_frame(packet_id, dup)
    }

    /// As [`PublishTemplate::frame`], for the last or only receiver.
    pub fn into_frame(self, packet_id: Option<PacketId>, dup: bool) -> Frame {
        debug_assert!(self.packet_id_at.is_none() || packet_id.is_some(), "QoS 1 and 2 need an identifier");
        match (self.packet_id_at, packet_id) {
            (Some(packet_id_at), Some(packet_id)) => {
                Frame::Numbered { bytes: self.bytes, packet_id_at, packet_id, dup }
            }
            _ => Frame::Whole(self.bytes),
        }
    }

    /// Length on the wire in bytes.
    pub fn wire_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Acknowledgement, SubAck};
    use super::super::reason::ReasonCode;
    use super::*;

    const ID: PacketId = PacketId::new(0x1234).unwrap();

    fn bytes_of(frame: &Frame) -> Vec<u8> {
        let mut out = vec![0xaa];
        frame.append_to(&mut out);
        assert_eq!(out.len(), 1 + frame.wire_len(), "{frame:?}");
        let (own, rest) = split(frame);
        assert_eq!([&own[..], &rest[..]].concat(), out[1..], "{frame:?}");
        out.split_off(1)
    }

    fn split(frame: &Frame) -> (Vec<u8>, Bytes) {
        let mut own = Vec::new();
        let rest = frame.append_own_to(&mut own);
        (own, rest)
    }

    #[test]
    fn a_shared_payload_is_encoded_as_a_copied_one() {
        let payload = Bytes::from_static(b"21");
        for (qos, packet_id, dup) in [(QoS::AtMostOnce, None, false), (QoS::AtLeastOnce, Some(ID), true)] {
            let publish = Publish { qos, packet_id, dup, retain: true, ..Publish::new("a/b", b"21") };
            for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
                let shared = Frame::of_shared_payload(&publish, &payload, version);
                assert_eq!(bytes_of(&shared), bytes_of(&Frame::of(&Packet::Publish(publish), version)));
                assert_eq!(split(&shared).1.as_ptr(), payload.as_ptr());
            }
        }
    }

    fn template(qos: QoS) -> PublishTemplate {
        PublishTemplate::new("a/b", b"21", qos, true, ProtocolVersion::V311)
    }

    #[test]
    fn up_to_eight_bytes_are_held_in_place() {
        for length in 0..=300_u16 {
            let bytes: Vec<u8> = (0..length).map(|index| index.to_be_bytes()[1]).collect();
            let frame = Frame::short(&bytes);
            assert_eq!(matches!(frame, Frame::Short { .. }), length <= 8, "{length}");
            assert_eq!(bytes_of(&frame), bytes);
        }
    }

    #[test]
    fn acknowledgements_and_small_answers_are_held_in_place() {
        let puback = Frame::of(&Packet::PubAck(Acknowledgement::success(ID)), ProtocolVersion::V311);
        assert_eq!(puback, Frame::short(&[0x40, 0x02, 0x12, 0x34]));
        let codes = vec![ReasonCode::GrantedQoS1];
        let suback = Frame::of(&Packet::SubAck(SubAck::new(ID, codes)), ProtocolVersion::V311);
        assert_eq!(suback, Frame::short(&[0x90, 0x03, 0x12, 0x34, 0x01]));
        let codes = vec![ReasonCode::UnspecifiedError; 5];
        let suback = Frame::of(&Packet::SubAck(SubAck::new(ID, codes)), ProtocolVersion::V311);
        assert!(matches!(suback, Frame::Whole(_)));
        assert_eq!(bytes_of(&suback), [0x90, 0x07, 0x12, 0x34, 0x80, 0x80, 0x80, 0x80, 0x80]);
    }

    #[test]
    fn qos_0_is_shared_whole_and_never_dup() {
        for (packet_id, dup) in [(None, false), (None, true), (Some(ID), true)] {
            let frame = template(QoS::AtMostOnce).frame(packet_id, dup);
            assert_eq!(bytes_of(&frame), [0x31, 0x07, 0x00, 0x03, b'a', b'/', b'b', b'2', b'1']);
            assert!(matches!(frame, Frame::Whole(_)));
        }
    }

    #[test]
    fn each_receiver_gets_its_own_number_in_the_same_bytes() {
        let template = template(QoS::AtLeastOnce);
        let first = template.frame(Some(ID), false);
        let again = template.frame(PacketId::new(2), true);
        assert_eq!(bytes_of(&first), [0x33, 0x09, 0x00, 0x03, b'a', b'/', b'b', 0x12, 0x34, b'2', b'1']);
        assert_eq!(bytes_of(&again), [0x3b, 0x09, 0x00, 0x03, b'a', b'/', b'b', 0x00, 0x02, b'2', b'1']);
        assert_eq!(template.wire_len(), 11);
    }

    #[test]
    fn a_large_payload_is_not_copied() {
        let payload = vec![7; 20_000];
        let template = PublishTemplate::new("a/b", &payload, QoS::ExactlyOnce, false, ProtocolVersion::V311);
        let (own, rest) = split(&template.frame(Some(ID), true));
        // PUBLISH, DUP, QoS 2; remaining length 20 007; topic name; packet identifier
        assert_eq!(own, [0x3c, 0xa7, 0x9c, 0x01, 0x00, 0x03, b'a', b'/', b'b', 0x12, 0x34]);
        assert_eq!(rest, payload);
        let (_, others) = split(&template.frame(PacketId::new(1), false));
        assert_eq!(rest.as_ptr(), others.as_ptr());
    }

    #[test]
    fn a_publish_as_a_frame_is_the_publish_encoded() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for (packet_id, dup) in [(None, false), (None, true), (Some(ID), false), (Some(ID), true)] {
                let publish = Publish { dup, qos, retain: true, packet_id, ..Publish::new("été", b"x") };
                let mut encoded = Vec::new();
                encode_publish(&publish, ProtocolVersion::V311, &mut encoded);
                let frame = Frame::of(&Packet::Publish(publish), ProtocolVersion::V311);
                assert_eq!(bytes_of(&frame), encoded, "{publish:?}");
            }
        }
    }

    #[test]
    fn a_frame_whose_place_for_the_number_is_wrong_does_not_panic() {
        for packet_id_at in [0, 1, 2, 3, u32::MAX] {
            let bytes = Bytes::from_static(&[0x32, 0x00, 0x00]);
            let frame = Frame::Numbered { bytes, packet_id_at, packet_id: ID, dup: true };
            assert_eq!(bytes_of(&frame).len(), 3);
        }
    }
}
