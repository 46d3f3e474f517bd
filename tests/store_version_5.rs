//! What version 5 keeps: terms, properties, marks, moments that outlive their boot; and files of format 1.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod store_support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rusqlite::Connection;
use sensegate::base::clock::{Monotonic, Wall};
use sensegate::broker::{Change, Delivery, Granted, Marks, Message, Owner, Terms};
use sensegate::mqtt::{MessageFields, MessageProperties, QoS, SubscriptionId, TopicFilter, TopicName};
use sensegate::store::{Kept, KeptWill, Options, Phase, Retained, Sent, State, StoreError};
use store_support::*;

fn id(number: u32) -> SubscriptionId {
    SubscriptionId::new(number).unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn kept(name: &str, terms: Terms) -> Change {
    Change::SessionKept { client_id: client(name), terms }
}

fn terms(expiry_interval_s: u32, ends: Option<Monotonic>) -> Terms {
    Terms { user: Some("anna".into()), expiry_interval_s, ends }
}

/// A message with properties that expires.
fn rich(topic: &str, payload: &[u8], expires: Monotonic) -> Arc<Message> {
    let fields = MessageFields {
        payload_is_utf8: Some(true),
        content_type: Some("text/plain"),
        user_properties: &[("k", "1"), ("k", "2")],
        ..MessageFields::default()
    };
    let plain = message(topic, payload);
    Arc::new(Message { properties: MessageProperties::new(&fields), expires: Some(expires), ..(*plain).clone() })
}

fn delivery(arrival: u64, message: &Arc<Message>, marks: Option<Marks>) -> Delivery {
    Delivery { arrival, message: message.clone(), qos: QoS::AtLeastOnce, retain: true, marks: marks.map(Box::new) }
}

fn marked(name: &str, delivery: &Delivery) -> Change {
    Change::Enqueued { client_id: client(name), delivery: delivery.clone() }
}

fn delayed(name: &str, due: Monotonic) -> Change {
    Change::WillDelayed { client_id: client(name), due }
}

fn will_set(name: &str) -> Change {
    Change::WillSet { client_id: client(name), user: Some("bert".into()), will: will("w") }
}

fn queue(state: &State, session: usize) -> Vec<Delivery> {
    state.sessions[session].deliveries.iter().map(|kept| kept.delivery.clone()).collect()
}

#[test]
fn everything_that_version_5_adds_comes_back() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let granted =
        Granted { qos: QoS::ExactlyOnce, no_local: true, retain_as_published: false, id: Some(id(268_435_455)) };
    let published = Granted { retain_as_published: true, ..Granted::new(QoS::AtMostOnce) };
    let shared = rich("a", b"shared", at(70));
    let both =
        Marks { subscription_ids: vec![id(1), id(300)], share: Some(filter("$share/s/a/#")), stale: Some(at(7)) };
    let deliveries = [
        delivery(1, &shared, Some(both)),
        delivery(2, &rich("a", b"own", at(80)), Some(Marks { share: Some(filter("$share/s/+")), ..Marks::default() })),
        delivery(3, &rich("a", &[1; 9_000], at(90)), Some(Marks::default())),
        delivery(4, &message("a", b"plain"), None),
    ];
    let other = delivery(5, &shared, None);
    let retained = rich("r", b"kept", at(100));
    let mut changes = vec![
        kept("one", terms(60, Some(at(61)))),
        kept("two", Terms::forever()),
        Change::Subscribed { client_id: client("one"), filter: filter("a/#"), granted, replay: false },
        Change::Subscribed { client_id: client("one"), filter: filter("b"), granted: published, replay: false },
        marked("two", &other),
        Change::Retained { message: retained.clone(), qos: QoS::AtLeastOnce, owner: Owner::Anonymous },
        will_set("one"),
        delayed("one", at(65)),
        will_set("two"),
    ];
    changes.extend(deliveries.iter().map(|delivery| marked("one", delivery)));
    store.commit(&changes, START).unwrap();
    drop(store);

    let state = place.state();
    let [one, two] = &state.sessions[..] else { panic!("{state:?}") };
    assert_eq!((&one.terms, &two.terms), (&terms(60, Some(at(61))), &Terms::forever()));
    assert_eq!(one.subscriptions, [(filter("a/#"), granted), (filter("b"), published)]);
    assert_eq!((queue(&state, 0), queue(&state, 1)), (deliveries.to_vec(), vec![other]));
    assert_eq!(state.retained, [Retained { message: retained, qos: QoS::AtLeastOnce, owner: Owner::Anonymous }]);
    let user = || Some("bert".into());
    let wills = [
        KeptWill { client_id: client("one"), user: user(), will: will("w"), due: Some(at(65)) },
        KeptWill { client_id: client("two"), user: user(), will: will("w"), due: None },
    ];
    assert_eq!(state.wills, wills);
}

