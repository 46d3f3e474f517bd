//! With TLS.

use crate::place::{OTHER, Place, free_port, paste};
use crate::support::{has_mosquitto_clients, skip_or_fail};

#[test]
fn pasted_line_shows_readings_through_tls_and_the_plain_port_is_closed() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let place = Place::new();
    let tls_port = free_port().to_string();
    let said = place.setup_yes(&["--tls", "--tls-port", &tls_port]);
    let _gateway = place.run();
    // where the line says scp
    std::fs::copy(place.path("tls/ca.pem"), place.path("ca.pem")).unwrap();
    let here = place.path("");
    assert!(said.output.contains("scp "), "{}", said.output);

    for host in ["localhost", "127.0.0.1"] {
        let (is_shown, shown) = paste(&said.line(host), &here);
        assert!(is_shown, "{shown}");
    }
    let (is_shown, shown) = paste(&said.line("localhost").replace(&said.password(), "wrong"), &here);
    assert!(!is_shown, "{shown}");
    let (is_shown, shown) = paste(&said.line(OTHER), &here);
    assert!(!is_shown, "a name that the certificate has not got: {shown}");
    let plain = format!("mosquitto_sub -h {OTHER} -p {} -t '#'", place.port);
    let (is_shown, shown) = paste(&plain, &here);
    assert!(!is_shown, "{shown}");
    let (is_shown, shown) = paste(&format!("mosquitto_sub -p {} -t '#'", place.port), &here);
    assert!(is_shown, "{shown}");
}

#[test]
fn keys_are_secret_and_the_authority_s_is_root_s_alone() {
    let place = Place::new();
    let tls_port = free_port().to_string();
    place.setup_yes(&["--tls", "--tls-port", &tls_port]);
    assert_eq!(place.mode("tls/ca.key"), 0o600);
    assert!([0o600, 0o640].contains(&place.mode("tls/server.key")));
    assert_eq!((place.mode("tls/ca.pem"), place.mode("tls")), (0o644, 0o755));
}

#[test]
fn again_with_tls_changes_nothing_and_without_it_nothing_either() {
    let place = Place::new();
    let tls_port = free_port().to_string();
    place.setup_yes(&["--tls", "--tls-port", &tls_port]);
    let files = place.files();
    for flags in [&["--tls"][..], &[]] {
        let said = place.setup_yes(flags);
        assert!(said.errors.contains("as it should be already"), "{}", said.errors);
        assert_eq!(place.files(), files);
    }
}
