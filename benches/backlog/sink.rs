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

/// The longest time without a new sample in the middle of a drain; the gateway itself gives up a connection earlier.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

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
    connections: u64,
    longest_silence: Duration,
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

impl Tally {
    /// How many of `count` are missing, and from where to where.
    fn missing(&self, count: u64) -> String {
        let has_come =
            |sequence: u64| usize::try_from(sequence).is_ok_and(|index| self.has_come.get(index) == Some(&true));
        let missing: Vec<_> = (0..count).filter(|sequence| !has_come(*sequence)).collect();
        format!("{} are missing, from {:?} to {:?}", missing.len(), missing.first(), missing.last())
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distinct, copies, late, own, connections, longest_silence, .. } = self;
        writeln!(
            f,
            "{distinct} different samples came, {copies} copies, {late} out of order, {own} of the gateway's own"
        )?;
        write!(f, "over {connections} connections; the longest silence was {:.2} s", longest_silence.as_secs_f64())
    }
}

/// The broker, with the one connection of the gateway.
pub(crate) struct Sink {
    listener: TcpListener,
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
        let stream = accept(&listener)?;
        let tally = Tally { connections: 1, ..Tally::default() };
        Ok(Self {
            listener,
            stream,
            version: ProtocolVersion::V311,
            input: Vec::new(),
            scratch: vec![0; 64 << 10],
            tally,
        })
    }

    /// Takes and acknowledges until `count` different samples are there.
    pub(crate) fn take(&mut self, count: u64) -> io::Result<()> {
        let (mut distinct, mut since) = (0, clock::monotonic());
        while self.tally.distinct < count {
            match self.read() {
                Err(error) if is_silence(&error) => {}
                result => result?,
            }
            let now = clock::monotonic();
            if self.tally.distinct > distinct {
                self.tally.longest_silence = self.tally.longest_silence.max(now.since(since));
                (distinct, since) = (self.tally.distinct, now);
            } else if now.since(since) > SILENCE_MAX {
                return Err(io::Error::new(ErrorKind::TimedOut, self.tally.missing(count)));
            }
        }
        Ok(())
    }

    /// Takes what still comes in this time.
    pub(crate) fn linger(&mut self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))?;
        let started = clock::monotonic();
        while clock::monotonic().since(started) < time {
            match self.read() {
                Err(error) if is_silence(&error) => break,
                result => result?,
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let length = self.stream.read(&mut self.scratch)?;
        if length == 0 {
            self.stream = accept(&self.listener)?;
            self.input.clear();
            self.tally.connections += 1;
            return Ok(());
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

/// The next connection of the gateway.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let stream = poll(PATIENCE, || match listener.accept() {
        Ok((stream, _)) => Ok(Some(stream)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    })?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    Ok(stream)
}
