//! A gateway with a bridge to an engine, a publisher on its near side, and who looks at the far side.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use sensegate::base::clock::{self, Monotonic};

use crate::connection::{Connection, Login, Received};
use crate::consumer::{Consumer, Record};
use crate::place::Place;
use crate::publisher::{Plan, Published, Publisher};
use crate::relay::{Frozen, Relay};
use crate::server::{ENGINE_PATIENCE, Engine, tell, within};
use crate::support::{Gateway, POLL};

/// The bridge's name.
pub(crate) const NAME: &str = "far";

/// What its status and what a publisher counts are on the far side.
pub(crate) const STATUS: &str = "fleet/pi/status";
pub(crate) const LINES: &str = "fleet/pi/line/#";

/// The rules for both, and for samples.
pub(crate) const RULES: &str = r#"{ topic = "line/#", remote_prefix = "fleet/pi/" },
    { topic = "status", local_prefix = "myRasp/", remote_prefix = "fleet/pi/" },
    { topic = "samples", local_prefix = "myRasp/", remote_prefix = "fleet/pi/" }"#;

/// How many numbers are acknowledged between two things that happen.
const STRETCH: u64 = 100;

/// How long a retained message may take behind its subscription, and how long nothing says that there is none.
const RETAINED_WAIT: Duration = Duration::from_secs(1);

/// The tables of a gateway that has one bridge. The clock of the machine counts as it is.
pub(crate) fn bridge(name: &str, urls: &[SocketAddr], keys: &str, rules: &str) -> String {
    let urls: Vec<String> = urls.iter().map(|address| format!("mqtt://{address}")).collect();
    format!("\n[clock]\nwait = \"0s\"\n{}", bridge_to(name, &urls, keys, rules))
}

/// The table of one bridge, whose waits are short.
pub(crate) fn bridge_to(name: &str, urls: &[String], keys: &str, rules: &str) -> String {
    format!(
        "\n[[uplink.bridge]]\nname = \"{name}\"\nurls = {urls:?}\nclient_id = \"a-gateway-{name}\"\n\
         keep_alive = \"5s\"\nack_timeout = \"2s\"\n{keys}\nrules = [{rules}]\n"
    )
}

/// Starts a gateway in `place`, on a port that nobody takes while it is away.
pub(crate) fn start_gateway(place: &Place, toml: &str) -> Gateway {
    let port = place.free_address().port();
    place.run(|| Gateway::start_on(port, toml))
}

/// The retained message of a topic.
pub(crate) fn retained(place: &Place, address: SocketAddr, topic: &str) -> Option<String> {
    place.run(|| {
        let login = Login::passing(&format!("looks-{}", fastrand::u32(..)));
        let (mut connection, _) = Connection::open(address, &login).ok()?;
        connection.subscribe(topic).ok()?;
        let deadline = clock::monotonic() + RETAINED_WAIT;
        while let Ok(Some(received)) = connection.receive(deadline.since(clock::monotonic())) {
            match received {
                Received::Message(message) if message.retain => return String::from_utf8(message.payload).ok(),
                _ => {}
            }
        }
        None
    })
}

/// Waits until the retained message of a topic is this one.
pub(crate) fn expect_retained(place: &Place, address: SocketAddr, topic: &str, expected: Option<&str>) {
    let mut last = None;
    let is_so = within(ENGINE_PATIENCE, || {
        last = retained(place, address, topic);
        (last.as_deref() == expected).then_some(())
    });
    assert!(is_so.is_some(), "{topic} is {last:?}, not {expected:?}");
}

/// Waits until what a bridge says about itself is as `look` wants it; `what` that is.
pub(crate) fn expect_state(near: &Place, gateway: &Gateway, name: &str, what: &str, look: impl Fn(&Value) -> bool) {
    let is_so = see_state(near, gateway.address(), name, look);
    assert!(is_so.is_ok(), "{what}: {is_so:?}\n{}", gateway.printed());
}

