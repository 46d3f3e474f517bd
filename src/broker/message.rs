//! Messages and deliveries as they are queued, shared and stored.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::clock::Monotonic;
use crate::mqtt::{MessageProperties, QoS, SubscriptionId, TopicFilter, TopicName};

/// An application message as it is stored and shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: TopicName,
    /// Its payload.
    pub payload: Bytes,
    /// Version 5: what goes to the receivers as it came [MQTT-3.3.2-18].
    pub properties: MessageProperties,
    /// Version 5: from when on it is of no use to anybody; `None` for ever.
    pub expires: Option<Monotonic>,
}

impl Message {
    /// Without properties, for ever.
    pub const fn new(topic: TopicName, payload: Bytes) -> Self {
        Self { topic, payload, properties: MessageProperties::NONE, expires: None }
    }

    /// Bytes of topic, payload and properties.
    pub fn bytes(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.as_bytes().len()
    }

    /// Whether it is of no use any more.
    pub fn is_expired(&self, now: Monotonic) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A message on its way to one session, queued or in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its arrival number at this broker; greater ones came later.
    pub arrival: u64,
    /// The message; shared by the deliveries that were enqueued together.
    pub message: Arc<Message>,
    /// 1 or 2; 0 only on its way out.
    pub qos: QoS,
    /// Whether it is delivered as retained.
    pub retain: bool,
    /// What only some subscriptions add.
    pub marks: Option<Box<Marks>>,
}

impl Delivery {
    /// Bytes of topic, payload and properties.
    pub fn bytes(&self) -> usize {
        self.message.bytes()
    }

    /// Returns the shared subscription that it comes by.
    pub fn share(&self) -> Option<&TopicFilter> {
        self.marks.as_ref().and_then(|marks| marks.share.as_ref())
    }

    /// Returns whether it comes by a shared subscription, so that another member of the group may have it instead.
    pub fn is_shared(&self) -> bool {
        self.share().is_some()
    }

    /// Whether its message has expired, or it has waited too long.
    pub fn is_over(&self, now: Monotonic) -> bool {
        let is_stale = self.marks.as_ref().and_then(|marks| marks.stale).is_some_and(|stale| stale <= now);
        is_stale || self.message.is_expired(now)
    }

    /// Version 5: the identifiers of the subscriptions that it comes by [MQTT-3.3.4-3].
    pub fn subscription_ids(&self) -> &[SubscriptionId] {
        self.marks.as_ref().map_or(&[], |marks| &marks.subscription_ids)
    }
}

/// What only some subscriptions add to a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Identifiers of the subscriptions that it comes by.
    pub subscription_ids: Vec<SubscriptionId>,
    /// From when on it has waited too long for this session, which its receiver is not told.
    pub stale: Option<Monotonic>,
    /// The shared subscription that it comes by: another of its members may have it when this one goes.
    pub share: Option<TopicFilter>,
}

/// What a subscription was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The highest quality of service of its deliveries.
    pub qos: QoS,
    /// Version 5: what the subscriber publishes itself does not come back.
    pub no_local: bool,
    /// Version 5: messages keep the RETAIN flag that they were published with.
    pub retain_as_published: bool,
    /// Version 5: what its deliveries are marked with.
    pub id: Option<SubscriptionId>,
}

impl Granted {
    /// With the options that 3.1.1 knows.
    pub const fn new(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false, id: None }
    }
}

/// On which terms a session is kept that outlives its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The user that it belongs to; `None` as long as only anonymous clients had it.
    pub user: Option<Box<str>>,
    /// Seconds that it outlives its connection; 0 for one that ends with it, [`Terms::FOREVER_S`] for one that does not
    /// end (section 3.1.2.11.2).
    pub expiry_interval_s: u32,
    /// When it ends; `None` while its client is connected, and for ever.
    pub ends: Option<Monotonic>,
}

impl Terms {
    /// A session that does not expire.
    pub const FOREVER_S: u32 = u32::MAX;

    /// An anonymous client's, for ever: what 3.1.1 keeps.
    pub const fn forever() -> Self {
        Self { user: None, expiry_interval_s: Self::FOREVER_S, ends: None }
    }
}

/// The account that a retained message counts towards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The gateway's internal clients.
    Internal,
    /// All clients without a verified user name together.
    Anonymous,
    /// A verified user.
    User(Box<str>),
}
