//! kill -9 at random moments under load: nothing acknowledged is missing, order is kept, QoS 2 comes exactly once.
//!
//! Publishers and subscribers live on through the kills, as real ones do: their sessions are persistent, what was not
//! acknowledged is sent again. `SENSEGATE_TEST_SEED` repeats a run.

mod publisher;
mod retained;
mod subscriber;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::link::{Keep, Link};
use crate::place::LONG_QUEUES;
use crate::support::{Gateway, eventually};
use publisher::Publisher;
use retained::RetainedPublisher;
use subscriber::Subscriber;

/// Kills a run, and what is acknowledged before each.
const ROUNDS: usize = 6;
const ACKNOWLEDGED_MAX: usize = 1_500;

/// All who are connected to the gateway, and the absent.
struct World {
    publishers: Vec<Publisher>,
    kept: RetainedPublisher,
    subscribers: Vec<Subscriber>,
}

impl World {
    fn new(gateway: &Gateway) -> Self {
        let publishers = [(1, 20), (1, 100), (2, 10), (2, 50)];
        let publishers: Vec<_> =
            (0..).zip(publishers).map(|(name, (qos, window))| Publisher::new(name, qos, window)).collect();
        let subscribers = [("here-1", 1), ("here-2", 2), ("away-1", 1), ("away-2", 2), ("at-times-2", 2)];
        let subscribers: Vec<_> = subscribers.into_iter().map(|(name, qos)| Subscriber::new(name, qos)).collect();
        for subscriber in &subscribers {
            Link::leave_session(gateway.address(), subscriber.name, "load/#", subscriber.qos);
        }
        for publisher in &publishers {
            Link::connect(gateway.address(), &publisher.name(), Keep::Session);
        }
        Self { publishers, kept: RetainedPublisher::default(), subscribers }
    }

    /// Load until `kill` has acted, which is told how many acknowledgements publishers have.
    fn run(&mut self, address: SocketAddr, random: &mut fastrand::Rng, kill: impl FnOnce(&AtomicUsize)) {
        let acknowledged = AtomicUsize::new(0);
        let Self { publishers, kept, subscribers } = self;
        thread::scope(|scope| {
            for publisher in publishers {
                scope.spawn(|| publisher.run(address, usize::MAX, &acknowledged));
            }
            scope.spawn(|| kept.run(address, &acknowledged));
            for subscriber in subscribers {
                let is_here = subscriber.name.starts_with("here") || subscriber.name.starts_with("at") && random.bool();
                let (lag, seed) = (random.usize(0..90), random.u64(..));
                if is_here {
                    scope.spawn(move || subscriber.run(address, lag, seed));
                }
            }
            kill(&acknowledged);
        });
    }

    /// All that publishers began with is acknowledged.
    fn finish(&mut self, address: SocketAddr) {
        let acknowledged = AtomicUsize::new(0);
        for publisher in &mut self.publishers {
            publisher.run(address, publisher.published(), &acknowledged);
        }
    }

    /// Everybody has everything.
    fn check(&mut self, address: SocketAddr) {
        for subscriber in &mut self.subscribers {
            subscriber.drain(address, &self.publishers);
            subscriber.check(&self.publishers);
        }
        self.kept.check(address);
    }
}

fn kill_under_load(seed: u64) {
    println!("SENSEGATE_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut gateway = Gateway::start(LONG_QUEUES);
    let mut world = World::new(&gateway);
    for round in 0..ROUNDS {
        let enough = random.usize(1..ACKNOWLEDGED_MAX);
        let id = gateway.id();
        world.run(gateway.address(), &mut random, |acknowledged| {
            eventually("publishers are acknowledged", || {
                (acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            });
            kill_process(id);
        });
        gateway.kill();
        gateway.start_again();
        world.kept.check(gateway.address());
        println!("round {round}: killed behind {enough} acknowledgements");
    }
    world.finish(gateway.address());
    gateway.kill();
    gateway.start_again();
    world.check(gateway.address());
}

/// SIGKILL, while others hold the gateway.
fn kill_process(id: u32) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn kills_under_load_lose_double_and_reorder_nothing() {
    kill_under_load(3);
}

#[test]
fn kills_under_load_at_fresh_moments_lose_double_and_reorder_nothing() {
    let asked = std::env::var("SENSEGATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    kill_under_load(asked.unwrap_or_else(|| fastrand::u64(..)));
}

#[test]
fn what_was_in_flight_comes_again_with_dup_and_its_identifier() {
    let mut gateway = Gateway::start("");
    Link::leave_session(gateway.address(), "one", "d/#", 1);
    Link::leave_session(gateway.address(), "two", "d/#", 2);
    let first: Vec<_> = ["one", "two"].map(|name| subscriber::take(gateway.address(), name, 0)).into();
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    publisher.publish_all("d/t", (0..20).map(|number| number.to_string()), 20);
    drop(first);
    let before = ["one", "two"].map(|name| subscriber::take(gateway.address(), name, 20));
    // its acknowledgement comes behind everything that was asked to be durable before it
    publisher.publish_all("d/last", ["last".to_owned()], 1);
    gateway.kill();
    gateway.start_again();
    let after = ["one", "two"].map(|name| subscriber::take(gateway.address(), name, 20));
    for (before, after) in before.iter().zip(&after) {
        let ids =
            |messages: &[crate::wire::Publish]| messages.iter().map(|m| (m.id, m.payload.clone())).collect::<Vec<_>>();
        assert_eq!(ids(before), ids(after));
        assert!(after.iter().all(|message| message.dup), "{after:?}");
    }
}
