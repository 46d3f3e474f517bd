//! No text and no variable, however strange, makes the configuration panic; and what it refuses, it explains.

use std::path::Path;

use proptest::prelude::*;
use sensegate::config::{DEFAULTS, parse};

/// Parses, and holds that a refusal has at least one line and that each line names a place.
fn check(text: &str, variables: Vec<(String, String)>) {
    let home = ("HOME".to_owned(), "/home/pi".to_owned());
    let Err(problems) = parse(Path::new("x.toml"), text, variables.into_iter().chain([home])) else { return };
    let lines = problems.to_string();
    assert!(!lines.is_empty());
    for line in lines.lines() {
        assert!(
            line.starts_with("x.toml:") || line.starts_with("SENSEGATE__") || line.starts_with("built-in"),
            "{line}"
        );
    }
}

/// Something TOML allows behind `=`, often of the wrong type.
fn value() -> impl Strategy<Value = String> {
    let scalars =
        ["true", "0", "-1", "3", "1.5", "nan", "99999999999999999999", "1979-05-27", "\"\"", "\"#\"", "\"5s\""];
    let others = [
        "\"mqtt\"",
        "\"{prefix}\"",
        "\"{\"",
        "\"1 MiB\"",
        "\"[::1]:0\"",
        "[]",
        "[[]]",
        "[{ address = 1 }]",
        "{}",
        "[{ rules = [{}] }]",
    ];
    prop::sample::select([&scalars[..], &others[..]].concat()).prop_map(str::to_owned)
}

/// The shipped file with its examples in force, but for those that cannot stand together.
fn with_examples() -> String {
    let is_example = |line: &str| {
        let key = line.split_once(" = ").map_or(line, |(key, _)| key);
        line.starts_with("[[") || !key.contains(' ') && line.contains(" = ") && key != "urls" && key != "rules"
    };
    let lines = DEFAULTS.lines().map(|line| match line.strip_prefix("# ") {
        Some(example) if is_example(example) => example,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The number of a line of the shipped file.
fn line() -> impl Strategy<Value = usize> {
    0..DEFAULTS.lines().count()
}

/// A key as somebody may type it at the top level.
fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "prefix",
        "labels",
        "labels.a",
        "sensors",
        "sensors.bus",
        "sensors.interval",
        "publish",
        "publish.pressure",
        "publish.pressure.topic",
        "state.topic",
        "status.offline",
        "broker",
        "broker.mode",
        "broker.listener",
        "broker.limits.inflight",
        "broker.external.url",
        "storage",
        "storage.directory",
        "log.level",
        "clock.wait",
        "samples.topic",
        "uplink",
        "uplink.ubidots.enabled",
        "uplink.ubidots.device",
        "uplink.ubidots.token_file",
        "uplink.ubidots.dots_per_s",
        "uplink.ubidots.every",
        "uplink.ubidots.send.humidity",
        "uplink.ubidots.receive",
        "uplink.bridge",
        "x",
        "\"a.b\"",
        "\"x[99999999999]\"",
        "''",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC*(\n\\PC*){0,5}") {
        check(&text, vec![]);
    }

    #[test]
    fn any_characters_of_toml_are_taken_or_refused(text in "[a-c\\[\\]{}=.,\"'#\n 0-9\u{e9}-]{0,60}") {
        check(&text, vec![]);
    }

    #[test]
    fn any_values_of_known_keys_are_taken_or_refused(lines in prop::collection::vec((key(), value()), 0..6)) {
        let lines: Vec<_> = lines.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        check(&lines.join("\n"), vec![]);
    }

    #[test]
    fn shipped_file_with_a_line_lost_doubled_or_changed_is_taken_or_refused(
        lost in line(), doubled in line(), changed in line(), value in value(),
    ) {
        let mut lines: Vec<String> = DEFAULTS.lines().map(str::to_owned).collect();
        if let Some((key, _)) = lines[changed].clone().split_once('=') {
            lines[changed] = format!("{key} = {value}").trim_start_matches("# ").to_owned();
        }
        lines.insert(doubled, lines[doubled].clone());
        lines.remove(lost);
        check(&lines.join("\n"), vec![]);
    }

    #[test]
    fn examples_of_the_shipped_file_with_lines_lost_and_changed_are_taken_or_refused(
        lost in line(), changed in prop::collection::vec((line(), value()), 0..4),
    ) {
        let text = with_examples();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (changed, value) in changed {
            if let Some((key, _)) = lines[changed].clone().split_once(" = ") {
                lines[changed] = format!("{key} = {value}");
            }
        }
        lines.remove(lost);
        check(&lines.join("\n"), vec![]);
    }

    #[test]
    fn any_variables_are_taken_or_refused(
        names in prop::collection::vec("[A-Za-z_\\[\\]\\.0-9]{0,12}|(SENSORS|BROKER|LABELS|PREFIX|UPLINK|X)(__[A-Z_]{1,9}){0,3}", 0..5),
        value in "\\PC{0,12}",
        text in prop::option::of((key(), value())),
    ) {
        let text = text.map(|(key, value)| format!("{key} = {value}")).unwrap_or_default();
        check(&text, names.into_iter().map(|name| (format!("SENSEGATE__{name}"), value.clone())).collect());
    }
}
