//! Packets of version 5 with any of the properties that they may carry.

use std::num::{NonZeroU16, NonZeroU32};

use super::super::packet_type::PacketType;
use super::super::place::Place;
use super::*;

fn user_properties() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..4)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn subscription_id() -> impl Strategy<Value = SubscriptionId> {
    (1..=268_435_455_u32).prop_map(|number| SubscriptionId::new(number).unwrap())
}

/// Every field, whatever packet it belongs to.
fn fields() -> impl Strategy<Value = PropertyFields> {
    let numbers = (
        option::of(any::<u32>()),
        option::of(any::<NonZeroU16>()),
        option::of(any::<NonZeroU32>()),
        any::<[Option<u16>; 2]>(),
        any::<[Option<bool>; 7]>(),
        option::of(subscription_id()),
    );
    let texts = (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    let authentication = option::of((text(), option::of(data())));
    (numbers, texts, authentication, user_properties()).prop_map(|(numbers, texts, authentication, user_properties)| {
        let (session_expiry_interval_s, receive_maximum, maximum_packet_size, [alias, keep_alive], flags, id) = numbers;
        let (authentication_method, authentication_data) = authentication.unzip();
        PropertyFields {
            session_expiry_interval_s,
            receive_maximum,
            maximum_packet_size,
            topic_alias_maximum: alias,
            request_response_information: flags[0],
            request_problem_information: flags[1],
            authentication_method,
            authentication_data: authentication_data.flatten().map(Bytes::from),
            maximum_qos_is_1: flags[2],
            retain_available: flags[3],
            assigned_client_identifier: texts.0,
            response_information: texts.1,
            wildcard_subscription_available: flags[4],
            subscription_identifier_available: flags[5],
            shared_subscription_available: flags[6],
            server_keep_alive_s: keep_alive,
            server_reference: texts.2,
            subscription_identifier: id,
            reason_string: texts.3,
            user_properties,
        }
    })
}

fn properties(packet: PacketType) -> impl Strategy<Value = Properties> {
    let allowed = fields().prop_map(move |fields| Properties::new(only(fields, packet)));
    prop_oneof![1 => Just(Properties::NONE), 2 => allowed]
}

/// The fields that the packet may carry.
fn only(mut fields: PropertyFields, packet: PacketType) -> PropertyFields {
    let may = |id: PropertyId| id.may_stand_in(Place::Of(packet));
    macro_rules! keep {
        ($($field:ident: $id:ident,)*) => {
            $(if !may(PropertyId::$id) { fields.$field = Default::default(); })*
        };
    }
    keep! {
        session_expiry_interval_s: SessionExpiryInterval,
        receive_maximum: ReceiveMaximum,
        maximum_packet_size: MaximumPacketSize,
        topic_alias_maximum: TopicAliasMaximum,
        request_response_information: RequestResponseInformation,
        request_problem_information: RequestProblemInformation,
        authentication_method: AuthenticationMethod,
        authentication_data: AuthenticationData,
        maximum_qos_is_1: MaximumQoS,
        retain_available: RetainAvailable,
        assigned_client_identifier: AssignedClientIdentifier,
        response_information: ResponseInformation,
        wildcard_subscription_available: WildcardSubscriptionAvailable,
        subscription_identifier_available: SubscriptionIdentifierAvailable,
        shared_subscription_available: SharedSubscriptionAvailable,
        server_keep_alive_s: ServerKeepAlive,
        server_reference: ServerReference,
        subscription_identifier: SubscriptionIdentifier,
        reason_string: ReasonString,
        user_properties: UserProperty,
    }
    fields
}

fn reason(packet: PacketType) -> impl Strategy<Value = ReasonCode> {
    let allowed: Vec<_> = ReasonCode::ALL.iter().copied().filter(|reason| reason.may_stand_in(packet)).collect();
    prop::sample::select(allowed)
}

/// What is passed on with a message.
pub(super) fn message_properties() -> impl Strategy<Value = MessageProperties> {
    (option::of(any::<bool>()), option::of(text()), option::of(topic()), option::of(data()), user_properties())
        .prop_map(|(payload_is_utf8, content_type, response_topic, correlation_data, user_properties)| {
            let user_properties: Vec<_> = user_properties.iter().map(|(name, value)| (&**name, &**value)).collect();
            MessageProperties::new(&MessageFields {
                payload_is_utf8,
                content_type: content_type.as_deref(),
                response_topic: response_topic.as_deref(),
                correlation_data: correlation_data.as_deref(),
                user_properties: &user_properties,
            })
        })
}

pub(super) fn subscription_ids() -> impl Strategy<Value = Vec<SubscriptionId>> {
    vec(subscription_id(), 0..4)
}

fn will_of_5() -> impl Strategy<Value = Will> {
    (will(), any::<u32>(), option::of(any::<u32>()), message_properties()).prop_map(
        |(will, delay_interval_s, message_expiry_interval_s, properties)| Will {
            delay_interval_s,
            message_expiry_interval_s,
            properties,
            ..will
        },
    )
}

fn connect_of_5() -> impl Strategy<Value = Connect> {
    (connect(), properties(PacketType::Connect), option::of(will_of_5()), option::of(data())).prop_map(
        |(connect, properties, will, password)| Connect {
            version: ProtocolVersion::V5,
            properties,
            will,
            password: password.map(|password| Bytes::from(password).into()),
            ..connect
        },
    )
}

fn connack_of_5() -> impl Strategy<Value = ConnAck> {
    (any::<bool>(), reason(PacketType::ConnAck), properties(PacketType::ConnAck)).prop_map(
        |(session_present, reason, properties)| ConnAck {
            session_present: session_present && reason == ReasonCode::Success,
            reason,
            properties,
        },
    )
}

fn acknowledgement(packet: PacketType) -> impl Strategy<Value = Acknowledgement> {
    (packet_id(), reason(packet), properties(packet)).prop_map(|(packet_id, reason, properties)| Acknowledgement {
        packet_id,
        reason,
        properties,
    })
}

fn subscribe_of_5() -> impl Strategy<Value = Subscribe> {
    let handling =
        prop_oneof![Just(RetainHandling::Send), Just(RetainHandling::SendIfNew), Just(RetainHandling::DoNotSend)];
    let subscription = (filter(), qos(), any::<bool>(), any::<bool>(), handling).prop_map(
        |(filter, qos, no_local, retain_as_published, retain_handling)| Subscription {
            filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    );
    (packet_id(), properties(PacketType::Subscribe), vec(subscription, 1..10))
        .prop_map(|(packet_id, properties, subscriptions)| Subscribe { packet_id, properties, subscriptions })
}

fn codes(packet: PacketType) -> impl Strategy<Value = (PacketId, Properties, Vec<ReasonCode>)> {
    (packet_id(), properties(packet), vec(reason(packet), 1..200))
}

fn reasoned(packet: PacketType) -> impl Strategy<Value = (ReasonCode, Properties)> {
    (reason(packet), properties(packet))
}

/// Every packet but PUBLISH, which borrows.
pub(super) fn owned_packet_of_5() -> impl Strategy<Value = Packet<'static>> {
    let unsubscribe = (unsubscribe(), properties(PacketType::Unsubscribe))
        .prop_map(|(unsubscribe, properties)| Unsubscribe { properties, ..unsubscribe });
    prop_oneof![
        connect_of_5().prop_map(Packet::Connect),
        connack_of_5().prop_map(Packet::ConnAck),
        acknowledgement(PacketType::PubAck).prop_map(Packet::PubAck),
        acknowledgement(PacketType::PubRec).prop_map(Packet::PubRec),
        acknowledgement(PacketType::PubRel).prop_map(Packet::PubRel),
        acknowledgement(PacketType::PubComp).prop_map(Packet::PubComp),
        subscribe_of_5().prop_map(Packet::Subscribe),
        codes(PacketType::SubAck).prop_map(|(packet_id, properties, codes)| Packet::SubAck(SubAck {
            packet_id,
            properties,
            codes
        })),
        unsubscribe.prop_map(Packet::Unsubscribe),
        codes(PacketType::UnsubAck).prop_map(|(packet_id, properties, codes)| Packet::UnsubAck(UnsubAck {
            packet_id,
            properties,
            codes
        })),
        Just(Packet::PingReq),
        Just(Packet::PingResp),
        reasoned(PacketType::Disconnect)
            .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties })),
        reasoned(PacketType::Auth).prop_map(|(reason, properties)| Packet::Auth(Auth { reason, properties })),
    ]
}
