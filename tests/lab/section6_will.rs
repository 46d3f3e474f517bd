//! Section 6: the will is published when a client is cut, and not when it takes its leave.
//!
//! What the lab's two variants really do under paho-mqtt:
//! - with `loop_stop()` the network thread sends `PUBLISH` and `DISCONNECT` before the script ends: no will. But paho
//!   1.6.1 takes a `CONNACK` that it reads after `disconnect()` for a reason to go on: on a busy machine it then
//!   connects once more, and that second connection is cut when the script ends. A script that waits for its
//!   connection first is safe from that;
//! - without it, the script's end races its own daemon thread. Nearly always the process is gone before `DISCONNECT`
//!   is written, often before `Hello World` is: the will is published. Now and then the thread wins.

use crate::script::{Lab, Script, walk};
use crate::support::{Subscriber, publish};

const TOPIC: &str = "t_channel/test";
const HELLO: &str = "Hello World";
const WILL: &str = "Does it works ?";

/// Runs per variant; the race of the second is lost about 19 times in 20.
const RUNS: u32 = 10;

/// The payloads that one run of `script` leads to. A message of this test's own ends the wait: it is published
/// after the script's process, and so its connection, has ended.
fn outcome(lab: &Lab, observer: &Subscriber, script: &Script) -> Vec<String> {
    lab.start(script).wait();
    publish(&lab.gateway, &["-t", TOPIC, "-m", "end"]);
    observer.messages_until("end").into_iter().map(|message| message.payload).collect()
}

#[test]
fn the_script_as_printed_leaves_its_message_and_usually_no_will() {
    walk("", |lab| {
        let observer = Subscriber::start(&lab.gateway, TOPIC);
        let outcomes: Vec<_> = (0..RUNS).map(|_| outcome(lab, &observer, &Script::publisher_with_will())).collect();
        assert!(outcomes.iter().all(|outcome| outcome.first().is_some_and(|first| first == HELLO)), "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| outcome.len() == 1), "{outcomes:?}");
    });
}

#[test]
fn a_client_that_is_connected_and_disconnects_leaves_no_will() {
    walk("", |lab| {
        let observer = Subscriber::start(&lab.gateway, TOPIC);
        let script = Script::publisher_with_will()
            .edit("client.loop_start()\n", "client.loop_start()\nwhile not client.is_connected():\n    pass\n");
        for _ in 0..RUNS {
            assert_eq!(outcome(lab, &observer, &script), [HELLO]);
        }
    });
}

#[test]
fn without_loop_stop_the_script_is_usually_cut_and_its_will_published() {
    walk("", |lab| {
        let observer = Subscriber::start(&lab.gateway, TOPIC);
        let script = Script::publisher_with_will().edit("client.loop_stop()\n", "");
        let outcomes: Vec<_> = (0..RUNS).map(|_| outcome(lab, &observer, &script)).collect();
        for outcome in &outcomes {
            let possible: [&[&str]; 3] = [&[WILL], &[HELLO, WILL], &[HELLO]];
            assert!(possible.iter().any(|possible| outcome == possible), "{outcome:?}");
        }
        assert!(outcomes.iter().any(|outcome| outcome.iter().any(|payload| payload == WILL)), "{outcomes:?}");
    });
}

#[test]
fn a_client_that_is_cut_after_its_message_leaves_the_message_and_then_its_will() {
    walk("", |lab| {
        let observer = Subscriber::start(&lab.gateway, TOPIC);
        let script = Script::publisher_with_will()
            .edit("\"Hello World\")", "\"Hello World\", qos=1).wait_for_publish()")
            .edit("client.disconnect()", "import os; os.kill(os.getpid(), 9)");
        for _ in 0..RUNS {
            assert_eq!(outcome(lab, &observer, &script), [HELLO, WILL]);
        }
    });
}
