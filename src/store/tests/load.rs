//! Pieces of queues while changes of them cannot be written.

use super::*;

fn enqueued(arrival: u64) -> Change {
    Change::Enqueued { client_id: client("c"), delivery: delivery(arrival, &message("m", 10)) }
}

fn dequeued(arrival: u64) -> Change {
    Change::Dequeued { client_id: client("c"), arrival }
}

fn sent(arrival: u64) -> Change {
    Change::Sent { client_id: client("c"), arrival, packet_id: packet_id(1) }
}

/// A store with deliveries 1 to 6, whose disk has broken.
fn broken(directory: &tempfile::TempDir) -> Store {
    let (mut store, _) = open(directory);
    store.commit(&(1..=6).map(enqueued).collect::<Vec<_>>(), START).unwrap();
    store.set_broken(true);
    store
}

fn load(store: &mut Store, after: u64, count: usize) -> Vec<u64> {
    let loaded = store.load(&client("c"), after, count).unwrap();
    loaded.deliveries.iter().map(|delivery| delivery.arrival).collect()
}

#[test]
fn a_piece_holds_what_was_enqueued_and_not_what_was_sent_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = broken(&directory);
    for ticket in [vec![dequeued(1), sent(2)], vec![enqueued(7)], vec![dequeued(4), enqueued(8), sent(8)]] {
        store.commit(&ticket, START).unwrap_err();
    }
    assert_eq!(
        (load(&mut store, 0, 2), load(&mut store, 5, 2), load(&mut store, 7, 2)),
        (vec![3, 5], vec![6, 7], vec![])
    );
}

#[test]
fn a_new_session_does_not_get_the_queue_of_the_one_that_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = broken(&directory);
    let kept = Change::SessionKept { client_id: client("c"), terms: Terms::forever() };
    store.commit(&[Change::SessionEnded { client_id: client("c") }, kept], START).unwrap_err();
    assert_eq!(load(&mut store, 0, 10), [0; 0]);
    store.commit(&[enqueued(7)], START).unwrap_err();
    assert_eq!(load(&mut store, 0, 10), [7]);
    store.set_broken(false);
    store.flush(at(1)).unwrap();
    assert_eq!(load(&mut store, 0, 10), [7]);
}
