//! Version 5's properties as their table has them (section 2.2.2.2): number, type, places, and whether one may repeat.

use std::fmt;

use super::place::{
    AUTH, CONNACK, CONNECT, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Place, SUBACK, SUBSCRIBE, UNSUBACK,
    UNSUBSCRIBE, WILL,
};

/// How a property's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte that is 0 or 1.
    Flag,
    /// Two bytes.
    Two,
    /// Two bytes, not 0.
    TwoNonZero,
    /// Four bytes.
    Four,
    /// Four bytes, not 0.
    FourNonZero,
    /// A variable byte integer, not 0.
    VariableNonZero,
    Text,
    /// A string that is a topic name.
    Topic,
    Binary,
    Pair,
}

/// Table 2-4: name, number, the standard's words, type and places.
macro_rules! properties {
    ($($variant:ident = $number:literal, $words:literal, $kind:ident, $places:expr;)*) => {
        /// A property's identifier (version 5, table 2-4).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $(#[doc = $words] $variant = $number,)*
        }

        impl PropertyId {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The identifier with this number; `None` for one that the standard does not know.
            pub(super) const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The standard's words for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                }
            }

            pub(super) const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)*
                }
            }

            const fn places(self) -> u16 {
                match self {
                    $(Self::$variant => $places,)*
                }
            }
        }
    };
}

const MESSAGE: u16 = PUBLISH | WILL;
const ACKNOWLEDGEMENTS: u16 = PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK;
const EVERYWHERE: u16 = CONNECT | CONNACK | MESSAGE | ACKNOWLEDGEMENTS | SUBSCRIBE | UNSUBSCRIBE | DISCONNECT | AUTH;

properties! {
    PayloadFormatIndicator = 0x01, "Payload Format Indicator", Flag, MESSAGE;
    MessageExpiryInterval = 0x02, "Message Expiry Interval", Four, MESSAGE;
    ContentType = 0x03, "Content Type", Text, MESSAGE;
    ResponseTopic = 0x08, "Response Topic", Topic, MESSAGE;
    CorrelationData = 0x09, "Correlation Data", Binary, MESSAGE;
    SubscriptionIdentifier = 0x0b, "Subscription Identifier", VariableNonZero, PUBLISH | SUBSCRIBE;
    SessionExpiryInterval = 0x11, "Session Expiry Interval", Four, CONNECT | CONNACK | DISCONNECT;
    AssignedClientIdentifier = 0x12, "Assigned Client Identifier", Text, CONNACK;
    ServerKeepAlive = 0x13, "Server Keep Alive", Two, CONNACK;
    AuthenticationMethod = 0x15, "Authentication Method", Text, CONNECT | CONNACK | AUTH;
    AuthenticationData = 0x16, "Authentication Data", Binary, CONNECT | CONNACK | AUTH;
    RequestProblemInformation = 0x17, "Request Problem Information", Flag, CONNECT;
    WillDelayInterval = 0x18, "Will Delay Interval", Four, WILL;
    RequestResponseInformation = 0x19, "Request Response Information", Flag, CONNECT;
    ResponseInformation = 0x1a, "Response Information", Text, CONNACK;
    ServerReference = 0x1c, "Server Reference", Text, CONNACK | DISCONNECT;
    ReasonString = 0x1f, "Reason String", Text, CONNACK | ACKNOWLEDGEMENTS | DISCONNECT | AUTH;
    ReceiveMaximum = 0x21, "Receive Maximum", TwoNonZero, CONNECT | CONNACK;
    TopicAliasMaximum = 0x22, "Topic Alias Maximum", Two, CONNECT | CONNACK;
    TopicAlias = 0x23, "Topic Alias", TwoNonZero, PUBLISH;
    MaximumQoS = 0x24, "Maximum QoS", Flag, CONNACK;
    RetainAvailable = 0x25, "Retain Available", Flag, CONNACK;
    UserProperty = 0x26, "User Property", Pair, EVERYWHERE;
    MaximumPacketSize = 0x27, "Maximum Packet Size", FourNonZero, CONNECT | CONNACK;
    WildcardSubscriptionAvailable = 0x28, "Wildcard Subscription Available", Flag, CONNACK;
    SubscriptionIdentifierAvailable = 0x29, "Subscription Identifier Available", Flag, CONNACK;
    SharedSubscriptionAvailable = 0x2a, "Shared Subscription Available", Flag, CONNACK;
}

