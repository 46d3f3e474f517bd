//! `rules` of a `[[uplink.bridge]]`: what crosses, in which direction, under which names.

use config::ValueKind;

use crate::config::section::{Read, Section};
use crate::config::template::{Names, expand};
use crate::config::value::{boolean, choice, describe, qos_up_to_1};
use crate::mqtt::QoS;
use crate::uplink::bridge::{Direction, Lint, Profile, Rule};

const DIRECTIONS: [(&str, Direction); 3] = [("out", Direction::Out), ("in", Direction::In), ("both", Direction::Both)];

/// What the words of a rule's names mean on each side, and what kind of broker is there.
pub(super) struct Sides<'a> {
    pub(super) local: &'a Names,
    pub(super) remote: &'a Names,
    pub(super) profile: Profile,
}

/// Reads the list; at least one rule.
pub(super) fn read(bridge: &mut Section<'_>, sides: &Sides<'_>) -> Read<Vec<Rule>> {
    let rules = bridge.sections("rules", |section| read_one(section, sides))?;
    if rules.is_empty() {
        let text = "is missing, at least one rule is expected: { topic = \"#\" }";
        return Err(bridge.problem("rules", text.into()));
    }
    Ok(rules)
}

fn read_one(section: &mut Section<'_>, sides: &Sides<'_>) -> Read<Rule> {
    let topic = section.optional("topic", |kind| template(kind, sides.local));
    let direction = section.optional("direction", choice(&DIRECTIONS));
    let qos = section.optional("qos", qos_up_to_1("a bridge carries each message at least once, not exactly once"));
    let retain = section.optional("retain", boolean);
    let local_prefix = section.optional("local_prefix", |kind| prefix(kind, sides.local));
    let remote_prefix = section.optional("remote_prefix", |kind| prefix(kind, sides.remote));
    let (topic, local_prefix) = (topic?.unwrap_or_default(), local_prefix?.unwrap_or_default());
    let remote_prefix = remote_prefix?.unwrap_or_default();
    let rule = Rule::new(&topic, direction?.unwrap_or(Direction::Out), &local_prefix, &remote_prefix);
    let rule = rule.map_err(|error| section.problem("topic", error.to_string()))?;
    check_remote(section, sides.profile, &rule)?;
    Ok(Rule { qos: qos?.unwrap_or(QoS::AtLeastOnce), retain: retain?.unwrap_or(true), ..rule })
}

/// Whether the broker there takes the names that the rule makes there.
fn check_remote(section: &mut Section<'_>, profile: Profile, rule: &Rule) -> Read<()> {
    let refusal = |name: &str| match profile.lint(name).into_iter().next() {
        Some(Lint::Refused(reason)) => Some(reason),
        Some(Lint::Doubtful(_)) | None => None,
    };
    let remote = rule.remote.as_str();
    let (key, reason) = match (refusal(&rule.remote_prefix), refusal(remote)) {
        (Some(reason), _) => ("remote_prefix", reason),
        (None, Some(reason)) => ("topic", reason),
        (None, None) => return Ok(()),
    };
    Err(section.problem(key, format!("makes {remote:?} there: {reason}; another name is expected")))
}

/// A text, also an empty one, with its words replaced.
fn template(kind: &ValueKind, names: &Names) -> Result<String, String> {
    match kind {
        ValueKind::String(template) => expand(template, names),
        other => Err(format!("is {}, a text is expected", describe(other))),
    }
}

fn prefix(kind: &ValueKind, names: &Names) -> Result<String, String> {
    let prefix = template(kind, names)?;
    match prefix.find(['+', '#']) {
        Some(_) => Err(format!("is {prefix:?}, which holds a wildcard: only `topic` may")),
        None => Ok(prefix),
    }
}