#[test]
fn properties_marks_and_moments_come_with_a_piece_of_a_queue_and_count_as_its_bytes() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let marks = || Some(Marks { subscription_ids: vec![id(9)], ..Marks::default() });
    let deliveries: Vec<_> = (1..=4).map(|n| delivery(n, &rich("t", b"xyz", at(n)), marks())).collect();
    let shared = rich("t", b"shared", at(5));
    store.commit(&deliveries.iter().map(|delivery| marked("c", delivery)).collect::<Vec<_>>(), START).unwrap();
    store.commit(&[marked("c", &delivery(5, &shared, None)), marked("d", &delivery(6, &shared, None))], START).unwrap();
    drop(store);
    let (mut store, state, _) = place.try_open(Options { deliveries_max: 1, ..Options::default() }).unwrap();
    let bytes: usize = deliveries[1..].iter().map(Delivery::bytes).sum();
    let rest = state.sessions[0].rest;
    assert_eq!((rest.count, rest.bytes), (4, (bytes + shared.bytes()) as u64));
    store.commit(&[marked("c", &delivery(7, &shared, None))], START).unwrap();
    let loaded = store.load(&client("c"), 1, 10).unwrap().deliveries;
    assert_eq!(loaded[..3], deliveries[1..]);
    assert_eq!(loaded[3..], [delivery(5, &shared, None), delivery(7, &shared, None)]);
}

#[test]
fn terms_that_change_replace_the_old_ones_and_leave_the_session_as_it_is() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.commit(&[kept("c", Terms::forever()), enqueued("c", 1, b"x")], START).unwrap();
    store.commit(&[kept("c", terms(9, None)), subscribed("c", "a", QoS::AtMostOnce)], START).unwrap();
    store.commit(&[kept("c", terms(8, None)), kept("c", terms(7, Some(at(7))))], START).unwrap();
    drop(store);
    let (mut store, state) = place.open();
    assert_eq!(state.sessions[0].terms, terms(7, Some(at(7))));
    assert_eq!((arrivals(&state), state.sessions[0].subscriptions.len()), (vec![1], 1));
    store.commit(&[ended("c"), kept("c", terms(6, None))], START).unwrap();
    drop(store);
    let state = place.state();
    assert_eq!((state.sessions.len(), &state.sessions[0].terms), (1, &terms(6, None)));
    assert_eq!((arrivals(&state), state.sessions[0].subscriptions.len()), (vec![], 0));
}

#[test]
fn a_will_waits_for_its_delay_and_goes_when_it_was_published() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.commit(&[will_set("a"), will_set("b"), delayed("nobody", at(1))], START).unwrap();
    store.commit(&[delayed("a", at(30)), delayed("b", at(40))], START).unwrap();
    store.commit(&[delayed("a", at(31)), Change::WillCleared { client_id: client("b") }], START).unwrap();
    drop(store);
    let expected = KeptWill { client_id: client("a"), user: Some("bert".into()), will: will("w"), due: Some(at(31)) };
    assert_eq!(place.state().wills, [expected]);
}

