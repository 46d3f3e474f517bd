//! What of `[uplink.ubidots]` does not go together, or asks more of the account than it is promised.

use std::time::Duration;

use crate::config::section::{Section, index_path, key_path};
use crate::config::value::shown;
use crate::sensors::Quantity;
use crate::uplink::ubidots::{Form, Options};

/// Samples of an interval are in memory until it is over.
const SAMPLES_OF_INTERVAL_MAX: u128 = 5_000;

/// A backlog that stands for any: whether it drains does not depend on its length.
const BACKLOG: Duration = Duration::from_secs(24 * 3600);

/// Notes every variable that two things want.
pub(super) fn check_variables(section: &mut Section<'_>, account: &Options) {
    check_labels(section, account);
    for index in 0..account.receive.len() {
        check_receive(section, account, index);
    }
}

fn check_labels(section: &mut Section<'_>, account: &Options) {
    let sent = Quantity::ALL.iter().filter_map(|quantity| account.send.get_key_value(quantity.name()));
    let sent: Vec<_> = sent.collect();
    for (index, (quantity, label)) in sent.iter().enumerate() {
        if let Some((earlier, _)) = sent.iter().take(index).find(|(_, earlier)| earlier == label) {
            let path = key_path(&section.path("send"), quantity);
            let text = format!("is {}, as `{earlier}` is; each needs a variable of its own", shown(label));
            section.notes().problem(&path, text);
        }
    }
    if let Some(online) = &account.online
        && let Some((quantity, _)) = sent.iter().find(|(_, label)| *label == online)
    {
        let text = format!("is {}, as send.{quantity} is; each needs a variable of its own", shown(online));
        section.problem("online", text);
    }
}

/// What is sent comes back to whoever receives it. In JSON it has its timestamp, and is known again.
fn check_receive(section: &mut Section<'_>, account: &Options, index: usize) {
    let (earlier, rest) = account.receive.split_at(index);
    let Some(rule) = rest.first() else { return };
    let path = |key| key_path(&index_path(&section.path("receive"), index), key);
    let is_own = |label: &String| *label == rule.variable && rule.device == account.device;
    let problem = if earlier.iter().any(|other| (&other.device, &other.variable) == (&rule.device, &rule.variable)) {
        (path("variable"), "is received already, by an earlier [[uplink.ubidots.receive]]".to_owned())
    } else if account.online.iter().any(is_own) {
        (path("variable"), "is what `online` sends: another one is expected".to_owned())
    } else if rule.form == Form::Number && account.send.values().any(is_own) {
        let text = format!("is \"number\", and {} is sent as well", shown(&rule.variable));
        let text = format!("{text}: \"json\" is expected, where one's own readings can be told apart");
        (path("form"), text)
    } else {
        return;
    };
    section.notes().problem(&problem.0, problem.1);
}

/// Notes what does not fit a sample each `interval`.
pub(super) fn check_load(section: &mut Section<'_>, account: &Options, interval: Duration) {
    if account.send.is_empty() {
        if account.receive.is_empty() {
            section.problem("send", "is false throughout, and there is no [[uplink.ubidots.receive]]".into());
        }
        return;
    }
    if let Some(every) = account.every {
        check_every(section, every, interval);
    }
    if let Some(dots) = account.dots_per_s
        && dots < count(account.send.len())
    {
        let text = format!("is {dots}, and {} variables are sent: at least as many are expected", account.send.len());
        section.problem("dots_per_s", text);
    } else if account.drain(BACKLOG, interval).is_none() {
        let by_publishes_alone = Options { dots_per_s: None, ..account.clone() };
        let key = match by_publishes_alone.drain(BACKLOG, interval) {
            Some(_) => "dots_per_s",
            None => "publishes_per_s",
        };
        let load = account.load(interval).dots_per_s;
        let remedy = "raise it, send the mean with `every`, or raise sensors.interval";
        section.problem(
            key,
            format!("is not above what comes, {load:.1} dots a second, and never drains a backlog: {remedy}"),
        );
    }
}

fn check_every(section: &mut Section<'_>, every: Duration, interval: Duration) {
    let samples = samples_in(every, interval);
    let every_text = humantime::format_duration(every);
    let interval_text = humantime::format_duration(interval);
    if every < interval {
        section.problem(
            "every",
            format!("is {every_text}, and sensors.interval {interval_text}: at least that is expected"),
        );
    } else if samples > SAMPLES_OF_INTERVAL_MAX {
        let text = format!("is {every_text}, which is {samples} samples of sensors.interval = \"{interval_text}\"");
        section.problem("every", format!("{text}: at most {SAMPLES_OF_INTERVAL_MAX} are expected"));
    }
}

/// Samples that one interval of means may have.
fn samples_in(every: Duration, interval: Duration) -> u128 {
    every.as_nanos().div_ceil(interval.as_nanos().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "three quantities")]
fn count(number: usize) -> f64 {
    number as f64
}
