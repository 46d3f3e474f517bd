//! The top level and `[labels]`: the words that topic templates are made of.

use config::ValueKind;

use super::section::Section;
use super::template::Names;
use super::value::text;
use crate::mqtt::TopicName;

/// Names with a meaning of their own in templates, which a label must not take.
const RESERVED: [&str; 2] = ["prefix", "quantity"];

/// Stands for a word that has a problem, so that the templates that use it are not called wrong as well.
pub(super) const STAND_IN: &str = "\u{fffd}";

/// Reads `prefix` and `[labels]`.
pub(super) fn read(root: &mut Section<'_>) -> Names {
    let mut names = Names::default();
    let prefix = root.required("prefix", word);
    names.insert("prefix", prefix.as_deref().unwrap_or(STAND_IN));
    // a problem of a label is noted, and `names` has a stand-in for it
    let _ = root.section("labels", |labels| {
        for label in labels.keys() {
            let meaning = labels.required(&label, if is_reserved(&label) { reserved } else { word });
            if !is_reserved(&label) {
                names.insert(&label, meaning.as_deref().unwrap_or(STAND_IN));
            }
        }
        Ok(())
    });
    names
}

fn is_reserved(label: &str) -> bool {
    RESERVED.contains(&label)
}

fn reserved(_: &ValueKind) -> Result<String, String> {
    Err("is the name of something else in templates, another name is expected".into())
}

/// A piece of a topic: what a topic name may hold, and at least one character.
fn word(kind: &ValueKind) -> Result<String, String> {
    let word = text(kind)?;
    TopicName::new_strict(&word).map_err(|error| error.to_string())?;
    Ok(word)
}
