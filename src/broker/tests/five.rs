//! What only version 5 has.

use super::*;
use crate::mqtt::{Disconnect, MessageFields, MessageProperties, PropertyFields, RetainHandling, SubscriptionId as Id};

/// CONNECT of version 5 whose session outlives its connection by so many seconds.
fn hello_5(client_id: &str, expiry_s: u32) -> Connect {
    let fields = PropertyFields { session_expiry_interval_s: Some(expiry_s), ..PropertyFields::default() };
    Connect { version: ProtocolVersion::V5, properties: Properties::new(fields), ..hello(client_id) }
}

fn with(mut connect: Connect, change: impl FnOnce(&mut PropertyFields)) -> Connect {
    let mut fields = (*connect.properties).clone();
    change(&mut fields);
    connect.properties = Properties::new(fields);
    connect
}

impl World {
    /// A client of version 5 that is let in, its CONNACK read already.
    fn join_5(&mut self, client_id: &str, expiry_s: u32) -> ConnectionId {
        let connection = self.connect(hello_5(client_id, expiry_s));
        assert_eq!(self.take(connection), ["connack 0 present=false"]);
        connection
    }

    fn publish_5(&mut self, from: ConnectionId, publish: Publish<'_>, bits: u8) {
        let packet_id = (bits > 0).then(|| id(9));
        self.send(from, Packet::Publish(Publish { qos: qos(bits), packet_id, ..publish }));
    }

    fn subscribe_5(&mut self, client: ConnectionId, subscription: Subscription, number: Option<u32>) {
        let fields = PropertyFields { subscription_identifier: number.and_then(Id::new), ..PropertyFields::default() };
        let properties = Properties::new(fields);
        self.send(client, Packet::Subscribe(Subscribe { properties, ..Subscribe::new(id(5), vec![subscription]) }));
    }
}

fn wanted(filter: &str, bits: u8) -> Subscription {
    Subscription::new(TopicFilter::new(filter).unwrap(), qos(bits))
}

#[test]
fn a_session_ends_when_its_time_is_over() {
    let mut world = World::new();
    let client = world.join_5("c", 10);
    world.subscribe(client, "t", 1);
    world.cut(client);
    world.pass(Duration::from_secs(9));
    let client = world.connect(Connect { clean_session: false, ..hello_5("c", 10) });
    assert_eq!(world.take(client), ["connack 0 present=true"]);
    world.cut(client);
    world.pass(Duration::from_secs(10));
    let client = world.connect(Connect { clean_session: false, ..hello_5("c", 10) });
    assert_eq!(world.take(client), ["connack 0 present=false"]);
}

#[test]
fn disconnect_may_shorten_a_session_and_not_begin_one() {
    let mut world = World::new();
    let client = world.join_5("c", 10);
    let fields = |seconds| PropertyFields { session_expiry_interval_s: Some(seconds), ..PropertyFields::default() };
    let disconnect = |seconds| Disconnect { properties: Properties::new(fields(seconds)), ..Disconnect::NORMAL };
    world.send(client, Packet::Disconnect(disconnect(0)));
    let client = world.connect(Connect { clean_session: false, ..hello_5("c", 0) });
    assert_eq!(world.take(client), ["connack 0 present=false"]);
    world.send(client, Packet::Disconnect(disconnect(5)));
    assert_eq!(world.take(client), ["disconnect 82"]);
}

#[test]
fn properties_go_through_as_they_came_and_nothing_is_added() {
    let mut world = World::new();
    let subscriber = world.join_5("s", 0);
    world.subscribe(subscriber, "t", 0);
    world.take(subscriber);
    let publisher = world.join_5("p", 0);
    let fields = MessageFields { user_properties: &[("b", "1"), ("a", "2"), ("b", "1")], ..MessageFields::default() };
    let properties = MessageProperties::new(&fields);
    let mut message = Publish::new("t", b"x");
    message.properties.message = properties.as_ref();
    world.publish_5(publisher, message, 1);
    assert_eq!(world.take(subscriber), ["t=x q0 user [b=1 a=2 b=1]"]);
    assert_eq!(world.take(publisher), ["puback 9"]);
    world.publish_5(publisher, Publish::new("nobody", b"x"), 1);
    assert_eq!(world.take(publisher), ["puback 9 10"]);
}

