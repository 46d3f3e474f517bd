//! What is committed is there after the file is opened again, and nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod store_support;

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;
use sensegate::broker::{Change, Delivery, Granted, Marks, Ticket};
use sensegate::mqtt::{QoS, SubscriptionId, TopicFilter, TopicName};
use sensegate::store::{
    Answer, Backlog, KeptWill, Loaded, Options, Phase, Request, Sent, Store, StoreError, StoreThread, ThreadOptions,
};
use store_support::*;

fn rows(place: &Place, sql: &str) -> i64 {
    Connection::open(place.file()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn everything_that_a_broker_begins_again_with_comes_back() {
    let place = Place::new();
    let (mut store, state) = place.open();
    assert_eq!((state.sessions.len(), state.next_arrival), (0, 1));
    let shared = message("a/b", b"shared");
    let changes = [
        started("one"),
        subscribed("one", "a/#", QoS::ExactlyOnce),
        subscribed("one", "b", QoS::AtMostOnce),
        started("two"),
        enqueued_as("one", 5, &shared, QoS::ExactlyOnce),
        enqueued_as("two", 6, &shared, QoS::AtLeastOnce),
        enqueued("one", 7, b""),
        sent("one", 5, 65_535),
        Change::Received { client_id: client("two"), packet_id: packet_id(3) },
        Change::Received { client_id: client("two"), packet_id: packet_id(4) },
        retained("r", b"kept", QoS::ExactlyOnce),
        Change::WillSet { client_id: client("three"), user: None, will: will("w") },
    ];
    store.commit(&changes, START).unwrap();
    let later = [
        Change::Released { client_id: client("one"), arrival: 5 },
        Change::Forgotten { client_id: client("two"), packet_id: packet_id(3) },
        Change::Unsubscribed { client_id: client("one"), filter: TopicFilter::new("b").unwrap() },
    ];
    store.commit(&later, START).unwrap();
    drop(store);

    let mut state = place.state();
    state.sessions.sort_unstable_by_key(|session| session.client_id.clone());
    let [one, two] = &state.sessions[..] else { panic!("{state:?}") };
    assert_eq!((one.client_id.as_str(), two.client_id.as_str()), ("one", "two"));
    assert_eq!(one.subscriptions, [(TopicFilter::new("a/#").unwrap(), Granted::new(QoS::ExactlyOnce))]);
    assert_eq!(two.received, [packet_id(4)]);
    assert_eq!(one.deliveries.iter().map(|kept| kept.delivery.arrival).collect::<Vec<_>>(), [5, 7]);
    assert_eq!(one.deliveries[0].sent, Some(Sent { packet_id: packet_id(65_535), phase: Phase::Released }));
    assert_eq!((one.deliveries[1].sent, one.deliveries[1].delivery.qos), (None, QoS::AtLeastOnce));
    assert_eq!((&two.deliveries[0].delivery.message, two.deliveries[0].delivery.qos), (&shared, QoS::AtLeastOnce));
    assert_eq!(state.retained.len(), 1);
    assert_eq!((&state.retained[0].message.payload[..], state.retained[0].qos), (&b"kept"[..], QoS::ExactlyOnce));
    assert_eq!(state.wills, [KeptWill { client_id: client("three"), user: None, will: will("w"), due: None }]);
    assert_eq!(state.next_arrival, 8);
}

#[test]
fn a_message_for_many_sessions_is_stored_once_and_goes_with_its_last_delivery() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let shared = message("t", &[7; 5_000]);
    let changes: Vec<_> = (1..=20).map(|n| enqueued_as(&format!("c{n}"), n, &shared, QoS::AtLeastOnce)).collect();
    store.commit(&changes, START).unwrap();
    store.commit(&(2..=20).map(|n| dequeued(&format!("c{n}"), n)).collect::<Vec<_>>(), START).unwrap();
    drop(store);
    assert_eq!(rows(&place, "SELECT count(*) FROM message"), 1);
    let (mut store, state) = place.open();
    assert_eq!(state.sessions[0].deliveries[0].delivery.message, shared);
    store.commit(&[dequeued("c1", 1)], START).unwrap();
    drop(store);
    assert_eq!(rows(&place, "SELECT count(*) FROM message"), 0);
}

#[test]
fn what_is_acknowledged_before_its_commit_is_never_written() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.commit(&[started("c")], START).unwrap();
    let log = || std::fs::read(format!("{}-wal", place.file().display())).unwrap();
    let before = log();
    store.commit(&[enqueued("c", 1, b"x"), sent("c", 1, 1), dequeued("c", 1)], START).unwrap();
    assert!(before == log(), "the log was written");
}

