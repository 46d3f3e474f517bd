//! `broker.mode = "external"`: the gateway as a client of a real mosquitto, in the open and behind TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::Signal;
use sensegate::base::clock;
use support::{Broker, Process, Subscriber, eventually, has_mosquitto, sensegate, skip_or_fail};
use tempfile::TempDir;

/// What the gateway publishes, status and state apart.
const QUANTITIES: [&str; 3] = ["myRasp/sensors/temperature", "myRasp/sensors/pression", "myRasp/sensors/humidity"];

/// The shortest wait between two attempts to connect.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// A gateway of an external broker: its directory, and what its configuration says of the broker.
struct Gateway {
    directory: TempDir,
    external: String,
}

impl Gateway {
    /// One for `broker`, with `external` in `[broker.external]`.
    fn new(external: String) -> Self {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        let gateway = Self { directory, external };
        gateway.configure("");
        gateway
    }

    /// One for a broker that lets everybody in.
    fn plain(broker: &Broker) -> Self {
        Self::new(format!("url = \"mqtt://127.0.0.1:{}\"\n", broker.port()))
    }

    /// One for a broker behind TLS.
    fn behind_tls(broker: &Broker, ca_file: &Path, password: &str) -> Self {
        let password_file = broker.directory().join("password");
        fs::write(&password_file, format!("{password}\n")).unwrap();
        Self::new(format!(
            "url = \"mqtts://localhost:{}\"\nca_file = \"{}\"\nusername = \"me\"\npassword_file = \"{}\"\n",
            broker.port(),
            ca_file.display(),
            password_file.display()
        ))
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("sensegate.toml")
    }

    /// Writes its file; `extra` holds further tables.
    fn configure(&self, extra: &str) {
        let text = format!(
            "[sensors]\ninterval = \"100ms\"\n[storage]\ndirectory = \"{}\"\n\
             [broker]\nmode = \"external\"\n[broker.external]\nclient_id = \"gateway\"\n{}{extra}",
            self.directory.path().join("state").display(),
            self.external
        );
        fs::write(self.file(), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = sensegate();
        command.arg("--simulate").arg("--config").arg(self.file());
        command
    }

    fn start(&self) -> Process {
        Process::spawn(&mut self.command())
    }

    fn run_once(&self) -> Output {
        self.command().arg("--once").output().unwrap()
    }
}

/// How a broker is reached by clients other than the gateway.
struct Door {
    flags: Vec<String>,
}

impl Door {
    fn plain(broker: &Broker) -> Self {
        Self { flags: words(&["-h", "127.0.0.1", "-p", &broker.port().to_string()]) }
    }

    fn behind_tls(broker: &Broker, ca_file: &Path) -> Self {
        let port = broker.port().to_string();
        let ca_file = ca_file.to_str().unwrap();
        Self { flags: words(&["-h", "localhost", "-p", &port, "--cafile", ca_file, "-u", "me", "-P", "secret"]) }
    }

    fn with<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        self.flags.iter().map(String::as_str).chain(flags.iter().copied()).collect()
    }

    /// Hears `filter` with QoS 1.
    fn watch(&self, filter: &str) -> Subscriber {
        Subscriber::run(&self.with(&["-t", filter, "-q", "1"]))
    }

    /// Publishes by `mosquitto_pub`.
    fn publish(&self, topic: &str, payload: &str) {
        let mut command = Command::new("mosquitto_pub");
        Process::spawn(command.args(self.with(&["-t", topic, "-m", payload, "-q", "1"]))).expect_success();
    }

    /// The payload that is retained on `topic`, if any.
    fn retained(&self, topic: &str) -> Option<String> {
        let late = self.watch(topic);
        self.publish(topic, "end of what is retained");
        let kept = late.messages_until("end of what is retained").into_iter().find(|message| message.retain);
        kept.map(|message| message.payload)
    }

