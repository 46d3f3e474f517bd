//! SUBSCRIBE (section 3.8), SUBACK (section 3.9) and UNSUBSCRIBE (section 3.10).

use super::super::packet::{PacketId, SubAck, Subscribe, Unsubscribe};
use super::super::packet_type::PacketType;
use super::{encode_with_body, push_field};

pub(super) fn encode_subscribe(subscribe: &Subscribe, out: &mut Vec<u8>) {
    encode_with_body(PacketType::Subscribe, out, |out| {
        push_packet_id(subscribe.packet_id, out);
        for subscription in &subscribe.subscriptions {
            push_field(subscription.filter.as_str().as_bytes(), out);
            out.push(subscription.qos as u8);
        }
    });
}

pub(super) fn encode_suback(suback: &SubAck, out: &mut Vec<u8>) {
    encode_with_body(PacketType::SubAck, out, |out| {
        push_packet_id(suback.packet_id, out);
        out.extend(suback.codes.iter().map(|code| *code as u8));
    });
}

pub(super) fn encode_unsubscribe(unsubscribe: &Unsubscribe, out: &mut Vec<u8>) {
    encode_with_body(PacketType::Unsubscribe, out, |out| {
        push_packet_id(unsubscribe.packet_id, out);
        for filter in &unsubscribe.filters {
            push_field(filter.as_str().as_bytes(), out);
        }
    });
}

fn push_packet_id(packet_id: PacketId, out: &mut Vec<u8>) {
    out.extend_from_slice(&packet_id.get().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{QoS, Subscription};
    use super::super::super::reason::SubscribeReturnCode;
    use super::super::super::topic::TopicFilter;
    use super::*;

    const TEN: PacketId = PacketId::new(10).unwrap();

    #[test]
    fn subscribe_lists_filters_with_their_qos() {
        let subscription = |filter, qos| Subscription { filter: TopicFilter::new(filter).unwrap(), qos };
        let subscriptions = vec![subscription("a/+", QoS::AtMostOnce), subscription("#", QoS::ExactlyOnce)];
        let expected = [
            0x82, // SUBSCRIBE with its reserved flags
            0x0c, // remaining length
            0x00, 0x0a, // packet identifier 10
            0x00, 0x03, b'a', b'/', b'+', 0x00, // filter a/+, QoS 0
            0x00, 0x01, b'#', 0x02, // filter #, QoS 2
        ];
        let mut out = Vec::new();
        encode_subscribe(&Subscribe { packet_id: TEN, subscriptions }, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn suback_lists_codes() {
        let codes = vec![SubscribeReturnCode::GrantedQoS2, SubscribeReturnCode::Failure];
        let mut out = Vec::new();
        encode_suback(&SubAck { packet_id: TEN, codes }, &mut out);
        // SUBACK, remaining length, packet identifier, granted QoS 2, refused
        assert_eq!(out, [0x90, 0x04, 0x00, 0x0a, 0x02, 0x80]);
    }

    #[test]
    fn unsubscribe_lists_filters() {
        let filters = vec![TopicFilter::new("a").unwrap(), TopicFilter::new("b").unwrap()];
        let mut out = Vec::new();
        encode_unsubscribe(&Unsubscribe { packet_id: TEN, filters }, &mut out);
        // UNSUBSCRIBE with its reserved flags, remaining length, packet identifier, two filters
        assert_eq!(out, [0xa2, 0x08, 0x00, 0x0a, 0x00, 0x01, b'a', 0x00, 0x01, b'b']);
    }
}
