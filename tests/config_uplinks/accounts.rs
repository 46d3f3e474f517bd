//! What accounts at Ubidots are refused for.

use std::fs;

use super::{account, check, settings, with};

#[test]
fn account_needs_a_token_and_a_device() {
    check(
        "[uplink.ubidots]\nenabled = true",
        &[
            "x.toml:1:1: uplink.ubidots.device: is missing: the label of the device at Ubidots is expected",
            "x.toml:1:1: uplink.ubidots.token_file: is missing, and systemd hands over no credential \
             `ubidots.token`: a file is expected",
        ],
    );
    let directory = tempfile::tempdir().unwrap();
    let handed_over = directory.path().display().to_string();
    let file = directory.path().join("ubidots.token");
    fs::write(&file, "").unwrap();
    let problems = with(&account("").replace("token_file", "# "), &[("CREDENTIALS_DIRECTORY", &handed_over)]);
    assert_eq!(
        problems.unwrap_err().to_string(),
        format!(
            "x.toml:1:1: uplink.ubidots.token_file: is missing, and systemd's credential names {file:?}, which is empty"
        )
    );
    let file = directory.path().join("token");
    fs::write(&file, "token = BBUS-hidden").unwrap();
    let problems = with(&format!("uplink.ubidots.token_file = {file:?}"), &[]).unwrap_err().to_string();
    assert!(problems.ends_with("which holds more than one word: the token alone is expected"), "{problems}");
    assert!(!problems.contains("BBUS"));
}

#[test]
fn values_of_an_account_stay_within_what_ubidots_takes() {
    check(
        "[uplink.ubidots]\nqos = 2\npublishes_per_s = 5\ndots_per_s = 0.5\nevery = \"2h\"\ndevice = \"my room\"\n\
         ack_timeout = \"0s\"\nurl = \"b\"\n[uplink.ubidots.send]\ntemperature = true\n\
         pressure = \"\"\nwind = \"w\"",
        &[
            "x.toml:2:7: uplink.ubidots.qos: is 2, 0 or 1 is expected: Ubidots documents 0 and 1",
            "x.toml:3:19: uplink.ubidots.publishes_per_s: is 5, a number from 0.1 to 3 is expected",
            "x.toml:4:14: uplink.ubidots.dots_per_s: is 0.5, a number from 1 to 10000 is expected",
            "x.toml:5:9: uplink.ubidots.every: is \"2h\", a duration from \"1s\" to \"1h\" is expected",
            "x.toml:6:10: uplink.ubidots.device: has ' ', a label has only letters, digits, `_`, `:`, `.` and `-`",
            "x.toml:7:15: uplink.ubidots.ack_timeout: is \"0s\", a duration from \"1s\" to \"10m\" is expected",
            "x.toml:8:7: uplink.ubidots.url: has no scheme, mqtt://HOST:PORT or mqtts://HOST:PORT is expected",
            "x.toml:10:15: uplink.ubidots.send.temperature: is true, a label or false is expected",
            "x.toml:11:12: uplink.ubidots.send.pressure: is empty, at least one character is expected",
            "x.toml:12:1: uplink.ubidots.send.wind: is no key of [uplink.ubidots.send]; its keys are \
             absolute_humidity, dew_point, humidity, pressure, pressure_tendency, sea_level_pressure, temperature, \
             temperature_from_humidity, temperature_from_pressure",
        ],
    );
}

