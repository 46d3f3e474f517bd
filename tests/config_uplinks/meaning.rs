//! What becomes of the sections.

use std::fs;
use std::time::Duration;

use sensegate::agent::BrokerAddress;
use sensegate::base::ids::default_client_id;
use sensegate::broker::{ClientIdPattern, Overflow, QueueLimits};
use sensegate::client::{Address, TlsOptions};
use sensegate::config::DEFAULTS;
use sensegate::mqtt::{QoS, TopicName};
use sensegate::uplink::bridge::{Direction, Profile};
use sensegate::uplink::ubidots::Form;
use sensegate::uplink::{Kind, Options, Order, Version, bridge, ubidots};

use super::{BRIDGE, account, settings, with};

fn ubidots_of(uplink: &Options) -> &ubidots::Options {
    match &uplink.kind {
        Kind::Ubidots(account) => account,
        Kind::Bridge(_) => panic!("{uplink:?}"),
    }
}

fn bridge_of(uplink: &Options) -> &bridge::Options {
    match &uplink.kind {
        Kind::Bridge(bridge) => bridge,
        Kind::Ubidots(_) => panic!("{uplink:?}"),
    }
}

fn tcp(host: &str, port: u16, is_tls: bool) -> Address {
    Address::Tcp { host: host.into(), port, is_tls }
}

#[test]
fn without_a_line_there_is_no_uplink_and_nobody_publishes_samples() {
    let settings = settings("");
    assert_eq!((settings.uplinks.len(), &settings.agent.samples), (0, &None));
    assert_eq!(settings.notes(), [""; 0]);
}

#[test]
fn ubidots_needs_three_lines() {
    let settings = settings(&account(""));
    let [uplink] = settings.uplinks.as_slice() else { panic!("{:?}", settings.uplinks) };
    assert_eq!((uplink.name.as_str(), uplink.order, uplink.inflight_max), ("ubidots", Order::InOrder, 20));
    assert_eq!((uplink.ack_timeout, uplink.strikes_max), (Duration::from_secs(30), 5));
    assert_eq!(uplink.clock_wait, Duration::from_secs(300));
    let topics = [&uplink.topics.samples, &uplink.topics.state, &uplink.topics.rejected].map(TopicName::as_str);
    assert_eq!(topics, ["myRasp/samples", "myRasp/uplink/ubidots/state", "myRasp/uplink/ubidots/rejected"]);
    let far = &uplink.far;
    assert_eq!(far.addresses, [tcp("industrial.api.ubidots.com", 8883, true)]);
    assert_eq!((far.version, far.clean_session, far.keep_alive), (Version::V311, true, Duration::from_secs(60)));
    assert_eq!(far.client_id, format!("{}-ubidots", default_client_id()));
    let (user, password) = far.credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.as_ref().unwrap().reveal()), ("BBUS-secret", "BBUS-secret"));
    let sent = ubidots_of(uplink);
    assert_eq!((sent.device.as_str(), sent.qos, sent.context), ("pi", QoS::AtLeastOnce, false));
    assert_eq!((sent.every, sent.dots_per_s, sent.online.as_deref()), (None, None, None));
    let labels: Vec<_> = sent.send.iter().map(|(quantity, label)| (quantity.as_str(), label.as_str())).collect();
    assert_eq!(labels, [("humidity", "humidity"), ("pressure", "pressure"), ("temperature", "temperature")]);
    assert_eq!(settings.agent.samples.unwrap().topic, uplink.topics.samples);
}

#[test]
fn ubidots_is_as_its_section_says() {
    let text = account(
        "url = \"mqtt://127.0.0.1:1999\"\nqos = 0\nevery = \"1m\"\npublishes_per_s = 0.5\ndots_per_s = 6\n\
         context = true\nonline = \"there\"\norder = \"live-first\"\nack_timeout = \"5s\"\nkeep_alive = \"30s\"\n\
         [uplink.ubidots.send]\ntemperature = \"t\"\nhumidity = false\n\
         [[uplink.ubidots.receive]]\nvariable = \"led\"\ntopic = \"{prefix}/leds/set\"\n\
         [[uplink.ubidots.receive]]\nvariable = \"t\"\ntopic = \"back\"\nform = \"json\"\nretain = true\n\
         [[uplink.ubidots.receive]]\nvariable = \"t\"\ntopic = \"other\"\ndevice = \"other\"\n",
    );
    let settings = settings(&text);
    let uplink = &settings.uplinks[0];
    assert_eq!(uplink.far.addresses, [tcp("127.0.0.1", 1999, false)]);
    assert_eq!((uplink.order, uplink.ack_timeout), (Order::LiveFirst, Duration::from_secs(5)));
    // one minute of samples, twice, and a hundred
    assert_eq!(uplink.local.receive_max, 420);
    let account = ubidots_of(uplink);
    assert_eq!((account.qos, account.context, account.online.as_deref()), (QoS::AtMostOnce, true, Some("there")));
    assert_eq!((account.every, account.dots_per_s), (Some(Duration::from_secs(60)), Some(6.0)));
    assert!((account.publishes_per_s - 0.5).abs() < f64::EPSILON);
    let labels: Vec<_> = account.send.values().map(String::as_str).collect();
    assert_eq!(labels, ["pressure", "t"]);
    let received = account.receive.iter();
    let received: Vec<_> =
        received.map(|rule| (rule.device.as_str(), rule.variable.as_str(), rule.topic.as_str(), rule.form)).collect();
    let expected = [
        ("pi", "led", "myRasp/leds/set", Form::Number),
        ("pi", "t", "back", Form::Json),
        ("other", "t", "other", Form::Number),
    ];
    assert_eq!(received, expected);
}

