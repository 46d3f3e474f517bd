//! `[state]` and `[status]`: how the gateway is, and whether it is there.

use config::ValueKind;

use super::publish::Topics;
use super::section::{Read, Section};
use super::value::{boolean, qos, text};
use crate::agent::{StateTopic, StatusTopic};

/// A will's payload carries its length in two bytes (section 3.1.3.3).
const WILL_BYTES_MAX: usize = 65_535;

/// Reads `[state]`; `None` when it is switched off.
pub(super) fn read_state(section: &mut Section<'_>, topics: &mut Topics) -> Read<Option<StateTopic>> {
    let enabled = section.required("enabled", boolean);
    let topic = topics.read_plain(section, enabled);
    let qos = section.required("qos", qos);
    let retain = section.required("retain", boolean);
    let state = StateTopic { topic: topic?, qos: qos?, retain: retain? };
    Ok(enabled?.then_some(state))
}

/// Reads `[status]`; `None` when it is switched off.
pub(super) fn read_status(section: &mut Section<'_>, topics: &mut Topics) -> Read<Option<StatusTopic>> {
    let enabled = section.required("enabled", boolean);
    let topic = topics.read_plain(section, enabled);
    let online = section.required("online", payload);
    let offline = section.required("offline", payload);
    let qos = section.required("qos", qos);
    let retain = section.required("retain", boolean);
    if online.is_ok() && online == offline {
        return Err(section.problem("offline", "is the same as `online`; nobody could tell them apart".into()));
    }
    let status = StatusTopic { topic: topic?, online: online?, offline: offline?, qos: qos?, retain: retain? };
    Ok(enabled?.then_some(status))
}

/// A text of at least one character: an empty retained message would clear the topic instead.
fn payload(kind: &ValueKind) -> Result<String, String> {
    let payload = text(kind)?;
    match payload.len() {
        ..=WILL_BYTES_MAX => Ok(payload),
        longer => Err(format!("is {longer} bytes long, at most {WILL_BYTES_MAX} are allowed")),
    }
}