#[test]
fn expiry_counts_down_while_a_message_waits_and_then_ends_it() {
    let mut world = World::new();
    let subscriber = world.join_5("s", 1000);
    world.subscribe(subscriber, "t", 1);
    world.cut(subscriber);
    let publisher = world.join_5("p", 0);
    for (payload, seconds) in [("short", 3), ("long", 30)] {
        let mut message = Publish::new("t", payload.as_bytes());
        message.properties.message_expiry_interval_s = Some(seconds);
        world.publish_5(publisher, Publish { retain: payload == "short", ..message }, 1);
    }
    world.pass(Duration::from_secs(5));
    let subscriber = world.connect(Connect { clean_session: false, ..hello_5("s", 1000) });
    assert_eq!(world.take(subscriber)[1..], ["t=long q1 id 1 expires 25"]);
    world.subscribe(subscriber, "#", 1);
    assert_eq!(world.take(subscriber), ["suback 5 [1]"]);
    assert_eq!((world.broker.retained.len(), world.broker.retained.bytes()), (0, 0));
}

#[test]
fn no_more_is_in_flight_than_the_client_takes_also_when_it_comes_back_with_less() {
    let mut world = World::new();
    let subscriber = world.join_5("s", 1000);
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    let publisher = world.join_5("p", 0);
    for number in 0..4 {
        world.publish_5(publisher, Publish::new("t", number.to_string().as_bytes()), 1);
    }
    assert_eq!(world.take(subscriber).len(), 4);
    world.cut(subscriber);
    let less = with(hello_5("s", 1000), |fields| fields.receive_maximum = std::num::NonZeroU16::new(2));
    let subscriber = world.connect(Connect { clean_session: false, ..less });
    assert_eq!(world.take(subscriber)[1..], ["t=0 q1 id 1 dup", "t=1 q1 id 2 dup"]);
    world.send(subscriber, Packet::PubAck(ack(2)));
    assert_eq!(world.take(subscriber), ["t=2 q1 id 3 dup"]);
    world.publish_5(publisher, Publish::new("t", b"4"), 1);
    world.send(subscriber, Packet::PubAck(ack(1)));
    assert_eq!(world.take(subscriber), ["t=3 q1 id 4 dup"]);
    world.send(subscriber, Packet::PubAck(ack(3)));
    assert_eq!(world.take(subscriber), ["t=4 q1 id 5"]);
}

#[test]
fn what_is_larger_than_the_client_takes_counts_as_delivered() {
    let mut world = World::new();
    let small = with(hello_5("s", 1000), |fields| fields.maximum_packet_size = std::num::NonZeroU32::new(30));
    let subscriber = world.connect(small);
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    let publisher = world.join_5("p", 0);
    world.publish_5(publisher, Publish::new("t", &[b'x'; 40]), 1);
    world.publish_5(publisher, Publish::new("t", b"y"), 1);
    assert_eq!(world.take(subscriber), ["t=y q1 id 2"]);
}