/// Moments of everything that has one.
fn moments(state: &State) -> [Option<Monotonic>; 4] {
    let session = &state.sessions[0];
    let queued = session.deliveries[0].delivery.message.expires;
    [session.terms.ends, queued, state.retained[0].message.expires, state.wills[0].due]
}

fn with_moments(expires: Monotonic) -> [Change; 5] {
    [
        kept("c", terms(60, Some(expires))),
        marked("c", &delivery(1, &rich("t", b"x", expires), None)),
        Change::Retained { message: rich("r", b"x", expires), qos: QoS::AtLeastOnce, owner: Owner::Anonymous },
        will_set("c"),
        delayed("c", expires),
    ]
}

#[test]
fn the_same_boot_gives_moments_back_as_they_were_whatever_the_wall_clock_says() {
    let place = Place::new();
    let (mut store, _) = place.open_at(clocks("a", 10, 1_000));
    store.commit(&with_moments(at(5_000)), at(10)).unwrap();
    drop(store);
    assert_eq!(moments(&place.open_at(clocks("a", 20, 900_000)).1), [Some(at(5_000)); 4]);
}

#[test]
fn a_later_boot_tells_moments_by_the_wall_clock() {
    let place = Place::new();
    let (mut store, _) = place.open_at(clocks("a", 100, 1_000_100));
    store.commit(&with_moments(at(700)), at(100)).unwrap();
    drop(store);
    // 600 seconds were left; 150 are gone, and this boot is 30 seconds old
    let (mut store, state) = place.open_at(clocks("b", 30, 1_000_250));
    assert_eq!(moments(&state), [Some(at(480)); 4]);
    // rows of both boots stand side by side
    store.commit(&[marked("c", &delivery(2, &rich("t", b"y", at(480)), None)), delayed("c", at(490))], at(30)).unwrap();
    drop(store);
    let (_, state) = place.open_at(clocks("c", 0, 1_000_300));
    assert_eq!(moments(&state), [400, 400, 400, 410].map(|seconds| Some(at(seconds))));
    let late = place.open_at(clocks("d", 5, 2_000_000)).1;
    assert_eq!(moments(&late), [Some(Monotonic::ZERO); 4]);
}

#[test]
fn a_wall_clock_that_was_set_after_the_boot_is_written_with_the_next_commit_only() {
    let place = Place::new();
    // without a battery the first date is any
    let (mut store, _) = place.open_at(clocks("a", 5, 0));
    store.commit(&with_moments(at(700)), at(5)).unwrap();
    let log = || fs::read(format!("{}-wal", place.file().display())).unwrap();
    let before = log();
    store.note_time(at(100), Wall::from_unix_ms(1_000_100_000));
    store.commit(&[], at(100)).unwrap();
    assert!(before == log(), "a commit without changes was written");
    store.commit(&[enqueued("c", 2, b"y")], at(100)).unwrap();
    // a clock that is kept right moves a little
    store.note_time(at(200), Wall::from_unix_ms(1_000_200_900));
    store.commit(&[enqueued("c", 3, b"z")], at(200)).unwrap();
    drop(store);
    let connection = Connection::open(place.file()).unwrap();
    let offset_ms: i64 = connection.query_row("SELECT offset_ms FROM boot", [], |row| row.get(0)).unwrap();
    assert_eq!(offset_ms, 1_000_000_000);
    drop(connection);
    let (_, state) = place.open_at(clocks("b", 30, 1_000_250));
    assert_eq!(moments(&state), [Some(at(480)); 4]);
}

#[test]
fn boots_that_nothing_refers_to_are_forgotten_and_the_others_are_not() {
    let place = Place::new();
    let (mut store, _) = place.open_at(clocks("boot 0", 0, 0));
    store.commit(&with_moments(at(1_000_000)), START).unwrap();
    drop(store);
    for n in 1..=40 {
        let (mut store, _) = place.open_at(clocks(&format!("boot {n}"), 0, n * 100));
        store.commit(&[subscribed("c", &format!("{n}"), QoS::AtMostOnce)], START).unwrap();
    }
    let (_, state) = place.open_at(clocks("last", 0, 5_000));
    assert_eq!(moments(&state), [Some(at(995_000)); 4]);
    let connection = Connection::open(place.file()).unwrap();
    let boots: i64 = connection.query_row("SELECT count(*) FROM boot", [], |row| row.get(0)).unwrap();
    assert!((17..=33).contains(&boots), "{boots}");
}

