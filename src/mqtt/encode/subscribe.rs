//! SUBSCRIBE (section 3.8), SUBACK (section 3.9) and UNSUBSCRIBE (section 3.10).

use super::super::packet::{PacketId, ProtocolVersion, QoS, SubAck, Subscribe, Subscription, Unsubscribe};
use super::super::packet_type::PacketType;
use super::super::properties::Properties;
use super::super::reason::ReasonCode;
use super::properties::push_properties;
use super::{encode_with_body, push_field};

pub(super) fn encode_subscribe(subscribe: &Subscribe, version: ProtocolVersion, out: &mut Vec<u8>) {
    encode_with_body(PacketType::Subscribe, out, |out| {
        push_head(PacketType::Subscribe, subscribe.packet_id, &subscribe.properties, version, out);
        for subscription in &subscribe.subscriptions {
            push_field(subscription.filter.as_str().as_bytes(), out);
            out.push(options(subscription, version));
        }
    });
}

pub(super) fn encode_suback(suback: &SubAck, version: ProtocolVersion, out: &mut Vec<u8>) {
    encode_with_body(PacketType::SubAck, out, |out| {
        push_head(PacketType::SubAck, suback.packet_id, &suback.properties, version, out);
        out.extend(suback.codes.iter().map(|code| code_byte(*code, version)));
    });
}

pub(super) fn encode_unsubscribe(unsubscribe: &Unsubscribe, version: ProtocolVersion, out: &mut Vec<u8>) {
    encode_with_body(PacketType::Unsubscribe, out, |out| {
        push_head(PacketType::Unsubscribe, unsubscribe.packet_id, &unsubscribe.properties, version, out);
        for filter in &unsubscribe.filters {
            push_field(filter.as_str().as_bytes(), out);
        }
    });
}

/// Packet identifier and properties.
fn push_head(
    packet: PacketType,
    packet_id: PacketId,
    properties: &Properties,
    version: ProtocolVersion,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    if version.has_properties() {
        push_properties(packet, properties, out);
    }
}

/// The byte behind a filter: before version 5 the quality of service alone.
fn options(subscription: &Subscription, version: ProtocolVersion) -> u8 {
    let Subscription { qos, no_local, retain_as_published, retain_handling, .. } = subscription;
    let more = (*retain_handling as u8) << 4 | u8::from(*retain_as_published) << 3 | u8::from(*no_local) << 2;
    *qos as u8 | if version.has_properties() { more } else { 0 }
}

/// 3.1.1 has one failure; 3.1 has none, and hears of QoS 0.
const fn code_byte(code: ReasonCode, version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V31 if code.is_failure() => QoS::AtMostOnce as u8,
        ProtocolVersion::V311 if code.is_failure() => ReasonCode::UnspecifiedError as u8,
        _ => code as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::topic::TopicFilter;
    use super::*;

    const TEN: PacketId = PacketId::new(10).unwrap();

    #[test]
    fn subscribe_lists_filters_with_their_qos() {
        let subscription = |filter, qos| Subscription::new(TopicFilter::new(filter).unwrap(), qos);
        let subscriptions = vec![subscription("a/+", QoS::AtMostOnce), subscription("#", QoS::ExactlyOnce)];
        let expected = [
            0x82, // SUBSCRIBE with its reserved flags
            0x0c, // remaining length
            0x00, 0x0a, // packet identifier 10
            0x00, 0x03, b'a', b'/', b'+', 0x00, // filter a/+, QoS 0
            0x00, 0x01, b'#', 0x02, // filter #, QoS 2
        ];
        let mut out = Vec::new();
        let subscribe = Subscribe::new(TEN, subscriptions);
        encode_subscribe(&subscribe, ProtocolVersion::V311, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn suback_lists_codes() {
        let codes = vec![ReasonCode::GrantedQoS2, ReasonCode::NotAuthorized];
        let mut out = Vec::new();
        encode_suback(&SubAck::new(TEN, codes), ProtocolVersion::V311, &mut out);
        // SUBACK, remaining length, packet identifier, granted QoS 2, refused
        assert_eq!(out, [0x90, 0x04, 0x00, 0x0a, 0x02, 0x80]);
    }

    #[test]
    fn unsubscribe_lists_filters() {
        let filters = vec![TopicFilter::new("a").unwrap(), TopicFilter::new("b").unwrap()];
        let mut out = Vec::new();
        let unsubscribe = Unsubscribe::new(TEN, filters);
        encode_unsubscribe(&unsubscribe, ProtocolVersion::V311, &mut out);
        // UNSUBSCRIBE with its reserved flags, remaining length, packet identifier, two filters
        assert_eq!(out, [0xa2, 0x08, 0x00, 0x0a, 0x00, 0x01, b'a', 0x00, 0x01, b'b']);
    }
}
