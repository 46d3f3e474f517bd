//! One subscriber that never reads, under a flood: what it costs the broker. Both with the limits they are shipped with.

use std::io;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::QoS;

use crate::Options;
use crate::broker::Broker;
use crate::client::Client;
use crate::flood::Flood;
use crate::table;
use crate::window::WindowPublisher;

const TOPIC: &str = "bench/stalled";

pub(crate) fn compare(options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    let duration = options.duration * 3;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        for broker in &Broker::both_as_shipped()? {
            rows.push(measure(broker, qos, duration)?);
        }
    }
    println!("A subscriber that never reads, under a flood of {} s.\n", duration.as_secs_f64());
    table::print(["QoS", "broker", "published", "RSS before", "at most", "growth"], &rows);
    Ok(())
}

fn measure(broker: &Broker, qos: QoS, duration: Duration) -> io::Result<[String; 6]> {
    let mut stalled = Client::connect(broker.port, "stalled".into())?;
    stalled.subscribe(TOPIC, qos)?;
    let before_kib = broker.process.rss_kib()?;
    let published = if qos == QoS::AtMostOnce { flood(broker, duration)? } else { acknowledged(broker, duration)? };
    let most_kib = broker.process.memory_kib("VmHWM:")?;
    drop(stalled);
    Ok([
        if qos == QoS::AtMostOnce { "0".into() } else { "1".into() },
        broker.name.into(),
        published.to_string(),
        format!("{:.1} MB", before_kib / 1024.0),
        format!("{:.1} MB", most_kib / 1024.0),
        format!("{:.1} MB", (most_kib - before_kib) / 1024.0),
    ])
}

fn flood(broker: &Broker, duration: Duration) -> io::Result<u64> {
    let flood = Flood::start(broker, TOPIC)?;
    std::thread::sleep(duration);
    Ok(flood.published())
}

fn acknowledged(broker: &Broker, duration: Duration) -> io::Result<u64> {
    let client = Client::connect(broker.port, "publisher".into())?;
    let started = clock::monotonic();
    WindowPublisher::new(client, TOPIC, 64, 100).run(|_| clock::monotonic().since(started) >= duration)
}
