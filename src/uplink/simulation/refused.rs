//! What the far side does not take.

use super::*;

#[test]
fn a_message_that_ends_connections_is_put_aside_and_the_others_go_on() {
    let mut world = World::new(1, "bridge", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    for number in 1..=5_u16 {
        let payload = Bytes::from(number.to_string());
        let message = Message { topic: "my/samples".into(), ..message(payload, PacketId::new(number).unwrap()) };
        world.machine.handle_local_message(Side::Backlog, message, now);
    }
    let (mut arrived, mut rejected, mut acknowledged, mut connections) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut is_up = false;
    for _ in 0..100 {
        if !is_up {
            world.machine.handle_far_up(terms(), now);
            (is_up, connections) = (true, connections + 1);
        }
        let mut is_ended = false;
        while let Some(output) = world.machine.poll_output() {
            match output {
                Output::PublishFar(..) if is_ended => {}
                Output::PublishFar(_, publication) if publication.payload == "3" => is_ended = true,
                Output::PublishFar(token, publication) => {
                    arrived.push(publication.payload.clone());
                    world.machine.handle_far_answer(token, ReasonCode::Success, now);
                }
                Output::PublishLocal(token, publication) => {
                    rejected.push(publication);
                    world.machine.handle_local_answer(token, ReasonCode::Success, now);
                }
                Output::AcknowledgeLocal(_, packet_id) => acknowledged.push(packet_id.get()),
                other => panic!("{other:?}"),
            }
        }
        if is_ended {
            world.machine.handle_far_lost(&Loss::Closed, now);
            is_up = false;
        }
    }
    assert_eq!(arrived, ["1", "2", "4", "5"]);
    assert_eq!((acknowledged, connections), (vec![1, 2, 3, 4, 5], 6));
    let [rejected] = rejected.as_slice() else { panic!("{rejected:?}") };
    let said: Value = serde_json::from_slice(&rejected.payload).unwrap();
    assert_eq!((rejected.topic.as_str(), &said["payload"]), ("my/uplink/x/rejected", &Value::from("3")));
    assert_eq!(world.machine.tally().rejected, 1);
}

#[test]
fn a_remote_message_with_a_control_character_goes_to_the_rejected_ones_and_is_acknowledged() {
    let mut world = World::new(1, "bridge", false);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    world.machine.handle_far_up(terms(), now);
    while world.machine.poll_output().is_some() {}
    let from_remote =
        |topic: &str, id| Message { topic: topic.into(), ..message("x".into(), PacketId::new(id).unwrap()) };
    world.machine.handle_far_message(&from_remote("far/cmd/\u{1}", 1), now);
    world.machine.handle_far_message(&from_remote("far/cmd/a", 2), now);
    let (mut published, mut acknowledged) = (Vec::new(), Vec::new());
    while let Some(output) = world.machine.poll_output() {
        match output {
            Output::PublishLocal(token, publication) => {
                published.push(publication);
                world.machine.handle_local_answer(token, ReasonCode::Success, now);
            }
            Output::AcknowledgeFar(packet_id) => acknowledged.push(packet_id.get()),
            other => panic!("{other:?}"),
        }
    }
    let [rejected, other] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!((rejected.topic.as_str(), other.topic.as_str()), ("my/uplink/x/rejected", "my/cmd/a"));
    let report: Value = serde_json::from_slice(&rejected.payload).unwrap();
    assert_eq!((&report["topic"], &report["payload"]), (&Value::from("far/cmd/\u{1}"), &Value::from("x")));
    assert_eq!((acknowledged, world.machine.tally().rejected), (vec![1, 2], 1));
}

#[test]
fn a_cut_is_nobodys_fault() {
    let mut world = World::new(2, "bridge", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    for _ in 0..50 {
        world.sample();
        world.link = Link::CutUntil(world.now + Duration::from_secs(1));
        world.run_for(Duration::from_secs(5));
    }
    world.run_for(Duration::from_secs(100));
    assert_eq!((world.machine.tally().rejected, world.arrived.len()), (0, 50));
}

#[test]
fn what_version_5_refuses_for_good_is_put_aside_and_what_it_refuses_for_now_comes_again() {
    let mut world = World::new(2, "bridge", false);
    world.machine.handle_local_up(20);
    let mut now = world.clocks();
    world.machine.handle_far_up(terms(), now);
    for number in 1..=2_u16 {
        let message = message(Bytes::from(number.to_string()), PacketId::new(number).unwrap());
        world.machine.handle_local_message(Side::Backlog, message, now);
    }
    let mut outputs = Vec::new();
    let mut poll = |machine: &mut Machine| {
        outputs.extend(std::iter::from_fn(|| machine.poll_output()));
        std::mem::take(&mut outputs)
    };
    let sent = poll(&mut world.machine);
    let [Output::PublishFar(first, _), Output::PublishFar(second, _)] = sent.as_slice() else { panic!("{sent:?}") };
    world.machine.handle_far_answer(*first, ReasonCode::QuotaExceeded, now);
    assert_eq!(poll(&mut world.machine), []);
    now.monotonic = world.machine.next_deadline().unwrap();
    world.machine.handle_timeout(now);
    let again = poll(&mut world.machine);
    let [Output::PublishFar(again, publication)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(publication.payload, "1");
    world.machine.handle_far_answer(*second, ReasonCode::NotAuthorized, now);
    let aside = poll(&mut world.machine);
    let [Output::PublishLocal(aside, _)] = aside.as_slice() else { panic!("{aside:?}") };
    world.machine.handle_local_answer(*aside, ReasonCode::Success, now);
    world.machine.handle_far_answer(*again, ReasonCode::Success, now);
    assert_eq!(poll(&mut world.machine).len(), 2);
}

#[test]
fn what_the_far_side_does_not_take_is_heeded() {
    let mut world = World::new(2, "bridge", false);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    let small = Terms { packet_bytes_max: 60, qos_max: QoS::AtMostOnce, retain_available: false, ..terms() };
    world.machine.handle_far_up(small, now);
    let retained = |payload: &'static str, id| Message {
        retain: true,
        ..message(Bytes::from_static(payload.as_bytes()), PacketId::new(id).unwrap())
    };
    world.machine.handle_local_message(Side::Backlog, retained("short", 1), now);
    world.machine.handle_local_message(
        Side::Backlog,
        retained("a payload that is longer than what the far side says that it takes", 2),
        now,
    );
    let outputs: Vec<_> = std::iter::from_fn(|| world.machine.poll_output()).collect();
    let [Output::PublishFar(_, sent), Output::AcknowledgeLocal(..), Output::PublishLocal(_, aside)] =
        outputs.as_slice()
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((sent.qos, sent.retain), (QoS::AtMostOnce, false));
    assert!(String::from_utf8_lossy(&aside.payload).contains("60 at most"));
}

#[test]
fn messages_of_qos_0_that_come_in_hold_nothing_up_because_nobody_answers_them() {
    let rules = vec![Rule::new("commands", Direction::In, "my/", "far/").unwrap()];
    let options = bridge::Options { rules, profile: bridge::Profile::Generic, status: None };
    let work = Work::Bridge(Box::new(Bridge::new(options)));
    let mut machine = Machine::new(limits(), work, Boots::unkept("boot-1"));
    let now = World::new(2, "bridge", false).clocks();
    machine.handle_local_up(2);
    machine.handle_far_up(terms(), now);
    let last = PacketId::new(7).unwrap();
    let come = Message { topic: "far/commands".into(), ..message("on".into(), last) };
    for _ in 0..10 {
        machine.handle_far_message(&Message { qos: QoS::AtMostOnce, packet_id: None, ..come.clone() }, now);
    }
    machine.handle_far_message(&come, now);
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
    assert_eq!(outputs.len(), 11, "{outputs:?}");
    let Some(Output::PublishLocal(token, _)) = outputs.last() else { panic!("{outputs:?}") };
    machine.handle_local_answer(*token, ReasonCode::Success, now);
    assert_eq!(machine.poll_output(), Some(Output::AcknowledgeFar(last)));
    assert_eq!(machine.tally().received, 11);
}

#[test]
fn what_the_local_broker_has_no_room_for_among_the_rejected_is_put_aside_later() {
    let mut world = World::new(2, "bridge", false);
    world.machine.handle_local_up(20);
    let mut now = world.clocks();
    world.machine.handle_far_up(Terms { packet_bytes_max: 60, ..terms() }, now);
    let long = Bytes::from_static(b"a payload that is longer than what the far side says that it takes");
    world.machine.handle_local_message(Side::Backlog, message(long, PacketId::new(1).unwrap()), now);
    let Some(Output::PublishLocal(first, _)) = world.machine.poll_output() else { panic!("it is to be put aside") };
    world.machine.handle_local_answer(first, ReasonCode::QuotaExceeded, now);
    assert_eq!(world.machine.poll_output(), None);
    now.monotonic = world.machine.next_deadline().unwrap();
    world.machine.handle_timeout(now);
    let Some(Output::PublishLocal(second, _)) = world.machine.poll_output() else { panic!("once more") };
    world.machine.handle_local_answer(second, ReasonCode::Success, now);
    assert_eq!(world.machine.poll_output(), Some(Output::AcknowledgeLocal(Side::Backlog, PacketId::new(1).unwrap())));
    assert_eq!(world.machine.tally().rejected, 1);
}

#[test]
fn a_far_side_that_takes_nothing_at_all_does_not_empty_the_outbox() {
    let mut world = World::new(1, "bridge", false);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    for number in 1..=5_u16 {
        let message = message(Bytes::from(number.to_string()), PacketId::new(number).unwrap());
        world.machine.handle_local_message(Side::Backlog, message, now);
    }
    let mut rejected = Vec::new();
    for connection in 1..=60 {
        world.machine.handle_far_up(terms(), now);
        while world.machine.poll_output().is_some() {}
        world.machine.handle_far_lost(&Loss::Closed, now);
        while let Some(output) = world.machine.poll_output() {
            let Output::PublishLocal(token, _) = output else { panic!("{output:?}") };
            rejected.push(connection);
            world.machine.handle_local_answer(token, ReasonCode::Success, now);
            assert!(matches!(world.machine.poll_output(), Some(Output::AcknowledgeLocal(..))));
        }
    }
    assert_eq!(rejected, [5, 55]);
}