#[test]
fn a_session_that_ended_comes_back_empty_and_its_remains_go_piece_by_piece() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let changes: Vec<_> = (1..=2_500).map(|n| enqueued("c", n, b"x")).collect();
    store.commit(&changes, START).unwrap();
    store.commit(&[subscribed("c", "a", QoS::AtLeastOnce), enqueued("d", 2_501, b"other")], START).unwrap();
    store.commit(&[ended("c"), started("c"), enqueued("c", 2_502, b"new")], START).unwrap();
    drop(store);
    let (mut store, state) = place.open();
    let [d, c] = &state.sessions[..] else { panic!("{state:?}") };
    assert_eq!((d.deliveries.len(), c.deliveries.len(), c.subscriptions.len()), (1, 1, 0));
    assert_eq!(&c.deliveries[0].delivery.message.payload[..], b"new");
    let mut rounds = 0;
    while store.next_flush().is_some() {
        store.flush(START).unwrap();
        rounds += 1;
    }
    assert_eq!(rounds, 3);
    drop(store);
    assert_eq!(rows(&place, "SELECT count(*) FROM delivery"), 2);
}

#[test]
fn retained_of_qos_0_is_written_at_most_once_in_the_time_to_coalesce() {
    let place = Place::new();
    let (mut store, _) = place.open();
    for second in 0..30 {
        store.commit(&[retained("t", &[second], QoS::AtMostOnce)], at(second.into())).unwrap();
        assert_eq!(store.next_flush(), Some(at(30)));
        store.flush(at(second.into())).unwrap();
    }
    let log = || std::fs::metadata(format!("{}-wal", place.file().display())).map_or(0, |file| file.len());
    let before = log();
    store.flush(at(30)).unwrap();
    assert!(log() > before || before == 0);
    assert_eq!(store.next_flush(), None);
    store.commit(&[retained("t", b"late", QoS::AtMostOnce)], at(31)).unwrap();
    drop(store);
    assert_eq!(place.state().retained[0].message.payload[..], [29]);
}

#[test]
fn closing_writes_what_was_to_be_written_late() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.commit(&[retained("t", b"x", QoS::AtMostOnce)], START).unwrap();
    store.close(START).unwrap();
    assert_eq!(place.state().retained.len(), 1);
    let (mut store, _) = place.open();
    store.commit(&[Change::RetainedCleared { topic: TopicName::new("t").unwrap() }], START).unwrap();
    drop(store);
    assert_eq!(place.state().retained, []);
}

