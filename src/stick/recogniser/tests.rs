//! What sequences of keys become, in virtual time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::stick::device::KeyState::{self, Pressed, Released, Repeated};
use crate::stick::{Action, Direction};

const TIMES: GestureTimes =
    GestureTimes { double_within: Duration::from_millis(300), long_after: Duration::from_millis(800) };

fn at(ms: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_millis(ms))
}

fn key(direction: Direction, state: KeyState, ms: u64) -> DeviceEvent {
    DeviceEvent::Key { direction, state, time: at(ms) }
}

fn up(state: KeyState, ms: u64) -> DeviceEvent {
    key(Direction::Up, state, ms)
}

/// Action, time and time held of each event, in milliseconds.
fn short(events: &[Event]) -> Vec<(Action, u64, Option<u128>)> {
    let short = |event: &Event| (event.action, event.time.since_boot_ms(), event.held.map(|held| held.as_millis()));
    events.iter().map(short).collect()
}

/// What becomes of `events`, and of the time until `end_ms`.
fn check(
    gestures: Option<GestureTimes>,
    events: &[DeviceEvent],
    end_ms: u64,
    expected: &[(Action, u64, Option<u128>)],
) {
    let mut recogniser = Recogniser::new(gestures);
    let mut told: Vec<_> = events.iter().flat_map(|event| recogniser.handle_event(event)).collect();
    told.extend(recogniser.handle_timeout(at(end_ms)));
    assert_eq!(short(&told), expected);
}

#[test]
fn press_hold_and_release_carry_the_time_held() {
    let events = [up(Pressed, 100), up(Repeated, 350), up(Repeated, 383), up(Released, 400)];
    let expected = [
        (Action::Press, 100, None),
        (Action::Hold, 350, Some(250)),
        (Action::Hold, 383, Some(283)),
        (Action::Release, 400, Some(300)),
    ];
    check(None, &events, 10_000, &expected);
}

#[test]
fn a_key_that_was_down_before_is_not_spoken_of_until_it_is_pressed() {
    check(None, &[up(Repeated, 1), up(Released, 2), up(Pressed, 3)], 10, &[(Action::Press, 3, None)]);
}

#[test]
fn a_release_that_was_missed_is_told_before_the_next_press() {
    let expected = [(Action::Press, 1, None), (Action::Release, 5, Some(4)), (Action::Press, 5, None)];
    check(None, &[up(Pressed, 1), up(Pressed, 5)], 10, &expected);
}

#[test]
fn after_lost_events_the_state_tells_what_was_missed() {
    let mut recogniser = Recogniser::new(None);
    recogniser.handle_event(&up(Pressed, 1));
    recogniser.handle_event(&key(Direction::Left, Pressed, 2));
    let state = DeviceEvent::State { pressed: vec![Direction::Left, Direction::Middle], time: at(9) };
    let told: Vec<_> = recogniser.handle_event(&state).iter().map(|event| (event.direction, event.action)).collect();
    assert_eq!(told, [(Direction::Up, Action::Release), (Direction::Middle, Action::Press)]);
}

#[test]
fn one_short_press_is_a_click_once_no_other_can_follow() {
    let mut recogniser = Recogniser::new(Some(TIMES));
    recogniser.handle_event(&up(Pressed, 100));
    assert_eq!(recogniser.next_deadline(), Some(at(900)));
    recogniser.handle_event(&up(Released, 200));
    assert_eq!(recogniser.next_deadline(), Some(at(500)));
    assert!(recogniser.handle_timeout(at(499)).is_empty());
    assert_eq!(short(&recogniser.handle_timeout(at(500))), [(Action::Click, 200, Some(100))]);
    assert_eq!(recogniser.next_deadline(), None);
}

#[test]
fn two_short_presses_are_a_double_and_a_third_begins_anew() {
    let events =
        [up(Pressed, 0), up(Released, 50), up(Pressed, 100), up(Released, 160), up(Pressed, 200), up(Released, 210)];
    let expected = [
        (Action::Press, 0, None),
        (Action::Release, 50, Some(50)),
        (Action::Press, 100, None),
        (Action::Release, 160, Some(60)),
        (Action::Double, 160, Some(60)),
        (Action::Press, 200, None),
        (Action::Release, 210, Some(10)),
        (Action::Click, 210, Some(10)),
    ];
    check(Some(TIMES), &events, 10_000, &expected);
}

#[test]
fn a_long_press_is_told_while_it_lasts_and_its_release_is_no_click() {
    let mut recogniser = Recogniser::new(Some(TIMES));
    recogniser.handle_event(&up(Pressed, 0));
    assert_eq!(short(&recogniser.handle_timeout(at(810))), [(Action::Long, 800, Some(800))]);
    assert_eq!(short(&recogniser.handle_event(&up(Released, 2000))), [(Action::Release, 2000, Some(2000))]);
    assert_eq!(recogniser.next_deadline(), None);
}

#[test]
fn a_short_press_before_a_long_one_is_a_click() {
    let events = [up(Pressed, 0), up(Released, 50), up(Pressed, 100)];
    let mut recogniser = Recogniser::new(Some(TIMES));
    for event in &events {
        recogniser.handle_event(event);
    }
    let expected = [(Action::Click, 50, Some(50)), (Action::Long, 900, Some(800))];
    assert_eq!(short(&recogniser.handle_timeout(at(900))), expected);
}

