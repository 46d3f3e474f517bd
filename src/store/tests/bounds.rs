//! Memory is bounded while nothing can be written.

use super::*;

const PAIRS: u32 = 10_000;

/// What a broker begins and ends `PAIRS` times, so that it holds nothing of it in the end.
type Pair = fn(u32) -> [Change; 2];

const PAIRS_OF_ALL_KINDS: [(&str, Pair); 6] = [
    ("sessions", |number| {
        let client_id = client(number);
        let kept = Change::SessionKept { client_id: client_id.clone(), terms: Terms::forever() };
        [kept, Change::SessionEnded { client_id }]
    }),
    ("subscriptions", |number| {
        [subscribed(&client("c"), number), Change::Unsubscribed { client_id: client("c"), filter: filter(number) }]
    }),
    ("received", |number| {
        let packet_id = packet_id(u16::try_from(number % 65_535 + 1).unwrap());
        let received = Change::Received { client_id: client("c"), packet_id };
        [received, Change::Forgotten { client_id: client("c"), packet_id }]
    }),
    ("deliveries", |number| {
        let delivery = delivery(u64::from(number) + 2, &message("m", 10));
        let arrival = delivery.arrival;
        let enqueued = Change::Enqueued { client_id: client("c"), delivery };
        [enqueued, Change::Dequeued { client_id: client("c"), arrival }]
    }),
    ("retained", |number| {
        [retained(format!("many/{number}"), 10), Change::RetainedCleared { topic: topic(format!("many/{number}")) }]
    }),
    ("wills", |number| [will_set(&client(number), 10), Change::WillCleared { client_id: client(number) }]),
];

/// A store with a session `c`, and one ticket that waits for room.
fn blocked(directory: &tempfile::TempDir, is_broken: bool) -> Store {
    let (mut store, _) = open(directory);
    let kept = Change::SessionKept { client_id: client("c"), terms: Terms::forever() };
    let first = Change::Enqueued { client_id: client("c"), delivery: delivery(1, &message("m", 10)) };
    store.commit(&[kept, first], START).unwrap();
    store.set_bytes_max(0);
    store.set_broken(is_broken);
    store.commit(&[retained("large", 100_000)], START).unwrap_err();
    store
}

#[test]
fn what_was_begun_and_ended_while_the_disk_is_full_leaves_nothing_in_memory() {
    for (kind, pair) in PAIRS_OF_ALL_KINDS {
        for is_broken in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let mut store = blocked(&directory, is_broken);
            store.take_written();
            let before = store.unwritten().parts();
            let mut written = 0;
            for first in (0..PAIRS).step_by(1_000) {
                let changes = (first..first + 1_000).flat_map(pair);
                let numbers = (u64::from(first) * 2 + 10..).map(Ticket);
                let tickets: Vec<_> = numbers.zip(changes.map(|change| [change])).collect();
                store.commit_tickets(&tickets, START).unwrap_err();
                assert!(store.unwritten().parts() <= before + 1, "{kind}, broken: {is_broken}");
                written += store.take_written().iter().map(|range| range.iter().count()).sum::<usize>();
            }
            // on a full disk each pair is durable at once: it changes nothing
            assert_eq!(written, if is_broken { 0 } else { 2 * PAIRS as usize }, "{kind}");
        }
    }
}

#[test]
fn tickets_of_one_key_between_answered_ones_wait_in_bounded_memory_and_are_all_answered() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = blocked(&directory, false);
    store.take_written();
    let (first, last) = (10, 45_010);
    let sent = Change::Sent { client_id: client("c"), arrival: 1, packet_id: packet_id(1) };
    let mut answered = vec![false; 45_010];
    let mut note = |store: &mut Store| {
        let tickets = store.take_written().into_iter().flat_map(Tickets::iter);
        tickets.for_each(|ticket| answered[usize::try_from(ticket.0).unwrap()] = true);
    };
    for start in (first..last).step_by(1_000) {
        let change = |number| if number % 3 == 0 { retained("large", 100_000) } else { sent.clone() };
        let tickets: Vec<_> = (start..start + 1_000).map(|number| (Ticket(number), [change(number)])).collect();
        store.commit_tickets(&tickets, START).unwrap_err();
        assert!(store.unwritten().parts() <= 10_010, "{start}");
        note(&mut store);
    }
    store.set_bytes_max(1 << 30);
    store.flush(at(1)).unwrap();
    note(&mut store);
    assert!(answered[10..].iter().all(|is_answered| *is_answered));
    assert_eq!(store.unwritten().parts(), 0);
}
