//! One publisher and its subscribers on one thread, in a closed loop: no more than a window of messages is on its way.
//!
//! Packets are encoded beforehand and only patched, reads take up to 256 KB, and everything that is due to one socket
//! leaves in one write, so that the broker is what is measured. Every message carries its number: subscribers see
//! what is lost, doubled or out of order.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sensegate::base::clock;
use sensegate::mqtt::{PacketId, ProtocolVersion, PublishTemplate, QoS};

use crate::broker::Broker;
use crate::client::Client;

const TOPIC: &str = "bench/load";
const PAYLOAD_BYTES: usize = 64;
const READ_BYTES_MAX: usize = 256 * 1024;

/// After this long without a packet, what is missing is lost.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What is loaded onto a broker.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) qos: QoS,
    pub(crate) subscribers: u32,
    /// Messages that are published but not yet delivered to all and acknowledged.
    pub(crate) window: u64,
}

/// What came of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) deliveries: u64,
    /// Deliveries that never came, came twice or came in the wrong order.
    pub(crate) wrong: u64,
    /// Deliveries a second.
    pub(crate) rate: f64,
    /// The broker's processor time a delivery, in microseconds.
    pub(crate) cpu_us: f64,
}

/// Loads `broker` for `duration`, and waits for what is on its way.
pub(crate) fn run(broker: &Broker, case: Case, duration: Duration) -> io::Result<Outcome> {
    let mut load = Load::connect(broker.port, case)?;
    load.run(duration / 10)?;
    let warm = load.counts;
    let (cpu, started) = (broker.process.cpu()?, clock::monotonic());
    load.run(duration)?;
    let (elapsed, cpu) = (clock::monotonic().since(started), broker.process.cpu()?.saturating_sub(cpu));
    let deliveries = load.counts.deliveries - warm.deliveries;
    Ok(Outcome {
        deliveries,
        wrong: load.counts.wrong + load.expected().saturating_sub(load.counts.deliveries),
        rate: per(number(deliveries), elapsed.as_secs_f64()),
        cpu_us: per(cpu.as_secs_f64() * 1e6, number(deliveries)),
    })
}

#[derive(Clone, Copy, Default)]
struct Counts {
    published: u64,
    /// By PUBACK or PUBCOMP; with QoS 0 all that are published.
    acknowledged: u64,
    deliveries: u64,
    wrong: u64,
}

struct Load {
    case: Case,
    poll: Poll,
    events: Events,
    /// The publisher first.
    peers: Vec<Peer>,
    scratch: Vec<u8>,
    template: Template,
    counts: Counts,
}

/// One connection.
struct Peer {
    stream: TcpStream,
    /// The beginning of a packet whose end has not come yet.
    partial: Vec<u8>,
    output: Vec<u8>,
    /// The number of the message that a subscriber is to get next.
    next: u64,
}

impl Load {
    fn connect(port: u16, case: Case) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut peers = Vec::new();
        for number in 0..=case.subscribers {
            let mut client = Client::connect(port, format!("load-{number}"))?;
            if number > 0 {
                client.subscribe(TOPIC, case.qos)?;
            }
            peers.push(Peer::register(client, &poll, peers.len())?);
        }
        Ok(Self {
            case,
            poll,
            events: Events::with_capacity(256),
            peers,
            scratch: vec![0; READ_BYTES_MAX],
            template: Template::new(case.qos),
            counts: Counts::default(),
        })
    }

    fn run(&mut self, duration: Duration) -> io::Result<()> {
        let end = clock::monotonic() + duration;
        let mut heard = clock::monotonic();
        loop {
            let now = clock::monotonic();
            if now < end {
                self.publish()?;
            } else if self.is_done() || now.since(heard) > SILENCE_MAX {
                return Ok(());
            }
            self.poll.poll(&mut self.events, Some(Duration::from_millis(20)))?;
            if !self.events.is_empty() {
                heard = now;
            }
            self.handle_events()?;
        }
    }

    fn expected(&self) -> u64 {
        self.counts.published * u64::from(self.case.subscribers)
    }

    fn is_done(&self) -> bool {
        self.counts.deliveries >= self.expected() && self.counts.acknowledged >= self.counts.published
    }

    /// Fills the window up in one write.
    fn publish(&mut self) -> io::Result<()> {
        let counts = &mut self.counts;
        let delivered = counts.deliveries / u64::from(self.case.subscribers);
        let done = delivered.min(counts.acknowledged);
        let Some(publisher) = self.peers.first_mut() else { return Ok(()) };
        while counts.published - done < self.case.window {
            self.template.append(counts.published, &mut publisher.output);
            counts.published += 1;
        }
        if self.case.qos == QoS::AtMostOnce {
            counts.acknowledged = counts.published;
        }
        publisher.flush()
    }

    fn handle_events(&mut self) -> io::Result<()> {
        for event in &self.events {
            let Some(peer) = self.peers.get_mut(event.token().0) else { continue };
            if event.is_readable() {
                peer.read(&mut self.scratch, &mut self.counts)?;
            }
            peer.flush()?;
        }
        Ok(())
    }
}

