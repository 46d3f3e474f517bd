//! RabbitMQ: nodes of one cluster, with its MQTT plugin and AMQP 0-9-1.
//!
//! - Every cluster is a world of its own on one machine: its own epmd, cookie, home, and ports for each node.
//! - The Erlang VM is the process that is started: the script of the system would become the user `rabbitmq`, and the
//!   script behind it starts the VM in place of itself when it believes to run under systemd. What the VM starts ends
//!   with it.
//! - Only the plugin's own needs are shown to it: looking through all plugins costs each start several seconds.
//! - A session's queue is classic: it lies on the node that the client first came to, and while that node is away,
//!   what is published is acknowledged and does not reach the session. The queues of [`crate::amqp`] may be quorum queues.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::place::Place;
use crate::server::{Engine, wait_for_end, wait_until_serving};
use crate::support::Process;

/// Debian's script behind the script.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const RELEASES: &str = "/usr/lib/rabbitmq/lib";

/// What no MQTT broker needs, by the beginnings of the plugins' names.
const PLUGINS_LEFT_OUT: [&str; 13] = [
    "accept",
    "cowboy",
    "cowlib",
    "eetcd",
    "gun",
    "jose",
    "jsx",
    "observer_cli",
    "prometheus",
    "quantile",
    "rabbitmq_",
    "README",
    "base64url",
];
const PLUGINS_KEPT: [&str; 2] = ["rabbitmq_mqtt-", "rabbitmq_prelaunch-"];

/// A running cluster. Dropping it kills it.
pub(crate) struct RabbitCluster {
    // Before the directory: ended first when dropped.
    nodes: Vec<Node>,
    _epmd: Process,
    directory: TempDir,
}

struct Node {
    process: Process,
    place: Place,
    directory: PathBuf,
    name: String,
    mqtt: SocketAddr,
    amqp: SocketAddr,
    distribution_port: u16,
    epmd_port: u16,
}

impl RabbitCluster {
    /// Whether it is installed.
    pub(crate) fn is_installed() -> bool {
        Path::new(SERVER).exists() && plugins().is_some()
    }

    /// Starts `nodes` nodes and waits until all serve: the first one alone, because those that look for a cluster which
    /// is not there yet may take minutes. Everybody is let in as `guest`.
    pub(crate) fn start(place: &Place, nodes: usize) -> Self {
        let directory = TempDir::with_prefix("engine-").unwrap();
        prepare(directory.path());
        let epmd_port = place.free_address().port();
        let epmd = start_epmd(place, directory.path(), epmd_port);
        let mut first = Node::start(place, directory.path(), 1, epmd_port);
        first.wait_until_it_serves();
        let others = (2..=nodes).map(|number| Node::start(place, directory.path(), number, epmd_port));
        let nodes = std::iter::once(first).chain(others).collect();
        let mut cluster = Self { nodes, _epmd: epmd, directory };
        cluster.nodes.iter_mut().for_each(Node::wait_until_it_serves);
        cluster
    }

    /// Where a node serves MQTT.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].mqtt
    }

    /// Where the nodes serve AMQP.
    pub(crate) fn amqp_ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.amqp.port()).collect()
    }

    /// Asks a node to stop and waits until it did.
    pub(crate) fn stop_node(&mut self, node: usize) {
        self.nodes[node].process.signal(Signal::TERM);
        wait_for_end(&mut self.nodes[node].process);
    }

    /// Ends a node with SIGKILL.
    pub(crate) fn kill_node(&mut self, node: usize) {
        self.nodes[node].process.kill();
    }

    /// Starts a node again and waits until it serves.
    pub(crate) fn start_node(&mut self, node: usize) {
        self.nodes[node].spawn();
        self.nodes[node].wait_until_it_serves();
    }
}

impl Engine for RabbitCluster {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.mqtt).collect()
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn stop(&mut self) {
        self.nodes.iter().for_each(|node| node.process.signal(Signal::TERM));
        self.nodes.iter_mut().for_each(|node| wait_for_end(&mut node.process));
    }

    fn kill(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.process.kill());
    }

    /// All at once: each waits for those that were last to stop.
    fn start_again(&mut self) {
        self.nodes.iter_mut().for_each(Node::spawn);
        self.nodes.iter_mut().for_each(Node::wait_until_it_serves);
    }

    fn printed(&self) -> String {
        self.nodes.iter().map(|node| node.process.printed()).collect::<Vec<_>>().join("\n")
    }
}

