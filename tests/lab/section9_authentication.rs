//! Section 9: users, the codes of question 9, and the access control list of question 10.

use std::fs;

use tempfile::TempDir;

use crate::script::{Script, walk};
use crate::support::{Process, Subscriber, eventually, publish, sensegate};

const TOPIC: &str = "myRasp/groundfloor/livingroom/temperature";

/// The answer to question 10.
const ACL: &str = "user user1\ntopic read myRasp/groundfloor/livingroom/temperature\n\
                   user user2\ntopic write myRasp/groundfloor/livingroom/temperature\n";

/// Both files, and the lines of the configuration that name them.
fn guard(acl: Option<&str>) -> (TempDir, String) {
    let directory = TempDir::with_prefix("lab-").unwrap();
    let passwords = directory.path().join("passwords");
    for (number, user) in ["user1", "user2"].into_iter().enumerate() {
        let flags: &[&str] = if number == 0 { &["-c", "-b"] } else { &["-b"] };
        let mut command = sensegate();
        command.arg("passwd").args(flags).arg(&passwords).args([user, "secret"]);
        Process::spawn(&mut command).expect_success();
    }
    let mut toml = format!("[broker]\npassword_file = \"{}\"\n", passwords.display());
    if let Some(acl) = acl {
        let file = directory.path().join("acl");
        fs::write(&file, acl).unwrap();
        toml = format!("{toml}acl_file = \"{}\"\n", file.display());
    }
    (directory, toml)
}

fn with_login(script: Script, user: &str, password: &str) -> Script {
    script.before_connect(&format!("client.username_pw_set(\"{user}\", \"{password}\")"))
}

#[test]
fn the_subscriber_as_it_was_is_refused_with_code_5() {
    let (_directory, toml) = guard(None);
    walk(&toml, |lab| {
        lab.start(&Script::subscriber(TOPIC)).expect_line_with("Connection code : 5");
        let wrong = with_login(Script::subscriber(TOPIC), "user1", "wrong");
        lab.start(&wrong).expect_line_with("Connection code : 5");
        let unknown = with_login(Script::subscriber(TOPIC), "nobody", "secret");
        lab.start(&unknown).expect_line_with("Connection code : 5");
    });
}

#[test]
fn with_user_and_password_both_scripts_work_again() {
    let (_directory, toml) = guard(None);
    walk(&toml, |lab| {
        let subscriber = with_login(Script::subscriber(TOPIC), "user1", "secret").tell_subscribed();
        let subscriber = lab.start_subscribed(&subscriber);
        let publisher = Script::publisher(TOPIC)
            .edit("hostname=MQTT_SERVER", "hostname=MQTT_SERVER, auth={'username': 'user2', 'password': 'secret'}");
        let line = eventually("a message", || {
            lab.run(&publisher);
            subscriber.line_within(std::time::Duration::from_millis(500))
        });
        assert_eq!(line, format!("Sujet : {TOPIC} Message : b'Hello World!'"));
    });
}

#[test]
fn question_10_user1_reads_and_user2_writes() {
    let (_directory, toml) = guard(Some(ACL));
    walk(&toml, |lab| {
        let login = |user| ["-u", user, "-P", "secret"];
        let reader = Subscriber::start_with(&lab.gateway, &[&login("user1")[..], &["-t", TOPIC]].concat());
        let send = |user, topic, payload| {
            publish(&lab.gateway, &[&login(user)[..], &["-q", "1", "-t", topic, "-m", payload]].concat());
        };
        send("user1", TOPIC, "user1 may not write");
        send("user2", "myRasp/groundfloor/kitchen/temperature", "nor user2 elsewhere");
        send("user2", TOPIC, "21");
        assert_eq!(reader.message().payload, "21");
        let mut refused = std::process::Command::new("mosquitto_sub");
        refused.args(["-p", &lab.gateway.port().to_string(), "-t", TOPIC]).args(login("user2"));
        let refused = Process::spawn(&mut refused);
        refused.expect_line_with("All subscription requests were denied");
    });
}
