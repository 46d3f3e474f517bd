//! Where a program or a thread of a test runs: this machine's loopback, or a network of its own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::Process;

/// Below the ports that systems give to outgoing connections: nobody takes one while its engine is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// An address, and the network it belongs to.
#[derive(Clone)]
pub(crate) struct Place {
    ip: IpAddr,
    /// A network namespace; `None` for the machine's own.
    network: Option<Arc<File>>,
}

impl Place {
    /// This machine's loopback.
    pub(crate) fn loopback() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), network: None }
    }

    /// A host with this address inside `network`.
    pub(crate) fn inside(network: Arc<File>, ip: IpAddr) -> Self {
        Self { ip, network: Some(network) }
    }

    /// An address here that nobody listens on now.
    pub(crate) fn free_address(&self) -> SocketAddr {
        self.run(|| {
            let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS));
            let is_free = |port: &u16| TcpListener::bind((self.ip, *port)).is_ok();
            SocketAddr::new(self.ip, ports.find(is_free).unwrap())
        })
    }

    /// Runs `body` here: its sockets, and those of the programs and threads it starts, are this place's.
    pub(crate) fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        if self.network.is_none() {
            return body();
        }
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                body()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts a thread that lives here.
    pub(crate) fn spawn<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let place = self.clone();
        thread::spawn(move || {
            place.enter();
            body()
        })
    }

    /// Starts a program here.
    pub(crate) fn start(&self, command: &mut Command) -> Process {
        self.run(|| Process::spawn(command))
    }

    /// Moves this thread here.
    fn enter(&self) {
        if let Some(network) = &self.network {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        }
    }
}
