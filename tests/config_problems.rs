//! What is wrong with a configuration is told at once, in order, with its place and what would be right.

use std::fs;
use std::path::Path;

use sensegate::config::{load, parse};

fn home() -> impl Iterator<Item = (String, String)> {
    [("HOME".to_owned(), "/home/pi".to_owned())].into_iter()
}

/// Holds that `text` has exactly the problems `expected`, one a line.
fn check(text: &str, expected: &[&str]) {
    let problems = parse(Path::new("x.toml"), text, home()).expect_err(text).to_string();
    assert_eq!(problems.lines().collect::<Vec<_>>(), expected, "{text}");
}

fn check_ok(text: &str) {
    parse(Path::new("x.toml"), text, home()).expect(text);
}

#[test]
fn every_problem_is_reported_at_once_and_in_the_order_of_the_file() {
    check(
        r#"interval = "5s"
[publish.temperature]
qos = 3
topic = "a/#"
decimals = 10
[sensors]
intervall = "1s"
interval = 5
source = "simulate"
[broker.external]
password = "hunter2"
"#,
        &[
            "x.toml:1:1: interval: is no key of the top level; it belongs into [sensors]",
            "x.toml:3:7: publish.temperature.qos: is 3, a quality of service of 0, 1 or 2 is expected",
            "x.toml:4:9: publish.temperature.topic: contains the wildcard `#`, which only a subscription may \
             [MQTT-3.3.2-2]",
            "x.toml:5:12: publish.temperature.decimals: is 10, a whole number from 0 to 9 is expected",
            "x.toml:7:1: sensors.intervall: is no key of [sensors]; did you mean `interval`?",
            "x.toml:8:12: sensors.interval: is 5, a duration from \"40ms\" to \"1h\" is expected",
            "x.toml:9:10: sensors.source: is \"simulate\", one of \"auto\", \"i2c\", \"simulated\", \"emulator\", \
             \"replay\" is expected; \
             did you mean \"simulated\"?",
            "x.toml:11:1: broker.external.password: is no key of [broker.external]; a secret stands in a file of its \
             own, which `password_file` names",
        ],
    );
}

#[test]
fn unknown_keys_are_refused_at_every_level_with_what_may_be_meant() {
    check("prefiks = \"x\"", &["x.toml:1:1: prefiks: is no key of the top level; did you mean `prefix`?"]);
    check("[sensor]\nbus = 1", &["x.toml:1:2: sensor: is no key of the top level; did you mean `sensors`?"]);
    check(
        "[publish.wind]",
        &["x.toml:1:10: publish.wind: is no key of [publish]; its keys are absolute_humidity, dew_point, \
           humidity, pressure, pressure_tendency, sea_level_pressure, temperature, temperature_from_humidity, \
           temperature_from_pressure"],
    );
    check(
        "[mqtt]\nport = 1",
        &[
            "x.toml:1:2: mqtt: is no key of the top level; its keys are broker, clock, labels, leds, log, prefix, publish, \
           samples, sensors, state, status, stick, storage, uplink",
        ],
    );
    check(
        "[[broker.listener]]\naddress = \"[::1]:1883\"\ntsl = 1",
        &["x.toml:3:1: broker.listener[0].tsl: is no key of [[broker.listener]]; its keys are address, \
           allow_anonymous, protocol, tls"],
    );
    check("[log]\nprefix = \"x\"", &["x.toml:2:1: log.prefix: is no key of [log]; it belongs into the top level"]);
    check(
        "\"sensors.bus\" = 1",
        &["x.toml:1:1: \"sensors.bus\": is no key: only letters, digits, `-` and `_` are expected"],
    );
}

#[test]
fn a_correction_has_what_its_method_needs() {
    check(
        "[sensors.correction]\nmethod = \"offset\"",
        &["x.toml:1:1: sensors.correction.offset: is missing, and the method is \"offset\""],
    );
    check(
        "[sensors.correction]\nmethod = \"factor\"\nfactor = 0",
        &["x.toml:3:10: sensors.correction.factor: is 0, a number from 0.1 to 1000 is expected"],
    );
    check(
        "[sensors]\ntemperature_from = \"cpu\"\naltitude = 9000\n[sensors.filter.pressure]\nkind = \"average\"\nwindow = 0",
        &[
            "x.toml:2:20: sensors.temperature_from: is \"cpu\", one of \"humidity\", \"pressure\" is expected",
            "x.toml:3:12: sensors.altitude: is 9000, a number from -430 to 8849 is expected",
            "x.toml:5:8: sensors.filter.pressure.kind: is \"average\", one of \"none\", \"mean\", \"median\" is expected",
            "x.toml:6:10: sensors.filter.pressure.window: is 0, a whole number from 1 to 1000 is expected",
        ],
    );
    check_ok("[sensors.correction]\nmethod = \"factor\"\nfactor = 2");
}