#[test]
fn a_long_queue_is_handed_over_in_part_and_loaded_in_order() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let large = vec![9; 10_000];
    let changes: Vec<_> = (1..=100)
        .map(|n| enqueued(if n % 2 == 0 { "even" } else { "odd" }, n, if n % 5 == 0 { &large } else { b"0123456789" }))
        .collect();
    store.commit(&changes, START).unwrap();
    store.commit(&[sent("odd", 1, 1)], START).unwrap();
    drop(store);
    let options = Options { deliveries_max: 10, ..Options::default() };
    let (mut store, state, _) = place.try_open(options).unwrap();
    let odd = &state.sessions[0];
    assert_eq!(
        odd.deliveries.iter().map(|d| d.delivery.arrival).collect::<Vec<_>>(),
        (1..20).step_by(2).collect::<Vec<_>>()
    );
    // 21 to 99: eight of the forty are large; each has a topic of one byte
    assert_eq!(odd.rest, Backlog { count: 40, bytes: 40 + 32 * 10 + 8 * 10_000 });
    let mut after = 19;
    let mut seen = Vec::new();
    loop {
        let loaded = store.load(&client("odd"), after, 7).unwrap();
        assert!(loaded.damaged.is_empty());
        let Some(last) = loaded.deliveries.last() else { break };
        after = last.arrival;
        seen.extend(loaded.deliveries.iter().map(|delivery| delivery.arrival));
    }
    assert_eq!(seen, (21..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(store.load(&client("nobody"), 0, 7).unwrap().deliveries, []);
}

#[test]
fn a_piece_is_empty_only_at_the_end_of_the_queue() {
    let place = Place::new();
    let (mut store, _) = place.open();
    store.commit(&(1..=10).map(|n| enqueued("c", n, b"x")).collect::<Vec<_>>(), START).unwrap();
    let in_flight: Vec<_> = (1..=6).map(|n| sent("c", n, u16::try_from(n).unwrap())).collect();
    store.commit(&in_flight, START).unwrap();
    let mut load = |after, count| {
        let loaded = store.load(&client("c"), after, count).unwrap().deliveries;
        loaded.iter().map(|delivery| delivery.arrival).collect::<Vec<_>>()
    };
    assert_eq!((load(0, 3), load(9, 3), load(10, 3)), (vec![7, 8, 9], vec![10], vec![]));
}

/// A shared delivery that waits at most until a moment.
fn of_a_share(arrival: u64) -> Delivery {
    let share = Some(TopicFilter::new("$share/g/t").unwrap());
    let marks = Marks { subscription_ids: vec![SubscriptionId::new(7).unwrap()], share, stale: Some(at(arrival)) };
    let message = message("t", arrival.to_string().as_bytes());
    Delivery { arrival, message, qos: QoS::AtLeastOnce, retain: false, marks: Some(Box::new(marks)) }
}

fn enqueued_delivery(name: &str, delivery: &Delivery) -> Change {
    Change::Enqueued { client_id: client(name), delivery: delivery.clone() }
}

#[test]
fn the_shared_deliveries_of_an_ending_session_are_loaded_and_reassigned_piece_by_piece() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let deliveries: Vec<_> = (1..=20).map(of_a_share).collect();
    let changes = deliveries.iter().map(|delivery| enqueued_delivery("old", delivery));
    store.commit(&changes.chain([started("new")]).collect::<Vec<_>>(), START).unwrap();
    drop(store);
    let (mut store, state, _) = place.try_open(Options { deliveries_max: 2, ..Options::default() }).unwrap();
    let old = state.sessions.iter().find(|session| session.client_id == client("old")).unwrap();
    let mut piece: Vec<_> = old.deliveries.iter().map(|kept| kept.delivery.clone()).collect();
    let mut next = state.next_arrival;
    while let Some(last) = piece.last().map(|delivery| delivery.arrival) {
        let mut ticket = Vec::new();
        for delivery in &piece {
            ticket.push(dequeued("old", delivery.arrival));
            ticket.push(enqueued_delivery("new", &Delivery { arrival: next, ..delivery.clone() }));
            next += 1;
        }
        // later changes do not hide what is left on disk
        store.commit(&ticket, START).unwrap();
        piece = store.load(&client("old"), last, 5).unwrap().deliveries;
    }
    store.commit(&[ended("old")], START).unwrap();
    drop(store);
    let state = place.state();
    assert_eq!(state.sessions.len(), 1);
    let reassigned: Vec<_> = state.sessions[0].deliveries.iter().map(|kept| kept.delivery.clone()).collect();
    let expected: Vec<_> = (21..).zip(deliveries).map(|(arrival, delivery)| Delivery { arrival, ..delivery }).collect();
    assert_eq!(reassigned, expected);
}

#[test]
fn a_piece_that_was_asked_for_before_its_session_ended_has_everything() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let deliveries: Vec<_> = (1..=20).map(of_a_share).collect();
    let changes: Vec<_> = deliveries.iter().map(|delivery| enqueued_delivery("c", delivery)).collect();
    store.commit(&changes[..10], START).unwrap();
    let (answers, answered) = mpsc::channel();
    let thread = spawn(store, ThreadOptions::default(), &answers);
    thread.request(Request::Commit { ticket: Ticket(2), changes: changes[10..].to_vec() }).unwrap();
    thread.request(Request::Load { client_id: client("c"), after: 0, count: 100 }).unwrap();
    thread.request(Request::Commit { ticket: Ticket(3), changes: vec![ended("c")] }).unwrap();
    thread.stop().unwrap();
    let pieces: Vec<_> = answered.try_iter().filter(|answer| matches!(answer, Answer::Loaded { .. })).collect();
    let result = Ok(Loaded { deliveries, damaged: vec![] });
    assert_eq!(pieces, [Answer::Loaded { client_id: client("c"), result }]);
    assert_eq!(place.state().sessions, []);
}

#[test]
fn only_one_process_has_the_file() {
    let place = Place::new();
    let (_store, _) = place.open();
    assert_eq!(place.try_open(Options::default()).unwrap_err(), StoreError::InUse);
}

