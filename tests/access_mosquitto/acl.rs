//! The same access control list into [`Acl`] and into mosquitto: who may write, and who receives, must be the same.

use sensegate::access::Acl;

use crate::broker::{Broker, is_installed};
use crate::client::Client;

/// Publishes everything.
const PUBLISHER: &str = "publisher";
/// User name and client id. Names with a slash or a dollar are left out: there this program is stricter on purpose.
const CLIENTS: [(Option<&str>, &str); 8] = [
    (None, "c1"),
    (None, "c+"),
    (Some("bob"), "c1"),
    (Some("bob"), "bob"),
    (Some("bob"), "x#"),
    (Some("ann"), "%u"),
    (Some("a+"), "c1"),
    (Some("b c"), "c1"),
];
const TOPICS: [&str; 26] = [
    "a", "b", "a/", "/a", "/", "a/b", "b/a", "a/b/a", "a/b/c d", "a//b", "bob", "bob/a", "a/bob", "a/ann", "ann/%u",
    "a/c1", "c1", "c1/bob", "bob/c1/a", "%u", "a/%u", "$x", "$x/a", "$x/bob", "b c/a", "c1x/abob",
];

/// What `topics` say of each client, by this program.
fn ours(text: &str) -> Vec<(Vec<&'static str>, Vec<&'static str>)> {
    let acl = Acl::parse(text).unwrap_or_else(|problems| panic!("{problems:?} in\n{text}"));
    let of = |(user, id): (Option<&str>, &str)| {
        let rights = acl.rights(user, id);
        let write = TOPICS.into_iter().filter(|topic| rights.may_write(topic)).collect();
        let read = TOPICS.into_iter().filter(|topic| rights.may_read(topic)).collect();
        (write, read)
    };
    CLIENTS.into_iter().map(of).collect()
}

/// What mosquitto does.
fn theirs(text: &str) -> Vec<(Vec<&'static str>, Vec<&'static str>)> {
    let broker = Broker::start(&[("acl_file", text)], true);
    let connect = |user, id: &str| Client::connect(broker.address(), id, user, None).unwrap();
    let mut publisher = connect(Some(PUBLISHER), PUBLISHER);
    let of = |(user, id)| {
        let mut client = connect(user, id);
        let write = TOPICS.into_iter().filter(|topic| client.publish(topic)).collect();
        client.subscribe("#");
        client.subscribe("$x/#");
        for topic in TOPICS {
            assert!(publisher.publish(topic), "{topic} is refused to the publisher by\n{text}");
        }
        let received = client.received();
        let read = TOPICS.into_iter().filter(|topic| received.iter().any(|name| name == topic)).collect();
        (write, read)
    };
    CLIENTS.into_iter().map(of).collect()
}

fn compare(rules: &str) {
    let text = format!("{rules}\nuser {PUBLISHER}\ntopic #\ntopic $x/#\n");
    for ((client, ours), theirs) in CLIENTS.iter().zip(ours(&text)).zip(theirs(&text)) {
        assert_eq!(ours.0, theirs.0, "what {client:?} may write under\n{text}");
        assert_eq!(ours.1, theirs.1, "what {client:?} may read under\n{text}");
    }
}

#[test]
fn hand_written_lists_mean_the_same_to_both() {
    if !is_installed() {
        return;
    }
    for rules in [
        "",
        "topic a\ntopic read b\nuser bob\ntopic write a/#\nuser ann\nuser bob\ntopic deny a/b\ntopic read b",
        "topic #\ntopic deny a/#\nuser bob\ntopic read +/+\ntopic deny $x/a\ntopic $x/#\npattern deny b/a",
        "pattern readwrite a/%u\npattern read %c/#\npattern deny a/bob\npattern write c1x/a%u\nuser b c\ntopic read #",
        "user bob\ntopic read a/#\npattern deny a/b\npattern readwrite #\npattern read $x/%u",
        "topic read +/#\ntopic write a/+/#\nuser bob\ntopic read a/#\ntopic write /+\nuser ann\ntopic read /\ntopic +/",
        "  user   bob  \n topic   readwrite   a/b/c d  \n\n#topic #\nuser b c\r\ntopic read b c/+\r\n",
        "pattern readwrite %u\npattern readwrite %c\npattern read a/%c\nuser bob\ntopic deny bob\ntopic deny a/c1",
    ] {
        compare(rules);
    }
}

#[test]
fn lists_made_at_random_mean_the_same_to_both() {
    if !is_installed() {
        return;
    }
    for seed in 0..24 {
        println!("seed {seed}");
        compare(&random_rules(&mut fastrand::Rng::with_seed(seed)));
    }
}

fn random_rules(random: &mut fastrand::Rng) -> String {
    let lines = (0..random.usize(3..16)).map(|_| match random.u8(..10) {
        0..2 => format!("user {}", pick(random, &["bob", "ann", "a+", "b c"])),
        2..7 => format!("topic {}{}", access(random), filter(random, &["a", "b", "", "+", "+", "bob", "c1", "%u"])),
        _ => format!("pattern {}{}", access(random), filter(random, &["a", "b", "", "+", "%u", "%u", "%c", "c1"])),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn access(random: &mut fastrand::Rng) -> &'static str {
    pick(random, &["read ", "write ", "readwrite ", "deny ", ""])
}

/// One to three levels, and perhaps `#`.
fn filter(random: &mut fastrand::Rng, levels: &[&str]) -> String {
    let mut filter = pick(random, &["", "", "", "", "$x/"]).to_owned();
    filter.push_str(pick(random, levels));
    for _ in 0..random.usize(..3) {
        filter = format!("{filter}/{}", pick(random, levels));
    }
    match random.u8(..4) {
        0 => filter + "/#",
        _ if filter.is_empty() => "#".into(),
        _ => filter,
    }
}

fn pick<'a>(random: &mut fastrand::Rng, choices: &[&'a str]) -> &'a str {
    choices[random.usize(..choices.len())]
}