impl Node {
    fn start(place: &Place, cluster: &Path, number: usize, epmd_port: u16) -> Self {
        let directory = cluster.join(format!("node{number}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("plugins"), "[rabbitmq_mqtt].\n").unwrap();
        let [mqtt, amqp, distribution] = [(); 3].map(|()| place.free_address());
        fs::write(directory.join("rabbitmq.conf"), configuration(number, mqtt, amqp)).unwrap();
        let name = format!("node{number}@localhost");
        let distribution_port = distribution.port();
        let process = place.start(&mut command(&directory, &name, distribution_port, epmd_port));
        Self { process, place: place.clone(), directory, name, mqtt, amqp, distribution_port, epmd_port }
    }

    fn spawn(&mut self) {
        let mut command = command(&self.directory, &self.name, self.distribution_port, self.epmd_port);
        self.process = self.place.start(&mut command);
    }

    fn wait_until_it_serves(&mut self) {
        wait_until_serving(&self.place, self.mqtt, &mut self.process)
            .unwrap_or_else(|printed| panic!("{} does not serve: {printed}", self.name));
    }
}

/// Nodes other than the first join it.
fn configuration(number: usize, mqtt: SocketAddr, amqp: SocketAddr) -> String {
    let peers = if number == 1 { "" } else { "cluster_formation.classic_config.nodes.2 = node1@localhost\n" };
    format!(
        "mqtt.listeners.tcp.1 = {mqtt}\nlisteners.tcp.1 = {amqp}\nmqtt.allow_anonymous = true\n\
         mqtt.exchange = amq.topic\nloopback_users = none\nlog.console = true\nlog.file = false\n\
         cluster_formation.peer_discovery_backend = classic_config\ncluster_formation.discovery_retry_limit = 20\n\
         cluster_formation.classic_config.nodes.1 = node{number}@localhost\n{peers}"
    )
}

/// One scheduler a node, without busy waiting: there are more nodes than cores.
fn command(directory: &Path, name: &str, distribution_port: u16, epmd_port: u16) -> Command {
    let cluster = directory.parent().unwrap();
    let mut command = Command::new(SERVER);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", cluster)
        .env("LANG", "C.UTF-8")
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env("ERL_EPMD_PORT", epmd_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", name)
        .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
        .env("RABBITMQ_PLUGINS_DIR", cluster.join("plugins"))
        .env("RABBITMQ_CONF_ENV_FILE", directory.join("no-further-environment"))
        .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", directory.join("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", directory.join("data"))
        .env("RABBITMQ_LOG_BASE", directory.join("log"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", directory.join("generated"))
        .env("RABBITMQ_PID_FILE", directory.join("pid"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+S 1:1 +sbwt none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
        );
    command
}

/// The cookie that the nodes of one cluster share, and the plugins they find.
fn prepare(cluster: &Path) {
    let cookie = cluster.join(".erlang.cookie");
    fs::write(&cookie, format!("{:016x}", fastrand::u64(..))).unwrap();
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).unwrap();
    let shown = cluster.join("plugins");
    fs::create_dir(&shown).unwrap();
    for plugin in fs::read_dir(plugins().unwrap()).unwrap().map(|entry| entry.unwrap()) {
        let name = plugin.file_name().into_string().unwrap();
        let begins = |beginning: &&str| name.starts_with(beginning);
        if PLUGINS_KEPT.iter().any(begins) || !PLUGINS_LEFT_OUT.iter().any(begins) {
            symlink(plugin.path(), shown.join(name)).unwrap();
        }
    }
}

/// Where the plugins of the installed release are.
fn plugins() -> Option<PathBuf> {
    fs::read_dir(RELEASES).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("plugins"))).find(|path| path.is_dir())
}

fn start_epmd(place: &Place, cluster: &Path, port: u16) -> Process {
    let mut command = Command::new("epmd");
    place.start(command.args(["-address", "127.0.0.1", "-port", &port.to_string()]).env("HOME", cluster))
}