#[test]
fn sea_level_needs_the_height_above_it() {
    let wanted = "[publish.sea_level_pressure]\nenabled = true\n";
    check(
        wanted,
        &["x.toml: sensors.altitude: is missing, and sea_level_pressure is wanted: metres above sea level are \
           expected"],
    );
    check_ok(&format!("{wanted}[sensors]\naltitude = 35"));
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    check("prefix = 5", &["x.toml:1:10: prefix: is 5, a text is expected: \"5\""]);
    check("sensors = 5", &["x.toml:1:11: sensors: is 5, a section is expected: [sensors]"]);
    check("[sensors]\nbus = \"1\"", &["x.toml:2:7: sensors.bus: is \"1\", a whole number from 0 to 255 is expected"]);
    check("state.retain = 1", &["x.toml:1:16: state.retain: is 1, true or false is expected"]);
    check("state.topic = [1]", &["x.toml:1:15: state.topic: is a list, a text is expected"]);
    check("[prefix.x]", &["x.toml:1:2: prefix: is a section, a text is expected"]);
    check("sensors.interval = 10:00:00", &["x.toml:1:20: sensors.interval: is a date or a time, which no key takes"]);
    check("sensors.bus = 99999999999999999999", &["x.toml:1:15: sensors.bus: is too large a number for any key"]);
    check(
        "broker.listener = 1",
        &["x.toml:1:19: broker.listener: is no list of sections, each with \
                                    [[broker.listener]] above it"],
    );
    check(
        "broker.listener = [1]",
        &["x.toml:1:20: broker.listener[0]: is 1, a section is expected: \
                                      [[broker.listener]]"],
    );
}

#[test]
fn listeners_beyond_loopback_need_passwords_or_a_word_that_lets_everybody_in() {
    let directory = tempfile::tempdir().unwrap();
    let passwords = directory.path().join("passwords");
    fs::write(&passwords, "").unwrap();
    let open = "[[broker.listener]]\naddress = \"0.0.0.0:1883\"\n";
    check_ok(&format!("{open}allow_anonymous = true"));
    check_ok(&format!("[broker]\npassword_file = {:?}\n{open}", passwords.display().to_string()));
    fs::write(&passwords, "ann\nbob:secret\n").unwrap();
    let text = format!("broker.password_file = {:?}", passwords.display().to_string());
    let problems = parse(Path::new("x.toml"), &text, home()).unwrap_err().to_string();
    let places: Vec<_> = problems.lines().filter_map(|line| line.strip_prefix(passwords.to_str()?)?.get(..5)).collect();
    assert_eq!(places, [":1:1:", ":2:5:"], "{problems}");
}

#[test]
fn intervals_and_sizes_stay_within_their_bounds() {
    let interval = |typed: &str| {
        let line = format!("x.toml:1:20: sensors.interval: is {typed}, a duration from \"40ms\" to \"1h\" is expected");
        check(&format!("sensors.interval = {typed}"), &[&line]);
    };
    for typed in ["\"39ms\"", "\"1h 1ms\"", "\"5\"", "\"fast\"", "\"-1s\"", "\"\"", "1.5"] {
        interval(typed);
    }
    check_ok("sensors.interval = \"40ms\"");
    check_ok("sensors.interval = \"1h\"");
    let packet = |typed: &str| {
        let expected = "a size from \"128 B\" to \"256 MiB\" is expected";
        let line = format!("x.toml:1:29: broker.limits.packet_size: is {typed}, {expected}");
        check(&format!("broker.limits.packet_size = {typed}"), &[&line]);
    };
    for typed in ["127", "\"257 MiB\"", "\"1 MB\"", "-1", "\"big\""] {
        packet(typed);
    }
    check_ok("broker.limits.packet_size = \"64 KiB\"");
    check_ok("broker.limits.packet_size = 65536");
}

#[test]
fn two_things_on_one_topic_are_refused_where_somebody_typed_it() {
    check(
        "publish.temperature.topic = \"myRasp/sensors/pression\"",
        &["x.toml:1:29: publish.temperature.topic: is myRasp/sensors/pression, as publish.pressure.topic is; each \
           needs a topic of its own"],
    );
    check(
        "state.topic = \"x\"\nstatus.topic = \"x\"",
        &["x.toml:2:16: status.topic: is x, as state.topic is; each needs a topic of its own"],
    );
    check(
        "publish.humidity.topic = \"{prefix}/state\"",
        &["x.toml:1:26: publish.humidity.topic: is myRasp/state, as state.topic is; each needs a topic of its own"],
    );
    check_ok("state.enabled = false\npublish.humidity.topic = \"{prefix}/state\"");
}

