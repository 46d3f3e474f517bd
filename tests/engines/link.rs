//! Two hosts and the link between them, which is cut as cables are: packets vanish, and nobody is told.
//!
//! Each host is a network namespace that lives as long as a process which holds it; they hang on one switch, a bridge
//! in a third. Nothing has a name on the machine, so nothing can be left behind, and the addresses exist in there only.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;

use crate::place::Place;
use crate::support::Process;

/// The hosts' addresses, TEST-NET-3 (RFC 5737), and their prefix length.
const NEAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const PREFIX: u8 = 24;

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Somewhere in between: both hosts keep their carrier, packets vanish. Connections hang, and new ones end with
    /// "no route to host" after about three seconds, or a timeout.
    Path,
    /// At the near host: its interface is down, and its route with it. New connections fail at once with "network is
    /// unreachable".
    NearInterface,
}

/// A link between two hosts. Dropping it takes it away; end what runs on its hosts before.
pub(crate) struct Link {
    near: Host,
    far: Host,
    switch: Holder,
}

struct Host {
    place: Place,
    holder: Holder,
}

/// A process that keeps a network alive.
struct Holder(Process);

impl Link {
    /// Makes it. `None` where that is not permitted (it takes root).
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let switch = Holder::new()?;
        switch.ip("link add switch type bridge");
        switch.ip("link set switch up");
        let near = Host::on(&switch, "near", NEAR)?;
        let far = Host::on(&switch, "far", FAR)?;
        Some(Self { near, far, switch })
    }

    /// The near host, the gateway's.
    pub(crate) fn near(&self) -> &Place {
        &self.near.place
    }

    /// The far host, the engine's.
    pub(crate) fn far(&self) -> &Place {
        &self.far.place
    }

    /// Cuts it.
    pub(crate) fn cut(&self, cut: Cut) {
        match cut {
            Cut::Path => self.switch.ip("link set switch down"),
            Cut::NearInterface => self.near.holder.ip("link set eth0 down"),
        }
    }

    /// Heals it, however it was cut.
    pub(crate) fn heal(&self) {
        self.switch.ip("link set switch up");
        self.near.holder.ip("link set eth0 up");
    }
}

impl Host {
    /// A host with one interface, whose other end is the port `name` of the switch.
    fn on(switch: &Holder, name: &str, address: Ipv4Addr) -> Option<Self> {
        let holder = Holder::new()?;
        switch.ip(&format!("link add {name} type veth peer name eth0 netns {}", holder.0.id()));
        switch.ip(&format!("link set {name} master switch up"));
        holder.ip(&format!("address add {address}/{PREFIX} dev eth0"));
        holder.ip("link set eth0 up");
        let place = Place::inside(Arc::new(holder.network()?), IpAddr::V4(address));
        Some(Self { place, holder })
    }
}

impl Holder {
    /// A fresh network, with its loopback up. It ends with this process, or by itself after a long time.
    fn new() -> Option<Self> {
        let script = "ip link set lo up && echo up && exec sleep 1800";
        let process = Process::spawn(Command::new("unshare").args(["--net", "sh", "-c", script]));
        (process.expect_line() == "up").then_some(Self(process))
    }

    fn network(&self) -> Option<File> {
        File::open(format!("/proc/{}/ns/net", self.0.id())).ok()
    }

    /// Runs `ip` in there.
    fn ip(&self, arguments: &str) {
        let network = format!("--net=/proc/{}/ns/net", self.0.id());
        let mut command = Command::new("nsenter");
        Process::spawn(command.arg(network).arg("ip").args(arguments.split(' '))).expect_success();
    }
}