    /// Waits until each of the quantities has a retained value, as a late subscriber sees it.
    fn expect_retained_values(&self) {
        for topic in QUANTITIES {
            eventually(topic, || self.retained(topic)?.parse::<f64>().ok());
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Certificates of a broker, and of whoever signed it.
struct Certificates {
    ca: String,
    certificate: String,
    key: String,
}

impl Certificates {
    /// For `localhost`, signed by an authority that is made for it.
    fn make(authority_name: &str) -> Self {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.distinguished_name.push(DnType::CommonName, authority_name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self { ca: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A mosquitto with TLS and one user, `me` with `secret`; and the file of its authority.
fn start_behind_tls() -> (Broker, PathBuf) {
    let broker = Broker::start_with(|directory| {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let Certificates { ca, certificate, key } = Certificates::make("the broker's authority");
        let (_, certificate, key) =
            (write("ca.pem", &ca), write("server.pem", &certificate), write("server.key", &key));
        let passwords = directory.join("passwords").display().to_string();
        let mut command = Command::new("mosquitto_passwd");
        Process::spawn(command.args(["-b", "-c", &passwords, "me", "secret"])).expect_success();
        format!("allow_anonymous false\npassword_file {passwords}\ncertfile {certificate}\nkeyfile {key}\n")
    });
    let ca_file = broker.directory().join("ca.pem");
    (broker, ca_file)
}

/// Whether a test is left out.
fn skip() -> bool {
    let skip = !has_mosquitto();
    if skip {
        skip_or_fail("mosquitto is not installed");
    }
    skip
}

/// How often `text` was printed.
fn count(printed: &str, text: &str) -> usize {
    printed.matches(text).count()
}

/// Start, clean stop, start, and death: what a client of the same broker sees of it.
fn check_life(gateway: &Gateway, door: &Door) {
    let watcher = door.watch("myRasp/status");
    let mut process = gateway.start();
    assert_eq!(watcher.message().payload, "online");
    assert_eq!(door.retained("myRasp/status").as_deref(), Some("online"));
    watcher.messages_until("end of what is retained");
    door.expect_retained_values();
    process.signal(Signal::TERM);
    assert_eq!(watcher.message().payload, "offline");
    assert!(process.wait().success(), "{}", process.printed());
    assert_eq!(door.retained("myRasp/status").as_deref(), Some("offline"));
    watcher.messages_until("end of what is retained");

    let mut process = gateway.start();
    assert_eq!(watcher.message().payload, "online");
    process.kill();
    assert_eq!(watcher.message().payload, "offline", "the will speaks");
    assert_eq!(door.retained("myRasp/status").as_deref(), Some("offline"));
}

#[test]
fn readings_status_and_will_are_at_an_external_broker() {
    if skip() {
        return;
    }
    let broker = Broker::start();
    check_life(&Gateway::plain(&broker), &Door::plain(&broker));
}

#[test]
fn readings_status_and_will_are_at_a_broker_behind_tls_and_a_password() {
    if skip() {
        return;
    }
    let (broker, ca_file) = start_behind_tls();
    let gateway = Gateway::behind_tls(&broker, &ca_file, "secret");
    check_life(&gateway, &Door::behind_tls(&broker, &ca_file));
}

/// The broker loses everything and comes back: the gateway says everything anew.
fn check_restart(broker: &mut Broker, gateway: &Gateway, door: &Door) {
    // one sample, so that what is there afterwards was said by the new connection
    let text = fs::read_to_string(gateway.file()).unwrap();
    fs::write(gateway.file(), text.replace("100ms", "1h")).unwrap();
    let process = gateway.start();
    door.expect_retained_values();
    broker.stop();
    eventually("the loss is told", || process.printed().contains("; the gateway keeps trying").then_some(()));
    broker.start_again();
    process.expect_line_with(" again, after ");
    assert_eq!(door.retained("myRasp/status").as_deref(), Some("online"));
    door.expect_retained_values();
    assert!(door.retained("myRasp/state").is_some_and(|state| state.starts_with('{')));
}

#[test]
fn a_broker_that_was_restarted_is_told_everything_again() {
    if skip() {
        return;
    }
    let mut broker = Broker::start();
    let (gateway, door) = (Gateway::plain(&broker), Door::plain(&broker));
    check_restart(&mut broker, &gateway, &door);
}

#[test]
fn a_broker_behind_tls_that_was_restarted_is_told_everything_again() {
    if skip() {
        return;
    }
    let (mut broker, ca_file) = start_behind_tls();
    let gateway = Gateway::behind_tls(&broker, &ca_file, "secret");
    let door = Door::behind_tls(&broker, &ca_file);
    check_restart(&mut broker, &gateway, &door);
}

/// The gateway is turned away: told once, tried again with patience.
fn check_refusal(broker: &Broker, gateway: &Gateway, reason: &str) {
    // each attempt is a line of the log at this level
    gateway.configure("[log]\nlevel = \"debug\"\n");
    let began = clock::monotonic();
    let mut process = gateway.start();
    let attempts = || count(&process.printed(), "no connection to");
    let tried = eventually("a second attempt", || Some(attempts()).filter(|&attempts| attempts >= 2));
    let waited = clock::monotonic().since(began);
    assert!(WAIT_MIN * u32::try_from(tried - 1).unwrap() <= waited, "{tried} attempts within {waited:?}");
    let printed = process.printed();
    let expected = format!("no connection to localhost:{}: {reason}; the gateway keeps trying", broker.port());
    assert_eq!(count(&printed, &format!("WARN {expected}")), 1, "{printed}");
    assert_eq!(count(&printed, "WARN") + count(&printed, "ERROR"), 1, "{printed}");
    assert!(process.is_running());
    process.signal(Signal::TERM);
    assert!(process.wait().success());
}

#[test]
fn a_wrong_password_is_told_in_one_line_and_tried_again_with_patience() {
    if skip() {
        return;
    }
    let (broker, ca_file) = start_behind_tls();
    let gateway = Gateway::behind_tls(&broker, &ca_file, "wrong");
    check_refusal(&broker, &gateway, "the broker refused: not authorised (CONNACK 5)");
    assert!(!broker.printed().contains("wrong"));
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_in_one_line() {
    if skip() {
        return;
    }
    let (broker, _) = start_behind_tls();
    let stranger = broker.directory().join("stranger.pem");
    fs::write(&stranger, Certificates::make("a stranger").ca).unwrap();
    let gateway = Gateway::behind_tls(&broker, &stranger, "secret");
    check_refusal(&broker, &gateway, "TLS: invalid peer certificate: UnknownIssuer");
}

#[test]
fn pub_and_sub_reach_a_broker_behind_tls() {
    if skip() {
        return;
    }
    let (broker, ca_file) = start_behind_tls();
    let door = Door::behind_tls(&broker, &ca_file);
    for version in ["311", "5"] {
        let run = |word: &str, flags: &[&str]| {
            sensegate().arg(word).args(door.with(&["-V", version, "-t", "behind/tls"])).args(flags).output().unwrap()
        };
        let sent = run("pub", &["-m", version, "-q", "1", "-r"]);
        assert!(sent.status.success(), "{sent:?}");
        let heard = run("sub", &["-C", "1"]);
        assert_eq!((heard.status.code(), heard.stdout), (Some(0), format!("{version}\n").into_bytes()));
    }
    let stranger = broker.directory().join("stranger.pem");
    fs::write(&stranger, Certificates::make("a stranger").ca).unwrap();
    let refused =
        sensegate().arg("sub").args(Door::behind_tls(&broker, &stranger).with(&["-t", "a"])).output().unwrap();
    let printed = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), printed.lines().count()), (Some(1), 1), "{printed}");
    assert!(printed.contains("TLS: invalid peer certificate: UnknownIssuer; check --cafile"), "{printed}");
}

#[test]
fn one_sample_is_published_and_the_exit_code_is_0() {
    if skip() {
        return;
    }
    let (broker, ca_file) = start_behind_tls();
    let output = Gateway::behind_tls(&broker, &ca_file, "secret").run_once();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let door = Door::behind_tls(&broker, &ca_file);
    for (topic, quantity) in QUANTITIES.into_iter().zip(["temperature", "pressure", "humidity"]) {
        let published: f64 = door.retained(topic).unwrap().parse().unwrap();
        let value = shown["readings"][quantity]["value"].as_f64().unwrap();
        assert!((published - value).abs() <= 0.05, "{topic}: {published}, and {value} was shown");
    }
    assert_eq!(door.retained("myRasp/status"), None, "one sample is not a gateway that is there");

    let output = Gateway::behind_tls(&broker, &ca_file, "wrong").run_once();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("the broker refused: not authorised (CONNACK 5)"), "{printed}");
}

#[test]
fn a_topic_that_was_switched_off_or_renamed_between_two_runs_is_cleared() {
    if skip() {
        return;
    }
    let broker = Broker::start();
    let (gateway, door) = (Gateway::plain(&broker), Door::plain(&broker));
    let mut process = gateway.start();
    door.expect_retained_values();
    process.signal(Signal::TERM);
    assert!(process.wait().success());

    gateway.configure(
        "[publish.temperature]\nenabled = false\n[publish.humidity]\ntopic = \"wet\"\n[status]\nenabled = false\n",
    );
    let _process = gateway.start();
    eventually("the new topic", || door.retained("wet"));
    for topic in ["myRasp/sensors/temperature", "myRasp/sensors/humidity", "myRasp/status"] {
        eventually(topic, || door.retained(topic).is_none().then_some(()));
    }
    assert!(door.retained("myRasp/sensors/pression").is_some());
}
