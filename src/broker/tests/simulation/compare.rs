//! The state as a whole, held against the model: after each input, and when all is quiet.

use super::super::super::state::{Phase, SessionState, State};
use super::check::number;
use super::model::{Model, Open, Owed, is_too_large};
use super::*;

impl Model {
    /// What the machine has recorded is what the model holds.
    pub(super) fn compare(&self, state: &State) {
        let kept = self.sessions.iter().filter(|(_, session)| session.is_kept);
        let kept: Vec<usize> = kept.map(|(client, _)| *client).collect();
        let mut recorded: Vec<usize> = state.sessions.iter().map(|session| number(&session.client_id)).collect();
        recorded.sort_unstable();
        assert_eq!(recorded, kept, "sessions");
        for recorded in &state.sessions {
            self.compare_session(recorded);
        }
        let mut retained: Vec<_> =
            state.retained.iter().map(|kept| (kept.message.topic.to_string(), kept.qos)).collect();
        retained.sort_unstable();
        let expected: Vec<_> = self.retained.iter().map(|(topic, (_, qos))| (topic.clone(), *qos)).collect();
        assert_eq!(retained, expected, "retained");
        for kept in &state.retained {
            let (content, _) = &self.retained[kept.message.topic.as_str()];
            assert_eq!((&kept.message.payload, kept.message.expires), (&content.payload, content.expires), "retained");
        }
        self.compare_wills(state);
    }

    fn compare_session(&self, recorded: &SessionState) {
        let client = number(&recorded.client_id);
        let session = &self.sessions[&client];
        let terms = (recorded.terms.expiry_interval_s, recorded.terms.ends);
        assert_eq!(terms, (session.expiry_s, session.ends), "terms of c{client}");
        let filters = recorded.subscriptions.iter().map(|(filter, granted)| (filter.to_string(), *granted)).collect();
        assert_eq!(session.subscriptions, filters, "subscriptions of c{client}");
        let received = recorded.received.iter().map(|packet_id| packet_id.get()).collect();
        assert_eq!(session.received, received, "received from c{client}");
        let deliveries = recorded.deliveries.iter().map(|kept| {
            let sent = kept.sent.map(|sent| (sent.packet_id.get(), sent.phase == Phase::Released));
            (Some(kept.delivery.arrival), sent)
        });
        let owed = session.owed.iter().filter(|owed| !owed.is_done);
        let owed: Vec<_> = owed.map(|owed| (owed.arrival, owed.sent.map(|sent| (sent.0, owed.is_released)))).collect();
        assert_eq!(deliveries.collect::<Vec<_>>(), owed, "what waits for c{client}: {:?}", session.owed);
    }

    fn compare_wills(&self, state: &State) {
        let mut recorded: Vec<_> =
            state.wills.iter().map(|kept| (number(&kept.client_id), kept.will.payload.clone(), kept.due)).collect();
        let there = self.connections.values().filter_map(|connection| {
            connection.will.as_ref().map(|will| (connection.client, will.payload.clone(), None))
        });
        let waiting = self.sessions.iter().filter_map(|(client, session)| {
            session.will.as_ref().map(|(will, due)| (*client, will.payload.clone(), Some(*due)))
        });
        let mut expected: Vec<_> = there.chain(waiting).collect();
        expected.sort();
        recorded.sort();
        assert_eq!(recorded, expected, "wills");
    }

    /// Everybody has read everything: nothing is owed.
    pub(super) fn check_quiet(&self) {
        let is_of_use = |owed: &Owed| !owed.is_excused && owed.content.expires.is_none_or(|expires| expires > self.now);
        for (client, session) in &self.sessions {
            let lost: Vec<_> = session.owed.iter().filter(|owed| is_of_use(owed)).collect();
            assert!(lost.is_empty(), "lost for c{client}: {lost:?}");
            assert!(session.received.is_empty(), "a publish of c{client} is never complete");
        }
        for connection in self.connections.values() {
            let lost: Vec<_> = connection.unnumbered.iter().filter(|owed| is_of_use(owed)).collect();
            assert!(
                lost.is_empty() && connection.answers.is_empty(),
                "c{}: {lost:?} {:?}",
                connection.client,
                connection.answers
            );
        }
        let is_numbered =
            |open: &&Open| open.candidates.iter().all(|(_, granted)| granted.qos.min(open.owed.qos) > QoS::AtMostOnce);
        // a large one may have been too large for a member that nobody saw
        let is_small = |open: &&Open| !is_too_large(&open.owed.content, PACKET_BYTES_MAX as usize);
        // of one that its publisher repeated, nobody can say which copy somebody got
        let is_single =
            |open: &&Open| self.shared.get(&(open.filter.clone(), open.owed.content.payload.to_vec())) == Some(&1);
        let lost: Vec<_> = self
            .open
            .iter()
            .filter(is_numbered)
            .filter(is_single)
            .filter(is_small)
            .filter(|open| is_of_use(&open.owed))
            .collect();
        assert!(lost.is_empty(), "lost for a group: {lost:?}");
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        let silent = self.connections.values();
        let silent = silent.filter_map(|connection| connection.silence.map(|silence| connection.heard + silence));
        let absent = self.sessions.values().filter(|session| session.connection.is_none());
        let absent =
            absent.flat_map(|session| session.ends.into_iter().chain(session.will.as_ref().map(|will| will.1)));
        let retained = self.retained.values().filter_map(|(content, _)| content.expires);
        silent.chain(absent).chain(retained).min()
    }
}
