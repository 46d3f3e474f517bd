//! What happens on the connection to the far side, and what becomes of messages that it does not take.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Machine, Output, REFUSED_WAIT, Suspect, Token, UNACKNOWLEDGED_MAX, UNPROVEN_FACTOR};
use crate::client::{Loss, Message, Publication, Terms};
use crate::mqtt::{QoS, ReasonCode};
use crate::uplink::carried::SampleId;
use crate::uplink::lane::{Entry, Side, Stage};
use crate::uplink::stamps::Now;
use crate::uplink::work::Receive;

impl Machine {
    /// The far side has accepted, on these terms.
    pub(in crate::uplink) fn handle_far_up(&mut self, terms: Terms, now: Now) {
        self.work.handle_far_up(&terms);
        self.far = Some(terms);
        self.paused_until = None;
        if let Some(birth) = self.work.birth(now) {
            let birth = self.fitted(birth);
            let token = self.token();
            if birth.qos != QoS::AtMostOnce {
                // it takes a place like any other
                self.under_way.insert(token, now.monotonic);
            }
            self.outputs.push_back(Output::PublishFar(token, birth));
        }
        self.pump(now);
    }

    /// The connection to the far side has ended. Who ended it may have done so because of what was sent last.
    pub(in crate::uplink) fn handle_far_lost(&mut self, loss: &Loss, now: Now) {
        self.far = None;
        self.under_way.clear();
        self.wake = None;
        if loss.may_be_provoked() && !self.is_leaving {
            self.blame();
        }
        self.live.rewind(|_| true);
        let live = self.live.waiting().count();
        // the backlog has all of it
        self.live.begin(live, Stage::Settled);
        self.backlog.rewind(|_| true);
        self.inbox.handle_far_lost();
        let most = self.limits.strikes_max.saturating_mul(if self.is_proven { 1 } else { UNPROVEN_FACTOR });
        if let Some(suspect) = self.suspect.filter(|suspect| suspect.strikes >= most)
            && self.backlog.waiting().next().is_some_and(|entry| entry.number == suspect.number)
        {
            let strikes = suspect.strikes;
            self.reject(Side::Backlog, &format!("{strikes} connections in a row ended behind it: {loss}"), now);
            self.suspect = None;
            self.is_proven = false;
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
    pub(in crate::uplink) fn handle_far_answer(&mut self, token: Token, reason: ReasonCode, now: Now) {
        if self.under_way.remove(&token).is_none() {
            return;
        }
        if reason.is_failure() {
            self.handle_refused(token, reason, now);
        } else {
            self.is_proven = true;
            self.settle(token);
        }
        self.pump(now);
    }

    pub(super) fn settle(&mut self, token: Token) {
        let live: Vec<SampleId> = self.live.settle(token).into_iter().filter_map(Entry::sample_id).collect();
        for id in &live {
            self.carried.insert(id);
        }
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
        if count == 0 {
            // what was said first
            return;
        }
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
    pub(in crate::uplink) fn handle_far_message(&mut self, message: &Message, now: Now) {
        let Some(terms) = &self.far else { return };
        if message.qos == QoS::AtMostOnce && self.inbox.len() >= UNACKNOWLEDGED_MAX {
            self.tally.missed += 1;
            return;
        }
        let publication = match self.work.receive(message, terms, now) {
            Receive::Publish(publication) => Some((self.token(), publication)),
            Receive::Reject { reason } => {
                self.tally.rejected += 1;
                Some((self.token(), self.rejected(message, &reason, now)))
            }
            Receive::Drop => None,
        };
        self.inbox.push(message.packet_id, publication);
        self.publish_received();
        self.pump(now);
    }

    /// Puts the first waiting message aside: it is acknowledged when the local broker has it among the rejected ones.
    pub(super) fn reject(&mut self, side: Side, reason: &str, now: Now) {
        let token = self.token();
        let lane = match side {
            Side::Backlog => &self.backlog,
            Side::Live => &self.live,
        };
        let Some(entry) = lane.waiting().next() else { return };
        let publication = self.rejected(&entry.message, reason, now);
        self.tally.rejected += 1;
        self.begin(side, 1, Stage::Rejected(token));
        self.outputs.push_back(Output::PublishLocal(token, publication));
    }

    /// Returns what is published about a rejected message: JSON with its topic, its payload and the reason.
    fn rejected(&self, message: &Message, reason: &str, now: Now) -> Publication {
        let (key, payload) = match std::str::from_utf8(&message.payload) {
            Ok(text) => ("payload", text.to_owned()),
            Err(_) => ("payload_base64", STANDARD.encode(&message.payload)),
        };
        let report = json!({
            "topic": message.topic, "reason": reason, "time_ms": now.wall.unix_ms(), key: payload,
        });
        Publication::new(self.limits.rejected.as_str().to_owned(), report.to_string().into())
    }
}
