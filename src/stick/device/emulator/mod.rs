//! The stick in the window of the official Sense HAT emulator (`sense_emu`), heard through a Unix socket.
//!
//! - Holds our socket, its place in the emulator's directory, and when the next greeting is due.
//! - Never enters: the emulator's memory and lock, which are the room `sensors`; retries.
//!
//! The emulator binds a datagram socket and forgets whoever it was when it ends. Whoever says hello to it from a socket
//! that has a path is sent each event from then on, one record a datagram; whoever cannot be reached is forgotten. An
//! event has the wall clock's time, which may jump: the time at which it is read counts.
//!
//! Start reading at [`EmulatedStick::open`]; `address` is where our own socket stands.

mod address;
mod error;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with};
use rustix::process::geteuid;
use tokio::io::ReadBuf;
use tokio::net::UnixDatagram;
use tokio::time::{Interval, MissedTickBehavior, interval};

use self::address::{Address, Writers};
use self::error::{of_hello, of_open};
use super::record::{Flow, Meaning, Record};
use super::{Device, DeviceEvent, StickError};
use crate::base::clock;

/// The emulator's socket, in its directory.
const SOCKET: &str = "rpi-sense-emu-stick";
/// What it takes for a greeting, byte for byte.
const HELLO: &[u8] = b"hello";
/// How often it is greeted: so an end is noticed, since nothing else tells of it.
const HELLO_EVERY: Duration = Duration::from_secs(1);
/// More than an event has: what is longer is cut off, and is none.
const DATAGRAM_BYTES_MAX: usize = 64;

/// The stick of one run of the emulator.
#[derive(Debug)]
pub struct EmulatedStick {
    server: PathBuf,
    socket: UnixDatagram,
    hello: Interval,
    address: Address,
}

impl EmulatedStick {
    /// Greets the emulator whose socket is in `directory`. Called on a runtime of tokio's, with its timers.
    ///
    /// # Errors
    /// [`StickError::NoEmulator`] when it does not run, [`StickError::EmulatorPermission`] when it is another user's.
    pub fn open(directory: &Path) -> Result<Self, StickError> {
        let server = directory.join(SOCKET);
        let socket = connect_to(&server).map_err(|error| of_open(&server, error))?;
        let writers = writers(&server).map_err(|error| of_open(&server, error))?;
        // bound behind the connection: from its first moment on, the kernel takes nothing for it but the emulator's
        let address = Address::bind(socket.as_fd(), directory, writers)?;
        let socket = listen(socket).map_err(|error| StickError::new(&server, error))?;
        let mut hello = interval(HELLO_EVERY);
        hello.reset();
        hello.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stick = Self { server, socket, hello, address };
        stick.say_hello().map_err(|error| of_open(&stick.server, error))?;
        Ok(stick)
    }

    /// The emulator's socket in `directory`, when somebody listens there whom this user may speak to. Nothing is said
    /// to it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn find(directory: &Path) -> Result<PathBuf, StickError> {
        let server = directory.join(SOCKET);
        connect_to(&server).map_err(|error| of_open(&server, error))?;
        Ok(server)
    }

    /// An emulator that has no time for it now is greeted the next time.
    fn say_hello(&self) -> io::Result<()> {
        match send(&self.socket, HELLO, SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Greets whenever it is due; ready when that says that nothing more can come.
    fn poll_hello(&mut self, context: &mut Context<'_>) -> Poll<StickError> {
        loop {
            ready!(self.hello.poll_tick(context));
            if let Err(error) = self.say_hello() {
                return Poll::Ready(of_hello(&self.server, error));
            }
            // whoever clears the directory away takes the way back with it
            if !self.address.is_in_place() {
                return Poll::Ready(StickError::Lost { path: self.server.clone() });
            }
        }
    }

    fn poll_datagram(&self, context: &mut Context<'_>) -> Poll<Result<Option<DeviceEvent>, StickError>> {
        let mut bytes = [0; DATAGRAM_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(self.socket.poll_recv(context, &mut buffer)).map_err(|error| of_hello(&self.server, error))?;
        Poll::Ready(Ok(event(buffer.filled())))
    }
}

impl Device for EmulatedStick {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<DeviceEvent, StickError>> {
        while let Poll::Ready(heard) = self.poll_datagram(context)? {
            if let Some(event) = heard {
                return Poll::Ready(Ok(event));
            }
        }
        // behind the events: the last ones of an emulator that has ended are told
        self.poll_hello(context).map(Err)
    }
}

/// A socket without a place that speaks to `server`, and waits for nothing.
fn connect_to(server: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(server)?)?;
    Ok(socket)
}

fn listen(socket: OwnedFd) -> io::Result<UnixDatagram> {
    UnixDatagram::from_std(StdUnixDatagram::from(socket))
}

/// Who has to be able to write to our socket: whoever the emulator's is.
fn writers(server: &Path) -> io::Result<Writers> {
    let owner = fs::metadata(server)?.uid();
    Ok(if owner == geteuid().as_raw() { Writers::Owner } else { Writers::Everybody })
}

/// What a datagram says of the stick. Each stands for itself: nobody says that one was lost.
fn event(datagram: &[u8]) -> Option<DeviceEvent> {
    match Flow::default().handle(&Record::decode_datagram(datagram)?) {
        Meaning::Key(direction, state) => Some(DeviceEvent::Key { direction, state, time: clock::monotonic() }),
        Meaning::Resumed | Meaning::Nothing => None,
    }
}

#[cfg(test)]
mod tests;
