//! One connection of `pub` or `sub`, the same for both versions of the protocol.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{ConnectionArgs, Version, v5, v311};
use crate::mqtt::{QoS, TopicFilter, TopicName};

/// Requests that may wait for the event loop; beyond it a request is refused, and nobody asks for more.
pub(super) const REQUESTS_MAX: usize = 128;
/// Events that may wait for the command; beyond it the event loop waits, and the broker with it.
const EVENTS_MAX: usize = 128;
/// How long a broker may take to close after DISCONNECT.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What happens on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The broker has accepted.
    Connected,
    /// A message for us.
    Message(Message),
    /// One of our messages has arrived: written (QoS 0), acknowledged (1) or completed (2).
    Completed,
    /// The broker took one of our messages and refused it (MQTT 5 only).
    Refused(String),
    /// The answer to SUBSCRIBE: for each filter nothing, or why it was denied.
    Subscribed(Vec<Option<String>>),
    /// The connection is over.
    Lost(Loss),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Why, in words.
    pub(crate) why: String,
    /// Whether the broker said no, so that trying again makes no sense.
    pub(crate) is_refusal: bool,
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where it was published.
    pub(crate) topic: Bytes,
    /// What it says.
    pub(crate) payload: Bytes,
    /// Whether it comes from the broker's store.
    pub(crate) retain: bool,
}

/// Where the task that drives rumqttc's event loop puts what it hears.
pub(super) struct Forward {
    events: mpsc::Sender<Event>,
    /// With `-d`: the name under which everything is shown.
    debug_name: Option<String>,
}

impl Forward {
    /// Shows `raw` when it is to be shown, and passes on what it means; `false` when nobody listens any more.
    pub(super) async fn send<R: Debug>(&mut self, raw: &R, translate: impl Fn(&R) -> Option<Event>) -> bool {
        if let Some(name) = &self.debug_name {
            eprintln!("{name}: {raw:?}");
        }
        match translate(raw) {
            Some(event) => self.events.send(event).await.is_ok(),
            None => true,
        }
    }

    /// Passes the end on.
    pub(super) async fn send_loss(&self, loss: Loss) {
        // a command that has ended needs no end
        let _ = self.events.send(Event::Lost(loss)).await;
    }
}

pub(super) enum Requests {
    V311(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// One connection, from CONNECT to its end.
pub(crate) struct Link {
    requests: Requests,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the arguments fit no connection: no certificates in the file, a keep-alive that is too short.
    pub(crate) fn open(args: &ConnectionArgs, client_id: &str) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let sender = Forward { events: sender, debug_name: args.debug.then(|| client_id.to_owned()) };
        let (requests, task) = match args.protocol_version {
            Version::V311 => v311::spawn(args, client_id, sender)?,
            Version::V5 => v5::spawn(args, client_id, sender)?,
        };
        Ok(Self { requests, events, task })
    }

    /// Waits for the next event. Cancel safe.
    pub(crate) async fn next_event(&mut self) -> Event {
        let over = || Event::Lost(Loss { why: "the connection has ended".into(), is_refusal: false });
        self.events.recv().await.unwrap_or_else(over)
    }

    /// Hands a message to the event loop; `false` when it has no room.
    pub(crate) fn try_publish(&self, topic: &TopicName, qos: QoS, retain: bool, payload: Vec<u8>) -> bool {
        match &self.requests {
            Requests::V311(client) => client.try_publish(topic.as_str(), v311::qos(qos), retain, payload).is_ok(),
            Requests::V5(client) => client.try_publish(topic.as_str(), v5::qos(qos), retain, payload).is_ok(),
        }
    }

    /// Asks for all `filters` in one SUBSCRIBE; `false` when rumqttc will not have it.
    pub(crate) fn try_subscribe(&self, filters: &[TopicFilter], qos: QoS) -> bool {
        let paths = filters.iter().map(|filter| filter.as_str().to_owned());
        match &self.requests {
            Requests::V311(client) => {
                let filters = paths.map(|path| rumqttc::SubscribeFilter::new(path, v311::qos(qos)));
                client.try_subscribe_many(filters).is_ok()
            }
            Requests::V5(client) => {
                let filters = paths.map(|path| rumqttc::v5::mqttbytes::v5::Filter::new(path, v5::qos(qos)));
                client.try_subscribe_many(filters).is_ok()
            }
        }
    }

    /// Sends DISCONNECT and waits until the broker has closed, at most for [`CLOSE_WAIT`].
    pub(crate) async fn close(mut self) {
        let asked = match &self.requests {
            Requests::V311(client) => client.try_disconnect().is_ok(),
            Requests::V5(client) => client.try_disconnect().is_ok(),
        };
        if asked {
            let over = async { while !matches!(self.next_event().await, Event::Lost(_)) {} };
            let _ = tokio::time::timeout(CLOSE_WAIT, over).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}
