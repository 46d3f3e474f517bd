//! A bridge to NATS, which speaks 3.1.1.

use crate::bridged::{Course, STATUS, expect_retained};
use crate::nats::Nats;
use crate::place::Place;
use crate::relay::Relay;
use crate::server::Engine;
use crate::support::skip_or_fail;

/// It is killed: what it acknowledges while it stops it may lose, see [`crate::nats`].
#[test]
fn everything_arrives_across_cuts_a_kill_of_nats_and_of_the_gateway() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    let place = Place::loopback();
    let mut engine = Nats::start(&place);
    let mut relays = [Relay::start(engine.addresses()[0])];
    let mut course = Course::start(&place, &place, &engine, &[relays[0].address()], "profile = \"nats\"\n");
    course.expect_protocol("3.1.1");
    course.cut_and_freeze(&mut relays);
    course.kill_gateway_before_all_eyes();
    engine.kill();
    course.wait_for_more();
    engine.start_again();
    course.stretch();
    course.refuse_and_kill_gateway(&mut relays);
    course.expect_status("online");
    expect_retained(&place, engine.addresses()[0], STATUS, Some("online"));
    course.finish();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("offline"));
}
