//! `sensegate check [FILE]`: what a configuration means, or everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, EmbeddedBroker, Loaded, Settings};
use crate::sensors::SourceOptions;

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
    let state = storage.directory.display();
    format!(
        "{file}: ok\n  source  {source}, every {interval}\n  topics  {}\n  broker  {}\n  state   {state}\n",
        or_none(&topics(settings)),
        settings.broker.as_ref().map_or_else(|| external(settings), embedded),
    )
}

fn source(source: &SourceOptions) -> String {
    match source {
        SourceOptions::I2c { bus } => format!("Sense HAT on /dev/i2c-{bus}"),
        SourceOptions::Simulated => "simulated HAT".into(),
        SourceOptions::Dump(file) => format!("simulated HAT with the registers of {}", file.display()),
    }
}

fn topics(settings: &Settings) -> Vec<String> {
    let agent = &settings.agent;
    let quantities = agent.quantities.iter().map(|quantity| &quantity.topic);
    let state = agent.state.iter().map(|state| &state.topic);
    let status = agent.status.iter().map(|status| &status.topic);
    quantities.chain(state).chain(status).map(ToString::to_string).collect()
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
             topics  myRasp/sensors/temperature, myRasp/status\n  \
             broker  embedded, on 127.0.0.1:1883, [::1]:1883\n  state   /home/pi/.local/state/sensegate\n",
        );
        check(
            "sensors.source = \"simulated\"\nbroker.mode = \"external\"\nbroker.external.url = \"mqtt://b\"\n\
             broker.external.client_id = \"me\"\nstorage.directory = \"/s\"\nprefix = \"p\"",
            "x.toml: ok\n  source  simulated HAT, every 1s\n  topics  p/sensors/temperature, p/sensors/pression, \
             p/sensors/humidity, p/state, p/status\n  \
             broker  external, b port 1883 without TLS, as me\n  state   /s\n",
        );
    }
}
