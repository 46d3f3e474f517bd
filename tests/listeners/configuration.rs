//! What `check` says about listeners with TLS.

use std::fs;
use std::path::Path;

use sensegate::config::parse;

use crate::certificates::{Authority, Identity};

fn problems(text: &str) -> String {
    let home = [("HOME".to_owned(), "/home/pi".to_owned())].into_iter();
    parse(Path::new("x.toml"), text, home).map_or_else(|problems| problems.to_string(), |_| String::new())
}

/// A listener at `address` with TLS, `rest` behind its keys.
fn listener(address: &str, identity: &Identity, rest: &str) -> String {
    let Identity { certificate, key } = identity;
    format!(
        "[[broker.listener]]\naddress = {address:?}\n[broker.listener.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n{rest}"
    )
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_place_and_what_would_be_right() {
    let authority = Authority::new("an authority");
    let (server, other) = (authority.sign("server", "gateway"), authority.sign("other", "other"));
    let check = |certificate: &Path, key: &Path, rest: &str, expected: &[String]| {
        let identity = Identity { certificate: certificate.into(), key: key.into() };
        let problems = problems(&listener("127.0.0.1:0", &identity, rest));
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
    };
    let missing = authority.path("missing");
    let absent = |line: usize, column: usize, key: &str| {
        let text = "which cannot be read: No such file or directory (os error 2)";
        format!("x.toml:{line}:{column}: broker.listener[0].tls.{key}: names {missing:?}, {text}")
    };
    check(&server.certificate, &server.key, "", &[]);
    check(&missing, &missing, "", &[absent(4, 15, "certificate"), absent(5, 7, "key")]);
    check(&server.certificate, &server.key, &format!("client_ca = {missing:?}"), &[absent(6, 13, "client_ca")]);
    let wrong = |line: usize, column: usize, key: &str, text: &str| {
        [format!("x.toml:{line}:{column}: broker.listener[0].tls.{key}: {text}")]
    };
    let mismatch = "names a key that is not the key of `certificate`: name the two that were made together";
    check(&server.certificate, &other.key, "", &wrong(5, 7, "key", mismatch));
    let no_certificate = wrong(4, 15, "certificate", "names a file that holds no PEM certificate");
    check(&server.key, &server.key, "", &no_certificate);
    let no_key = wrong(5, 7, "key", "names a file that holds no PEM private key without a passphrase");
    check(&server.certificate, &server.certificate, "", &no_key);
    let no_authority = wrong(6, 13, "client_ca", "names a file that holds no PEM certificate");
    check(&server.certificate, &server.key, &format!("client_ca = {:?}", server.key), &no_authority);
}

#[test]
fn client_certificates_open_a_listener_to_other_machines_and_a_certificate_alone_does_not() {
    let authority = Authority::new("an authority");
    let server = authority.sign("server", "gateway");
    let client_ca = format!("client_ca = {:?}", authority.file());
    assert_eq!(problems(&listener("0.0.0.0:8883", &server, &client_ca)), "");
    let open = problems(&listener("0.0.0.0:8883", &server, ""));
    assert!(open.starts_with("x.toml:2:11: broker.listener[0].address: is open to other machines"), "{open}");
    assert!(open.contains("tls.client_ca"), "{open}");
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let authority = Authority::new("an authority");
    let Identity { certificate, key } = authority.sign("server", "gateway");
    let tls = format!("tls = {{ certificate = {certificate:?}, key = {key:?}, client_ca = {:?} }}", authority.file());
    let anonymous = problems(&format!("[[broker.listener]]\naddress = \"127.0.0.1:1\"\nallow_anonymous = true\n{tls}"));
    assert_eq!(
        anonymous,
        "x.toml:3:19: broker.listener[0].allow_anonymous: is true, and tls.client_ca asks every client for a \
         certificate: leave one of them out"
    );
    let unix = problems(&format!("[[broker.listener]]\naddress = \"/s\"\nprotocol = \"unix\"\n{tls}"));
    assert!(unix.starts_with("x.toml:4:7: broker.listener[0].tls: has no use on a Unix socket"), "{unix}");
    let keys = problems("[[broker.listener]]\naddress = \"127.0.0.1:1\"\ntls = { certificate = \"/c\", ca = \"/d\" }");
    assert!(keys.contains("tls.ca: is no key of"), "{keys}");
    assert!(keys.contains("tls.key: is missing"), "{keys}");
}

#[test]
fn check_shows_what_each_listener_speaks() {
    let authority = Authority::new("an authority");
    let Identity { certificate, key } = authority.sign("server", "gateway");
    let tls = format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}");
    let file = authority.path("x.toml");
    let text = format!(
        "[[broker.listener]]\naddress = \"127.0.0.1:1\"\n{tls}\n[[broker.listener]]\naddress = \"127.0.0.1:2\"\n\
         protocol = \"websocket\"\n[[broker.listener]]\naddress = \"127.0.0.1:3\"\nprotocol = \"websocket\"\n{tls}\n"
    );
    fs::write(&file, text).unwrap();
    let shown = crate::support::sensegate().arg("check").arg(&file).env("HOME", "/h").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("127.0.0.1:1 (TLS), 127.0.0.1:2 (WebSocket), 127.0.0.1:3 (WebSocket, TLS)\n"), "{shown}");
}
