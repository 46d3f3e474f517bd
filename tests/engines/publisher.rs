//! A publisher that counts: its payloads are 1, 2, 3 and so on, and it goes on from what was not acknowledged.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::PacketId;

use crate::connection::{Connection, Login, Received};
use crate::place::Place;
use crate::server::{ENGINE_PATIENCE, within};
use crate::support::POLL;

/// How long one publish may wait for its acknowledgement before the connection is given up.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What is published, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Tried one after the other, from the first on.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) topic: String,
    /// How many may wait for their acknowledgements; 1 is one at a time.
    pub(crate) window: usize,
    /// The rest between two of them.
    pub(crate) rest: Duration,
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// The last number; it and all before it are acknowledged.
    pub(crate) last: u64,
    /// How many went out once more, because their connection ended first.
    pub(crate) repeated: u64,
    /// How many connections ended by themselves.
    pub(crate) cuts: u64,
}

/// A thread that publishes until it is stopped.
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    thread: JoinHandle<Published>,
}

#[derive(Default)]
struct Shared {
    is_stopping: AtomicBool,
    acknowledged: AtomicU64,
}

impl Publisher {
    /// Starts to publish from `place`, with QoS 1 and clean sessions. It need not be there yet whom it publishes to.
    pub(crate) fn start(place: &Place, plan: Plan) -> Self {
        let shared = Arc::new(Shared::default());
        let work = Work::new(plan, Arc::clone(&shared));
        Self { shared, thread: place.spawn(|| work.run()) }
    }

    /// The number up to which everything is acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `count` more are acknowledged than now.
    pub(crate) fn wait_for_more(&self, count: u64) {
        let goal = self.acknowledged() + count;
        let reached = within(ENGINE_PATIENCE, || (self.acknowledged() >= goal).then_some(()));
        assert!(reached.is_some(), "{} acknowledged, not {goal}", self.acknowledged());
    }

    /// Publishes nothing new, waits until everything is acknowledged, and ends.
    pub(crate) fn stop(self) -> Published {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

struct Work {
    plan: Plan,
    shared: Arc<Shared>,
    login: Login,
    /// What waits for its acknowledgement, and since when, in increasing order.
    in_flight: VecDeque<(u64, Monotonic)>,
    sent: u64,
    next_at: Monotonic,
    published: Published,
}

impl Work {
    fn new(plan: Plan, shared: Arc<Shared>) -> Self {
        let login = Login::passing(&format!("counts-{}", fastrand::u32(..)));
        let (in_flight, published) = (VecDeque::new(), Published::default());
        Self { plan, shared, login, in_flight, sent: 0, next_at: clock::monotonic(), published }
    }

    fn run(mut self) -> Published {
        let mut addresses = self.plan.addresses.clone().into_iter().cycle();
        let mut stops_at = None;
        loop {
            let address = addresses.next().unwrap();
            let connected = Connection::open(address, &self.login);
            let ended = connected.and_then(|(connection, _)| {
                let ended = self.publish_over(connection);
                self.published.cuts += u64::from(ended.is_err());
                ended
            });
            let Err(error) = ended else {
                return Published { last: self.acknowledged(), ..self.published };
            };
            if self.is_stopping() {
                let deadline = *stops_at.get_or_insert_with(|| clock::monotonic() + ENGINE_PATIENCE);
                assert!(clock::monotonic() < deadline, "unacknowledged: {:?}; {error}", self.in_flight);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Publishes until everything is acknowledged after the stop, or the connection ends.
    fn publish_over(&mut self, mut connection: Connection) -> io::Result<()> {
        for (sequence, since) in &mut self.in_flight {
            *since = clock::monotonic();
            self.published.repeated += 1;
            connection.publish(&self.plan.topic, sequence.to_string().as_bytes(), packet_id(*sequence))?;
        }
        loop {
            if self.is_stopping() && self.in_flight.is_empty() {
                connection.disconnect();
                return Ok(());
            }
            self.publish_what_is_due(&mut connection)?;
            let wait = self.next_at.since(clock::monotonic()).clamp(Duration::from_millis(1), POLL);
            if let Some(Received::PubAck(id)) = connection.receive(wait)? {
                self.in_flight.retain(|(sequence, _)| packet_id(*sequence) != id);
                self.shared.acknowledged.store(self.acknowledged(), Ordering::Relaxed);
            }
            let is_late = |(_, since): &(u64, Monotonic)| clock::monotonic().since(*since) > ANSWER_MAX;
            if self.in_flight.front().is_some_and(is_late) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    fn publish_what_is_due(&mut self, connection: &mut Connection) -> io::Result<()> {
        let now = clock::monotonic();
        while !self.is_stopping() && self.in_flight.len() < self.plan.window && self.next_at <= now {
            self.sent += 1;
            self.in_flight.push_back((self.sent, now));
            self.next_at = now.max(self.next_at) + self.plan.rest;
            connection.publish(&self.plan.topic, self.sent.to_string().as_bytes(), packet_id(self.sent))?;
        }
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.in_flight.front().map_or(self.sent, |(sequence, _)| sequence - 1)
    }

    fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Relaxed)
    }
}

/// 1 to 65 535 in a circle.
fn packet_id(sequence: u64) -> PacketId {
    let number = (sequence - 1) % u64::from(u16::MAX) + 1;
    PacketId::new(u16::try_from(number).unwrap()).unwrap()
}
