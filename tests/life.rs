//! The life of the process: start, reload, progress, stop, and death.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may fail like the test itself")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use support::{Gateway, Listener, Process, Subscriber, eventually, publish, skip_or_fail};
use tempfile::TempDir;

fn sensegate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sensegate")).args(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Puts `text` in place of the gateway's configuration, as an editor does.
fn rewrite(gateway: &Gateway, change: impl FnOnce(String) -> String) {
    let path = gateway.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(text)).unwrap();
}

#[test]
fn a_start_says_what_it_reads_where_it_listens_and_the_line_to_paste() {
    let gateway = Gateway::start("");
    let port = gateway.port();
    let line = format!("to see it: mosquitto_sub -p {port} -t 'myRasp/#' -v");
    eventually("the start tells everything", || gateway.printed().contains(&line).then_some(()));
    let printed = gateway.printed();
    assert!(printed.contains("a simulated Sense HAT (its values are made up), every 100ms"), "{printed}");
    assert!(printed.contains(&format!("listening on 127.0.0.1:{port}")), "{printed}");
}

#[test]
fn sigterm_and_ctrl_c_publish_offline_and_end_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = Gateway::start("");
        let watcher = Subscriber::start(&gateway, "myRasp/status");
        assert_eq!(watcher.message().payload, "online");
        gateway.signal(signal);
        assert_eq!(watcher.message().payload, "offline");
        assert!(gateway.wait().success(), "{}", gateway.printed());
    }
}

#[test]
fn a_reload_changes_topics_and_qos_clears_the_old_topic_and_drops_no_client() {
    let gateway = Gateway::start("");
    let watcher = Subscriber::start(&gateway, "#");
    eventually("the first temperature", || (watcher.message().topic == "myRasp/sensors/temperature").then_some(()));
    rewrite(&gateway, |text| format!("[publish.temperature]\ntopic = \"kitchen/warmth\"\n{text}"));
    gateway.signal(Signal::HUP);
    eventually("the old topic is cleared", || {
        let message = watcher.message();
        (message.topic == "myRasp/sensors/temperature" && message.payload.is_empty()).then_some(())
    });
    eventually("the new topic", || (watcher.message().topic == "kitchen/warmth").then_some(()));
    let late = Subscriber::start(&gateway, "myRasp/sensors/temperature");
    publish(&gateway, &["-t", "myRasp/sensors/temperature", "-m", "nothing was retained"]);
    assert_eq!(late.message().payload, "nothing was retained");
}

#[test]
fn a_reload_changes_the_level_of_the_log() {
    let tables =
        |level: &str, topic: &str| format!("[log]\nlevel = \"{level}\"\n[publish.temperature]\ntopic = \"{topic}\"\n");
    let gateway = Gateway::start(&tables("warn", "first"));
    let reload = |before: [&str; 2], after: [&str; 2]| {
        rewrite(&gateway, |text| text.replace(&tables(before[0], before[1]), &tables(after[0], after[1])));
        gateway.signal(Signal::HUP);
        // the new topic tells that it is done
        Subscriber::start(&gateway, after[1]).message();
    };
    let connect_as = |id: &str| publish(&gateway, &["-t", "elsewhere", "-m", "x", "-i", id]);
    let told = || gateway.printed().matches("configuration reloaded").count();
    connect_as("before");
    reload(["warn", "first"], ["info", "second"]);
    eventually("the reload is told", || (told() == 1).then_some(()));
    connect_as("between");
    eventually("its connection is told", || gateway.printed().contains("client=between").then_some(()));
    reload(["info", "second"], ["warn", "third"]);
    connect_as("afterwards");
    reload(["warn", "third"], ["info", "fourth"]);
    eventually("the reload is told", || (told() == 2).then_some(()));
    let printed = gateway.printed();
    assert!(!printed.contains("client=before") && !printed.contains("client=afterwards"), "{printed}");
}

#[test]
fn a_reload_changes_the_interval_of_the_samples() {
    let gateway = Gateway::start("");
    let watcher = Subscriber::start(&gateway, "myRasp/state");
    let set_interval = |before: &str, after: &str| {
        rewrite(&gateway, |text| text.replace(&format!("interval = {before}"), &format!("interval = {after}")));
        gateway.signal(Signal::HUP);
    };
    watcher.message();
    set_interval("\"100ms\"", "\"1h\"");
    let silence = Duration::from_secs(1);
    eventually("samples stop coming", || watcher.message_within(silence).is_none().then_some(()));
    set_interval("\"1h\"", "\"50ms\"");
    let sequence = || {
        let state: serde_json::Value = serde_json::from_str(&watcher.message().payload).unwrap();
        state["sequence"].as_u64().unwrap()
    };
    let first = sequence();
    eventually("ten more samples", || (sequence() >= first + 10).then_some(()));
}

