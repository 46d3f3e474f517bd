//! Retained messages on their way to a session that has subscribed (section 3.3.1.3).
//!
//! A replay serves the filters of one SUBSCRIBE: it visits the retained messages once, in the order of their topics, and
//! makes one copy for each filter that matches, as separate SUBSCRIBE packets would (MQTT 3.1.1: [MQTT-3.8.4-4],
//! version 5: [MQTT-3.8.4-5]). A copy is made only when the socket can accept it, or for QoS 1 and 2 when the in-flight
//! window has room; a message is read when it is visited. Replays belong to the session, so they go on when its client
//! connects again.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::change::Change;
use super::deliver::DeliveryContext;
use super::lane::Lane;
use super::machine::Broker;
use super::message::{Delivery, Marks};
use super::output::Output;
use super::persist::Barrier;
use super::retained::{FilterSet, Position, Retained, Walk};
use super::session::SessionKey;
use super::work::Work;
use crate::mqtt::{QoS, TopicFilter, disallowed_code_point};

/// The replays of one session.
#[derive(Debug, Default)]
pub(super) struct Replays {
    running: VecDeque<Replay>,
    /// The number of the replay that serves each filter. A later SUBSCRIBE to the same filter has its own replay.
    by_filter: HashMap<TopicFilter, u64, FixedState>,
    last_number: u64,
    /// Whether a slice is among the work of the broker.
    is_queued: bool,
}

/// One walk over the retained messages.
#[derive(Debug)]
struct Replay {
    number: u64,
    filters: FilterSet,
    /// How many of the filters it still serves.
    served: usize,
    /// Whether it is recorded that messages are still to be sent.
    is_recorded: bool,
    position: Position,
}

/// What came of a copy.
enum Copied {
    /// It was sent, or its client may not have it. The bytes of the message.
    Done(usize),
    /// The slice has its bytes.
    Full,
    /// The in-flight window is full.
    Blocked,
}

/// Why a slice has ended.
enum Slice {
    /// All replays are complete.
    Complete,
    /// The steps are used up.
    OutOfSteps,
    /// The server has to send first.
    OutOfBytes,
    /// The client has to acknowledge first.
    OutOfWindow,
}

impl Replays {
    fn start(&mut self, filters: Vec<TopicFilter>) {
        self.last_number += 1;
        for filter in &filters {
            // one that the packet has twice brings two copies
            if self.by_filter.get(filter) != Some(&self.last_number) {
                self.stop(filter);
                self.by_filter.insert(filter.clone(), self.last_number);
            }
        }
        let filters = FilterSet::new(filters);
        let (number, served, position) = (self.last_number, filters.len(), Position::default());
        self.running.push_back(Replay { number, filters, served, is_recorded: false, position });
    }

    /// Ends the replay for one filter.
    pub(super) fn stop(&mut self, filter: &TopicFilter) {
        let Some(number) = self.by_filter.remove(filter) else { return };
        let Some(place) = self.running.iter().position(|replay| replay.number == number) else { return };
        let Some(replay) = self.running.get_mut(place) else { return };
        replay.served = replay.served.saturating_sub(replay.filters.count(filter));
        if replay.served == 0 {
            self.running.remove(place);
        } else if 2 * replay.served < replay.filters.len() {
            // a set costs no more than twice the filters that it serves
            let by_filter = &self.by_filter;
            replay.position =
                replay.position.retain(&mut replay.filters, |filter| by_filter.get(filter) == Some(&number));
        }
    }

    /// Returns the filters of which it is not recorded that messages are still to be sent. They count as recorded then.
    fn poll_unrecorded(&mut self) -> Vec<TopicFilter> {
        let new: Vec<u64> =
            self.running.iter().filter(|replay| !replay.is_recorded).map(|replay| replay.number).collect();
        self.running.iter_mut().for_each(|replay| replay.is_recorded = true);
        let mut filters: Vec<_> = self
            .by_filter
            .iter()
            .filter(|(_, number)| new.contains(number))
            .map(|(filter, _)| filter.clone())
            .collect();
        filters.sort_unstable();
        filters
    }

    /// Returns whether all are complete.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Removes the first replay, which is complete. Returns the filters of which it is recorded that messages are still
    /// to be sent.
    fn complete(&mut self) -> Vec<TopicFilter> {
        let Some(replay) = self.running.pop_front() else { return Vec::new() };
        let mut served: Vec<TopicFilter> =
            self.by_filter.extract_if(|_, number| *number == replay.number).map(|(filter, _)| filter).collect();
        served.sort_unstable();
        if replay.is_recorded { served } else { Vec::new() }
    }
}

impl Broker {
    /// Continues the replays that a restart has interrupted, from their start.
    pub(super) fn restore_replay(&mut self, key: SessionKey, filters: Vec<TopicFilter>) {
        let Some(session) = self.sessions.get_mut(key).filter(|_| !filters.is_empty()) else { return };
        let replays = session.replays.get_or_insert_default();
        replays.start(filters);
        replays.running.iter_mut().for_each(|replay| replay.is_recorded = true);
    }

