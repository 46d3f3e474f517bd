//! The far side: a broker that acknowledges everything at once, passes nothing on, and looks at numbers.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::{Acknowledgement, ConnAck, Decoded, Packet, ProtocolVersion, ReasonCode, decode, encode};
use sensegate::sensors::SampleMessage;

use crate::{poll, samples};

/// How long the gateway may take to come: it looks for its far side once a minute at least.
const PATIENCE: Duration = Duration::from_secs(100);

/// The longest silence in the middle of a drain.
const SILENCE_MAX: Duration = Duration::from_secs(30);

const PACKET_BYTES_MAX: usize = 1 << 20;

/// What came.
#[derive(Default)]
pub(crate) struct Tally {
    has_come: Vec<bool>,
    distinct: u64,
    copies: u64,
    /// Samples that came behind one with a greater number.
    late: u64,
    newest: u64,
    /// Samples of the gateway's own.
    own: u64,
}

impl Tally {
    fn add(&mut self, payload: &[u8]) -> io::Result<()> {
        let sample = SampleMessage::from_json(payload).map_err(io::Error::other)?;
        if sample.boot_id != samples::BOOT_ID {
            self.own += 1;
            return Ok(());
        }
        let index = usize::try_from(sample.sequence).map_err(io::Error::other)?;
        if self.has_come.len() <= index {
            self.has_come.resize(index + 1, false);
        }
        let has_come = self.has_come.get_mut(index).is_some_and(|has_come| std::mem::replace(has_come, true));
        self.copies += u64::from(has_come);
        self.distinct += u64::from(!has_come);
        self.late += u64::from(!has_come && sample.sequence < self.newest);
        self.newest = self.newest.max(sample.sequence);
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distinct, copies, late, own, .. } = self;
        write!(f, "{distinct} different samples came, {copies} copies, {late} out of order, {own} of the gateway's own")
    }
}

/// A connection of the gateway.
pub(crate) struct Sink {
    stream: TcpStream,
    version: ProtocolVersion,
    input: Vec<u8>,
    scratch: Vec<u8>,
    pub(crate) tally: Tally,
}

impl Sink {
    /// Listens until the gateway has connected.
    pub(crate) fn accept(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let stream = poll(PATIENCE, || match listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        })?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let version = ProtocolVersion::V311;
        Ok(Self { stream, version, input: Vec::new(), scratch: vec![0; 64 << 10], tally: Tally::default() })
    }

    /// Takes and acknowledges until `count` different samples are there.
    pub(crate) fn take(&mut self, count: u64) -> io::Result<()> {
        while self.tally.distinct < count {
            self.read()?;
        }
        Ok(())
    }

    /// Takes what still comes in this time.
    pub(crate) fn linger(&mut self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))?;
        let started = clock::monotonic();
        while clock::monotonic().since(started) < time {
            match self.read() {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                result => result?,
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let length = self.stream.read(&mut self.scratch)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(self.scratch.get(..length).unwrap_or_default());
        let (mut answers, mut taken) = (Vec::new(), 0);
        while let Some(length) = self.take_packet(taken, &mut answers)? {
            taken += length;
        }
        self.input.drain(..taken);
        self.stream.write_all(&answers)
    }

    /// Handles the packet that begins at `start`; gives its length, `None` while it is not whole.
    fn take_packet(&mut self, start: usize, answers: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let rest = self.input.get(start..).unwrap_or_default();
        let (packet, length) = match decode(rest, self.version, PACKET_BYTES_MAX).map_err(io::Error::other)? {
            Decoded::Packet { packet, length } => (packet, length),
            Decoded::Incomplete { .. } => return Ok(None),
        };
        let answer = match packet {
            Packet::Connect(connect) => {
                self.version = connect.version;
                Some(Packet::ConnAck(ConnAck::new(false, ReasonCode::Success)))
            }
            Packet::Publish(publish) => {
                self.tally.add(publish.payload)?;
                publish.packet_id.map(|packet_id| Packet::PubAck(Acknowledgement::success(packet_id)))
            }
            Packet::PingReq => Some(Packet::PingResp),
            _ => None,
        };
        if let Some(answer) = answer {
            encode(&answer, self.version, answers);
        }
        Ok(Some(length))
    }
}
