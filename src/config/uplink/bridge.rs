//! `[[uplink.bridge]]`: another MQTT broker.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;

use super::common::{self, Common};
use super::rules::{self, Sides};
use super::{Given, Uplink, far, loops, own_topics};
use crate::agent::StatusTopic;
use crate::base::ids;
use crate::config::endpoint::client_id;
use crate::config::general::STAND_IN;
use crate::config::limits::{SESSION_EXPIRY, SHORT, whole_seconds};
use crate::config::publish::Topics;
use crate::config::section::{Read, Section, index_path, key_path};
use crate::config::value::{boolean, choice, duration, integer, shown, text};
use crate::mqtt::TopicName;
use crate::uplink::bridge::{Options as BridgeOptions, Profile, Rule, Status};
use crate::uplink::{FarOptions, Kind, Options, Version};

const VERSIONS: [(&str, Version); 3] = [("auto", Version::Auto), ("3.1.1", Version::V311), ("5", Version::V5)];

/// What becomes of the gateway's status there when the gateway is gone.
#[derive(Clone, Copy)]
enum Presence {
    /// It says so.
    Offline,
    /// It is cleared.
    Clear,
    /// It stays.
    None,
}

const PRESENCES: [(&str, Presence); 3] =
    [("offline", Presence::Offline), ("clear", Presence::Clear), ("none", Presence::None)];

/// Beyond it nothing is ever put aside.
const POISON_AFTER: RangeInclusive<u32> = 1..=100;

/// What is taken where a key is left out.
const SESSION_EXPIRY_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const INFLIGHT_DEFAULT: usize = 20;
pub(super) const POISON_AFTER_DEFAULT: u32 = 5;

/// A name is a level of topics and part of a file's name.
const NAME_BYTES_MAX: usize = 32;

/// The name of what `[uplink.ubidots]` is.
pub(super) const UBIDOTS: &str = "ubidots";

/// Reads the list; no two of one name.
pub(super) fn read_all(uplink: &mut Section<'_>, given: &Given<'_>, topics: &mut Topics) -> Read<Vec<Uplink>> {
    let bridges = uplink.sections("bridge", |section| read_one(section, given, topics))?;
    for (index, bridge) in bridges.iter().enumerate() {
        let name = &bridge.options.name;
        if bridges.iter().take(index).any(|earlier| earlier.options.name == *name) {
            let path = key_path(&index_path(&uplink.path("bridge"), index), "name");
            uplink.notes().problem(&path, format!("is {name:?}, as that of an earlier bridge; each needs its own"));
        }
    }
    loops::check_bridges(uplink, &bridges);
    Ok(bridges)
}

fn read_one(section: &mut Section<'_>, given: &Given<'_>, topics: &mut Topics) -> Read<Uplink> {
    let name = section.required("name", name);
    let profile = section.optional("profile", choice(&Profile::ALL)).map(Option::unwrap_or_default);
    let client_id = read_client_id(section, name.as_deref().unwrap_or_default());
    let common = common::read(section);
    let inflight = section.optional("inflight", integer(SHORT));
    let poison_after = section.optional("poison_after", integer(POISON_AFTER));
    let rules = read_rules(section, &client_id, profile, topics);
    let kind = read_kind(section, profile, rules.clone(), given);
    let keep_alive = common.as_ref().map_or_else(|noted| Err(*noted), |common| Ok(common.keep_alive));
    let far = read_far(
        section,
        name.as_deref().unwrap_or_default(),
        client_id,
        profile,
        rules.as_deref().unwrap_or_default(),
        keep_alive,
        given,
    );
    let name = name?;
    let own = own_topics(&name, &section.path("name"), given, topics);
    let own = own.map_err(|text| section.problem("name", text))?;
    let Common { order, ack_timeout, queue, .. } = common?;
    let options = Options {
        name,
        kind: kind?,
        far: far?,
        local: given.local.clone(),
        order,
        inflight_max: inflight?.unwrap_or(INFLIGHT_DEFAULT).min(profile?.inflight_max()),
        ack_timeout,
        strikes_max: poison_after?.unwrap_or(POISON_AFTER_DEFAULT),
        clock_wait: given.clock_wait,
        topics: own,
    };
    Ok(Uplink { options, queue })
}

