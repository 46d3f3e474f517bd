//! One connection to the broker, from CONNECT to its end.

use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, SubscribeReasonCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::delivery::{Deliveries, Receipt};
use super::publish::Publication;
use super::reach::{connection_error_text, rumqttc_qos};
use crate::mqtt::TopicName;

/// Messages that may wait for the event loop. When it is full a message is refused, and whoever wanted to publish it
/// knows what that means.
const REQUESTS_MAX: usize = 256;
/// Events that may wait for the agent. When it is full the event loop waits, and with it the connection.
const EVENTS_MAX: usize = 64;
/// How long a broker may take to close after DISCONNECT. It should close at once [MQTT-3.14.4-3].
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What happens on a connection.
pub(super) enum LinkEvent {
    /// The broker has accepted.
    Up,
    /// A message has arrived: written (QoS 0), acknowledged (1) or completed (2).
    Delivered(Receipt),
    /// A message has come on a topic that was subscribed to.
    Incoming(Publish),
    /// The broker refuses a subscription.
    SubscriptionRefused,
    /// It is over, and why.
    Down(String),
}

/// One connection. Each has an event loop of its own, so that nothing is left over from the one before: rumqttc would
/// send unfinished messages again after a reconnect, while the agent says everything anew from its last sample.
pub(super) struct Link {
    client: AsyncClient,
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    deliveries: Deliveries<Receipt>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect. The event loop runs in a task of its own, because its `poll()` must not be cancelled while
    /// it connects.
    pub(super) fn open(options: MqttOptions) -> Self {
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS_MAX);
        let mut network = event_loop.network_options();
        network.set_tcp_nodelay(true);
        event_loop.set_network_options(network);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(forward_events(event_loop, sender));
        Self { client, events, deliveries: Deliveries::new(), task }
    }

    /// Hands a message to the event loop, without waiting; `false` when it has no room.
    pub(super) fn try_publish(&mut self, publication: Publication, receipt: Receipt) -> bool {
        let Publication { topic, payload, qos, retain } = publication;
        let taken = self.client.try_publish(topic.as_str(), rumqttc_qos(qos), retain, payload).is_ok();
        if taken {
            self.deliveries.push(receipt);
        }
        taken
    }

    /// Asks for what is published to `topic`, without waiting; `false` when the event loop has no room.
    pub(super) fn try_subscribe(&self, topic: &TopicName) -> bool {
        self.client.try_subscribe(topic.as_str(), rumqttc::QoS::AtLeastOnce).is_ok()
    }

    /// Asks for no more of it, without waiting; `false` when the event loop has no room.
    pub(super) fn try_unsubscribe(&self, topic: &TopicName) -> bool {
        self.client.try_unsubscribe(topic.as_str()).is_ok()
    }

    /// Waits for the next event. Cancel safe. After [`LinkEvent::Down`] there is none.
    pub(super) async fn next_event(&mut self) -> LinkEvent {
        loop {
            let event = match self.events.recv().await {
                Some(Ok(event)) => event,
                Some(Err(error)) => return LinkEvent::Down(connection_error_text(&error)),
                None => return LinkEvent::Down("the connection has ended".into()),
            };
            match event {
                Event::Incoming(Packet::ConnAck(_)) => return LinkEvent::Up,
                Event::Incoming(Packet::Publish(publish)) => return LinkEvent::Incoming(publish),
                Event::Incoming(Packet::SubAck(ack)) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                    return LinkEvent::SubscriptionRefused;
                }
                _ => {}
            }
            if let Some(receipt) = self.deliveries.handle_event(&event) {
                return LinkEvent::Delivered(receipt);
            }
        }
    }

    /// Sends DISCONNECT and waits until the broker has closed, so that the will is discarded before another
    /// connection of the same client begins; at most for [`CLOSE_WAIT`]. Gives the receipts that came meanwhile.
    pub(super) async fn close(mut self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        if self.client.try_disconnect().is_ok() {
            // a broker that does not close in time is left anyway
            let _ = tokio::time::timeout(CLOSE_WAIT, self.receive_until_down(&mut receipts)).await;
        }
        receipts
    }

    async fn receive_until_down(&mut self, receipts: &mut Vec<Receipt>) {
        loop {
            match self.next_event().await {
                LinkEvent::Delivered(receipt) => receipts.push(receipt),
                LinkEvent::Down(_) => return,
                LinkEvent::Up | LinkEvent::Incoming(_) | LinkEvent::SubscriptionRefused => {}
            }
        }
    }
}

/// Ends the connection at once, without DISCONNECT: the will speaks.
impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward_events(mut event_loop: EventLoop, events: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        match event_loop.poll().await {
            Ok(event) => {
                if events.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // rumqttc 0.25 reports the end before what it read in front of it
                let read_before = std::mem::take(&mut event_loop.state.events);
                for event in read_before.into_iter().map(Ok).chain([Err(error)]) {
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                return;
            }
        }
    }
}
