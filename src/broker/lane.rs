//! The order in which the outputs of one connection leave the broker.
//!
//! An output has a [`Lane`] and a [`Barrier`](super::persist::Barrier). The output at the head of a lane waits for its
//! barrier and blocks only the outputs behind it in the same lane. CONNACK precedes every other lane, and the end of the
//! connection follows all of them.

use std::collections::VecDeque;

use super::output::{Output, Ticket};
use super::persist::Awaited;

/// Outputs of one connection that keep their order among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// CONNACK, the first packet that a client is sent [MQTT-3.2.0-1].
    ConnAck,
    /// PUBLISH, and PUBREL sent again [MQTT-4.6.0-1], [MQTT-4.6.0-6].
    Deliveries,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK, in the order of the packets that they answer
    /// [MQTT-4.6.0-2] to [MQTT-4.6.0-4].
    Acknowledgements,
    /// PINGRESP, which has no order to keep.
    Pings,
    /// DISCONNECT and the end of the connection.
    Close,
}

/// The outputs of one connection that wait for durability, by lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    conn_ack: VecDeque<Held>,
    deliveries: VecDeque<Held>,
    acknowledgements: VecDeque<Held>,
    pings: VecDeque<Held>,
    close: VecDeque<Held>,
}

/// An output and what it waits for.
#[derive(Debug)]
struct Held {
    awaited: Awaited,
    output: Output,
}

impl Lanes {
    /// Returns whether an output of `lane` may pass at once if its own barrier is met: nothing is held before it.
    pub(super) fn is_clear(&self, lane: Lane) -> bool {
        match lane {
            Lane::ConnAck => self.conn_ack.is_empty(),
            Lane::Close => self.is_empty(),
            _ => self.conn_ack.is_empty() && self.lane(lane).is_empty(),
        }
    }

    /// Holds `output` at the end of `lane`.
    pub(super) fn push(&mut self, lane: Lane, awaited: Awaited, output: Output) {
        self.lane_mut(lane).push_back(Held { awaited, output });
    }

    /// Moves the outputs that wait for nothing more to `outputs`. Cost: those, and one check per lane.
    pub(super) fn release(&mut self, is_met: impl Fn(Awaited) -> bool, outputs: &mut VecDeque<Output>) {
        let mut release = |lane: &mut VecDeque<Held>| {
            while lane.front().is_some_and(|held| is_met(held.awaited)) {
                outputs.extend(lane.pop_front().map(|held| held.output));
            }
            lane.is_empty()
        };
        if release(&mut self.conn_ack) {
            let are_empty = [&mut self.acknowledgements, &mut self.deliveries, &mut self.pings].map(&mut release);
            if are_empty == [true; 3] {
                release(&mut self.close);
            }
        }
    }

    /// Returns the tickets that the heads of the lanes wait for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Ticket> {
        let lanes = [&self.conn_ack, &self.deliveries, &self.acknowledgements, &self.pings, &self.close];
        lanes.into_iter().filter_map(|lane| lane.front().and_then(|held| held.awaited.ticket()))
    }

    /// Returns the request to close the connection, without the packets before it.
    pub(super) fn into_close_request(self) -> Option<Output> {
        self.close.into_iter().map(|held| held.output).find(|output| matches!(output, Output::RequestClose { .. }))
    }

    /// Returns whether CONNACK is held.
    pub(super) fn holds_conn_ack(&self) -> bool {
        !self.conn_ack.is_empty()
    }

    /// Returns the number of outputs held.
    pub(super) fn len(&self) -> usize {
        let lanes = [&self.conn_ack, &self.deliveries, &self.acknowledgements, &self.pings, &self.close];
        lanes.into_iter().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lane(&self, lane: Lane) -> &VecDeque<Held> {
        match lane {
            Lane::ConnAck => &self.conn_ack,
            Lane::Deliveries => &self.deliveries,
            Lane::Acknowledgements => &self.acknowledgements,
            Lane::Pings => &self.pings,
            Lane::Close => &self.close,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut VecDeque<Held> {
        match lane {
            Lane::ConnAck => &mut self.conn_ack,
            Lane::Deliveries => &mut self.deliveries,
            Lane::Acknowledgements => &mut self.acknowledgements,
            Lane::Pings => &mut self.pings,
            Lane::Close => &mut self.close,
        }
    }
}