/// Reads `rules`, and holds that they make no loop.
fn read_rules(
    section: &mut Section<'_>,
    client_id: &Read<String>,
    profile: Read<Profile>,
    topics: &Topics,
) -> Read<Vec<Rule>> {
    // what has a problem itself makes no other one
    let remote = topics.names().with("client_id", client_id.as_deref().unwrap_or(STAND_IN));
    let sides = Sides { local: topics.names(), remote: &remote, profile: profile.unwrap_or_default() };
    let rules = rules::read(section, &sides)?;
    loops::check_rules(section, &rules);
    Ok(rules)
}

/// What the bridge carries.
fn read_kind(
    section: &mut Section<'_>,
    profile: Read<Profile>,
    rules: Read<Vec<Rule>>,
    given: &Given<'_>,
) -> Read<Kind> {
    let presence = section.optional("status", choice(&PRESENCES))?.unwrap_or(Presence::Offline);
    let (rules, profile) = (rules?, profile?);
    let status = given.status.and_then(|status| status_there(status, presence, &rules));
    Ok(Kind::Bridge(BridgeOptions { rules, profile, status }))
}

/// Reads how the other side is reached.
fn read_far(
    section: &mut Section<'_>,
    name: &str,
    client_id: Read<String>,
    profile: Read<Profile>,
    rules: &[Rule],
    keep_alive: Read<Duration>,
    given: &Given<'_>,
) -> Read<FarOptions> {
    let addresses = far::read_addresses(section);
    loops::check_addresses(section, addresses.as_deref().unwrap_or_default(), given);
    let tls = far::read_tls(section, addresses.as_deref().unwrap_or_default());
    let credential = format!("uplink.{name}.password");
    let credentials = far::read_credentials(section, given.variables, &credential);
    let version = read_version(section, profile);
    let session = read_session(section, rules);
    let (clean_session, session_expiry_s) = session?;
    Ok(FarOptions {
        addresses: addresses?,
        tls: tls?,
        version: version?,
        client_id: client_id?,
        clean_session,
        session_expiry_s,
        keep_alive: keep_alive?,
        credentials: credentials?,
        packet_bytes_max: given.local.packet_bytes_max,
    })
}

/// Lower case, so that no two differ in that alone.
fn name(kind: &ValueKind) -> Result<String, String> {
    let name = text(kind)?;
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name == UBIDOTS {
        return Err(format!("is {name:?}, which [uplink.ubidots] has; another name is expected"));
    }
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
        let expected = "letters a to z, digits, `_` and `-` are expected";
        return Err(format!("is {}, at most {NAME_BYTES_MAX} {expected}", shown(&name)));
    }
    Ok(name)
}

/// Version 5 only where it is spoken.
fn read_version(section: &mut Section<'_>, profile: Read<Profile>) -> Read<Version> {
    let version = section.optional("protocol", choice(&VERSIONS))?.unwrap_or_default();
    match (version, profile?.speaks_5()) {
        (_, true) | (Version::V311, false) => Ok(version),
        (Version::Auto, false) => Ok(Version::V311),
        (Version::V5, false) => {
            Err(section.problem("protocol", "is \"5\", which NATS does not speak: \"3.1.1\" is expected".into()))
        }
    }
}

fn read_client_id(section: &mut Section<'_>, name: &str) -> Read<String> {
    let typed = section.optional("client_id", client_id)?;
    Ok(typed.unwrap_or_else(|| format!("{}-{name}", ids::default_client_id())))
}

/// Whether the session there is a clean one, and else how long it outlives the connection. Nothing waits there where
/// nothing is to come in.
fn read_session(section: &mut Section<'_>, rules: &[Rule]) -> Read<(bool, u32)> {
    let clean = section.optional("clean_session", boolean);
    let expiry = section.optional("session_expiry", duration(SESSION_EXPIRY));
    let brings_in = rules.iter().any(|rule| rule.direction.comes_in());
    Ok((clean?.unwrap_or(!brings_in), whole_seconds(expiry?.unwrap_or(SESSION_EXPIRY_DEFAULT))))
}

/// The gateway's status under its name there, where a rule sends it.
fn status_there(status: &StatusTopic, presence: Presence, rules: &[Rule]) -> Option<Status> {
    let offline = match presence {
        Presence::Offline => status.offline.clone(),
        Presence::Clear => String::new(),
        Presence::None => return None,
    };
    let mut outs = rules.iter().filter(|rule| rule.direction.goes_out());
    let (rule, name) = outs.find_map(|rule| Some((rule, rule.out(status.topic.as_str())?)))?;
    let topic = TopicName::new(&name).ok()?;
    Some(Status { topic, online: status.online.clone(), offline, retain: status.retain && rule.retain })
}