#[test]
fn a_reload_that_renames_or_switches_off_the_status_leaves_nothing_on_the_old_topic() {
    let gateway = Gateway::start("[status]\ntopic = \"first/status\"\n");
    let watcher = Subscriber::start_with(&gateway, &["-t", "first/status", "-t", "second/status", "-q", "1"]);
    let seen = || {
        let message = watcher.message();
        format!("{} {}", message.topic, message.payload)
    };
    assert_eq!(seen(), "first/status online");
    rewrite(&gateway, |text| text.replace("first/status", "second/status"));
    gateway.signal(Signal::HUP);
    for line in ["first/status offline", "second/status online", "first/status "] {
        assert_eq!(seen(), line);
    }
    rewrite(&gateway, |text| text.replace("topic = \"second/status\"", "enabled = false"));
    gateway.signal(Signal::HUP);
    for line in ["second/status offline", "second/status "] {
        assert_eq!(seen(), line);
    }
    let late = Subscriber::start(&gateway, "+/status");
    publish(&gateway, &["-t", "a/status", "-m", "nothing was retained"]);
    assert_eq!(late.message().payload, "nothing was retained");
}

/// A directory with the configuration of a gateway that listens on IPv6 and on a Unix socket.
fn two_listeners() -> (TempDir, String, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (file, socket) = (directory.path().join("sensegate.toml"), directory.path().join("mqtt.sock"));
    let state = directory.path().join("state");
    let text = format!(
        "[storage]\ndirectory = \"{}\"\n[[broker.listener]]\naddress = \"[::1]:0\"\n\
         [[broker.listener]]\naddress = \"{}\"\nprotocol = \"unix\"\n",
        state.display(),
        socket.display()
    );
    fs::write(&file, text).unwrap();
    (directory, file.display().to_string(), socket)
}

#[test]
fn ipv6_and_unix_listeners_serve_the_same_broker_at_each_start() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip_or_fail("this machine has no IPv6");
    }
    let (_directory, file, socket) = two_listeners();
    // the second start finds the socket that the first has left
    for _ in 0..2 {
        let mut gateway = Process::spawn(support::sensegate().args(["--simulate", "--config", &file]));
        let line = gateway.expect_line_with("listening on [::1]:");
        let (ipv6, unix) = line.split_once(", ").unwrap();
        assert_eq!(unix, socket.to_str().unwrap());
        let port = ipv6.rsplit_once(':').unwrap().1;

        let over_unix = Subscriber::run(&["--unix", unix, "-t", "greeting", "-q", "1"]);
        let over_ipv6 = Listener::run(&["-h", "::1", "-p", port, "-t", "greeting"]);
        let sent = sensegate(&["pub", "-h", "::1", "-p", port, "-t", "greeting", "-m", "hello", "-q", "1"]);
        assert!(sent.status.success(), "{sent:?}");
        assert_eq!(over_unix.message().payload, "hello");
        assert_eq!(over_ipv6.line(), "hello");
        gateway.kill();
    }
}

#[test]
fn a_socket_that_is_served_and_a_file_in_its_place_are_refused_and_left_alone() {
    let (_directory, file, socket) = two_listeners();
    let refusal = || {
        let mut process = Process::spawn(support::sensegate().args(["--simulate", "--config", &file]));
        let said = process.expect_line_with("sensegate: cannot listen on ");
        assert_eq!(process.wait().code(), Some(1), "{}", process.printed());
        said
    };
    let other = UnixListener::bind(&socket).unwrap();
    let said = refusal();
    assert!(said.contains(&format!("cannot listen on {}: another program serves", socket.display())), "{said}");
    assert!(UnixStream::connect(&socket).is_ok(), "it is still the other's");
    drop(other);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let said = refusal();
    assert!(said.contains(&format!("cannot listen on {}: there is a file", socket.display())), "{said}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn a_bad_file_is_refused_by_a_reload_and_the_old_one_stays() {
    let mut gateway = Gateway::start("");
    rewrite(&gateway, |text| text.replace("interval", "intervall"));
    gateway.signal(Signal::HUP);
    eventually("the problem is told", || {
        gateway.printed().contains("sensors.intervall: is no key of [sensors]; did you mean `interval`?").then_some(())
    });
    eventually("what stays is told", || gateway.printed().contains("the one before stays in force").then_some(()));
    assert!(gateway.is_running());
    let watcher = Subscriber::start(&gateway, "myRasp/sensors/#");
    watcher.message();
}

#[test]
fn systemd_is_told_ready_progress_reload_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let configuration = directory.path().join("sensegate.toml");
    let state = directory.path().join("state");
    let text =
        format!("[[broker.listener]]\naddress = \"127.0.0.1:0\"\n[storage]\ndirectory = \"{}\"\n", state.display());
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    command.arg("--simulate").arg("--config").arg(&configuration);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "3000000");
    let mut process = Process::spawn(&mut command);
    wait_for_notice(&socket, "READY=1");
    wait_for_notice(&socket, "WATCHDOG=1");
    process.signal(Signal::HUP);
    wait_for_notice(&socket, "RELOADING=1\nMONOTONIC_USEC=");
    wait_for_notice(&socket, "READY=1");
    wait_for_notice(&socket, "WATCHDOG=1");
    process.signal(Signal::TERM);
    wait_for_notice(&socket, "STOPPING=1");
    assert!(process.wait().success());
}

