//! The document for users against the program.

use sensegate::sensors::SourceOptions;
use sensegate::sensors::replay::{After, Options};

use super::*;

const DOCUMENT: &str = include_str!("../../docs/sources.md");

fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("```{language}\n");
    let blocks = DOCUMENT.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().into_iter()
}

fn parse(text: &str) -> config::Settings {
    let home = [("HOME".to_owned(), "/home/pi".to_owned())];
    config::parse(Path::new("x.toml"), text, home.into_iter()).unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

#[test]
fn configurations_of_the_document_are_taken() {
    let sources: Vec<_> = blocks("toml").map(|block| parse(block).sensors.source).collect();
    let emulator = SourceOptions::Emulator { directory: "/dev/shm".into() };
    let file = "/var/lib/sensegate/garden.hat".into();
    let replay = SourceOptions::Replay(Options { file, speed: 60.0, after: After::Again });
    assert_eq!(sources, [emulator, replay]);
}

#[test]
fn sources_of_the_document_are_those_of_the_program() {
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| `sensors.source`")).skip(2);
    let cells = rows.map_while(|line| line.split('|').nth(1));
    let words: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(words, ["auto", "i2c", "simulated", "emulator", "replay"]);
    for word in words {
        parse(&format!("[sensors]\nsource = \"{word}\"\nreplay.file = \"x\""));
    }
}

#[test]
fn commands_of_the_document_are_understood() {
    let lines: Vec<_> = blocks("sh").flat_map(str::lines).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let words = line.split(" > ").next().unwrap().split_whitespace();
        sensegate::cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
