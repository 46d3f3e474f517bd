//! Bytes to packets and back, in every version.

use sensegate::mqtt::{DecodeError, Decoded, Frame, Packet, ProtocolVersion, decode, decode_from_client, encode};

/// Heap that a decode may take for one byte of its input: a subscription of four bytes becomes a value of 32 in a list
/// that grows by doubling.
const HEAP_A_BYTE_MAX: usize = 40;

/// Heap that a decode may take for nothing: the record of all properties.
const HEAP_MAX: usize = 2048;

/// The longest announced packet that is filled up to see whether its length was honest, in bytes.
const FILLED_BYTES_MAX: usize = 1 << 12;

/// Decodes `bytes` in every version. `allocated` tells how many bytes the heap has given out so far.
pub fn check(bytes: &[u8], allocated: impl Fn() -> usize) {
    for version in [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5] {
        let before = allocated();
        let decoded = decode(bytes, version, usize::MAX);
        let taken = allocated() - before;
        assert!(taken <= HEAP_MAX + HEAP_A_BYTE_MAX * bytes.len(), "{taken} bytes of heap for {} bytes", bytes.len());
        match decoded {
            Ok(Decoded::Packet { packet, length }) => check_packet(bytes, version, &packet, length),
            Ok(Decoded::Incomplete { length }) => check_incomplete(bytes, version, length),
            Err(error) => assert!(!error.to_string().is_empty() && !error.clause().is_empty()),
        }
    }
}

fn check_packet(bytes: &[u8], version: ProtocolVersion, packet: &Packet<'_>, length: usize) {
    let own = bytes.get(..length).expect("a packet is as long as it says");
    assert_eq!(
        decode(own, version, length),
        Ok(Decoded::Packet { packet: packet.clone(), length }),
        "what follows counts"
    );
    assert!(decode(own, version, length - 1).is_err(), "a packet over the limit is taken");
    for end in (0..length).filter(|end| *end < 64 || end + 1 == length) {
        check_prefix(own, version, end);
    }
    check_again(version, packet, length);
    check_from_client(own, version, packet, length);
}

/// A server decodes a client's packet as the same, or refuses it for a code point of one of its strings.
fn check_from_client(own: &[u8], version: ProtocolVersion, packet: &Packet<'_>, length: usize) {
    match decode_from_client(own, version, usize::MAX) {
        Ok(decoded) => assert_eq!(decoded, Decoded::Packet { packet: packet.clone(), length }),
        Err(error) => assert!(matches!(error, DecodeError::DisallowedCodePoint { .. }), "{error}"),
    }
}

/// A part of a packet is incomplete and nothing else.
fn check_prefix(own: &[u8], version: ProtocolVersion, end: usize) {
    match decode(&own[..end], version, usize::MAX) {
        Ok(Decoded::Incomplete { length }) => assert!(length.is_none_or(|length| length == own.len()), "{length:?}"),
        other => panic!("{end} of {} bytes: {other:?}", own.len()),
    }
}

/// What was decoded is encoded in at most as many bytes, and decoded as the same.
fn check_again(version: ProtocolVersion, packet: &Packet<'_>, length: usize) {
    let mut again = Vec::new();
    encode(packet, version, &mut again);
    assert!(again.len() <= length, "{packet:?} grows from {length} to {} bytes", again.len());
    let expected = Decoded::Packet { packet: packet.clone(), length: again.len() };
    assert_eq!(decode(&again, version, usize::MAX), Ok(expected), "{again:02x?}");
    let frame = Frame::of(packet, version);
    let mut framed = Vec::new();
    frame.append_to(&mut framed);
    assert_eq!((frame.wire_len(), &framed), (again.len(), &again), "{packet:?}");
}

/// An announced length lies beyond what is there, and with as many bytes the packet is whole or refused.
fn check_incomplete(bytes: &[u8], version: ProtocolVersion, length: Option<usize>) {
    let Some(length) = length else { return assert!(bytes.len() < 5, "a header of {} bytes", bytes.len()) };
    assert!(length > bytes.len(), "{length} bytes are announced and {} are there", bytes.len());
    if length <= FILLED_BYTES_MAX {
        let mut filled = bytes.to_vec();
        filled.resize(length, 0);
        match decode(&filled, version, usize::MAX) {
            Ok(Decoded::Packet { length: found, .. }) => assert_eq!(found, length),
            Ok(Decoded::Incomplete { length }) => {
                panic!("{} bytes are there and {length:?} are asked for", filled.len())
            }
            Err(_) => {}
        }
    }
}