#[test]
fn aliases_stand_for_topics_each_way() {
    let mut world = World::new();
    let subscriber = world.connect(with(hello_5("s", 0), |fields| fields.topic_alias_maximum = Some(1)));
    world.subscribe(subscriber, "#", 0);
    world.take(subscriber);
    let publisher = world.join_5("p", 0);
    let alias = |topic, number| {
        let mut publish = Publish::new(topic, b"x");
        publish.properties.topic_alias = std::num::NonZeroU16::new(number);
        publish
    };
    world.publish_5(publisher, alias("a", 3), 0);
    world.publish_5(publisher, alias("", 3), 0);
    world.publish_5(publisher, alias("b", 3), 0);
    world.publish_5(publisher, alias("", 3), 0);
    assert_eq!(world.take(subscriber), ["a=x q0 alias 1", "=x q0 alias 1", "b=x q0", "b=x q0"]);
    world.publish_5(publisher, alias("", 4), 0);
    assert_eq!(world.take(publisher), ["disconnect 82"]);
    let publisher = world.join_5("p", 0);
    world.publish_5(publisher, alias("a", 17), 0);
    assert_eq!(world.take(publisher), ["disconnect 94"]);
}

#[test]
fn subscription_options_and_identifiers_are_kept_to() {
    let mut world = World::new();
    let client = world.join_5("c", 0);
    world.subscribe_5(client, Subscription { no_local: true, ..wanted("a/#", 1) }, Some(7));
    world.subscribe_5(client, Subscription { retain_as_published: true, ..wanted("+/b", 0) }, Some(8));
    world.take(client);
    world.publish_5(client, Publish::new("a/x", b"mine"), 0);
    world.publish_5(client, Publish { retain: true, ..Publish::new("a/b", b"mine") }, 0);
    assert_eq!(world.take(client), ["a/b=mine q0 retain subs [8]"]);
    let other = world.join_5("o", 0);
    world.publish_5(other, Publish { retain: true, ..Publish::new("a/b", b"yours") }, 1);
    assert_eq!(world.take(client), ["a/b=yours q1 id 1 retain subs [7, 8]"]);
    world.publish_5(other, Publish { retain: true, ..Publish::new("a/x", b"yours") }, 0);
    assert_eq!(world.take(client), ["a/x=yours q0 subs [7]"]);
}

#[test]
fn retained_messages_come_as_retain_handling_says() {
    let mut world = World::new();
    let client = world.join_5("c", 0);
    world.send(client, retain("t", "x", 0));
    let handled = |handling| Subscription { retain_handling: handling, ..wanted("t", 0) };
    for (handling, brings) in
        [(RetainHandling::DoNotSend, false), (RetainHandling::SendIfNew, false), (RetainHandling::Send, true)]
    {
        world.subscribe_5(client, handled(handling), None);
        assert_eq!(world.take(client).len(), 1 + usize::from(brings), "{handling:?}");
    }
    world.send(client, unsubscribe("t"));
    world.subscribe_5(client, handled(RetainHandling::SendIfNew), None);
    assert_eq!(world.take(client), ["unsuback 6 [00]", "suback 5 [0]", "t=x q0 retain"]);
    world.send(client, unsubscribe("u"));
    assert_eq!(world.take(client), ["unsuback 6 [11]"]);
}

#[test]
fn members_of_a_share_take_turns_and_inherit_what_is_left() {
    let mut world = World::new();
    let (a, b) = (world.join_5("a", 0), world.join_5("b", 0));
    for member in [a, b] {
        world.subscribe(member, "$share/g/t", 1);
        world.take(member);
    }
    let publisher = world.join_5("p", 0);
    for number in 0..4 {
        world.publish_5(publisher, Publish::new("t", number.to_string().as_bytes()), 1);
    }
    assert_eq!(world.take(a), ["t=0 q1 id 1", "t=2 q1 id 2"]);
    assert_eq!(world.take(b), ["t=1 q1 id 1", "t=3 q1 id 2"]);
    world.send(a, Packet::PubAck(ack(1)));
    world.cut(a);
    assert_eq!(world.take(b), ["t=2 q1 id 3"]);
}