    /// Starts to send the retained messages under `filters`, and does a first slice of that. A filter that is not
    /// complete then is recorded as such for a session that persists.
    pub(super) fn start_replay(&mut self, key: SessionKey, filters: Vec<TopicFilter>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.replays.get_or_insert_default().start(filters);
        self.continue_replays(key);
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.is_persistent()) else { return };
        let waiting = session.replays.as_mut().map(|replays| replays.poll_unrecorded()).unwrap_or_default();
        self.record_replays(key, &waiting, true);
    }

    /// Ends the replay for a filter that is subscribed to no more.
    pub(super) fn stop_replay(&mut self, key: SessionKey, filter: &TopicFilter) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(replays) = &mut session.replays {
            replays.stop(filter);
        }
        session.replays.take_if(|replays| replays.is_empty());
    }

    /// Does a slice of a session's replays, if its client is connected and its connection is not still being sent the
    /// last one.
    pub(super) fn continue_replays(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(connection) = session.connection else { return };
        if self.connections.get(connection).is_none_or(|record| record.awaits_room) {
            return;
        }
        let Some(mut replays) = session.replays.take() else { return };
        match self.run_slice(key, &mut replays) {
            Slice::Complete => return,
            Slice::OutOfSteps if !replays.is_queued => {
                replays.is_queued = true;
                self.work.push_back(Work::Replay(key));
            }
            Slice::OutOfSteps | Slice::OutOfWindow => {}
            Slice::OutOfBytes => {
                if let Some(record) = self.connections.get_mut(connection) {
                    record.awaits_room = true;
                }
                self.put(connection, Output::RequestRoom { connection }, Lane::Deliveries, Barrier::None);
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.replays = Some(replays);
        }
    }

    /// Continues replays that have waited for their turn.
    pub(super) fn continue_queued_replays(&mut self, key: SessionKey) {
        if let Some(replays) = self.sessions.get_mut(key).and_then(|session| session.replays.as_mut()) {
            replays.is_queued = false;
        }
        self.continue_replays(key);
    }

    fn run_slice(&mut self, key: SessionKey, replays: &mut Replays) -> Slice {
        let (mut steps, mut bytes) = (self.slice.steps_max, 0);
        while let Some(replay) = replays.running.front_mut() {
            match self.retained.next_match(&replay.filters, &mut replay.position, &mut steps) {
                Walk::OutOfSteps => return Slice::OutOfSteps,
                Walk::End => {
                    let complete = replays.complete();
                    self.record_replays(key, &complete, false);
                }
                Walk::Match { retained, filters } => {
                    for number in filters {
                        let Some(filter) = replay.filters.get(number) else { continue };
                        if replays.by_filter.get(filter) != Some(&replay.number) {
                            continue;
                        }
                        let copied =
                            if bytes < self.slice.bytes_max { self.copy(key, &retained, filter) } else { Copied::Full };
                        let ended = match copied {
                            Copied::Done(count) => {
                                bytes += count;
                                continue;
                            }
                            Copied::Full => Slice::OutOfBytes,
                            Copied::Blocked => Slice::OutOfWindow,
                        };
                        replay.position = Position::before(retained.message.topic.clone(), number);
                        return ended;
                    }
                    if bytes >= self.slice.bytes_max {
                        return Slice::OutOfBytes;
                    }
                }
            }
        }
        Slice::Complete
    }

    /// Sends one copy of a retained message.
    fn copy(&mut self, key: SessionKey, retained: &Retained, filter: &TopicFilter) -> Copied {
        let Retained { message, qos, .. } = retained;
        let topic = message.topic.as_str();
        let Some(session) = self.sessions.get(key) else { return Copied::Done(0) };
        let Some(granted) = session.subscriptions.get(filter) else { return Copied::Done(0) };
        // mosquitto's clients would end the connection over it at each subscribe; a line in the log says how to clear it
        if message.is_expired(self.now) || !session.rights.may_read(topic) || disallowed_code_point(topic).is_some() {
            return Copied::Done(0);
        }
        let qos = granted.qos.min(*qos);
        if qos > QoS::AtMostOnce && !(session.queue.is_empty() && session.has_room(&self.options)) {
            return Copied::Blocked;
        }
        self.arrivals += 1;
        let marks = granted.id.map(|id| Box::new(Marks { subscription_ids: vec![id], ..Marks::default() }));
        // [MQTT-3.3.1-8]
        let delivery = Delivery { arrival: self.arrivals, message: message.clone(), qos, retain: true, marks };
        let bytes = delivery.bytes();
        self.deliver(key, delivery, DeliveryContext::SINGLE);
        Copied::Done(bytes)
    }

    /// Records whether retained messages are still to be sent for these filters, for a session that persists.
    fn record_replays(&mut self, key: SessionKey, filters: &[TopicFilter], replay: bool) {
        let Some(session) = self.sessions.get(key).filter(|session| session.is_persistent()) else { return };
        for filter in filters {
            let Some(granted) = session.subscriptions.get(filter).copied() else { continue };
            let (client_id, filter) = (session.client_id.clone(), filter.clone());
            self.persist.record(Change::Subscribed { client_id, filter, granted, replay });
        }
    }
}
