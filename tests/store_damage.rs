//! Files that are torn, flipped, empty, foreign or from the future.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod store_support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sensegate::mqtt::QoS;
use sensegate::store::{Kept, Options, State, StoreError};
use store_support::*;

const MESSAGES: u64 = 3_000;

fn payload(arrival: u64) -> Vec<u8> {
    format!("payload {arrival:0>30}").into_bytes()
}

/// A closed file with three sessions, many messages and some retained ones.
fn filled() -> Place {
    let place = Place::new();
    let (mut store, _) = place.open();
    for name in ["a", "b", "c"] {
        store.commit(&[started(name), subscribed(name, "x/#", QoS::AtLeastOnce)], START).unwrap();
    }
    let names = ["a", "b", "c"];
    let changes: Vec<_> =
        (1..=MESSAGES).map(|n| enqueued(names[usize::try_from(n % 3).unwrap()], n, &payload(n))).collect();
    store.commit(&changes, START).unwrap();
    let kept: Vec<_> = (0..200).map(|n| retained(&format!("r/{n}"), &payload(n), QoS::AtLeastOnce)).collect();
    store.commit(&kept, START).unwrap();
    store.close(START).unwrap();
    place
}

fn all() -> Options {
    Options { deliveries_max: usize::MAX, ..Options::default() }
}

/// Everything in `state` was committed once, under its name and in its order.
fn check_nothing_is_misread(state: &State) {
    for session in &state.sessions {
        assert!(["a", "b", "c"].contains(&session.client_id.as_str()));
        assert!(session.deliveries.is_sorted_by_key(|kept| kept.delivery.arrival));
        for Kept { delivery, .. } in &session.deliveries {
            assert_eq!(delivery.message.payload, payload(delivery.arrival));
        }
    }
    let expected: HashMap<_, _> = (0..200).map(|n| (format!("r/{n}"), payload(n))).collect();
    for kept in &state.retained {
        assert_eq!(expected[kept.message.topic.as_str()], kept.message.payload);
    }
}

fn aside(place: &Place) -> PathBuf {
    let name = place.names().into_iter().find(|name| name.contains(".damaged-")).expect("a file that was set aside");
    place.directory.path().join(name)
}

fn flip(path: &Path, offset: u64, mask: u8) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_the_start_goes_on() {
    for content in
        [&b"this is no database, it is a text that somebody left here"[..], &[0; 8192], b"", b"SQLite format 3\0"]
    {
        let place = Place::new();
        fs::write(place.file(), content).unwrap();
        let (mut store, state, damages) = place.try_open(Options::default()).unwrap();
        assert_eq!((state.sessions.len(), damages.len()), (0, 1), "{damages:?}");
        assert_eq!(fs::read(&damages[0].aside).unwrap(), content);
        store.commit(&[enqueued("c", 1, b"x")], START).unwrap();
        drop(store);
        assert_eq!(arrivals(&place.state()), [1]);
    }
}

#[test]
fn a_torn_file_gives_what_is_before_the_tear() {
    let place = filled();
    let length = fs::metadata(place.file()).unwrap().len();
    fs::File::options().write(true).open(place.file()).unwrap().set_len(length / 2).unwrap();
    let (_, state, damages) = place.try_open(all()).unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(fs::metadata(aside(&place)).unwrap().len(), length / 2);
    check_nothing_is_misread(&state);
    assert!(arrivals(&state).len() > 1_000, "{}", damages[0]);
}

#[test]
fn a_file_torn_within_a_large_payload_beside_its_log_costs_that_message_only() {
    let (place, torn) = (Place::new(), Place::new());
    let (mut store, _) = place.open();
    store.commit(&[started("c"), enqueued("c", 1, b"x"), enqueued("c", 2, &vec![0; 100_000])], START).unwrap();
    store.close(START).unwrap();
    let (mut store, _) = place.open();
    store.commit(&[enqueued("c", 3, b"in the log, which says how long the file is")], START).unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(place.directory.path().join(name), torn.directory.path().join(name)).unwrap();
    }
    let length = fs::metadata(torn.file()).unwrap().len();
    fs::File::options().write(true).open(torn.file()).unwrap().set_len(length / 2).unwrap();
    let (_, state, damages) = torn.try_open(all()).unwrap();
    assert_eq!((arrivals(&state), damages.len()), (vec![1, 3], 1), "{damages:?}");
}

