//! What the broker tells about itself under `$SYS/broker/`.

use super::*;

impl World {
    /// A machine that tells, with a client that reads `topic` of it; gives the client and the first value.
    fn telling(topic: &str) -> (Self, ConnectionId, String) {
        let mut world = Self::new();
        world.broker.handle_start(world.now);
        world.drain();
        let reader = world.join("reader", true);
        world.subscribe(reader, topic, 0);
        let first = world.take(reader).remove(1);
        (world, reader, first)
    }

    fn pass_interval(&mut self) {
        self.pass(Options::default().system_interval.unwrap());
    }
}

#[test]
fn a_value_is_published_when_it_has_changed_and_retained() {
    let topic = "$SYS/broker/clients/connected";
    let (mut world, reader, first) = World::telling(topic);
    assert_eq!(first, format!("{topic}=0 q0 retain"));
    world.pass_interval();
    assert_eq!(world.take(reader), [format!("{topic}=1 q0")]);
    world.pass_interval();
    assert!(world.take(reader).is_empty());
}

#[test]
fn what_slow_receivers_miss_counts_as_dropped() {
    let topic = "$SYS/broker/publish/messages/dropped";
    let (mut world, reader, _) = World::telling(topic);
    world.broker.handle_traffic(10, 20, 3, world.now);
    world.pass_interval();
    world.broker.handle_traffic(10, 20, 4, world.now);
    world.pass_interval();
    assert_eq!(world.take(reader), [format!("{topic}=3 q0"), format!("{topic}=4 q0")]);
}

#[test]
fn most_clients_are_those_of_the_fullest_interval() {
    let topic = "$SYS/broker/clients/maximum";
    let (mut world, reader, _) = World::telling(topic);
    let other = world.join("other", true);
    world.open();
    world.pass_interval();
    world.cut(other);
    world.pass_interval();
    assert_eq!(world.take(reader), [format!("{topic}=2 q0")], "who has not sent CONNECT is no client");
}

#[test]
fn a_disk_that_does_not_write_is_told_at_once_and_by_its_name() {
    let topic = "$SYS/broker/store/state";
    let (mut world, reader, first) = World::telling(topic);
    assert_eq!(first, format!("{topic}=ok q0 retain"));
    for disk in [Disk::Full, Disk::Fails, Disk::Writes] {
        world.broker.handle_disk(disk, world.now);
        world.drain();
    }
    assert_eq!(world.take(reader), ["full", "failing", "ok"].map(|word| format!("{topic}={word} q0")));
}