/// The same at any broker.
///
/// # Errors
/// What it said last.
pub(crate) fn see_state(
    near: &Place,
    address: SocketAddr,
    name: &str,
    look: impl Fn(&Value) -> bool,
) -> Result<(), Value> {
    let deadline = clock::monotonic() + ENGINE_PATIENCE;
    let (mut connection, _) = near.run(|| Connection::open(address, &Login::passing("sees-state"))).unwrap();
    connection.subscribe(&format!("myRasp/uplink/{name}/state")).unwrap();
    let mut last = Value::Null;
    while clock::monotonic() < deadline {
        if let Some(Received::Message(message)) = connection.receive(POLL).unwrap() {
            message.packet_id.map_or(Ok(()), |id| connection.acknowledge(id)).unwrap();
            last = serde_json::from_slice(&message.payload).unwrap();
            if look(&last) {
                connection.disconnect();
                return Ok(());
            }
        }
    }
    Err(last)
}

/// Publishes numbers to a topic, one at a time, each acknowledged.
pub(crate) fn publish_numbers(address: SocketAddr, topic: &str, numbers: impl IntoIterator<Item = u64>) {
    let mut caller = Caller::new(address);
    numbers.into_iter().for_each(|number| caller.publish(topic, number.to_string().as_bytes()));
}

/// Somebody who publishes one message at a time.
pub(crate) struct Caller(Connection);

impl Caller {
    /// Connects.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(Connection::open(address, &Login::passing(&format!("calls-{}", fastrand::u32(..)))).unwrap().0)
    }

    /// Publishes with QoS 1 and waits until that is acknowledged.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.0.publish(topic, payload, sensegate::mqtt::PacketId::new(7).unwrap()).unwrap();
        while !matches!(self.0.receive(ENGINE_PATIENCE).unwrap().expect("an acknowledgement"), Received::PubAck(_)) {}
    }
}

/// A gateway whose bridge carries what a publisher counts, while things happen to it.
pub(crate) struct Course {
    name: &'static str,
    began: Monotonic,
    near: Place,
    pub(crate) gateway: Gateway,
    publisher: Publisher,
    consumer: Consumer,
    statuses: Consumer,
}

impl Course {
    /// Everything starts. The gateway is at `near`, its bridge goes by `urls`; who looks at the far side goes straight
    /// to the last of the engine's addresses.
    pub(crate) fn start(near: &Place, far: &Place, engine: &dyn Engine, urls: &[SocketAddr], keys: &str) -> Self {
        let began = clock::monotonic();
        let last: Vec<SocketAddr> = engine.addresses().into_iter().next_back().into_iter().collect();
        let consumer = Consumer::start(far, last.clone(), "far-side", LINES);
        let statuses = Consumer::start(far, last, "sees-status", STATUS);
        let gateway = start_gateway(near, &bridge(NAME, urls, keys, RULES));
        // from its first start on, the bridge's session at the gateway stays
        expect_state(near, &gateway, NAME, "connected", |state| state["connected"] == true);
        let (topic, rest) = ("line/1".to_owned(), Duration::from_millis(4));
        let plan = Plan { addresses: vec![gateway.address()], topic, window: 20, rest };
        let publisher = Publisher::start(near, plan);
        let course = Self { name: engine.name(), began, near: near.clone(), gateway, publisher, consumer, statuses };
        course.stretch();
        course.expect_status("online");
        course
    }

    /// Waits until so much more is acknowledged at the gateway, and until all that arrived.
    pub(crate) fn stretch(&self) {
        self.wait_for_more();
        self.catch_up();
    }

    /// Waits until so much more is acknowledged at the gateway.
    pub(crate) fn wait_for_more(&self) {
        self.publisher.wait_for_more(STRETCH);
    }

    /// Waits until everything that is acknowledged at the gateway has arrived.
    pub(crate) fn catch_up(&self) {
        let last = self.publisher.acknowledged();
        let complete = || self.consumer.record().sequences.gaps(1, last).is_empty().then_some(());
        if within(ENGINE_PATIENCE, complete).is_none() {
            let gaps = self.consumer.record().sequences.gaps(1, last);
            panic!("{}: missing {gaps:?} of {last}\n{}", self.name, self.gateway.printed());
        }
    }

