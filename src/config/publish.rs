//! `[publish.*]`: where each quantity goes and in which form; and that no two things go to one topic.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::{Read, Section};
use super::template::{Names, expand};
use super::value::{boolean, choice, duration, integer, number, qos, text};
use crate::agent::{PayloadFormat, QuantityTopic, Report};
use crate::mqtt::TopicName;
use crate::sensors::Quantity;

/// More digits than a double of a HAT's reading carries are noise.
const DECIMALS_MAX: usize = 9;

/// In the unit of the quantity.
const DEADBAND: RangeInclusive<f64> = 0.0..=1000.0;
const HEARTBEAT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

#[derive(Clone, Copy)]
enum ReportWord {
    Always,
    OnChange,
}

const REPORTS: [(&str, ReportWord); 2] = [("always", ReportWord::Always), ("on-change", ReportWord::OnChange)];

const PAYLOADS: [(&str, PayloadFormat); 2] = [("plain", PayloadFormat::Plain), ("json", PayloadFormat::Json)];

/// Reads `[publish]`: one entry for each quantity that is not switched off.
pub(super) fn read(section: &mut Section<'_>, topics: &mut Topics) -> Read<Vec<QuantityTopic>> {
    let read = Quantity::ALL
        .map(|quantity| section.section(quantity.name(), |section| read_quantity(section, quantity, topics)));
    let read: Vec<_> = read.into_iter().collect::<Read<_>>()?;
    Ok(read.into_iter().flatten().collect())
}

fn read_quantity(section: &mut Section<'_>, quantity: Quantity, topics: &mut Topics) -> Read<Option<QuantityTopic>> {
    let names = topics.names.with("quantity", quantity.name());
    let enabled = section.required("enabled", boolean);
    let topic = topics.read(section, &names, enabled);
    let qos = section.required("qos", qos);
    let retain = section.required("retain", boolean);
    let payload = section.required("payload", choice(&PAYLOADS));
    let decimals = section.required("decimals", integer(0..=DECIMALS_MAX));
    let report = read_report(section);
    let topic = QuantityTopic {
        quantity,
        topic: topic?,
        qos: qos?,
        retain: retain?,
        payload: payload?,
        decimals: decimals?,
        report: report?,
    };
    Ok(enabled?.then_some(topic))
}

fn read_report(section: &mut Section<'_>) -> Read<Report> {
    let word = section.required("report", choice(&REPORTS));
    let deadband = section.required("deadband", number(DEADBAND));
    let heartbeat = section.required("heartbeat", duration(HEARTBEAT));
    let (deadband, heartbeat) = (deadband?, heartbeat?);
    Ok(match word? {
        ReportWord::Always => Report::Always,
        ReportWord::OnChange => Report::OnChange { deadband, heartbeat },
    })
}

/// The topics that the gateway uses.
pub(super) struct Topics {
    names: Names,
    used: Vec<Used>,
}

/// One of them.
struct Used {
    /// The key that it comes from.
    path: String,
    /// What it is, for a problem of another one.
    title: String,
    topic: TopicName,
    purpose: Purpose,
}

/// What a topic is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What the gateway itself tells.
    Told,
    /// Commands to the gateway.
    Heard,
    /// What comes from elsewhere: commands, too.
    Brought,
}

impl Used {
    /// Whether the two cannot share a topic.
    fn excludes(&self, other: &Self) -> bool {
        let purposes = [self.purpose, other.purpose];
        let is_command = purposes.contains(&Purpose::Heard) && purposes.contains(&Purpose::Brought);
        self.topic == other.topic && !is_command
    }
}

impl Topics {
    pub(super) fn new(names: Names) -> Self {
        Self { names, used: Vec::new() }
    }

    /// What templates may use everywhere.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Reads `topic` where only the prefix and the labels have a meaning.
    pub(super) fn read_plain(&mut self, section: &mut Section<'_>, enabled: Read<bool>) -> Read<TopicName> {
        self.read_for(Purpose::Told, section, "topic", enabled)
    }

    /// Reads `key`, which is used for `purpose`, where only the prefix and the labels have a meaning.
    pub(super) fn read_for(
        &mut self,
        purpose: Purpose,
        section: &mut Section<'_>,
        key: &str,
        enabled: Read<bool>,
    ) -> Read<TopicName> {
        let topic = section.required(key, |kind| topic_name(&text(kind)?, &self.names))?;
        if enabled != Ok(false) {
            self.claim_for(purpose, section.path(key), topic.clone());
        }
        Ok(topic)
    }

    /// Reads `topic`, and remembers it as used unless it is switched off.
    fn read(&mut self, section: &mut Section<'_>, names: &Names, enabled: Read<bool>) -> Read<TopicName> {
        let topic = section.required("topic", |kind| topic_name(&text(kind)?, names))?;
        if enabled != Ok(false) {
            self.claim(section.path("topic"), topic.clone());
        }
        Ok(topic)
    }

    /// Remembers the topic of the key at `path` as used.
    pub(super) fn claim(&mut self, path: String, topic: TopicName) {
        self.claim_for(Purpose::Told, path, topic);
    }

    fn claim_for(&mut self, purpose: Purpose, path: String, topic: TopicName) {
        self.used.push(Used { title: path.clone(), path, topic, purpose });
    }

    /// The topic that `template` makes, used for what `title` says and typed nowhere: another one that is the same is
    /// the one that is wrong. The key at `path` is what it is for.
    pub(super) fn claim_own(&mut self, template: &str, title: String, path: String) -> Result<TopicName, String> {
        let topic = topic_name(template, &self.names)?;
        if self.used.iter().all(|used| used.title != title) {
            self.used.insert(0, Used { path, title, topic: topic.clone(), purpose: Purpose::Told });
        }
        Ok(topic)
    }

    /// Notes a problem for each topic that an earlier key uses already, at the one of the two that somebody typed.
    pub(super) fn check_each_is_used_once(&self, root: &mut Section<'_>) {
        for (index, used) in self.used.iter().enumerate() {
            let Used { path, title, topic, .. } = used;
            let earlier = self.used.iter().take(index).find(|earlier| earlier.excludes(used));
            if let Some(earlier) = earlier {
                let notes = root.notes();
                let (at, other) = if notes.is_typed(path) { (path, &earlier.title) } else { (&earlier.path, title) };
                notes.problem(at, format!("is {topic}, as {other} is; each needs a topic of its own"));
            }
        }
    }
}

/// The name that `template` makes.
pub(super) fn topic_name(template: &str, names: &Names) -> Result<TopicName, String> {
    let topic = expand(template, names)?;
    if topic.starts_with("$SYS/") {
        return Err("begins with $SYS/, which is the broker's own; another first level is expected".into());
    }
    TopicName::new_strict(&topic).map_err(|error| error.to_string())
}