#[test]
fn a_boot_that_was_lost_takes_its_moments_with_it_and_nothing_else() {
    let place = Place::new();
    let (mut store, _) = place.open_at(clocks("a", 0, 1_000));
    store.commit(&with_moments(at(700)), START).unwrap();
    store.close(START).unwrap();
    Connection::open(place.file()).unwrap().execute("UPDATE boot SET offset_ms = offset_ms + 1", []).unwrap();
    let options = Options::default();
    let (_, state, damages) = sensegate::store::Store::open(place.file(), options, clocks("b", 0, 1_000)).unwrap();
    assert_eq!((damages.len(), damages[0].lost), (1, 1), "{damages:?}");
    assert_eq!(moments(&state), [None; 4]);
}

#[test]
fn terms_and_delays_of_what_is_there_are_written_on_a_full_disk() {
    let place = Place::new();
    let (mut store, _, _) = place.try_open(Options { bytes_max: 1 << 18, ..Options::default() }).unwrap();
    store.commit(&[kept("c", terms(60, None)), will_set("c")], START).unwrap();
    let mut n = 0;
    while store.commit(&[enqueued("c", n + 1, &[1; 3_000])], START).is_ok() {
        n += 1;
    }
    let needless = [kept("c", terms(60, Some(at(60)))), delayed("c", at(9))];
    let needy = [kept("d", terms(60, None)), will_set("d")];
    store.commit(&needless, START).unwrap();
    assert_eq!(store.commit(&needy, START), Err(StoreError::Full));
    drop(store);
    let state = place.state();
    assert_eq!((state.sessions.len(), &state.sessions[0].terms), (1, &terms(60, Some(at(60)))));
    assert_eq!((state.wills.len(), state.wills[0].due), (1, Some(at(9))));
}

/// A file that a program of format 1 wrote, statement by statement.
const FORMAT_1: &str = include_str!("store_version_5/format_1.sql");

fn of_format_1() -> Place {
    let place = Place::new();
    let connection = Connection::open(place.file()).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    connection.execute_batch(FORMAT_1).unwrap();
    place
}

fn check_what_format_1_held(state: &State) {
    let [one, two] = &state.sessions[..] else { panic!("{state:?}") };
    assert_eq!((one.client_id.as_str(), two.client_id.as_str()), ("one", "two"));
    assert_eq!((&one.terms, &two.terms), (&Terms::forever(), &Terms::forever()));
    let granted = [(filter("a/#"), Granted::new(QoS::ExactlyOnce)), (filter("b"), Granted::new(QoS::AtMostOnce))];
    assert_eq!(one.subscriptions, granted);
    assert_eq!(two.received, [packet_id(4)]);
    let shared = message("a/b", b"shared");
    let plain =
        |arrival, message: &Arc<Message>, qos| Delivery { qos, retain: false, ..delivery(arrival, message, None) };
    let sent = Some(Sent { packet_id: packet_id(65_535), phase: Phase::Sent });
    let first = Kept { delivery: plain(5, &shared, QoS::ExactlyOnce), sent };
    let second = Kept { delivery: plain(7, &message("t", b"own"), QoS::AtLeastOnce), sent: None };
    assert_eq!(one.deliveries, [first, second]);
    assert_eq!(two.deliveries, [Kept { delivery: plain(6, &shared, QoS::AtLeastOnce), sent: None }]);
    assert_eq!(
        state.retained,
        [Retained { message: message("r", b"kept"), qos: QoS::ExactlyOnce, owner: Owner::Anonymous }]
    );
    assert_eq!(state.wills, [KeptWill { client_id: client("three"), user: None, will: will("w"), due: None }]);
    assert_eq!(state.next_arrival, 8);
}

