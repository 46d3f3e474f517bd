//! Outputs of a connection on their way out: at once, or held until their barrier is met and their lane is clear.

use super::lane::{Lane, Lanes};
use super::machine::{Broker, Disk};
use super::output::{ConnectionId, Output, SendClass, Ticket};
use super::persist::Barrier;
use crate::mqtt::Frame;

/// Outputs held for one connection beyond which the broker handles no more input from it.
const HELD_MAX: usize = 4096;

/// The same while the disk does not write, when nobody knows how long they are held.
const HELD_WITHOUT_DISK_MAX: usize = 64;

/// Changes that wait for a disk that does not write, beyond which the broker handles no more input from any client.
const CHANGES_WITHOUT_DISK_MAX: usize = 100_000;

impl Broker {
    /// Returns whether more input of this connection can be handled. While too much is held for it, or while too many
    /// changes wait for a disk that does not write, the server stops reading from it; [`Output::RequestRead`] and
    /// [`Broker::handle_disk`] end that.
    pub fn accepts_input(&self, connection: ConnectionId) -> bool {
        let is_saturated = self.disk != Disk::Writes && self.persist.unanswered() > CHANGES_WITHOUT_DISK_MAX;
        let record = self.connections.get(connection);
        record.is_none_or(|record| {
            !record.is_congested && record.login.is_none() && (!is_saturated || record.is_internal())
        })
    }

    /// Sends a frame that must arrive.
    pub(super) fn answer(&mut self, connection: ConnectionId, frame: Frame, lane: Lane, barrier: Barrier) {
        self.send(connection, frame, SendClass::Must, lane, barrier);
    }

    /// Sends a frame once its barrier is met and its lane is clear.
    pub(super) fn send(
        &mut self,
        connection: ConnectionId,
        frame: Frame,
        class: SendClass,
        lane: Lane,
        barrier: Barrier,
    ) {
        self.system.counters.messages_sent += 1;
        self.put(connection, Output::RequestSend { connection, frame, class }, lane, barrier);
    }

    /// Emits `output` once its barrier is met and its lane is clear.
    pub(super) fn put(&mut self, connection: ConnectionId, output: Output, lane: Lane, barrier: Barrier) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        let awaited = self.persist.awaited(barrier);
        if awaited.ticket().is_none() && record.lanes.as_ref().is_none_or(|lanes| lanes.is_clear(lane)) {
            return self.outputs.push_back(output);
        }
        let lanes = record.lanes.get_or_insert_default();
        let is_head = lanes.is_clear(lane);
        lanes.push(lane, awaited, output);
        let held_max = if self.disk == Disk::Writes { HELD_MAX } else { HELD_WITHOUT_DISK_MAX };
        record.is_congested |= lanes.len() >= held_max;
        if let (true, Some(ticket)) = (is_head, awaited.ticket()) {
            self.held.entry(ticket).or_default().push(connection);
        }
    }

    /// Emits the held outputs that waited for `ticket` only. Cost: the connections that wait for it.
    pub(super) fn release(&mut self, ticket: Ticket) {
        let mut connections = self.held.remove(&ticket).unwrap_or_default();
        while let Some(entry) = self.held.first_entry().filter(|entry| *entry.key() <= self.persist.answered()) {
            connections.append(&mut entry.remove());
        }
        for connection in connections {
            self.release_connection(connection);
        }
    }

    fn release_connection(&mut self, connection: ConnectionId) {
        let lanes = match self.connections.get_mut(connection) {
            Some(record) => record.lanes.as_mut(),
            None => self.closing.get_mut(&connection),
        };
        let Some(lanes) = lanes else { return };
        lanes.release(|awaited| self.persist.is_met(awaited), &mut self.outputs);
        for ticket in lanes.awaited() {
            self.held.entry(ticket).or_default().push(connection);
        }
        let left = lanes.len();
        self.tidy_lanes(connection, left);
    }

    /// Frees lanes without outputs, and has the server read again from a client that was held up by them.
    fn tidy_lanes(&mut self, connection: ConnectionId, left: usize) {
        match self.connections.get_mut(connection) {
            Some(record) => {
                record.lanes.take_if(|_| left == 0);
                if record.is_congested && left < HELD_WITHOUT_DISK_MAX / 2 {
                    record.is_congested = false;
                    self.outputs.push_back(Output::RequestRead { connection });
                }
            }
            None if left == 0 => drop(self.closing.remove(&connection)),
            None => {}
        }
    }

    /// Closes the connections whose end waits for the disk, which does not write: what is held for them is dropped.
    pub(super) fn close_at_once(&mut self) {
        for (_, lanes) in self.closing.drain() {
            self.outputs.extend(lanes.into_close_request());
        }
    }

    /// Keeps what is held for a connection that the broker has ended.
    pub(super) fn keep_closing(&mut self, connection: ConnectionId, lanes: Option<Box<Lanes>>) {
        if let Some(lanes) = lanes.filter(|lanes| !lanes.is_empty()) {
            self.closing.insert(connection, lanes);
        }
    }
}
