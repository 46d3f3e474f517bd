//! The document for users against the parser.

use serde_json::Value as Json;

use super::command::{COMMON, Kind};
use super::{Command, Icon, Rgb};

const DOCUMENT: &str = include_str!("../../docs/matrix.md");
const SCHEMA: &str = include_str!("../../docs/leds.schema.json");

fn schema() -> Json {
    serde_json::from_str(SCHEMA).unwrap()
}

/// What stands between single quotes behind `-m` in the document's commands, and the objects in its blocks of JSON.
fn examples() -> Vec<&'static str> {
    let quoted = DOCUMENT.split(" -m '").skip(1).filter_map(|rest| rest.split('\'').next());
    let blocks = DOCUMENT.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    quoted.chain(blocks.flat_map(str::lines)).collect()
}

#[test]
fn every_example_is_a_command() {
    let examples = examples();
    assert!(examples.len() >= 10, "{examples:?}");
    for example in examples {
        Command::parse(example.as_bytes()).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn document_and_schema_have_the_parsers_keys() {
    let schema = schema();
    let described = schema["properties"].as_object().unwrap();
    let mut known = [&Kind::ALL.map(Kind::name)[..], &COMMON[..]].concat();
    known.extend(Kind::ALL.into_iter().flat_map(Kind::extra));
    known.sort_unstable();
    known.dedup();
    assert_eq!(
        described.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        known.iter().copied().collect()
    );
    for key in known {
        assert!(DOCUMENT.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn schema_lets_each_key_stand_beside_those_of_the_parser() {
    let schema = schema();
    let branches = schema["oneOf"].as_array().unwrap();
    assert_eq!(branches.len(), Kind::ALL.len() + 1, "one for each kind, and one for settings alone");
    for (kind, branch) in Kind::ALL.into_iter().zip(branches) {
        assert_eq!(branch["required"], serde_json::json!([kind.name()]));
        let allowed = branch["propertyNames"]["enum"].as_array().unwrap();
        let expected = [&[kind.name()], kind.extra(), &COMMON].concat();
        assert_eq!(allowed, &expected.into_iter().map(Json::from).collect::<Vec<_>>(), "{kind:?}");
    }
}

#[test]
fn schema_and_document_name_every_colour_and_icon() {
    let schema = schema();
    let icons: Vec<_> = Icon::ALL.iter().map(|icon| Json::from(icon.name)).collect();
    assert_eq!(schema["properties"]["icon"]["enum"], Json::from(icons));
    let colours: Vec<_> = Rgb::NAMED.iter().map(|(name, _)| Json::from(*name)).collect();
    assert_eq!(schema["$defs"]["colour"]["oneOf"][2]["enum"], Json::from(colours));
    let names = Icon::ALL.iter().map(|icon| icon.name).chain(Rgb::NAMED.iter().map(|(name, _)| *name));
    names.for_each(|name| assert!(DOCUMENT.contains(&format!("`{name}`")), "{name}"));
}
