//! `[uplink.ubidots]`: readings to an account at Ubidots, and variables from there.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;

use super::account::{check_load, check_variables};
use super::bridge::{POISON_AFTER_DEFAULT, UBIDOTS};
use super::common::{self, Common};
use super::{Given, Uplink, far, own_topics};
use crate::base::ids;
use crate::base::secret::Secret;
use crate::client::{Address, TlsOptions};
use crate::config::credential;
use crate::config::endpoint::{password, url};
use crate::config::layers::Variables;
use crate::config::publish::{Purpose, Topics};
use crate::config::section::{Read, Section};
use crate::config::value::{boolean, choice, describe, duration, number, qos_up_to_1, text};
use crate::sensors::Quantity;
use crate::uplink::ubidots::{Form, Options as UbidotsOptions, ReceiveRule, check_label};
use crate::uplink::{FarOptions, Kind, LocalOptions, Options, Version};

const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Beyond four a second the account's token is throttled.
const PUBLISHES: RangeInclusive<f64> = 0.1..=3.0;

/// From one variable on to more than any plan takes.
const DOTS: RangeInclusive<f64> = 1.0..=10_000.0;

const FORMS: [(&str, Form); 2] = [("number", Form::Number), ("json", Form::Json)];

/// Publishes under way; four a second over the slowest link are fewer.
const INFLIGHT: usize = 20;

/// What systemd's credential with the token is called.
const CREDENTIAL: &str = "ubidots.token";

/// Reads `[uplink.ubidots]`; `None` when it is switched off. What stands there is checked all the same.
pub(super) fn read(section: &mut Section<'_>, given: &Given<'_>, topics: &mut Topics) -> Read<Option<Uplink>> {
    let enabled = section.required("enabled", boolean);
    let is_enabled = enabled == Ok(true);
    let url = section.required("url", url).map(|url| vec![far::address(url)]);
    let tls = far::read_ca_file(section, url.as_deref().unwrap_or_default());
    let token = read_token(section, given.variables, is_enabled);
    let device = section.optional("device", label);
    let account = read_account(section, device.clone(), given, topics, enabled);
    let common = common::read(section);
    if let Ok(account) = &account {
        check_variables(section, account);
    }
    if !is_enabled {
        enabled.and(url).and(tls).and(token).and(account).and(common)?;
        return Ok(None);
    }
    if device == Ok(None) {
        section.problem("device", "is missing: the label of the device at Ubidots is expected".into());
    }
    if let (Ok(account), Some(interval)) = (&account, given.interval) {
        check_load(section, account, interval);
    }
    let (account, token) = (account?, token?);
    let own = own_topics(UBIDOTS, &section.path("enabled"), given, topics);
    let own = own.map_err(|text| section.problem("enabled", text))?;
    let Common { order, keep_alive, ack_timeout, queue } = common?;
    let receive_max = receive_max(&account, given);
    let options = Options {
        name: UBIDOTS.to_owned(),
        kind: Kind::Ubidots(account),
        far: far_options(url?, tls?, token, keep_alive, given),
        local: LocalOptions { receive_max, ..given.local.clone() },
        order,
        inflight_max: INFLIGHT,
        ack_timeout,
        strikes_max: POISON_AFTER_DEFAULT,
        clock_wait: given.clock_wait,
        topics: own,
    };
    Ok(Some(Uplink { options, queue }))
}

/// How Ubidots is reached. Nothing waits there, so its session is a clean one.
fn far_options(
    addresses: Vec<Address>,
    tls: TlsOptions,
    token: Option<Secret>,
    keep_alive: Duration,
    given: &Given<'_>,
) -> FarOptions {
    FarOptions {
        addresses,
        tls,
        version: Version::V311,
        client_id: format!("{}-{UBIDOTS}", ids::default_client_id()),
        clean_session: true,
        session_expiry_s: 0,
        keep_alive,
        // the user is the token; a password is not asked for, and some who stand between miss it
        credentials: token.map(|token| (token.reveal().to_owned(), Some(token))),
        packet_bytes_max: given.local.packet_bytes_max,
    }
}