fn wait_for_notice(socket: &UnixDatagram, wanted: &str) {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted} did not come: {error}"));
        if String::from_utf8_lossy(&buffer[..length]).contains(wanted) {
            return;
        }
    }
}

#[test]
fn a_port_in_use_is_refused_with_place_and_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("sensegate.toml");
    let state = directory.path().join("state");
    let text =
        format!("[[broker.listener]]\naddress = \"{address}\"\n[storage]\ndirectory = \"{}\"\n", state.display());
    fs::write(&configuration, text).unwrap();
    let output = sensegate(&["--simulate", "--config", configuration.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let printed = printed(&output);
    assert!(printed.contains(&format!("cannot listen on {address}: the port is in use")), "{printed}");
    assert!(printed.contains("[[broker.listener]]"), "{printed}");
}

#[test]
fn a_second_gateway_with_the_same_state_is_refused() {
    let gateway = Gateway::start("");
    let configuration = gateway.configuration();
    let output = sensegate(&["--simulate", "--config", configuration.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("another sensegate uses"), "{}", printed(&output));
}

#[test]
fn the_private_socket_and_its_directory_are_this_user_s_alone() {
    let gateway = Gateway::start("");
    let socket = gateway.state().join("broker.sock");
    eventually("the private socket", || socket.exists().then_some(()));
    for (path, mode) in [(socket.as_path(), 0o600), (gateway.state().as_path(), 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}

#[test]
fn without_a_hat_the_gateway_serves_says_so_once_and_publishes_absence_with_its_reason() {
    let gateway = Gateway::start_without_hat();
    let watcher = Subscriber::start(&gateway, "myRasp/state");
    let state: serde_json::Value = serde_json::from_str(&watcher.message().payload).unwrap();
    assert_eq!(state["temperature"]["reason"], "no_bus", "{state}");
    assert_eq!(state["source"], "i2c");
    for _ in 0..5 {
        watcher.message();
    }
    let printed = gateway.printed();
    assert_eq!(printed.matches("/dev/i2c-251 is not there").count(), 1, "{printed}");
    assert!(printed.contains("--simulate"), "{printed}");
}

#[test]
fn one_shot_commands_fail_without_a_hat_and_agree_on_a_dump() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let state = directory.path().join("state");
    let configuration = file(
        "sensegate.toml",
        &format!(
            "[sensors]\nbus = 251\n[[broker.listener]]\naddress = \"127.0.0.1:0\"\n[storage]\ndirectory = \"{}\"\n",
            state.display()
        ),
    );
    for arguments in [&["read"][..], &["run", "--once"]] {
        let output = sensegate(&[arguments, &["--config", &configuration]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", printed(&output));
        assert!(printed(&output).contains("no_bus"), "{}", printed(&output));
    }
    let dump = file(
        "hat.toml",
        "[[chip]]\nname = \"hts221\"\nregisters = { 0x30 = \"3a 85 a6 16 00 c4 f3 ff 00 00 88 cf fd ff fb 02\", \
         0x28 = \"1e e8 58 02\" }\n[[chip]]\nname = \"lps25h\"\nregisters = { 0x28 = \"8d f5 3f 7c e0\" }\n",
    );
    let readings = |arguments: &[&str]| {
        let output = sensegate(&[arguments, &["--config", &configuration, "--simulate", &dump]].concat());
        assert!(output.status.success(), "{}", printed(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["readings"].clone()
    };
    let read = readings(&["read"]);
    assert_eq!(read, readings(&["run", "--once"]));
    assert_eq!(read["temperature"]["value"], 31.7709);
    assert_eq!(read["pressure"]["value"], 1023.3469);
    assert_eq!(read["humidity"]["value"], 47.458);
}

#[test]
fn help_fits_a_screen_and_misuse_is_64() {
    let help = sensegate(&["--help"]);
    assert!(help.status.success());
    assert!(printed(&help).lines().count() <= 40, "{}", printed(&help));
    let misuse = sensegate(&["--no-such-flag"]);
    assert_eq!(misuse.status.code(), Some(64));
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&sensegate(&["completions", shell])).contains("sensegate"));
    }
}
