//! Ubidots: the whole way, and each step of it failing.

use std::path::Path;

use sensegate::mqtt::ConnectReturnCode;

use crate::Examination;
use crate::support::{in_private_network, skip_or_fail};
use crate::ubidots_server::{Account, Certificate, Fault, OWNER, TOKEN, Ubidots};

/// Examines an uplink to `url`, with further keys.
fn examine(url: &str, token: &str, extra: &str) -> Examination {
    let uplink = format!(
        "[uplink.ubidots]\nenabled = true\nurl = \"{url}\"\ntoken_file = \"{{dir}}/token\"\ndevice = \"kitchen\"\n{extra}"
    );
    Examination::of(&uplink, &[("token", token)])
}

fn examine_plain(server: &Ubidots, token: &str) -> Examination {
    let examination = examine(&format!("mqtt://127.0.0.1:{}", server.port()), token, "");
    assert!(!examination.lines.join("\n").contains(token), "the token is shown: {:?}", examination.lines);
    examination
}

fn examine_tls(host: &str, server: &Ubidots, ca_file: &Path) -> Examination {
    let ca_file = format!("ca_file = \"{}\"\n", ca_file.display());
    examine(&format!("mqtts://{host}:{}", server.tls_port()), TOKEN, &ca_file)
}

#[test]
fn a_value_goes_there_and_comes_back() {
    let server = Ubidots::start();
    let examination = examine_tls("localhost", &server, &server.ca_file());
    let well = [
        "ubidots: localhost is 127.0.0.1",
        "accepts connections",
        "TLS: the certificate is trusted",
        "CONNECT is accepted, in version 3.1.1",
        "went to the variable `doctor` of the device `kitchen`, and came back",
    ];
    // localhost may be ::1 as well
    let steps = well.map(|part| part.replace("is 127.0.0.1", "is "));
    examination.expect_ok(&steps.each_ref().map(String::as_str));
    assert_eq!(server.dots("kitchen", "doctor").len(), 1);
    assert_eq!(server.all_dots().len(), 1);
    assert_eq!(server.misconduct(), Vec::<String>::new());
    let connects = server.connects();
    assert!(connects[0].client_id.ends_with("-ubidots-doctor") && connects[0].will.is_none(), "{connects:?}");
}

#[test]
fn the_value_that_was_left_before_is_not_taken_for_the_new_one() {
    let server = Ubidots::start();
    examine_plain(&server, TOKEN).expect_ok(&["accepts", "CONNECT", "came back"]);
    server.inject(Fault::SwallowDots);
    let examination = examine_plain(&server, TOKEN);
    examination.expect_problem(2, &["acknowledged, and not seen within 10 s", "-> has the token the rights", "plan"]);
}

#[test]
fn a_wrong_token_is_told() {
    let server = Ubidots::start();
    for code in [ConnectReturnCode::BadUserNameOrPassword, ConnectReturnCode::NotAuthorized] {
        server.refuse_unknown_tokens_with(code);
        let examination = examine_plain(&server, "BBUS-unknown");
        let number = format!("(CONNACK {})", code as u8);
        examination.expect_problem(1, &["the broker refused", &number, "-> is the token in token_file whole"]);
    }
}

#[test]
fn a_token_for_another_device_is_told() {
    let server = Ubidots::start();
    server.add_token("BBUS-device", Account::of(OWNER).only(&["cellar"]));
    examine_plain(&server, "BBUS-device").expect_problem(2, &["not seen within 10 s", "rights"]);
}

#[test]
fn certificates_that_cannot_be_trusted_are_told() {
    for (certificate, parts) in [
        (Certificate::UnknownAuthority, ["nobody who is trusted here has signed", "ca.pem"]),
        (Certificate::Expired, ["not of this time", "is the clock right?"]),
        (Certificate::WrongHost, ["not for localhost", "url"]),
    ] {
        let server = Ubidots::start_showing(certificate);
        examine_tls("localhost", &server, &server.ca_file()).expect_problem(2, &parts);
        assert_eq!(server.connects(), []);
    }
}

#[test]
fn a_port_without_tls_is_told() {
    let server = Ubidots::start();
    let ca_file = format!("ca_file = \"{}\"\n", server.ca_file().display());
    let examination = examine(&format!("mqtts://127.0.0.1:{}", server.port()), TOKEN, &ca_file);
    examination.expect_problem(1, &["TLS", "does that port speak TLS?"]);
}

#[test]
fn a_port_on_which_nothing_listens_is_told() {
    let server = Ubidots::start();
    server.stop_listening();
    examine_plain(&server, TOKEN).expect_problem(0, &["is not reached: nothing listens there", "firewall"]);
}

#[test]
fn a_name_without_address_is_told() {
    let examination = in_private_network(|| examine("mqtt://sensegate-nowhere:1883", TOKEN, ""));
    match examination {
        Some(examination) => {
            examination.expect_problem(0, &["sensegate-nowhere has no address", "name server"]);
        }
        None => skip_or_fail("a network of its own is not permitted"),
    }
}

#[test]
fn a_silent_server_is_not_waited_for_without_end() {
    let server = Ubidots::start();
    server.inject(Fault::HalfOpen);
    examine_plain(&server, TOKEN).expect_problem(1, &["no answer to CONNECT within 10 s"]);
}

#[test]
fn a_value_that_is_not_acknowledged_is_told_unless_it_comes_back() {
    let server = Ubidots::start();
    server.inject(Fault::NoPubAck);
    examine_plain(&server, TOKEN).expect_ok(&["accepts", "CONNECT", "came back"]);
    server.inject(Fault::SwallowDots);
    examine_plain(&server, TOKEN).expect_problem(2, &["a value is not acknowledged within 10 s", "try again later"]);
}

#[test]
fn a_variable_with_another_use_is_left_alone() {
    let server = Ubidots::start();
    let url = format!("mqtt://127.0.0.1:{}", server.port());
    let examination = examine(&url, TOKEN, "online = \"doctor\"\n");
    assert_eq!(examination.code, Some(0), "{:?}", examination.lines);
    assert!(examination.lines[2].starts_with("warning  uplink "), "{:?}", examination.lines);
    assert_eq!(server.all_dots(), []);
}
