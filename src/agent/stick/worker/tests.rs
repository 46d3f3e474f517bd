//! The task with devices that are scripts, in virtual time.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use super::*;
use crate::base::clock::Monotonic;
use crate::stick::{DeviceEvent, Direction, GestureTimes, KeyState};

/// Devices, one after the other, each with what it tells before it is gone; `None`: it cannot be opened.
#[derive(Debug)]
struct Script(VecDeque<Option<Vec<DeviceEvent>>>);

#[derive(Debug)]
struct Scripted {
    events: VecDeque<DeviceEvent>,
    end: End,
}

/// What a scripted device does after its last event.
#[derive(Clone, Copy, Debug)]
enum End {
    Gone,
    Silent,
}

impl Open for Script {
    fn open(&mut self, _: &Options) -> Result<Box<dyn Device>, StickError> {
        let end = if self.0.len() > 1 { End::Gone } else { End::Silent };
        match self.0.pop_front().flatten() {
            Some(events) => Ok(Box::new(Scripted { events: events.into(), end })),
            None => Err(StickError::Busy { path: "/dev/input/event0".into() }),
        }
    }
}

impl Device for Scripted {
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Result<DeviceEvent, StickError>> {
        match (self.events.pop_front(), self.end) {
            (Some(event), _) => Poll::Ready(Ok(event)),
            (None, End::Gone) => Poll::Ready(Err(StickError::Lost { path: "/dev/input/event0".into() })),
            (None, End::Silent) => Poll::Pending,
        }
    }
}

fn key(direction: Direction, state: KeyState) -> DeviceEvent {
    DeviceEvent::Key { direction, state, time: clock::monotonic() }
}

fn start(devices: &[Option<&[DeviceEvent]>]) -> (Stick, StickDoor) {
    start_with(Options::default(), devices)
}

fn start_with(options: Options, devices: &[Option<&[DeviceEvent]>]) -> (Stick, StickDoor) {
    let devices = devices.iter().map(|events| events.map(<[_]>::to_vec)).collect();
    spawn_stick(Box::new(Script(devices)), Some(options))
}

async fn check(door: &mut StickDoor, expected: &[(Direction, Action)]) {
    for expected in expected {
        let event = door.next_event().await;
        assert_eq!((event.direction, event.action), *expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_stick_is_looked_for_again_and_one_that_goes_is_let_go() {
    let first = [key(Direction::Up, KeyState::Pressed)];
    let second = [key(Direction::Up, KeyState::Released), key(Direction::Left, KeyState::Pressed)];
    let (_stick, mut door) = start(&[None, None, Some(&first), None, Some(&second)]);
    let expected = [(Direction::Up, Action::Press), (Direction::Up, Action::Release), (Direction::Left, Action::Press)];
    check(&mut door, &expected).await;
    assert_eq!(door.try_next_event(), None, "the second device had nothing to release");
}

#[tokio::test(start_paused = true)]
async fn an_emulator_is_looked_for_every_two_seconds() {
    let pressed = [key(Direction::Up, KeyState::Pressed)];
    let devices = [&[None; 20][..], &[Some(&pressed[..])]].concat();
    let options = Options { source: StickSource::Emulator { directory: "/dev/shm".into() }, ..Options::default() };
    let (_stick, mut door) = start_with(options, &devices);
    let found = tokio::time::timeout(Duration::from_secs(41), door.next_event()).await;
    assert_eq!(found.map(|event| event.action), Ok(Action::Press));
}

#[tokio::test(start_paused = true)]
async fn other_options_and_a_stop_let_go_what_is_pushed() {
    let pressed = [key(Direction::Middle, KeyState::Pressed)];
    let (stick, mut door) = start(&[Some(&pressed)]);
    check(&mut door, &[(Direction::Middle, Action::Press)]).await;
    stick.set_options(Some(Options::default()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(door.try_next_event(), None, "the same options change nothing");
    stick.set_options(None);
    check(&mut door, &[(Direction::Middle, Action::Release)]).await;

    let (stick, mut door) = start(&[Some(&pressed)]);
    check(&mut door, &[(Direction::Middle, Action::Press)]).await;
    stick.stop().await;
    check(&mut door, &[(Direction::Middle, Action::Release)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_pushed_in_time_counts_however_late_it_is_read() {
    // long ago: every deadline of a gesture has passed when the release is read
    let began = clock::monotonic();
    let event = |ms, state| DeviceEvent::Key {
        direction: Direction::Up,
        state,
        time: Monotonic::from_boot(
            began.since_boot().saturating_sub(Duration::from_secs(10)) + Duration::from_millis(ms),
        ),
    };
    let (double_within, long_after) = (Duration::from_millis(300), Duration::from_millis(800));
    let gestures = Some(GestureTimes { double_within, long_after });
    for _ in 0..20 {
        let events = vec![event(0, KeyState::Pressed), event(100, KeyState::Released)];
        let options = Options { gestures, ..Options::default() };
        let (_stick, mut door) = spawn_stick(Box::new(Script([Some(events)].into())), Some(options));
        let expected = [Action::Press, Action::Release, Action::Click].map(|action| (Direction::Up, action));
        check(&mut door, &expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_busy_misses_holds_and_neither_presses_nor_releases() {
    let mut events = vec![key(Direction::Up, KeyState::Pressed)];
    events.extend(std::iter::repeat_n(key(Direction::Up, KeyState::Repeated), 200));
    events.push(key(Direction::Up, KeyState::Released));
    for _ in 0..50 {
        events.extend([KeyState::Pressed, KeyState::Released].map(|state| key(Direction::Down, state)));
    }
    let (_stick, mut door) = start(&[Some(&events)]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut actions = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(1), door.next_event()).await {
        actions.push(event.action);
    }
    let holds = actions.iter().filter(|action| **action == Action::Hold).count();
    assert_eq!(holds, EVENTS_MAX - ROOM_FOR_PRESSES - 1);
    actions.retain(|action| *action != Action::Hold);
    assert_eq!(actions, [Action::Press, Action::Release].repeat(51));
}