#[test]
fn each_variable_is_for_one_thing() {
    check(
        &account(
            "online = \"p\"\ndots_per_s = 1\n[uplink.ubidots.send]\ntemperature = \"t\"\npressure = \"p\"\nhumidity \
             = \"t\"",
        ),
        &[
            "x.toml:5:10: uplink.ubidots.online: is \"p\", as send.pressure is; each needs a variable of its own",
            "x.toml:6:14: uplink.ubidots.dots_per_s: is 1, and 3 variables are sent: at least as many are expected",
            "x.toml:10:12: uplink.ubidots.send.humidity: is \"t\", as `temperature` is; each needs a variable of its \
             own",
        ],
    );
    check(
        &account("send = { temperature = false, pressure = false, humidity = false }"),
        &["x.toml:5:8: uplink.ubidots.send: is false throughout, and there is no [[uplink.ubidots.receive]]"],
    );
    let receive = |variable: &str, topic: &str, rest: &str| {
        format!("[[uplink.ubidots.receive]]\nvariable = \"{variable}\"\ntopic = \"{topic}\"\n{rest}\n")
    };
    check(
        &account(
            &[
                "online = \"there\"\n".to_owned(),
                receive("led", "a", ""),
                receive("led", "b", "device = \"pi\""),
                receive("led", "c", "device = \"other\""),
                receive("there", "d", ""),
                receive("pressure", "e", ""),
                receive("humidity", "f", "form = \"json\""),
                receive("temperature", "myRasp/state", "form = \"number\""),
            ]
            .concat(),
        ),
        &[
            "x.toml:11:12: uplink.ubidots.receive[1].variable: is received already, by an earlier \
             [[uplink.ubidots.receive]]",
            "x.toml:19:12: uplink.ubidots.receive[3].variable: is what `online` sends: another one is expected",
            "x.toml:22:1: uplink.ubidots.receive[4].form: is \"number\", and \"pressure\" is sent as well: \"json\" is \
             expected, where one's own readings can be told apart",
            "x.toml:32:9: uplink.ubidots.receive[6].topic: is myRasp/state, as state.topic is; each needs a topic of \
             its own",
            "x.toml:33:8: uplink.ubidots.receive[6].form: is \"number\", and \"temperature\" is sent as well: \
             \"json\" is expected, where one's own readings can be told apart",
        ],
    );
}

#[test]
fn loads_that_never_drain_and_intervals_that_fit_no_sample_are_refused() {
    let interval = "[sensors]\ninterval = \"40ms\"\n";
    check(
        &account("dots_per_s = 3"),
        &["x.toml:5:14: uplink.ubidots.dots_per_s: is not above what comes, 3.0 dots a second, and never drains a \
             backlog: raise it, send the mean with `every`, or raise sensors.interval"],
    );
    check(
        &account(&format!("publishes_per_s = 0.1\n{interval}")),
        &["x.toml:5:19: uplink.ubidots.publishes_per_s: is not above what comes, 75.0 dots a second, and never \
             drains a backlog: raise it, send the mean with `every`, or raise sensors.interval"],
    );
    check(
        &account(&format!("every = \"201s\"\n{interval}")),
        &["x.toml:5:9: uplink.ubidots.every: is 3m 21s, which is 5025 samples of sensors.interval = \"40ms\": at \
             most 5000 are expected"],
    );
    check(
        &account("every = \"1s\"\n[sensors]\ninterval = \"2s\""),
        &["x.toml:5:9: uplink.ubidots.every: is 1s, and sensors.interval 2s: at least that is expected"],
    );
    settings(&account(&format!("every = \"200s\"\n{interval}")));
    settings(&account("dots_per_s = 3.5"));
}

#[test]
fn what_is_switched_off_is_checked_without_what_it_would_need() {
    settings(
        "[uplink.ubidots]\ndots_per_s = 3\n[[uplink.ubidots.receive]]\nvariable = \"a\"\ntopic = \"myRasp/state\"",
    );
    check(
        "[uplink.ubidots]\nenabled = \"no\"\nqos = 3\ntoken = \"x\"",
        &[
            "x.toml:2:11: uplink.ubidots.enabled: is \"no\", true or false is expected",
            "x.toml:3:7: uplink.ubidots.qos: is 3, a quality of service of 0 or 1 is expected",
            "x.toml:4:1: uplink.ubidots.token: is no key of [uplink.ubidots]; a secret stands in a file of its own, \
             which `token_file` names",
        ],
    );
}
