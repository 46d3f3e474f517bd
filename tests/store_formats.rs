//! A file of format 2 is brought to the present format with everything in it; format 3 keeps owners and replays.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod store_support;

use std::sync::Arc;

use rusqlite::Connection;
use sensegate::broker::{Change, Delivery, Granted, Marks, Message, Owner, Terms};
use sensegate::mqtt::{MessageFields, MessageProperties, QoS, SubscriptionId, TopicFilter};
use sensegate::store::{Backlog, Kept, KeptWill, Options, Phase, Retained, Sent, SessionState, State, Store};
use store_support::*;

/// See `tests/data/state_format_2.md`.
const FORMAT_2: &[u8] = include_bytes!("data/state_format_2.db");

const SHARE: &str = "$share/g/jobs/#";

fn of_format_2() -> Place {
    let place = Place::new();
    std::fs::write(place.file(), FORMAT_2).unwrap();
    place
}

/// Opens the file with the first five deliveries of each session in memory.
fn open(place: &Place) -> (Store, State) {
    let (store, state, damages) = place.try_open(Options { deliveries_max: 5, ..Options::default() }).unwrap();
    assert_eq!(damages, []);
    (store, state)
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn id(number: u32) -> SubscriptionId {
    SubscriptionId::new(number).unwrap()
}

/// A message with properties that expires.
fn rich(topic: &str, payload: &[u8], expires_s: u64) -> Arc<Message> {
    let fields = MessageFields {
        payload_is_utf8: Some(true),
        content_type: Some("text/plain"),
        user_properties: &[("k", "1"), ("k", "2")],
        ..MessageFields::default()
    };
    let (properties, expires) = (MessageProperties::new(&fields), Some(at(expires_s)));
    Arc::new(Message { properties, expires, ..(*message(topic, payload)).clone() })
}

fn delivery(arrival: u64, message: Arc<Message>, qos: QoS) -> Delivery {
    Delivery { arrival, message, qos, retain: false, marks: None }
}

fn waiting(delivery: Delivery) -> Kept {
    Kept { delivery, sent: None }
}

fn in_flight(delivery: Delivery, number: u16, phase: Phase) -> Kept {
    Kept { delivery, sent: Some(Sent { packet_id: packet_id(number), phase }) }
}

/// Delivery 5 to 64 of the shared subscription: the odd ones are alice's, the even ones bob's.
fn job(arrival: u64) -> Delivery {
    let subscription_ids = if arrival % 2 == 1 { vec![id(7)] } else { vec![] };
    let stale = arrival.is_multiple_of(4).then(|| at(7_000));
    let marks = Marks { subscription_ids, share: Some(filter(SHARE)), stale };
    let message = message("jobs/1", format!("job {arrival}").as_bytes());
    Delivery { marks: Some(Box::new(marks)), ..delivery(arrival, message, QoS::AtLeastOnce) }
}

fn large_delivery() -> Delivery {
    Delivery { retain: true, ..delivery(65, message("a/large", &[b'y'; 5_000]), QoS::ExactlyOnce) }
}

fn bytes<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> u64 {
    deliveries.into_iter().map(|delivery| delivery.bytes() as u64).sum()
}

fn alice() -> SessionState {
    let granted =
        Granted { qos: QoS::ExactlyOnce, no_local: true, retain_as_published: true, id: Some(id(268_435_455)) };
    let shared = Granted { id: Some(id(7)), ..Granted::new(QoS::AtLeastOnce) };
    let sent = in_flight(delivery(1, rich("a/b", b"shared", 8_000), QoS::ExactlyOnce), 11, Phase::Sent);
    let released = in_flight(delivery(3, message("a/c", b"released"), QoS::ExactlyOnce), 12, Phase::Released);
    let jobs = (5..10).step_by(2).map(|arrival| waiting(job(arrival)));
    let rest: Vec<_> = rest_of_alice();
    SessionState {
        client_id: client("alice"),
        terms: Terms { user: Some("anna".into()), expiry_interval_s: 3_600, ends: Some(at(5_000)) },
        subscriptions: vec![(filter("a/#"), granted), (filter(SHARE), shared)],
        replays: vec![],
        received: vec![],
        deliveries: [sent, released].into_iter().chain(jobs).collect(),
        rest: Backlog { count: rest.len() as u64, bytes: bytes(&rest) },
    }
}

fn rest_of_alice() -> Vec<Delivery> {
    (11..64).step_by(2).map(job).chain([large_delivery()]).collect()
}

fn bob() -> SessionState {
    let shared = Granted { retain_as_published: true, ..Granted::new(QoS::AtLeastOnce) };
    let first = waiting(delivery(2, rich("a/b", b"shared", 8_000), QoS::AtLeastOnce));
    let rest: Vec<_> = rest_of_bob();
    SessionState {
        client_id: client("bob"),
        terms: Terms::forever(),
        subscriptions: vec![(filter(SHARE), shared), (filter("c\u{2}/+"), Granted::new(QoS::AtMostOnce))],
        replays: vec![],
        received: vec![packet_id(3), packet_id(65_535)],
        deliveries: [first].into_iter().chain((6..13).step_by(2).map(|arrival| waiting(job(arrival)))).collect(),
        rest: Backlog { count: rest.len() as u64, bytes: bytes(&rest) },
    }
}

fn rest_of_bob() -> Vec<Delivery> {
    (14..65).step_by(2).map(job).collect()
}

fn control() -> SessionState {
    SessionState {
        client_id: client("con\u{1}trol"),
        terms: Terms { expiry_interval_s: 60, ..Terms::forever() },
        subscriptions: vec![],
        replays: vec![],
        received: vec![],
        deliveries: vec![waiting(delivery(4, message("a/\u{1}", b"control"), QoS::AtLeastOnce))],
        rest: Backlog::default(),
    }
}

fn expected() -> State {
    let retained = [
        (message("r/0", b"zero"), QoS::AtMostOnce),
        (message("r/1", b"one"), QoS::AtLeastOnce),
        (rich("r/2", b"two", 9_000), QoS::ExactlyOnce),
        (message("r/large", &[b'x'; 5_000]), QoS::AtLeastOnce),
        (message("r/\u{1f}\u{7f}\u{9f}\u{ffff}", b"control"), QoS::AtLeastOnce),
    ];
    let retained = retained.map(|(message, qos)| Retained { message, qos, owner: Owner::Anonymous });
    let of_alice =
        KeptWill { client_id: client("alice"), user: Some("anna".into()), will: will("w/alice"), due: Some(at(4_000)) };
    let of_bob = KeptWill { client_id: client("bob"), user: None, will: will("w/\u{3}bob"), due: None };
    State {
        sessions: vec![alice(), bob(), control()],
        retained: retained.to_vec(),
        wills: vec![of_alice, of_bob],
        next_arrival: 66,
    }
}

fn sorted(mut state: State) -> State {
    state.sessions.sort_unstable_by_key(|session| session.client_id.clone());
    for session in &mut state.sessions {
        session.subscriptions.sort_unstable_by_key(|(filter, _)| filter.clone());
    }
    state.retained.sort_unstable_by_key(|kept| kept.message.topic.clone());
    state.wills.sort_unstable_by_key(|will| will.client_id.clone());
    state
}

fn check_queues(store: &mut Store) {
    assert_eq!(store.load(&client("alice"), 9, 1_000).unwrap().deliveries, rest_of_alice());
    assert_eq!(store.load(&client("bob"), 12, 1_000).unwrap().deliveries, rest_of_bob());
}

fn number(place: &Place, sql: &str) -> i64 {
    Connection::open(place.file()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_of_format_2_is_read_whole_and_goes_on_in_the_present_format() {
    let place = of_format_2();
    assert_eq!(number(&place, "PRAGMA user_version"), 2);
    let (mut store, state) = open(&place);
    assert_eq!(sorted(state), sorted(expected()));
    check_queues(&mut store);
    store.close(START).unwrap();
    assert_eq!(number(&place, "PRAGMA user_version"), 3);

    // rows of both formats stand side by side
    let (mut store, state) = open(&place);
    assert_eq!(sorted(state), sorted(expected()));
    let owned = |topic: &str, owner| Change::Retained { message: message(topic, b"new"), qos: QoS::AtLeastOnce, owner };
    let granted = Granted::new(QoS::AtMostOnce);
    let replayed = Change::Subscribed { client_id: client("bob"), filter: filter("c\u{2}/+"), granted, replay: true };
    store.commit(&[owned("r/0", Owner::Internal), owned("r/1", Owner::User("anna".into())), replayed], START).unwrap();
    drop(store);
    let (mut store, state) = open(&place);
    let mut changed = sorted(expected());
    changed.sessions[1].replays = vec![filter("c\u{2}/+")];
    for kept in &mut changed.retained {
        let topic = kept.message.topic.clone();
        let now_of = match topic.as_str() {
            "r/0" => Owner::Internal,
            "r/1" => Owner::User("anna".into()),
            _ => continue,
        };
        *kept = Retained { message: message(topic.as_str(), b"new"), qos: QoS::AtLeastOnce, owner: now_of };
    }
    assert_eq!(sorted(state), changed);
    check_queues(&mut store);
}

#[test]
fn a_damaged_file_of_format_2_gives_everything_but_the_damaged_row() {
    let place = of_format_2();
    let connection = Connection::open(place.file()).unwrap();
    assert_eq!(connection.execute("UPDATE retained SET payload = x'00' WHERE topic = 'r/1'", []).unwrap(), 1);
    connection.close().unwrap();
    let (mut store, state, damages) = place.try_open(Options { deliveries_max: 5, ..Options::default() }).unwrap();
    assert_eq!((damages.len(), damages[0].lost), (1, 1), "{damages:?}");
    let mut rest = expected();
    rest.retained.remove(1);
    assert_eq!(sorted(state), sorted(rest));
    check_queues(&mut store);
}

#[test]
fn owners_and_replays_come_back_whatever_the_user_is_called() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let names = ["", "anna", "internal", "user:", "user:anna"].map(|name| Owner::User(name.into()));
    let owners: Vec<_> = names.into_iter().chain([Owner::Internal, Owner::Anonymous]).collect();
    let owned = |(index, owner): (usize, &Owner)| Change::Retained {
        message: message(&index.to_string(), b"x"),
        qos: QoS::AtLeastOnce,
        owner: owner.clone(),
    };
    let mut changes: Vec<_> = owners.iter().enumerate().map(owned).collect();
    let late = Change::Retained { message: message("late", b"x"), qos: QoS::AtMostOnce, owner: Owner::Internal };
    let granted = Granted::new(QoS::AtLeastOnce);
    let replayed =
        |text: &str, replay| Change::Subscribed { client_id: client("c"), filter: filter(text), granted, replay };
    changes.extend([late, replayed("a", true), replayed("b", false), replayed("c", true)]);
    store.commit(&changes, START).unwrap();
    store.commit(&[replayed("a", false), replayed("b", true)], START).unwrap();
    store.close(START).unwrap();
    let state = sorted(place.state());
    let found: Vec<_> = state.retained.into_iter().map(|kept| kept.owner).collect();
    assert_eq!(found, [owners, vec![Owner::Internal]].concat());
    let mut replays = state.sessions[0].replays.clone();
    replays.sort_unstable();
    assert_eq!(replays, [filter("b"), filter("c")]);
}

#[test]
fn a_subscription_on_disk_is_replaced_on_a_full_disk() {
    let place = Place::new();
    let (mut store, _, _) = place.try_open(Options { bytes_max: 1 << 18, ..Options::default() }).unwrap();
    let granted = Granted::new(QoS::AtLeastOnce);
    let subscribed = |replay| Change::Subscribed { client_id: client("c"), filter: filter("a"), granted, replay };
    store.commit(&[started("c"), subscribed(true)], START).unwrap();
    let mut arrivals = 1..;
    while store.commit(&[enqueued("c", arrivals.next().unwrap(), &[1; 3_000])], START).is_ok() {}
    store.commit(&[subscribed(false)], START).unwrap();
    drop(store);
    let state = place.state();
    assert_eq!((&state.sessions[0].replays[..], state.sessions[0].subscriptions.len()), (&[][..], 1));
}
