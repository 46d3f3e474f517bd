//! A bridge to a mosquitto behind TLS that asks for a certificate.

use std::fs;

use crate::bridged::{Caller, LINES, NAME, RULES, bridge_to, expect_state, start_gateway};
use crate::certificates::Authority;
use crate::consumer::Consumer;
use crate::place::Place;
use crate::support::{Broker, has_mosquitto, skip_or_fail};

#[test]
fn a_bridge_shows_its_certificate_and_one_without_is_not_let_in() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let (place, authority) = (Place::loopback(), Authority::new("the far side's authority"));
    let (server, client) = (authority.sign("server", "localhost"), authority.sign("client", "a-gateway-in-the-field"));
    let looks_at = place.free_address();
    let broker = Broker::start_with(|_| {
        format!(
            "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
             use_identity_as_username true\nlistener {} 127.0.0.1\n",
            authority.file().display(),
            server.certificate.display(),
            server.key.display(),
            looks_at.port()
        )
    });
    let url = [format!("mqtts://localhost:{}", broker.port())];
    let ca_file = format!("ca_file = \"{}\"\n", authority.file().display());
    let shown = format!("certificate = \"{}\"\nkey = \"{}\"\n", client.certificate.display(), client.key.display());
    let with = bridge_to(NAME, &url, &format!("{ca_file}{shown}"), RULES);
    let without = bridge_to("bare", &url, &ca_file, RULES);
    let gateway = start_gateway(&place, &format!("[clock]\nwait = \"0s\"\n{with}{without}"));
    expect_state(&place, &gateway, NAME, "connected", |state| state["connected"] == true && state["protocol"] == "5");
    expect_state(&place, &gateway, "bare", "refused", |state| {
        state["connected"] == false && state["last_error"].is_string()
    });
    assert!(broker.printed().contains("u'a-gateway-in-the-field'"), "{}", broker.printed());

    let consumer = Consumer::start(&place, vec![looks_at], "far-side", LINES);
    let mut caller = Caller::new(gateway.address());
    (1..=50_u64).for_each(|number| caller.publish("line/1", number.to_string().as_bytes()));
    consumer.wait_for(1, 50);
    assert_eq!(consumer.stop().sequences.expect_all(1, 50), 0);
    assert!(!gateway.printed().contains(&fs::read_to_string(&client.key).unwrap()[40..80]), "no key in the log");
}
