//! SUBSCRIBE and UNSUBSCRIBE, and what subscribers are told: never a publish as it came, always what was stored of it.

use std::collections::BTreeSet;

use sensegate::mqtt::{Packet, QoS, ReasonCode, SubAck, Subscribe, TopicFilter};

use super::accounts::Accounts;
use super::session::{ConnectionId, Granted, Line, Session};
use super::state::State;
use super::store::Dot;
use super::topics::messages_of;

impl State {
    /// Grants everything, at most with QoS 1, and sends the current values that each filter asks for.
    pub(super) fn handle_subscribe(&mut self, connection: ConnectionId, line: &Line, subscribe: Subscribe) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let granted: Vec<_> = subscribe
            .subscriptions
            .into_iter()
            .map(|wanted| Granted::new(wanted.filter, wanted.qos.min(QoS::AtLeastOnce)))
            .collect();
        let codes = granted.iter().map(|granted| ReasonCode::granted(granted.qos)).collect();
        line.send(&Packet::SubAck(SubAck::new(subscribe.packet_id, codes)));
        for granted in granted {
            session.subscribe(granted.clone());
            send_current(&self.accounts, &self.store.current(), session, &granted);
        }
    }

    /// One code a filter, as version 5 wants it.
    pub(super) fn handle_unsubscribe(&mut self, connection: ConnectionId, filters: &[TopicFilter]) -> Vec<ReasonCode> {
        let Some(session) = self.sessions.get_mut(&connection) else { return Vec::new() };
        let code = |found| if found { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted };
        filters.iter().map(|filter| code(session.unsubscribe(filter))).collect()
    }

    /// Tells dots that were stored, each to every subscription of its owner that it comes under; of a share, to the
    /// member that connected first.
    pub(super) fn tell(&mut self, dots: &[Dot]) {
        for dot in dots {
            for (topic, payload) in messages_of(dot) {
                let mut told_shares = BTreeSet::new();
                for session in self.sessions.values_mut().filter(|session| may_see(&self.accounts, session, dot)) {
                    let matching = session.subscriptions.iter().filter(|granted| granted.matches(&topic));
                    let is_due = |granted: &&Granted| {
                        !granted.filter.is_shared() || told_shares.insert(granted.filter.as_str().to_owned())
                    };
                    let due: Vec<QoS> = matching.filter(is_due).map(|granted| granted.qos).collect();
                    for qos in due {
                        session.deliver(&topic, &payload, qos);
                    }
                }
            }
        }
    }
}

/// The values of now are ordinary messages with QoS 0; a share gets none.
fn send_current(accounts: &Accounts, current: &[Dot], session: &mut Session, granted: &Granted) {
    if granted.filter.is_shared() {
        return;
    }
    for dot in current.iter().filter(|dot| may_see(accounts, session, dot)).collect::<Vec<_>>() {
        for (topic, payload) in messages_of(dot).filter(|(topic, _)| granted.matches(topic)) {
            session.deliver(&topic, &payload, QoS::AtMostOnce);
        }
    }
}

fn may_see(accounts: &Accounts, session: &Session, dot: &Dot) -> bool {
    accounts.get(&session.token).is_some_and(|account| account.owner == dot.owner && account.may_touch(&dot.device))
}
