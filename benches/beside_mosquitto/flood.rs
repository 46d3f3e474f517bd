//! A client that publishes with QoS 0 as fast as it is let, on a thread of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use sensegate::mqtt::{ProtocolVersion, PublishTemplate, QoS};

use crate::broker::Broker;
use crate::client::Client;

/// Messages of one write.
const BATCH: u64 = 200;

/// Published until it is dropped.
pub(crate) struct Flood {
    stream: TcpStream,
    is_over: Arc<AtomicBool>,
    published: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Floods `topic` with payloads of 64 bytes.
    pub(crate) fn start(broker: &Broker, topic: &str) -> io::Result<Self> {
        let stream = TcpStream::from(Client::connect(broker.port, "flood".into())?);
        stream.set_read_timeout(None)?;
        let template = PublishTemplate::new(topic, &[b'x'; 64], QoS::AtMostOnce, false, ProtocolVersion::V311);
        let mut batch = Vec::new();
        (0..BATCH).for_each(|_| template.frame(None, false).append_to(&mut batch));
        let (is_over, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writer = stream.try_clone()?;
        let (over, count) = (is_over.clone(), published.clone());
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) && writer.write_all(&batch).is_ok() {
                count.fetch_add(BATCH, Ordering::Relaxed);
            }
        });
        Ok(Self { stream, is_over, published, thread: Some(thread) })
    }

    /// Messages so far.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // a write that waits for a broker that does not read ends with this
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A subscriber that takes everything and looks at nothing, until it is dropped.
pub(crate) struct Sink {
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub(crate) fn start(broker: &Broker, topic: &str) -> io::Result<Self> {
        let mut client = Client::connect(broker.port, "sink".into())?;
        client.subscribe(topic, QoS::AtMostOnce)?;
        let stream = TcpStream::from(client);
        stream.set_read_timeout(None)?;
        let mut reader = stream.try_clone()?;
        let thread = thread::spawn(move || {
            let mut scratch = vec![0; 256 * 1024];
            while reader.read(&mut scratch).is_ok_and(|count| count > 0) {}
        });
        Ok(Self { stream, thread: Some(thread) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