#[test]
fn a_file_of_format_1_is_read_whole_and_goes_on_in_the_present_format() {
    let place = of_format_1();
    let (mut store, state) = place.open();
    check_what_format_1_held(&state);
    // rows of both formats stand side by side
    let more = [
        kept("one", terms(60, Some(at(60)))),
        marked("two", &delivery(8, &rich("t", b"x", at(50)), Some(Marks::default()))),
        delayed("three", at(44)),
        dequeued("one", 7),
    ];
    store.commit(&more, START).unwrap();
    drop(store);
    let state = place.state();
    assert_eq!(state.sessions[0].terms, terms(60, Some(at(60))));
    assert_eq!(arrivals(&state), [5, 6, 8]);
    assert_eq!(state.sessions[1].deliveries[1].delivery.message.expires, Some(at(50)));
    assert_eq!(state.wills[0].due, Some(at(44)));
    let format = |sql| Connection::open(place.file()).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(format("PRAGMA user_version"), 3);
}

#[test]
fn a_damaged_file_of_format_1_gives_what_is_readable() {
    let place = of_format_1();
    let connection = Connection::open(place.file()).unwrap();
    connection.execute("UPDATE retained SET payload = x'00'", []).unwrap();
    drop(connection);
    let (_, state, damages) = place.try_open(Options::default()).unwrap();
    assert_eq!((damages.len(), damages[0].lost), (1, 1), "{damages:?}");
    assert_eq!((state.sessions.len(), arrivals(&state), state.wills.len()), (2, vec![5, 7, 6], 1));
    assert_eq!(state.retained, []);
}

#[test]
fn a_file_of_format_1_with_a_destroyed_page_gives_the_others() {
    let place = of_format_1();
    let connection = Connection::open(place.file()).unwrap();
    let page: i64 =
        connection.query_row("SELECT rootpage FROM sqlite_master WHERE name = 'will'", [], |row| row.get(0)).unwrap();
    connection.close().unwrap();
    let file = fs::File::options().write(true).open(place.file()).unwrap();
    file.write_all_at(&[0xa5; 4096], u64::try_from(page - 1).unwrap() * 4096).unwrap();
    let (_, state, damages) = place.try_open(Options::default()).unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!((state.sessions.len(), arrivals(&state), state.retained.len()), (2, vec![5, 7, 6], 1));
    assert_eq!(state.wills, []);
}

#[test]
fn a_large_file_of_format_1_keeps_its_rows_where_they_are() {
    let place = of_format_1();
    let (mut store, _) = place.open();
    store.commit(&(8..3_000).map(|n| enqueued("one", n, &[7; 100])).collect::<Vec<_>>(), START).unwrap();
    store.close(START).unwrap();
    // the same rows in the tables of format 1
    let old = of_format_1();
    let connection = Connection::open(old.file()).unwrap();
    connection.execute("ATTACH ?1 AS new", [place.file().to_str().unwrap()]).unwrap();
    let copy = "INSERT INTO delivery SELECT id, sent, session, flags, message, crc, topic, payload FROM new.delivery
                WHERE id >= 8";
    connection.execute(copy, []).unwrap();
    connection.execute_batch("DETACH new").unwrap();
    connection.close().unwrap();
    let before = fs::read(old.file()).unwrap();
    let all = Options { deliveries_max: usize::MAX, ..Options::default() };
    let (store, state, damages) = old.try_open(all).unwrap();
    assert_eq!((damages, arrivals(&state).len()), (vec![], 2_995));
    store.close(START).unwrap();
    let after = fs::read(old.file()).unwrap();
    let changed = before.chunks(4096).zip(after.chunks(4096)).filter(|(before, after)| before != after).count();
    assert!(changed <= 3 && after.len() <= before.len() + 3 * 4096, "{changed} pages changed");
    let topic = TopicName::new("t").unwrap();
    assert!(queue(&state, 0)[1..].iter().all(|delivery| delivery.message.topic == topic));
}