#[test]
fn an_overwritten_page_costs_its_own_rows_only() {
    let place = filled();
    let pages = fs::metadata(place.file()).unwrap().len() / 4096;
    let file = fs::File::options().write(true).open(place.file()).unwrap();
    for page in [pages / 3, pages / 2] {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let (store, state, damages) = place.try_open(all()).unwrap();
    assert_eq!(damages.len(), 1);
    check_nothing_is_misread(&state);
    let count = arrivals(&state).len() as u64 + state.retained.len() as u64;
    assert!(count >= MESSAGES + 200 - 250, "{count} left: {}", damages[0]);
    drop(store);
    let (_, again, damages) = place.try_open(all()).unwrap();
    assert_eq!(damages, []);
    assert_eq!(again, state);
}

#[test]
fn a_flipped_bit_anywhere_is_never_misread_and_the_start_goes_on() {
    let original = filled();
    let length = fs::metadata(original.file()).unwrap().len();
    let mut random = fastrand::Rng::with_seed(20_260_101);
    let mut noticed = 0;
    for _ in 0..60 {
        let place = Place::new();
        fs::copy(original.file(), place.file()).unwrap();
        let (offset, mask) = (random.u64(..length), 1 << random.u8(..8));
        flip(&place.file(), offset, mask);
        match place.try_open(all()) {
            Ok((_, state, damages)) => {
                check_nothing_is_misread(&state);
                noticed += damages.len();
                let count = arrivals(&state).len();
                assert!(damages.len() == 1 || count as u64 == MESSAGES, "{count} without a word, {offset} {mask}");
            }
            Err(StoreError::Newer { .. }) => assert!((60..64).contains(&offset)),
            Err(error) => panic!("{error}, {offset} {mask}"),
        }
    }
    assert!(noticed > 20, "{noticed}");
}

#[test]
fn a_flipped_bit_in_the_header_is_never_misread_and_the_start_goes_on() {
    let original = filled();
    for offset in 0..100 {
        for bit in [offset % 8, (offset + 3) % 8] {
            let place = Place::new();
            fs::copy(original.file(), place.file()).unwrap();
            flip(&place.file(), offset, 1 << bit);
            match place.try_open(all()) {
                Ok((mut store, state, _)) => {
                    check_nothing_is_misread(&state);
                    store
                        .commit(&[enqueued("d", MESSAGES + 1, b"")], START)
                        .unwrap_or_else(|error| panic!("{error}, {offset} {bit}"));
                }
                Err(StoreError::Newer { .. }) => assert!((60..64).contains(&offset), "{offset} {bit}"),
                Err(error) => panic!("{error}, {offset} {bit}"),
            }
        }
    }
}

/// A copy of a file with its log, as a kill leaves it.
fn killed() -> Place {
    let place = Place::new();
    let (mut store, _) = place.open();
    let copy = Place::new();
    store.commit(&[started("a")], START).unwrap();
    for n in 1..=40 {
        store.commit(&[enqueued("a", n, &payload(n))], START).unwrap();
    }
    for name in ["state.db", "state.db-wal"] {
        fs::copy(place.directory.path().join(name), copy.directory.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn a_torn_log_gives_every_commit_before_the_tear() {
    let whole = killed();
    let log = fs::read(whole.directory.path().join("state.db-wal")).unwrap();
    let mut counts = Vec::new();
    for length in (0..=log.len()).step_by(log.len() / 60) {
        let place = Place::new();
        fs::copy(whole.file(), place.file()).unwrap();
        fs::write(place.directory.path().join("state.db-wal"), &log[..length]).unwrap();
        let (_, state, _) = place.try_open(all()).unwrap();
        check_nothing_is_misread(&state);
        let count = arrivals(&state).len() as u64;
        assert_eq!(arrivals(&state), (1..=count).collect::<Vec<_>>());
        counts.push(count);
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(counts.last() >= Some(&39), "{counts:?}");
}

#[test]
fn a_log_without_its_file_is_set_aside() {
    let place = killed();
    fs::remove_file(place.file()).unwrap();
    let (_, state, _) = place.try_open(all()).unwrap();
    assert_eq!(state.sessions, []);
    assert!(
        place.names().iter().any(|name| name.contains(".damaged-") && name.ends_with("-wal")),
        "{:?}",
        place.names()
    );
}

/// Everything in the directory, by name.
fn contents(place: &Place) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| (name.clone(), fs::read(place.directory.path().join(name)).unwrap());
    place.names().into_iter().map(read).collect()
}

#[test]
fn a_newer_format_is_refused_with_the_remedy_and_file_and_log_are_left_as_they_are() {
    for place in [filled(), killed()] {
        let connection = Connection::open(place.file()).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        drop(connection);
        let before = contents(&place);
        assert!(before.iter().any(|(name, log)| name.ends_with("-wal") && !log.is_empty()));
        let error = place.try_open(all()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 7, known: 3, .. }) && error.is_permanent(), "{error:?}");
        let text = format!(
            "`{}` has format 7, this version reads formats up to 3: a newer sensegate wrote it; install that version \
             again, or move the file away to start with an empty state",
            place.file().display()
        );
        assert_eq!(error.to_string(), text);
        assert!(contents(&place) == before, "{:?}", place.names());
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_is() {
    let foreign = Place::new();
    Connection::open(foreign.file()).unwrap().execute_batch("CREATE TABLE photos (a)").unwrap();
    let before = contents(&foreign);
    let error = foreign.try_open(all()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { application_id: 0, .. }) && error.is_permanent(), "{error:?}");
    assert!(contents(&foreign) == before, "{:?}", foreign.names());
}

#[test]
fn a_change_on_a_large_payload_is_found_when_it_is_loaded_and_given_up() {
    let place = Place::new();
    let (mut store, _) = place.open();
    let large = |fill: u8| vec![fill; 50_000];
    let changes: Vec<_> = (1..=5).map(|n| enqueued("c", n, &large(b'0' + u8::try_from(n).unwrap()))).collect();
    store.commit(&changes, START).unwrap();
    store.close(START).unwrap();
    let bytes = fs::read(place.file()).unwrap();
    let offset = bytes.windows(4_000).position(|window| window.iter().all(|byte| *byte == b'4')).unwrap();
    flip(&place.file(), offset as u64 + 100, 1);
    let (mut store, state, damages) = place.try_open(Options { deliveries_max: 2, ..Options::default() }).unwrap();
    assert_eq!((arrivals(&state), damages), (vec![1, 2], vec![]));
    let loaded = store.load(&client("c"), 2, 10).unwrap();
    assert_eq!(loaded.deliveries.iter().map(|delivery| delivery.arrival).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(loaded.damaged, [4]);
    store.close(START).unwrap();
    let (_, state, damages) = place.try_open(all()).unwrap();
    assert_eq!((arrivals(&state), damages), (vec![1, 2, 3, 5], vec![]));
}

#[test]
fn damage_that_shows_in_a_commit_is_healed_there() {
    let place = filled();
    let (mut store, ..) = place.try_open(all()).unwrap();
    store
        .commit(
            &(1..=2_000).map(|n| dequeued(["a", "b", "c"][usize::try_from(n % 3).unwrap()], n)).collect::<Vec<_>>(),
            START,
        )
        .unwrap();
    store.close(START).unwrap();
    // the first page of the list of unused pages: nobody looks at it before one is needed
    let header = fs::read(place.file()).unwrap();
    let trunk = u32::from_be_bytes(header[32..36].try_into().unwrap());
    let file = fs::File::options().write(true).open(place.file()).unwrap();
    file.write_all_at(&[0xff; 4096], u64::from(trunk - 1) * 4096).unwrap();
    let (mut store, _, damages) = place.try_open(all()).unwrap();
    assert_eq!(damages, []);
    for n in 1..=500 {
        store.commit(&[enqueued("a", MESSAGES + n, &payload(MESSAGES + n))], START).unwrap();
    }
    let damages = store.take_damages();
    assert_eq!((damages.len(), damages[0].lost), (1, 0), "{damages:?}");
    drop(store);
    let (_, state, damages) = place.try_open(all()).unwrap();
    assert_eq!(damages, []);
    check_nothing_is_misread(&state);
    assert_eq!(arrivals(&state).len(), 1_500);
}
