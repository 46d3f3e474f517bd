//! A bridge over a link on which packets vanish, between two hosts.

use crate::bridged::Course;
use crate::link::{Cut, Link};
use crate::mosquitto::Mosquitto;
use crate::place::Place;
use crate::server::Engine;
use crate::support::skip_or_fail;

/// The far side gives the gateway up after one and a half keep-alive times, and its will says so; the gateway finds out
/// by itself as well. Both come together again when the link is healed.
#[test]
fn everything_arrives_when_packets_vanish_for_longer_than_the_keep_alive_time() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let Some(link) = Link::new() else {
        return skip_or_fail("networks of its own take root");
    };
    let (near, far): (Place, Place) = (link.near().clone(), link.far().clone());
    let engine = Mosquitto::start(&far);
    let mut course = Course::start(&near, &far, &engine, &engine.addresses(), "");
    link.cut(Cut::Path);
    course.wait_for_more();
    course.expect_status("offline");
    course.expect_state("noticed", |state| state["connected"] == false);
    link.heal();
    course.expect_status("online");
    course.stretch();

    link.cut(Cut::NearInterface);
    course.wait_for_more();
    course.expect_state("noticed", |state| state["connected"] == false);
    course.kill_gateway();
    course.wait_for_more();
    link.heal();
    course.stretch();
    course.expect_status("online");
    course.finish();
}