impl Peer {
    fn register(client: Client, poll: &Poll, token: usize) -> io::Result<Self> {
        let stream = std::net::TcpStream::from(client);
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, partial: Vec::new(), output: Vec::new(), next: 0 })
    }

    /// Reads until a short read says that the socket is empty.
    fn read(&mut self, scratch: &mut [u8], counts: &mut Counts) -> io::Result<()> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.take(scratch.get(..count).unwrap_or_default(), counts);
            if count < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: &[u8], counts: &mut Counts) {
        if self.partial.is_empty() {
            let rest = self.handle_packets(bytes, counts);
            self.partial.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let rest = self.handle_packets(&joined, counts).len();
            joined.drain(..joined.len() - rest);
            self.partial = joined;
        }
    }

    /// Handles all whole packets; gives what is left. No packet here is longer than 127 bytes.
    fn handle_packets<'a>(&mut self, mut bytes: &'a [u8], counts: &mut Counts) -> &'a [u8] {
        while let [first, length, rest @ ..] = bytes
            && let Some((body, behind)) = rest.split_at_checked(usize::from(*length))
        {
            self.handle_packet(*first, body, counts);
            bytes = behind;
        }
        bytes
    }

    fn handle_packet(&mut self, first: u8, body: &[u8], counts: &mut Counts) {
        match (first >> 4, body) {
            (3, _) => self.handle_publish(first, body, counts),
            (4 | 7, _) => counts.acknowledged += 1,
            // PUBREC is answered with PUBREL, PUBREL with PUBCOMP
            (5, [high, low]) => self.output.extend_from_slice(&[0x62, 2, *high, *low]),
            (6, [high, low]) => self.output.extend_from_slice(&[0x70, 2, *high, *low]),
            _ => counts.wrong += 1,
        }
    }

    fn handle_publish(&mut self, first: u8, body: &[u8], counts: &mut Counts) {
        let number = body.split_last_chunk::<PAYLOAD_BYTES>().and_then(|(_, payload)| payload.first_chunk());
        counts.deliveries += 1;
        counts.wrong += u64::from(number != Some(&self.next.to_be_bytes()));
        self.next += 1;
        if let (Some(answer), Some([high, low])) = (answer_to(first), body.get(2 + TOPIC.len()..4 + TOPIC.len())) {
            self.output.extend_from_slice(&[answer, 2, *high, *low]);
        }
    }

    /// Writes what waits; the rest goes when the socket is writable again.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first byte of PUBACK or PUBREC; none with QoS 0.
fn answer_to(publish: u8) -> Option<u8> {
    match publish >> 1 & 0b11 {
        1 => Some(0x40),
        2 => Some(0x50),
        _ => None,
    }
}

/// A PUBLISH in which only the packet identifier and the message's number change.
struct Template {
    bytes: Vec<u8>,
    has_packet_id: bool,
}

impl Template {
    fn new(qos: QoS) -> Self {
        let template = PublishTemplate::new(TOPIC, &[0; PAYLOAD_BYTES], qos, false, ProtocolVersion::V311);
        let mut bytes = Vec::new();
        template.frame(PacketId::new(1), false).append_to(&mut bytes);
        Self { bytes, has_packet_id: qos != QoS::AtMostOnce }
    }

    fn append(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let Some((ahead, payload)) = out.split_last_chunk_mut::<PAYLOAD_BYTES>() else { return };
        if let Some(place) = payload.first_chunk_mut() {
            *place = number.to_be_bytes();
        }
        if self.has_packet_id
            && let Some(place) = ahead.last_chunk_mut()
        {
            *place = packet_id(number).to_be_bytes();
        }
    }
}

/// 1 to 65535, then 1 again: none is used twice within a window.
fn packet_id(number: u64) -> u16 {
    u16::try_from(number % u64::from(u16::MAX)).map_or(1, |place| place + 1)
}

/// Microseconds from one message's publishing to its delivery, at `rate` messages a second.
pub(crate) fn latencies_us(broker: &Broker, rate: u32, duration: Duration) -> io::Result<Vec<f64>> {
    let mut client = Client::connect(broker.port, "latency".into())?;
    client.subscribe(TOPIC, QoS::AtMostOnce)?;
    let template = Template::new(QoS::AtMostOnce);
    let (interval, mut packet) = (Duration::from_secs(1) / rate, Vec::new());
    let (mut latencies, mut due) = (Vec::new(), clock::monotonic());
    let end = due + duration;
    while due < end {
        let now = clock::monotonic();
        std::thread::sleep(due.since(now));
        // a message that had to wait for the one before it was late from the moment it was due
        let published = if now > due { due } else { clock::monotonic() };
        packet.clear();
        template.append(number_of(&latencies), &mut packet);
        client.write_all(&packet)?;
        client.next_message()?;
        latencies.push(clock::monotonic().since(published).as_secs_f64() * 1e6);
        due = due + interval;
    }
    Ok(latencies)
}

fn number_of(latencies: &[f64]) -> u64 {
    u64::try_from(latencies.len()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

fn per(amount: f64, unit: f64) -> f64 {
    if unit > 0.0 { amount / unit } else { f64::NAN }
}
