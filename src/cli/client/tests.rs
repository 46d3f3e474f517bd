//! The flags as mosquitto's clients have them.

use clap::{Parser, error::ErrorKind};

use super::super::publish::PublishArgs;
use super::super::subscribe::SubscribeArgs;
use super::*;
use crate::mqtt::TopicFilter;

#[derive(Parser, Debug)]
#[command(name = "sensegate", version)]
enum Commands {
    Pub(PublishArgs),
    Sub(SubscribeArgs),
}

fn publish(line: &str) -> Result<PublishArgs, clap::Error> {
    match Commands::try_parse_from(format!("sensegate pub {line}").split(' '))? {
        Commands::Pub(args) => Ok(args),
        Commands::Sub(_) => panic!("pub was asked for"),
    }
}

fn subscribe(line: &str) -> Result<SubscribeArgs, clap::Error> {
    match Commands::try_parse_from(format!("sensegate sub {line}").split(' '))? {
        Commands::Sub(args) => Ok(args),
        Commands::Pub(_) => panic!("sub was asked for"),
    }
}

#[test]
fn pub_takes_the_letters_of_mosquitto_pub() {
    let args = publish("-h 10.0.0.7 -p 1884 -t a/b -m -5.3 -q 1 -r -u me -P -secret -i id -c -k 30 -V mqttv5").unwrap();
    assert_eq!((args.topic.as_str(), args.message.as_deref()), ("a/b", Some("-5.3")));
    assert_eq!((args.qos, args.retain), (QoS::AtLeastOnce, true));
    let connection = &args.connection;
    assert_eq!(connection.address(), "10.0.0.7:1884");
    assert_eq!((connection.username.as_deref(), connection.password.as_deref()), (Some("me"), Some("-secret")));
    assert_eq!((connection.client_id("pub"), connection.disable_clean_session), ("id".to_owned(), true));
    assert_eq!((connection.keepalive, connection.protocol_version), (30, Version::V5));
}

#[test]
fn sub_takes_the_letters_of_mosquitto_sub() {
    let args = subscribe("-t a/+ -t b/# -v -C 3 -W 10 -R -q 2 -d").unwrap();
    let filters: Vec<_> = args.topic.iter().map(TopicFilter::as_str).collect();
    assert_eq!(filters, ["a/+", "b/#"]);
    assert!(args.verbose && args.no_retained && args.connection.debug);
    assert_eq!((args.count, args.timeout_s, args.qos), (Some(3), Some(10), QoS::ExactlyOnce));
    assert_eq!((args.connection.address(), args.connection.protocol_version), ("localhost:1883".into(), Version::V311));
}

#[test]
fn tls_changes_the_port_and_the_will_is_whole() {
    let line = "-t a -n --cafile ca.pem --will-topic w --will-payload gone --will-qos 2 --will-retain";
    let connection = publish(line).unwrap().connection;
    assert_eq!(connection.address(), "localhost:8883");
    let will = connection.will().unwrap();
    assert_eq!((will.topic.as_str(), will.payload.as_str()), ("w", "gone"));
    assert_eq!((will.qos, will.retain), (QoS::ExactlyOnce, true));
}

#[test]
fn help_is_asked_for_by_its_long_name_only() {
    assert_eq!(publish("--help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(subscribe("--help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(subscribe("-t a -h ::1").unwrap().connection.address(), "[::1]:1883");
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    for (line, said) in [
        ("-t a/+ -m x", "wildcard"),
        ("-t a -m x -q 3", "0, 1 or 2"),
        ("-t a -m x -V 31", "MQTT 3.1 was never a standard"),
        ("-t a -m x -V mqttv31", "MQTT 3.1 was never a standard"),
        ("-t a -m x -c", "--id"),
        ("-t a -m x -P secret", "--username"),
        ("-t a -m x -n", "cannot be used with"),
        ("-t a", "--message"),
        ("-m x", "--topic"),
        ("-t a -m x --will-retain", "--will-topic"),
    ] {
        let error = publish(line).unwrap_err().to_string();
        assert!(error.contains(said), "{line}: {error}");
    }
    assert!(subscribe("-t a#").unwrap_err().to_string().contains('#'));
    assert!(subscribe("-v").unwrap_err().to_string().contains("--topic"));
}

#[test]
fn versions_have_the_names_that_mosquitto_gives_them() {
    for (name, version) in [("311", Version::V311), ("mqttv311", Version::V311), ("5", Version::V5)] {
        assert_eq!(parse_version(name), Ok(version));
    }
    assert!(parse_version("4").is_err());
}
