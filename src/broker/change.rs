//! What the machine asks to be made durable.

use std::sync::Arc;

use super::message::{Delivery, Granted, Message, Owner, Terms};
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, TopicName, Will};

/// One durable fact. Sessions are named by client identifier, messages by their arrival number.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A session exists that outlives its connection. Said again when its terms change.
    SessionKept {
        /// Whose.
        client_id: ClientId,
        /// For whom and how long.
        terms: Terms,
    },
    /// A session and all that belongs to it is gone.
    SessionEnded {
        /// Whose.
        client_id: ClientId,
    },
    /// A subscription was made or replaced.
    Subscribed {
        /// Whose.
        client_id: ClientId,
        /// To what.
        filter: TopicFilter,
        /// With what.
        granted: Granted,
        /// Whether retained messages that match it are still to be sent.
        replay: bool,
    },
    /// A subscription is gone.
    Unsubscribed {
        /// Whose.
        client_id: ClientId,
        /// From what.
        filter: TopicFilter,
    },
    /// A message waits for a session, queued or in flight.
    Enqueued {
        /// For whom.
        client_id: ClientId,
        /// What waits.
        delivery: Delivery,
    },
    /// A waiting message went out under a packet identifier.
    Sent {
        /// To whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
        /// Under which identifier.
        packet_id: PacketId,
    },
    /// The receiver has the message of QoS 2 and PUBREL follows.
    Released {
        /// To whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
    },
    /// A message no longer waits: delivered, or dropped from a full queue.
    Dequeued {
        /// For whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
    },
    /// A PUBLISH of QoS 2 with this identifier was taken from a persistent session.
    Received {
        /// From whom.
        client_id: ClientId,
        /// Its identifier.
        packet_id: PacketId,
    },
    /// Its PUBREL came; the identifier is free again.
    Forgotten {
        /// From whom.
        client_id: ClientId,
        /// The identifier.
        packet_id: PacketId,
    },
    /// A topic's retained message.
    Retained {
        /// The message.
        message: Arc<Message>,
        /// Its quality of service. Those of QoS 0 may be written late.
        qos: QoS,
        /// Whose share of the retained messages it counts towards.
        owner: Owner,
    },
    /// A topic has no retained message any more.
    RetainedCleared {
        /// The topic.
        topic: TopicName,
    },
    /// A connected client's will.
    WillSet {
        /// Whose.
        client_id: ClientId,
        /// The verified user, whose rights it needs when it is published.
        user: Option<Box<str>>,
        /// The will.
        will: Will,
    },
    /// Its client is gone and the will waits for its delay [MQTT-3.1.3-9].
    WillDelayed {
        /// Whose.
        client_id: ClientId,
        /// When it is to be published.
        due: Monotonic,
    },
    /// The will was published or is void.
    WillCleared {
        /// Whose.
        client_id: ClientId,
    },
}
