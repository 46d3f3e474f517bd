//! SUBSCRIBE (section 3.8).

use super::{answer, told};
use crate::broker::change::Change;
use crate::broker::machine::Broker;
use crate::broker::message::Granted;
use crate::broker::output::{ConnectionId, Output};
use crate::broker::persist::Barrier;
use crate::broker::session::{Session, SessionKey};
use crate::broker::share::Presence;
use crate::mqtt::{
    Packet, ProtocolVersion, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, SubscriptionId, TopicFilter,
};

/// Takes the filters in, answers, then sends what is retained for them.
pub(super) fn subscribe(broker: &mut Broker, connection: ConnectionId, session: SessionKey, subscribe: &Subscribe) {
    let id = subscribe.properties.subscription_identifier;
    let taken: Vec<Taken> = subscribe.subscriptions.iter().map(|wanted| take(broker, session, wanted, id)).collect();
    notify_refused(broker, session, subscribe, &taken);
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
    let replayed = asked.filter(|(taken, wanted)| taken.as_ref().is_ok_and(|is_new| brings(wanted, *is_new)));
    let filters: Vec<TopicFilter> = replayed.map(|(_, wanted)| wanted.filter.clone()).collect();
    if !filters.is_empty() {
        broker.start_replay(session, filters);
    }
}

/// Reports the first filter of a SUBSCRIBE that was refused: a packet may have thousands.
fn notify_refused(broker: &mut Broker, session: SessionKey, subscribe: &Subscribe, taken: &[Taken]) {
    let refused =
        taken.iter().zip(&subscribe.subscriptions).find_map(|(taken, wanted)| Some((taken.as_ref().err()?, wanted)));
    let Some((refusal, wanted)) = refused else { return };
    let Some(client_id) = broker.sessions.get(session).map(|session| session.client_id.clone()) else { return };
    let (filter, code) = (wanted.filter.clone(), refusal.code);
    broker.outputs.push_back(Output::NotifySubscriptionRefused { client_id, filter, code });
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
