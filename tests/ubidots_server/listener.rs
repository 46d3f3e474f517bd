//! The server's thread: what listens, and the ports that stay ours while nothing does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connection::serve;
use super::state::Shared;

/// What lies between a listener and MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Plain,
    Tls,
}

/// A port of loopback that is held by a socket which is bound and does not listen: connections to it are refused, and
/// no other program is given it, until a listener of ours shares it.
pub(super) struct Port {
    _socket: OwnedFd,
    address: SocketAddr,
}

impl Port {
    /// Holds the port with this number; any free one for 0.
    pub(super) fn hold(ip: Ipv4Addr, number: u16) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(ip, number))?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        Ok(Self { _socket: socket, address })
    }

    pub(super) const fn number(&self) -> u16 {
        self.address.port()
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

enum Control {
    Listen(Door, TcpListener),
    /// Answered when nothing listens any more.
    StopListening(mpsc::Sender<()>),
}

/// The thread that serves. Dropped, it ends, and every connection with it, without wills.
pub(super) struct Service {
    controls: Option<UnboundedSender<Control>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub(super) fn start(shared: Shared) -> Self {
        let (sender, controls) = unbounded_channel();
        let thread = thread::Builder::new().name("ubidots".to_owned()).spawn(|| run(controls, shared)).unwrap();
        Self { controls: Some(sender), thread: Some(thread) }
    }

    /// Listens from now on.
    pub(super) fn listen(&self, door: Door, port: &Port) {
        self.tell(Control::Listen(door, port.listen().unwrap()));
    }

    /// Returns when nothing listens any more; connections go on.
    pub(super) fn stop_listening(&self) {
        let (done, is_done) = mpsc::channel();
        self.tell(Control::StopListening(done));
        is_done.recv().unwrap();
    }

    fn tell(&self, control: Control) {
        let controls = self.controls.as_ref().unwrap();
        assert!(controls.send(control).is_ok(), "the server's thread is there");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.controls = None;
        if let Some(thread) = self.thread.take() {
            // what went wrong there is printed already
            let _ = thread.join();
        }
    }
}

fn run(controls: UnboundedReceiver<Control>, shared: Shared) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(listen(controls, shared));
}

async fn listen(mut controls: UnboundedReceiver<Control>, shared: Shared) {
    let mut doors = Vec::new();
    while let Some(control) = controls.recv().await {
        match control {
            Control::Listen(door, listener) => {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                doors.push(tokio::spawn(accept(door, listener, shared.clone())));
            }
            Control::StopListening(done) => {
                for task in doors.drain(..) {
                    task.abort();
                    let _ = task.await;
                }
                let _ = done.send(());
            }
        }
    }
}

async fn accept(door: Door, listener: tokio::net::TcpListener, shared: Shared) {
    // an error is one connection's, gone before it was accepted
    loop {
        if let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, door, shared.clone()));
        }
    }
}
