//! `[uplink]`: to whom readings and messages go on, and from where commands come.
//!
//! `ubidots` and `bridge` read the two kinds, with what both have in `common`; `far` reads how the other side is
//! reached, `local` decides how this one is, `rules` reads what crosses a bridge, `loops` refuses what would cross for
//! ever, `account` what an account at Ubidots does not carry, and `notes` says what is no problem and still good to
//! know.

mod account;
mod bridge;
mod common;
mod far;
mod local;
mod loops;
mod notes;
mod rules;
mod ubidots;

use std::time::Duration;

use super::general::STAND_IN;
use super::layers::Variables;
use super::publish::Topics;
use super::section::{Read, Section};
use crate::agent::StatusTopic;
use crate::broker::{ClientIdPattern, QueueLimits};
use crate::mqtt::TopicName;
use crate::server::ListenerOptions;
use crate::uplink::{self, Kind, LocalOptions, Options};

pub(super) use local::local_options;
pub(super) use notes::notes;

/// What other sections say that uplinks have to know.
pub(super) struct Given<'a> {
    /// The environment.
    pub(super) variables: &'a Variables,
    /// Time between two samples; `None` when that has a problem.
    pub(super) interval: Option<Duration>,
    /// How long a sample may wait for the time to become known.
    pub(super) clock_wait: Duration,
    /// Where samples are.
    pub(super) samples: TopicName,
    /// The gateway's status.
    pub(super) status: Option<&'a StatusTopic>,
    /// The broker that uplinks take from.
    pub(super) local: LocalOptions,
    /// Where the embedded broker listens.
    pub(super) listeners: &'a [ListenerOptions],
}

/// Stands for a topic that has a problem.
pub(super) fn unknown_topic() -> TopicName {
    TopicName::new(STAND_IN).expect("one character is a name")
}

/// One uplink, and what may wait for it.
pub(super) struct Uplink {
    pub(super) options: Options,
    pub(super) queue: QueueLimits,
}

impl Uplink {
    /// What may wait for it at the embedded broker.
    pub(super) fn queue_of_session(&self) -> (ClientIdPattern, QueueLimits) {
        let client_id = self.options.local.client_id(&self.options.name);
        (ClientIdPattern::new(client_id), self.queue.clone())
    }
}

/// Reads `[uplink]`: those that are switched on.
pub(super) fn read(section: &mut Section<'_>, given: &Given<'_>, topics: &mut Topics) -> Read<Vec<Uplink>> {
    let ubidots = section.section("ubidots", |section| ubidots::read(section, given, topics));
    let bridges = bridge::read_all(section, given, topics);
    Ok(ubidots?.into_iter().chain(bridges?).collect())
}

/// Whether it has a use for samples as a whole.
pub(super) fn carries_samples(options: &Options) -> bool {
    match &options.kind {
        Kind::Ubidots(ubidots) => !ubidots.send.is_empty(),
        Kind::Bridge(bridge) => {
            let samples = options.topics.samples.as_str();
            bridge.rules.iter().any(|rule| rule.direction.goes_out() && rule.local.matches(samples))
        }
    }
}

/// The topics that the gateway has for the uplink `name`, which the key at `path` asks for.
fn own_topics(name: &str, path: &str, given: &Given<'_>, topics: &mut Topics) -> Result<uplink::Topics, String> {
    let mut claim = |what: &str| {
        let template = format!("{{prefix}}/uplink/{name}/{what}");
        topics.claim_own(&template, format!("{template} of the uplink"), path.to_owned())
    };
    Ok(uplink::Topics { samples: given.samples.clone(), state: claim("state")?, rejected: claim("rejected")? })
}