    /// Waits until the newest status on the far side is this one.
    pub(crate) fn expect_status(&self, expected: &str) {
        let newest = || self.statuses.record().sequences.foreign().last().cloned();
        let is_so = within(ENGINE_PATIENCE, || (newest().as_deref() == Some(expected)).then_some(()));
        assert!(is_so.is_some(), "{} says {:?}, not {expected}\n{}", self.name, newest(), self.gateway.printed());
    }

    /// Waits until the bridge's state is as `look` wants it.
    pub(crate) fn expect_state(&self, what: &str, look: impl Fn(&Value) -> bool) {
        expect_state(&self.near, &self.gateway, NAME, what, look);
    }

    /// Waits until the bridge says that it speaks this version of the protocol.
    pub(crate) fn expect_protocol(&self, version: &str) {
        self.expect_state(&format!("protocol {version}"), |state| state["protocol"] == version);
    }

    /// Ends the gateway as a power cut would, and starts it again.
    pub(crate) fn kill_gateway(&mut self) {
        self.gateway.kill();
        let (near, gateway) = (&self.near, &mut self.gateway);
        near.run(|| gateway.start_again());
    }

    /// The same; the far side hears of both.
    pub(crate) fn kill_gateway_before_all_eyes(&mut self) {
        self.gateway.kill();
        self.expect_status("offline");
        let (near, gateway) = (&self.near, &mut self.gateway);
        near.run(|| gateway.start_again());
        self.expect_status("online");
        self.stretch();
    }

    /// The link is cut, and falls silent.
    pub(crate) fn cut_and_freeze(&self, relays: &mut [Relay]) {
        relays.iter().for_each(Relay::cut);
        self.stretch();
        self.freeze(relays, Frozen::Both);
    }

    /// The link falls silent until the bridge has noticed it.
    pub(crate) fn freeze(&self, relays: &mut [Relay], frozen: Frozen) {
        let accepted = |relays: &[Relay]| relays.iter().map(Relay::accepted).sum::<usize>();
        let before = accepted(relays);
        for relay in relays.iter() {
            relay.freeze(frozen);
        }
        let noticed = within(ENGINE_PATIENCE, || (accepted(relays) > before).then_some(()));
        assert!(noticed.is_some(), "a silent link is left: {}", self.gateway.printed());
        relays.iter_mut().for_each(Relay::heal);
        self.stretch();
    }

    /// Nobody listens for a while, in which the gateway is killed.
    pub(crate) fn refuse_and_kill_gateway(&mut self, relays: &mut [Relay]) {
        relays.iter_mut().for_each(Relay::refuse);
        self.expect_state("refused", |state| {
            state["last_error"].as_str().is_some_and(|error| error.contains("nothing listens there"))
        });
        self.wait_for_more();
        self.kill_gateway();
        self.wait_for_more();
        relays.iter_mut().for_each(Relay::heal);
        self.stretch();
    }

    /// Publishes nothing new, and stops the gateway when everything has arrived: all of it, in order.
    pub(crate) fn finish(mut self) -> (Published, Record) {
        let total = self.publisher.stop();
        self.consumer.wait_for(1, total.last);
        assert!(self.gateway.stop().success(), "{}", self.gateway.printed());
        let newest = || self.statuses.record().sequences.foreign().last().cloned();
        let is_offline = within(ENGINE_PATIENCE, || (newest().as_deref() == Some("offline")).then_some(()));
        assert!(is_offline.is_some(), "a clean stop is told: {:?}", self.statuses.record().sequences.foreign());
        let record = self.consumer.stop();
        record.sequences.expect_all(1, total.last);
        assert_eq!(record.retained, 0, "{record:?}");
        let seconds = clock::monotonic().since(self.began).as_secs_f64();
        tell(&format!("bridge to {}: {seconds:.1} s, {total:?}, {record:?}", self.name));
        (total, record)
    }
}
