//! A bridge to ActiveMQ 5, which speaks 3.1.1.

use crate::activemq::ActiveMq;
use crate::bridged::{Course, STATUS, expect_retained};
use crate::place::Place;
use crate::relay::Relay;
use crate::server::Engine;
use crate::support::skip_or_fail;

#[test]
fn everything_arrives_across_cuts_a_stop_and_a_kill_of_activemq_and_a_kill_of_the_gateway() {
    if !ActiveMq::is_installed() {
        return skip_or_fail("activemq or libmqtt-client-java is not installed");
    }
    let place = Place::loopback();
    let mut engine = ActiveMq::start(&place);
    let mut relays = [Relay::start(engine.addresses()[0])];
    let mut course = Course::start(&place, &place, &engine, &[relays[0].address()], "");
    course.expect_protocol("3.1.1");
    course.cut_and_freeze(&mut relays);
    engine.stop();
    course.wait_for_more();
    engine.start_again();
    // its waits begin anew with it
    course.kill_gateway();
    course.stretch();
    engine.kill();
    course.wait_for_more();
    engine.start_again();
    course.kill_gateway();
    course.stretch();
    course.expect_status("online");
    course.kill_gateway_before_all_eyes();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("online"));
    course.finish();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("offline"));
}
