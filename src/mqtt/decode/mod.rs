//! Bytes to packets: the fixed header first ([`header`]), then the body, a file for each pair of question and answer.

mod acknowledge;
mod clause;
mod connect;
mod cursor;
mod disconnect;
mod error;
mod header;
mod properties;
mod publish;
mod subscribe;
mod unsubscribe;

#[cfg(test)]
mod check;

use super::code_points::CodePoints;
use super::packet::{Packet, ProtocolVersion};
use super::packet_type::PacketType;
use cursor::Cursor;
use header::Header;

pub use error::DecodeError;
pub(super) use properties::{Property, Value, Walk};

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

/// Decodes the packet at the start of `bytes`; what follows it is not looked at.
///
/// `version` is the connection's, 3.1.1 before its CONNECT; a CONNECT decides its own. Which versions are served is
/// for the server to say. `packet_bytes_max` counts the
/// header too. A PUBLISH is borrowed from `bytes` and costs no allocation; other packets own what they hold. What the
/// fixed header gives away is refused without waiting for the rest.
///
/// An empty client identifier with `clean_session: false` is decoded like any other, since the server owes it an answer
/// [MQTT-3.1.3-8].
///
/// # Errors
/// When the bytes break a rule; the error names the clause. After an error the stream cannot be read any further.
#[inline]
pub fn decode(bytes: &[u8], version: ProtocolVersion, packet_bytes_max: usize) -> Result<Decoded<'_>, DecodeError> {
    decode_with(bytes, version, packet_bytes_max, CodePoints::All)
}

/// Decodes a packet that a client has sent to the server: as [`decode`], and without [disallowed code
/// points](super::disallowed_code_point).
///
/// They stay possible where a client needs them to remove what a server stored before it refused them: in UNSUBSCRIBE,
/// and in the topic of a PUBLISH that clears a retained message. A client identifier is left to the server, which may
/// have a session of this name.
///
/// # Errors
/// As [`decode`], and with [`DecodeError::DisallowedCodePoint`].
#[inline]
pub fn decode_from_client(
    bytes: &[u8],
    version: ProtocolVersion,
    packet_bytes_max: usize,
) -> Result<Decoded<'_>, DecodeError> {
    decode_with(bytes, version, packet_bytes_max, CodePoints::Allowed)
}

#[inline]
fn decode_with(
    bytes: &[u8],
    version: ProtocolVersion,
    packet_bytes_max: usize,
    code_points: CodePoints,
) -> Result<Decoded<'_>, DecodeError> {
    let Some(header) = Header::read(bytes, version, packet_bytes_max)? else {
        return Ok(Decoded::Incomplete { length: None });
    };
    let Some(body) = bytes.get(header.length..header.packet_length) else {
        return Ok(Decoded::Incomplete { length: Some(header.packet_length) });
    };
    let packet = decode_body(header, Cursor::new(body, header.packet, version, code_points))?;
    if !header.is_minimal && packet.version_in(version) == ProtocolVersion::V5 {
        return Err(DecodeError::NotMinimal { field: "remaining length" });
    }
    Ok(Decoded::Packet { packet, length: header.packet_length })
}

/// The version that a CONNECT at the start of `bytes` says to be of, whatever else is wrong with it; `None` for any other
/// packet, and where so much has not come.
pub fn connect_version(bytes: &[u8]) -> Option<ProtocolVersion> {
    let (first, rest) = bytes.split_first()?;
    let length_bytes = rest.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    match (first >> 4, rest.get(length_bytes..)?) {
        (1, [0, 4, b'M', b'Q', b'T', b'T', 5, ..]) => Some(ProtocolVersion::V5),
        (1, [0, 4, b'M', b'Q', b'T', b'T', 4, ..]) => Some(ProtocolVersion::V311),
        (1, [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, ..]) => Some(ProtocolVersion::V31),
        _ => None,
    }
}

fn decode_body(header: Header, body: Cursor<'_>) -> Result<Packet<'_>, DecodeError> {
    Ok(match header.packet {
        PacketType::Publish => Packet::Publish(publish::publish(header.flags, body)?),
        PacketType::PubAck => Packet::PubAck(acknowledge::acknowledgement(body)?),
        PacketType::PubRec => Packet::PubRec(acknowledge::acknowledgement(body)?),
        PacketType::PubRel => Packet::PubRel(acknowledge::acknowledgement(body)?),
        PacketType::PubComp => Packet::PubComp(acknowledge::acknowledgement(body)?),
        PacketType::Connect => Packet::Connect(connect::connect(body)?),
        PacketType::ConnAck => Packet::ConnAck(connect::connack(body)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe::subscribe(body)?),
        PacketType::SubAck => Packet::SubAck(subscribe::suback(body)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe::unsubscribe(body)?),
        PacketType::UnsubAck => Packet::UnsubAck(unsubscribe::unsuback(body)?),
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(disconnect::disconnect(body)?),
        PacketType::Auth => Packet::Auth(disconnect::auth(body)?),
    })
}