#[test]
fn ubidots_can_be_told_by_the_environment_and_systemd() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("ubidots.token"), "BBUS-credential").unwrap();
    let credentials = directory.path().display().to_string();
    let variables = [
        ("CREDENTIALS_DIRECTORY", credentials.as_str()),
        ("SENSEGATE__UPLINK__UBIDOTS__ENABLED", "true"),
        ("SENSEGATE__UPLINK__UBIDOTS__DEVICE", "pi"),
        ("SENSEGATE__UPLINK__UBIDOTS__DOTS_PER_S", "4.5"),
        ("SENSEGATE__UPLINK__UBIDOTS__PUBLISHES_PER_S", "2.5"),
        ("SENSEGATE__UPLINK__UBIDOTS__SEND__HUMIDITY", "false"),
    ];
    let settings = with("", &variables).unwrap();
    let uplink = &settings.uplinks[0];
    assert_eq!(uplink.far.credentials.as_ref().unwrap().0, "BBUS-credential");
    assert_eq!((ubidots_of(uplink).dots_per_s, ubidots_of(uplink).send.len()), (Some(4.5), 2));
    assert!(!format!("{settings:?}").contains("BBUS"));
}

#[test]
fn bridge_and_external_broker_take_their_passwords_from_systemd() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("uplink.cloud.password"), "far-secret\n").unwrap();
    fs::write(directory.path().join("broker.password"), "near-secret\n").unwrap();
    let text = format!(
        "broker.mode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nusername = \"ann\"\n\
         {BRIDGE}username = \"joe\"\nrules = [{{ topic = \"a\" }}]"
    );
    let settings = with(&text, &[("CREDENTIALS_DIRECTORY", &directory.path().display().to_string())]).unwrap();
    let (user, password) = settings.uplinks[0].far.credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.as_ref().unwrap().reveal()), ("joe", "far-secret"));
    let BrokerAddress::External { credentials, .. } = &settings.agent.broker else { panic!("{settings:?}") };
    let (user, password) = credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.reveal()), ("ann", "near-secret"));
}

#[test]
fn bridge_needs_a_name_a_url_and_a_rule() {
    let settings = settings(&format!("{BRIDGE}rules = [{{ topic = \"{{prefix}}/sensors/#\" }}]"));
    let [uplink] = settings.uplinks.as_slice() else { panic!("{:?}", settings.uplinks) };
    let far = &uplink.far;
    assert_eq!((far.addresses.as_slice(), far.version), (&[tcp("far", 1883, false)][..], Version::Auto));
    assert_eq!(far.client_id, format!("{}-cloud", default_client_id()));
    assert_eq!((far.clean_session, far.session_expiry_s, &far.credentials), (true, 86_400, &None));
    let bridge = bridge_of(uplink);
    let rule = &bridge.rules[0];
    assert_eq!((rule.direction, rule.qos, rule.retain), (Direction::Out, QoS::AtLeastOnce, true));
    assert_eq!((rule.local.as_str(), rule.remote.as_str()), ("myRasp/sensors/#", "myRasp/sensors/#"));
    assert_eq!((bridge.profile, &bridge.status), (Profile::Generic, &None));
    assert_eq!(settings.agent.samples, None);
}

#[test]
fn bridge_is_as_its_section_says() {
    let text = "[labels]\nsite = \"north\"\n[[uplink.bridge]]\nname = \"cloud\"\n\
                urls = [\"mqtts://a\", \"mqtt://b:1\"]\nprotocol = \"5\"\nprofile = \"hivemq\"\nusername = \"joe\"\n\
                client_id = \"me\"\nsession_expiry = \"1h\"\ninflight = 50\npoison_after = 7\nstatus = \"clear\"\n\
                rules = [{ topic = \"#\", local_prefix = \"{prefix}/\", remote_prefix = \"{site}/{client_id}/\" },\n\
                { topic = \"set/#\", direction = \"in\", qos = 0, retain = false, local_prefix = \"x/\" }]";
    let settings = settings(text);
    let uplink = &settings.uplinks[0];
    let far = &uplink.far;
    assert_eq!(far.addresses, [tcp("a", 8883, true), tcp("b", 1, false)]);
    assert_eq!((far.version, far.client_id.as_str(), far.session_expiry_s), (Version::V5, "me", 3600));
    assert!(!far.clean_session, "what is sent while the link is cut is to come");
    assert_eq!(far.credentials, Some(("joe".into(), None)));
    assert_eq!((uplink.inflight_max, uplink.strikes_max), (10, 7));
    let bridge = bridge_of(uplink);
    let remotes: Vec<_> = bridge.rules.iter().map(|rule| rule.remote.as_str()).collect();
    assert_eq!(remotes, ["north/me/#", "set/#"]);
    assert_eq!((bridge.rules[1].qos, bridge.rules[1].retain), (QoS::AtMostOnce, false));
    let status = bridge.status.as_ref().unwrap();
    assert_eq!(
        (status.topic.as_str(), status.online.as_str(), status.offline.as_str()),
        ("north/me/status", "online", "")
    );
    assert!(settings.agent.samples.is_some());
}

