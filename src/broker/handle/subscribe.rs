//! SUBSCRIBE (section 3.8).

use std::collections::BTreeSet;

use super::{answer, told};
use crate::broker::change::Change;
use crate::broker::deliver::DeliveryContext;
use crate::broker::machine::Broker;
use crate::broker::message::{Delivery, Granted, Marks};
use crate::broker::output::ConnectionId;
use crate::broker::persist::Barrier;
use crate::broker::retained::{FilterSet, Position, Retained, Walk};
use crate::broker::session::{Session, SessionKey};
use crate::broker::share::Presence;
use crate::mqtt::{
    Packet, ProtocolVersion, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, SubscriptionId, TopicFilter,
    disallowed_code_point,
};

/// Takes the filters in, answers, then sends what is retained for them.
pub(super) fn subscribe(broker: &mut Broker, connection: ConnectionId, session: SessionKey, subscribe: &Subscribe) {
    let id = subscribe.properties.subscription_identifier;
    let taken: Vec<Taken> = subscribe.subscriptions.iter().map(|wanted| take(broker, session, wanted, id)).collect();
    let is_persistent = broker.sessions.get(session).is_some_and(Session::is_persistent);
    let barrier = if is_persistent { Barrier::ThisInput } else { Barrier::None };
    let version = broker.connections.get(connection).map_or(ProtocolVersion::V311, |record| record.version);
    let codes =
        taken.iter().zip(&subscribe.subscriptions).map(|(taken, wanted)| code(taken, wanted, version)).collect();
    let mut suback = SubAck::new(subscribe.packet_id, codes);
    if let Some(why) = taken.iter().find_map(|taken| taken.as_ref().err()) {
        suback.properties = told(broker, connection, why.code, why.words);
    }
    answer(broker, connection, Packet::SubAck(suback), barrier);
    let asked = taken.into_iter().zip(&subscribe.subscriptions);
    let replayed =
        asked.filter_map(|(taken, wanted)| taken.ok().filter(|is_new| brings(wanted, *is_new)).map(|_| wanted));
    let filters: BTreeSet<&TopicFilter> = replayed.map(|wanted| &wanted.filter).collect();
    replay(broker, session, &filters, id);
}

/// Whether a subscription is new, or why there is none.
type Taken = Result<bool, Refusal>;

/// Why a filter was not taken.
struct Refusal {
    code: ReasonCode,
    words: &'static str,
}

/// What SUBACK says. 3.1 has no word for a failure, 3.1.1 one for all.
fn code(taken: &Taken, wanted: &Subscription, version: ProtocolVersion) -> ReasonCode {
    match (taken, version) {
        (Ok(_), _) | (Err(_), ProtocolVersion::V31) => ReasonCode::granted(wanted.qos),
        (Err(_), ProtocolVersion::V311) => ReasonCode::UnspecifiedError,
        (Err(refusal), ProtocolVersion::V5) => refusal.code,
    }
}

/// Adds or replaces one subscription.
fn take(broker: &mut Broker, key: SessionKey, wanted: &Subscription, id: Option<SubscriptionId>) -> Taken {
    let Subscription { filter, qos, no_local, retain_as_published, .. } = wanted;
    let refused = |code, words| Err(Refusal { code, words });
    let Some(session) = broker.sessions.get_mut(key) else { return refused(ReasonCode::UnspecifiedError, "") };
    let is_new = !session.subscriptions.contains_key(filter);
    if is_new && session.subscriptions.len() >= broker.options.subscriptions_max {
        return refused(ReasonCode::QuotaExceeded, "the session has as many subscriptions as it may");
    }
    if filter.shared().is_err() || !broker.options.allows_levels_of(filter.as_str()) {
        return refused(ReasonCode::TopicFilterInvalid, "the filter is no share, or has too many levels");
    }
    // what could never deliver anything is refused
    if !session.rights.could_read(&plain(filter)) {
        return refused(ReasonCode::NotAuthorized, "nothing under the filter may be read");
    }
    let granted = Granted { qos: *qos, no_local: *no_local, retain_as_published: *retain_as_published, id };
    session.subscriptions.insert(filter.clone(), granted);
    session.has_shared |= filter.is_shared();
    if session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Subscribed { client_id, filter: filter.clone(), granted, replay: false });
    }
    broker.subscriptions.insert(filter, key, granted, Presence::Connected);
    Ok(is_new)
}

/// The filter behind the name of a share.
fn plain(filter: &TopicFilter) -> TopicFilter {
    let shared = filter.shared().ok().flatten().and_then(|(_, filter)| TopicFilter::new(filter).ok());
    shared.unwrap_or_else(|| filter.clone())
}

/// Whether retained messages come with it [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; never with a shared one.
fn brings(wanted: &Subscription, is_new: bool) -> bool {
    let is_asked_for = match wanted.retain_handling {
        RetainHandling::Send => true,
        RetainHandling::SendIfNew => is_new,
        RetainHandling::DoNotSend => false,
    };
    is_asked_for && !wanted.filter.is_shared()
}

/// Sends the retained messages under these filters, also when they replace equal ones [MQTT-3.8.4-4]. Where several
/// filters meet, a message comes once, with the highest quality of service: else one packet full of filters would call
/// for a multiple of all that is retained.
fn replay(broker: &mut Broker, key: SessionKey, filters: &BTreeSet<&TopicFilter>, id: Option<SubscriptionId>) {
    for Retained { message, qos, .. } in found(broker, key, filters) {
        if message.is_expired(broker.now) {
            continue;
        }
        broker.arrivals += 1;
        let marks = id.map(|id| Box::new(Marks { subscription_ids: vec![id], ..Marks::default() }));
        // [MQTT-3.3.1-8]
        let delivery = Delivery { arrival: broker.arrivals, message, qos, retain: true, marks };
        broker.deliver(key, delivery, DeliveryContext::SINGLE);
    }
}

/// What is retained under those filters, in the order of its topics, with the quality of service it is to be sent with.
fn found(broker: &Broker, key: SessionKey, filters: &BTreeSet<&TopicFilter>) -> Vec<Retained> {
    let Some(session) = broker.sessions.get(key) else { return Vec::new() };
    let set = FilterSet::new(filters.iter().map(|filter| (*filter).clone()));
    let (mut position, mut steps, mut found) = (Position::default(), usize::MAX, Vec::new());
    while let Walk::Match { retained, filters } = broker.retained.next_match(&set, &mut position, &mut steps) {
        let granted = filters.iter().filter_map(|filter| session.subscriptions.get(set.get(*filter)?));
        let Some(most) = granted.map(|granted| granted.qos).max() else { continue };
        // mosquitto's clients would end the connection over it at each subscribe; `Shared::restore` logs how to clear it
        let is_allowed = disallowed_code_point(retained.message.topic.as_str()).is_none();
        if is_allowed && session.rights.may_read(retained.message.topic.as_str()) {
            found.push(Retained { qos: retained.qos.min(most), ..retained });
        }
    }
    found
}