#[test]
fn what_is_down_when_the_device_goes_is_let_go_and_is_no_gesture() {
    let mut recogniser = Recogniser::new(Some(TIMES));
    recogniser.handle_event(&up(Pressed, 0));
    assert_eq!(short(&recogniser.handle_lost(at(100))), [(Action::Release, 100, Some(100))]);
    assert_eq!(recogniser.next_deadline(), None);
    assert!(recogniser.handle_event(&up(Released, 200)).is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Event(DeviceEvent),
    Timeout(u64),
    Lost(u64),
}

/// Events as a kernel might tell them, with times that go forward; now and then the device goes.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let direction = prop::sample::select(Direction::ALL.to_vec());
    let key = (direction.clone(), prop::sample::select(vec![Pressed, Repeated, Released]));
    let kind = prop_oneof![
        8 => key.prop_map(|(direction, state)| Step::Event(DeviceEvent::Key { direction, state, time: at(0) })),
        1 => prop::collection::vec(direction, 0..3)
            .prop_map(|pressed| Step::Event(DeviceEvent::State { pressed, time: at(0) })),
        3 => Just(Step::Timeout(0)),
        1 => Just(Step::Lost(0)),
    ];
    prop::collection::vec((kind, 0..500_u64), 0..80).prop_map(|steps| {
        let mut now = 0;
        let stamp = |(step, wait)| {
            now += wait;
            match step {
                Step::Event(DeviceEvent::Key { direction, state, .. }) => Step::Event(key_at(direction, state, now)),
                Step::Event(DeviceEvent::State { pressed, .. }) => {
                    Step::Event(DeviceEvent::State { pressed, time: at(now) })
                }
                Step::Timeout(_) => Step::Timeout(now),
                Step::Lost(_) => Step::Lost(now),
            }
        };
        steps.into_iter().map(stamp).collect()
    })
}

fn key_at(direction: Direction, state: KeyState, ms: u64) -> DeviceEvent {
    key(direction, state, ms)
}

/// Runs the steps and then the loss of the device; the events of each step.
fn run(gestures: Option<GestureTimes>, steps: &[Step]) -> Vec<Event> {
    let mut recogniser = Recogniser::new(gestures);
    let mut told: Vec<_> = steps
        .iter()
        .flat_map(|step| match step {
            Step::Event(event) => recogniser.handle_event(event),
            Step::Timeout(ms) => recogniser.handle_timeout(at(*ms)),
            Step::Lost(ms) => recogniser.handle_lost(at(*ms)),
        })
        .collect();
    told.extend(recogniser.handle_lost(at(1_000_000)));
    told
}

/// How many presses the loss of the device cuts short: those that are down then, and not long yet.
fn cut_short(steps: &[Step], direction: Direction) -> usize {
    let (mut recogniser, mut told, mut cut_short) = (Recogniser::new(Some(TIMES)), Vec::new(), 0);
    for step in steps {
        match step {
            Step::Event(event) => told.extend(recogniser.handle_event(event)),
            Step::Timeout(ms) => told.extend(recogniser.handle_timeout(at(*ms))),
            Step::Lost(ms) => {
                told.extend(recogniser.handle_timeout(at(*ms)));
                let last = of(&told, direction, &[Action::Press, Action::Long, Action::Release]).pop();
                cut_short += usize::from(last.is_some_and(|event| event.action == Action::Press));
                told.extend(recogniser.handle_lost(at(*ms)));
            }
        }
    }
    cut_short
}

fn of(told: &[Event], direction: Direction, actions: &[Action]) -> Vec<Event> {
    told.iter().filter(|event| event.direction == direction && actions.contains(&event.action)).copied().collect()
}

proptest! {
    #[test]
    fn presses_and_releases_alternate_and_end_with_a_release(steps in steps()) {
        let told = run(None, &steps);
        for direction in Direction::ALL {
            let actions: Vec<_> =
                of(&told, direction, &[Action::Press, Action::Release]).iter().map(|event| event.action).collect();
            prop_assert!(actions.chunks(2).all(|pair| pair == [Action::Press, Action::Release]), "{actions:?}");
        }
    }

    #[test]
    fn each_press_is_part_of_exactly_one_gesture_unless_the_device_goes(steps in steps()) {
        let told = run(Some(TIMES), &steps);
        for direction in Direction::ALL {
            let count = |action| of(&told, direction, &[action]).len();
            let parts = count(Action::Click) + 2 * count(Action::Double) + count(Action::Long);
            prop_assert_eq!(parts + cut_short(&steps, direction), count(Action::Press), "{:?}", told);
        }
    }

    #[test]
    fn gestures_change_nothing_of_what_is_told_beside_them(steps in steps()) {
        let plain = run(None, &steps);
        let mut told = run(Some(TIMES), &steps);
        told.retain(|event| matches!(event.action, Action::Press | Action::Hold | Action::Release));
        prop_assert_eq!(told, plain);
    }
}
