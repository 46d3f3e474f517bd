//! A port that somebody else has.

use std::net::TcpListener;

use crate::place::{Place, free_port};

#[test]
fn next_port_is_taken_and_told() {
    let place = Place::new();
    let _other = TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let said = place.setup_yes(&[]);
    let id = format!("(pid {})", std::process::id());
    assert!(said.errors.contains(&id) && said.errors.contains("taking port"), "{}", said.errors);
    let text = place.read("sensegate.toml");
    assert!(!text.contains(&format!("127.0.0.1:{}\"", place.port)), "{text}");
}

#[test]
fn gateway_that_runs_already_is_nobody_else() {
    let place = Place::new();
    place.setup_yes(&[]);
    let _gateway = place.run();
    let said = place.setup_yes(&[]);
    assert!(said.errors.contains("as it should be already"), "{}", said.errors);
    assert!(!said.errors.contains("is taken"), "{}", said.errors);
}

#[test]
fn port_with_tls_is_looked_at_too() {
    let place = Place::new();
    let tls_port = free_port();
    let _other = TcpListener::bind(("127.0.0.1", tls_port)).unwrap();
    place.setup_yes(&["--tls", "--tls-port", &tls_port.to_string()]);
    assert!(!place.read("sensegate.toml").contains(&format!("0.0.0.0:{tls_port}\"")));
}
