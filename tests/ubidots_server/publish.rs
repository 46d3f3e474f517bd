//! PUBLISH and wills: the acknowledgement knows nothing of what becomes of the data.

use sensegate::mqtt::{Acknowledgement, Packet, PacketId, Publish, QoS, ReasonCode, Will};

use super::connect::tell_reason;
use super::faults::{Answer, Fate, QoS2};
use super::ingest::{Dropped, readings};
use super::journal::Testament;
use super::packet::{Order, Outgoing};
use super::session::{ConnectionId, Line, Session};
use super::state::{Now, State};
use super::store::Dot;
use super::topics::Target;

impl State {
    /// Answers, stores what can be stored, tells it to subscribers.
    pub(super) fn handle_publish(&mut self, now: Now, connection: ConnectionId, line: &Line, publish: &Publish<'_>) {
        if publish.qos == QoS::ExactlyOnce && self.qos_2 == QoS2::Disconnects {
            tell_reason(line, ReasonCode::QoSNotSupported);
            line.order(Order::Close);
            return;
        }
        if let Some(packet_id) = publish.packet_id {
            self.answer(line, publish.qos, packet_id);
        }
        let Some(session) = self.sessions.get(&connection) else { return };
        let token = session.token.clone();
        let _ = self.take_in(now, connection, &token, publish);
    }

    fn answer(&mut self, line: &Line, qos: QoS, packet_id: PacketId) {
        let acknowledgement = Acknowledgement::success(packet_id);
        let packet = match qos {
            QoS::ExactlyOnce => Packet::PubRec(acknowledgement),
            QoS::AtMostOnce | QoS::AtLeastOnce => Packet::PubAck(acknowledgement),
        };
        let outgoing = Outgoing::new(&packet, line.version);
        let send = |answer| match answer {
            Answer::AtOnce => line.order(Order::Send(outgoing)),
            Answer::After(delay) => line.order(Order::SendLater(delay, outgoing)),
            Answer::Never => {}
        };
        match self.faults.strike_publish() {
            Fate::Answered(answer) => send(answer),
            Fate::AnsweredAndClosed => {
                send(Answer::AtOnce);
                line.order(Order::Close);
            }
            Fate::Closed => line.order(Order::Close),
        }
    }

    /// The will of a connection that has ended, as a publish like any other.
    pub(super) fn publish_will(&mut self, now: Now, connection: ConnectionId, session: &Session, will: &Will) {
        let publish =
            Publish { qos: will.qos, retain: will.retain, ..Publish::new(will.topic.as_str(), &will.payload) };
        let outcome = self.take_in(now, connection, &session.token, &publish);
        let client_id = session.client_id.clone();
        let will = will.clone();
        self.journal.wills.push(Testament { at: now.monotonic, connection, client_id, will, outcome });
    }

    fn take_in(
        &mut self,
        now: Now,
        connection: ConnectionId,
        token: &str,
        publish: &Publish<'_>,
    ) -> Result<usize, Dropped> {
        let dots = self.dots_of(now, connection, token, publish);
        let outcome = dots.as_ref().map(Vec::len).map_err(|&why| why);
        self.journal.note_outcome(outcome);
        if let Ok(dots) = dots {
            self.store.append(&dots);
            self.tell(&dots);
        }
        outcome
    }

    fn dots_of(
        &mut self,
        now: Now,
        connection: ConnectionId,
        token: &str,
        publish: &Publish<'_>,
    ) -> Result<Vec<Dot>, Dropped> {
        if self.faults.is_swallowing {
            return Err(Dropped::Swallowed);
        }
        if !self.meter.admits_request(token, now.monotonic) {
            return Err(Dropped::RequestRate);
        }
        let target = Target::of(publish.topic).ok_or(Dropped::Topic)?;
        let account = self.accounts.get(token).filter(|account| account.may_touch(target.device()));
        let owner = &account.ok_or(Dropped::Unauthorised)?.owner;
        let readings = readings(target, publish.payload)?;
        if !self.meter.admits_dots(owner, now.monotonic, readings.len()) {
            return Err(Dropped::DotRate);
        }
        let dots = readings.into_iter().map(|reading| Dot {
            owner: owner.clone(),
            device: target.device().to_owned(),
            variable: reading.variable,
            value: reading.value,
            timestamp_ms: reading.timestamp_ms.unwrap_or(now.wall.unix_ms()),
            is_dated: reading.timestamp_ms.is_some(),
            context: reading.context,
            created_at: now.wall,
            arrived: now.monotonic,
            connection,
            qos: publish.qos as u8,
            retain: publish.retain,
            dup: publish.dup,
        });
        Ok(dots.collect())
    }
}