#[test]
fn status_there_is_said_by_a_will_unless_it_is_to_stay() {
    let offline = |line: &str| {
        let settings = settings(&format!("{BRIDGE}{line}\nrules = [{{ topic = \"#\" }}]"));
        bridge_of(&settings.uplinks[0]).status.as_ref().map(|status| status.offline.clone())
    };
    assert_eq!(offline("").as_deref(), Some("offline"));
    assert_eq!(offline("status = \"clear\"").as_deref(), Some(""));
    assert_eq!(offline("status = \"none\""), None);
    let switched_off = settings(&format!("{BRIDGE}rules = [{{ topic = \"#\" }}]\n[status]\nenabled = false"));
    assert_eq!(bridge_of(&switched_off.uplinks[0]).status, None);
}

#[test]
fn examples_of_the_shipped_file_are_the_defaults_of_a_bridge() {
    let example = DEFAULTS.split_once("# [[uplink.bridge]]\n").unwrap().1;
    let files = ["urls", "password_file", "ca_file", "certificate", "key", "rules"];
    let is_line = |line: &&str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        line.starts_with("[[") || !key.is_empty() && !key.contains(' ') && !files.contains(&key)
    };
    let lines = |only: &[&str]| {
        let bare = example.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_line);
        let kept = bare.filter(|line| only.is_empty() || only.iter().any(|start| line.starts_with(start)));
        settings(&format!("[[uplink.bridge]]\n{}", kept.collect::<Vec<_>>().join("\n")))
    };
    let needed = ["name", "url", "username", "client_id", "queue_age", "[[", "topic", "local_prefix", "remote_prefix"];
    assert_eq!(lines(&[]), lines(&needed));
    assert_eq!(lines(&[]).uplinks[0].far.client_id, "sensegate-kitchen-cloud");
}

#[test]
fn embedded_broker_keeps_the_outbox_under_limits_of_its_own() {
    let text = format!(
        "{BRIDGE}queue_messages = 5\nqueue_size = \"8 KiB\"\nqueue_age = \"1h\"\nqueue_overflow = \"drop-newest\"\n\
         rules = [{{ topic = \"#\" }}]\n[[broker.session]]\nclient_id = \"*\"\n[broker.limits]\npacket_size = 4096\n{}",
        account("")
    );
    let settings = settings(&text);
    let queues = settings.broker.unwrap().machine.queues;
    let queue = |messages_max, bytes_max| QueueLimits {
        messages_max,
        bytes_max,
        age_max: None,
        overflow: Overflow::DropOldest,
    };
    let bridge =
        QueueLimits { age_max: Some(Duration::from_secs(3600)), overflow: Overflow::DropNewest, ..queue(5, 8192) };
    assert_eq!(
        queues,
        [
            (ClientIdPattern::new("sensegate/uplink/ubidots"), queue(1_000_000, 256 << 20)),
            (ClientIdPattern::new("sensegate/uplink/cloud"), bridge),
            (ClientIdPattern::new("*"), QueueLimits::default()),
        ]
    );
    for uplink in &settings.uplinks {
        assert_eq!(uplink.local.address, Address::Unix("/home/pi/.local/state/sensegate/broker.sock".into()));
        assert_eq!(uplink.local.client_id("x"), "sensegate/uplink/x");
        assert_eq!((uplink.local.packet_bytes_max, uplink.far.packet_bytes_max), (4096, 4096));
    }
}

#[test]
fn external_broker_is_where_uplinks_take_from() {
    let text = format!(
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtts://b\"\nclient_id = \"me\"\nusername = \
         \"joe\"\n password_file = '$TOKEN'\n{BRIDGE}rules = [{{ topic = \"#\" }}]"
    );
    let local = settings(&text).uplinks.remove(0).local;
    assert_eq!((local.address.clone(), local.tls.clone()), (tcp("b", 8883, true), TlsOptions::default()));
    assert_eq!(local.client_id("cloud"), "me-uplink-cloud");
    assert_eq!((local.packet_bytes_max, local.receive_max), (1 << 20, 100));
    assert_eq!(local.credentials.unwrap().1.unwrap().reveal(), "BBUS-secret");
}
