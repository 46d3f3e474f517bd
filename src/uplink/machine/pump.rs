//! Moving on: from what waits to what is to be sent, and from what is settled to its acknowledgement.

use std::time::Duration;

use super::{Machine, Output};
use crate::base::clock::Monotonic;
use crate::client::Publication;
use crate::mqtt::QoS;
use crate::uplink::carried::SampleId;
use crate::uplink::lane::{Entry, Side, Stage};
use crate::uplink::stamps::Now;
use crate::uplink::work::Draw;

/// Bytes of a PUBLISH beside topic, payload and properties: header, lengths, identifier, expiry.
const PUBLISH_OVERHEAD_MAX: usize = 5 + 2 + 2 + 4 + 5;

impl Machine {
    /// Moves everything on as far as it goes.
    pub(super) fn pump(&mut self, now: Now) {
        self.stamp(Side::Live, now);
        self.stamp(Side::Backlog, now);
        self.wake = None;
        while self.may_send(now) && self.turns().into_iter().any(|side| self.pump_lane(side, now)) {}
        self.acknowledge();
    }

    /// Live samples go first, and the backlog behind each publish of theirs: where publishes are few, some live ones
    /// wait for every one of them.
    const fn turns(&self) -> [Side; 2] {
        match self.last {
            Side::Backlog => [Side::Live, Side::Backlog],
            Side::Live => [Side::Backlog, Side::Live],
        }
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
        self.last = side;
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
    pub(super) fn begin(&mut self, side: Side, count: usize, stage: Stage) {
        if side == Side::Backlog
            && let Some(id) = self.backlog.waiting().take(count).filter_map(Entry::sample_id).last()
        {
            self.carried.forget_up_to(&id);
            self.reached = Some(id);
        }
        self.lane_mut(side).begin(count, stage);
    }

    /// What the far side said in CONNACK that it does not take is left out.
    pub(super) fn fitted(&self, mut publication: Publication) -> Publication {
        if let Some(terms) = &self.far {
            publication.qos = publication.qos.min(terms.qos_max).min(QoS::AtLeastOnce);
            publication.retain &= terms.retain_available;
        }
        publication
    }

    /// Acknowledges what is settled, on both sides, from the front.
    fn acknowledge(&mut self) {
        for side in [Side::Backlog, Side::Live] {
            while let Some(entry) = self.lane_mut(side).pop_settled() {
                if let Some(stamp) = entry.stamp {
                    self.stamps_mut(side).handle_acknowledged(stamp);
                }
                let acknowledged = entry.message.packet_id.map(|id| Output::AcknowledgeLocal(side, id));
                self.outputs.extend(acknowledged);
            }
        }
        let settled = self.inbox.take_settled();
        self.outputs.extend(settled.into_iter().map(Output::AcknowledgeFar));
    }
}
