//! The link that comes back: connects, tells when it is up, waits with backoff when it is lost.

use std::pin::Pin;
use std::time::Duration;

use rumqttc::Publish;
use tokio::time::Sleep;

use super::delivery::Receipt;
use super::link::{Link, LinkEvent};
use super::publish::Publication;
use super::reach::mqtt_options;
use super::{BrokerAddress, Options};
use crate::base::backoff::Backoff;
use crate::base::clock::{self, Monotonic};
use crate::client::Outage;
use crate::mqtt::TopicName;

/// Waits between attempts to reach the embedded broker, which is in the same process or about to be.
const HOUSE_WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Waits between attempts to reach another broker.
const EXTERNAL_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A connection that held for so long was a good one: waits begin small again. A shorter one may be a fight of two
/// clients over one client identifier.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// What the agent hears of its connection.
pub(super) enum ConnectionEvent {
    /// The broker has accepted: everything is to be said anew.
    Up,
    /// A message has arrived.
    Delivered(Receipt),
    /// A message has come on a topic that was subscribed to.
    Incoming(Publish),
    /// The broker refuses a subscription.
    SubscriptionRefused,
    /// The connection is lost or could not be made; the next attempt follows by itself.
    Down,
}

/// The connection to the one broker of the options.
pub(super) struct Connection {
    options: Options,
    stage: Stage,
    backoff: Backoff,
    outage: Outage,
}

enum Stage {
    /// No connection; the next attempt begins at the end of the sleep.
    Waiting(Pin<Box<Sleep>>),
    /// CONNECT is on its way.
    Connecting(Link),
    /// Accepted, and when.
    Up(Link, Monotonic),
}

impl Connection {
    /// Will connect as soon as it is asked for events.
    pub(super) fn new(options: Options) -> Self {
        let (base, cap) = match options.broker {
            BrokerAddress::House { .. } => HOUSE_WAITS,
            BrokerAddress::External { .. } => EXTERNAL_WAITS,
        };
        let outage = Outage::new(options.broker.to_string());
        let backoff = Backoff::new(base, cap, fastrand::u64(..));
        Self { options, stage: waiting(Duration::ZERO), backoff, outage }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(..))
    }

    /// Hands a message over, without waiting; `false` when there is no connection or no room in it. Nothing queues
    /// while there is no connection: what is old by then is worth nothing.
    pub(super) fn try_publish(&mut self, publication: Publication, receipt: Receipt) -> bool {
        match &mut self.stage {
            Stage::Up(link, _) => link.try_publish(publication, receipt),
            Stage::Waiting(_) | Stage::Connecting(_) => false,
        }
    }

    /// Asks for what is published to `topic`; `false` when there is no connection or no room in it.
    pub(super) fn try_subscribe(&self, topic: &TopicName) -> bool {
        matches!(&self.stage, Stage::Up(link, _) if link.try_subscribe(topic))
    }

    /// Asks for no more of it; `false` when there is no connection or no room in it.
    pub(super) fn try_unsubscribe(&self, topic: &TopicName) -> bool {
        matches!(&self.stage, Stage::Up(link, _) if link.try_unsubscribe(topic))
    }

    /// Waits for the next event, and connects when it is time to. Cancel safe.
    pub(super) async fn next_event(&mut self) -> ConnectionEvent {
        loop {
            let event = match &mut self.stage {
                Stage::Waiting(sleep) => {
                    sleep.as_mut().await;
                    if self.connect() {
                        continue;
                    }
                    return ConnectionEvent::Down;
                }
                Stage::Connecting(link) | Stage::Up(link, _) => link.next_event().await,
            };
            return match event {
                LinkEvent::Up => self.handle_up(clock::monotonic()),
                LinkEvent::Delivered(receipt) => ConnectionEvent::Delivered(receipt),
                LinkEvent::Incoming(publish) => ConnectionEvent::Incoming(publish),
                LinkEvent::SubscriptionRefused => ConnectionEvent::SubscriptionRefused,
                LinkEvent::Down(why) => self.handle_down(&why, clock::monotonic()),
            };
        }
    }

    /// The link of a connection that is up; the connection is over with it.
    pub(super) fn take_link(&mut self) -> Option<Link> {
        match std::mem::replace(&mut self.stage, waiting(Duration::ZERO)) {
            Stage::Up(link, _) => Some(link),
            Stage::Waiting(_) | Stage::Connecting(_) => None,
        }
    }

    fn connect(&mut self) -> bool {
        match mqtt_options(&self.options) {
            Ok(options) => {
                self.stage = Stage::Connecting(Link::open(options));
                true
            }
            Err(error) => {
                self.handle_down(&error.to_string(), clock::monotonic());
                false
            }
        }
    }

    fn handle_up(&mut self, now: Monotonic) -> ConnectionEvent {
        if let Stage::Connecting(link) = std::mem::replace(&mut self.stage, waiting(Duration::ZERO)) {
            self.stage = Stage::Up(link, now);
        }
        self.outage.handle_up(now);
        ConnectionEvent::Up
    }

    fn handle_down(&mut self, why: &str, now: Monotonic) -> ConnectionEvent {
        if matches!(self.stage, Stage::Up(_, since) if now.since(since) >= GOOD_CONNECTION) {
            self.backoff.reset();
        }
        self.outage.handle_down(why, now);
        self.stage = waiting(self.backoff.next_wait());
        ConnectionEvent::Down
    }
}

fn waiting(wait: Duration) -> Stage {
    Stage::Waiting(Box::pin(tokio::time::sleep(wait)))
}