#[test]
fn topics_and_templates_that_cannot_be_published_to_are_refused() {
    let topic = |typed: &str, expected: &str| {
        let line = format!("x.toml:1:15: state.topic: {expected}");
        check(&format!("state.topic = \"{typed}\"\n[labels]\nfloor = \"ground\""), &[&line]);
    };
    topic("", "is empty, at least one character is expected");
    topic("a/+/b", "contains the wildcard `+`, which only a subscription may [MQTT-3.3.2-2]");
    topic("$SYS/x", "begins with $SYS/, which is the broker's own; another first level is expected");
    topic("{prefix}/{flor}", "uses `{flor}`, which [labels] does not have; did you mean `{floor}`?");
    topic("{prefix}/{room}", "uses `{room}`, which [labels] does not have; known are `{prefix}`, `{floor}`");
    topic("{prefix", "has a `{` without `}`; a plain brace is typed `{{`");
    check(
        "prefix = \"a/#\"",
        &["x.toml:1:10: prefix: contains the wildcard `#`, which only a subscription may [MQTT-3.3.2-2]"],
    );
    check(
        "[labels]\nfloor = \"\"\nprefix = \"x\"\n[state]\ntopic = \"{floor}/x\"",
        &[
            "x.toml:2:9: labels.floor: is empty, at least one character is expected",
            "x.toml:3:10: labels.prefix: is the name of something else in templates, another name is expected",
        ],
    );
}

#[test]
fn listeners_stay_on_this_machine_and_apart() {
    let address = |typed: &str, expected: &str| {
        let line = format!("x.toml:2:11: broker.listener[0].address: {expected}");
        check(&format!("[[broker.listener]]\naddress = \"{typed}\""), &[&line]);
    };
    let open = "is open to other machines, and there is no broker.password_file; name one, or tls.client_ca, bind to \
                127.0.0.1:1883 or [::1]:1883, or let everybody in: allow_anonymous = true";
    address("0.0.0.0:1883", open);
    address("192.168.1.2:1883", open);
    address("[::]:1883", open);
    address("127.0.0.1:65536", "has the port \"65536\", a port from 0 to 65535 is expected");
    let expected = "an IP address and a port are expected: \"127.0.0.1:1883\" or \"[::1]:1883\"";
    address("localhost:1883", &format!("is \"localhost:1883\", {expected}"));
    address("1883", &format!("is \"1883\", {expected}"));
    address("::1", &format!("is \"::1\", {expected}"));
    check(
        "[[broker.listener]]\naddress = \"127.0.0.1:1\"\n[[broker.listener]]\naddress = \"127.0.0.1:1\"",
        &["x.toml:4:11: broker.listener[1].address: is the address of an earlier listener; each needs its own"],
    );
    check("[[broker.listener]]", &["x.toml:1:1: broker.listener[0].address: is missing"]);
    check(
        "[broker]\nlistener = []",
        &["x.toml:2:12: broker.listener: is empty, at least one [[broker.listener]] is \
                                        expected"],
    );
    check(
        "[[broker.listener]]\naddress = \"127.0.0.1:1\"\nprotocol = \"websockets\"\nallow_anonymous = false",
        &[
            "x.toml:3:12: broker.listener[0].protocol: is \"websockets\", one of \"mqtt\", \"websocket\", \"unix\" is \
             expected; did you mean \"websocket\"?",
            "x.toml:4:19: broker.listener[0].allow_anonymous: is false, and there is no broker.password_file: \
             nobody could connect",
        ],
    );
    check(
        "[[broker.listener]]\nprotocol = \"unix\"\naddress = \"x.sock\"",
        &["x.toml:3:11: broker.listener[0].address: is \"x.sock\", an absolute path is expected"],
    );
    check_ok("[[broker.listener]]\naddress = \"127.0.0.1:0\"\n[[broker.listener]]\naddress = \"127.0.0.1:0\"");
    check_ok("[[broker.listener]]\nprotocol = \"unix\"\naddress = \"/run/x.sock\"");
}

