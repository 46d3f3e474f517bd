//! What goes to Ubidots, and what comes back.

use std::collections::BTreeSet;

use super::*;
use crate::base::clock::{Monotonic, Wall};
use crate::mqtt::{MessageProperties, PacketId};
use crate::sensors::{ReadingMessage, SampleMessage};
use crate::uplink::lane::Stage;
use crate::uplink::stamps::Stamp;

const START_MS: i64 = 1_795_377_330_000;

fn options() -> Options {
    let names = ["temperature", "pressure", "humidity"];
    Options {
        device: "pi".into(),
        send: names.map(|name| (name.to_owned(), name.to_owned())).into(),
        qos: QoS::AtLeastOnce,
        context: false,
        every: None,
        publishes_per_s: 3.0,
        dots_per_s: None,
        online: Some("online".into()),
        receive: Vec::new(),
        samples: TopicName::new("myRasp/samples").unwrap(),
    }
}

fn at(second: u64) -> Now {
    let wall = Wall::from_unix_ms(START_MS + i64::try_from(second).unwrap() * 1000);
    Now { monotonic: Monotonic::from_boot(Duration::from_secs(second)), wall, is_synchronised: true }
}

fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        packet_id: PacketId::new(1),
        properties: MessageProperties::NONE,
        expiry_s: None,
    }
}

/// The sample of a second: 20 °C and so many hundredths, the pressure absent each tenth second.
fn entry(second: u64) -> Entry {
    let reading = |value| ReadingMessage { value, unit: String::new(), reason: None, text: None };
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let hundredths = second as f64 / 100.0;
    let readings = BTreeMap::from([
        ("temperature".to_owned(), reading(Some(20.0 + hundredths))),
        ("pressure".to_owned(), reading((!second.is_multiple_of(10)).then_some(1013.2568))),
        ("humidity".to_owned(), reading(Some(44.9))),
    ]);
    let time_ms = START_MS + i64::try_from(second).unwrap() * 1000;
    let sample = SampleMessage {
        boot_id: "boot".into(),
        sequence: second,
        monotonic_ms: second * 1000,
        time_ms,
        synchronised: true,
        source: "i2c".into(),
        readings,
    };
    let stamp = Some(Stamp { time_ms, is_known: true });
    Entry { number: second, message: message("myRasp/samples", ""), sample: Some(sample), stamp, stage: Stage::Waiting }
}

fn draw(ubidots: &mut Ubidots, entries: &[Entry], now: Now) -> Draw {
    ubidots.draw(&entries.iter().collect::<Vec<_>>(), now, false)
}

fn published(draw: Draw) -> (serde_json::Value, usize, usize) {
    let Draw::Publish { publication, count } = draw else { panic!("{draw:?}") };
    assert_eq!((publication.topic.as_str(), publication.retain), ("/v1.6/devices/pi", false));
    (serde_json::from_slice(&publication.payload).unwrap(), count, publication.payload.len())
}

#[test]
fn one_sample_is_one_publish_of_all_its_values_with_its_own_time() {
    let mut ubidots = Ubidots::new(options(), Received::default());
    let (body, count, _) = published(draw(&mut ubidots, &[entry(1)], at(1)));
    assert_eq!(count, 1);
    let time = START_MS + 1000;
    let expected = json!({
        "temperature": {"value": 20.01, "timestamp": time},
        "pressure": {"value": 1013.2568, "timestamp": time},
        "humidity": {"value": 44.9, "timestamp": time},
    });
    assert_eq!(body, expected);
}

#[test]
fn an_absent_value_is_left_out_and_a_sample_without_any_is_settled() {
    let mut ubidots = Ubidots::new(options(), Received::default());
    let (body, ..) = published(draw(&mut ubidots, &[entry(10)], at(10)));
    assert!(body.get("pressure").is_none() && body.get("humidity").is_some());
    let mut empty = entry(1);
    empty.sample.as_mut().unwrap().readings.clear();
    assert_eq!(draw(&mut ubidots, &[empty], at(11)), Draw::Settle { count: 1 });
}

