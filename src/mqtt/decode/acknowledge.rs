//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use super::super::packet::Acknowledgement;
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::properties_if_any;

pub(super) fn acknowledgement(mut body: Cursor<'_>) -> Result<Acknowledgement, DecodeError> {
    let packet_id = body.packet_id()?;
    let reason = body.reason_or_success()?;
    let properties = properties_if_any(&mut body)?;
    body.finish()?;
    Ok(Acknowledgement { packet_id, reason, properties })
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Disconnect, Packet, PacketId};
    use super::super::check::{check_decodes, check_refused};
    use super::*;

    #[test]
    fn each_acknowledgement_carries_its_packet_identifier() {
        let acknowledgement = Acknowledgement::success(PacketId::new(0x1234).unwrap());
        // type and reserved flags, remaining length, packet identifier high and low
        check_decodes(&[0x40, 0x02, 0x12, 0x34], Packet::PubAck(acknowledgement.clone()));
        check_decodes(&[0x50, 0x02, 0x12, 0x34], Packet::PubRec(acknowledgement.clone()));
        check_decodes(&[0x62, 0x02, 0x12, 0x34], Packet::PubRel(acknowledgement.clone()));
        check_decodes(&[0x70, 0x02, 0x12, 0x34], Packet::PubComp(acknowledgement));
    }

    #[test]
    fn an_acknowledgement_of_packet_identifier_0_is_refused() {
        for (first, packet) in [(0x40, "PUBACK"), (0x50, "PUBREC"), (0x62, "PUBREL"), (0x70, "PUBCOMP")] {
            check_refused(&[first, 0x02, 0x00, 0x00], &DecodeError::PacketIdZero { packet }, "MQTT-2.3.1-1");
        }
    }

    #[test]
    fn packets_without_a_body_are_two_bytes() {
        check_decodes(&[0xc0, 0x00], Packet::PingReq);
        check_decodes(&[0xd0, 0x00], Packet::PingResp);
        check_decodes(&[0xe0, 0x00], Packet::Disconnect(Disconnect::NORMAL));
    }
}