#[test]
fn socket_paths_that_the_kernel_would_refuse_are_named_with_their_length() {
    let directory = format!("/{}", "d".repeat(100));
    check(
        &format!("storage.directory = \"{directory}\""),
        &[
            "x.toml:1:21: storage.directory: is where the gateway's socket belongs, which is 113 bytes long, a socket's \
           path has 107 at most: a shorter one is expected",
        ],
    );
    check(
        &format!("[[broker.listener]]\nprotocol = \"unix\"\naddress = \"/{}\"", "s".repeat(107)),
        &[
            "x.toml:3:11: broker.listener[0].address: is 108 bytes long, a socket's path has 107 at most: a shorter one \
           is expected",
        ],
    );
}

#[test]
fn external_broker_needs_a_url_and_a_name_with_its_password() {
    check(
        "[broker]\nmode = \"external\"",
        &["x.toml:2:8: broker.mode: is \"external\", which needs broker.external.url = \"mqtt://HOST:PORT\""],
    );
    check(
        "[broker.external]\nurl = \"http://b\"\nusername = \"joe\"\nclient_id = \"sensegate/agent\"\n\
         keep_alive = \"5s 1ms\"",
        &[
            "x.toml:2:7: broker.external.url: has the scheme \"http\", mqtt://HOST:PORT or mqtts://HOST:PORT is \
             expected",
            "x.toml:3:12: broker.external.username: stands alone, `password_file` or systemd's credential \
             `broker.password` is expected beside it",
            "x.toml:4:13: broker.external.client_id: begins with sensegate/, which every sensegate keeps for itself",
            "x.toml:5:14: broker.external.keep_alive: is \"5s 1ms\", whole seconds are expected",
        ],
    );
}

#[test]
fn files_that_are_named_must_be_readable_and_what_they_ought_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    fs::write(&file, "no certificate\n").unwrap();
    let ca = file.display();
    check(
        &format!("[broker.external]\nurl = \"mqtts://b\"\npassword_file = \"/nowhere/p\"\nca_file = '{ca}'"),
        &[
            "x.toml:3:17: broker.external.password_file: names \"/nowhere/p\", which cannot be read: No such file or \
             directory (os error 2)",
            &format!("x.toml:4:11: broker.external.ca_file: names {file:?}, which holds no PEM certificate"),
        ],
    );
}

#[test]
fn status_needs_two_words_that_can_be_told_apart() {
    check(
        "[status]\nonline = \"x\"\noffline = \"x\"",
        &["x.toml:3:11: status.offline: is the same as `online`; nobody could tell them apart"],
    );
    check("[status]\noffline = \"\"", &["x.toml:2:11: status.offline: is empty, at least one character is expected"]);
}

#[test]
fn broken_toml_is_told_in_the_words_of_the_parser() {
    check("[sensors\nbus = 1", &["x.toml:1:9: unclosed table, expected `]`"]);
    check("bus = 1\nbus = 2", &["x.toml:2:1: duplicate key"]);
    check(
        "prefix = \"x\n[log]\nlevel = 'info",
        &["x.toml:1:12: invalid basic string, expected `\"`", "x.toml:3:14: invalid literal string, expected `'`"],
    );
}

#[test]
fn files_that_are_no_text_are_refused_with_their_cause() {
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, content: Option<&[u8]>, expected: &str| {
        let path = directory.path().join(name);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let problems = load(Some(&path), home()).unwrap_err().to_string();
        assert_eq!(problems, format!("{}{expected}", path.display()));
    };
    check("absent.toml", None, ": cannot be read: No such file or directory (os error 2)");
    check("", None, ": cannot be read: Is a directory (os error 21)");
    check("latin1.toml", Some(b"prefix = \"a\"\n# \xc3\xa9t\xe9"), ":2:5: is not UTF-8 from here on, as TOML must be");
    check("big.toml", Some(&vec![b'\n'; (1 << 20) + 1]), ": is larger than 1048576 bytes, which no configuration is");
}

#[test]
fn secrets_are_not_repeated_in_problems_or_settings() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "hunter2\r\n").unwrap();
    let text = format!(
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nusername = \"joe\"\n\
                        password_file = '{}'",
        file.display()
    );
    let settings = parse(Path::new("x.toml"), &text, home()).unwrap();
    let sensegate::agent::BrokerAddress::External { credentials: Some((name, secret)), .. } = &settings.agent.broker
    else {
        panic!("{:?}", settings.agent.broker)
    };
    assert_eq!((name.as_str(), secret.reveal()), ("joe", "hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    for text in ["broker.external.password = \"hunter2\"", "broker.external.url = \"mqtt://joe:hunter2@b\""] {
        assert!(!parse(Path::new("x.toml"), text, home()).unwrap_err().to_string().contains("hunter2"));
    }
}

