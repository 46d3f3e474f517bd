//! Hours of cuts and kills: nothing is lost, and what order there is is kept.

use super::*;

/// An hour with 100 cuts and 20 kills, five of them power cuts, and a clock that is wrong at first and jumps; then time to
/// drain. Gives the world as it is then.
fn hour(seed: u64, kind: &'static str, is_live_first: bool) -> World {
    let mut world = World::new(seed, kind, is_live_first);
    world.machine.handle_local_up(20);
    for second in 0..3600_u64 {
        world.sample();
        match second % 36 {
            7 => {
                let wait = Duration::from_millis(world.random.u64(100..20_000));
                let until = world.now + wait;
                world.link = if world.random.bool() { Link::CutUntil(until) } else { Link::MuteUntil(until) };
            }
            20 if second % 180 == 20 => {
                let is_reboot = second % 720 == 20;
                world.kill(is_reboot);
            }
            25 => (world.is_synchronised, world.wall_error_ms) = (true, 0),
            // the clock jumps back, and is right again a little later
            30 if world.is_synchronised => world.wall_error_ms = -world.random.i64(0..5000),
            _ => {}
        }
        world.run_for(Duration::from_secs(1));
    }
    world.link = Link::Stands;
    world.run_for(Duration::from_secs(120));
    world
}

fn check(world: &World, seed: u64) {
    let expected: Vec<u64> = (1..=3600).collect();
    let arrived: Vec<u64> = world.arrived.keys().copied().collect();
    assert_eq!(arrived, expected, "seed {seed}: readings lost");
    assert_eq!(world.acknowledged, expected, "seed {seed}: acknowledged");
    assert!(world.outbox.is_empty(), "seed {seed}");
    for pair in world.publish_times.windows(4).filter(|_| world.kind == "ubidots") {
        assert!(pair[3].since(pair[0]) >= Duration::from_millis(500), "seed {seed}: too many publishes in a second");
    }
}

#[test]
fn an_hour_of_cuts_and_kills_loses_no_reading_and_keeps_their_order() {
    for seed in 0..6 {
        for kind in ["bridge", "ubidots"] {
            let world = hour(seed, kind, false);
            check(&world, seed);
            assert!(world.order.is_sorted(), "seed {seed}: {kind} in order");
        }
    }
}

#[test]
fn an_hour_of_cuts_and_kills_loses_no_reading_when_the_live_ones_go_first() {
    for seed in 0..6 {
        for kind in ["bridge", "ubidots"] {
            check(&hour(seed, kind, true), seed);
        }
    }
}

#[test]
fn while_nothing_is_cut_each_sample_goes_once_in_either_order() {
    for is_live_first in [false, true] {
        for kind in ["bridge", "ubidots"] {
            let mut world = World::new(1, kind, is_live_first);
            (world.is_synchronised, world.wall_error_ms) = (true, 0);
            world.machine.handle_local_up(20);
            for _ in 0..600 {
                world.sample();
                world.run_for(Duration::from_secs(1));
            }
            assert_eq!((world.publishes, world.duplicates), (600, 0), "{kind} {is_live_first}");
            assert!(world.outbox.is_empty());
        }
    }
}

#[test]
fn live_samples_do_not_wait_for_a_backlog_and_the_backlog_does_not_repeat_them() {
    let mut world = World::new(3, "bridge", true);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(2000));
    for _ in 0..2000 {
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    while !world.is_connected {
        world.step();
    }
    world.sample();
    world.run_for(Duration::from_millis(300));
    let live = world.order.iter().position(|sequence| *sequence == 2001).unwrap();
    assert!(live < 150, "{live} came before it");
    world.run_for(Duration::from_secs(120));
    assert_eq!((world.arrived.len(), world.duplicates), (2001, 0));
}

#[test]
fn a_backlog_drains_beside_live_samples_of_which_some_wait_for_every_publish() {
    let mut world = World::new(4, "ubidots", true);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(60));
    for _ in 0..600 {
        world.sample();
        world.run_for(Duration::from_millis(100));
    }
    while !world.is_connected {
        world.step();
    }
    for _ in 0..300 {
        world.sample();
        world.run_for(Duration::from_millis(100));
    }
    assert!(world.outbox.len() < 20, "{} are behind after 30 s", world.outbox.len());
    assert_eq!(world.duplicates, 0);
}

#[test]
fn times_are_of_the_moment_of_measurement_whatever_happened_since() {
    let mut world = World::new(5, "bridge", false);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(100));
    let mut taken = BTreeMap::new();
    for second in 0..200 {
        if second == 50 {
            (world.is_synchronised, world.wall_error_ms) = (true, 0);
        }
        taken.insert(world.sequence + 1, START_MS + i64::try_from(world.now.since_boot().as_millis()).unwrap());
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    world.run_for(Duration::from_secs(120));
    for (sequence, times) in &world.arrived {
        let expected = taken[sequence];
        assert!(times.iter().all(|time_ms| (time_ms - expected).abs() <= 1000), "{sequence}: {times:?} {expected}");
    }
    assert_eq!(world.arrived.len(), 200);
}

#[test]
fn what_the_local_broker_sends_again_has_the_time_that_it_had_before() {
    let mut world = World::new(6, "ubidots", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(20));
    let mut taken = BTreeMap::new();
    for _ in 0..10 {
        taken.insert(world.sequence + 1, world.clocks().wall.unix_ms());
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    // the local broker is restarted: an external one may be
    world.machine.handle_local_lost(Side::Backlog);
    world.in_flight.clear();
    world.machine.handle_local_up(20);
    world.deliver();
    world.run_for(Duration::from_secs(60));
    let arrived: BTreeMap<u64, i64> =
        world.arrived.iter().flat_map(|(sequence, times)| times.iter().map(|time_ms| (*sequence, *time_ms))).collect();
    assert_eq!(arrived, taken);
}
