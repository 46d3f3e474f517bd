//! A publisher of samples with QoS 1, as fast as they are acknowledged.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sensegate::mqtt::{Packet, PacketId, ProtocolVersion, Publish, QoS, encode};

use crate::client::Client;
use crate::samples;

/// Messages that are not acknowledged at one time.
const WINDOW: u64 = 500;

/// How long an acknowledgement may take: disks stall.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of a PUBACK.
const ACK_BYTES: usize = 4;

pub(crate) struct Filler {
    stream: TcpStream,
    published: u64,
    acknowledged: u64,
    input: Vec<u8>,
    /// Bytes of an acknowledgement whose end has not come yet.
    odd: usize,
}

impl Filler {
    pub(crate) fn new(client: Client) -> io::Result<Self> {
        let stream = TcpStream::from(client);
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, published: 0, acknowledged: 0, input: vec![0; 64 * 1024], odd: 0 })
    }

    /// Publishes the samples from 0 to below `count`, until all of them are acknowledged.
    pub(crate) fn publish(mut self, count: u64) -> io::Result<()> {
        while self.acknowledged < count {
            self.fill(count)?;
            self.take_acknowledgements()?;
        }
        Ok(())
    }

    fn fill(&mut self, count: u64) -> io::Result<()> {
        let mut output = Vec::new();
        while self.published < count && self.published - self.acknowledged < WINDOW {
            let id = u16::try_from(self.published % u64::from(u16::MAX)).map_or(1, |place| place + 1);
            let json = samples::json(self.published);
            let publish = Publish {
                qos: QoS::AtLeastOnce,
                packet_id: PacketId::new(id),
                ..Publish::new(samples::TOPIC, json.as_bytes())
            };
            encode(&Packet::Publish(publish), ProtocolVersion::V311, &mut output);
            self.published += 1;
        }
        self.stream.write_all(&output)
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
