//! The store on a disk that is full or broken at any moment.

#![expect(clippy::needless_pass_by_value, reason = "names are literals, numbers and formatted texts")]

mod bounds;
mod load;
mod model;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::clock::{Monotonic, Wall};
use crate::base::ids::BootId;
use crate::broker::{Change, Delivery, Granted, Message, Owner, Terms, Ticket};
use crate::mqtt::{ClientId, MessageProperties, PacketId, QoS, TopicFilter, TopicName, Will};

const START: Monotonic = Monotonic::ZERO;

fn clocks() -> Clocks {
    Clocks { boot_id: BootId::new("boot"), monotonic: START, wall: Wall::from_unix_ms(0) }
}

fn open(directory: &tempfile::TempDir) -> (Store, State) {
    let options = Options { sync: Sync::Off, deliveries_max: usize::MAX, ..Options::default() };
    let (store, state, damages) = Store::open(directory.path().join("state.db"), options, clocks()).unwrap();
    assert_eq!(damages, []);
    (store, state)
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_secs(seconds))
}

fn client(name: impl ToString) -> ClientId {
    ClientId::new(name.to_string())
}

fn filter(text: impl ToString) -> TopicFilter {
    TopicFilter::new(&text.to_string()).unwrap()
}

fn topic(text: impl ToString) -> TopicName {
    TopicName::new(&text.to_string()).unwrap()
}

fn packet_id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn message(name: impl ToString, bytes: usize) -> Arc<Message> {
    Arc::new(Message::new(topic(name), vec![b'x'; bytes].into()))
}

fn delivery(arrival: u64, message: &Arc<Message>) -> Delivery {
    Delivery { arrival, message: message.clone(), qos: QoS::ExactlyOnce, retain: false, marks: None }
}

fn retained(name: impl ToString, bytes: usize) -> Change {
    Change::Retained { message: message(name, bytes), qos: QoS::AtLeastOnce, owner: Owner::Anonymous }
}

fn subscribed(client_id: &ClientId, text: impl ToString) -> Change {
    let (client_id, filter) = (client_id.clone(), filter(text));
    Change::Subscribed { client_id, filter, granted: Granted::new(QoS::AtLeastOnce), replay: false }
}

fn will_set(client_id: &ClientId, bytes: usize) -> Change {
    let will = Will {
        topic: topic("w"),
        payload: vec![b'x'; bytes].into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_interval_s: 9,
        message_expiry_interval_s: None,
        properties: MessageProperties::NONE,
    };
    Change::WillSet { client_id: client_id.clone(), user: None, will }
}
