//! `sensegate check [FILE]`: what a configuration means, or everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::client::Address;
use crate::config::{self, EmbeddedBroker, Loaded, Settings};
use crate::sensors::SourceOptions;
use crate::uplink::bridge::Profile;
use crate::uplink::{self, Kind};

/// `EX_CONFIG` of sysexits.h; the unit tells systemd not to restart on it.
const EXIT_CONFIGURATION: u8 = 78;

/// Prints what was decided to the standard output, or every problem to the standard error with exit code 78.
pub(crate) fn run(file: Option<&Path>) -> ExitCode {
    match config::load(file, config::environment()) {
        Ok(loaded) => {
            print!("{}", report(&loaded));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

fn report(Loaded { settings, file }: &Loaded) -> String {
    let Settings { sensors, storage, .. } = settings;
    let source = source(&sensors.source);
    let interval = humantime::format_duration(sensors.interval);
    let broker = settings.broker.as_ref().map_or_else(|| external(settings), embedded);
    let topics = or_none(&topics(settings));
    let mut lines = vec![
        format!("{file}: ok"),
        format!("  source  {source}, every {interval}"),
        format!("  topics  {topics}"),
        format!("  broker  {broker}"),
    ];
    lines.extend(settings.uplinks.iter().map(|options| format!("  uplink  {}", uplink(options))));
    lines.push(format!("  state   {}", storage.directory.display()));
    lines.extend(settings.notes().into_iter().map(|note| format!("  note    {note}")));
    lines.join("\n") + "\n"
}

fn source(source: &SourceOptions) -> String {
    match source {
        SourceOptions::I2c { bus } => format!("Sense HAT on /dev/i2c-{bus}"),
        SourceOptions::Simulated => "simulated HAT".into(),
        SourceOptions::Dump(file) => format!("simulated HAT with the registers of {}", file.display()),
        SourceOptions::Emulator { directory } => format!("Sense HAT emulator in {}", directory.display()),
        SourceOptions::Replay(replay) => format!("recording {}", replay.file.display()),
    }
}

fn topics(settings: &Settings) -> Vec<String> {
    settings.agent.topics().map(ToString::to_string).collect()
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

fn embedded(broker: &EmbeddedBroker) -> String {
    let listeners = broker.server.listeners.iter().map(ToString::to_string);
    format!("embedded, on {}", listeners.collect::<Vec<_>>().join(", "))
}

fn external(settings: &Settings) -> String {
    match &settings.agent.broker {
        crate::agent::BrokerAddress::External { host, port, tls, .. } => {
            let security = if tls.is_some() { "with TLS" } else { "without TLS" };
            format!("external, {host} port {port} {security}, as {}", settings.agent.client_id)
        }
        crate::agent::BrokerAddress::House { socket } => format!("on {}", socket.display()),
    }
}

fn uplink(options: &uplink::Options) -> String {
    let addresses: Vec<_> = options.far.addresses.iter().map(far).collect();
    let carries = match &options.kind {
        Kind::Ubidots(account) => {
            let (sent, received) = (count(account.send.len(), "variable"), account.receive.len());
            format!("device {}, {sent} sent, {received} received", account.device)
        }
        Kind::Bridge(bridge) => {
            let profile = Profile::ALL.iter().find(|(_, profile)| *profile == bridge.profile);
            format!("{}, profile {}", count(bridge.rules.len(), "rule"), profile.map_or("generic", |(name, _)| name))
        }
    };
    format!("{}: {}, {carries}", options.name, addresses.join(" or "))
}

fn far(address: &Address) -> String {
    match address {
        Address::Tcp { host, port, is_tls: true } => format!("mqtts {host} port {port}"),
        Address::Tcp { host, port, is_tls: false } => format!("mqtt {host} port {port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn check(text: &str, expected: &str) {
        let environment = [("HOME".to_owned(), "/home/pi".to_owned())];
        let settings = config::parse(Path::new("x.toml"), text, environment.into_iter()).unwrap();
        assert_eq!(report(&Loaded { settings, file: Origin::File("x.toml".into()) }), expected);
    }

    #[test]
    fn bad_configuration_ends_with_78() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bad.toml");
        std::fs::write(&file, "prefix = 5").unwrap();
        assert_eq!(run(Some(&file)), ExitCode::from(78));
    }

    #[test]
    fn what_was_decided_is_told_in_a_few_lines() {
        check(
            "[publish]\npressure.enabled = false\nhumidity.enabled = false\n[state]\nenabled = false",
            "x.toml: ok\n  source  Sense HAT on /dev/i2c-1, every 1s\n  \
             topics  myRasp/sensors/temperature, myRasp/status, myRasp/leds, myRasp/leds/error, myRasp/stick\n  \
             broker  embedded, on 127.0.0.1:1883, [::1]:1883\n  state   /home/pi/.local/state/sensegate\n",
        );
        check(
            "sensors.source = \"simulated\"\nbroker.mode = \"external\"\nbroker.external.url = \"mqtt://b\"\n\
             broker.external.client_id = \"me\"\nstorage.directory = \"/s\"\nprefix = \"p\"",
            "x.toml: ok\n  source  simulated HAT, every 1s\n  topics  p/sensors/temperature, p/sensors/pression, \
             p/sensors/humidity, p/state, p/status, p/leds, p/leds/error, p/stick\n  \
             broker  external, b port 1883 without TLS, as me\n  state   /s\n  \
             note    broker.mode = \"external\": readings are lost while the link to the broker is cut; the embedded \
             broker with a bridge keeps them\n",
        );
    }
    #[test]
    fn each_uplink_has_a_line_and_notes_come_last() {
        check(
            "[[uplink.bridge]]\nname = \"cloud\"\nurls = [\"mqtts://a\", \"mqtt://b:1\"]\nprofile = \"vernemq\"\n\
             rules = [{ topic = \"myRasp/state\" }, { topic = \"x\", direction = \"in\" }]",
            "x.toml: ok\n  source  Sense HAT on /dev/i2c-1, every 1s\n  \
             topics  myRasp/sensors/temperature, myRasp/sensors/pression, myRasp/sensors/humidity, myRasp/state, \
             myRasp/status, myRasp/leds, myRasp/leds/error, myRasp/stick\n  \
             broker  embedded, on 127.0.0.1:1883, [::1]:1883\n  \
             uplink  cloud: mqtts a port 8883 or mqtt b port 1, 2 rules, profile vernemq\n  \
             state   /home/pi/.local/state/sensegate\n  \
             note    uplink cloud: VerneMQ's nodes agree on retained messages after a while\n",
        );
    }
}