#[test]
fn without_a_flush_at_each_commit_one_follows_in_time() {
    let place = Place::new();
    let options = Options { sync: sensegate::store::Sync::Interval(Duration::from_secs(5)), ..Options::default() };
    let (mut store, _, _) = place.try_open(options).unwrap();
    assert_eq!(store.next_flush(), None);
    store.commit(&[enqueued("c", 1, b"x")], at(2)).unwrap();
    assert_eq!(store.next_flush(), Some(at(7)));
    store.flush(at(7)).unwrap();
    assert_eq!(store.next_flush(), None);
}

#[test]
fn the_thread_answers_in_order_and_loads_behind_earlier_commits() {
    let place = Place::new();
    let (answers, answered) = mpsc::channel();
    let thread = spawn(place.open().0, ThreadOptions::default(), &answers);
    for n in 1..=100 {
        thread.request(Request::Commit { ticket: Ticket(n), changes: vec![enqueued("c", n, b"x")] }).unwrap();
    }
    thread.request(Request::Load { client_id: client("c"), after: 98, count: 10 }).unwrap();
    thread.stop().unwrap();
    let answered: Vec<_> = answered.try_iter().collect();
    assert_eq!(written(&answered), (1..=100).collect::<Vec<_>>());
    let Some(Answer::Loaded { result: Ok(loaded), .. }) = answered.last() else { panic!("{answered:?}") };
    assert_eq!(loaded.deliveries.iter().map(|d| d.arrival).collect::<Vec<_>>(), [99, 100]);
    assert_eq!(arrivals(&place.state()).len(), 100);
}

#[test]
fn a_request_beyond_the_bound_is_given_back() {
    let place = Place::new();
    let (answers, answered) = mpsc::channel();
    let options = ThreadOptions { requests_max: 2, delay: Duration::from_millis(20) };
    let thread = spawn(place.open().0, options, &answers);
    let mut taken = 0;
    while thread.request(Request::Commit { ticket: Ticket(taken + 1), changes: vec![started("c")] }).is_ok() {
        taken += 1;
    }
    thread.stop().unwrap();
    assert_eq!(written(&answered.try_iter().collect::<Vec<_>>()), (1..=taken).collect::<Vec<_>>());
}

/// Numbers of the tickets that were written, in the order of the answers.
fn written(answers: &[Answer]) -> Vec<u64> {
    let ranges =
        answers.iter().filter_map(|answer| if let Answer::Written(range) = answer { Some(range) } else { None });
    ranges.flat_map(|range| range.iter()).map(|ticket| ticket.0).collect()
}

fn spawn(store: Store, options: ThreadOptions, answers: &mpsc::Sender<Answer>) -> StoreThread {
    let answers = answers.clone();
    StoreThread::spawn(store, options, move |answer| answers.send(answer).unwrap()).unwrap()
}

#[test]
fn a_ticket_without_room_waits_and_one_that_needs_none_does_not() {
    let place = Place::new();
    let (store, _, _) = place.try_open(Options { bytes_max: 1 << 18, ..Options::default() }).unwrap();
    let (answers, answered) = mpsc::channel();
    let thread = spawn(store, ThreadOptions::default(), &answers);
    let next = || answered.recv_timeout(Duration::from_secs(20)).unwrap();
    let ask = |ticket, changes| thread.request(Request::Commit { ticket: Ticket(ticket), changes }).unwrap();
    let mut ticket = 0;
    loop {
        ticket += 1;
        ask(ticket, vec![enqueued("c", ticket, &[1; 3_000])]);
        match next() {
            Answer::Waits(waiting, error) => break assert_eq!((waiting, error), (Ticket(ticket), StoreError::Full)),
            answer => assert_eq!(written(&[answer]), [ticket]),
        }
    }
    assert_eq!(next(), Answer::Trouble(StoreError::Full));
    ask(ticket + 1, vec![sent("c", 1, 1)]);
    assert_eq!(written(&[next()]), [ticket + 1]);
    ask(ticket + 2, vec![dequeued("c", 1), dequeued("c", 2), dequeued("c", 3)]);
    let mut healed = vec![next()];
    while healed.last() != Some(&Answer::Recovered) {
        healed.push(next());
    }
    let mut written = written(&healed);
    written.sort_unstable();
    assert_eq!(written, [ticket, ticket + 2]);
    thread.stop().unwrap();
    assert_eq!(arrivals(&place.state()), (4..=ticket).collect::<Vec<_>>());
}
