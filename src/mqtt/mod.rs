//! The wire: one packet model for MQTT 3.1.1 and 5, and its bytes.
//!
//! - Holds nothing: decoding and encoding are functions of bytes and values.
//! - Never enters: time, sessions, sockets, files.
//! - Uses nothing of this crate.
//! - Follows MQTT Version 3.1.1 (OASIS, 29 October 2014) chapters 2 and 3, and MQTT Version 5.0 (OASIS, 7 March 2019)
//!   for what the model already carries of it. A clause in brackets, `[MQTT-3.3.1-4]`, stands where it is held.
//!
//! Start reading at [`Packet`], then [`decode()`] and [`Frame`].

mod decode;
mod encode;
mod frame;
mod packet;
mod packet_type;
mod reason;
mod topic;

#[cfg(test)]
mod properties;

pub use decode::{DecodeError, Decoded, decode};
pub use encode::encode;
pub use frame::{Frame, PublishTemplate};
pub use packet::{
    Acknowledgement, ClientId, ConnAck, Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, SubAck, Subscribe,
    Subscription, UnsubAck, Unsubscribe, Will,
};
pub use reason::{ConnectReturnCode, SubscribeReturnCode};
pub use topic::{TopicError, TopicFilter, TopicName};
