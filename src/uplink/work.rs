//! What the machine asks of a kind of uplink.

use bytes::Bytes;
use serde_json::Value;

use super::bridge::Bridge;
use super::lane::Entry;
use super::stamps::{Now, Stamp};
use super::ubidots::Ubidots;
use crate::base::clock::Monotonic;
use crate::client::{Message, Publication, Terms};
use crate::mqtt::{ProtocolVersion, Subscription, Will};

/// What becomes of the waiting messages at the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// The first `count` of them go to the far side as this.
    Publish { publication: Publication, count: usize },
    /// Nobody needs the first `count`.
    Settle { count: usize },
    /// The first one can never be sent.
    Reject { reason: String },
    /// Not yet: again at this moment, or when one more has come.
    Wait(Option<Monotonic>),
}

/// What becomes of a message of the far side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    /// The local broker is to have this.
    Publish(Publication),
    /// The local broker would end the connection over it: it goes to the topic of rejected messages, with this reason.
    Reject { reason: String },
    /// Nobody needs it.
    Drop,
}

/// A kind of uplink.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Ubidots(Box<Ubidots>),
    Bridge(Box<Bridge>),
}

macro_rules! each {
    ($self:ident, $kind:ident => $what:expr) => {
        match $self {
            Self::Ubidots($kind) => $what,
            Self::Bridge($kind) => $what,
        }
    };
}

impl Work {
    /// What becomes of the first of `waiting`. `is_alone` asks for one message alone.
    pub(super) fn draw(&mut self, waiting: &[&Entry], terms: &Terms, now: Now, is_alone: bool) -> Draw {
        match (self, waiting) {
            (_, []) => Draw::Wait(None),
            (Self::Ubidots(ubidots), waiting) => ubidots.draw(waiting, now, is_alone),
            (Self::Bridge(bridge), [first, ..]) => bridge.draw(first, terms, now),
        }
    }

    /// What becomes of a message of the far side.
    pub(super) fn receive(&mut self, message: &Message, terms: &Terms, now: Now) -> Receive {
        match self {
            Self::Ubidots(ubidots) => ubidots.receive(message),
            Self::Bridge(bridge) => bridge.receive(message, terms, now),
        }
    }

    /// What is wanted of the local broker.
    pub(super) fn local_subscriptions(&self) -> Vec<Subscription> {
        each!(self, kind => kind.local_subscriptions())
    }

    /// What is wanted of the far side.
    pub(super) fn far_subscriptions(&self) -> Vec<Subscription> {
        each!(self, kind => kind.far_subscriptions())
    }

    /// What the far side is to say when the gateway is gone.
    pub(super) fn will(&self, version: ProtocolVersion) -> Option<Will> {
        each!(self, kind => kind.will(version))
    }

    /// What is said first on each connection.
    pub(super) fn birth(&mut self, now: Now) -> Option<Publication> {
        each!(self, kind => kind.birth(now))
    }

    /// What is said before a clean end.
    pub(super) fn farewell(&mut self, now: Now) -> Option<Publication> {
        each!(self, kind => kind.farewell(now))
    }

    /// The local broker has the oldest message of the far side that it did not have.
    pub(super) fn handle_passed_on(&mut self) {
        if let Self::Ubidots(ubidots) = self {
            ubidots.handle_passed_on();
        }
    }

    /// A connection to the local broker stands.
    pub(super) fn handle_local_up(&mut self, terms: &Terms) {
        if let Self::Bridge(bridge) = self {
            bridge.handle_local_up(terms);
        }
    }

    /// A connection to the far side stands.
    pub(super) fn handle_far_up(&mut self, terms: &Terms) {
        match self {
            Self::Ubidots(ubidots) => ubidots.handle_far_up(),
            Self::Bridge(bridge) => bridge.handle_far_up(terms),
        }
    }
}

/// A sample's JSON with the time that it leaves with. What else it says stays.
pub(super) fn stamped(payload: &Bytes, stamp: Stamp) -> Bytes {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(payload) else { return payload.clone() };
    fields.insert("time_ms".into(), stamp.time_ms.into());
    if !stamp.is_known {
        fields.insert("time_quality".into(), "unsynchronised".into());
    }
    Value::Object(fields).to_string().into()
}