impl PropertyId {
    pub(super) const fn may_stand_in(self, place: Place) -> bool {
        self.places() & place.bit() != 0
    }

    /// User properties may everywhere; subscription identifiers in PUBLISH, one for each subscription that matches.
    pub(super) const fn may_repeat_in(self, place: Place) -> bool {
        match self {
            Self::UserProperty => true,
            Self::SubscriptionIdentifier => place.bit() == PUBLISH,
            _ => false,
        }
    }

    /// Whether a server passes it on with the message, byte for byte: [MQTT-3.3.2-4], [MQTT-3.3.2-15],
    /// [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20].
    pub(super) const fn is_passed_on(self) -> bool {
        matches!(
            self,
            Self::PayloadFormatIndicator
                | Self::ContentType
                | Self::ResponseTopic
                | Self::CorrelationData
                | Self::UserProperty
        )
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet_type::PacketType;
    use super::*;

    #[test]
    fn properties_are_read_back_from_their_numbers() {
        for id in PropertyId::ALL {
            assert_eq!(PropertyId::from_number(*id as u32), Some(*id));
        }
        assert_eq!((0..1000).filter_map(PropertyId::from_number).count(), 27);
    }

    /// The properties of each packet, as the packet's own section lists them.
    #[test]
    fn each_place_has_the_properties_of_its_section() {
        let connack = "11 12 13 15 16 1a 1c 1f 21 22 24 25 26 27 28 29 2a";
        for (place, expected) in [
            (Place::Will, "01 02 03 08 09 18 26"),                          // section 3.1.3.2
            (Place::Of(PacketType::Connect), "11 15 16 17 19 21 22 26 27"), // section 3.1.2.11
            (Place::Of(PacketType::ConnAck), connack),                      // section 3.2.2.3
            (Place::Of(PacketType::Publish), "01 02 03 08 09 0b 23 26"),    // section 3.3.2.3
            (Place::Of(PacketType::PubAck), "1f 26"),
            (Place::Of(PacketType::PubRec), "1f 26"),
            (Place::Of(PacketType::PubRel), "1f 26"),
            (Place::Of(PacketType::PubComp), "1f 26"),
            (Place::Of(PacketType::Subscribe), "0b 26"), // section 3.8.2.1
            (Place::Of(PacketType::SubAck), "1f 26"),
            (Place::Of(PacketType::Unsubscribe), "26"), // section 3.10.2.1
            (Place::Of(PacketType::UnsubAck), "1f 26"),
            (Place::Of(PacketType::PingReq), ""),
            (Place::Of(PacketType::PingResp), ""),
            (Place::Of(PacketType::Disconnect), "11 1c 1f 26"), // section 3.14.2.2
            (Place::Of(PacketType::Auth), "15 16 1f 26"),       // section 3.15.2.2
        ] {
            let may = PropertyId::ALL.iter().filter(|id| id.may_stand_in(place));
            let found: Vec<_> = may.map(|id| format!("{:02x}", *id as u8)).collect();
            assert_eq!(found.join(" "), expected, "{place:?}");
        }
    }

    #[test]
    fn only_user_properties_and_a_publishs_subscription_identifiers_repeat() {
        for id in PropertyId::ALL {
            let in_publish = id.may_repeat_in(Place::Of(PacketType::Publish));
            assert_eq!(in_publish, matches!(*id as u8, 0x0b | 0x26), "{id}");
            assert_eq!(id.may_repeat_in(Place::Of(PacketType::Subscribe)), *id as u8 == 0x26, "{id}");
        }
    }
}
