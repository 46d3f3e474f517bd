//! The uplink's machine: what happens on three connections goes in, what is to be done on them comes out.
//!
//! No I/O, no clock, no task: equal inputs give equal outputs. A message is acknowledged at the local broker only when
//! the far side has acknowledged it; what the far side has not acknowledged when its connection ends is sent again on
//! the next, in order.
//!
//! `local` and `far` take in what happens on the two sides, `pump` moves everything on behind each of them.

mod far;
mod local;
mod pump;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::boots::Boots;
use super::carried::{Carried, SampleId};
use super::inbox::Inbox;
use super::lane::{Lane, Side};
use super::stamps::{Now, Stamps};
use super::work::Work;
use crate::base::clock::Monotonic;
use crate::client::{Publication, Terms};
use crate::mqtt::{PacketId, Subscription, TopicName};

/// How long a far side that refuses a message for now is left alone.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// How much more patience there is with a message when the far side has taken none since the one before was put aside.
const UNPROVEN_FACTOR: u32 = 10;

/// Messages of QoS 0 wait behind so many others at most; one more is left out and counted.
const UNACKNOWLEDGED_MAX: usize = 1000;

/// Stands for a message that the machine asked to publish, until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token(pub(super) u64);

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Publish to the far side; with QoS 1 its answer is told to [`Machine::handle_far_answer`].
    PublishFar(Token, Publication),
    /// Publish to the local broker; its answer is told to [`Machine::handle_local_answer`].
    PublishLocal(Token, Publication),
    /// Acknowledge at the local broker.
    AcknowledgeLocal(Side, PacketId),
    /// Acknowledge at the far side.
    AcknowledgeFar(PacketId),
    /// Leave the far side and connect anew, for this reason.
    Reconnect(String),
}

/// The machine's limits, and the topics it knows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Messages under way to the far side, unless it takes fewer.
    pub(super) inflight_max: usize,
    /// The longest time that the far side may take to acknowledge; then the connection is made anew.
    pub(super) ack_timeout: Duration,
    /// Connections in a row that one message may end before it is rejected.
    pub(super) strikes_max: u32,
    /// How long a sample may wait for the time to become known.
    pub(super) clock_wait: Duration,
    /// Where samples come from.
    pub(super) samples: TopicName,
    /// Where rejected messages go.
    pub(super) rejected: TopicName,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Messages of the local broker that the far side has acknowledged.
    pub(super) acknowledged: u64,
    /// Messages that can never be sent and were put aside.
    pub(super) rejected: u64,
    /// Messages of QoS 0 that came while there was no connection.
    pub(super) missed: u64,
    /// Messages of the far side that the local broker has.
    pub(super) received: u64,
}

/// A message that may be what ends connections.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    number: u64,
    strikes: u32,
}

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    limits: Limits,
    work: Work,
    boots: Boots,
    backlog: Lane,
    live: Lane,
    stamps: [Stamps; 2],
    /// Samples that the live lane has carried.
    carried: Carried,
    /// The newest sample that the backlog has drawn.
    reached: Option<SampleId>,
    /// Which lane published last.
    last: Side,
    /// The connection to the far side, while it stands.
    far: Option<Terms>,
    /// When what is under way was sent.
    under_way: BTreeMap<Token, Monotonic>,
    inbox: Inbox,
    /// Messages that the local broker takes at a time; none while there is no connection.
    local_max: usize,
    suspect: Option<Suspect>,
    /// Whether the far side has taken a message since one was put aside for ending connections. Who takes none is more
    /// likely out of order than offered nothing but such messages.
    is_proven: bool,
    paused_until: Option<Monotonic>,
    /// When the kind of uplink wants to be asked again.
    wake: Option<Monotonic>,
    retry_local: Option<Monotonic>,
    is_leaving: bool,
    tally: Tally,
    next: u64,
    outputs: VecDeque<Output>,
}

impl Machine {
    pub(super) fn new(limits: Limits, work: Work, boots: Boots) -> Self {
        Self {
            limits,
            work,
            boots,
            backlog: Lane::default(),
            live: Lane::default(),
            stamps: Default::default(),
            carried: Carried::default(),
            reached: None,
            last: Side::Backlog,
            far: None,
            under_way: BTreeMap::new(),
            inbox: Inbox::default(),
            local_max: 0,
            suspect: None,
            is_proven: true,
            paused_until: None,
            wake: None,
            retry_local: None,
            is_leaving: false,
            tally: Tally::default(),
            next: 0,
            outputs: VecDeque::new(),
        }
    }

    /// What was counted.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Messages under way to the far side, and messages of the local broker that are not acknowledged there.
    pub(super) fn under_way(&self) -> (usize, usize) {
        (self.under_way.len(), self.backlog.len())
    }

    /// What is wanted of the local broker.
    pub(super) fn local_subscriptions(&self) -> Vec<Subscription> {
        self.work.local_subscriptions()
    }

    /// What is wanted of the far side.
    pub(super) fn far_subscriptions(&self) -> Vec<Subscription> {
        self.work.far_subscriptions()
    }

    pub(super) fn work_mut(&mut self) -> &mut Work {
        &mut self.work
    }

    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    /// The next thing to do.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        let late = self.under_way.values().min().map(|sent| *sent + self.limits.ack_timeout);
        let paused = self.paused_until.filter(|_| self.far.is_some());
        let wake = self.wake.filter(|_| self.far.is_some());
        [late, paused, wake, self.retry_local].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(in crate::uplink) fn handle_timeout(&mut self, now: Now) {
        if self.paused_until.is_some_and(|until| until <= now.monotonic) {
            self.paused_until = None;
        }
        if self.retry_local.is_some_and(|at| at <= now.monotonic) {
            self.publish_again();
        }
        let is_late = |sent: &Monotonic| *sent + self.limits.ack_timeout <= now.monotonic;
        if self.under_way.values().any(is_late) {
            let seconds = self.limits.ack_timeout.as_secs_f64();
            let reason = format!("no acknowledgement for {seconds} s");
            self.outputs.push_back(Output::Reconnect(reason));
            // said once; the end of the connection follows
            self.under_way.clear();
            return;
        }
        self.pump(now);
    }

    /// The wall clock is right.
    pub(in crate::uplink) fn handle_synchronised(&mut self, now: Now) {
        self.boots.handle_synchronised(now.monotonic, now.wall);
    }

    /// The gateway stops: what the far side is to hear last, and nothing behind it.
    pub(in crate::uplink) fn handle_leave(&mut self, now: Now) -> Option<Publication> {
        self.is_leaving = true;
        self.far.as_ref()?;
        let farewell = self.work.farewell(now)?;
        Some(self.fitted(farewell))
    }

    pub(super) fn lane_mut(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Backlog => &mut self.backlog,
            Side::Live => &mut self.live,
        }
    }

    fn stamps_mut(&mut self, side: Side) -> &mut Stamps {
        let [backlog, live] = &mut self.stamps;
        match side {
            Side::Backlog => backlog,
            Side::Live => live,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn token(&mut self) -> Token {
        Token(self.number())
    }
}
