//! The uplink's machine: what happens on three connections goes in, what is to be done on them comes out.
//!
//! No I/O, no clock, no task: equal inputs give equal outputs. A message is acknowledged at the local broker only when
//! the far side has acknowledged it; what the far side has not acknowledged when its connection ends is sent again on
//! the next, in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::json;

use super::boots::Boots;
use super::carried::{Carried, SampleId};
use super::inbox::Inbox;
use super::lane::{Entry, Lane, Side, Stage};
use super::stamps::{Now, Stamps};
use super::work::{Draw, Receive, Work};
use crate::base::clock::Monotonic;
use crate::client::{Loss, Message, Publication, Terms};
use crate::mqtt::{PacketId, QoS, ReasonCode, Subscription, TopicName};
use crate::sensors::SampleMessage;

/// How long a far side that refuses a message for now is left alone.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// Messages of QoS 0 wait behind so many others at most; one more is left out and counted.
const UNACKNOWLEDGED_MAX: usize = 1000;

/// Bytes of a PUBLISH beside topic, payload and properties: header, lengths, identifier, expiry.
const PUBLISH_OVERHEAD_MAX: usize = 5 + 2 + 2 + 4 + 5;

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
    /// The connection to the far side, while it stands.
    far: Option<Terms>,
    /// When what is under way was sent.
    under_way: BTreeMap<Token, Monotonic>,
    inbox: Inbox,
    suspect: Option<Suspect>,
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
            far: None,
            under_way: BTreeMap::new(),
            inbox: Inbox::default(),
            suspect: None,
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
    pub(super) fn handle_timeout(&mut self, now: Now) {
        if self.paused_until.is_some_and(|until| until <= now.monotonic) {
            self.paused_until = None;
        }
        if self.retry_local.is_some_and(|at| at <= now.monotonic) {
            self.handle_local_up();
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
    pub(super) fn handle_synchronised(&mut self, now: Now) {
        self.boots.handle_synchronised(now.monotonic, now.wall);
    }

    /// The session at the local broker stands, and so do its subscriptions.
    pub(super) fn handle_local_up(&mut self) {
        self.retry_local = None;
        let again =
            self.inbox.unsettled().map(|(token, publication)| Output::PublishLocal(*token, publication.clone()));
        self.outputs.extend(again);
    }

    /// A local session's connection has ended: it sends again what it was not acknowledged.
    pub(super) fn handle_local_lost(&mut self, side: Side) {
        match side {
            Side::Backlog => {
                self.backlog.clear();
                self.suspect = None;
            }
            Side::Live => self.live.clear(),
        }
    }

    /// A message of the local broker.
    pub(super) fn handle_local_message(&mut self, side: Side, message: Message, now: Now) {
        let sample = if message.topic == self.limits.samples.as_str() {
            SampleMessage::from_json(&message.payload).ok()
        } else {
            None
        };
        let is_kept = match (side, message.qos) {
            (Side::Backlog, QoS::AtMostOnce) => self.far.is_some() && self.backlog.len() < UNACKNOWLEDGED_MAX,
            (Side::Backlog, _) => true,
            (Side::Live, _) => self.far.is_some(),
        };
        let stage = if is_kept { Stage::Waiting } else { Stage::Settled };
        if !is_kept && side == Side::Backlog {
            self.tally.missed += 1;
        }
        let number = self.number();
        self.lane_mut(side).push(Entry { number, message, sample, stamp: None, stage });
        self.pump(now);
    }

    /// The local broker has answered what was published there.
    pub(super) fn handle_local_answer(&mut self, token: Token, reason: ReasonCode, now: Now) {
        if reason.is_failure() {
            // a full disk, for example: what is to be there is published once more
            self.retry_local = Some(now.monotonic + REFUSED_WAIT);
            return;
        }
        if self.inbox.settle(token) {
            self.tally.received += 1;
        } else {
            self.backlog.settle(token);
            self.live.settle(token);
        }
        self.pump(now);
    }

    /// The far side has accepted, on these terms.
    pub(super) fn handle_far_up(&mut self, terms: Terms, now: Now) {
        self.work.handle_far_up(&terms);
        self.far = Some(terms);
        self.paused_until = None;
        if let Some(birth) = self.work.birth(now) {
            let birth = self.fitted(birth);
            let token = self.token();
            self.outputs.push_back(Output::PublishFar(token, birth));
        }
        self.pump(now);
    }

    /// The connection to the far side has ended. Who ended it may have done so because of what was sent last.
    pub(super) fn handle_far_lost(&mut self, loss: &Loss, now: Now) {
        self.far = None;
        self.under_way.clear();
        self.wake = None;
        if loss.is_by_peer() && !self.is_leaving {
            self.blame();
        }
        self.live.rewind(|_| true);
        let live = self.live.waiting().count();
        // the backlog has all of it
        self.live.begin(live, Stage::Settled);
        self.backlog.rewind(|_| true);
        self.inbox.handle_far_lost();
        if let Some(suspect) = self.suspect.filter(|suspect| suspect.strikes >= self.limits.strikes_max)
            && self.backlog.waiting().next().is_some_and(|entry| entry.number == suspect.number)
        {
            let strikes = suspect.strikes;
            self.reject(Side::Backlog, &format!("{strikes} connections in a row ended behind it: {loss}"), now);
            self.suspect = None;
        }
        self.pump(now);
    }

    /// Suspects the oldest message that was not answered: what came before it was taken.
    fn blame(&mut self) {
        let Some(number) = self.backlog.first_sent().map(|entry| entry.number) else { return };
        let earlier = self.suspect.filter(|suspect| suspect.number == number).map_or(0, |suspect| suspect.strikes);
        self.suspect = Some(Suspect { number, strikes: earlier + 1 });
    }

    /// The far side has answered a message.
    pub(super) fn handle_far_answer(&mut self, token: Token, reason: ReasonCode, now: Now) {
        if self.under_way.remove(&token).is_none() {
            return;
        }
        if reason.is_failure() {
            self.handle_refused(token, reason, now);
        } else {
            self.settle(token);
        }
        self.pump(now);
    }

    fn settle(&mut self, token: Token) {
        let live: Vec<SampleId> = self.live.settle(token).into_iter().filter_map(Entry::sample_id).collect();
        live.iter().for_each(|id| self.carried.insert(id));
        let settled = self.backlog.settle(token);
        let is_cleared = self.suspect.is_some_and(|suspect| settled.iter().any(|entry| entry.number == suspect.number));
        self.tally.acknowledged += (live.len() + settled.len()) as u64;
        if is_cleared {
            self.suspect = None;
        }
    }

    /// Version 5 says why: for good, or for now.
    fn handle_refused(&mut self, token: Token, reason: ReasonCode, now: Now) {
        let side = if self.live.rewind(|of| of == token) > 0 { Side::Live } else { Side::Backlog };
        let count = if side == Side::Live { 1 } else { self.backlog.rewind(|of| of == token) };
        match reason {
            ReasonCode::NotAuthorized
            | ReasonCode::TopicNameInvalid
            | ReasonCode::PayloadFormatInvalid
            | ReasonCode::PacketTooLarge
                if count == 1 =>
            {
                self.reject(side, &reason.to_string(), now);
            }
            ReasonCode::NotAuthorized
            | ReasonCode::TopicNameInvalid
            | ReasonCode::PayloadFormatInvalid
            | ReasonCode::PacketTooLarge => {
                // one of several: they go one by one
                let first = self.backlog.waiting().next();
                self.suspect = first.map(|entry| Suspect { number: entry.number, strikes: 0 });
            }
            _ => self.paused_until = Some(now.monotonic + REFUSED_WAIT),
        }
    }

    /// A message of the far side.
    pub(super) fn handle_far_message(&mut self, message: &Message, now: Now) {
        let Some(terms) = &self.far else { return };
        if message.qos == QoS::AtMostOnce && self.inbox.len() >= UNACKNOWLEDGED_MAX {
            self.tally.missed += 1;
            return;
        }
        let publication = match self.work.receive(message, terms, now) {
            Receive::Publish(publication) => {
                let token = self.token();
                self.outputs.push_back(Output::PublishLocal(token, publication.clone()));
                Some((token, publication))
            }
            Receive::Drop => None,
        };
        self.inbox.push(message.packet_id, publication);
        self.pump(now);
    }

    /// The gateway stops: what the far side is to hear last, and nothing behind it.
    pub(super) fn handle_leave(&mut self, now: Now) -> Option<Publication> {
        self.is_leaving = true;
        self.far.as_ref()?;
        let farewell = self.work.farewell(now)?;
        Some(self.fitted(farewell))
    }

    /// Moves everything on as far as it goes.
    fn pump(&mut self, now: Now) {
        self.stamp(Side::Live, now);
        self.stamp(Side::Backlog, now);
        self.wake = None;
        while self.may_send(now) && (self.pump_lane(Side::Live, now) || self.pump_lane(Side::Backlog, now)) {}
        self.acknowledge();
    }

    fn may_send(&self, now: Now) -> bool {
        let Some(terms) = &self.far else { return false };
        let most = if self.suspect.is_some() { 1 } else { self.limits.inflight_max.min(terms.receive_max.into()) };
        let is_paused = self.paused_until.is_some_and(|until| until > now.monotonic);
        !is_paused && !self.is_leaving && self.under_way.len() < most
    }

    /// Dates samples as far as that is possible.
    fn stamp(&mut self, side: Side, now: Now) {
        let (lane, stamps) = match side {
            Side::Backlog => (&mut self.backlog, &mut self.stamps[0]),
            Side::Live => (&mut self.live, &mut self.stamps[1]),
        };
        for entry in lane.waiting_mut() {
            if let (Some(sample), None) = (&entry.sample, entry.stamp) {
                match stamps.stamp(sample, &self.boots, now, self.limits.clock_wait) {
                    Ok(stamp) => entry.stamp = Some(stamp),
                    Err(_) => return,
                }
            }
        }
    }

    /// Does what is to be done with the front of a lane; tells whether anything was.
    fn pump_lane(&mut self, side: Side, now: Now) -> bool {
        let is_alone = self.suspect.is_some();
        if self.is_carried_otherwise(side) {
            self.lane_mut(side).begin(1, Stage::Settled);
            return true;
        }
        let lane = match side {
            Side::Backlog => &self.backlog,
            Side::Live => &self.live,
        };
        let (Some(first), Some(terms)) = (lane.waiting().next(), &self.far) else { return false };
        if let (Some(sample), None) = (&first.sample, first.stamp) {
            let until = Monotonic::from_boot(Duration::from_millis(sample.monotonic_ms)) + self.limits.clock_wait;
            self.wake_at(Some(until));
            return false;
        }
        let is_all_ours = side == Side::Live || self.live.len() == 0 && self.carried.is_empty();
        let is_ours = |entry: &&Entry| is_all_ours || entry.sample_id().is_none_or(|id| !self.goes_live(&id));
        let waiting: Vec<&Entry> = lane.waiting().take_while(is_ours).collect();
        match self.work.draw(&waiting, terms, now, is_alone) {
            Draw::Wait(until) => {
                self.wake_at(until);
                return false;
            }
            Draw::Settle { count } => self.begin(side, count, Stage::Settled),
            Draw::Reject { reason } => self.reject(side, &reason, now),
            Draw::Publish { publication, count } => self.send(side, publication, count, now),
        }
        true
    }

    /// Whether the first waiting sample of a lane went, or goes, by the other one.
    fn is_carried_otherwise(&self, side: Side) -> bool {
        match side {
            Side::Backlog => {
                let id = self.backlog.waiting().next().and_then(Entry::sample_id);
                id.is_some_and(|id| self.carried.contains(&id))
            }
            Side::Live => {
                let id = self.live.waiting().next().and_then(Entry::sample_id);
                let reached = self.reached.as_ref();
                id.is_some_and(|id| {
                    reached.is_some_and(|reached| reached.boot == id.boot && reached.sequence >= id.sequence)
                })
            }
        }
    }

    /// Whether the live lane has carried a sample, or has it in its hands.
    fn goes_live(&self, id: &SampleId) -> bool {
        self.carried.contains(id) || self.live.holds(id)
    }

    fn wake_at(&mut self, until: Option<Monotonic>) {
        self.wake = self.wake.into_iter().chain(until).min();
    }

    fn send(&mut self, side: Side, publication: Publication, count: usize, now: Now) {
        let publication = self.fitted(publication);
        let bytes = publication.topic.len()
            + publication.payload.len()
            + publication.properties.as_ref().len()
            + PUBLISH_OVERHEAD_MAX;
        let most = self.far.as_ref().map_or(usize::MAX, |terms| terms.packet_bytes_max);
        if bytes > most {
            return self.reject(side, &format!("a packet of {bytes} bytes, the far side takes {most} at most"), now);
        }
        let token = self.token();
        let is_answered = publication.qos != QoS::AtMostOnce;
        self.begin(side, count, Stage::Sent(token));
        self.outputs.push_back(Output::PublishFar(token, publication));
        if is_answered {
            self.under_way.insert(token, now.monotonic);
        } else {
            // nobody says whether it arrives
            self.settle(token);
        }
    }

    /// The next `count` of a lane go on to `stage`.
    fn begin(&mut self, side: Side, count: usize, stage: Stage) {
        if side == Side::Backlog
            && let Some(id) = self.backlog.waiting().take(count).filter_map(Entry::sample_id).last()
        {
            self.carried.forget_up_to(&id);
            self.reached = Some(id);
        }
        self.lane_mut(side).begin(count, stage);
    }

    /// What the far side said in CONNACK that it does not take is left out.
    fn fitted(&self, mut publication: Publication) -> Publication {
        if let Some(terms) = &self.far {
            publication.qos = publication.qos.min(terms.qos_max).min(QoS::AtLeastOnce);
            publication.retain &= terms.retain_available;
        }
        publication
    }

    /// Puts the first waiting message aside: it is acknowledged when the local broker has it among the rejected ones.
    fn reject(&mut self, side: Side, reason: &str, now: Now) {
        let token = self.token();
        let lane = match side {
            Side::Backlog => &self.backlog,
            Side::Live => &self.live,
        };
        let Some(entry) = lane.waiting().next() else { return };
        let text = std::str::from_utf8(&entry.message.payload).ok();
        let content = match text {
            Some(text) => json!({"payload": text}),
            None => {
                use base64::Engine as _;
                json!({"payload_base64": base64::engine::general_purpose::STANDARD.encode(&entry.message.payload)})
            }
        };
        let mut told = json!({"topic": entry.message.topic, "reason": reason, "time_ms": now.wall.unix_ms()});
        if let (Some(told), Some(content)) = (told.as_object_mut(), content.as_object()) {
            told.extend(content.clone());
        }
        let publication = Publication::new(self.limits.rejected.as_str().to_owned(), told.to_string().into());
        self.tally.rejected += 1;
        self.begin(side, 1, Stage::Rejected(token));
        self.outputs.push_back(Output::PublishLocal(token, publication));
    }

    /// Acknowledges what is settled, on both sides, from the front.
    fn acknowledge(&mut self) {
        for side in [Side::Backlog, Side::Live] {
            while let Some(entry) = self.lane_mut(side).pop_settled() {
                let acknowledged = entry.message.packet_id.map(|id| Output::AcknowledgeLocal(side, id));
                self.outputs.extend(acknowledged);
            }
        }
        while let Some(packet_id) = self.inbox.pop_settled() {
            self.outputs.extend(packet_id.map(Output::AcknowledgeFar));
        }
    }

    fn lane_mut(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Backlog => &mut self.backlog,
            Side::Live => &mut self.live,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn token(&mut self) -> Token {
        Token(self.number())
    }
}