#[test]
fn limits_of_certain_sessions_name_clients() {
    check(
        "[[broker.session]]\nclient_id = \"a*b\"\nqueue_messages = 0\nqueue_days = 3",
        &[
            "x.toml:2:13: broker.session[0].client_id: is \"a*b\", a * stands at the end only: for any end",
            "x.toml:3:18: broker.session[0].queue_messages: is 0, a whole number from 1 to 100000000 is expected",
            "x.toml:4:1: broker.session[0].queue_days: is no key of [[broker.session]]; did you mean `queue_age`?",
        ],
    );
}

#[test]
fn a_matrix_has_a_brightness_a_quarter_turn_and_topics_of_its_own() {
    check(
        "[leds]\nbrightness = 2\nrotation = 45\ntimeout = 5\n\
         topic = \"myRasp/state\"\nerror_topic = \"myRasp/leds/set\"",
        &[
            "x.toml:2:14: leds.brightness: is 2, a number from 0 to 1 is expected",
            "x.toml:3:12: leds.rotation: is none of 0, 90, 180 and 270",
            "x.toml:4:11: leds.timeout: is 5, a duration from \"1s\" to \"7days\" is expected",
            "x.toml:5:9: leds.topic: is myRasp/state, as state.topic is; each needs a topic of its own",
            "x.toml:6:15: leds.error_topic: is myRasp/leds/set, as leds.set_topic is; each needs a topic of its own",
        ],
    );
    let uplink = "[uplink.ubidots]\nenabled = true\ndevice = \"pi\"\ntoken_file = \"/dev/null\"\n\
                  [[uplink.ubidots.receive]]\nvariable = \"led\"\ntopic = \"{prefix}/leds/set\"";
    let problems =
        parse(Path::new("x.toml"), uplink, home()).map_or_else(|problems| problems.to_string(), |_| String::new());
    assert!(!problems.contains("topic"), "commands may come from elsewhere: {problems}");
    check_ok("[leds]\nenabled = false\ntopic = \"myRasp/state\"");
    check_ok("[leds]\nbrightness = 0.5\nrotation = 270\ntimeout = \"10m\"");
}

#[test]
fn source_that_is_played_needs_a_file_and_a_speed() {
    check_ok("[sensors]\nsource = \"emulator\"");
    check_ok("[sensors]\nsource = \"replay\"\nreplay.file = \"a.hat\"");
    check_ok("[sensors.replay]\nspeed = 0.001\nrepeat = true");
    check(
        "[sensors]\nsource = \"replay\"",
        &[
            "x.toml:1:1: sensors.replay.file: is missing, and the source is \"replay\": the path of a recording is expected",
        ],
    );
    check(
        "[sensors.replay]\nfile = 7\nspeed = 0\nrepeat = \"yes\"\n[sensors.emulator]\ndirectory = \"\"\nspeed = 2",
        &[
            "x.toml:2:8: sensors.replay.file: is 7, a text is expected: \"7\"",
            "x.toml:3:9: sensors.replay.speed: is 0, a number from 0.001 to 1000 is expected",
            "x.toml:4:10: sensors.replay.repeat: is \"yes\", true or false is expected",
            "x.toml:6:13: sensors.emulator.directory: is empty, at least one character is expected",
            "x.toml:7:1: sensors.emulator.speed: is no key of [sensors.emulator]; it belongs into [sensors.replay]",
        ],
    );
}

#[test]
fn a_stick_has_a_topic_of_its_own_and_times_that_a_hand_can_keep() {
    check(
        "[stick]\ntopic = \"myRasp/state\"\nqos = 3\ngrab = 1\ndouble_within = \"1ms\"\nlong_after = 800\ngesture = true",
        &[
            "x.toml:2:9: stick.topic: is myRasp/state, as state.topic is; each needs a topic of its own",
            "x.toml:3:7: stick.qos: is 3, a quality of service of 0, 1 or 2 is expected",
            "x.toml:4:8: stick.grab: is 1, true or false is expected",
            "x.toml:5:17: stick.double_within: is \"1ms\", a duration from \"50ms\" to \"5s\" is expected",
            "x.toml:6:14: stick.long_after: is 800, a duration from \"100ms\" to \"1m\" is expected",
            "x.toml:7:1: stick.gesture: is no key of [stick]; did you mean `gestures`?",
        ],
    );
    check_ok("[stick]\nenabled = false\ntopic = \"myRasp/state\"");
    check_ok("[stick]\nqos = 1\ngestures = true\ndouble_within = \"250ms\"\nlong_after = \"1s\"");
}
