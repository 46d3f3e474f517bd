//! A publisher of QoS 1 that waits as long as a window of messages is not acknowledged, on a thread that does nothing
//! else. Every payload begins with the message's number, 0, 1, 2, …, as eight bytes.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use sensegate::mqtt::{PacketId, ProtocolVersion, PublishTemplate, QoS};

use crate::client::Client;

/// Bytes of a number, at the beginning of a payload.
const NUMBER_BYTES: usize = 8;

/// Bytes of a PUBACK.
const ACK_BYTES: usize = 4;

pub(crate) struct WindowPublisher {
    stream: TcpStream,
    /// A PUBLISH in which identifier and number are to be put.
    template: Vec<u8>,
    payload_bytes: usize,
    window: u64,
    published: u64,
    acknowledged: u64,
    output: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of an acknowledgement whose end has not come yet.
    odd: usize,
}

impl WindowPublisher {
    /// `payload_bytes` are at least eight, `window` at most 65 535.
    pub(crate) fn new(client: Client, topic: &str, payload_bytes: usize, window: u64) -> Self {
        let payload = vec![b'x'; payload_bytes.max(NUMBER_BYTES)];
        let form = PublishTemplate::new(topic, &payload, QoS::AtLeastOnce, false, ProtocolVersion::V311);
        let mut template = Vec::new();
        form.frame(PacketId::new(1), false).append_to(&mut template);
        Self {
            stream: client.into(),
            template,
            payload_bytes: payload.len(),
            window,
            published: 0,
            acknowledged: 0,
            output: Vec::new(),
            input: vec![0; 64 * 1024],
            odd: 0,
        }
    }

    /// Publishes until `is_over`, which is told how many are acknowledged, then waits for the rest of them. Gives how
    /// many were acknowledged in all.
    pub(crate) fn run(&mut self, mut is_over: impl FnMut(u64) -> bool) -> io::Result<u64> {
        loop {
            if !is_over(self.acknowledged) {
                self.fill()?;
            } else if self.acknowledged == self.published {
                return Ok(self.acknowledged);
            }
            self.take_acknowledgements()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.output.clear();
        while self.published - self.acknowledged < self.window {
            self.append();
            self.published += 1;
        }
        self.stream.write_all(&self.output)
    }

    fn append(&mut self) {
        self.output.extend_from_slice(&self.template);
        let id = u16::try_from(self.published % u64::from(u16::MAX)).map_or(1, |place| place + 1);
        let behind_topic = self.output.len() - self.payload_bytes;
        let (ahead, payload) = self.output.split_at_mut(behind_topic);
        if let (Some(place), Some(number)) = (ahead.last_chunk_mut(), payload.first_chunk_mut()) {
            *place = id.to_be_bytes();
            *number = self.published.to_be_bytes();
        }
    }

    /// Nothing but PUBACKs comes here.
    fn take_acknowledgements(&mut self) -> io::Result<()> {
        let count = self.stream.read(&mut self.input)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = self.odd + count;
        self.odd = bytes % ACK_BYTES;
        self.acknowledged += (bytes / ACK_BYTES) as u64;
        Ok(())
    }
}
