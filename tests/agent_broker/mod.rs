//! A broker for tests of the agent: accepts, records what it is told and acknowledges. It routes and keeps nothing.

#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

pub(crate) mod agent;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, UnsubAck,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};

const PACKET_BYTES_MAX: usize = 1 << 20;
/// Longer than anything takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the broker saw, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Connect(Connect),
    Publish(Publish),
    /// The filters of a SUBSCRIBE.
    Subscribe(Vec<String>),
    /// The filters of an UNSUBSCRIBE.
    Unsubscribe(Vec<String>),
    Disconnect,
    /// The connection ended without a DISCONNECT.
    Gone,
}

/// What the broker does with a message of QoS 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Acknowledge,
    Nothing,
    AcknowledgeAndClose,
}

pub(crate) struct Broker {
    _directory: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    /// Where the agent may keep its memory.
    pub(crate) memory: PathBuf,
    seen: mpsc::UnboundedReceiver<Seen>,
    cut: broadcast::Sender<()>,
    answer: watch::Sender<Answer>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("broker.sock");
        let (told, seen) = mpsc::unbounded_channel();
        let (cut, _) = broadcast::channel(1);
        let (answer, _) = watch::channel(Answer::Acknowledge);
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(accept(listener, told, cut.clone(), answer.subscribe()));
        let memory = directory.path().join("topics.json");
        Self { _directory: directory, socket, memory, seen, cut, answer }
    }

    /// What came next.
    pub(crate) async fn next(&mut self) -> Seen {
        let seen = tokio::time::timeout(PATIENCE, self.seen.recv()).await;
        seen.expect("the agent was expected to do something").unwrap()
    }

    pub(crate) async fn next_connect(&mut self) -> Connect {
        match self.next().await {
            Seen::Connect(connect) => connect,
            other => panic!("CONNECT was expected, {other:?} came"),
        }
    }

    /// The next message as topic, payload, QoS and retain.
    pub(crate) async fn next_message(&mut self) -> (String, String, u8, bool) {
        match self.next().await {
            Seen::Publish(publish) => message(&publish),
            other => panic!("PUBLISH was expected, {other:?} came"),
        }
    }

    /// Skips until a message with this topic and payload comes; gives what was skipped.
    pub(crate) async fn skip_to(&mut self, topic: &str, payload: &str) -> Vec<Seen> {
        let mut skipped = Vec::new();
        loop {
            let seen = self.next().await;
            if matches!(&seen, Seen::Publish(publish) if publish.topic == topic && publish.payload == payload) {
                return skipped;
            }
            skipped.push(seen);
        }
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        self.cut.send(()).unwrap();
    }

    /// What to do with messages of QoS 1 from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    pub(crate) fn memory_text(&self) -> String {
        read(&self.memory)
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

pub(crate) fn message(publish: &Publish) -> (String, String, u8, bool) {
    let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
    (publish.topic.clone(), payload, publish.qos as u8, publish.retain)
}

/// What [`Broker::next_message`] is compared with.
pub(crate) fn said(topic: &str, payload: &str, qos: u8, retain: bool) -> (String, String, u8, bool) {
    (topic.into(), payload.into(), qos, retain)
}

async fn accept(
    listener: UnixListener,
    told: mpsc::UnboundedSender<Seen>,
    cut: broadcast::Sender<()>,
    answers: watch::Receiver<Answer>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (told, mut cut, answers) = (told.clone(), cut.subscribe(), answers.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve(stream, told.clone(), answers) => {}
                _ = cut.recv() => { let _ = told.send(Seen::Gone); }
            }
        });
    }
}

async fn serve(mut stream: UnixStream, told: mpsc::UnboundedSender<Seen>, answers: watch::Receiver<Answer>) {
    let mut bytes = BytesMut::new();
    loop {
        while let Ok(packet) = Packet::read(&mut bytes, PACKET_BYTES_MAX) {
            let answer = *answers.borrow();
            let is_acknowledged = matches!(&packet, Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce);
            let closes = is_acknowledged && answer == Answer::AcknowledgeAndClose;
            let is_last = packet == Packet::Disconnect || closes;
            if let Some(answer) = handle(packet, &told, answer != Answer::Nothing) {
                let mut out = BytesMut::new();
                answer.write(&mut out, PACKET_BYTES_MAX).unwrap();
                if stream.write_all(&out).await.is_err() {
                    break;
                }
            }
            if is_last {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            let _ = told.send(Seen::Gone);
            return;
        }
    }
}

fn handle(packet: Packet, told: &mpsc::UnboundedSender<Seen>, acknowledges: bool) -> Option<Packet> {
    match packet {
        Packet::Connect(connect) => {
            let _ = told.send(Seen::Connect(connect));
            Some(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)))
        }
        Packet::Publish(publish) => {
            let wants_ack = publish.qos == QoS::AtLeastOnce && acknowledges;
            let answer = wants_ack.then(|| Packet::PubAck(PubAck::new(publish.pkid)));
            let _ = told.send(Seen::Publish(publish));
            answer
        }
        Packet::Subscribe(subscribe) => {
            let codes = subscribe.filters.iter().map(|filter| SubscribeReasonCode::Success(filter.qos)).collect();
            let _ = told.send(Seen::Subscribe(subscribe.filters.into_iter().map(|filter| filter.path).collect()));
            Some(Packet::SubAck(SubAck::new(subscribe.pkid, codes)))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let _ = told.send(Seen::Unsubscribe(unsubscribe.topics));
            Some(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)))
        }
        Packet::Disconnect => {
            let _ = told.send(Seen::Disconnect);
            None
        }
        Packet::PingReq => Some(Packet::PingResp),
        other => panic!("the agent sent {other:?}"),
    }
}
