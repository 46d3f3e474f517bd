//! The emulator's side is a socket of the test's.

use std::future::poll_fn;
use std::os::unix::net::UnixDatagram as Socket;

use tempfile::TempDir;

use super::super::KeyState;
use super::*;
use crate::base::clock;
use crate::stick::Direction;

/// Longer than an end can go unnoticed, in the time of a runtime that waits for nobody.
const SOON: Duration = Duration::from_secs(3);

struct Emulator {
    directory: TempDir,
    socket: Socket,
}

impl Emulator {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = bound(directory.path());
        Self { directory, socket }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How many greetings wait, and where the last one came from.
    fn greetings(&self) -> (usize, Option<PathBuf>) {
        let mut bytes = [0; 16];
        let mut from = (0, None);
        while let Ok((count, address)) = self.socket.recv_from(&mut bytes) {
            assert_eq!(&bytes[..count], b"hello");
            from = (from.0 + 1, address.as_pathname().map(Path::to_owned));
        }
        from
    }
}

fn bound(directory: &Path) -> Socket {
    let socket = Socket::bind(directory.join(SOCKET)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// An event as a 64-bit or a 32-bit emulator packs it, in a second long ago.
fn packed(wide: bool, kind: u16, code: u16, value: u32) -> Vec<u8> {
    let time = if wide { [7_i64, 9].map(i64::to_ne_bytes).concat() } else { [7_i32, 9].map(i32::to_ne_bytes).concat() };
    [&time[..], &kind.to_ne_bytes(), &code.to_ne_bytes(), &value.to_ne_bytes()].concat()
}

async fn next(stick: &mut EmulatedStick) -> Result<DeviceEvent, StickError> {
    poll_fn(|context| stick.poll_event(context)).await
}

/// That it is soon noticed that nothing more can come.
async fn expect_lost(stick: &mut EmulatedStick) {
    let lost = tokio::time::timeout(SOON, next(stick)).await.unwrap();
    assert!(matches!(&lost, Err(StickError::Lost { path }) if path.ends_with(SOCKET)), "{lost:?}");
}

#[tokio::test]
async fn what_the_emulator_sends_comes_out_with_the_time_of_reading() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    let (count, client) = emulator.greetings();
    assert_eq!(count, 1, "the first greeting is not waited for");
    let before = clock::monotonic();
    let keys = [(Direction::Up, 103), (Direction::Left, 105), (Direction::Right, 106), (Direction::Down, 108)];
    for (expected, code) in keys.into_iter().chain([(Direction::Middle, 28)]) {
        for (value, of_value) in [(1, KeyState::Pressed), (2, KeyState::Repeated), (0, KeyState::Released)] {
            emulator.socket.send_to(&packed(value != 2, 1, code, value), client.as_ref().unwrap()).unwrap();
            let event = next(&mut stick).await.unwrap();
            let DeviceEvent::Key { direction, state, time } = event else { panic!("{event:?}") };
            assert_eq!((direction, state), (expected, of_value));
            assert!(before <= time && time <= clock::monotonic(), "{time:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_event_of_the_stick_is_passed_over() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    let client = emulator.greetings().1.unwrap();
    let whole = packed(true, 1, 103, 1);
    let others =
        [vec![], whole[1..].to_vec(), vec![1; 25], whole.repeat(3), packed(true, 0, 3, 0), packed(true, 1, 30, 1)];
    for datagram in others.iter().chain([&packed(true, 1, 103, 7), &packed(true, 1, 105, 1)]) {
        emulator.socket.send_to(datagram, &client).unwrap();
    }
    let event = next(&mut stick).await.unwrap();
    assert!(matches!(event, DeviceEvent::Key { direction: Direction::Left, .. }), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn the_emulator_is_greeted_each_second() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(3500), next(&mut stick)).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(emulator.greetings().0, 4);
}

#[tokio::test(start_paused = true)]
async fn an_emulator_that_ends_is_gone_though_another_one_starts_at_once() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    let client = emulator.greetings().1.unwrap();
    emulator.socket.send_to(&packed(true, 1, 28, 1), &client).unwrap();
    let Emulator { directory, socket } = emulator;
    drop(socket);
    fs::remove_file(directory.path().join(SOCKET)).unwrap();
    let again = Emulator { socket: bound(directory.path()), directory };
    assert!(next(&mut stick).await.is_ok(), "its last event is told");
    expect_lost(&mut stick).await;
    drop(stick);
    let mut stick = EmulatedStick::open(again.path()).unwrap();
    again.socket.send_to(&packed(true, 1, 28, 0), again.greetings().1.unwrap()).unwrap();
    assert!(next(&mut stick).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_is_cleared_away_is_noticed() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    fs::remove_file(emulator.greetings().1.unwrap()).unwrap();
    expect_lost(&mut stick).await;
}

#[tokio::test]
async fn without_an_emulator_there_is_no_stick() {
    let check = |directory: &Path| {
        for error in [EmulatedStick::open(directory).unwrap_err(), EmulatedStick::find(directory).unwrap_err()] {
            assert!(matches!(&error, StickError::NoEmulator { path } if path.ends_with(SOCKET)), "{error}");
        }
        assert!(!directory.join("sensegate-stick-0").exists());
    };
    let directory = tempfile::tempdir().unwrap();
    check(directory.path());
    fs::write(directory.path().join(SOCKET), "no socket").unwrap();
    check(directory.path());
    fs::remove_file(directory.path().join(SOCKET)).unwrap();
    // a crash leaves its socket
    drop(bound(directory.path()));
    check(directory.path());
    check(&directory.path().join("none"));
}

#[tokio::test]
async fn nobody_but_the_emulator_can_press() {
    let emulator = Emulator::start();
    let stick = EmulatedStick::open(emulator.path()).unwrap();
    let client = emulator.greetings().1.unwrap();
    let refused = Socket::unbound().unwrap().send_to(&packed(true, 1, 103, 1), &client).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{refused}");
    drop(stick);
    assert!(!client.exists());
}

#[tokio::test(start_paused = true)]
async fn an_emulator_that_is_suspended_is_still_there() {
    let emulator = Emulator::start();
    let mut stick = EmulatedStick::open(emulator.path()).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(4000), next(&mut stick)).await;
    assert!(waited.is_err(), "it has not read its greetings: {waited:?}");
    assert!(emulator.greetings().0 > 1);
}