/// What is asked of the account and promised to it.
fn read_account(
    section: &mut Section<'_>,
    device: Read<Option<String>>,
    given: &Given<'_>,
    topics: &mut Topics,
    enabled: Read<bool>,
) -> Read<UbidotsOptions> {
    let qos = section.required("qos", qos_up_to_1("Ubidots documents 0 and 1"));
    let every = section.optional("every", duration(EVERY));
    let publishes = section.required("publishes_per_s", number(PUBLISHES));
    let dots = section.optional("dots_per_s", number(DOTS));
    let context = section.required("context", boolean);
    let online = section.optional("online", label);
    let send = section.section("send", read_send);
    let device = device.map(Option::unwrap_or_default);
    let receive = section.sections("receive", |section| read_receive(section, &device, topics, enabled));
    Ok(UbidotsOptions {
        device: device?,
        send: send?,
        qos: qos?,
        context: context?,
        every: every?,
        publishes_per_s: publishes?,
        dots_per_s: dots?,
        online: online?,
        receive: receive?,
        samples: given.samples.clone(),
    })
}

/// Reads `[uplink.ubidots.send]`: quantities with the labels of their variables.
fn read_send(section: &mut Section<'_>) -> Read<BTreeMap<String, String>> {
    let read = Quantity::ALL.map(|quantity| (quantity.name(), section.required(quantity.name(), label_or_false)));
    let mut send = BTreeMap::new();
    for (quantity, label) in read {
        if let Some(label) = label? {
            send.insert(quantity.to_owned(), label);
        }
    }
    Ok(send)
}

fn read_receive(
    section: &mut Section<'_>,
    own_device: &Read<String>,
    topics: &mut Topics,
    enabled: Read<bool>,
) -> Read<ReceiveRule> {
    let variable = section.required("variable", label);
    let device = section.optional("device", label);
    let topic = topics.read_for(Purpose::Brought, section, "topic", enabled);
    let form = section.optional("form", choice(&FORMS));
    let retain = section.optional("retain", boolean);
    Ok(ReceiveRule {
        variable: variable?,
        device: device?.map_or_else(|| own_device.clone(), Ok)?,
        form: form?.unwrap_or(Form::Number),
        topic: topic?,
        retain: retain?.unwrap_or(false),
    })
}

fn label(kind: &ValueKind) -> Result<String, String> {
    let label = text(kind)?;
    check_label(&label).map_err(|error| error.to_string())?;
    Ok(label)
}

/// A label; `None` for false, which a variable of the environment can only give as text.
fn label_or_false(kind: &ValueKind) -> Result<Option<String>, String> {
    match kind {
        ValueKind::Boolean(false) => Ok(None),
        ValueKind::String(text) if text == "false" => Ok(None),
        ValueKind::Boolean(true) => Err("is true, a label or false is expected".into()),
        other => label(other).map(Some),
    }
}

/// The token: that of `token_file`, else that which systemd hands over.
fn read_token(section: &mut Section<'_>, variables: &Variables, is_needed: bool) -> Read<Option<Secret>> {
    let typed = section.optional("token_file", token)?;
    if typed.is_some() || !is_needed {
        return Ok(typed);
    }
    let Some(file) = credential::find(variables, CREDENTIAL) else {
        let text = format!("is missing, and systemd hands over no credential `{CREDENTIAL}`: a file is expected");
        return Err(section.problem("token_file", text));
    };
    let file = file.to_string_lossy().into_owned();
    let token = token(&ValueKind::String(file));
    token
        .map(Some)
        .map_err(|text| section.problem("token_file", format!("is missing, and systemd's credential {text}")))
}

/// One word, so that a file of another kind is not sent as one.
fn token(kind: &ValueKind) -> Result<Secret, String> {
    let token = password(kind)?;
    if token.reveal().contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(format!("names {}, which holds more than one word: the token alone is expected", describe(kind)));
    }
    Ok(token)
}

/// Samples that may come without being acknowledged: those of the interval whose mean is to be told, and of the next.
fn receive_max(account: &UbidotsOptions, given: &Given<'_>) -> u16 {
    let interval = given.interval.unwrap_or_default();
    u16::try_from(account.window(interval)).unwrap_or(u16::MAX).max(given.local.receive_max)
}
