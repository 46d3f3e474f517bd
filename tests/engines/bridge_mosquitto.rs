//! A bridge to mosquitto, which speaks version 5.

use crate::bridged::{Course, STATUS, expect_retained};
use crate::mosquitto::Mosquitto;
use crate::place::Place;
use crate::relay::{Frozen, Relay};
use crate::server::Engine;
use crate::support::skip_or_fail;

#[test]
fn everything_arrives_across_cuts_a_stop_of_mosquitto_and_kills_of_the_gateway() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let place = Place::loopback();
    let mut engine = Mosquitto::start(&place);
    let mut relays = [Relay::start(engine.addresses()[0])];
    let mut course = Course::start(&place, &place, &engine, &[relays[0].address()], "");
    course.expect_protocol("5");
    course.cut_and_freeze(&mut relays);
    course.kill_gateway_before_all_eyes();
    course.freeze(&mut relays, Frozen::Answers);
    course.refuse_and_kill_gateway(&mut relays);
    engine.stop();
    course.wait_for_more();
    engine.start_again();
    course.stretch();
    course.expect_status("online");
    expect_retained(&place, engine.addresses()[0], STATUS, Some("online"));
    course.finish();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("offline"));
}