#[test]
fn a_backlog_goes_in_arrays_up_to_the_size_that_is_taken() {
    let mut ubidots = Ubidots::new(options(), Received::default());
    let entries: Vec<Entry> = (1..200).map(entry).collect();
    let (body, count, bytes) = published(draw(&mut ubidots, &entries, at(200)));
    assert!((9_000..=BODY_BYTES_MAX).contains(&bytes), "{bytes}");
    assert_eq!(body["temperature"].as_array().unwrap().len(), count);
    assert!(count > 60, "{count}");
    let times: Vec<i64> =
        body["humidity"].as_array().unwrap().iter().map(|dot| dot["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] == START_MS + 1000);
}

#[test]
fn publishes_and_dots_keep_to_their_rates() {
    let mut ubidots = Ubidots::new(Options { dots_per_s: Some(6.0), ..options() }, Received::default());
    let mut waiting: Vec<Entry> = (1..=40).map(entry).collect();
    let (mut dots, mut now, end) = (Vec::new(), at(100), at(110));
    while now.monotonic < end.monotonic {
        match draw(&mut ubidots, &waiting, now) {
            Draw::Publish { publication, count } => {
                let body: serde_json::Value = serde_json::from_slice(&publication.payload).unwrap();
                let of = |variable: &serde_json::Value| variable.as_array().map_or(1, Vec::len);
                dots.push((now.monotonic, body.as_object().unwrap().values().map(of).sum::<usize>()));
                waiting.drain(..count);
            }
            Draw::Wait(Some(until)) => now.monotonic = until,
            other => panic!("{other:?}"),
        }
    }
    let total: usize = dots.iter().map(|(_, dots)| dots).sum();
    assert!((55..=66).contains(&total), "{total} dots in ten seconds");
    for (first, _) in &dots {
        let within = |at: &Monotonic| at >= first && at.since(*first) < Duration::from_secs(1);
        let second: usize = dots.iter().filter(|(at, _)| within(at)).map(|(_, dots)| dots).sum();
        assert!(second <= 12, "{second} dots in a second");
    }
}

#[test]
fn an_interval_is_its_mean_once_it_is_over() {
    let mut ubidots = Ubidots::new(Options { every: Some(Duration::from_secs(10)), ..options() }, Received::default());
    let entries: Vec<Entry> = (0..10).map(entry).collect();
    assert!(matches!(draw(&mut ubidots, &entries[..9], at(8)), Draw::Wait(Some(_))));
    // its time is over
    let (body, count, _) = published(draw(&mut ubidots, &entries, at(11)));
    assert_eq!((count, &body["temperature"]["value"]), (10, &json!(20.045)));
    assert_eq!(body["pressure"]["timestamp"], json!(START_MS + 9000));
    // or the next one has begun
    let entries: Vec<Entry> = (0..=10).map(entry).collect();
    let mut clock_behind = at(30);
    clock_behind.wall = Wall::from_unix_ms(0);
    assert_eq!(published(draw(&mut ubidots, &entries, clock_behind)).1, 10);
}

#[test]
fn a_guessed_time_is_marked() {
    let mut ubidots = Ubidots::new(options(), Received::default());
    let mut undated = entry(1);
    undated.stamp = Some(Stamp { time_ms: 5, is_known: false });
    let (body, ..) = published(draw(&mut ubidots, &[undated], at(1)));
    assert_eq!(body["humidity"], json!({"value": 44.9, "timestamp": 5, "context": {"time_quality": "unsynchronised"}}));
}

#[test]
fn load_and_drain_are_told_beforehand() {
    let second = Duration::from_secs(1);
    let day = Duration::from_secs(86_400);
    let load = options().load(second);
    assert_eq!((load.publishes_per_s, load.dots_per_s), (1.0, 3.0));
    let drain = options().drain(day, second).unwrap();
    assert!((300..900).contains(&drain.time.as_secs()), "{drain:?}");
    let sustained = Options { dots_per_s: Some(6.0), ..options() };
    let drain = sustained.drain(day, second).unwrap();
    assert_eq!((drain.time.as_secs(), drain.publishes), (86_400, 43_200));
    assert_eq!(Options { dots_per_s: Some(3.0), ..options() }.drain(day, second), None);
    let thinned = Options { every: Some(second * 60), dots_per_s: Some(6.0), ..options() };
    assert_eq!((thinned.drain(day, second).unwrap().publishes, thinned.window(second)), (720, 420));
}

fn receiving(form: Form) -> Options {
    let topic = TopicName::new("myRasp/leds/set").unwrap();
    let rule = ReceiveRule { device: "pi".into(), variable: "humidity".into(), form, topic, retain: false };
    Options { receive: vec![rule], ..options() }
}

fn passed(receive: Receive) -> Option<String> {
    match receive {
        Receive::Publish(publication) => Some(String::from_utf8(publication.payload.to_vec()).unwrap()),
        Receive::Drop | Receive::Reject { .. } => None,
    }
}

#[test]
fn the_value_that_is_replayed_at_each_subscribe_is_no_command_twice() {
    let mut ubidots = Ubidots::new(receiving(Form::Number), Received::default());
    let filters: BTreeSet<String> =
        ubidots.far_subscriptions().into_iter().map(|wanted| wanted.filter.as_str().to_owned()).collect();
    assert_eq!(filters, BTreeSet::from(["/v1.6/devices/pi/humidity/lv".to_owned()]));
    let topic = "/v1.6/devices/pi/humidity/lv";
    ubidots.handle_far_up();
    assert_eq!(passed(ubidots.receive(&message(topic, "1"))).as_deref(), Some("1"));
    // the same command, given once more
    assert_eq!(passed(ubidots.receive(&message(topic, "1"))).as_deref(), Some("1"));
    // it counts when the local broker has it
    assert_eq!(ubidots.poll_received(), None);
    ubidots.handle_passed_on();
    ubidots.handle_passed_on();
    let kept = ubidots.poll_received().unwrap().clone();
    assert_eq!(ubidots.poll_received(), None);

    let mut ubidots = Ubidots::new(receiving(Form::Number), kept);
    ubidots.handle_far_up();
    assert_eq!(passed(ubidots.receive(&message(topic, "1"))), None);
    ubidots.handle_far_up();
    assert_eq!(passed(ubidots.receive(&message(topic, "0"))).as_deref(), Some("0"));
    assert_eq!(passed(ubidots.receive(&message(topic, "nonsense"))), None);
}

#[test]
fn own_dots_that_come_back_go_no_further() {
    let mut ubidots = Ubidots::new(receiving(Form::Json), Received::default());
    ubidots.handle_far_up();
    let (body, ..) = published(draw(&mut ubidots, &[entry(1)], at(1)));
    assert_eq!(body["humidity"]["context"], json!({"origin": "sensegate"}));
    let topic = "/v1.6/devices/pi/humidity";
    let dot = |timestamp: i64| json!({"value": 44.9, "timestamp": timestamp, "context": {}}).to_string();
    assert_eq!(passed(ubidots.receive(&message(topic, dot(START_MS + 1000)))), None);
    assert_eq!(passed(ubidots.receive(&message(topic, body["humidity"].to_string()))), None);
    assert_eq!(passed(ubidots.receive(&message(topic, dot(7)))), Some(dot(7)));
}

#[test]
fn presence_is_a_dot_also_by_the_will() {
    let mut ubidots = Ubidots::new(options(), Received::default());
    let will = ubidots.will(ProtocolVersion::V311).unwrap();
    assert_eq!((will.topic.as_str(), &will.payload[..]), ("/v1.6/devices/pi/online", &br#"{"value":0}"#[..]));
    let birth = ubidots.birth(at(0)).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&birth.payload).unwrap();
    assert_eq!(said, json!({"value": 1, "timestamp": START_MS}));
}
