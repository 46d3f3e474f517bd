//! The wire: one packet model for MQTT 3.1, 3.1.1 and 5, and its bytes.
//!
//! - Holds nothing: decoding and encoding are functions of bytes and values.
//! - Never enters: time, sessions, sockets, files.
//! - Uses nothing of this crate.
//! - Follows MQTT Version 3.1.1 (OASIS, 29 October 2014) and MQTT Version 5.0 (OASIS, 7 March 2019), chapters 2 and 3
//!   of both. A clause in brackets, `[MQTT-3.3.1-4]`, stands where it is held; beside what only version 5 has, it is
//!   that standard's.
//! - Text with control characters or non-characters, which both standards advise against, is refused by
//!   [`decode_from_client()`] and accepted by [`decode()`].
//! - Variable byte integers are written in the fewest bytes; longer forms are taken in 3.1.1, whose text allows them,
//!   and refused in 5, whose text does not [MQTT-1.5.5-1].
//!
//! Start reading at [`Packet`], then [`decode()`] and [`Frame`]; for version 5 at [`Properties`] and
//! [`PublishProperties`].

mod code_points;
mod decode;
mod encode;
mod frame;
mod message;
mod packet;
mod packet_type;
mod place;
mod properties;
mod property;
mod reason;
mod scalar;
mod topic;

#[cfg(test)]
mod refused_code_points;
#[cfg(test)]
mod refused_of_5;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod vectors_of_5;

pub use code_points::disallowed_code_point;
pub use decode::{DecodeError, Decoded, connect_version, decode, decode_from_client};
pub use encode::encode;
pub use frame::{Frame, PublishTemplate};
pub use message::{
    MessageFields, MessageProperties, MessagePropertiesRef, PublishProperties, SubscriptionId, SubscriptionIds,
};
pub use packet::{
    Acknowledgement, Auth, ClientId, ConnAck, Connect, Disconnect, Packet, PacketId, Password, ProtocolVersion,
    Publish, QoS, RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe, Will,
};
pub use properties::{Properties, PropertyFields};
pub use property::PropertyId;
pub use reason::{ConnectReturnCode, ReasonCode};
pub use topic::{TopicError, TopicFilter, TopicName};
