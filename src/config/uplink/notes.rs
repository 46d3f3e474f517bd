//! What is no problem and still good to know, one line each.

use std::time::Duration;

use crate::client::Address;
use crate::config::settings::{Settings, StorageOptions};
use crate::store::Sync;
use crate::uplink::bridge::{Lint, Options as Bridge, Profile, Rule};
use crate::uplink::ubidots::Options as Ubidots;
use crate::uplink::{Kind, Options};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What there is to say about the uplinks, and about what waits for them.
pub(in crate::config) fn notes(settings: &Settings) -> Vec<String> {
    let outbox = match &settings.broker {
        None => of_external(settings),
        Some(_) if settings.uplinks.is_empty() => Vec::new(),
        Some(_) => of_storage(&settings.storage).into_iter().collect(),
    };
    let uplinks = settings.uplinks.iter().flat_map(|uplink| {
        let notes = match &uplink.kind {
            Kind::Ubidots(account) => of_ubidots(uplink, account, settings.sensors.interval),
            Kind::Bridge(bridge) => of_bridge(uplink, bridge, settings),
        };
        notes.into_iter().map(|note| format!("uplink {}: {note}", uplink.name))
    });
    outbox.into_iter().chain(uplinks).collect()
}

fn of_external(settings: &Settings) -> Vec<String> {
    let link = "broker.mode = \"external\": readings are lost while the link to the broker is cut; the embedded broker \
                with a bridge keeps them";
    let outbox = "what waits for uplinks waits at the external broker: how much, and whether it outlives a restart, is \
                  up to that one";
    let has_uplinks = !settings.uplinks.is_empty();
    [Some(link), has_uplinks.then_some(outbox)].into_iter().flatten().map(str::to_owned).collect()
}

fn of_storage(storage: &StorageOptions) -> Option<String> {
    match storage.sync {
        Sync::Always => None,
        Sync::Interval(interval) => {
            let interval = humantime::format_duration(interval);
            Some(format!("storage.sync = \"{interval}\": a power cut may cost what uplinks took in within {interval}"))
        }
        Sync::Off => Some(
            "storage.sync = \"off\": a power cut may cost what uplinks took in and the system had not written yet"
                .into(),
        ),
    }
}

fn of_ubidots(uplink: &Options, account: &Ubidots, interval: Duration) -> Vec<String> {
    let is_plain = uplink.far.addresses.iter().any(|address| matches!(address, Address::Tcp { is_tls: false, .. }));
    let plain = is_plain.then(|| "the token crosses the network readable; mqtts:// keeps it to itself".to_owned());
    let load = (!account.send.is_empty()).then(|| load(account, interval));
    load.into_iter().chain(plain).collect()
}

fn load(account: &Ubidots, interval: Duration) -> String {
    let load = account.load(interval);
    let now = format!("{} publishes/s and {} dots/s", short(load.publishes_per_s), short(load.dots_per_s));
    match account.drain(DAY, interval) {
        Some(drain) => {
            let time = humantime::format_duration(Duration::from_secs(drain.time.as_secs().max(1)));
            format!("{now}; the backlog of a day takes {time} and {} publishes", drain.publishes)
        }
        None => format!("{now}; a backlog never drains"),
    }
}

/// Two digits behind the point at most.
fn short(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn of_bridge(uplink: &Options, bridge: &Bridge, settings: &Settings) -> Vec<String> {
    let mut notes: Vec<String> = bridge.rules.iter().flat_map(|rule| of_names(rule, bridge.profile)).collect();
    notes.extend(of_own_topics(bridge, settings));
    let retains = bridge.rules.iter().any(|rule| rule.direction.goes_out() && rule.retain);
    notes.extend(bridge.profile.retain_note().filter(|_| retains).map(str::to_owned));
    let has_colon = uplink.far.credentials.as_ref().is_some_and(|(user, _)| user.contains(':'));
    if bridge.profile == Profile::Rabbitmq && has_colon {
        notes.push("RabbitMQ takes what stands before `:` in a user name for its virtual host".into());
    }
    notes
}

/// Names there that travel badly.
fn of_names(rule: &Rule, profile: Profile) -> Vec<String> {
    let remote = rule.remote.as_str();
    let doubtful = |lint| match lint {
        Lint::Doubtful(reason) => Some(format!("{remote:?}: {reason}")),
        Lint::Refused(_) => None,
    };
    profile.lint(remote).into_iter().filter_map(doubtful).collect()
}

/// Topics of the gateway that a rule sends and the broker there does not take.
fn of_own_topics(bridge: &Bridge, settings: &Settings) -> Vec<String> {
    let refused = |topic: &str| {
        let mut outs = bridge.rules.iter().filter(|rule| rule.direction.goes_out());
        let remote = outs.find_map(|rule| rule.out(topic))?;
        let reason = bridge.profile.check_topic(&remote).err()?;
        Some(format!("{topic} is rejected as {remote:?}: {reason}"))
    };
    settings.agent.topics().filter_map(|topic| refused(topic.as_str())).collect()
}
