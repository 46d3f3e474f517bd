//! Defaults, file and environment lie over each other, and what was decided is what they say together.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sensegate::agent::{BrokerAddress, PayloadFormat, TlsOptions};
use sensegate::config::{LogFormat, LogLevel, Origin, Settings, load, parse};
use sensegate::mqtt::QoS;
use sensegate::sensors::{Quantity, SourceOptions};
use sensegate::server::{ListenerAddress, ListenerOptions};
use sensegate::stick::StickSource;
use sensegate::{base, broker, config};

/// `text` with `variables`, each `NAME=value`, in a home at /home/pi.
fn with(text: &str, variables: &[&str]) -> Result<Settings, config::Problems> {
    let pairs = variables.iter().chain(&["HOME=/home/pi"]).filter_map(|pair| pair.split_once('='));
    parse(Path::new("x.toml"), text, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn settings(text: &str) -> Settings {
    with(text, &[]).expect(text)
}

fn check_problems(text: &str, variables: &[&str], expected: &[&str]) {
    let problems = with(text, variables).expect_err(text).to_string();
    assert_eq!(problems.lines().collect::<Vec<_>>(), expected, "{text} with {variables:?}");
}

fn topics(settings: &Settings) -> Vec<String> {
    settings.agent.quantities.iter().map(|quantity| quantity.topic.to_string()).collect()
}

fn tcp(address: &str) -> ListenerOptions {
    ListenerOptions::plain(ListenerAddress::Tcp(address.parse::<SocketAddr>().expect(address)))
}

#[test]
fn without_a_line_the_gateway_publishes_the_lab_s_topics_on_loopback() {
    let settings = settings("");
    let agent = &settings.agent;
    assert_eq!(topics(&settings), ["myRasp/sensors/temperature", "myRasp/sensors/pression", "myRasp/sensors/humidity"]);
    assert_eq!(agent.quantities.iter().map(|quantity| quantity.decimals).collect::<Vec<_>>(), [2, 2, 1]);
    for quantity in &agent.quantities {
        assert_eq!((quantity.qos, quantity.retain, quantity.payload), (QoS::AtMostOnce, true, PayloadFormat::Plain));
    }
    let state = agent.state.as_ref().unwrap();
    assert_eq!((state.topic.as_str(), state.qos, state.retain), ("myRasp/state", QoS::AtMostOnce, true));
    let status = agent.status.as_ref().unwrap();
    assert_eq!((status.topic.as_str(), status.qos, status.retain), ("myRasp/status", QoS::AtLeastOnce, true));
    assert_eq!((status.online.as_str(), status.offline.as_str()), ("online", "offline"));
    let server = &settings.broker.as_ref().unwrap().server;
    assert_eq!(server.listeners, [tcp("127.0.0.1:1883"), tcp("[::1]:1883")]);
    assert_eq!(settings.sensors.source, SourceOptions::I2c { bus: 1 });
    assert_eq!(settings.sensors.interval, Duration::from_secs(1));
    assert_eq!((settings.log.level, settings.log.format), (LogLevel::Info, LogFormat::Text));
}

#[test]
fn agent_comes_in_over_the_house_socket_in_the_state_directory() {
    let settings = settings("");
    let socket = PathBuf::from("/home/pi/.local/state/sensegate/broker.sock");
    assert_eq!(settings.broker.as_ref().unwrap().server.house_socket, socket);
    assert_eq!(settings.agent.broker, BrokerAddress::House { socket });
    assert_eq!(settings.agent.client_id, "sensegate/agent");
    assert!(settings.agent.client_id.starts_with(broker::RESERVED_CLIENT_ID_PREFIX));
    let under_systemd = with("", &["STATE_DIRECTORY=/var/lib/sensegate"]).unwrap();
    assert_eq!(under_systemd.storage.directory, Path::new("/var/lib/sensegate"));
    let by_file = with("storage.directory = \"/data\"", &["STATE_DIRECTORY=/var/lib/sensegate"]).unwrap();
    assert_eq!(by_file.storage.directory, Path::new("/data"));
}

#[test]
fn limits_of_the_shipped_file_are_those_of_the_machine() {
    let expected = broker::Options { memory_bytes_max: base::memory::quarter(), ..broker::Options::default() };
    assert_eq!(settings("").broker.unwrap().machine, expected);
}

#[test]
fn file_that_changes_one_topic_leaves_the_others_alone() {
    let settings = settings("[publish.temperature]\ntopic = \"Temperature\"\n[publish.pressure]\ntopic = \"Pression\"");
    assert_eq!(topics(&settings), ["Temperature", "Pression", "myRasp/sensors/humidity"]);
}

#[test]
fn what_is_switched_off_is_not_published() {
    let settings = settings("state.enabled = false\nstatus.enabled = false\npublish.humidity.enabled = false");
    let left: Vec<_> = settings.agent.quantities.iter().map(|quantity| quantity.quantity).collect();
    assert_eq!(left, [Quantity::Temperature, Quantity::Pressure]);
    assert_eq!((settings.agent.state, settings.agent.status), (None, None));
}

#[test]
fn templates_take_prefix_labels_and_quantity() {
    let text = "prefix = \"maison\"\n[labels]\nfloor = \"groundfloor\"\nroom = \"kitchen\"\n[publish]\n\
                temperature.topic = \"{prefix}/{floor}/{room}/{quantity}\"\npressure.topic = \"{{{quantity}}}\"";
    assert_eq!(
        topics(&settings(text)),
        ["maison/groundfloor/kitchen/temperature", "{pressure}", "maison/sensors/humidity"]
    );
}

#[test]
fn listeners_of_the_file_replace_the_default_ones() {
    let settings = settings(
        "[[broker.listener]]\naddress = \"127.0.0.1:1884\"\n[[broker.listener]]\nprotocol = \"unix\"\naddress = \"/s\"",
    );
    let unix = ListenerOptions::plain(ListenerAddress::Unix("/s".into()));
    assert_eq!(settings.broker.unwrap().server.listeners, [tcp("127.0.0.1:1884"), unix]);
}

#[test]
fn every_limit_of_the_file_reaches_its_field() {
    let text = "[broker.limits]\nconnections = 1\nconnections_per_address = 10\nsend_buffer = \"4 KiB\"\nmemory = \"9 MiB\"\npacket_size = 200\nlogin_size = 1001\ninflight = 2\n\
                queue_messages = 3\nqueue_size = \"8 KiB\"\nqueue_overflow = \"drop-newest\"\nsubscriptions = 4\n\
                sessions = 5\nsession_idle = \"2h\"\nretained_messages = 6\nretained_size = \"16 KiB\"\ntopic_levels = 7\n\
                connect_timeout = \"8s\"\nkeep_alive = \"9s\"";
    let embedded = settings(text).broker.unwrap();
    assert_eq!((embedded.server.connections_max, embedded.server.send_buffer_bytes_max), (1, 4096));
    assert_eq!(embedded.server.connections_per_address_max, 10);
    let expected = broker::Options {
        memory_bytes_max: 9 << 20,
        packet_bytes_max: 200,
        login_bytes_max: 1001,
        inflight_max: 2,
        queue: broker::QueueLimits {
            messages_max: 3,
            bytes_max: 8192,
            age_max: None,
            overflow: broker::Overflow::DropNewest,
        },
        queues: Vec::new(),
        subscriptions_max: 4,
        sessions_max: 5,
        session_idle_min: Duration::from_secs(2 * 3600),
        retained_messages_max: 6,
        retained_bytes_max: 16_384,
        topic_levels_max: 7,
        connect_timeout: Duration::from_secs(8),
        keep_alive_max: Some(Duration::from_secs(9)),
        queue_in_memory_max: 1_000,
        receive_max: 1_000,
        topic_aliases_max: 16,
        session_expiry_s_max: sensegate::broker::Terms::FOREVER_S,
        system_interval: Some(Duration::from_secs(10)),
        spills_queues: false,
    };
    assert_eq!(embedded.machine, expected);
}

#[test]
fn external_broker_takes_the_place_of_the_embedded_one() {
    let settings =
        settings("[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtts://b\"\nclient_id = \"me\"");
    assert_eq!(settings.broker, None);
    let tls = Some(TlsOptions { ca_file: None });
    let expected = BrokerAddress::External { host: "b".into(), port: 8883, credentials: None, tls };
    assert_eq!((settings.agent.broker, settings.agent.client_id.as_str()), (expected, "me"));
    assert_eq!(settings.agent.keep_alive, Duration::from_secs(30));
}

#[test]
fn client_id_of_an_external_broker_is_the_same_after_each_start() {
    let text = "broker.mode = \"external\"\nbroker.external.url = \"mqtt://b\"";
    let (one, other) = (settings(text).agent.client_id, settings(text).agent.client_id);
    assert_eq!(one, other);
    assert_eq!(one, base::ids::default_client_id());
    assert!(one.starts_with("sensegate-") && one.len() > "sensegate-".len(), "{one}");
}

#[test]
fn environment_overrides_the_file_with_text_numbers_and_booleans() {
    let text = "prefix = \"file\"\n[sensors]\ninterval = \"2s\"\n[publish.temperature]\ndecimals = 1";
    let variables = [
        "SENSEGATE__SENSORS__INTERVAL=5s",
        "SENSEGATE__PREFIX=42",
        "SENSEGATE__PUBLISH__TEMPERATURE__DECIMALS=3",
        "SENSEGATE__STATE__ENABLED=false",
        "SENSEGATE__LABELS__ROOM=kitchen",
        "SENSEGATE__STATUS__TOPIC={prefix}/{room}",
        "SENSEGATE__BROKER__LIMITS__PACKET_SIZE=65536",
        "SENSEGATE_PREFIX=another program's",
    ];
    let settings = with(text, &variables).unwrap();
    assert_eq!(settings.sensors.interval, Duration::from_secs(5));
    assert_eq!(topics(&settings)[0], "42/sensors/temperature");
    assert_eq!(settings.agent.quantities[0].decimals, 3);
    assert_eq!(settings.agent.state, None);
    assert_eq!(settings.agent.status.unwrap().topic.as_str(), "42/kitchen");
    assert_eq!(settings.broker.unwrap().machine.packet_bytes_max, 65_536);
}

#[test]
fn problems_of_the_environment_name_the_variable_and_come_after_the_file_s() {
    check_problems(
        "sensors.bus = 256",
        &[
            "SENSEGATE__SENSORS__INTERVAL=5",
            "SENSEGATE__PUBLISH__HUMIDITY__QOS=3",
            "SENSEGATE__SENSORS__INTERVALL=5s",
            "SENSEGATE__SENZORS__BUS=1",
        ],
        &[
            "x.toml:1:15: sensors.bus: is 256, a whole number from 0 to 255 is expected",
            "SENSEGATE__PUBLISH__HUMIDITY__QOS: publish.humidity.qos: is 3, a quality of service of 0, 1 or 2 is \
             expected",
            "SENSEGATE__SENSORS__INTERVAL: sensors.interval: is \"5\", a duration from \"40ms\" to \"1h\" is expected",
            "SENSEGATE__SENSORS__INTERVALL: sensors.intervall: is no key of [sensors]; did you mean `interval`?",
            "SENSEGATE__SENZORS__BUS: senzors: is no key of the top level; did you mean `sensors`?",
        ],
    );
}

#[test]
fn variables_that_name_no_single_value_are_refused() {
    let check = |variable: &str, expected: &str| check_problems("", &[variable], &[expected]);
    check("SENSEGATE__SENSORS=x", "SENSEGATE__SENSORS: [sensors] is a section: set one of its keys");
    check("SENSEGATE__PREFIX__X=x", "SENSEGATE__PREFIX__X: `prefix` is no section: it has no keys");
    let list = "`broker.listener` is a list, which only a file can hold";
    check("SENSEGATE__BROKER__LISTENER=x", &format!("SENSEGATE__BROKER__LISTENER: {list}"));
    check("SENSEGATE__BROKER__LISTENER__ADDRESS=x", &format!("SENSEGATE__BROKER__LISTENER__ADDRESS: {list}"));
    let shape = "is no key: capitals are expected, with `__` between section and key";
    for name in ["SENSEGATE__", "SENSEGATE__sensors__bus", "SENSEGATE__SENSORS__", "SENSEGATE__A[0]", "SENSEGATE__A.B"]
    {
        check(&format!("{name}=1"), &format!("{name}: {shape}"));
    }
    check("SENSEGATE__PREFIX=\u{fffd}", "SENSEGATE__PREFIX: is not UTF-8");
}

#[test]
fn without_a_home_the_directory_of_the_state_must_be_told() {
    let problems = parse(Path::new("x.toml"), "[storage]", std::iter::empty()).unwrap_err().to_string();
    let expected = "is missing, and neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set";
    assert_eq!(problems, format!("x.toml:1:1: storage.directory: {expected}"));
}

#[test]
fn named_file_is_the_one_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.toml");
    fs::write(&path, "prefix = \"mine\"").unwrap();
    let environment = [("HOME".to_owned(), "/home/pi".to_owned())];
    let loaded = load(Some(&path), environment.into_iter()).unwrap();
    assert_eq!(loaded.file, Origin::File(path));
    assert_eq!(topics(&loaded.settings)[0], "mine/sensors/temperature");
}

#[test]
fn simulate_on_the_command_line_wins_over_the_source_of_the_file() {
    let mut settings = settings("sensors.source = \"i2c\"");
    settings.simulate(None);
    assert_eq!(settings.sensors.source, SourceOptions::Simulated);
    settings.simulate(Some(Path::new("hat.toml")));
    assert_eq!(settings.sensors.source, SourceOptions::Dump("hat.toml".into()));
}

#[test]
fn the_stick_is_the_emulators_with_the_emulator_and_the_kernels_else() {
    let check = |settings: &Settings, expected: &StickSource| {
        assert_eq!(settings.stick.as_ref().map(|stick| &stick.source), Some(expected));
    };
    for text in ["", "sensors.source = \"i2c\"", "sensors.source = \"simulated\""] {
        check(&settings(text), &StickSource::Input);
    }
    check(&settings("[sensors]\nsource = \"replay\"\nreplay.file = \"/x\""), &StickSource::Input);
    let emulated = "[sensors]\nsource = \"emulator\"\nemulator.directory = \"/tmp\"\n";
    let emulator = StickSource::Emulator { directory: "/tmp".into() };
    check(&settings(emulated), &emulator);
    assert_eq!(settings(&format!("{emulated}[stick]\nenabled = false")).stick, None);

    let mut simulated = settings(emulated);
    simulated.simulate(None);
    check(&simulated, &StickSource::Input);
    let mut reloaded = settings("");
    reloaded.set_stick_source(&settings(emulated).sensors.source);
    check(&reloaded, &emulator);
}

#[test]
fn reload_says_what_has_to_wait_for_a_restart() {
    let check = |old: &str, new: &str, expected: &[&str]| {
        assert_eq!(settings(old).needs_restart(&settings(new)), expected, "{old} to {new}");
    };
    let external = "broker.mode = \"external\"\nbroker.external.url = \"mqtt://b\"";
    check("", "prefix = \"x\"\nsensors.interval = \"2s\"\nlog.level = \"debug\"\nstatus.qos = 0", &[]);
    check("", "sensors.bus = 2", &["sensors.source"]);
    check("", "sensors.source = \"simulated\"\nlog.format = \"json\"", &["sensors.source", "log.format"]);
    check("", "storage.directory = \"/s\"", &["storage"]);
    check("", "[[broker.listener]]\naddress = \"127.0.0.1:1884\"", &["broker.listener"]);
    check("", "broker.limits.inflight = 1", &["broker.limits"]);
    check("", "broker.limits.connections = 1", &["broker.limits"]);
    check("", "broker.limits.connections_per_address = 1", &["broker.limits"]);
    check("", external, &["broker.mode"]);
    check(external, &external.replace("//b", "//c"), &["broker.external"]);
    let bridge = "[[uplink.bridge]]\nname = \"a\"\nurl = \"mqtt://b\"\nrules = [{ topic = \"#\" }]\n";
    check(bridge, &bridge.replace("//b", "//c"), &[]);
    check(bridge, "", &[]);
    check(bridge, &format!("{bridge}queue_messages = 5"), &["the queues of uplinks"]);
    check("", bridge, &["the queues of uplinks"]);
    check(bridge, &format!("{bridge}[[broker.session]]\nclient_id = \"b\""), &["broker.limits"]);
}
