//! What happens on the connections to the local broker.

use super::{Machine, Output, REFUSED_WAIT, Token, UNACKNOWLEDGED_MAX};
use crate::client::Message;
use crate::mqtt::{QoS, ReasonCode};
use crate::sensors::SampleMessage;
use crate::uplink::lane::{Entry, Side, Stage};
use crate::uplink::stamps::Now;

impl Machine {
    /// The session at the local broker stands, and so do its subscriptions. It takes `receive_max` messages at a time.
    pub(in crate::uplink) fn handle_local_up(&mut self, receive_max: u16) {
        self.local_max = receive_max.into();
        self.publish_again();
    }

    /// What the local broker has not answered is published once more.
    pub(super) fn publish_again(&mut self) {
        self.retry_local = None;
        self.inbox.rewind();
        self.publish_received();
    }

    pub(super) fn publish_received(&mut self) {
        while let Some((token, publication)) = self.inbox.poll_publication(self.local_max) {
            if publication.qos == QoS::AtMostOnce {
                // nobody says whether it arrives
                self.inbox.settle(token);
                self.tally.received += 1;
            }
            self.outputs.push_back(Output::PublishLocal(token, publication));
        }
    }

    /// A local session's connection has ended: it sends again what it was not acknowledged.
    pub(in crate::uplink) fn handle_local_lost(&mut self, side: Side) {
        match side {
            Side::Backlog => {
                self.stamps_mut(side).handle_lost();
                self.backlog.clear();
                self.suspect = None;
                self.local_max = 0;
            }
            Side::Live => self.live.clear(),
        }
    }

    /// A message of the local broker.
    pub(in crate::uplink) fn handle_local_message(&mut self, side: Side, message: Message, now: Now) {
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
    pub(in crate::uplink) fn handle_local_answer(&mut self, token: Token, reason: ReasonCode, now: Now) {
        if reason.is_failure() {
            // a full disk, for example: what is to be there is published once more
            self.retry_local = Some(now.monotonic + REFUSED_WAIT);
            if self.backlog.put_back(token) || self.live.put_back(token) {
                self.tally.rejected -= 1;
                self.paused_until = self.retry_local;
            }
            return;
        }
        if self.inbox.settle(token) {
            self.tally.received += 1;
            self.work.handle_passed_on();
            self.publish_received();
        } else {
            self.backlog.settle(token);
            self.live.settle(token);
        }
        self.pump(now);
    }
}