#[test]
fn a_will_waits_for_its_delay_and_is_void_when_its_client_is_back() {
    let mut world = World::new();
    let watcher = world.join_5("w", 0);
    world.subscribe(watcher, "t", 0);
    world.take(watcher);
    let last = Will { delay_interval_s: 5, ..will("t", "gone") };
    let leaver = || Connect { will: Some(last.clone()), clean_session: false, ..hello_5("c", 100) };
    let client = world.connect(leaver());
    world.cut(client);
    world.pass(Duration::from_secs(4));
    let client = world.connect(leaver());
    world.pass(Duration::from_secs(4));
    assert!(world.take(watcher).is_empty());
    world.cut(client);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.take(watcher), ["t=gone q0"]);
    // the session's end is the will's, whatever is left of its delay
    let client = world.connect(Connect { clean_session: false, will: Some(last.clone()), ..hello_5("c", 2) });
    world.cut(client);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.take(watcher), ["t=gone q0"]);
    // and so is a clean start
    let client = world.connect(leaver());
    world.cut(client);
    world.connect(hello_5("c", 0));
    assert_eq!(world.take(watcher), ["t=gone q0"]);
}

#[test]
fn who_is_sent_away_is_told_why() {
    let mut world = World::new();
    let client = world.join_5("c", 0);
    world.connect(hello_5("c", 0));
    assert_eq!(world.take(client), ["disconnect 8e"]);
    let silent = world.connect(Connect { keep_alive_s: 10, ..hello_5("silent", 0) });
    world.take(silent);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.take(silent), ["disconnect 8d"]);
    let unknown = with(hello_5("u", 0), |fields| fields.authentication_method = Some("X".into()));
    let unknown = world.connect(unknown);
    assert_eq!(world.take(unknown), ["connack 5 present=false"]);
    assert_eq!(world.reason(unknown), Some(&CloseReason::Refused(ReasonCode::BadAuthenticationMethod)));
}

#[test]
fn a_full_disk_refuses_what_it_would_have_to_keep() {
    let mut world = World::new();
    let absent = world.join("absent", false);
    world.subscribe(absent, "t", 1);
    world.cut(absent);
    let (five, old) = (world.join_5("five", 0), world.join("old", true));
    world.is_durable_at_once = false;
    world.broker.handle_disk(Disk::Full, world.now);
    world.publish_5(five, Publish::new("t", b"x"), 1);
    world.publish_5(five, Publish::new("u", b"x"), 1);
    world.publish_5(five, Publish { retain: true, ..Publish::new("u", b"x") }, 2);
    assert_eq!(world.take(five), ["puback 9 97", "puback 9 10", "pubrec 9 97"]);
    world.publish(old, "t", "x", 1, 4);
    assert!(world.take(old).is_empty());
    world.broker.handle_disk(Disk::Writes, world.now);
    world.persist();
    assert_eq!(world.take(old), ["puback 4"]);
    world.publish_5(five, Publish::new("t", b"x"), 1);
    world.persist();
    assert_eq!(world.take(five), ["puback 9"]);
}

#[test]
fn a_refusal_that_is_larger_than_the_client_takes_is_not_sent() {
    let mut world = World::new();
    for (most, answers) in [(4, &[][..]), (5, &["connack 2 present=false"])] {
        let small = with(hello_5("sensegate/x", 0), |fields| {
            fields.maximum_packet_size = std::num::NonZeroU32::new(most);
        });
        let client = world.connect(small);
        assert_eq!(world.take(client), answers, "{most} bytes");
        assert_eq!(world.reason(client), Some(&CloseReason::Refused(ReasonCode::ClientIdentifierNotValid)));
    }
}

#[test]
fn nothing_follows_the_goodbye_of_a_shutdown() {
    let mut world = World::new();
    let (subscriber, publisher) = (world.join_5("s", 0), world.join("p", true));
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    world.broker.handle_shutdown(world.now);
    world.drain();
    assert_eq!(world.take(subscriber), ["disconnect 8b"]);
    world.publish(publisher, "t", "x", 1, 4);
    world.cut(subscriber);
    assert!(world.take(subscriber).is_empty());
    assert!(world.take(publisher).is_empty(), "it is to come again to the next process");
}
